"""The contract of a strategy as a test that anyone can run, with a short counterexample if it fails.

    from balancer.testing.conformance import check_strategy

    def test_my_strategy_keeps_the_contract():
        check_strategy(MyStrategy)

Decides how Hypothesis draws the calls, and how what it finds is shown; what must hold after each call is the referee's
business (`balancer.testing.referee`). Hypothesis is needed by this module alone: `balancer.testing.walk` and
`balancer.testing.checks` do without.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar
from unittest import TestCase

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Request, Strategy
from balancer.testing.call_sequence import Call, CallSequence, SequencePlayer, describe, words_of
from balancer.testing.checks import check_forgets, check_name, check_repeatable
from balancer.testing.draws import urls_of
from balancer.testing.referee import GrantRule
from balancer.testing.reference_check import StrategyFactory
from balancer.testing.shrinking import shrink

try:
    import hypothesis
    from hypothesis import HealthCheck, Phase
    from hypothesis import strategies as st
    from hypothesis.stateful import (
        RuleBasedStateMachine,
        initialize,
        invariant,
        precondition,
        rule,
        run_state_machine_as_test,
    )
except ImportError as error:
    raise ImportError(
        "balancer.testing.conformance needs Hypothesis: install balancer with the extra 'testing', or hypothesis itself"
    ) from error

__all__ = ["as_test_case", "check_strategy", "maker_of"]

_SETTINGS = hypothesis.settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,  # a step is some 0.1 ms, but another process may have the core
    database=None,  # leaves no folder behind; give your own settings to keep counterexamples
    suppress_health_check=[HealthCheck.too_slow],  # likewise
    report_multiple_bugs=False,  # one is enough to work on
    phases=[Phase.generate],  # what is found is shortened here, call by call, which Hypothesis does not do as well
)


def check_strategy(
    kind: type[Strategy],
    *,
    options: Mapping[str, Any] | None = None,
    others: Sequence[type[Strategy]] = (),
    law: GrantRule | None = None,
    settings: hypothesis.settings = _SETTINGS,
) -> None:
    """Check that a strategy keeps its contract, whatever is done to the pool it chooses for.

    Args:
        kind: the strategy.
        options: its options; default: its defaults.
        others: strategies that take over for a while, to test a live change; `kind` itself always does.
        law: what more must hold of each grant, e.g. that it is the least loaded.
        settings: Hypothesis settings, e.g. for more examples.

    Raises:
        AssertionError: it does not. The shortest calls found that show it stand a line each, and what is wrong in
            the last line.
    """
    __tracebackhide__ = True
    makers = (maker_of(kind, options), *map(maker_of, others))
    _judge(kind, lambda: check_name(kind))
    machine = _machine_of(SequencePlayer(makers, law))
    try:
        run_state_machine_as_test(machine, settings=settings)
    except Exception as error:
        raise AssertionError(_counterexample(kind, machine, error)) from None
    _judge(kind, lambda: check_repeatable(makers[0]))
    _judge(kind, lambda: check_forgets(makers[0]))


def as_test_case(kind: type[Strategy], **arguments: Any) -> type[TestCase]:
    """Return `check_strategy(kind, **arguments)` as a TestCase, for unittest or pytest to collect."""

    def runTest(self: TestCase) -> None:  # noqa: N802, the name is unittest's
        check_strategy(kind, **arguments)

    return type(f"{kind.__name__}KeepsTheContract", (TestCase,), {"runTest": runTest})


def maker_of(kind: type[Strategy], options: Mapping[str, Any] | None = None) -> StrategyFactory:
    """Return what makes strategies of this kind. Raises pydantic's ValidationError for wrong options."""
    chosen = kind.Options.model_validate(dict(options or {}))
    return lambda rng: kind(chosen, rng)


def _machine_of(player: SequencePlayer) -> "type[_PoolMachine]":
    return type("PoolMachine", (_PoolMachine,), {"player": player})


def _counterexample(kind: type[Strategy], machine: "type[_PoolMachine]", error: Exception) -> str:
    """Return the last thing that the machine did, as short as it can be, and what was wrong."""
    player, story = machine.player, machine.story
    last = player.breach(story)
    if last is None:  # it depends on more than the calls; tell at least which these were
        return _verdict(kind, describe(story), error)

    def shows(shorter: CallSequence) -> bool:
        nonlocal last
        found = player.breach(shorter)
        last = found or last
        return found is not None

    story = shrink(story, shows)
    error, done = last  # of the story that was kept last; to play it again might be to draw otherwise
    lines = describe(story)
    if done > len(story.calls):
        lines.append("(in the end each lease is given back, and each slot leased once more)")
    return _verdict(kind, lines, error)


def _judge(kind: type[Strategy], check: Callable[[], None]) -> None:
    __tracebackhide__ = True
    try:
        check()
    except Exception as error:
        raise AssertionError(_verdict(kind, [], error)) from None


