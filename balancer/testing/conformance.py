"""The contract of a strategy as a test.

    from balancer.testing.conformance import check_strategy

    def test_my_strategy_keeps_the_contract():
        check_strategy(MyStrategy)

`StrategyMachine` says what must hold in a pool, after any calls.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from unittest import TestCase

from balancer.strategy import Strategy
from balancer.testing.checks import check_cost, check_forgets, check_name, maker_of

try:
    import hypothesis
    from hypothesis import HealthCheck, Phase
    from hypothesis.stateful import run_state_machine_as_test
except ImportError as error:
    raise ImportError(
        "balancer.testing.conformance needs Hypothesis: install balancer with the extra 'testing', or hypothesis itself"
    ) from error

from balancer.testing.machine import StrategyMachine

__all__ = ["SETTINGS", "StrategyMachine", "as_test_case", "check_strategy", "machine_of"]


SETTINGS: Final = hypothesis.settings(
    max_examples=200,  # of the broken strategies that we try, each is found in at most 60
    stateful_step_count=50,
    deadline=None,  # a step takes some 1 ms, but another process may use the core
    suppress_health_check=[HealthCheck.too_slow],  # likewise
    report_multiple_bugs=False,  # one is enough
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],  # the explanation takes longer than all else
)


def check_strategy(
    kind: type[Strategy],
    *,
    options: Mapping[str, Any] | None = None,
    others: Sequence[type[Strategy]] = (),
    machine: type[StrategyMachine] = StrategyMachine,
    settings: hypothesis.settings = SETTINGS,
) -> None:
    """Check that a strategy keeps its contract under any calls on its pool.

    Args:
        kind: the strategy.
        options: its options; default: its defaults.
        others: strategies that take over for a while, to test a live change; `kind` itself always does.
        machine: a subclass with further rules.
        settings: e.g. `settings(SETTINGS, max_examples=1000)` of Hypothesis, for more examples.

    Raises:
        AssertionError, StrategyError: it does not. Hypothesis adds the fewest calls that show it, as code.
        TypeError: `kind`, or one of `others`, is not a class.
        ConfigError: an option is wrong.
    """
    make = maker_of(kind, options)
    check_name(kind)
    run_state_machine_as_test(machine_of(kind, options, others, machine), settings=settings)
    check_forgets(make)
    check_cost(make)


def as_test_case(kind: type[Strategy], **arguments: Any) -> type[TestCase]:
    """Return `check_strategy(kind, **arguments)` as a TestCase, for unittest or pytest to collect."""

    def runTest(self: TestCase) -> None:  # noqa: N802, the name is unittest's
        check_strategy(kind, **arguments)

    return type(f"{kind.__name__}KeepsTheContract", (TestCase,), {"runTest": runTest})


def machine_of(
    kind: type[Strategy],
    options: Mapping[str, Any] | None = None,
    others: Sequence[type[Strategy]] = (),
    machine: type[StrategyMachine] = StrategyMachine,
) -> type[StrategyMachine]:
    """Return a state machine for a strategy. Its name is code, so that the steps that Hypothesis prints can run."""
    for other in others:
        maker_of(other)
    given = f", options={dict(options)!r}" if options else ""
    given += f", others=[{', '.join(other.__name__ for other in others)}]" if others else ""
    given += f", machine={machine.__name__}" if machine is not StrategyMachine else ""
    members = {"kind": kind, "options": options, "others": others}
    return type(f"machine_of({kind.__name__}{given})", (machine,), members)
