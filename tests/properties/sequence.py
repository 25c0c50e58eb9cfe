"""Calls made one after another or a few at a time, by a clock that is moved by hand: no pool, no threads."""

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from balancer.core import Core
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.plugins.registry import default_registry
from balancer.strategy import ANY, Request
from balancer.testing import ManualClock
from balancer.testing.doubles import FakeLender

__all__ = ["Sequence"]


class Sequence:
    """A core with one strategy, and the shortest way to make calls over it."""

    def __init__(
        self, strategy: str, specs: Iterable[Endpoint], *, options: Mapping[str, Any] | None = None, seed: int = 0
    ) -> None:
        self.clock = ManualClock()
        chosen = default_registry().strategy(strategy, options, random.Random(seed))
        self.core = Core(specs, chosen, lender=FakeLender(), now=self.clock())

    def take(self, request: Request = ANY) -> Lease:
        lease = self.core.acquire(request, self.clock())
        assert lease is not None, "the sequence never asks for more than there is"
        return lease

    def give(self, lease: Lease, outcome: Outcome = Outcome.SUCCESS) -> None:
        self.core.release(lease, outcome, self.clock())

    def calls(
        self,
        count: int,
        *,
        request: Request = ANY,
        took_s: Callable[[str], float] = lambda url: 0.05,
        outcome: Callable[[str], Outcome] = lambda url: Outcome.SUCCESS,
    ) -> list[str]:
        """Make `count` calls, one after another; return the URLs they went to."""
        urls = []
        for _ in range(count):
            lease = self.take(request)
            url = lease.endpoint.url
            self.clock.advance(took_s(url))
            self.give(lease, outcome(url))
            urls.append(url)
        return urls
