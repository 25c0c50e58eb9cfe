"""A run in which a call that is slow is made a second time, elsewhere.

Decides when the second one is made and which of the two counts, as `balancer.shells.hedging` does: the first
success. The loser gives its slot back at once, and goes on at its endpoint: nobody can stop a program from outside.
"""

from dataclasses import replace

from balancer.endpoint import Lease, Outcome
from balancer_simulator.run.engine import Run
from balancer_simulator.world.calendar import after
from balancer_simulator.world.task import Task

__all__ = ["HedgedRun"]


class HedgedRun(Run):
    """A run with hedging. See `Requests.hedge_after_s`.

    The second call never waits, so it is not among the waits; and its request is counted once.
    """

    def start(self, task: Task, lease: Lease, now: float) -> None:
        """Begin the call, and look at it again later."""
        super().start(task, lease, now)
        hedge_after_s = self._scenario.requests.hedge_after_s
        if hedge_after_s is not None:
            after(self._env, hedge_after_s, self._look_at, (task, lease))

    def _look_at(self, call: tuple[Task, Lease]) -> None:
        """Make a call that is still under way a second time, if a slot is free elsewhere and the budget allows it."""
        task, lease = call
        if lease.ended:
            return
        now = self._env.now
        if self._budget is not None and self._budget.wait_s(now) > 0:
            return
        exclude = task.failed_at | {lease.endpoint.name}
        second = self._core.acquire(replace(task.demand.request, exclude=exclude), now)
        if second is None:
            return
        if self._budget is not None:
            self._budget.try_spend(now)
        twin = Task(self._env, task.number, task.work_s, task.demand, task.worker, task.arrived_s)
        twin.leader, twin.rival, task.rival = task, task, twin
        self._begin(twin, second, now)

    def _begin(self, twin: Task, lease: Lease, now: float) -> None:
        if self._observer is not None:
            self._observer(twin, lease)
        if twin.worker is not None:
            twin.worker.calls += 1
        twin.lease, twin.server, twin.asked_s = lease, self._servers[lease.endpoint.name], now
        twin.server.begin(twin, now)

    def _served(self, task: Task, outcome: Outcome) -> None:
        if task.beaten:
            return  # its slot was given back when the other one succeeded
        rival, leader = task.rival, task.leader or task
        if rival is None and task is leader:
            super()._served(task, outcome)
            return
        now = self._env.now
        task.server.finish(task, now, outcome is not Outcome.SUCCESS)
        if self._spans is not None:
            self._keep_span(task, outcome)
        self._done(task, outcome, now)
        if rival is not None:
            task.rival = rival.rival = None
        if outcome is not Outcome.SUCCESS and self._scenario.requests.exclude_failed:
            leader.failed_at |= {task.lease.endpoint.name}
        if outcome is not Outcome.SUCCESS:
            if rival is None:
                self._fail(leader)
            return
        if rival is not None:
            rival.beaten = True
            rival.server.finish(rival, now, False)
            self._done(rival, Outcome.IGNORED, now)
        self._succeed(leader, now)
