"""Refusals in words: what a validator's message tells to change in an input. Pure.

"m is wrong, should be 5", "line 3: 7 is not in [1, 5]", "expected 4, got 6": a number of the message that stands in the
input becomes another number of the message, or one within its range.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.search.mending import anyhow, replaced

__all__ = ["change_by_words", "line_of", "mend_by_words"]

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,18}(?![\w.]*\w)")
_RANGE = re.compile(r"([\[(])\s*(-?\d{1,18})\s*(?:,|\.\.+|;)\s*(-?\d{1,18})\s*([\])])")
_LINE = re.compile(r"\b(?:line|row|ln)\b\W{0,3}(\d{1,7})|\b(\d{1,7}):\d{1,7}\b", re.IGNORECASE)
_FURTHER = (0, 1, 2, 5, 20)
_GUIDED = 0.8  # share of the changes that the message tells


_ROUNDS = 10  # runs of the validator on all inputs
_KNOWN = 0.8  # share of valid inputs from which nothing needs mending
_BACK = 0.05  # share of the changes that are kept though the validator gets less far


@dataclass(slots=True)
class _Refused:
    """An input on its way: what the validator says of it, and how many changes made it."""

    text: str
    message: str
    changes: int = 0

    def hear(self, text: str, message: str, rng: random.Random) -> None:
        """Take a changed input that is refused too, if the validator gets as far."""
        line, before = line_of(message) or 0, line_of(self.message) or 0
        if line >= before or rng.random() < _BACK:
            self.text, self.message, self.changes = text, message, self.changes + (text != self.text)


def mend_by_words(
    refusals: Callable[[Sequence[bytes]], Sequence[str | None]],
    texts: Sequence[str],
    known: Sequence[str],
    rng: random.Random,
) -> list[tuple[str, int]]:
    """Return the inputs that a validator accepts after some changes, and how many changes made each.

    Empty if it accepts most of them as they are: then no relation is missing.

    `refusals` tells what it says on inputs: see `Comparer`.
    """
    found: dict[str, int] = {}
    first = refusals([_bytes(text) for text in texts])
    left = [_Refused(text, message) for text, message in zip(texts, first, strict=True) if message]
    if len(texts) - len(left) >= _KNOWN * len(texts):
        return []
    for _ in range(_ROUNDS):
        changed = [change_by_words(each.text, each.message, known, rng) for each in left]
        messages = refusals([_bytes(text) for text in changed])
        for each, text, message in zip(left, changed, messages, strict=True):
            if message:
                each.hear(text, message, rng)
            elif message is not None and text not in known:
                found.setdefault(text, each.changes + 1)
        left = [each for each, message in zip(left, messages, strict=True) if message]
        if not left:
            break
    return list(found.items())


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def line_of(message: str) -> int | None:
    """Return the number of the line that a message names, from 1 on; None if it names none."""
    found = _LINE.search(message)
    return None if found is None else int(found[1] or found[2])


def change_by_words(text: str, message: str, known: Sequence[str], rng: random.Random) -> str:
    """Return an input with one change that a message suggests, or a random one near the line that it names."""
    line = line_of(message)
    at = len(text) if line is None else _end_of(text, line)
    pairs = list(_pairs(text, _LINE.sub(" ", message), at, rng))
    if pairs and rng.random() < _GUIDED:
        rng.shuffle(pairs)
        for old, new in pairs:
            changed = replaced(text, old, new, at, rng)
            if changed is not None and changed != text:
                return changed
    return anyhow(text, at, known, rng)


def _end_of(text: str, line: int) -> int:
    lines = text.split("\n")[:line]
    return min(sum(len(each) + 1 for each in lines), len(text))


def _pairs(text: str, message: str, at: int, rng: random.Random) -> Iterator[tuple[str, str]]:
    """Yield tokens of the input with what they may become."""
    ranges = [
        (int(low) + (left == "("), int(high) - (right == ")")) for left, low, high, right in _RANGE.findall(message)
    ]
    numbers = list(dict.fromkeys(_NUMBER.findall(_RANGE.sub(" ", message))))
    there = {*text.split()}
    for old in numbers:
        yield from ((old, new) for new in numbers if new != old and old in there)
        yield from ((old, str(_of(low, high, rng))) for low, high in ranges if old in there and low <= high)
    if len(numbers) == 1 and not ranges:  # "m is wrong, should be 5": some token before is m
        tokens = text[:at].split()
        head = text.split("\n", 1)[0].split()
        yield from ((each, numbers[0]) for each in (*head, *tokens[-3:]) if each.removeprefix("-").isdigit())


def _of(low: int, high: int, rng: random.Random) -> int:
    near = rng.choice((low + rng.choice(_FURTHER), high - rng.choice(_FURTHER)))
    return near if low <= near <= high and rng.random() < 0.5 else rng.randint(low, high)
