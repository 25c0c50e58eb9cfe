"""Retries and hedges in virtual time, by the attempt plan of the core.

A shell, like that for threads: the plan decides where and when a call is tried again, and this module asks, pauses and
hedges. A plan is made only when it is needed: a request whose first call succeeds has none.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

from simpy import Environment

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.budget import RetryBudget
from balancer.core.decisions import Ask, CallPolicy, Hedge, Over, Pause, Why
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease
from balancer.errors import BalancerError, NoEndpoint
from balancer.strategy import Request
from balancer_simulator.run.disciplines import LeasePerCall
from balancer_simulator.world.calendar import after
from balancer_simulator.world.task import Task

__all__ = ["AttemptRunner"]

# With these reasons it got a lease and failed: it is lost. With all others it got no lease.
_LOST = (Why.ATTEMPTS, Why.BUDGET, Why.DEADLINE)


class AttemptRunner:
    """The attempt plans of a run.

    Args:
        env: of the run.
        discipline: lets a task ask for an endpoint, and has its core.
        policy: attempts of a request, pauses, and hedging.
        budget: limits the retries of all requests together; None: no limit.
        rng: for the jitter of pauses.
        lose: gives a task up; whether because it got no lease.
        begin_second_call: of a task, with a lease.
        leaves_failed: whether a request may leave the one endpoint that it must use, once it has failed there.
    """

    def __init__(
        self,
        env: Environment,
        discipline: LeasePerCall,
        policy: CallPolicy,
        *,
        budget: RetryBudget | None,
        rng: random.Random,
        lose: Callable[[Task, bool], None],
        begin_second_call: Callable[[Task, Lease, float], None],
        leaves_failed: bool = False,
    ) -> None:
        self._env = env
        self._core = discipline.core
        self._ask = discipline.ask
        self._policy_of = cache(lambda wait_s: replace(policy, wait_s=wait_s))  # checked once for each wait
        self._budget = budget
        self._rng = rng
        self._lose, self._begin_second_call = lose, begin_second_call
        self._leaves_failed = leaves_failed

    def granted(self, task: Task, plan: AttemptPlan, now: float) -> None:
        """Handle the lease of a retry."""
        self._core.retried(task.failed_at, now)
        plan.granted(task.lease.endpoint.name, now)

    def failed(self, task: Task, lease: Lease, now: float) -> None:
        """Handle the failure of the call of `task`, and of its second call if there was one. `lease` was the last."""
        hint = lease.hint
        asked_s = hint.retry_after_s if hint is not None else None
        task.failed_at = lease.endpoint.name
        self._follow(task, self._plan(task).failed(now, asked_s or 0.0))

    def refused(self, task: Task, error: BalancerError) -> None:
        """Handle that there is no endpoint for `task`."""
        if task.plan is None:
            self._lose(task, True)
            return
        now = self._env.now
        if isinstance(error, NoEndpoint):
            self._follow(task, task.plan.no_endpoint(now, self._core.out_of_service()))
        else:
            self._follow(task, task.plan.no_lease(now))

    def slow(self, call: tuple[Task, Lease]) -> None:
        """Begin a second call for one that is still under way, if its plan wants that and a slot is free."""
        task, lease = call
        if lease.ended:
            return
        now = self._env.now
        plan = self._plan(task)
        decision = plan.slow(now)
        if not isinstance(decision, Hedge):
            return
        second = self._core.acquire(self._request(task, Ask(decision.avoid, frozenset(), 0.0, 0.0)), now)
        if second is not None:
            paid = plan.hedged(second.endpoint.name, now)
            assert paid, "the budget had a retry left at this instant"
            self._core.hedged(second.endpoint.name, now)
            self._begin_second_call(task, second, now)

    # -- inside ------------------------------------------------------------------------------------

    def _plan(self, task: Task) -> AttemptPlan:
        """Return the plan of `task`; a new one has its first call under way."""
        if task.plan is None:
            task.plan = AttemptPlan(self._policy_of(task.demand.timeout_s), budget=self._budget, rng=self._rng)
            task.plan.begin(task.arrived_s)
            task.plan.granted(task.lease.endpoint.name, task.lease.granted_s)
        return task.plan

    def _follow(self, task: Task, decision: Ask | Pause | Over) -> None:
        """Carry out the decision of the plan of `task`."""
        task.asks = isinstance(decision, Ask)
        if isinstance(decision, Ask):
            now = task.asked_s = self._env.now
            task.request, task.within_s = self._request(task, decision), decision.within_s
            task.polls = RetryPolls(self._plan(task), partial(self._request, task), now, decision)
            self._ask(task)
        elif isinstance(decision, Pause):
            after(self._env, decision.for_s, self._resume, task)
        else:
            self._lose(task, decision.why not in _LOST)

    def _resume(self, task: Task) -> None:
        self._follow(task, self._plan(task).resume(self._env.now, self._core.out_of_service()))

    def _request(self, task: Task, ask: Ask) -> Request:
        request = task.demand.request
        if self._leaves_failed and request.only in ask.avoid:
            request = replace(request, only=None)
        return replace(request, exclude=request.exclude | ask.avoid) if ask.avoid else request
