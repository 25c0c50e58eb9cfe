"""Read an input validator as text, for hints at the bounds of what is valid. Nothing is ever executed.

A validator compares what it reads with constants: `1 <= n <= 2 * 10**5`, `readInt(1, MAX_N)`,
`[a-z]{1,50}`. This module finds such constants, as pairs where they come in pairs, in the order in which the
things that they bound first appear. It must not know the problem's inputs: `bounds` brings the two together.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from keyword import iskeyword

from balancer.pipeline.generators.learn.constants import Token, lex
from balancer.program import Program

__all__ = ["Alphabet", "Bounds", "Hints", "mine"]

_COMPARISONS = frozenset({"<", "<=", ">", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "**", "<<", ">>"})
# Calls whose numbers bound nothing.
_DEAF = frozenset({"exit", "_exit", "quit", "range", "split", "substr", "resize", "reserve", "assign", "setprecision"})
_ENDS = frozenset({"\n", ";", ":", "{"})  # of statements
_PAIR_DISTANCE = 14  # tokens between "1 <=" and "<= 100", as in "1 <= int(a[0]) and int(a[0]) <= 100"

_CLASS = re.compile(r"\[((?:\\.|[^\]\\^])+)\](?:\{(\d{1,8})(?:,(\d{0,8}))?\}|([+*]))?")
_DIGITS = re.compile(r"(0\|)?(-\?)?\[1-9\](?:\[0-9\]|\\d)\{0,(\d{1,2})\}")
_RANGE = re.compile(r"(.)-(.)|\\?(.)", re.DOTALL)
_MENTIONS = {
    "order": re.compile(r"sort|increas|ascend|decreas|descend|monoton|prev|last|pairwise|adjacent"),
    "distinct": re.compile(r"\bset\b|distinct|unique|duplicat|permut|seen|used|twice"),
    "connected": re.compile(r"connect|union|parent|root|tree|reach|component|visit"),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bounds of one number, as far as they are constants; `weight` says how much they look like bounds."""

    low: int | None
    high: int | None
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Alphabet:
    """A character class of a regular expression, and how many of its characters make a word."""

    letters: str
    shortest: int
    longest: int


@dataclass(frozen=True, slots=True)
class Hints:
    """What was found.

    Args:
        pairs: in the order in which the things they bound first appear.
        constants: every constant, sorted.
        alphabets: in the order of the text.
        mentions: "order", "distinct" or "connected" if there is any talk of it, in code, texts or comments.
        known: whether there was a validator at all.
    """

    pairs: tuple[Bounds, ...] = ()
    constants: tuple[int, ...] = ()
    alphabets: tuple[Alphabet, ...] = ()
    mentions: frozenset[str] = frozenset()
    known: bool = False


def mine(validators: Sequence[Program]) -> Hints:
    """Find hints in the sources of `validators`."""
    pairs: list[Bounds] = []
    constants: set[int] = set()
    alphabets: list[Alphabet] = []
    mentions: set[str] = set()
    for program in validators:
        tokens, texts = lex(program.source, python=program.language == "python")
        pairs += [pair for text in texts for pair in _digit_pairs(text)]
        pairs += _pairs(tokens)
        constants.update(token.value for token in tokens if token.value is not None)
        alphabets += [alphabet for text in texts for alphabet in _alphabets(text)]
        mentions.update(topic for topic, pattern in _MENTIONS.items() if pattern.search(program.source.lower()))
    return Hints(tuple(pairs), tuple(sorted(constants)), tuple(alphabets), frozenset(mentions), bool(validators))


def _digit_pairs(text: str) -> Iterator[Bounds]:
    """Yield bounds told by a regular expression for a whole number, such as "[1-9][0-9]{0,4}"."""
    for zero, minus, digits in _DIGITS.findall(text):
        high = 10 ** (int(digits) + 1) - 1
        low = -high if minus else 0 if zero else 1
        yield Bounds(low, high, weight=0.4)


def _alphabets(text: str) -> Iterator[Alphabet]:
    for inside, shortest, longest, sign in _CLASS.findall(text):
        letters = "".join(sorted(set(_letters(inside))))
        if letters.strip() and not letters.isdigit():
            least = int(shortest or (0 if sign == "*" else 1))
            most = int(longest or (shortest if shortest and not sign else 10**5 if sign else 1))
            yield Alphabet(letters.replace(" ", ""), least, max(most, least))


