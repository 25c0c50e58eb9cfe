"""Model budget: tokens, money and time, of a row and of the whole run.

Decides before each call whether it may be made. What a call will use is not known before, so a call sets aside what it
can use at the most, and gives back the rest. It must not know what is asked.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from balancer.settings.llm import LlmBudget, LlmPrices

__all__ = ["ModelAccount", "NoBudget", "TokenUsage"]


class NoBudget(Exception):
    """The budget does not allow another call; one line says which part of it."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What a call used, or may use.

    Attributes:
        asked, answered: tokens of the question and of the answer.
        cost: money.
        seconds: until the answer was there.
    """

    asked: int = 0
    answered: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return self.asked + self.answered

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.asked + other.asked,
            self.answered + other.answered,
            self.cost + other.cost,
            self.seconds + other.seconds,
        )


class ModelAccount:
    """What has been used and set aside, of each row and of all together.

    Args:
        budget: the caps.
        prices: what tokens cost.
        before: row -> what earlier sessions of the run used for it.
    """

    def __init__(self, budget: LlmBudget, prices: LlmPrices, before: dict[str, TokenUsage] | None = None) -> None:
        self._budget = budget
        self._prices = prices
        self._changed = threading.Condition()
        self._rows: defaultdict[str, TokenUsage] = defaultdict(TokenUsage, before or {})
        self._all = sum((before or {}).values(), TokenUsage())
        self._aside: dict[int, tuple[str, TokenUsage]] = {}  # what calls under way may use at the most
        self._numbers = count()

    @contextmanager
    def reserve(self, row: str, asked: int, answered: int) -> Iterator["Reserved"]:
        """Set aside what a call may use at the most; after the block only what `Reserved.settle` was told is booked.

        A call that would fit if those under way used nothing waits until it is known what they used. A cap on seconds
        stops calls from beginning; one that has begun is let end.

        Raises:
            NoBudget: a cap does not allow it.
        """
        number, most = next(self._numbers), TokenUsage(asked, answered, self._prices.cost(asked, answered))
        with self._changed:
            while not self._fits(row, most):
                self._changed.wait()
            self._aside[number] = row, most
        reserved = Reserved(self._prices)
        try:
            yield reserved
        finally:
            with self._changed:
                del self._aside[number]
                self._rows[row] += reserved.used
                self._all += reserved.used
                self._changed.notify_all()

    def used(self, row: str | None = None) -> TokenUsage:
        """Return what `row`, or the whole run, has used; a call under way counts when it has ended."""
        with self._changed:
            return self._all if row is None else self._rows[row]

    def _fits(self, row: str, most: TokenUsage) -> bool:
        """Return whether a call fits beside those under way. Raises NoBudget if it never will."""
        others = [(of, aside) for of, aside in self._aside.values()]
        row_aside = sum((aside for of, aside in others if of == row), TokenUsage())
        all_aside = sum((aside for _, aside in others), TokenUsage())
        return self._fit("row_", self._rows[row], row_aside, most) and self._fit("", self._all, all_aside, most)

    def _fit(self, prefix: str, used: TokenUsage, aside: TokenUsage, most: TokenUsage) -> bool:
        budget, fits = self._budget, True
        for name in ("tokens", "cost"):
            cap: float | None = getattr(budget, prefix + name)
            if cap is not None:
                then = getattr(used, name) + getattr(most, name)
                if then > cap:
                    raise _no_budget(prefix + name, cap)
                fits = fits and then + getattr(aside, name) <= cap
        seconds: float | None = getattr(budget, f"{prefix}seconds")
        if seconds is not None and used.seconds >= seconds:
            raise _no_budget(f"{prefix}seconds", seconds)
        return fits


def _no_budget(name: str, cap: float) -> NoBudget:
    return NoBudget(f"[llm.budget] {name} = {cap:g} allows no further question")


class Reserved:
    """What one call has set aside. Attribute `used`: what it really used."""

    def __init__(self, prices: LlmPrices) -> None:
        self._prices = prices
        self.used = TokenUsage()

    def settle(self, asked: int, answered: int, seconds: float) -> TokenUsage:
        """Say what the call used; calls of one reservation add up."""
        self.used += TokenUsage(asked, answered, self._prices.cost(asked, answered), seconds)
        return self.used
