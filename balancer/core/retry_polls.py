"""Retry polls: a waiting retry asks again, from time to time, which endpoints it may use.

It asks the plan, and changes the request at the waiter's place in the queue. The shell calls it under its lock.
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
    """The polls of one retry while it waits.

    Args:
        plan: the plan of its call.
        request: makes the core's request of an `Ask`.
        now: when it began to wait.
        ask: what it waits for at first.

    Attributes:
        at_s: when the next poll is due; inf: never.
    """

    def __init__(self, plan: AttemptPlan, request: Callable[[Ask], Request], now: float, ask: Ask) -> None:
        self._plan = plan
        self._request = request
        self.at_s = now + ask.look_s

    def look(self, core: Core, waiter: Waiter, now: float) -> Sequence[Waiter]:
        """Change the request of `waiter` to what the plan asks for now. Return the waiters that ended by that."""
        if waiter.ended:  # it ended after the poll became due, and its plan must not be asked
            return ()
        out = core.out_of_service()
        decision = self._plan.look(now, out)
        self.at_s = now + decision.look_s
        while True:
            try:
                return core.amend(waiter, self._request(decision), now)
            except NoEndpoint:
                further = self._plan.no_endpoint(now, out)
                # The last wish avoids the fewest endpoints, so an endpoint that can serve the waiter now can serve that
                # wish.
                assert isinstance(further, Ask), f"a waiter that can be served is told {further}"
                decision = further
