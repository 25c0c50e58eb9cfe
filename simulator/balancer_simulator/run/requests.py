"""Requests of a run: counted as they end, and kept as rows of 43 bytes.

A row is packed when a request is over. Whole blocks of rows are counted at once, by numpy, also by kind. Rows are kept
or dropped then, so a run that keeps none has the same memory whatever its length.
"""

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import ANSWERED, REQUEST_ROW, TIMED_OUT, UNFINISHED, KeptRequests, KindRecord
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.task import Task

__all__ = ["RequestCounts"]

_BLOCK: Final = 4096  # rows
_PACKED: Final = Struct("<ddddiHIB")
_PACK: Final = _PACKED.pack
_NEVER: Final = float("nan")


class _Tally:
    """Requests that count, of all kinds or of one: how they ended, their waits and their sojourns."""

    def __init__(self) -> None:
        self.wait, self.sojourn = CensoredHistogram(), CensoredHistogram()
        self._ends = np.zeros(UNFINISHED + 1, dtype=np.int64)

    @property
    def ended(self) -> tuple[int, int, int]:
        """How many have their answer, failed at every attempt, found no endpoint."""
        answered, lost, timed_out, _ = self._ends.tolist()
        return answered, lost, timed_out

    def count(self, rows: NDArray[Any]) -> None:
        """Count requests that are over. Waits are counted apart, one for each lease."""
        self._ends += np.bincount(rows["outcome"], minlength=UNFINISHED + 1)
        answered = rows[rows["outcome"] == ANSWERED]
        self.sojourn.count_all(answered["ended_s"] - answered["arrived_s"])
        self.wait.settle()


class RequestCounts:
    """Counts of the requests of a run.

    Attributes:
        from_s: instant from which requests count.
        under_way: those that are not over.
        arrive: count an arrival.
        wait, sojourn: see `Record`.
        kinds: the same by name of the kind; empty if there is only one.
        last_s: when the last one was over, counted or not.

    Args:
        keep: whether to keep the rows.
    """

    __slots__ = ("_all", "_kept", "_numbers", "_rows", "arrive", "from_s", "kinds", "last_s", "under_way")

    def __init__(self, scenario: Scenario, *, keep: bool) -> None:
        names = [kind.name for kind in scenario.requests.kinds]
        self.from_s = scenario.counts_from_s
        self._all = _Tally()
        self.kinds = {name: _Tally() for name in names} if len(names) > 1 else {}
        self._numbers = {name: number for number, name in enumerate(names)}
        self.under_way: set[Task] = set()
        self.arrive: Callable[[Task], None] = self.under_way.add
        self._rows = bytearray()
        self._kept = bytearray() if keep else None
        self.last_s = 0.0

    @property
    def wait(self) -> CensoredHistogram:
        return self._all.wait

    @property
    def sojourn(self) -> CensoredHistogram:
        return self._all.sojourn

    @property
    def ended(self) -> tuple[int, int, int]:
        """How many that count have their answer, failed at every attempt, found no endpoint."""
        self._settle()
        return self._all.ended

    @property
    def unfinished(self) -> int:
        """How many that count are under way."""
        return sum(task.arrived_s >= self.from_s for task in self.under_way)

    def over(self, task: Task, now: float, outcome: int) -> None:
        """Count a request that is over."""
        self.under_way.remove(task)
        self.last_s = now
        waited_s = task.waited_s
        started_s = task.asked_s
        if outcome == TIMED_OUT:
            waited_s, started_s = waited_s + now - started_s, _NEVER
        rows = self._rows
        rows += self._packed(task, started_s, now, waited_s, outcome)
        if len(rows) >= _BLOCK * _PACKED.size:
            self._settle()

    def leave_open(self, now: float) -> None:
        """Count requests under way at the end as longer than they have been so far.

        A request that came during the warm-up and still waits counts among the waits.
        """
        self._settle()
        under_way = sorted(self.under_way, key=lambda task: (task.arrived_s, task.number))
        for name, tally in (("", self._all), *self.kinds.items()):
            mine = [task for task in under_way if not name or task.demand.name == name]
            tally.wait.leave_open(now - task.asked_s for task in mine if task.asks)
            tally.sojourn.leave_open(now - task.arrived_s for task in mine if task.arrived_s >= self.from_s)
        if self._kept is not None:
            for task in under_way:
                open_s = now - task.asked_s if task.asks else 0.0
                started_s = _NEVER if task.asks else task.asked_s
                self._kept += self._packed(task, started_s, _NEVER, task.waited_s + open_s, UNFINISHED)

    def of_kinds(self, numbers: tuple[int, ...]) -> tuple[KindRecord, ...]:
        """Return the record of each kind of request. `numbers` is that of all."""
        return tuple(
            KindRecord(name, *each.ended, wait=each.wait, sojourn=each.sojourn, numbers=numbers)
            for name, each in self.kinds.items()
        )

    def kept(self, urls: Iterable[str]) -> KeptRequests | None:
        """Return the rows; None if none are kept."""
        return None if self._kept is None else KeptRequests(self._kept, self._numbers, urls, self.from_s)

    def _packed(self, task: Task, started_s: float, ended_s: float, waited_s: float, outcome: int) -> bytes:
        number = task.server.number if task.attempt else -1
        kind = self._numbers[task.demand.name]
        return _PACK(task.arrived_s, started_s, ended_s, waited_s, number, kind, task.attempt, outcome)

    def _settle(self) -> None:
        block = bytes(self._rows)
        self._rows.clear()
        if self._kept is not None:
            self._kept += block
        rows = np.frombuffer(block, REQUEST_ROW)
        counted = rows[rows["arrived_s"] >= self.from_s]
        self._all.count(counted)
        for number, tally in enumerate(self.kinds.values()):
            tally.count(counted[counted["kind"] == number])
