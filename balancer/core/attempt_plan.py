"""The attempt plan of one call: where it goes, when it is retried or hedged, and when it is given up.

A plan is told what happened and `now`, and answers with a decision of `balancer.core.decisions`. It has no clock,
thread or callback, and neither sleeps nor leases.

Rules for a shell (threads, tasks, a simulator):

- It carries out each decision and reports the result to the plan, one call at a time, with `now` of one clock.
- It calls `begin` first. An `Ask` ends with `granted`, `no_endpoint` (no endpoint in service can ever serve
  it) or `no_lease` (out of time, or the queue is full). While the request waits, the shell calls `look` at
  `look_s`, and changes the waiting request to the answer (`Core.amend`; `balancer.core.retry_polls` does both).
- A `Run` ends with `succeeded`, or with `failed` when the endpoint is at fault and nothing of the attempt still runs.
  After an error of the caller's own, it calls nothing more. A shell that can end an attempt does so at `cut_s` and
  calls `cut`. One that cannot lets the attempt run.
- After a `Hedge`, it calls `hedged` with the endpoint of the second call. If no slot is free at once, it calls nothing.
- It counts the first attempt in the budget when its lease is granted (`RetryBudget.attempted`).
- `out` is the set of names that `Core.out_of_service` returns.
"""

import math
import random
from enum import Enum

from balancer.core.budget import LONGEST_ASKED_S, Budget, pause_s
from balancer.core.decisions import Ask, CallPolicy, Hedge, Over, Pause, Run, Why
from balancer.core.outage import PoolOutage

__all__ = ["AttemptPlan", "AttemptPlans"]

# While a retry waits, endpoints are ejected and come back. So it looks again after so many seconds, and then each time
# after twice as long.
_FIRST_LOOK_S = 1.0

# An attempt that is cut counts against its endpoint if it had this share of the call's time. With a smaller share,
# earlier tries and waits used the time. A sound endpoint must not be ejected because calls reach it late.
_SHARE_TO_BLAME = 0.5

_NONE = frozenset[str]()
_GO_ON = Run()


class _Phase(Enum):
    NEW = "has not begun"
    ASKS = "asks for a lease"
    RUNS = "runs"
    PAUSES = "pauses"
    OVER = "is over"


_NEW, _ASKS, _RUNS, _PAUSES, _OVER = _Phase


