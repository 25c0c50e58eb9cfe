"""The contract of a strategy as a test, with a short counterexample if it fails.

    from balancer.testing.conformance import check_strategy

    def test_my_strategy_keeps_the_contract():
        check_strategy(MyStrategy)

This module lets Hypothesis draw the calls, and prints what it finds. The referee (`balancer.testing.referee`) checks
what must hold after each call. Only this module needs Hypothesis: `balancer.testing.walk` and `balancer.testing.checks`
do not.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any
from unittest import TestCase

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Request, Strategy
from balancer.testing.call_sequence import Call, CallSequence, SequencePlayer, describe, shrink, words_of
from balancer.testing.checks import check_forgets, check_name, check_repeatable
from balancer.testing.draws import urls_of
from balancer.testing.referee import GrantRule
from balancer.testing.reference_check import StrategyFactory

try:
    import hypothesis
    from hypothesis import HealthCheck, Phase
    from hypothesis import strategies as st
except ImportError as error:
    raise ImportError(
        "balancer.testing.conformance needs Hypothesis: install balancer with the extra 'testing', or hypothesis itself"
    ) from error

__all__ = ["as_test_case", "check_strategy", "maker_of"]

_SETTINGS = hypothesis.settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,  # a step takes some 0.1 ms, but another process may use the core
    database=None,  # leaves no folder behind; give your own settings to keep counterexamples
    suppress_health_check=[HealthCheck.too_slow],  # likewise
    report_multiple_bugs=False,  # one is enough
    phases=[Phase.generate],  # no Hypothesis shrinking: the calls are shortened here, with a better result
)


def check_strategy(
    kind: type[Strategy],
    *,
    options: Mapping[str, Any] | None = None,
    others: Sequence[type[Strategy]] = (),
    law: GrantRule | None = None,
    settings: hypothesis.settings = _SETTINGS,
) -> None:
    """Check that a strategy keeps its contract under any calls on its pool.

    Args:
        kind: the strategy.
        options: its options; default: its defaults.
        others: strategies that take over for a while, to test a live change; `kind` itself always does.
        law: a further rule for each grant, e.g. that it is the least loaded.
        settings: Hypothesis settings, e.g. for more examples.

    Raises:
        AssertionError: it does not. The message has the shortest calls that were found, one a line, and the error in
            the last line.
    """
    __tracebackhide__ = True
    makers = (maker_of(kind, options), *map(maker_of, others))
    _judge(kind, lambda: check_name(kind))
    player = SequencePlayer(makers, law)
    found = _find_breach(player, settings)
    if found is not None:
        raise AssertionError(_counterexample(kind, player, *found)) from None
    _judge(kind, lambda: check_repeatable(makers[0]))
    _judge(kind, lambda: check_forgets(makers[0]))


def as_test_case(kind: type[Strategy], **arguments: Any) -> type[TestCase]:
    """Return `check_strategy(kind, **arguments)` as a TestCase, for unittest or pytest to collect."""

    def runTest(self: TestCase) -> None:  # noqa: N802, the name is unittest's
        check_strategy(kind, **arguments)

    return type(f"{kind.__name__}KeepsTheContract", (TestCase,), {"runTest": runTest})


def maker_of(kind: type[Strategy], options: Mapping[str, Any] | None = None) -> StrategyFactory:
    """Return a function that makes strategies of this kind. Raises pydantic's ValidationError for wrong options."""
    chosen = kind.Options.model_validate(dict(options or {}))
    return lambda rng: kind(chosen, rng)


def _counterexample(kind: type[Strategy], player: SequencePlayer, found: CallSequence, error: Exception) -> str:
    """Return the shortest calls that still fail, and the error."""
    last = player.breach(found)
    if last is None:  # it depends on more than the calls; report the calls at least
        return _verdict(kind, describe(found), error)

    def shows(shorter: CallSequence) -> bool:
        nonlocal last
        breach = player.breach(shorter)
        last = breach or last
        return breach is not None

    fewest = shrink(found, shows)
    error, done = last  # of the calls that were kept last; another play might draw differently
    lines = describe(fewest)
    if done > len(fewest.calls):
        lines.append("(at the end each lease is released, and each slot is leased once more)")
    return _verdict(kind, lines, error)


