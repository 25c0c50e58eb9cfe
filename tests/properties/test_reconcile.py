"""`reconcile`: whatever a source says, no pool is emptied, nobody flaps, and in the end the pool has what is wanted."""

from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.core.states import MembershipState
from balancer.discovery.reconcile import LeavingRules, Memory, Plan, reconcile
from balancer.endpoint import Endpoint
from balancer.hookspecs import SourceAnswer

_ACTIVE, _RETIRING = MembershipState.ACTIVE, MembershipState.RETIRING
_NAMES = "abcdefgh"


@dataclass
class Followed:
    """A pool as far as `reconcile` sees it. Each endpoint that leaves has a lease out until `end_leases`."""

    rules: LeavingRules
    now: float = 100.0
    states: dict[str, MembershipState] = field(default_factory=dict)
    specs: dict[str, Endpoint] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)
    answer: SourceAnswer = field(default_factory=lambda: SourceAnswer(()))
    due_s: float = float("inf")
    left: list[tuple[float, str, bool]] = field(default_factory=list)  # when, who, and whether by name
    joined: list[tuple[float, str]] = field(default_factory=list)

    @property
    def active(self) -> set[str]:
        return {name for name, state in self.states.items() if state is _ACTIVE}

    def hear(self, answer: SourceAnswer) -> Plan:
        self.answer = answer
        return self.step()

    def step(self) -> Plan:
        plan = reconcile(self.states, self.answer, self.memory, self.now, self.rules)
        before = len(self.active)
        for each in plan.add:
            assert self.states.get(each.name) in (None, _RETIRING), "only what is out of service may be added"
            self.states[each.name], self.specs[each.name] = _ACTIVE, each
            self.joined.append((self.now, each.name))
        for each in plan.update:
            self.specs[each.name] = each
        for name in plan.remove:
            self.states[name] = _RETIRING
            self.left.append((self.now, name, name in self.answer.gone))
        assert self.active or not before, "the pool is empty"
        self.memory, self.due_s = plan.memory, plan.due_s
        assert self.due_s > self.now, "it would be called for ever"
        return plan

    def wait(self, for_s: float) -> None:
        """Let time pass, and call again whenever that is due."""
        until_s = self.now + for_s
        while self.due_s <= until_s:
            self.now = self.due_s
            self.step()
        self.now = until_s

    def end_leases(self) -> None:
        self.states = {name: state for name, state in self.states.items() if state is not _RETIRING}


@st.composite
def _answers(draw: st.DrawFn) -> SourceAnswer:
    wanted = draw(st.sets(st.sampled_from(_NAMES)))
    gone = draw(st.sets(st.sampled_from(_NAMES), max_size=2)) if draw(st.booleans()) else set()
    capacities = draw(st.lists(st.integers(1, 2), min_size=len(wanted), max_size=len(wanted)))
    endpoints = (Endpoint(name, capacity=size) for name, size in zip(sorted(wanted), capacities, strict=True))
    return SourceAnswer(tuple(endpoints), frozenset(gone))


_rules = st.builds(LeavingRules, st.sampled_from([0.0, 1.0, 10.0]), st.sampled_from([0.1, 0.5, 1.0]))
_steps = st.lists(st.tuples(_answers(), st.floats(0.0, 15.0), st.booleans()), min_size=1, max_size=12)


def _followed(rules: LeavingRules, steps: list[tuple[SourceAnswer, float, bool]]) -> Followed:
    pool = Followed(rules)
    for answer, pause_s, ends in steps:
        pool.hear(answer)
        pool.wait(pause_s)
        if ends:
            pool.end_leases()
    return pool


@settings(max_examples=40)
@given(_rules, _steps)
def test_no_answers_ever_empty_a_pool(rules, steps):
    pool = _followed(rules, steps)  # `Followed.step` looks
    assert pool.active or not pool.joined


@settings(max_examples=40)
@given(_rules, _steps, _answers())
def test_a_pool_comes_to_have_what_is_wanted(rules, steps, last):
    pool = _followed(rules, steps)
    before = pool.active
    pool.hear(last)
    pool.wait(100.0 * max(rules.grace_s, 1.0))
    wanted = {each.name: each for each in last.wanted if each.name not in last.gone}
    if wanted:
        assert {name: pool.specs[name] for name in pool.active} == wanted
    elif last.gone:
        assert len(pool.active) <= 1, "all but one have left"
    else:
        assert pool.active == before, "an empty answer changes nothing"


