"""Word patterns: words that consist of parts, such as "[+-][a-z]{1,20}", from a regular expression or seen words. Pure.

Reads the part of the syntax that describes words: letters, classes, groups, alternatives and repetitions.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import log2

__all__ = [
    "PartGroup",
    "WordPart",
    "WordPattern",
    "draw_parts",
    "length_of",
    "letters_in",
    "letters_of",
    "looseness",
    "matches",
    "read_patterns",
    "seen_pattern",
]

_LONGEST = 10**5  # of a part without a greatest length
_LEAST_BITS = 4.0  # of what a pattern leaves open; else it is a text, not a pattern
_FEW_SEEN = 3  # words from which their common structure is trusted
_MOST_TEXT, _MOST_DEPTH, _MOST_PARTS = 300, 5, 10_000  # of an expression: letters, groups in groups, parts of a word
_MOST_MATCHED = 1000  # letters of a word that is compared with a pattern
_LOWER, _UPPER, _DIGITS = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
_CLASSES = {"d": _DIGITS, "w": _LOWER + _UPPER + _DIGITS + "_"}
_RANGE = re.compile(r"(.)-(.)|\\?(.)", re.DOTALL)
_GROUP = re.compile(r"\((?:\?:)?")
_ATOM = re.compile(
    r"\[((?:\\.|[^\]\\^])+)\]|\\([dw])|\\?([^\w\s\\()\[\]{}?*+|.^$])|(\w)|\\(\.|[()\[\]{}?*+|^$])", re.ASCII
)
_TIMES = re.compile(r"\{(\d{1,6})(,)?(\d{0,6})\}|([?*+])")
_SPACE = re.compile(r"((?:\[[^\]]*\]|\\[^nrst]|[^\s\\\[])+)|.", re.DOTALL)  # words between white space


@dataclass(frozen=True, slots=True)
class WordPart:
    """From `least` to `most` of some letters."""

    letters: str
    least: int
    most: int


@dataclass(frozen=True, slots=True)
class PartGroup:
    """From `least` to `most` times one of some patterns."""

    choices: "tuple[WordPattern, ...]"
    least: int
    most: int


WordPattern = tuple[WordPart | PartGroup, ...]


def letters_of(inside: str) -> Iterator[str]:
    """Yield the letters of a character class."""
    for first, last, single in _RANGE.findall(inside):
        if single:
            yield single
        elif first.isascii() and last.isascii():
            yield from (chr(code) for code in range(ord(first), ord(last) + 1))


def read_patterns(text: str) -> Iterator[tuple[str, WordPattern]]:
    """Yield the words of several parts that a regular expression describes, with their own expression."""
    for word in filter(None, _SPACE.findall(text)):
        plain = word.strip("^$")
        if len(plain) > _MOST_TEXT:
            continue
        try:
            pattern = _Reader(plain).whole()
        except (ValueError, IndexError):
            continue
        if len(pattern) > 1 and looseness(pattern) >= _LEAST_BITS and _least_parts(pattern) <= _MOST_PARTS:
            yield plain, pattern


def _least_parts(pattern: WordPattern) -> int:
    """Return at least how many parts a word is drawn from."""
    return sum(
        1 if isinstance(part, WordPart) else 1 + part.least * max(map(_least_parts, part.choices)) for part in pattern
    )


def matches(pattern: WordPattern, word: str) -> bool:
    """Return whether a pattern describes a word. It keeps places, not ways: no expression of a package takes long."""
    return len(word) <= _MOST_MATCHED and len(word) in _ends(pattern, word, frozenset({0}))


def _ends(pattern: WordPattern, word: str, places: frozenset[int]) -> frozenset[int]:
    """Return where the pattern may end, if it begins at one of `places`."""
    for part in pattern:
        now, turn = places, 0
        found = set() if part.least else set(places)
        while now and turn < part.most:
            turn += 1
            if isinstance(part, WordPart):
                after = frozenset(at + 1 for at in now if at < len(word) and word[at] in part.letters)
            else:
                after = frozenset().union(*(_ends(choice, word, now) for choice in part.choices))
            if turn >= part.least and after <= found:  # further turns lead nowhere else
                break
            if after == now:  # only empty words
                found |= now
                break
            now = after
            if turn >= part.least:
                found |= now
        places = frozenset(found)
    return places


class _Reader:
    """Reads a regular expression. Raises ValueError if it is none of words."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = self._depth = 0

    def whole(self) -> WordPattern:
        """Return the pattern of the whole text."""
        found = self._choices()
        if self._at < len(self._text):
            raise ValueError
        return found[0] if len(found) == 1 else (PartGroup(found, 1, 1),)

    def _choices(self) -> tuple[WordPattern, ...]:
        found: list[list[WordPart | PartGroup]] = [[]]
        while self._text[self._at : self._at + 1] not in ("", ")"):
            if self._text[self._at] == "|":
                self._at += 1
                found.append([])
            else:
                found[-1].append(self._part())
        return tuple(map(tuple, found))

    def _part(self) -> WordPart | PartGroup:
        if (group := _GROUP.match(self._text, self._at)) is not None:
            self._at = group.end()
            self._depth += 1
            if self._depth > _MOST_DEPTH:
                raise ValueError
            choices = self._choices()
            self._depth -= 1
            if self._text[self._at : self._at + 1] != ")":
                raise ValueError
            self._at += 1
            return PartGroup(choices, *self._times())
        atom = _ATOM.match(self._text, self._at)
        if atom is None:
            raise ValueError
        self._at = atom.end()
        inside, named, *single = atom.groups()
        letters = "".join(letters_of(inside)) if inside else _CLASSES[named] if named else next(filter(None, single))
        kept = "".join(dict.fromkeys(letter for letter in letters if not letter.isspace()))
        if not kept:
            raise ValueError
        return WordPart(kept, *self._times())

    def _times(self) -> tuple[int, int]:
        times = _TIMES.match(self._text, self._at)
        if times is None:
            return 1, 1
        self._at = times.end()
        least, several, most, sign = times.groups()
        if sign:
            return int(sign == "+"), 1 if sign == "?" else _LONGEST
        return int(least), int(most or _LONGEST) if several else int(least)


