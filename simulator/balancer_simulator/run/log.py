"""Log of a run: a row of 43 bytes for each call, and what numpy counts of whole blocks of rows.

A row is packed when a call is over. A request that got no endpoint, or is lost, has one more. Rows are kept or dropped
when they are counted, so an open run that keeps none has the same memory whatever its length. Those of a batch are
counted at its end, because only then is it known how long it took.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import inf, nan
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from balancer_simulator.run.record import (
    ANSWERED,
    CALL_ROW,
    DROPPED,
    FAILED,
    REFUSED,
    TIMED_OUT,
    UNFINISHED,
    EndpointRecord,
    KeptCalls,
    Tally,
    Timeline,
)
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.endpoints import Change
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.task import Task

__all__ = ["CallLog"]

_BLOCK: Final = 8192  # rows; more with many endpoints, as each count looks at all of them
_PACKED: Final = Struct("<ddddiiHB")
_BINS: Final = 120  # of a timeline
_NUMBERS: Final = 1000  # instants at which the number of requests under way is known
Rows = NDArray[Any]


class CallLog:
    """The calls of a run.

    Attributes:
        under_way: requests that are not over.
        tally, kinds: what is counted, of all requests and by kind; no kinds if there is only one.

    Args:
        keep: whether to keep the rows.
    """

    def __init__(self, scenario: Scenario, *, keep: bool) -> None:
        self._scenario = scenario
        kinds = scenario.requests.kinds
        self._from_s = scenario.counts_from_s
        slots = {kind.name: kind.slots for kind in kinds}
        self._numbers = {name: number for number, name in enumerate(slots)}
        self._slots = np.array(list(slots.values()), dtype=float)
        self._models = list(scenario.by_url.items())
        self.under_way: set[Task] = set()
        self.tally = Tally()
        self.kinds = {kind.name: Tally() for kind in kinds} if len(kinds) > 1 else {}
        self._changes = list(scenario.changes)
        self._rows = bytearray()
        self._kept: list[bytes] | None = [] if keep else None
        self._block = inf if scenario.is_batch else max(_BLOCK, 8 * len(self._models)) * _PACKED.size
        self._begin_to_count(scenario.horizon_s)

    def _begin_to_count(self, end_s: float) -> None:
        """Set the instants to look at, all before `end_s`."""
        self._end_s = end_s
        self._at_s = np.linspace(0.0, end_s, _BINS + 1)
        self._instants = np.linspace(0.0, self._scenario.horizon_s, _NUMBERS, endpoint=False)
        self._present = np.zeros(_NUMBERS)
        self._asking = np.zeros(_BINS + 1)
        self._inside, self._busy_until = np.zeros((2, len(self._models), _BINS + 1))
        self._calls, self._failures, self._busy_s = np.zeros((3, len(self._models)))
        self._halfway = np.zeros(2)
        self.last_s = 0.0

    # -- events ------------------------------------------------------------------------------------

    def arrive(self, task: Task) -> None:
        """Note a request that has come."""
        self.under_way.add(task)

    def over(self, task: Task, now: float, end: int) -> None:
        """Note a request that is over. If it is lost, its last call has a row of its own."""
        self.under_way.remove(task)
        if end == ANSWERED:
            self.note(task, now, end)
        else:
            self._put(task, task.asked_s if end == TIMED_OUT else nan, nan, now, -1, end)

    def note(self, task: Task, now: float, end: int) -> None:
        """Note a call that is over."""
        self._put(task, task.asked_s, task.started_s, now, task.server.number, end)
        if len(self._rows) >= self._block:
            self._count()

    def follow(self, change: Change) -> None:
        """Take note of a change of the pool that is not one of the scenario's."""
        self._changes.append(change)

    def _put(self, task: Task, asked_s: float, started_s: float, ended_s: float, server: int, end: int) -> None:
        kind = self._numbers[task.demand.name]
        self._rows += _PACKED.pack(task.arrived_s, asked_s, started_s, ended_s, task.number, server, kind, end)

    def close(self, now: float, *, finished: bool) -> float:
        """Count all, and return the end. What is under way then counts as longer than so far."""
        for task in sorted(self.under_way, key=lambda task: (task.arrived_s, task.number)):
            if task.asks:
                self._put(task, task.asked_s, nan, nan, -1, UNFINISHED)
            elif not task.lease.ended:
                self._put(task, task.asked_s, task.started_s, nan, task.server.number, UNFINISHED)
            else:  # it pauses before a retry
                self._put(task, nan, nan, nan, -1, UNFINISHED)
            if task.rival is not None:
                self._put(task.rival, nan, task.rival.started_s, nan, task.rival.server.number, DROPPED)
        if self._scenario.is_batch and finished:
            rows = np.frombuffer(bytes(self._rows), CALL_ROW)
            self._begin_to_count(float(rows["ended_s"][_is_final(rows)][-1]))
        self._count()
        if not self._scenario.is_batch:
            numbers = self._present[self._instants >= max(self._from_s, self._instants[1])]
            for tally in (self.tally, *self.kinds.values()):
                tally.numbers = tuple(numbers.astype(int).tolist())
        return self._end_s

    # -- what is counted ---------------------------------------------------------------------------

    def _count(self) -> None:
        block = bytes(self._rows)
        self._rows.clear()
        if self._kept is not None:
            self._kept.append(block)
        rows = np.frombuffer(block, CALL_ROW)
        for name, tally in (("", self.tally), *self.kinds.items()):
            tally.count(rows[rows["kind"] == self._numbers[name]] if name else rows, self._from_s, self._end_s)
        self._count_requests(rows[_is_final(rows)])
        self._count_calls(rows[~np.isnan(rows["started_s"])])
        asked = rows[~np.isnan(rows["asked_s"])]
        self._asking += _present(
            asked["asked_s"], np.where(np.isnan(asked["started_s"]), asked["ended_s"], asked["started_s"]), self._at_s
        )

    def _count_requests(self, rows: Rows) -> None:
        arrived_s, ended_s = rows["arrived_s"], rows["ended_s"]
        self.last_s = max([self.last_s, *ended_s[~np.isnan(ended_s)][-1:]])
        self._present += _present(arrived_s, ended_s, self._instants)
        middle_s = (self._from_s + self._end_s) / 2
        early = ended_s[(arrived_s >= self._from_s) & (arrived_s <= middle_s)]
        self._halfway += np.array([len(early), np.sum(~(early <= middle_s))])

    def _count_calls(self, rows: Rows) -> None:
        urls, began_s = rows["endpoint"], rows["started_s"]
        ended_s = np.where(np.isnan(rows["ended_s"]), inf, rows["ended_s"])
        slots = self._slots[rows["kind"]]
        inside_s = [np.clip(each, self._from_s, self._end_s) for each in (began_s, ended_s)]
        bad = np.isin(rows["end"], (FAILED, REFUSED)) & (ended_s >= self._from_s)
        weights = began_s >= self._from_s, bad, (inside_s[1] - inside_s[0]) * slots
        for found, each in zip((self._calls, self._failures, self._busy_s), weights, strict=True):
            found += np.bincount(urls, each, len(self._models))
        for sign, at_s in ((1, began_s), (-1, ended_s)):
            self._step(urls, at_s, sign * slots)

    def _step(self, urls: NDArray[np.int32], at_s: Floats, slots: Floats) -> None:
        """Count that so many slots more are in use at some endpoints, from some instants on."""
        shape = len(self._models), _BINS + 2
        places = urls * shape[1] + np.searchsorted(self._at_s, at_s)

        def by_now(weights: Floats) -> Floats:
            found = np.bincount(places, weights, shape[0] * shape[1])
            return found.reshape(shape)[:, :-1].cumsum(axis=1)

        in_use = by_now(slots)
        self._inside += in_use
        self._busy_until += in_use * self._at_s - by_now(slots * at_s)

    # -- the figures -------------------------------------------------------------------------------

    @property
    def halfway(self) -> tuple[int, int]:
        """See `Record`."""
        return int(self._halfway[0]), int(self._halfway[1])

    def kept(self) -> KeptCalls | None:
        """Return the rows; None if none are kept."""
        if self._kept is None:
            return None
        return KeptCalls(
            b"".join(self._kept), tuple(self._numbers), tuple(self._scenario.by_url), self._from_s, self._end_s
        )

    def endpoints(self) -> tuple[EndpointRecord, ...]:
        """Return what came of each endpoint in the time that counts."""
        from_s, to_s = self._slot_seconds(np.array([self._from_s, self._end_s])).T
        figures = np.stack([to_s - from_s, self._busy_s]).T.tolist()
        counts = np.stack([self._calls, self._failures]).T.astype(int).tolist()
        return tuple(
            EndpointRecord(url, model.capacity, slots_s, model.weight, calls, failures, busy_s)
            for (url, model), (slots_s, busy_s), (calls, failures) in zip(self._models, figures, counts, strict=True)
        )

    def timeline(self) -> Timeline:
        """Return what was seen at each instant."""
        lasts_s = np.maximum(np.diff(self._at_s), 1e-9)
        busy, slots = (
            (np.maximum(np.diff(each, axis=1), 0.0) / lasts_s).astype(np.float32)
            for each in (self._busy_until, self._slot_seconds(self._at_s))
        )
        waiting = self._asking + self._waiting_inside()
        return Timeline(self._at_s, waiting, busy, slots, tuple(self._scenario.by_url), self._from_s)

    def _waiting_inside(self) -> Floats:
        """Return how many requests wait in a queue inside their server, or for a share of their host."""
        waiting, on_host = np.zeros(len(self._at_s)), {host: np.zeros(len(self._at_s)) for host in self._scenario.hosts}
        for (url, model), inside in zip(self._models, self._inside, strict=True):
            if not model.parallel and not on_host:
                continue
            at_work = np.minimum(inside, model.parallel or inf)
            waiting += inside - at_work
            host = (model.endpoint(url).host or "") if on_host else ""
            if host in on_host:
                on_host[host] += at_work
        for host, calls in on_host.items():
            waiting += np.maximum(0.0, calls - self._scenario.hosts[host].cores)
        return waiting

    def _slot_seconds(self, at_s: Floats) -> Floats:
        """Return the slots x seconds of each endpoint up to each instant.

        One that is drained or removed has no slots, one that has crashed has all its own.
        """
        changed = {change.url for change in self._changes}
        from_s, slots = np.array([(model.from_s, model.capacity) for _, model in self._models]).T[:, :, None]
        found: Floats = np.maximum(0.0, at_s - from_s) * slots
        for number, (url, model) in enumerate(self._models):
            if url in changed:
                mine = sorted((c for c in self._changes if c.url == url), key=lambda change: change.at_s)
                found[number] = _slots_of(model.from_s, model.capacity, mine, at_s)
        return found


def _is_final(rows: Rows) -> NDArray[np.bool_]:
    return np.asarray(rows["end"] <= UNFINISHED)


def _present(from_s: Floats, to_s: Floats, at_s: Floats) -> Floats:
    """Return how many spans of time contain each of some instants; one without an end contains all that follow."""
    come, gone = (np.searchsorted(np.sort(each), at_s, side="right") for each in (from_s, to_s))
    return np.asarray(come - gone, dtype=float)


def _slots_of(from_s: float, capacity: int, changes: Sequence[Change], at_s: Floats) -> Floats:
    """Return slots x seconds of an endpoint up to each of some instants. `changes` are its own, in order."""
    steps, there = [(from_s, capacity)], True
    for change in changes:
        capacity = change.capacity or capacity
        there = change.do == "add" or (there and change.do == "update")
        steps.append((change.at_s, capacity if there else 0))
    found = np.zeros(len(at_s))
    for (since_s, slots), (until_s, _) in pairwise([*steps, (inf, 0)]):
        found += slots * np.clip(at_s - since_s, 0.0, until_s - since_s)
    return found