def _verdict(kind: type[Strategy], lines: Sequence[str], error: Exception) -> str:
    found = ["the fewest calls found that show it:", *(f"    {line}" for line in lines)] if lines else []
    return "\n".join([f"{kind.__name__} does not keep the contract of a strategy", *found, words_of(error)])


_urls = st.sampled_from(urls_of(4))
_labels = st.frozensets(st.sampled_from("ab"))
_weights = st.sampled_from((0.25, 1.0, 2.0, 3.0))
_capacities = st.integers(1, 4)
_hosts = st.sampled_from((None, "shared"))
_specs = st.builds(Endpoint, _urls, capacity=_capacities, weight=_weights, labels=_labels, host=_hosts)
_keys = st.sampled_from((None, "k", "l"))
_requests = st.one_of(
    st.just(Request()),
    st.builds(Request, key=_keys),
    st.builds(Request, slots=st.integers(2, 4), key=_keys),
    st.builds(Request, _labels, st.frozensets(_urls, max_size=2), st.integers(1, 3), _keys),
)
_timeouts_s = st.sampled_from((60.0, 0.0, 0.01, 5.0, float("inf")))
_pauses_s = st.sampled_from((0.01, 0.5, 5.0, 60.0))
_which = st.integers(0, 99)  # of those there are, counted round


class _PoolMachine(RuleBasedStateMachine):
    """Chooses the calls; keeps the story of the last run."""

    player: ClassVar[SequencePlayer]
    story: ClassVar[CallSequence]

    @initialize(
        specs=st.lists(_specs, max_size=4, unique_by=lambda spec: spec.name),
        max_waiters=st.sampled_from((None, 3, 0)),
        seed=st.integers(0, 2**16),
    )
    def start(self, specs: list[Endpoint], max_waiters: int | None, seed: int) -> None:
        type(self).story = CallSequence(tuple(specs), max_waiters, seed)
        self.shadow = self.player.open(self.story)

    def _call(self, name: str, which: int | None = None, **arguments: Any) -> None:
        call = Call(name, which, arguments)
        type(self).story = replace(self.story, calls=(*self.story.calls, call))
        self.player.play(self.shadow, call)

    @rule(request=_requests, timeout_s=_timeouts_s, priority=st.integers(-1, 2))
    def acquire(self, request: Request, timeout_s: float, priority: int) -> None:
        self._call("acquire", request=request, timeout_s=timeout_s, priority=priority)

    @rule(often=st.integers(1, 3))
    def acquire_more(self, often: int) -> None:
        for _ in range(often):
            self._call("acquire")

    @precondition(lambda self: self.shadow.out)
    @rule(which=_which, outcome=st.sampled_from(Outcome))
    def release(self, which: int, outcome: Outcome) -> None:
        self._call("release", which, outcome=outcome)

    @precondition(lambda self: self.shadow.ended)
    @rule(which=_which)
    def release_again(self, which: int) -> None:
        self._call("release_again", which)

    @rule()
    def release_foreign(self) -> None:
        self._call("release_foreign")

    @precondition(lambda self: self.shadow.waiting)
    @rule(which=_which, request=_requests)
    def amend(self, which: int, request: Request) -> None:
        self._call("amend", which, request=request)

    @precondition(lambda self: self.shadow.waiting)
    @rule(which=_which)
    def cancel(self, which: int) -> None:
        self._call("cancel", which)

    @rule(seconds=_pauses_s, notice=st.booleans())
    def pass_time(self, seconds: float, notice: bool) -> None:
        self._call("pass_time", seconds=seconds)
        if notice:
            self._call("time_out")

    @rule(spec=_specs)
    def add(self, spec: Endpoint) -> None:
        self._call("add", spec=spec)

    @rule(url=_urls, capacity=_capacities)
    def update_capacity(self, url: str, capacity: int) -> None:
        self._call("update", url=url, capacity=capacity)

    @rule(url=_urls, weight=_weights, labels=_labels)
    def update_weight_and_labels(self, url: str, weight: float, labels: frozenset[str]) -> None:
        self._call("update", url=url, weight=weight, labels=labels)

    @rule(url=_urls)
    def drain(self, url: str) -> None:
        self._call("drain", url=url)

    @rule(url=_urls)
    def remove(self, url: str) -> None:
        self._call("remove", url=url)

    @rule(which=_which)
    def set_strategy(self, which: int) -> None:
        self._call("set_strategy", which % len(self.player.makers))

    # A closed pool does little more, so it is closed late or not at all.
    @precondition(lambda self: len(self.shadow.ended) > 5)
    @rule()
    def close(self) -> None:
        self._call("close")

    @invariant()
    def agrees(self) -> None:
        self.shadow.check()

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:  # else a step has failed, and that is the error to be shown
            self.shadow.finish()
