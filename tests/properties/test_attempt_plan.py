"""The course of a call by itself, in a world that may do anything: where it goes, how often, and that it ends.

The world is a list of draws: who fails, how long calls and waits take, who is out of service, removed or added, whether
there is a lease. What must hold is checked on every decision, from outside and by plain counting.
"""

import math
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.budget import RetryBudget
from balancer.core.decisions import Ask, CallPolicy, Hedge, Over, Pause, Run, Why
from balancer.core.outage import PoolOutage
from balancer.settings.rules import RetrySettings

_NAMES = ("a", "b", "c", "d")
_MOST_STEPS = 4000
_LONGEST_ASKED_S = 60.0  # restated, so that a change is noticed

_ONE_IN_FOUR = st.sampled_from([False, False, False, True])
_retries = st.none() | st.builds(
    RetrySettings,
    budget_ratio=st.sampled_from([0.0, 0.5, 10.0]),
    budget_per_s=st.sampled_from([0.0, 0.5, 10.0]),
    base_s=st.sampled_from([0.0, 0.05, 3.0]),
)
_terms = st.builds(
    CallPolicy,
    attempts=st.integers(1, 6),
    retries=_retries,
    wait_s=st.sampled_from([0.0, 5.0, 200.0]),
    deadline_s=st.sampled_from([math.inf, math.inf, 0.0, 4.0, 100.0]),
    hedge_after_s=st.sampled_from([None, None, 0.5]),
    shuns=st.sampled_from([frozenset[str](), frozenset[str](), frozenset("a")]),
    prefers=st.sampled_from([frozenset[str](), frozenset({"quiet"})]),
    owed=st.integers(1, 4),
    persists=st.booleans(),
)


@dataclass
class World:
    """Endpoints that come and go, and a call among them.

    Attributes:
        went: where each attempt ran; the names of one that was hedged are together.
        began_s: when each attempt began.
    """

    data: st.DataObject
    terms: CallPolicy
    budget: RetryBudget | None
    outage: PoolOutage | None
    there: set[str]
    now: float = 0.0
    out: frozenset[str] = frozenset()
    went: list[frozenset[str]] = field(default_factory=list)
    began_s: list[float] = field(default_factory=list)
    rests: dict[str, float] = field(default_factory=dict)

    def draw(self, strategy: st.SearchStrategy[float]) -> float:
        return self.data.draw(strategy)

    def change(self) -> None:
        """Let endpoints come and go, and be ejected and restored."""
        what = self.data.draw(st.sampled_from(["nothing"] * 6 + ["out", "in", "gone", "there"]))
        name = self.data.draw(st.sampled_from(_NAMES)) if what != "nothing" else ""
        if what == "out":
            self.out |= {name}
        elif what == "in":
            self.out -= {name}
        elif what == "gone":
            self.there.discard(name)
        elif what == "there":
            self.there.add(name)

    def able(self, ask: Ask) -> set[str]:
        """Return those that could serve `ask` some day; only d has the label."""
        fit = self.there if not ask.labels else self.there & {"d"}
        return fit - ask.avoid


def ask(world: World, course: AttemptPlan, decision: Ask) -> Ask | Run | Pause | Over:
    """Answer a request for a lease as a core would."""
    assert decision.within_s >= 0
    able = world.able(decision)
    if not able:
        return course.no_endpoint(world.now, world.out)
    check_where(world, decision)
    kind = world.data.draw(st.sampled_from(["granted", "granted", "granted", "late", "look", "stranded"]))
    if kind == "look" and decision.look_s <= decision.within_s:
        world.now += decision.look_s
        world.change()
        return course.look(world.now, world.out)
    if kind == "stranded":  # it waits for those who go, while others come back, or come new
        world.now += min(decision.within_s, decision.look_s, world.draw(st.sampled_from([0.0, 0.3])))
        world.out = world.data.draw(st.sampled_from([world.out, frozenset[str]()]))
        world.there -= able
        return course.no_endpoint(world.now, world.out)
    if kind == "late" and decision.within_s < math.inf:
        world.now += decision.within_s
        return course.no_lease(world.now)
    name = world.data.draw(st.sampled_from(sorted(able)))
    world.went.append(frozenset({name}))
    world.began_s.append(world.now)
    return course.granted(name, world.now)


def check_where(world: World, decision: Ask) -> None:
    """Check that it asks to go where it just failed only if no other can serve, and that one does not rest."""
    if not world.went:
        return
    last = world.went[-1]
    others = (world.there & {"d"} if decision.labels else world.there) - last
    if not last <= decision.avoid:
        assert not others - world.out, f"it may go back to {set(last)} while {others - world.out} can serve"
        assert all(world.rests[name] <= world.now for name in last), "the one that it goes back to still rests"


