"""The contract of a strategy as a test that anyone can run, with a short counterexample if it fails.

    from balancer.testing.conformance import check_strategy

    def test_my_strategy_keeps_the_contract():
        check_strategy(MyStrategy)

Decides how Hypothesis draws the calls; what must hold after each is the referee's business
(`balancer.testing.referee`). It must not know any particular strategy. Hypothesis is needed by this
module alone: `balancer.testing.walk` does without.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from unittest import TestCase

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Request, Strategy
from balancer.testing.referee import Law
from balancer.testing.shadow import Maker, Shadow
from balancer.testing.walk import HOST_CAPS, URLS, random_walk

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
    raise ImportError("balancer.testing.conformance needs Hypothesis; run: pip install hypothesis") from error

__all__ = ["as_test_case", "check_repeatable", "check_strategy", "machine_of", "maker_of"]

T = TypeVar("T")

_SETTINGS = hypothesis.settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,  # a step is some 0.1 ms, but another process may have the core
    database=None,  # leaves no folder behind; give your own settings to keep counterexamples
    suppress_health_check=[HealthCheck.too_slow],  # likewise
    report_multiple_bugs=False,  # one is enough to work on
    phases=[Phase.generate, Phase.shrink],  # to explain takes many seconds and says little about a list of calls
)


def check_strategy(
    kind: type[Strategy],
    *,
    options: Mapping[str, Any] | None = None,
    others: Sequence[type[Strategy]] = (),
    law: Law | None = None,
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
        AssertionError: it does not, with the shortest calls found that show it.
        StrategyError: it picked an endpoint that could not serve the request; likewise.
    """
    makers = [maker_of(kind, options), *map(maker_of, others)]
    run_state_machine_as_test(machine_of(*makers, law=law), settings=settings)
    check_repeatable(makers[0])


def check_repeatable(make: Maker, *, steps: int = 1000, seed: int = 1) -> None:
    """Check that the same seed and the same calls make the same choices.

    Raises:
        AssertionError: they do not; then the strategy draws from a source of its own, such as `random`,
            a clock, or the order of a set.
    """
    first, second = (random_walk(make, steps, seed=seed, thorough_every=steps).grants for _ in range(2))
    different = next((n for n, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), None)
    assert first == second, f"the same seed and calls made another choice at lease {different}"


def as_test_case(kind: type[Strategy], **arguments: Any) -> type[TestCase]:
    """Return `check_strategy(kind, **arguments)` as a TestCase, for unittest or pytest to collect."""

    def runTest(self: TestCase) -> None:  # noqa: N802, the name is unittest's
        check_strategy(kind, **arguments)

    return type(f"{kind.__name__}KeepsTheContract", (TestCase,), {"runTest": runTest})


def maker_of(kind: type[Strategy], options: Mapping[str, Any] | None = None) -> Maker:
    """Return what makes strategies of this kind. Raises pydantic's ValidationError for wrong options."""
    chosen = kind.Options.model_validate(dict(options or {}))
    return lambda rng: kind(chosen, rng)


def machine_of(make: Maker, *others: Maker, law: Law | None = None) -> type[RuleBasedStateMachine]:
    """Return a state machine over a pool that starts with the strategy that `make` makes."""
    return type("PoolMachine", (_PoolMachine,), {"setup": _Setup((make, *others), law)})


@dataclass(frozen=True, slots=True)
class _Setup:
    makers: tuple[Maker, ...]
    law: Law | None


_urls = st.sampled_from(URLS[:4])
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
    setup: ClassVar[_Setup]

    @initialize(
        specs=st.lists(_specs, max_size=4, unique_by=lambda spec: spec.name),
        max_waiters=st.sampled_from((None, 3, 0)),
        seed=st.integers(0, 2**16),
    )
    def start(self, specs: list[Endpoint], max_waiters: int | None, seed: int) -> None:
        setup = self.setup
        self.shadow = Shadow(
            setup.makers[0], specs, max_waiters=max_waiters, host_caps=HOST_CAPS, seed=seed, law=setup.law
        )

    @rule(request=_requests, timeout_s=_timeouts_s, priority=st.integers(-1, 2))
    def acquire(self, request: Request, timeout_s: float, priority: int) -> None:
        self.shadow.acquire(request, timeout_s=timeout_s, priority=priority)

    @precondition(lambda self: self.shadow.out)
    @rule(which=_which, outcome=st.sampled_from(Outcome))
    def release(self, which: int, outcome: Outcome) -> None:
        self.shadow.release(_nth(self.shadow.out, which), outcome)

    @precondition(lambda self: self.shadow.ended)
    @rule(which=_which)
    def release_again(self, which: int) -> None:
        self.shadow.release_again(_nth(self.shadow.ended, which))

    @rule()
    def release_foreign(self) -> None:
        self.shadow.release_foreign()

    @precondition(lambda self: self.shadow.waiting)
    @rule(which=_which, request=_requests)
    def amend(self, which: int, request: Request) -> None:
        self.shadow.amend(_nth(self.shadow.waiting, which), request)

    @precondition(lambda self: self.shadow.waiting)
    @rule(which=_which)
    def cancel(self, which: int) -> None:
        self.shadow.cancel(_nth(self.shadow.waiting, which))

    @rule(seconds=_pauses_s, notice=st.booleans())
    def pass_time(self, seconds: float, notice: bool) -> None:
        self.shadow.pass_time(seconds)
        if notice:
            self.shadow.time_out()

    @rule(spec=_specs)
    def add(self, spec: Endpoint) -> None:
        self.shadow.add(spec)

    @rule(url=_urls, capacity=_capacities)
    def update_capacity(self, url: str, capacity: int) -> None:
        self.shadow.update(url, capacity=capacity)

    @rule(url=_urls, weight=_weights, labels=_labels)
    def update_weight_and_labels(self, url: str, weight: float, labels: frozenset[str]) -> None:
        self.shadow.update(url, weight=weight, labels=labels)

    @rule(url=_urls)
    def drain(self, url: str) -> None:
        self.shadow.drain(url)

    @rule(url=_urls)
    def remove(self, url: str) -> None:
        self.shadow.remove(url)

    @rule(which=_which)
    def set_strategy(self, which: int) -> None:
        self.shadow.set_strategy(_nth(self.setup.makers, which))

    # A closed pool does little more, so it is closed late or not at all.
    @precondition(lambda self: len(self.shadow.ended) > 5)
    @rule()
    def close(self) -> None:
        self.shadow.close()

    @invariant()
    def agrees(self) -> None:
        self.shadow.check()

    def teardown(self) -> None:
        if sys.exc_info()[0] is None:  # else a step has failed, and that is the error to be shown
            self.shadow.finish()


def _nth(items: Sequence[T], number: int) -> T:
    return items[number % len(items)]
