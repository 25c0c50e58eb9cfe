"""The contract of a strategy as a test, with a short counterexample if it fails.

    from balancer.testing.conformance import check_strategy

    def test_my_strategy_keeps_the_contract():
        check_strategy(MyStrategy)

It takes short walks (`balancer.testing.walk`), as many as Hypothesis is told to, and prints the fewest calls that fail.
The referee (`balancer.testing.referee`) checks what must hold after each call. Only this module needs Hypothesis:
`balancer.testing.walk` and `balancer.testing.checks` do not.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest import TestCase

from balancer.plugins.registry import checked_options
from balancer.strategy import Strategy
from balancer.testing.backlog import check_shares
from balancer.testing.call_sequence import CallSequence, SequencePlayer, counterexample, words_of
from balancer.testing.checks import check_forgets, check_name, check_repeatable
from balancer.testing.referee import GrantRule
from balancer.testing.reference_check import StrategyFactory
from balancer.testing.walk import short_walk

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
_TITLE = "{} does not keep the contract of a strategy"


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
        TypeError: `kind`, or one of `others`, is not a class.
        ConfigError: an option is wrong.
    """
    __tracebackhide__ = True
    makers = (maker_of(kind, options), *map(maker_of, others))
    _judge(kind, lambda: check_name(kind))
    player = SequencePlayer(makers, law)
    found = _find_breach(player, settings)
    if found is not None:
        raise AssertionError("\n".join([_TITLE.format(kind.__name__), *counterexample(player, *found)])) from None
    _judge(kind, lambda: check_repeatable(makers[0]))
    _judge(kind, lambda: check_forgets(makers[0]))
    _judge(kind, lambda: check_shares(makers[0]))


def as_test_case(kind: type[Strategy], **arguments: Any) -> type[TestCase]:
    """Return `check_strategy(kind, **arguments)` as a TestCase, for unittest or pytest to collect."""

    def runTest(self: TestCase) -> None:  # noqa: N802, the name is unittest's
        check_strategy(kind, **arguments)

    return type(f"{kind.__name__}KeepsTheContract", (TestCase,), {"runTest": runTest})


def maker_of(kind: type[Strategy], options: Mapping[str, Any] | None = None) -> StrategyFactory:
    """Return a function that makes strategies of this kind.

    Raises:
        TypeError: `kind` is not a class.
        ConfigError: an option is wrong.
    """
    if not isinstance(kind, type):
        raise TypeError(f"found {kind!r}; it takes the class of a strategy, e.g. MyStrategy, not its name or instance")
    if not isinstance(options, Mapping | None):
        raise TypeError(f"options is {options!r}; it takes a mapping, such as a dict, or None")
    chosen = checked_options(f"strategy {getattr(kind, 'name', kind.__name__)!r}", kind.Options, options)
    return lambda rng: kind(chosen, rng)


def _judge(kind: type[Strategy], check: Callable[[], object]) -> None:
    __tracebackhide__ = True
    try:
        check()
    except Exception as error:
        raise AssertionError(f"{_TITLE.format(kind.__name__)}\n{words_of(error)}") from None


def _find_breach(player: SequencePlayer, settings: hypothesis.settings) -> tuple[CallSequence, Exception] | None:
    """Return calls that end with an error, and the error; None if none were found."""
    found: tuple[CallSequence, Exception] | None = None

    @settings
    @hypothesis.given(st.randoms(use_true_random=True))
    def play(rng: random.Random) -> None:
        nonlocal found
        walker, names = short_walk(player, rng, settings.stateful_step_count)
        try:
            walker.walk(names)
        except Exception as error:
            found = walker.taken, error
            raise

    try:
        play()
    except Exception:
        if found is None:  # an error of Hypothesis itself
            raise
    return found