def run(world: World, course: AttemptPlan, decision: Run) -> Pause | Over | None:
    """Make an attempt; None: it succeeded, or the caller's own error ended it."""
    took_s = world.draw(st.sampled_from([0.0, 0.1, 2.0, 30.0]))
    if took_s >= decision.hedge_s:
        world.now += decision.hedge_s
        took_s -= decision.hedge_s
        hedge = course.slow(world.now)
        if isinstance(hedge, Hedge):
            assert world.went[-1] <= hedge.avoid
            assert world.budget is None or world.budget.wait_s(world.now) == 0
            free = sorted(world.there - hedge.avoid)
            if free and world.data.draw(st.booleans()) and course.hedged(free[0], world.now):
                world.went[-1] |= {free[0]}
                assert course.slow(world.now) == Run(), "there is no third call"
    world.now += took_s
    end = world.data.draw(st.sampled_from(["failed"] * 5 + ["busy", "done"]))
    if end == "done":
        course.succeeded()
        return None
    asked_s = world.draw(st.sampled_from([0.0, 0.5, 2.0, 7.0, 1e9])) if end == "busy" else 0.0
    for name in world.went[-1]:
        world.rests[name] = world.now + min(asked_s, _LONGEST_ASKED_S)
    if world.outage and world.data.draw(st.integers(0, 3)) == 0:
        world.outage.succeeded()  # somebody else's call
    return course.failed(world.now, asked_s)


@given(st.data(), _terms, st.booleans(), st.sampled_from([None, None, 20.0]), st.sets(st.sampled_from(_NAMES)))
def test_every_history_ends_within_its_terms(data, terms, bounded, patience_s, there):
    budget = RetryBudget(terms.retries) if bounded and terms.retries else None
    outage = PoolOutage(patience_s) if patience_s is not None else None
    world = World(data, terms, budget, outage, there)
    course = AttemptPlan(terms, budget=budget, rng=random.Random(0), outage=outage)
    decision: Ask | Run | Pause | Over | None = course.begin(0.0, world.out)
    for _ in range(_MOST_STEPS):
        if decision is None or isinstance(decision, Over):
            break
        if isinstance(decision, Ask):
            assert course.tries == 1 or world.now < terms.deadline_s, "it asks although its time is over"
            assert world.now + decision.within_s <= terms.deadline_s + 1e-9, "it waits for longer than there is time"
            decision = ask(world, course, decision)
        elif isinstance(decision, Run):
            if len(world.went) == 1 and budget is not None:
                budget.attempted(world.now)
            decision = run(world, course, decision)
        else:
            assert decision.for_s >= 0
            assert world.now + decision.for_s < terms.deadline_s or not decision.for_s, "a pause reaches the deadline"
            while budget is not None and data.draw(_ONE_IN_FOUR) and budget.try_spend(world.now):  # another call does
                pass
            world.now += decision.for_s * data.draw(st.sampled_from([1.0, 1.0, 1.0, 3.0]))  # it may oversleep
            world.change()
            decision = course.resume(world.now, world.out)
    else:
        raise AssertionError(f"it has not ended after {_MOST_STEPS} steps: {decision}")
    assert outage is not None or course.tries <= terms.attempts
    assert len(world.went) <= course.tries
    assert all(at_s < terms.deadline_s for at_s in world.began_s[1:]), "a retry began after the deadline"
    if isinstance(decision, Over) and decision.why is Why.ATTEMPTS:
        assert course.tries >= terms.attempts


# -- by example ----------------------------------------------------------------------------------------


def begun(**terms: object) -> AttemptPlan:
    course = AttemptPlan(CallPolicy(**terms), budget=None, rng=random.Random(0))
    course.begin(0.0)
    return course


def again(course: AttemptPlan, now: float, *, out: str = "", asked_s: float = 0.0) -> Ask:
    """Let its attempt fail, and its pause pass."""
    pause = course.failed(now, asked_s)
    assert isinstance(pause, Pause)
    decision = course.resume(now + pause.for_s, frozenset(out))
    assert isinstance(decision, Ask)
    return decision


def test_of_those_that_all_failed_the_one_that_failed_last_is_avoided_and_a_new_round_begins():
    course = begun(attempts=9)
    for name, avoid in (("a", "a"), ("b", "ab"), ("c", "abc")):
        course.granted(name, 0.0)
        assert again(course, 0.0).avoid == set(avoid)
    second = course.no_endpoint(0.0, frozenset())
    assert isinstance(second, Ask)
    assert second.avoid == {"c"}
    course.granted("a", 0.0)
    assert again(course, 0.0).avoid == {"c", "a"}, "b is next"


def test_one_that_failed_earlier_is_preferred_to_one_at_rest_and_to_one_that_just_failed():
    course = begun(attempts=9)
    course.granted("a", 0.0)
    again(course, 0.0)
    course.granted("b", 0.0)
    wishes = [again(course, 0.0, out="c")]
    for _ in range(2):
        wish = course.no_endpoint(0.0, frozenset("c"))
        assert isinstance(wish, Ask)
        wishes.append(wish)
    assert [set(wish.avoid) for wish in wishes] == [{"a", "b", "c"}, {"b", "c"}, set()]
    assert course.no_endpoint(0.0, frozenset("c")) == Over(Why.NO_LEASE)


