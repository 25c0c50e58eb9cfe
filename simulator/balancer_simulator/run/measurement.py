"""Measurements of a run: utilisation of servers, requests that wait and are under way, and counts of requests.

Servers are sampled from time to time. The number of slots follows endpoints that join, leave or change: one that is
drained or removed has none, one that has crashed has all its own.

Requests are counted by their end, with their waits and sojourns, also by kind. Requests that arrive during the warm-up
do not count.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from simpy import Environment

from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import EndpointRecord, KindRecord, ServerRecord, Timeline
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.endpoints import Change
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.calendar import after
from balancer_simulator.world.fleet import Fleet
from balancer_simulator.world.sources import TaskSource
from balancer_simulator.world.task import Task

__all__ = ["Measurement", "RequestCounts", "Steps", "slot_seconds", "slots_of"]

_SETTLE_EVERY: Final = 4096  # requests whose values the histograms keep at most
_BINS: Final = 120  # of a timeline
_NUMBERS: Final = 512  # samples of the number of requests under way

Steps = Sequence[tuple[float, int]]
"""From which instant (s) an endpoint has how many slots, in order."""


class RequestCounts:
    """Counts of the requests of a run.

    Attributes:
        from_s: instant from which requests count.
        under_way: those that count and are not over.
        completed, lost, timed_out: how many succeeded, failed at every attempt, found no endpoint.
        wait, sojourn: see `Record`.
        kinds: the same by name of the kind; empty if there is only one.
        last_s: when the last one was over, counted or not.
    """

    __slots__ = (
        "_early",
        "arrive",
        "completed",
        "from_s",
        "kinds",
        "last_s",
        "lost",
        "sojourn",
        "timed_out",
        "under_way",
        "wait",
    )

    def __init__(self, scenario: Scenario) -> None:
        kinds = scenario.requests.kinds
        self.from_s = scenario.counts_from_s
        self.wait, self.sojourn = CensoredHistogram(), CensoredHistogram()
        self.kinds = {kind.name: _KindCounts() for kind in kinds} if len(kinds) > 1 else {}
        self.completed = self.lost = self.timed_out = 0
        self.under_way: set[Task] = set()
        self._early: set[Task] = set()  # requests that do not count, unless they wait until the end
        self.arrive: Callable[[Task], None] = self._arrive if self.from_s else self.under_way.add
        """Count an arrival."""
        self.last_s = 0.0

    @property
    def arrived(self) -> int:
        """Number of arrivals that count."""
        return self.completed + self.lost + self.timed_out + len(self.under_way)

    @property
    def all_over(self) -> bool:
        """Whether none of the requests that have arrived is under way."""
        return not self.under_way and not self._early

    def _arrive(self, task: Task) -> None:
        if task.arrived_s >= self.from_s:
            self.under_way.add(task)
        else:
            self._early.add(task)

    def succeed(self, task: Task, now: float) -> None:
        """Count a request with its answer."""
        if task.arrived_s >= self.from_s:
            self.completed += 1
            self.under_way.remove(task)
            self.sojourn.add(now - task.arrived_s)
            if self.kinds:
                of_kind = self.kinds[task.demand.name]
                of_kind.completed += 1
                of_kind.sojourn.add(now - task.arrived_s)
            if not self.completed % _SETTLE_EVERY:
                self._settle()
        else:
            self._early.discard(task)
        self.last_s = now

    def lose(self, task: Task, now: float, *, timed_out: bool) -> None:
        """Count a request that is given up. `timed_out`: because it got no lease."""
        if task.arrived_s >= self.from_s:
            self.under_way.remove(task)
            self.timed_out += timed_out
            self.lost += not timed_out
            if self.kinds:
                of_kind = self.kinds[task.demand.name]
                of_kind.timed_out += timed_out
                of_kind.lost += not timed_out
            if not (self.lost + self.timed_out) % _SETTLE_EVERY:
                self._settle()
        else:
            self._early.discard(task)
        self.last_s = now

    def leave_open(self, now: float) -> None:
        """Count requests under way at the end as longer than they have been so far.

        A request that came during the warm-up and still waits counts among the waits.
        """
        self._settle()
        waiting = [task for task in (*self.under_way, *self._early) if task.asks]
        self.wait.leave_open(now - task.asked_s for task in waiting)
        self.sojourn.leave_open(now - task.arrived_s for task in self.under_way)
        for name, of_kind in self.kinds.items():
            mine = [task for task in self.under_way if task.demand.name == name]
            of_kind.wait.leave_open(now - task.asked_s for task in waiting if task.demand.name == name)
            of_kind.sojourn.leave_open(now - task.arrived_s for task in mine)

    def of_kinds(self, numbers: tuple[int, ...]) -> tuple[KindRecord, ...]:
        """Return the record of each kind of request. `numbers` is that of all."""
        return tuple(
            KindRecord(name, each.completed, each.lost, each.timed_out, each.wait, each.sojourn, numbers)
            for name, each in self.kinds.items()
        )

    def _settle(self) -> None:
        self.wait.settle()
        self.sojourn.settle()
        for of_kind in self.kinds.values():
            of_kind.wait.settle()
            of_kind.sojourn.settle()


class _KindCounts:
    """The requests of one kind."""

    def __init__(self) -> None:
        self.wait, self.sojourn = CensoredHistogram(), CensoredHistogram()
        self.completed = self.lost = self.timed_out = 0


class Measurement:
    """Samples of a run.

    Args:
        env: virtual time.
        scenario: of the run.
        fleet: the servers.
        counts: the requests.
        source: has the workers, if any.

    Attributes:
        halfway: see `Record`.
        under_way: number of requests under way, at each sample.
        numbers: see `Record`.
    """

    def __init__(
        self, env: Environment, scenario: Scenario, fleet: Fleet, counts: RequestCounts, source: TaskSource
    ) -> None:
        self._env = env
        self._scenario = scenario
        self._servers = fleet.servers
        self._prompts = fleet.prompts
        self._stirred = fleet.stirred
        self._busy_s, self._in_flight = np.zeros(len(fleet.servers)), np.zeros(len(fleet.servers))  # at the last look
        self._hosts = fleet.hosts
        self._counts = counts
        self._source = source
        hosts = {url: server.model.endpoint(url).host or "" for url, server in fleet.servers.items() if fleet.hosts}
        self._host_of = {url: host for url, host in hosts.items() if host in fleet.hosts}
        self.halfway = (0, 0)
        self.under_way: list[int] = []
        self.numbers: list[int] = []
        self._waiting: list[float] = []  # number of waiting requests, at each sample in the second half
        self._before: dict[str, tuple[int, int, float]] = {}
        self._worked_before: dict[str, float] = {}
        self._looks: list[tuple[float, Floats]] = []
        self._slots = slots_of(scenario)
        self._changes = list(scenario.changes)
        # Those that may have calls that wait inside, or for a share of their host.
        self._crowded = {
            url: server for url, server in fleet.servers.items() if server.model.parallel or url in self._host_of
        }
        self._bin_s = scenario.horizon_s / _BINS

    def begin(self, *, bound_s: float | None, populations: int) -> None:
        """Begin to sample.

        Args:
            bound_s: the least duration of the run, which makes the bins of the timeline finer. None: unknown.
            populations: how often to record the number of requests under way, evenly spaced; 0: never.
        """
        horizon_s, from_s = self._scenario.horizon_s, self._counts.from_s
        self._bin_s = min(horizon_s, bound_s or math.inf) / _BINS
        self._look()
        if from_s:
            after(self._env, from_s, Measurement._end_warmup, self)
        after(self._env, (from_s + horizon_s) / 2, Measurement._look_halfway, self)
        if populations:
            self._look_at_population(horizon_s / populations)
        if not self._scenario.is_batch:
            every_s = (horizon_s - from_s) / _NUMBERS
            after(self._env, from_s + every_s / 2, self._look_at_number, every_s)

    def follow(self, change: Change) -> None:
        """Take note of a change of the pool that is not one of the scenario's."""
        self._changes.append(change)
        model = self._servers[change.url].model
        self._slots[change.url] = _steps(self._changes, change.url, model.capacity, model.from_s)

    @property
    def waiting(self) -> float:
        """Mean number of waiting requests in the second half of the time that counts."""
        return sum(self._waiting) / max(1, len(self._waiting))

    def endpoints(self, end_s: float) -> tuple[EndpointRecord, ...]:
        known = _SlotSeconds(np.array([self._counts.from_s, end_s]))
        return tuple(self._endpoint(url, known, end_s) for url in self._servers)

    def servers(self, end_s: float) -> tuple[ServerRecord, ...]:
        """Return the record of each host or server."""
        known = _SlotSeconds(np.array([self._counts.from_s, end_s]))
        found = []
        for name, worked_s in self._worked(end_s):
            if name in self._hosts:
                lines_s = self._scenario.hosts[name].cores * (end_s - self._counts.from_s)
            else:
                most = self._servers[name].model.parallel
                lines_s = known.whole_of([(at_s, min(slots, most or slots)) for at_s, slots in self._slots[name]])
            found.append(ServerRecord(name, lines_s, max(0.0, worked_s - self._worked_before.get(name, 0.0))))
        return tuple(found)

    def crews(self) -> tuple[tuple[int, ...], ...]:
        """Return the number of calls of each worker, for each group that worked together."""
        crews: dict[str, list[int]] = {}
        for worker in self._source.workers:
            crews.setdefault(worker.part, []).append(worker.calls)
        return tuple(map(tuple, crews.values()))

    def timeline(self) -> Timeline:
        """Return how busy the endpoints were over time."""
        edges_s = np.array([at_s for at_s, _ in self._looks])
        busy = np.array([row for _, row in self._looks])
        known = _SlotSeconds(edges_s)
        slots = np.array([known.of(self._slots[url]) for url in self._servers])
        utilisation = np.diff(busy.T) / np.maximum(np.diff(slots), 1e-12)
        return Timeline(edges_s, np.clip(utilisation, 0.0, 1.0), tuple(self._servers))

    # -- inside ------------------------------------------------------------------------------------

    def _end_warmup(self) -> None:
        now = self._env.now
        self._before = {url: (s.calls, s.failures, s.busy_until(now)) for url, s in self._servers.items()}
        self._worked_before = dict(self._worked(now))
        self._prompts.reset()
        for worker in self._source.workers:
            worker.calls = 0

    def _look_halfway(self) -> None:
        self.halfway = (self._counts.arrived, len(self._counts.under_way))

    def _look_at_population(self, every_s: float) -> None:
        self.under_way.append(len(self._counts.under_way))
        after(self._env, every_s, self._look_at_population, every_s)

    def _look_at_number(self, every_s: float) -> None:
        self.numbers.append(len(self._counts.under_way))
        if len(self.numbers) < _NUMBERS:
            after(self._env, every_s, self._look_at_number, every_s)

    def _look(self) -> None:
        """Sample the servers, and schedule the next sample. Bins are merged, because the end of a batch is unknown."""
        now = self._env.now
        self._looks.append((now, self._busy_until(now)))
        if len(self._looks) > 2 * _BINS:
            self._looks = self._looks[::2]
            self._bin_s *= 2
        if now >= (self._counts.from_s + self._scenario.horizon_s) / 2:
            self._waiting.append(self._waiting_now())
        after(self._env, self._bin_s, Measurement._look, self)

    def _waiting_now(self) -> float:
        """Return how many requests wait: for a lease, in a queue inside their server, or for a share of their host."""
        waiting = float(sum(task.asks for task in self._counts.under_way))
        on_host = dict.fromkeys(self._hosts, 0)
        for url, server in self._crowded.items():
            at_work = min(server.in_flight, server.model.parallel or server.in_flight)
            waiting += server.in_flight - at_work
            if url in self._host_of:
                on_host[self._host_of[url]] += at_work
        return waiting + sum(max(0.0, calls - self._scenario.hosts[host].cores) for host, calls in on_host.items())

    def _busy_until(self, now: float) -> Floats:
        """Return the slot-seconds of each server so far, as `SimulatedServer.busy_until` has them."""
        busy_s, in_flight = self._busy_s, self._in_flight
        for server in self._stirred:
            server.stirred = False
            busy_s[server.number] = server.busy_s
            in_flight[server.number] = server.in_flight
        self._stirred.clear()
        return busy_s + in_flight * now

    def _endpoint(self, url: str, known: "_SlotSeconds", end_s: float) -> EndpointRecord:
        server = self._servers[url]
        calls, failures, busy_s = self._before.get(url, (0, 0, 0.0))
        return EndpointRecord(
            url=url,
            capacity=server.model.capacity,
            slots_s=known.whole_of(self._slots[url]),
            weight=server.model.weight,
            calls=server.calls - calls,
            failures=server.failures - failures,
            busy_s=max(0.0, server.busy_until(end_s) - busy_s),
        )

    def _worked(self, now: float) -> Iterator[tuple[str, float]]:
        """Yield each host or server with its work so far, hosts first."""
        for name, host in self._hosts.items():
            yield name, host.worked_until(now)
        for url, server in self._servers.items():
            if url not in self._host_of:
                yield url, server.worked_until(now)


