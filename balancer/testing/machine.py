"""State machine: any calls on a pool with a strategy under test, compared with a naive model after each of them.

Hypothesis draws the calls. If one fails, it finds the fewest that do, prints them as code, and tries them first next
time. A subclass names the strategy, and may add rules of its own:

    class MyMachine(StrategyMachine):
        kind = MyStrategy

    TestMyStrategy = MyMachine.TestCase
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from balancer.core import Core, Waiter
from balancer.endpoint import Endpoint, Outcome
from balancer.errors import AcquireTimeout, BalancerError, DuplicateEndpoint, LeaseError, NoEndpoint
from balancer.settings.rules import HealthSettings
from balancer.strategy import ANY, Node, Request, Strategy
from balancer.testing.checks import maker_of
from balancer.testing.clock import ManualClock
from balancer.testing.doubles import FakeLender
from balancer.testing.model import Caller, Model
from balancer.testing.watched import WatchedStrategy

__all__ = ["ENDPOINTS", "REQUESTS", "URLS", "StrategyMachine"]

URLS = tuple(f"http://10.0.0.{number}/" for number in range(1, 5))
_LABELS = tuple(map(frozenset, ("", "a", "b", "ab")))
_EXCLUDED = (frozenset[str](), *(frozenset(URLS[first : first + 2]) for first in range(4)))
_URL, _SLOTS, _LABEL = st.sampled_from(URLS), st.integers(1, 4), st.sampled_from(_LABELS)
_KEY, _OTHERS, _HOST = st.sampled_from("kl"), st.sampled_from(_EXCLUDED), st.sampled_from((None, "shared"))
# The fewer choices a step takes, the better Hypothesis shortens it. So most of them differ from the default in one way.
ENDPOINTS = st.one_of(
    st.builds(Endpoint, _URL),
    st.builds(Endpoint, _URL, capacity=_SLOTS),
    st.builds(Endpoint, _URL, capacity=_SLOTS, labels=_LABEL, host=_HOST),
)
REQUESTS = st.one_of(
    st.builds(Request),
    st.builds(Request, slots=_SLOTS),
    st.builds(Request, exclude=_OTHERS),
    st.builds(Request, labels=_LABEL, key=_KEY),
    st.builds(Request, labels=_LABEL, exclude=_OTHERS, slots=_SLOTS, key=_KEY),
)
_CHANGES: Sequence[Mapping[str, Any]] = (
    *({"capacity": slots} for slots in range(1, 5)),
    *({"weight": weight} for weight in (0.25, 1.0, 3.0)),
    *({"labels": labels} for labels in _LABELS),
    *({"host": host} for host in (None, "shared")),
)
_HOST_CAPS = {"10.0.0.1": 1, "10.0.0.2": 2, "shared": 2}
_EJECTING = HealthSettings(consecutive_failures=2, cooldown_s=1.0, slow_start_s=1.0, max_ejected_share=0.7)


class StrategyMachine(RuleBasedStateMachine):
    """A pool with a strategy under test, and the model of it.

    Class attributes:
        kind: the class of the strategy.
        options: its options.
        others: strategies that take over for a while; `kind` itself always does.
    """

    kind: ClassVar[type[Strategy]]
    options: ClassVar[Mapping[str, Any] | None] = None
    others: ClassVar[Sequence[type[Strategy]]] = ()

    def picked(self, request: Request, node: Node, fitting: Sequence[Node]) -> None:
        """Check a further rule of the strategy: of all nodes that fit, it has picked `node`. Slots count as before."""

    # -- calls ---------------------------------------------------------------------------------------

    @initialize(
        slots=st.lists(_SLOTS, min_size=1, max_size=4),
        caps=st.booleans(),
        health=st.booleans(),
        seed=st.integers(0, 99),
    )
    def begin(self, slots: list[int], caps: bool, health: bool, seed: int) -> None:
        """Make the pool: with or without caps of hosts, and with endpoints that are ejected or not."""
        self.open(slots, seed, health=_EJECTING if health else None, host_caps=_HOST_CAPS if caps else {})

    def open(self, slots: Iterable[int], seed: int, make_core: Callable[..., Core] = Core, **rules: Any) -> None:
        """Make the pool of a core, with so many slots of each endpoint, and its model."""
        makers = [maker_of(self.kind, self.options), *map(maker_of, self.others)]
        endpoints = [Endpoint(url, capacity=capacity) for url, capacity in zip(URLS, slots, strict=False)]
        self._strategies = [partial(WatchedStrategy, make, seed, self.picked) for make in makers]
        self._watched = self._strategies[0]()
        self._clock = ManualClock()
        self._active = {endpoint.url: endpoint for endpoint in endpoints}
        self._model = Model(
            rules["host_caps"], lowered=any(rule for name, rule in rules.items() if name != "host_caps")
        )
        rng, lender = random.Random(seed), FakeLender()
        self._core = make_core(endpoints, self._watched, lender=lender, rng=rng, now=self._clock(), **rules)
        self._see()

    @rule(request=REQUESTS, timeout_s=st.sampled_from((inf, 0.0, 1.0, 30.0)), times=st.integers(1, 3))
    def acquire(self, request: Request, timeout_s: float, times: int) -> None:
        """Ask for leases; wait if there is none."""
        for _ in range(times):
            self._ask(request, timeout_s)

    @rule(number=st.integers(0, 7), outcome=st.sampled_from(Outcome))
    def leave(self, number: int, outcome: Outcome) -> None:
        """Return a lease, or stop waiting."""
        if callers := [*self._model.out(), *self._model.waiting]:
            self._end(callers[number % len(callers)], outcome)

    @rule(seconds=st.sampled_from((0.05, 0.5, 1.0, 5.0, 40.0)))
    def pass_time(self, seconds: float) -> None:
        """Do what is due, and end the waiters whose time is over."""
        now = self._clock.advance(seconds)
        if self._core.due_s <= now:
            self._settle(self._core.tick(now))
        for caller in [each for each in self._model.waiting if each.deadline_s <= now]:
            waiter = caller.waiter
            if waiter is not None and not waiter.ended:
                self._model.end(caller)
                self._settle(self._core.cancel(waiter, now, timed_out=True))

    @rule(endpoint=ENDPOINTS)
    def add(self, endpoint: Endpoint) -> None:
        """Take an endpoint into service, or back into it."""
        if endpoint.url in self._active:
            with _refused(DuplicateEndpoint):
                self._core.add(endpoint, self._clock())
        else:
            self._active[endpoint.url] = endpoint
            self._settle(self._core.add(endpoint, self._clock()))

    @rule(url=_URL, change=st.sampled_from(_CHANGES))
    def update(self, url: str, change: Mapping[str, Any]) -> None:
        """Change an endpoint in service."""
        if url in self._active:
            changed = self._active[url] = replace(self._active[url], **change)
            self._settle(self._core.update(changed, self._clock()))

    @rule(url=_URL, remove=st.booleans())
    def drain(self, url: str, remove: bool) -> None:
        """Take an endpoint out of service; its leases stay out."""
        if self._active.pop(url, None) is not None:
            end = self._core.remove if remove else self._core.drain
            self._settle(end(url, self._clock()))

    @rule(number=st.integers(0, 20))
    def set_strategy(self, number: int) -> None:
        """Change the strategy while leases are out and callers wait."""
        self._watched = self._strategies[number % len(self._strategies)]()
        self._settle(self._core.set_strategy(self._watched, self._clock()))

    @rule()
    def lease_everything(self) -> None:
        """Return all leases, and lease every slot: none was lost."""
        while out := self._model.out():
            self._end(out[0], Outcome.SUCCESS)
        while self._model.free_for(ANY):
            self._ask(ANY, 0.0)
        while out := self._model.out():
            self._end(out[0], Outcome.SUCCESS)

    # -- what must hold ------------------------------------------------------------------------------

    @invariant()
    def agrees(self) -> None:
        """Check that pool and model agree."""
        self._see()
        self._model.check(self._clock())
        assert self._core.waiting == len(self._model.waiting), f"{self._core.waiting} callers are said to wait"

    def _ask(self, request: Request, timeout_s: float) -> None:
        now = self._clock()
        caller = Caller(request, now, now + timeout_s)
        free = self._model.free_for(request)
        lease = self._core.acquire(request, now)
        if lease is not None:
            self._model.grant(caller, lease, now)
            return
        assert not free, f"no lease for {request}, although {free[0]} has a slot free"
        if not self._model.serves(request):
            with _refused(NoEndpoint):
                self._core.wait(request, now, now + timeout_s, 0, _nothing)
            return
        caller.waiter = self._core.wait(request, now, now + timeout_s, 0, _nothing)
        self._model.waiting.append(caller)
        self._settle([caller.waiter] if caller.waiter.ended else [])

    def _end(self, caller: Caller, outcome: Outcome) -> None:
        now, lease, waiter = self._clock(), caller.lease, caller.waiter
        self._model.end(caller)
        if lease is not None:
            self._settle(self._core.release(lease, outcome, now))
            with _refused(LeaseError):
                self._core.release(lease, outcome, now)
        elif waiter is not None:
            self._settle(self._core.cancel(waiter, now, timed_out=False))

    def _settle(self, ended: Iterable[Waiter]) -> None:
        """Record what a call did to those who waited."""
        now = self._clock()
        callers = {caller.waiter: caller for caller in self._model.waiting}
        self._see()
        for waiter in ended:
            caller = callers[waiter]
            if waiter.lease is not None:
                self._model.grant(caller, waiter.lease, now)
            else:
                self._model.end(caller)
                late = isinstance(waiter.error, AcquireTimeout) and caller.deadline_s <= now
                assert late or not self._model.serves(caller.request), f"a waiter ended with {waiter.error!r}"

    def _see(self) -> None:
        self._model.see({node.endpoint.url: node for node in self._watched.nodes}, self._active)


@contextmanager
def _refused(kind: type[BalancerError]) -> Iterator[None]:
    """Check that a call raises this."""
    try:
        yield
    except kind:
        return
    raise AssertionError(f"{kind.__name__} should have been raised")


def _nothing() -> None:
    raise AssertionError("the core woke a waiter; only the shell may, after it has let go of its lock")