class AttemptPlan:
    """One call, from its first request for a lease to its end.

    Args:
        terms: its limits.
        budget: bounds the retries; calls share it. None: no bound.
        rng: for the jitter of pauses.
        outage: excuses tries beyond the attempts while nothing succeeds; calls share it.

    Attributes:
        tries: how many tries have begun.

    A method that is called in the wrong phase raises RuntimeError and changes nothing.
    """

    def __init__(
        self, terms: CallPolicy, *, budget: Budget | None, rng: random.Random, outage: PoolOutage | None = None
    ) -> None:
        self.terms = terms
        self.tries = 0
        self._budget = budget
        self._rng = rng
        self._outage = outage
        self._phase = _NEW
        self._now = self._tried_s = self._resumes_s = 0.0
        self._until_s = self._give_up_s = math.inf  # for the whole call, and for the wait of the current try
        self._at = _NONE  # where the current or the last attempt runs
        self._failed = terms.shuns  # where it has failed since it last had to go back
        self._last = _NONE  # where the last attempt failed
        self._rests_until_s = -math.inf  # `_last` asked for no calls until then
        self._resting = False  # True in a pause for that rest, within a try
        self._owes = False  # True until the budget has paid for the next try
        self._wishes: list[tuple[frozenset[str], frozenset[str]]] = []  # labels, and names to avoid, best first
        self._wish = 0
        self._look_s = _FIRST_LOOK_S
        self._last_successes: int | None = None  # successes of all calls when the last try failed

    @property
    def until_s(self) -> float:
        """When its deadline passes; inf: never, or it has not begun."""
        return self._until_s

    # -- a lease -----------------------------------------------------------------------------------

    def begin(self, now: float, out: frozenset[str] = _NONE) -> Ask:
        """Start the call."""
        self._expect(_NEW)
        self._now, self._until_s = now, now + self.terms.deadline_s
        return self._try(out)

    def granted(self, name: str, now: float) -> Run:
        """Report a lease of the endpoint `name`."""
        self._expect(_ASKS)
        self._pass(now)
        self._phase = _RUNS
        self._at = frozenset((name,))
        if name in self._failed:  # it had to go back to a failed one: only the last one still counts as failed
            self._failed = self._last
        hedge_s, left_s = self.terms.hedge_after_s, self._until_s - self._now
        if left_s == math.inf:
            return _GO_ON if hedge_s is None else Run(hedge_s)
        blames = left_s >= _SHARE_TO_BLAME * self.terms.deadline_s
        return Run(math.inf if hedge_s is None else hedge_s, max(0.0, left_s), blames)

    def no_endpoint(self, now: float, out: frozenset[str]) -> Ask | Pause | Over:
        """Report that no endpoint in service could ever serve the request, from the start or any more."""
        self._expect(_ASKS)
        self._pass(now)
        wishes = self._wishes_of(out)
        if wishes != self._wishes:  # during the wait an endpoint came back, or a rest ended
            self._wishes, self._wish = wishes, 0
            return self._ask()
        self._wish += 1
        if self._wish < len(self._wishes):
            return self._ask()
        rest_s = self._rests_until_s - self._now
        left_s = (self._until_s if self.terms.persists else self._give_up_s) - self._now
        if rest_s <= 0 or not self._last:
            return self._over(Why.NO_LEASE)
        if rest_s >= left_s:
            return self._over(Why.REST, f"it asks for {rest_s:.3g} s, and {left_s:.3g} s are left")
        self._resting = True
        for_s = self._resumes_s - self._now
        if self.terms.persists:  # such a pause does not count as waiting
            self._give_up_s = min(self._until_s, self._give_up_s + for_s)
        return self._pause(for_s)

    def no_lease(self, now: float) -> Pause | Over:
        """Report that there was no lease in time, or no room in the queue."""
        self._expect(_ASKS)
        self._pass(now)
        return self._again() if self.terms.persists else self._over(Why.NO_LEASE)

    def look(self, now: float, out: frozenset[str]) -> Ask:
        """Return what to ask for from now on, at the same place in the queue."""
        self._expect(_ASKS)
        self._pass(max(now, self._resumes_s))
        return self._ask_anew(out)

    # -- a run -------------------------------------------------------------------------------------

    def slow(self, now: float) -> Hedge | Run:
        """Report that the attempt still runs after `hedge_after_s`."""
        self._expect(_RUNS)
        self._pass(now)
        twice = len(self._at) > 1 or self.terms.hedge_after_s is None
        if twice or self._now >= self._until_s or (self._budget is not None and self._budget.wait_s(now) > 0):
            return _GO_ON
        return Hedge(self._failed | self._at)

    def hedged(self, name: str, now: float) -> bool:
        """Report a lease of the endpoint `name` for the second call. Return False if the call must not use it.

        Then the shell releases the lease.
        """
        self._expect(_RUNS)
        self._pass(now)
        if self._budget is not None and not self._budget.try_spend(now):  # another call took the last retry
            return False
        self._at |= {name}
        return True

    def succeeded(self) -> None:
        """Report success. The call is over."""
        self._expect(_RUNS)
        self._phase = _OVER
        if self._outage is not None:
            self._outage.succeeded()

    def failed(self, now: float, asked_s: float = 0.0) -> Pause | Over:
        """Report that the attempt has failed, on all its endpoints.

        Args:
            now: the time.
            asked_s: for how many seconds the endpoint asked for no calls (Retry-After); at most 60 count.
        """
        self._expect(_RUNS)
        self._pass(now)
        if self.terms.avoids:
            self._failed |= self._at
            self._last = self._at
        self._rests_until_s = self._now + min(max(asked_s, 0.0), LONGEST_ASKED_S)
        return self._again()

    def cut(self, now: float) -> Over:
        """Report that the attempt was ended because its deadline has passed, even if `now` is a little earlier."""
        over = self.failed(max(now, self._until_s))
        assert isinstance(over, Over), "nothing follows a deadline"
        return over

    # -- a pause -----------------------------------------------------------------------------------

    def resume(self, now: float, out: frozenset[str]) -> Ask | Pause | Over:
        """Report that the pause is over. The plan trusts this, even if `now` has not moved."""
        self._expect(_PAUSES)
        self._pass(max(now, self._resumes_s))
        if self._now >= self._until_s:
            return self._over_deadline()
        if self._resting:
            self._resting = False
            return self._ask_anew(out)
        if self._owes and not self._pays():
            wait_s = self._budget_wait_s()
            return self._pause(wait_s) if self._is_left(wait_s) else self._over_budget()
        return self._try(out)

    # -- inside ------------------------------------------------------------------------------------

    def _expect(self, phase: _Phase) -> None:
        if self._phase is not phase:
            raise RuntimeError(f"a plan that {self._phase.value} got a report for a plan that {phase.value}")

    def _pass(self, now: float) -> None:
        if now > self._now:
            self._now = now

    def _try(self, out: frozenset[str]) -> Ask:
        self.tries += 1
        self._tried_s = self._now
        self._give_up_s = min(self._until_s, self._now + self.terms.wait_s)
        self._look_s = _FIRST_LOOK_S
        return self._ask_anew(out)

    def _ask_anew(self, out: frozenset[str]) -> Ask:
        """Ask where it has not failed. Else where it did not fail last. Else anywhere but where the last rests.

        Going back to an endpoint that failed, even the last one, is better than waiting for one that is out of service.
        Only while the last one rests, waiting is better: another one may be back sooner.
        """
        self._wishes, self._wish = self._wishes_of(out), 0
        self._phase = _ASKS
        if not self._failed:
            self._resumes_s = math.inf  # nothing can change what it asks for
        else:
            look_s = self._now + self._look_s
            self._resumes_s = min(look_s, self._rests_until_s) if self._leaves_alone() else look_s
            self._look_s *= 2
        return self._ask()

    def _wishes_of(self, out: frozenset[str]) -> list[tuple[frozenset[str], frozenset[str]]]:
        avoids = [_NONE]
        if self._failed:
            avoids = [self._failed | out, self._last | out, self._leaves_alone()]
        wishes = [(self.terms.prefers, avoids[0]), *((_NONE, avoid) for avoid in avoids)]
        return list(dict.fromkeys(wishes))

    def _leaves_alone(self) -> frozenset[str]:
        """Return the last failed endpoint while its rest lasts."""
        return self._last if self._now < self._rests_until_s else _NONE

    def _ask(self) -> Ask:
        labels, avoid = self._wishes[self._wish]
        within_s, look_s = self._give_up_s - self._now, self._resumes_s - self._now
        return Ask(avoid, labels, max(0.0, within_s), max(0.0, look_s))

    def _again(self) -> Pause | Over:
        if not self._excused() and self.tries >= self.terms.attempts:
            return self._over(Why.ATTEMPTS)
        if self._now >= self._until_s:
            return self._over_deadline()
        self._owes = bool(self._at) and self._budget is not None  # a try without an attempt costs no endpoint anything
        wait_s = 0.0
        if self._owes and not self._pays():
            wait_s = self._budget_wait_s() if self.terms.persists else math.inf
            if not self._is_left(wait_s):
                return self._over_budget()
        # At most half of the time left, so that the attempt has time too.
        return self._pause(max(wait_s, min(self._drawn_s(), (self._until_s - self._now) / 2)))

    def _drawn_s(self) -> float:
        if self.tries < self.terms.owed:
            return 0.0
        retries = self.terms.retries
        return pause_s(retries, self.tries, self._rng) if retries else 0.0

    def _pays(self) -> bool:
        self._owes = self._budget is not None and not self._budget.try_spend(self._now)
        return not self._owes

    def _budget_wait_s(self) -> float:
        """Return how long to wait for the budget. If the budget never fills by itself, wait one window, once."""
        wait_s = self._budget.wait_s(self._now) if self._budget is not None else 0.0
        if wait_s < math.inf:
            return wait_s
        self._owes = False
        return self.terms.retries.budget_window_s if self.terms.retries else 0.0

    def _excused(self) -> bool:
        """Report a failed try to the outage. Return whether the outage excuses it."""
        if self._outage is None:
            return False
        successes = self._outage.failed(self._now)
        before, self._last_successes = self._last_successes, successes
        return self._outage.excuses(successes if before is None else before, self._tried_s)

    def _pause(self, for_s: float) -> Pause:
        self._phase = _PAUSES
        self._resumes_s = self._now + for_s
        return Pause(for_s)

    def _is_left(self, wait_s: float) -> bool:
        return self._now + wait_s < self._until_s

    def _over_budget(self) -> Over:
        return self._over(Why.BUDGET, "the retry budget is empty, because too many calls fail")

    def _over_deadline(self) -> Over:
        return self._over(Why.DEADLINE, f"the deadline of {self.terms.deadline_s:g} s has passed")

    def _over(self, why: Why, note: str = "") -> Over:
        self._phase = _OVER
        return Over(why, note)


class AttemptPlans:
    """The attempt plans of calls that have one policy. Args: see `AttemptPlan`.

    Attributes:
        policy: the policy.
    """

    def __init__(
        self, policy: CallPolicy, *, budget: Budget | None, rng: random.Random, outage: PoolOutage | None = None
    ) -> None:
        self.policy = policy
        self._budget = budget
        self._rng = rng
        self._outage = outage

    def new(self) -> AttemptPlan:
        return AttemptPlan(self.policy, budget=self._budget, rng=self._rng, outage=self._outage)
