"""Refusals in words: what a validator's message tells to change in an input. Pure.

"m is wrong, should be 5", "line 3: 7 is not in [1, 5]", "expected 4, got 6": a number of the message that stands in the
input becomes another number of the message, or one within its range.
"""

import random
import re
from collections.abc import Iterator, Sequence

from balancer.pipeline.generators.search.mending import anyhow, replaced

__all__ = ["change_by_words", "line_of"]

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,18}(?![\w.]*\w)")
_RANGE = re.compile(r"([\[(])\s*(-?\d{1,18})\s*(?:,|\.\.+|;)\s*(-?\d{1,18})\s*([\])])")
_LINE = re.compile(r"\b(?:line|row|ln)\b\W{0,3}(\d{1,7})|\b(\d{1,7}):\d{1,7}\b", re.IGNORECASE)
_FURTHER = (0, 1, 2, 5, 20)
_GUIDED = 0.8  # share of the changes that the message tells


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