def _judge(kind: type[Strategy], check: Callable[[], None]) -> None:
    __tracebackhide__ = True
    try:
        check()
    except Exception as error:
        raise AssertionError(_verdict(kind, [], error)) from None


def _verdict(kind: type[Strategy], lines: Sequence[str], error: Exception) -> str:
    found = ["the shortest sequence of calls found that shows it:", *(f"    {line}" for line in lines)] if lines else []
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
_which = st.integers(0, 99)  # index of an object, counted round


def _calls(name: str, **arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Call, ...]]:
    return st.builds(lambda **given: (Call(name, given.pop("which", None), given),), **arguments)


_acquires = _calls("acquire", request=_requests, timeout_s=_timeouts_s, priority=st.integers(-1, 2))
_some_acquires = st.integers(1, 3).map(lambda often: (Call("acquire", None, {}),) * often)
_releases = _calls("release", which=_which, outcome=st.sampled_from(Outcome))
_pauses = st.builds(
    lambda seconds, notice: (Call("pass_time", None, {"seconds": seconds}), *([Call("time_out", None, {})] * notice)),
    _pauses_s,
    st.booleans(),
)
_KINDS = (
    _some_acquires,
    _releases,
    _calls("release_again", which=_which),
    _calls("release_foreign"),
    _calls("amend", which=_which, request=_requests),
    _calls("cancel", which=_which),
    _pauses,
    _calls("add", spec=_specs),
    _calls("update", url=_urls, capacity=_capacities),
    _calls("update", url=_urls, weight=_weights, labels=_labels),
    _calls("drain", url=_urls),
    _calls("remove", url=_urls),
    _calls("set_strategy", which=_which),
)
_few_kinds = st.lists(st.sampled_from(_KINDS), min_size=1, max_size=len(_KINDS), unique_by=id)
_ENDS = (Call("close", None, {}),)


def _sequences(steps: int) -> st.SearchStrategy[CallSequence]:
    """Return a Hypothesis strategy for pools, each with about `steps` steps.

    Each has only some kinds of steps: otherwise effects that take many steps of one kind would be rare (swarm testing).
    """
    return _few_kinds.flatmap(lambda kinds: _sequences_of(st.one_of(_acquires, _releases, *kinds), steps))


def _sequences_of(step: st.SearchStrategy[tuple[Call, ...]], steps: int) -> st.SearchStrategy[CallSequence]:
    return st.builds(
        lambda specs, max_waiters, seed, before, end, after: CallSequence(
            tuple(specs), max_waiters, seed, tuple(chain(*before, end, *(after if end else ())))
        ),
        specs=st.lists(_specs, max_size=4, unique_by=lambda spec: spec.name),
        max_waiters=st.sampled_from((None, 3, 0)),
        seed=st.integers(0, 2**16),
        before=st.lists(step, min_size=steps // 2, max_size=steps),
        end=st.sampled_from(((), _ENDS)),  # a closed pool does little more, so it is closed late or not at all
        after=st.lists(step, max_size=5),
    )


def _find_breach(player: SequencePlayer, settings: hypothesis.settings) -> tuple[CallSequence, Exception] | None:
    """Return calls that end with an error, and the error; None if none were found."""
    found: tuple[CallSequence, Exception] | None = None

    @settings
    @hypothesis.given(_sequences(settings.stateful_step_count))
    def play(sequence: CallSequence) -> None:
        nonlocal found
        breach = player.breach(sequence)
        if breach is not None:
            found = sequence, breach[0]
            raise breach[0]

    try:
        play()
    except Exception:
        if found is None:  # an error of Hypothesis itself
            raise
    return found