def _letters(inside: str) -> Iterator[str]:
    for first, last, single in _RANGE.findall(inside):
        if single:
            yield single
        elif first.isascii() and last.isascii():
            yield from (chr(code) for code in range(ord(first), ord(last) + 1))


def _pairs(tokens: Sequence[Token]) -> list[Bounds]:
    """Return the pairs, ordered by where the name that they bound first appears."""
    first_seen: dict[str, int] = {}
    for index, token in enumerate(tokens):
        first_seen.setdefault(token.text, index)
    found = []
    bounds = [index for index, token in enumerate(tokens) if _is_bound(tokens, index)]
    position = 0
    while position < len(bounds):
        index = bounds[position]
        partner = bounds[position + 1] if position + 1 < len(bounds) else None
        if partner is not None and _is_pair(tokens, index, partner):
            last: int = partner
            pair: Bounds | None = Bounds(tokens[index].value, tokens[partner].value)
        else:
            last, pair = index, _lone(tokens, index)
        position += 1 if last == index else 2
        if pair is not None:
            name = _bounded_name(tokens, index, last)
            found.append((_table_use(tokens, index) or first_seen.get(name, index), index, pair))
    return [pair for _, _, pair in sorted(found, key=lambda item: item[:2])]


def _is_bound(tokens: Sequence[Token], index: int) -> bool:
    """Say whether a token is a constant that may bound something."""
    if tokens[index].value is None or tokens[index].subscript or tokens[index].call in _DEAF:
        return False
    before, after = _text(tokens, index - 1), _text(tokens, index + 1)
    if before in _ARITHMETIC or after in _ARITHMETIC or before in ("return", "="):
        return False
    return before in _COMPARISONS or after in _COMPARISONS or "," in (before, after)


def _is_pair(tokens: Sequence[Token], one: int, other: int) -> bool:
    low, high = tokens[one], tokens[other]
    if low.value is None or high.value is None or low.value >= high.value or other - one > _PAIR_DISTANCE:
        return False
    between = {token.text for token in tokens[one + 1 : other]}
    return between == {","} or (bool(between & _COMPARISONS) and not between & _ENDS)


def _lone(tokens: Sequence[Token], index: int) -> Bounds | None:
    """Read a constant without a partner: a low bound beside a name, or a high bound."""
    value = tokens[index].value
    after = _text(tokens, index + 1), _text(tokens, index + 2), _text(tokens, index + 3)
    chain = after[0] in ("<", "<=") and after[1].isidentifier() and after[2] in ("<", "<=")
    listed = after[0] == "," and after[1].isidentifier() and after[2] in (")", ",")
    if chain or (listed and tokens[index].call):
        return Bounds(value, None)
    if value is None or value < 3 or _text(tokens, index - 1) not in _COMPARISONS:
        return None
    absolute = any(token.text == "abs" for token in tokens[max(index - 12, 0) : index])
    return Bounds(-value if absolute else None, value, weight=0.8)


def _bounded_name(tokens: Sequence[Token], one: int, last: int) -> str:
    """Return the name that is bounded: after "1 <=", before "<= 9", or the first other one in the call."""
    if last == one and _text(tokens, one + 1) in _COMPARISONS:
        last = one + 8
    nearby = [*_statement(tokens[one + 1 : last]), *_statement(list(reversed(tokens[max(one - 8, 0) : one])))]
    names = (token.text for token in nearby if token.value is None and not token.called)
    return next((name for name in names if name.isidentifier() and not iskeyword(name)), "")


def _table_use(tokens: Sequence[Token], index: int) -> int | None:
    """Return where a table of bounds is used that the constant stands in: BOUNDS = {"add": (-5, 5), "undo": (0, 9)}."""
    start = index
    while start > 0 and tokens[start - 1].text not in ("\n", ";"):
        start -= 1
    name = tokens[start].text
    if tokens[index].call.isidentifier() or not name.isidentifier() or _text(tokens, start + 1) != "=":
        return None
    return next((later for later in range(index, len(tokens)) if tokens[later].text == name), None)


def _statement(tokens: Sequence[Token]) -> Iterator[Token]:
    """Yield tokens up to the end of the statement."""
    return takewhile(lambda token: token.text not in _ENDS, tokens)


def _text(tokens: Sequence[Token], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""