@settings(max_examples=40)
@given(_rules, _steps)
def test_nobody_leaves_twice_within_a_grace(rules, steps):
    pool = _followed(rules, steps)
    for name in _NAMES:
        times = [at_s for at_s, who, _ in pool.left if who == name]
        assert all(later - at_s >= rules.grace_s - 1e-6 for at_s, later in pairwise(times))


@settings(max_examples=40)
@given(st.sampled_from([1.0, 10.0]), st.lists(st.sets(st.sampled_from(_NAMES[1:]), min_size=1), min_size=2))
def test_a_source_that_turns_its_answers_faster_than_the_grace_makes_nobody_leave(grace_s, turns):
    """As DNS servers do that list some of many addresses, each time others."""
    pool = Followed(LeavingRules(grace_s))
    everyone = set(_NAMES)
    for some in turns:
        pool.hear(SourceAnswer(tuple(Endpoint(name) for name in sorted(everyone))))
        pool.wait(grace_s * 0.45)
        pool.hear(SourceAnswer(tuple(Endpoint(name) for name in sorted(some))))
        pool.wait(grace_s * 0.45)
    assert pool.left == []
    assert len(pool.joined) == len(_NAMES)


@settings(max_examples=40)
@given(_rules, _steps)
def test_at_most_the_share_leaves_at_once_unless_by_name(rules, steps):
    pool = _followed(rules, steps)
    silent = [at_s for at_s, _, named in pool.left if not named]
    window_s = max(rules.grace_s, 1.0)
    for at_s in silent:
        within = sum(at_s <= other < at_s + window_s - 1e-6 for other in silent)
        assert within <= max(1, int(rules.share * len(_NAMES) + 1e-9))


@settings(max_examples=40)
@given(_rules, _steps)
def test_what_others_have_added_or_taken_out_is_left_alone(rules, steps):
    pool = Followed(rules, states={"a": _ACTIVE, "b": MembershipState.DRAINING})
    for answer, pause_s, _ in steps:
        pool.hear(answer)
        pool.wait(pause_s)
    assert pool.states["a"] is _ACTIVE
    assert pool.states["b"] is MembershipState.DRAINING
    assert not {"a", "b"} & {name for _, name in pool.joined}


def _two(grace_s: float = 10.0) -> Followed:
    pool = Followed(LeavingRules(grace_s))
    pool.hear(_listed("ab"))
    return pool


def _listed(names: str, gone: str = "") -> SourceAnswer:
    return SourceAnswer(tuple(map(Endpoint, names)), frozenset(gone))


def test_what_somebody_removed_stays_out_until_the_source_has_dropped_it():
    pool = _two()
    pool.states["b"] = _RETIRING
    pool.hear(_listed("ab"))
    pool.end_leases()
    pool.hear(_listed("ab"))
    assert pool.active == {"a"}
    pool.hear(_listed("a"))
    pool.hear(_listed("ab"))
    assert pool.active == {"a", "b"}


def test_what_somebody_removed_and_added_again_is_the_sources_again():
    pool = _two()
    pool.states["b"] = _RETIRING
    pool.hear(_listed("ab"))
    pool.states["b"] = _ACTIVE
    pool.hear(_listed("ab"))
    pool.hear(_listed("a"))
    pool.wait(20.0)
    assert pool.active == {"a"}


def test_what_the_source_names_leaves_at_once_and_comes_back_after_a_grace():
    pool = _two()
    assert pool.hear(_listed("a", gone="b")).remove == ("b",)
    assert pool.hear(_listed("ab")).add == ()
    pool.wait(9.9)
    assert pool.active == {"a"}
    pool.wait(0.2)
    assert pool.active == {"a", "b"}


def test_how_many_are_held_back_is_told():
    pool = Followed(LeavingRules(10.0, share=0.25))
    pool.hear(_listed("abcdefgh"))
    pool.hear(_listed("a"))
    pool.now += 10.0
    plan = pool.step()
    assert (len(plan.remove), plan.held) == (2, 5)