class _SlotSeconds:
    """The slots x seconds up to some instants. Nearly all endpoints have the same slots as others."""

    def __init__(self, at_s: Floats) -> None:
        self._at_s = at_s
        self._known: dict[tuple[tuple[float, int], ...], Floats] = {}

    def of(self, steps: Steps) -> Floats:
        """Return them up to each instant."""
        key = tuple(steps)
        if key not in self._known:
            self._known[key] = slot_seconds(steps, self._at_s)
        return self._known[key]

    def whole_of(self, steps: Steps) -> float:
        """Return them from the first instant to the last."""
        found = self.of(steps)
        return float(found[-1] - found[0])


def slots_of(scenario: Scenario) -> dict[str, Steps]:
    """Return how many slots every endpoint has over time, by URL."""
    return {url: _steps(scenario.changes, url, model.capacity, model.from_s) for url, model in scenario.by_url.items()}


def _steps(changes: Sequence[Change], url: str, capacity: int, from_s: float) -> Steps:
    steps, there = [(from_s, capacity)], True
    for change in sorted((c for c in changes if c.url == url), key=lambda c: c.at_s):
        capacity = change.capacity or capacity
        there = change.do == "add" or (there and change.do == "update")
        steps.append((change.at_s, capacity if there else 0))
    return steps


def slot_seconds(steps: Steps, at_s: Floats) -> Floats:
    """Return slots x seconds up to each of some instants."""
    found = np.zeros(len(at_s))
    for (since_s, slots), (until_s, _) in pairwise([*steps, (math.inf, 0)]):
        found += slots * np.clip(at_s - since_s, 0.0, until_s - since_s)
    return found
