"""Retry polls: a retry that waits asks again, from time to time, which endpoints it may use.

Decides nothing: it asks the plan what to ask for now, and has the core change that at the waiter's place in the
queue. Pure, like both; the shell calls it under its lock, when its time has come.
"""

from collections.abc import Callable, Sequence

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.core import Core
from balancer.core.decisions import Ask
from balancer.core.waiters import Waiter
from balancer.errors import NoEndpoint
from balancer.strategy import Request

__all__ = ["RetryPolls"]


class RetryPolls:
    """The looks of one retry while it waits.

    Args:
        plan: its own.
        request: what it asks the core for, given a decision to ask.
        now: when it began to wait.
        ask: what it waits for to begin with.

    Attributes:
        at_s: when it looks next; inf: never.
    """

    __slots__ = ("_plan", "_request", "at_s")

    def __init__(self, plan: AttemptPlan, request: Callable[[Ask], Request], now: float, ask: Ask) -> None:
        self._plan = plan
        self._request = request
        self.at_s = now + ask.look_s

    def look(self, core: Core, waiter: Waiter, now: float) -> Sequence[Waiter]:
        """Let `waiter` ask for what the plan says now. Return those whose wait has ended by that."""
        if waiter.ended:  # since its time to look came; its plan hears only of what it waits for
            return ()
        out = core.out_of_service()
        decision = self._plan.look(now, out)
        self.at_s = now + decision.look_s
        while True:
            try:
                return core.amend(waiter, self._request(decision), now)
            except NoEndpoint:
                further = self._plan.no_endpoint(now, out)
                # Whatever can serve what it waits for can serve the last of its wishes, which avoids the least.
                assert isinstance(further, Ask), f"a waiter that can be served is told {further}"
                decision = further
