"""Counts of a run: requests by what became of them, and how long they waited and took, by kind as well.

Requests that come before the warm-up is over do not count. What servers did is for `measurement` to say.
"""

from typing import Final

from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import KindRecord
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.task import Task

__all__ = ["RequestCounts"]

_SETTLE_EVERY: Final = 4096  # requests: the histograms keep the values of so many, and no more


class RequestCounts:
    """The requests of a run.

    Attributes:
        from_s: from when on requests count.
        under_way: those that count and are not over.
        completed, lost, timed_out: how many succeeded, failed at every attempt, found no endpoint.
        wait, sojourn: see `Record`.
        kinds: the same by kind, by name; empty if there is only one.
        last_s: when the last one was over, counted or not.
    """

    __slots__ = (
        "_early",
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
        self._early: set[Task] = set()  # those that do not count, unless they wait to the end
        self.last_s = 0.0

    @property
    def arrived(self) -> int:
        """How many have come that count."""
        return self.completed + self.lost + self.timed_out + len(self.under_way)

    def arrive(self, task: Task) -> None:
        """Count a request that comes."""
        if task.arrived_s >= self.from_s:
            self.under_way.add(task)
        else:
            self._early.add(task)

    def succeed(self, task: Task, now: float) -> None:
        """Count a request that has its answer."""
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
        """Count a request that is given up; `timed_out`: because it got no lease."""
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
        """Count what is under way at the end as longer than it has been so far.

        Whoever has waited since before the warm-up was over has waited all the time that counts: it is no less a wait.
        """
        self._settle()
        waiting = [task for task in (*self.under_way, *self._early) if task.asks]
        self.wait.leave_open(now - task.asked_s for task in waiting)
        self.sojourn.leave_open(now - task.arrived_s for task in self.under_way)
        for name, of_kind in self.kinds.items():
            mine = [task for task in self.under_way if task.demand.name == name]
            of_kind.wait.leave_open(now - task.asked_s for task in waiting if task.demand.name == name)
            of_kind.sojourn.leave_open(now - task.arrived_s for task in mine)

    def of_kinds(self) -> tuple[KindRecord, ...]:
        """Return what became of the requests of each kind."""
        return tuple(
            KindRecord(name, each.completed, each.lost, each.timed_out, each.wait, each.sojourn)
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