def test_one_that_persists_does_not_rest_or_wait_for_the_budget_beyond_its_deadline():
    course = begun(deadline_s=4.0, persists=True)
    course.granted("a", 0.0)
    again(course, 0.0, asked_s=4.0)
    decision: Ask | Pause | Over = course.no_endpoint(0.0, frozenset())
    assert isinstance(decision, Over)
    assert decision.why is Why.REST
    retries = RetrySettings(budget_ratio=0.0, budget_per_s=0.0)
    course = AttemptPlan(
        CallPolicy(deadline_s=4.0, persists=True, retries=retries), budget=RetryBudget(retries), rng=random.Random(0)
    )
    course.begin(0.0)
    course.granted("a", 0.0)
    decision = course.failed(0.0)
    assert isinstance(decision, Over)
    assert decision.why is Why.BUDGET


def test_each_retry_and_each_hedge_is_paid_for_once_wherever_the_retry_asks():
    settings = RetrySettings(budget_ratio=0.0, budget_per_s=1.0, base_s=0.0)
    budget = RetryBudget(settings)
    course = AttemptPlan(
        CallPolicy(attempts=3, retries=settings, hedge_after_s=0.5), budget=budget, rng=random.Random(0)
    )

    def paid() -> float:
        return 10.0 - budget.balance(1.0)

    course.begin(0.0)
    course.granted("a", 0.0)
    assert isinstance(course.slow(0.5), Hedge)
    assert paid() == 0, "there may be no slot for it"
    assert course.hedged("b", 0.5)
    assert paid() == 1
    again(course, 0.6)
    assert paid() == 2
    course.look(1.0, frozenset("c"))
    course.no_endpoint(1.0, frozenset("c"))
    course.granted("c", 1.0)
    assert paid() == 2, "a retry that waits, looks and asks elsewhere is one retry"
    again(course, 1.0)
    course.granted("a", 1.0)
    assert course.failed(1.0) == Over(Why.ATTEMPTS)
    assert paid() == 3, "the last failure has no retry"


def test_one_that_is_slow_is_hedged_once_before_its_deadline_and_by_what_the_budget_has():
    settings = RetrySettings(budget_ratio=0.0, budget_per_s=0.1, base_s=0.0)
    terms = CallPolicy(retries=settings, hedge_after_s=0.5, deadline_s=4.0)

    def slow(budget: RetryBudget, now: float) -> AttemptPlan:
        course = AttemptPlan(terms, budget=budget, rng=random.Random(0))
        course.begin(0.0)
        course.granted("a", 0.0)
        assert isinstance(course.slow(now), Hedge if now < 4.0 and budget.balance(now) >= 1 else Run)
        return course

    budget = RetryBudget(settings)
    slow(budget, 4.0)  # no hedge: it is over
    first, second = slow(budget, 0.5), slow(budget, 0.5)
    assert first.hedged("b", 0.6)
    assert not second.hedged("b", 0.6), "another call was faster"
    assert isinstance(first.slow(0.7), Run), "a second hedge"
    slow(budget, 0.8)  # no hedge: nothing is left to pay it with


def test_what_comes_out_of_turn_is_refused_and_changes_nothing():
    course = begun()
    with pytest.raises(RuntimeError, match="a plan that asks for a lease got a report for a plan that runs"):
        course.failed(1.0)
    with pytest.raises(RuntimeError, match="pauses"):
        course.resume(1.0, frozenset())
    with pytest.raises(RuntimeError, match="has not begun"):
        course.begin(1.0)
    assert course.granted("a", 0.0) == Run()


def test_failures_in_an_outage_are_excused_until_another_call_succeeds():
    outage = PoolOutage(100.0)
    terms = CallPolicy(attempts=1, retries=RetrySettings(base_s=0.0))
    course = AttemptPlan(terms, budget=None, rng=random.Random(0), outage=outage)
    course.begin(0.0)
    for now in (1.0, 2.0):
        course.granted("a", now)
        assert isinstance(course.failed(now), Pause)
        assert isinstance(course.resume(now, frozenset()), Ask)
    course.granted("a", 3.0)
    outage.succeeded()
    over = course.failed(3.0)
    assert isinstance(over, Over)
    assert over.why is Why.ATTEMPTS


def test_a_look_is_trusted_to_come_when_it_is_due_even_if_the_clock_stands_still():
    course = AttemptPlan(CallPolicy(attempts=2, wait_s=10.0), budget=None, rng=random.Random(0))
    asked = course.begin(0.0)
    assert (asked.within_s, asked.look_s) == (10.0, math.inf)
    assert course.look(0.0, frozenset()).within_s == 0.0
