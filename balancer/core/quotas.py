"""Quotas: calls and tokens a minute, of one endpoint or of a key that several endpoints share.

The window slides: a call counts for `WINDOW_S` seconds from its grant. So no window of that length holds more than the
quota, wherever the server's own window begins. All counts are whole numbers, and the end of each call's window is
stored at its start, so there is no rounding error.
"""

from collections import deque
from math import inf
from typing import Any

from balancer.core.metrics import QuotaStats
from balancer.settings.rules import QuotaSettings

__all__ = ["WINDOW_S", "Charge", "Meter"]

WINDOW_S = 60.0


class Charge:
    """What one call takes of a quota.

    Attributes:
        meter: the meter of the quota.
        estimate: tokens reserved at the grant.
        tokens: those that count; fewer once the call used fewer.
        until_s: when it leaves the window.
        calls: 1; 0 for tokens beyond an estimate, which count from when they are set.
        beyond: tokens beyond the estimate so far.
    """

    __slots__ = ("beyond", "calls", "estimate", "meter", "tokens", "until_s")

    def __init__(self, meter: "Meter", tokens: int, until_s: float, calls: int = 1) -> None:
        self.meter = meter
        self.estimate = self.tokens = tokens
        self.until_s = until_s
        self.calls = calls
        self.beyond = 0


class Meter:
    """The use of one quota.

    Args:
        name: of the quota.
        settings: how much there is.

    Attributes:
        free: its endpoints with a free slot.
        calls, tokens: in the window, as of the last look.
    """

    def __init__(self, name: str, settings: QuotaSettings) -> None:
        self.name = name
        self.most_calls: float = inf if settings.requests_per_min is None else settings.requests_per_min
        self.most_tokens: float = inf if settings.tokens_per_min is None else settings.tokens_per_min
        self.estimate = settings.estimate
        self.free: dict[Any, None] = {}
        self.calls = self.tokens = 0
        self._window: deque[Charge] = deque()

    def needs(self, tokens: int | None) -> int:
        """Return how many tokens to reserve for a call with this estimate; None: the quota's default."""
        return self.estimate if tokens is None else tokens

    def could_ever(self, tokens: int | None) -> bool:
        """Return whether the quota is large enough for such a call."""
        return self.needs(tokens) <= self.most_tokens

    def has_room(self, tokens: int | None, now: float) -> bool:
        """Return whether there is room for such a call; O(1), amortised."""
        self._pass(now)
        return self.calls < self.most_calls and self.tokens + self.needs(tokens) <= self.most_tokens

    def room_s(self, tokens: int | None, now: float) -> float:
        """Return when there will be room for such a call, without other calls; inf: never. O(calls that leave)."""
        self._pass(now)
        calls, left = self.calls, self.tokens + self.needs(tokens)
        if calls < self.most_calls and left <= self.most_tokens:
            return now
        for charge in self._window:
            calls -= charge.calls
            left -= charge.tokens
            if calls < self.most_calls and left <= self.most_tokens:
                return charge.until_s
        return inf

    def short_of(self, tokens: int | None, now: float) -> str:
        """Return in words how much is used, and when there is room for such a call."""
        wait_s = self.room_s(tokens, now) - now
        used = []
        if self.most_calls < inf:
            used.append(f"{self.calls} of {self.most_calls} requests")
        if self.most_tokens < inf:
            used.append(f"{self.tokens} of {self.most_tokens} tokens")
        wants = f"{self.needs(tokens)} tokens" if self.calls < self.most_calls else "another one"
        when = f"room for {wants} in {wait_s:.3g} s" if wait_s > 0 else "kept for calls that have waited longer"
        return f"quota {self.name!r}: {' and '.join(used)} used in this minute, {when}"

    def take(self, tokens: int | None, now: float) -> Charge:
        """Count a call from now on."""
        charge = Charge(self, self.needs(tokens), now + WINDOW_S)
        self._window.append(charge)
        self.calls += 1
        self.tokens += charge.tokens
        return charge

    def settle(self, charge: Charge, tokens: int, now: float) -> None:
        """Set how many tokens a call has used so far. If it used fewer than reserved, there is room at once.

        More tokens count from now on: by the server's clock they may be used now. More than the whole quota of a minute
        are not believed, as no server with such a quota serves such a call: the number before stays.
        """
        if tokens > self.most_tokens:
            return
        self._pass(now)
        kept = min(tokens, charge.estimate)
        if charge.until_s > now:
            self.tokens += kept - charge.tokens
        charge.tokens = kept
        beyond = max(0, tokens - charge.estimate) - charge.beyond
        if beyond > 0:
            charge.beyond += beyond
            self._window.append(Charge(self, beyond, now + WINDOW_S, calls=0))
            self.tokens += beyond

    def usage(self, endpoints: tuple[str, ...], now: float) -> QuotaStats:
        """Return the use of this quota. `endpoints`: the names of its endpoints."""
        room_s = self.room_s(None, now)  # first: it removes what has left the window
        return QuotaStats(
            name=self.name,
            endpoints=endpoints,
            requests=self.calls,
            requests_per_min=None if self.most_calls == inf else int(self.most_calls),
            tokens=self.tokens,
            tokens_per_min=None if self.most_tokens == inf else int(self.most_tokens),
            room_in_s=max(0.0, room_s - now),
        )

    def recount(self) -> None:
        """Recompute the counts, after an interrupt between a call and its count; O(calls in the window)."""
        self.calls = sum(charge.calls for charge in self._window)
        self.tokens = sum(charge.tokens for charge in self._window)

    def _pass(self, now: float) -> None:
        window = self._window
        while window and window[0].until_s <= now:
            charge = window.popleft()
            self.calls -= charge.calls
            self.tokens -= charge.tokens

    def __repr__(self) -> str:
        return f"<Meter {self.name} {self.calls}/{self.most_calls} calls, {self.tokens}/{self.most_tokens} tokens>"
