"""A core with rules, driven by hand: one line a call, and a clock that is told."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

from balancer.core import Core, Waiter
from balancer.endpoint import Endpoint, Hint, Lease, Outcome
from balancer.settings.rules import HealthSettings, LimitSettings
from balancer.strategy import Node, Request, Strategy, StrategyOptions
from balancer.testing.doubles import FakeLender

__all__ = ["FAILURE", "OVERLOAD", "SUCCESS", "Ruled", "Scan", "woken"]

SUCCESS, FAILURE, OVERLOAD = Outcome.SUCCESS, Outcome.FAILURE, Outcome.OVERLOAD


class Scan(Strategy):
    """The first that fits; remembers what it was told of weights."""

    name = "scan"

    def __init__(self, options: Any = None, rng: random.Random | None = None) -> None:
        self.nodes: list[Node] = []
        self.weights: list[tuple[str, float]] = []

    def join(self, node: Node, now: float) -> None:
        self.nodes.append(node)

    def leave(self, node: Node, now: float) -> None:
        self.nodes.remove(node)

    def change(self, node: Node, now: float) -> None:
        self.weights.append((node.endpoint.url, node.weight))

    def pick(self, request: Request, now: float) -> Node | None:
        return next((node for node in self.nodes if request.fits(node)), None)

    def finish(self, node: Node, outcome: Outcome, elapsed_s: float, now: float) -> None:
        pass


def woken() -> None:
    """Stand for what wakes one who waits."""
    raise AssertionError("the core wakes nobody; the shell does")


class _Jitter(random.Random):
    """Always draws the same."""

    def __init__(self, draw: float) -> None:
        super().__init__()
        self.draw = draw

    def random(self) -> float:
        return self.draw


class Ruled:
    """A core under rules.

    Args:
        specs: endpoints, or a number of them: "a", "b", ...
        health, limits: settings that differ from the defaults; None: no such rule.
        host_caps: as for `Core`.
        jitter: what is drawn for it; 1: cooldowns last as long as they may.
    """

    def __init__(
        self,
        specs: int | Sequence[Endpoint],
        *,
        health: Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        host_caps: Mapping[str, int] | None = None,
        jitter: float = 1.0,
    ) -> None:
        if isinstance(specs, int):
            specs = [Endpoint(f"e{number}" if specs > 26 else chr(ord("a") + number)) for number in range(specs)]
        self.now = 0.0
        self.strategy = Scan(StrategyOptions())
        self.urls = {spec.url for spec in specs}
        self.core = Core(
            specs,
            self.strategy,
            lender=FakeLender(),
            health=None if health is None else HealthSettings(**health),
            limits=None if limits is None else LimitSettings(kind="aimd", **limits),
            host_caps=host_caps or {},
            rng=_Jitter(jitter),
            now=0.0,
        )

    # -- doing -------------------------------------------------------------------------------------

    def get(self, url: str | None = None, slots: int = 1) -> Lease | None:
        """Acquire from this endpoint, or from any; None: no slot is free."""
        return self.core.acquire(self._request(url, slots), self.now)

    def take(self, url: str | None = None, slots: int = 1) -> Lease:
        """Acquire what must be free."""
        lease = self.get(url, slots)
        assert lease is not None, f"nothing is free for {slots} of {url}: {self.core!r}"
        return lease

    def wait(self, url: str | None = None, slots: int = 1, *, priority: int = 0, timeout_s: float = 1e9) -> Waiter:
        """Wait for what is not free."""
        assert self.get(url, slots) is None, "there is no need to wait"
        deadline_s = self.now + timeout_s
        return self.core.wait(self._request(url, slots), self.now, deadline_s, priority, lambda: None)

    def give(self, lease: Lease, outcome: Outcome = SUCCESS, hint: Hint | None = None) -> list[Waiter]:
        """Release; return those whom it served."""
        lease.hint = hint
        return list(self.core.release(lease, outcome, self.now))

    def call(self, url: str, outcome: Outcome = SUCCESS, *, times: int = 1, hint: Hint | None = None) -> None:
        """Call this endpoint, again and again."""
        for _ in range(times):
            self.give(self.take(url), outcome, hint)

    def at(self, now: float) -> list[Waiter]:
        """Let it be `now`, and do all that was due on the way; return those whom it served."""
        ended: list[Waiter] = []
        while self.core.due_s <= now:
            self.now = max(self.now, self.core.due_s)
            ended += self.core.tick(self.now)
        self.now = now
        return ended

    def ping(self, url: str, ok: bool, *, conclusive: bool = False) -> list[Waiter]:
        """Tell of an active probe."""
        return list(self.core.pinged(url, ok, self.now, conclusive=conclusive))

    # -- looking -----------------------------------------------------------------------------------

    def health(self) -> dict[str, str]:
        """How every endpoint stands."""
        return {stats.url: stats.health for stats in self.core.counters(self.now)[0]}

    def limits(self) -> dict[str, int]:
        """The limit in force of every endpoint."""
        return {stats.url: stats.limit for stats in self.core.counters(self.now)[0]}

    def out(self) -> list[str]:
        """Those that are ejected or half open."""
        return [url for url, health in self.health().items() if health in ("ejected", "half_open")]

    def _request(self, url: str | None, slots: int) -> Request:
        return Request(exclude=frozenset() if url is None else frozenset(self.urls - {url}), slots=slots)
