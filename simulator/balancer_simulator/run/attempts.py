"""Retries and hedges in virtual time, by the attempt plan of the core.

A shell, like that for threads: it decides nothing about where and when a call is tried again, but asks, pauses and
hedges in virtual time as the plan says. A request whose first call succeeds has no plan at all: it is made when it is
needed first.
"""

import random
from dataclasses import replace
from functools import partial
from typing import Protocol

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
from balancer_simulator.world.task import Demand, Task

__all__ = ["AttemptRunner"]

# It got a lease, and yet was not done: it is lost. All else is that it got no lease.
_LOST = (Why.ATTEMPTS, Why.BUDGET, Why.DEADLINE)


class AttemptListener(Protocol):
    """Told what becomes of a request."""

    def lose(self, task: Task, *, timed_out: bool) -> None:
        """Give `task` up; `timed_out`: because it got no lease."""
        ...

    def begin_second_call(self, task: Task, lease: Lease, now: float) -> None:
        """Begin the call of `task` a second time, with this lease."""
        ...


class AttemptRunner:
    """The attempt plans of a run.

    Args:
        env: that of the run.
        discipline: has a task ask for an endpoint, and knows the core that it leases from.
        policy: how often a request is tried, with which pauses, and when it is hedged.
        budget: bounds the retries of all requests together; None: there is no bound.
        rng: for the jitter of pauses.
        caller: told of requests that are lost, and of second calls.
    """

    def __init__(
        self,
        env: Environment,
        discipline: LeasePerCall,
        policy: CallPolicy,
        *,
        budget: RetryBudget | None,
        rng: random.Random,
        caller: AttemptListener,
    ) -> None:
        self._env = env
        self._core_of = discipline.core_of
        self._ask = discipline.ask
        self._policy = policy
        self._of_demand: dict[Demand, CallPolicy] = {}
        self._budget = budget
        self._rng = rng
        self._caller = caller

    def granted(self, task: Task, plan: AttemptPlan, now: float) -> None:
        """Hear that a retry has its lease."""
        self._core_of(task).retried(task.failed_at, now)
        plan.granted(task.lease.endpoint.name, now)

    def failed(self, task: Task, lease: Lease, now: float) -> None:
        """Hear that the call of `task` has failed, and so has its second one if there was one; `lease` was the last."""
        hint = lease.hint
        asked_s = hint.retry_after_s if hint is not None else None
        task.failed_at = lease.endpoint.name
        self._follow(task, self._plan(task).failed(now, asked_s or 0.0))

    def refused(self, task: Task, error: BalancerError) -> None:
        """Hear that there is no endpoint for `task`."""
        if task.plan is None:
            self._caller.lose(task, timed_out=True)
            return
        now = self._env.now
        if isinstance(error, NoEndpoint):
            self._follow(task, task.plan.no_endpoint(now, self._core_of(task).out_of_service()))
        else:
            self._follow(task, task.plan.no_lease(now))

    def slow(self, call: tuple[Task, Lease]) -> None:
        """Make a call that is still under way a second time, if its plan wants that and a slot is free."""
        task, lease = call
        if lease.ended:
            return
        now = self._env.now
        plan = self._plan(task)
        decision = plan.slow(now)
        if not isinstance(decision, Hedge):
            return
        core = self._core_of(task)
        second = core.acquire(self._request(task, Ask(decision.avoid, frozenset(), 0.0, 0.0)), now)
        if second is not None:
            paid = plan.hedged(second.endpoint.name, now)
            assert paid, "the budget had a retry left at this instant"
            core.hedged(second.endpoint.name, now)
            self._caller.begin_second_call(task, second, now)

    # -- inside ------------------------------------------------------------------------------------

    def _plan(self, task: Task) -> AttemptPlan:
        """Return the plan of `task`; the first time, one whose first call is under way."""
        if task.plan is None:
            task.plan = AttemptPlan(self._policy_of(task.demand), budget=self._budget, rng=self._rng)
            task.plan.begin(task.arrived_s)
            task.plan.granted(task.lease.endpoint.name, task.lease.granted_s)
        return task.plan

    def _policy_of(self, demand: Demand) -> CallPolicy:
        policy = self._of_demand.get(demand)
        if policy is None:
            policy = self._of_demand[demand] = replace(self._policy, wait_s=demand.timeout_s)
        return policy

    def _follow(self, task: Task, decision: Ask | Pause | Over) -> None:
        """Do what the plan of `task` says."""
        task.asks = isinstance(decision, Ask)
        if isinstance(decision, Ask):
            now = task.asked_s = self._env.now
            task.request, task.within_s = self._request(task, decision), decision.within_s
            task.polls = RetryPolls(self._plan(task), partial(self._request, task), now, decision)
            self._ask(task)
        elif isinstance(decision, Pause):
            after(self._env, decision.for_s, self._resume, task)
        else:
            self._caller.lose(task, timed_out=decision.why not in _LOST)

    def _resume(self, task: Task) -> None:
        self._follow(task, self._plan(task).resume(self._env.now, self._core_of(task).out_of_service()))

    def _request(self, task: Task, ask: Ask) -> Request:
        request = task.demand.request
        return replace(request, exclude=request.exclude | ask.avoid) if ask.avoid else request
