"""Choices of one drawn input: how large its sizes are, and how the values of each read go.

A site is one read in the source of a validator. How it draws is decided once for an input: a column may be all equal,
sorted, of few values. A value is taken as a part of the range that holds at that moment. This module imports nothing of
this project: it is a part of a program that runs in the sandbox.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import isqrt
from random import Random
from typing import Any

__all__ = ["Choices", "NotDrawn", "Site", "TooMuch"]

_MOST_READS, _MOST_BYTES = 10**6, 8 * 10**6
_TOP = {"tiny": 4, "small": 12, "medium": 100}
_ROUNDED = 2**53
_UNBOUNDED = 4294967295  # more repeats of a regular expression are without end

Interval = tuple[int, int]
Mode = Callable[[int, int], int]


class NotDrawn(Exception):
    """The choices so far lead to no valid input. The message says why."""


class TooMuch(NotDrawn):
    """The sizes so far give an input of too many reads or bytes."""


@dataclass(slots=True, eq=False)
class Site:
    """A read of the validator.

    Attributes:
        number: of the site, from 0.
        is_size: whether its value counts something.
        depth: loops around it.
        chained: whether its range depends on the value of the turn before.
    """

    number: int
    is_size: bool = False
    depth: int = 0
    chained: bool = False


class Choices:
    """The choices of one input.

    Args:
        random: decides the values.
        plan: decides the modes, together with the size.
        size: "tiny", "small", "medium" or "large".
        most: the greatest size, if the input became too large before.
        known: words and lines of the samples: a program may look for some.
    """

    def __init__(
        self, random: Random, plan: str, size: str, most: int | None = None, known: Sequence[bytes] = ()
    ) -> None:
        self.random = random
        self._plan = plan
        self.known = known
        self.size = size
        self.most = most
        self.loops: list[list[int]] = []  # turn and number of turns of each loop
        self.reads = 0
        self.out: list[bytes] = []
        self.told: list[str] = []  # modes, for people
        self._modes: dict[int, Mode] = {}
        self._greatest = self._planned(-1).random() < 0.6
        self._pools: dict[int, _Words] = {}

    def _planned(self, number: int) -> Random:
        return Random(f"{self._plan}/{self.size}/{number}")

    # -- numbers ---------------------------------------------------------------------------------------

    def count_read(self) -> None:
        """Count a read. Raises TooMuch."""
        self.reads += 1
        if self.reads > _MOST_READS:
            raise TooMuch("too many reads")

    def remaining(self) -> int:
        """Return how many more values a site has in its innermost loop, this one included."""
        return self.loops[-1][1] - self.loops[-1][0] if self.loops else 1

    def whole(self, site: Site, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        if low > high:
            raise NotDrawn(f"a range from {low} to {high}")
        if site.chained and self.loops:
            return self._chained(site, low, high)
        if low == high:
            return low
        if site.is_size:
            return self._size(low, high)
        mode = self._modes.get(site.number)
        if mode is None:
            mode = self._modes[site.number] = self._mode(site)
        return mode(low, high)

    def _chained(self, site: Site, low: int, high: int) -> int:
        """Return a number that leaves room for those of the loop's later turns, which depend on it."""
        left = self.remaining()
        if site.is_size and self.size in _TOP:
            return self._size(low, max(low, low + (high - low) // left))
        most = max(0, high - low - (left - 1))
        mode = self._modes.get(site.number)
        if mode is None:
            mode = self._modes[site.number] = self._chain(self._planned(site.number))
        step = min(mode(left, most), most)
        return low + step

    def _chain(self, plan: Random) -> Mode:
        rng = self.random
        name = plan.choice(("even", "even", "tight", "loose", "first", "close"))
        self.told.append(f"steps {name}")
        jump = plan.random()
        modes: dict[str, Mode] = {
            "tight": lambda left, most: 0,
            "even": lambda left, most: rng.randint(0, 2 * most // left),
            "loose": lambda left, most: most // left,
            "first": lambda left, most: most if rng.random() < jump / left else 0,
            "close": lambda left, most: rng.randint(0, min(2, most // left)),
        }
        return modes[name]

    def _size(self, low: int, high: int) -> int:
        rng, turns = self.random, 1
        for turn, count in self.loops:
            turns *= count - turn
        high = max(low, min(high, (_MOST_READS - self.reads) // max(turns, 1)))
        if self.most is not None:
            high = max(low, min(high, self.most))
        if self.size in _TOP:
            top = _TOP[self.size]
            return rng.randint(low, min(high, max(top, low + top // 2)))
        if self._greatest:
            return high
        how = rng.randrange(6)
        if how == 0:
            return low
        if how == 1:
            return max(low, high // 2)
        if how == 2:
            return max(low, isqrt(max(high, 0)))
        if how == 3:
            return _log_uniform(rng, low, high)
        return high

    def _mode(self, site: Site) -> Mode:
        near, alone = self.size in ("tiny", "small"), site.depth == 0
        names = {(True, True): _NEAR_ALONE, (True, False): _NEAR_COLUMNS, (False, True): _ALONE}.get(
            (near, alone), _COLUMNS
        )
        plan = self._planned(site.number)
        name = plan.choice(names)
        self.told.append(name)
        return _MODES[name](self, plan)

    def at(self) -> tuple[int, int]:
        """Return turn and number of turns of the innermost loop that has several."""
        for turn, count in reversed(self.loops):
            if count > 1:
                return turn, count
        return 0, 1

    # -- words -----------------------------------------------------------------------------------------

    def word(self, site: Site, pattern: re.Pattern[bytes], length: int | None) -> bytes:
        """Return a word of `pattern`, of a `length` if that is given."""
        words = self._pools.get(site.number)
        if words is None:
            words = self._pools[site.number] = _Words(self, self._planned(site.number), pattern, site.depth)
        return words.next(length)


def _log_uniform(rng: Random, low: int, high: int) -> int:
    bits = rng.uniform(0, max(1, (high - low + 1).bit_length()))
    return min(high, low + int(2.0 ** min(bits, 1000)) - 1)


def _between(rng: Random, low: int, high: int) -> int:
    span = high - low + 1
    return low + int(rng.random() * span) if span < _ROUNDED else rng.randrange(low, high + 1)


# -- modes: how the values of a site go ---------------------------------------------------------------------


def _uniform(of: Choices, plan: Random) -> Mode:
    rng = of.random
    return lambda low, high: _between(rng, low, high)


def _few(of: Choices, plan: Random) -> Mode:
    rng = of.random
    parts = [plan.choice((0.0, 1.0, plan.random(), plan.random())) for _ in range(plan.randint(2, 4))]
    return lambda low, high: _part(low, high, parts[int(rng.random() * len(parts))])


def _equal(of: Choices, plan: Random) -> Mode:
    part = plan.choice((of.random.random(), of.random.random(), 0.0, 1.0))
    return lambda low, high: _part(low, high, part)


def _part(low: int, high: int, part: float) -> int:
    return high if part >= 1.0 else low + (high - low + 1) * int(part * _ROUNDED) // _ROUNDED


def _near(width: int) -> Callable[[Choices, Random], Mode]:
    """Values next to the least one, or to 0 if that is between."""

    def mode(of: Choices, plan: Random) -> Mode:
        rng = of.random
        wide = plan.randint(1, width)

        def near(low: int, high: int) -> int:
            first = max(low, -(wide // 2)) if low < 0 <= high else low
            return _between(rng, first, min(high, first + wide))

        return near

    return mode


def _sorted(down: bool) -> Callable[[Choices, Random], Mode]:
    def mode(of: Choices, plan: Random) -> Mode:
        rng = of.random

        def ordered(low: int, high: int) -> int:
            turn, count = of.at()
            part = (turn + rng.random()) / count
            return _part(low, high, 1 - part if down else part)

        return ordered

    return mode


def _up_and_down(of: Choices, plan: Random) -> Mode:
    def piped(low: int, high: int) -> int:
        turn, count = of.at()
        return _part(low, high, 1 - abs(1 - 2 * turn / max(count - 1, 1)))

    return piped


def _counting(of: Choices, plan: Random) -> Mode:
    """Every value once, while there are enough: in order, or in a jumping one."""
    jump = plan.choice((1, 1, -1, of.random.randrange(1, 10**6, 2)))
    first = plan.choice((0, 0, of.random.randrange(10**6)))
    made = iter(range(first, 10**12))
    return lambda low, high: low + next(made) * jump % (high - low + 1)


_MODES: dict[str, Callable[[Choices, Random], Mode]] = {
    "uniform": _uniform,
    "few values": _few,
    "all equal": _equal,
    "least": lambda of, plan: lambda low, high: low,
    "greatest": lambda of, plan: lambda low, high: high,
    "least + 1": lambda of, plan: lambda low, high: low + 1,
    "greatest - 1": lambda of, plan: lambda low, high: high - 1,
    "next to the least": _near(3),
    "near the least": _near(12),
    "logarithmic": lambda of, plan: lambda low, high: _log_uniform(of.random, low, high),
    "sorted up": _sorted(False),
    "sorted down": _sorted(True),
    "up and down": _up_and_down,
    "each once": _counting,
}
_ALONE = ("uniform", "uniform", "uniform", "least", "greatest", "greatest", "least + 1", "greatest - 1", "logarithmic")
_NEAR_ALONE = ("next to the least", "near the least", "near the least", *_ALONE)
_COLUMNS = (
    *("uniform", "uniform", "uniform", "few values", "all equal", "least", "greatest", "near the least"),
    *("logarithmic", "sorted up", "sorted down", "up and down", "each once", "each once"),
)
_NEAR_COLUMNS = ("next to the least", "next to the least", "near the least", "near the least", "few values", *_COLUMNS)


# -- words ------------------------------------------------------------------------------------------------


class _Words:
    """The words of one site: their letters, lengths and repetitions."""

    def __init__(self, of: Choices, plan: Random, pattern: re.Pattern[bytes], depth: int) -> None:
        rng = self._rng = of.random
        self._of = of
        parser: Any = re._parser if hasattr(re, "_parser") else import_module("sre_parse")  # before Python 3.11
        self._parsed = parser.parse(pattern.pattern, pattern.flags)
        self.least, self.most = (min(each, _UNBOUNDED) for each in self._parsed.getwidth())
        self._set = _one_set(self._parsed)
        self._letters = plan.choice(("all", "all", "all", "few", "few", "one", "mostly one"))
        self._order = plan.choice(("random", "random", "random", "random", "period", "sorted"))
        self._lengths = plan.choice(("any", "any", "longest", "shortest", "same"))
        first, many = rng.random(), plan.randint(2, 3)
        self._few = [(first + turn / many) % 1 for turn in range(many)]  # different ones, of two letters too
        self._period = [rng.random() for _ in range(plan.randint(2, 4))]
        self._again = plan.choice((0.0, 0.1, 0.5, 0.9)) if depth or of.known else 0.0
        self._known = [] if self._set else [word for word in of.known if pattern.fullmatch(word)]
        self._same: float = plan.random()
        of.told.append(f"letters {self._letters} {self._order}")

    def next(self, length: int | None) -> bytes:
        if self._set is not None:
            return self._set[self._letter(len(self._set), 0, 1)]
        if self._known and self._rng.random() < self._again:
            word = self._rng.choice(self._known)
            if length in (None, len(word)):
                return word
        length = self._length(self.least, self.most) if length is None else length
        word = b"".join(self._drawn(self._parsed, length))
        if len(self._known) < 100:
            self._known.append(word)
        return word

    def _length(self, low: int, high: int) -> int:
        alone = high < _UNBOUNDED and not self._of.loops
        top = _TOP.get(self._of.size, high if alone else 1000)
        high = max(low, min(high, max(top, low + top // 4), _MOST_BYTES // (4 * self._of.remaining())))
        if self._lengths == "longest":
            return high
        if self._lengths == "shortest":
            return low
        part = self._same if self._lengths == "same" else self._rng.random()
        return _part(low, high, part)

    def _letter(self, count: int, place: int, places: int) -> int:
        """Return the number of a letter, of `count`."""
        rng = self._rng
        part = rng.random()
        if places == 1:
            place, places = self._of.at()
        if self._order == "period":
            part = self._period[place % len(self._period)]
        elif self._order == "sorted":
            part = place / places
        if self._letters == "few":
            part = self._few[int(part * len(self._few))]
        elif self._letters == "one" or (self._letters == "mostly one" and rng.random() > 0.05):
            part = self._few[0]
        return int(part * count)

    def _drawn(self, parsed: Any, length: int) -> list[bytes]:
        """Return the parts of a word of about this length."""
        least = parsed.getwidth()[0]
        spare = max(0, length - least)
        widths = [_width(item) for item in parsed]
        open_ = [place for place, (low, high) in enumerate(widths) if high > low]
        extra = [0] * len(widths)
        for number, place in enumerate(self._rng.sample(open_, len(open_))):
            low, high = widths[place]
            share = spare if number == len(open_) - 1 else self._rng.randint(0, spare)
            extra[place] = min(share, high - low)
            spare -= extra[place]
        for place in open_:  # what the last one could not take
            more = min(spare, widths[place][1] - widths[place][0] - extra[place])
            extra[place] += more
            spare -= more
        made: list[bytes] = []
        for item, (low, _), more in zip(parsed, widths, extra, strict=True):
            made += self._item(item, low + more)
        return made

    def _item(self, item: Any, length: int) -> list[bytes]:
        name, value = str(item[0]), item[1]
        if name == "BRANCH":
            fitting = [each for each in value[1] if each.getwidth()[0] <= length <= each.getwidth()[1]]
            return self._drawn(self._rng.choice(fitting or value[1]), length)
        if name == "SUBPATTERN":
            return self._drawn(value[-1], length)
        if name.endswith("_REPEAT"):
            return self._repeated(value, length)
        letters = _letters(item)
        return [letters[self._letter(len(letters), 0, 1)]] if letters else []

    def _repeated(self, value: Any, length: int) -> list[bytes]:
        least, most, inner = value
        low, high = inner.getwidth()
        if len(inner) == 1 and (letters := _letters(inner[0])):
            count = min(max(length, least), most)
            return [letters[self._letter(len(letters), place, max(count, 2))] for place in range(count)]
        fewest = max(least, -(-length // max(high, 1)))
        count = min(most, max(fewest, self._rng.randint(fewest, max(fewest, length // max(low, 1)))))
        made: list[bytes] = []
        for turn in range(count):
            share = length // (count - turn)
            drawn = self._drawn(inner, share)
            length -= sum(map(len, drawn))
            made += drawn
        return made


def _width(item: Any) -> Interval:
    name, value = str(item[0]), item[1]
    if name == "BRANCH":
        widths = [each.getwidth() for each in value[1]]
        return min(low for low, _ in widths), max(high for _, high in widths)
    if name == "SUBPATTERN":
        low, high = value[-1].getwidth()
        return low, min(high, _UNBOUNDED)
    if name.endswith("_REPEAT"):
        low, high = value[2].getwidth()
        return low * value[0], min(high * min(value[1], _UNBOUNDED), _UNBOUNDED)
    return (1, 1) if _letters(item) else (0, 0)


def _one_set(parsed: Any) -> list[bytes] | None:
    return _letters(parsed[0]) if len(parsed) == 1 else None


_KNOWN_LETTERS: dict[int, tuple[Any, list[bytes] | None]] = {}


def _letters(item: Any) -> list[bytes] | None:
    """Return the letters of an item that is one letter; None if it is another one."""
    known = _KNOWN_LETTERS.get(id(item))
    if known is None or known[0] is not item:
        known = _KNOWN_LETTERS[id(item)] = item, _found_letters(item)
    return known[1]


def _found_letters(item: Any) -> list[bytes] | None:
    name, value = str(item[0]), item[1]
    if name == "LITERAL":
        return [bytes([value])]
    if name == "ANY":
        return [bytes([code]) for code in range(32, 127)]
    if name == "NOT_LITERAL":
        return [bytes([code]) for code in range(32, 127) if code != value]
    if name != "IN":
        return None
    codes: set[int] = set()
    negated = False
    for kind, what in value:
        if str(kind) == "NEGATE":
            negated = True
        elif str(kind) == "LITERAL":
            codes.add(what)
        elif str(kind) == "RANGE":
            codes |= set(range(what[0], what[1] + 1))
    if negated:
        codes = set(range(32, 127)) - codes
    return [bytes([code]) for code in sorted(codes)]
