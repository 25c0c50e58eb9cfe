"""What a model may use: tokens, money and time, of a row and of the whole run.

Decides before each call whether it may be made. What a call will use is not known before, so a call sets aside what it
can use at the most, and gives back the rest. Thread-safe. It must not know what is asked.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from balancer.settings.llm import LlmBudget, LlmPrices

__all__ = ["Account", "NoBudget", "Used"]


class NoBudget(Exception):
    """The budget does not allow another call; one line says which part of it."""


@dataclass(frozen=True, slots=True)
class Used:
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

    def __add__(self, other: "Used") -> "Used":
        return Used(
            self.asked + other.asked,
            self.answered + other.answered,
            self.cost + other.cost,
            self.seconds + other.seconds,
        )

    def __sub__(self, other: "Used") -> "Used":
        return self + Used(-other.asked, -other.answered, -other.cost, -other.seconds)


class Account:
    """What has been used and set aside, of each row and of all together.

    Args:
        budget: the caps.
        prices: what tokens cost.
        before: row -> what earlier sessions of the run used for it.
    """

    def __init__(self, budget: LlmBudget, prices: LlmPrices, before: dict[str, Used] | None = None) -> None:
        self._budget = budget
        self._prices = prices
        self._lock = threading.Lock()
        self._rows: defaultdict[str, Used] = defaultdict(Used, before or {})
        self._all = sum((before or {}).values(), Used())

    @contextmanager
    def reserve(self, row: str, asked: int, answered: int, seconds: float) -> Iterator["Reserved"]:
        """Set aside what a call may use at the most; after the block only what `Reserved.settle` was told is booked.

        Raises:
            NoBudget: a cap does not allow it.
        """
        most = Used(asked, answered, self._prices.cost(asked, answered), seconds)
        with self._lock:
            self._check(row, most)
            self._book(row, most)
        reserved = Reserved(self._prices)
        try:
            yield reserved
        finally:
            with self._lock:
                self._book(row, reserved.used - most)

    def used(self, row: str | None = None) -> Used:
        """Return what `row`, or the whole run, has used; what is set aside counts."""
        with self._lock:
            return self._all if row is None else self._rows[row]

    def _book(self, row: str, used: Used) -> None:
        self._rows[row] += used
        self._all += used

    def _check(self, row: str, most: Used) -> None:
        budget = self._budget
        row_then, all_then = self._rows[row] + most, self._all + most
        for name, cap, then in (
            ("row_tokens", budget.row_tokens, row_then.tokens),
            ("row_cost", budget.row_cost, row_then.cost),
            ("row_seconds", budget.row_seconds, row_then.seconds - most.seconds),
            ("tokens", budget.tokens, all_then.tokens),
            ("cost", budget.cost, all_then.cost),
            ("seconds", budget.seconds, all_then.seconds - most.seconds),
        ):
            if cap is not None and then > cap:
                raise NoBudget(f"[llm.budget] {name} = {cap:g} allows no further question")


class Reserved:
    """What one call has set aside. Attribute `used`: what it really used."""

    def __init__(self, prices: LlmPrices) -> None:
        self._prices = prices
        self.used = Used()

    def settle(self, asked: int, answered: int, seconds: float) -> Used:
        """Say what the call used; calls of one reservation add up."""
        self.used += Used(asked, answered, self._prices.cost(asked, answered), seconds)
        return self.used