@lru_cache(maxsize=64)
def length_of(pattern: WordPattern) -> tuple[int, int]:
    """Return the least and the greatest length of a word."""
    low = high = 0
    for part in pattern:
        inner = [(1, 1)] if isinstance(part, WordPart) else [length_of(choice) for choice in part.choices]
        low += part.least * min(least for least, _ in inner)
        high += part.most * max(most for _, most in inner)
    return low, min(high, _LONGEST)


def letters_in(pattern: WordPattern) -> str:
    inner = (part.letters if isinstance(part, WordPart) else "".join(map(letters_in, part.choices)) for part in pattern)
    return "".join(sorted(set("".join(inner))))


def looseness(pattern: WordPattern) -> float:
    """Return about how many words a pattern has, as the number of their bits."""
    return sum(
        min(part.most, 100)
        * (log2(len(part.letters)) if isinstance(part, WordPart) else 1 + max(map(looseness, part.choices)))
        for part in pattern
    )


def draw_parts(pattern: WordPattern, length: int, rng: random.Random) -> list[tuple[WordPart, int]]:
    """Return the parts of a word, in order, each with its length; together of `length` as far as they can."""
    parts = list(_chosen(pattern, rng))
    lengths = [part.least for part in parts]
    order = sorted(range(len(parts)), key=lambda index: (rng.random() < 0.5, parts[index].most), reverse=True)
    for index in order:
        more = min(max(length - sum(lengths), 0), parts[index].most - lengths[index])
        lengths[index] += more
    return list(zip(parts, lengths, strict=True))


def _chosen(pattern: WordPattern, rng: random.Random) -> Iterator[WordPart]:
    for part in pattern:
        if isinstance(part, WordPart):
            yield part
            continue
        for _ in range(rng.randint(part.least, min(part.most, part.least + rng.choice((1, 2, 8))))):
            yield from _chosen(rng.choice(part.choices), rng)


def seen_pattern(words: Sequence[str]) -> WordPattern:
    """Return the pattern of words that all have the same parts, such as +abc or 2026-01-02; () if there is none."""
    if len(words) < _FEW_SEEN or max(map(len, words)) > _MOST_MATCHED:
        return ()
    parts = [[(sort, "".join(run)) for sort, run in groupby(word, _sort)] for word in words]
    if len({tuple(sort for sort, _ in each) for each in parts}) > 1 or len(parts[0]) < 2:
        return ()
    found = []
    for column in zip(*parts, strict=True):
        runs = [run for _, run in column]
        low, high = min(map(len, runs)), max(map(len, runs))
        letters = column[0][0] or "".join(sorted(set("".join(runs))))
        found.append(WordPart(letters, low if low == high else 1, high if low == high else _LONGEST))
    return tuple(found)


def _sort(letter: str) -> str:
    return next((sort for sort in (_LOWER, _UPPER, _DIGITS) if letter in sort), "")
