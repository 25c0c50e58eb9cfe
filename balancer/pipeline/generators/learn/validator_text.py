"""Validator text: hints at bounds in the source of an input validator. Nothing is executed.

A validator compares its input with constants: `1 <= n <= 2 * 10**5`, `readInt(1, MAX_N)`, `[a-z]{1,50}`. This module
finds alphabets, and constants that bound something, in pairs if possible. They are in the order in which the bounded
names first appear. A bound may be open: `n < 100001`. The greatest value is then one less.

Of a checktestdata grammar, only the grammar is read, not what runs it.
"""

import re
from ast import literal_eval
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, takewhile
from keyword import iskeyword

from balancer.pipeline.generators.learn.bounds import Alphabet, Bounds, Hints
from balancer.pipeline.generators.learn.source_tokens import SourceToken, lex
from balancer.program import Program

__all__ = ["read_validators"]

_CLASS = re.compile(r"\[((?:\\.|[^\]\\^])+)\](?:\{(\d{1,8})(?:,(\d{0,8}))?\}|([+*]))?")
_DIGITS = re.compile(r"(0\|)?(-\?)?\[1-9\](?:\[0-9\]|\\d)\{0,(\d{1,2})\}")
_RANGE = re.compile(r"(.)-(.)|\\?(.)", re.DOTALL)
_NO_LETTERS = frozenset(" \\%{}'\",:;\t")
_MENTIONS = {
    "order": re.compile(r"sort|increas|ascend|decreas|descend|monoton|prev|last|pairwise|adjacent"),
    "distinct": re.compile(r"\bset\b|distinct|unique|duplicat|permut|seen|used|twice|(?:\bnot |!)\s*\w+\[[A-Za-z_]"),
    "connected": re.compile(r"connect|union|parent|root|tree|reach|component|visit"),
}
_COMPARISONS = frozenset({"<", "<=", ">", ">="})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "//", "%", "**", "<<", ">>"})
# Calls whose numbers are no bounds.
_DEAF = frozenset({"exit", "_exit", "quit", "range", "split", "substr", "resize", "reserve", "assign", "setprecision"})
_ENDS = frozenset({"\n", ";", ":", "{"})  # of statements
_PAIR_DISTANCE = 14  # tokens between "1 <=" and "<= 100", as in "1 <= int(a[0]) and int(a[0]) <= 100"
_AGGREGATES = re.compile(r"(?:^|_)prod|(?:^|_)(?:sum|total|tot)|(?:sum|total|tot)(?:$|_)|^(?:sum|tot)", re.IGNORECASE)
_WORDS = re.compile(r"string|word|line|token|str$", re.IGNORECASE)
_GRAMMAR = re.compile(r"^GRAMMAR = (b[\"'].*)$", re.MULTILINE)
_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_OPEN_HIGH = frozenset({"<", ">="})  # "n < 9" accepts, "n >= 9" refuses
_OPEN_LOW = frozenset({">", "<="})


def read_validators(validators: Sequence[Program]) -> Hints:
    """Return the hints in the sources of `validators`."""
    pairs: list[Bounds] = []
    constants: set[int] = set()
    alphabets: list[Alphabet] = []
    mentions: set[str] = set()
    for program in validators:
        source, python = _source_of(program), program.language == "python"
        tokens, texts = lex(source, python=python)
        pairs += [pair for text in texts for pair in _digit_pairs(text)]
        pairs += find_pairs(tokens, grammar=source is not program.source)
        constants.update(token.value for token in tokens if token.value is not None)
        alphabets += [alphabet for text in texts for alphabet in alphabets_of(text)]
        mentions.update(topic for topic, pattern in _MENTIONS.items() if pattern.search(source.lower()))
        alphabets += [Alphabet("".join(sorted(set(text))), 1) for text in map(_inside, texts) if _is_alphabet(text)]
    return Hints(
        tuple(pairs),
        tuple(sorted(constants)),
        tuple(alphabets),
        frozenset(mentions),
        bool(validators),
    )


def _source_of(program: Program) -> str:
    """Return the source; of a program that follows a grammar, the grammar."""
    grammar = _GRAMMAR.search(program.source) if program.name.endswith(".ctd") else None
    if grammar is None:
        return program.source
    return bytes(literal_eval(grammar[1])).decode(errors="replace")


def _inside(text: str) -> str:
    return text.lstrip("rRbBuUfFL")[1:-1]


def _is_alphabet(text: str) -> bool:
    """Return whether a text lists letters: "abcdefghijklmnopqrstuvwxyz", "ACGT", ".#"; "[.#]" is an expression."""
    sorts = sum(text[:1] <= one < other for one, other in pairwise(text)) == len(text) - 1
    if len(text) < 2 or len(set(text)) < len(text) or not text.isascii() or set(text) & _NO_LETTERS:
        return False
    if _CLASS.fullmatch(text):
        return False
    signs = sum(not letter.isalnum() for letter in text)
    return len(text) >= 10 or (sorts and text.isupper()) or (signs >= 2 and not text.isidentifier())


def _digit_pairs(text: str) -> Iterator[Bounds]:
    """Yield bounds from a regular expression for a whole number, such as "[1-9][0-9]{0,4}"."""
    for zero, minus, digits in _DIGITS.findall(text):
        high = 10 ** (int(digits) + 1) - 1
        low = -high if minus else 0 if zero else 1
        yield Bounds(low, high, weight=0.4)


def alphabets_of(text: str) -> Iterator[Alphabet]:
    """Yield the alphabets of a regular expression."""
    for inside, shortest, longest, sign in _CLASS.findall(text):
        letters = "".join(sorted(set(_letters_of(inside))))
        if letters.strip() and not letters.isdigit():
            least = int(shortest or (0 if sign == "*" else 1))
            most = None if sign else max(int(longest or shortest or 1), least)
            yield Alphabet(letters.replace(" ", ""), least, most)


def _letters_of(inside: str) -> Iterator[str]:
    """Yield the letters of a character class."""
    for first, last, single in _RANGE.findall(inside):
        if single:
            yield single
        elif first.isascii() and last.isascii():
            yield from (chr(code) for code in range(ord(first), ord(last) + 1))


def find_pairs(tokens: Sequence[SourceToken], *, grammar: bool) -> list[Bounds]:
    """Return the pairs, ordered by the first occurrence of the names they bound, without bounds of sums or products.

    In a `grammar`, everything is read where it stands.
    """
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
            pair: Bounds | None = _closed(tokens, Bounds(tokens[index].value, tokens[partner].value), index, last)
        else:
            last, pair = index, _lone(tokens, index)
        position += 1 if last == index else 2
        if pair is not None and pair.high is not None and _is_aggregate(tokens, index, last):
            continue
        if pair is not None and _WORDS.search(tokens[index].call):
            pair = replace(pair, of_words=True)
        if pair is not None:
            found.append((index if grammar else _place(tokens, index, last, first_seen), index, pair))
    return [pair for _, _, pair in sorted(found, key=lambda item: item[:2])]


def _place(tokens: Sequence[SourceToken], index: int, last: int, first_seen: Mapping[str, int]) -> int:
    """Return where the bounded thing is read: in a call that reads from a stream, else where its name first appears."""
    start = index
    while start > 0 and tokens[start].text not in _ENDS and not tokens[start].called:
        start -= 1
    if tokens[start].text == tokens[index].call and _text(tokens, start - 1) == ">>":
        return index
    return first_seen.get(_bounded_name(tokens, index, last), index)


def _closed(tokens: Sequence[SourceToken], pair: Bounds, low_at: int, high_at: int) -> Bounds:
    """Return a pair of closed bounds: for whole numbers, an open one is moved by 1."""
    low = pair.low is not None and _compared(tokens, low_at) in _OPEN_LOW
    high = pair.high is not None and _compared(tokens, high_at) in _OPEN_HIGH
    return replace(
        pair,
        low=None if pair.low is None else pair.low + low,
        high=None if pair.high is None else pair.high - high,
        open_low=low,
        open_high=high,
    )


def _compared(tokens: Sequence[SourceToken], index: int) -> str:
    """Return the sign between a name and this token, as if the name stood before it; "" if there is none."""
    before, after = _text(tokens, index - 1), _text(tokens, index + 1)
    if before in _COMPARISONS and after not in _COMPARISONS:
        return before
    return _FLIPPED.get(after, "") if before not in _COMPARISONS else ""


def _is_bound(tokens: Sequence[SourceToken], index: int) -> bool:
    if tokens[index].value is None or tokens[index].subscript or tokens[index].call in _DEAF:
        return False
    before, after = _text(tokens, index - 1), _text(tokens, index + 1)
    if before in _ARITHMETIC or after in _ARITHMETIC or before in ("return", "="):
        return False
    return before in _COMPARISONS or after in _COMPARISONS or "," in (before, after)


def _is_aggregate(tokens: Sequence[SourceToken], one: int, last: int) -> bool:
    """Return whether a sum or a product is bounded, as in "total <= 10**6" or "sum(sizes) > 10**6"."""
    if not {_text(tokens, one - 1), _text(tokens, one + 1)} & _COMPARISONS:
        return False
    nearby = [*tokens[one + 1 : last], *_statement(list(reversed(tokens[max(one - 24, 0) : one])))]
    return any(_AGGREGATES.search(token.text) for token in nearby)


def _is_pair(tokens: Sequence[SourceToken], one: int, other: int) -> bool:
    low, high = tokens[one], tokens[other]
    if low.value is None or high.value is None or low.value >= high.value or other - one > _PAIR_DISTANCE:
        return False
    between = {token.text for token in tokens[one + 1 : other]}
    return between == {","} or (bool(between & _COMPARISONS) and not between & _ENDS)


def _lone(tokens: Sequence[SourceToken], index: int) -> Bounds | None:
    """Return the bound of a constant without a partner: a low bound beside a name, or a high bound."""
    value = tokens[index].value
    after = _text(tokens, index + 1), _text(tokens, index + 2), _text(tokens, index + 3)
    chain = after[0] in ("<", "<=") and after[1].isidentifier() and after[2] in ("<", "<=")
    listed = after[0] == "," and after[1].isidentifier() and after[2] in (")", ",")
    if chain or (listed and tokens[index].call):
        return _closed(tokens, Bounds(value, None), index, index)
    if value is None or value < 3 or _text(tokens, index - 1) not in _COMPARISONS:
        return None
    absolute = any(token.text == "abs" for token in tokens[max(index - 12, 0) : index])
    pair = _closed(tokens, Bounds(None, value, weight=0.8), index, index)
    return replace(pair, low=-pair.high) if absolute and pair.high is not None else pair


def _bounded_name(tokens: Sequence[SourceToken], one: int, last: int) -> str:
    """Return the bounded name: after "1 <=", before "<= 9", or the first other one in the call."""
    if last == one and _text(tokens, one + 1) in _COMPARISONS:
        last = one + 8
    nearby = [*_statement(tokens[one + 1 : last]), *_statement(list(reversed(tokens[max(one - 8, 0) : one])))]
    names = (token.text for token in nearby if token.value is None and not token.called)
    return next((name for name in names if name.isidentifier() and not iskeyword(name)), "")


def _statement(tokens: Sequence[SourceToken]) -> Iterator[SourceToken]:
    return takewhile(lambda token: token.text not in _ENDS, tokens)


def _text(tokens: Sequence[SourceToken], index: int) -> str:
    return tokens[index].text if 0 <= index < len(tokens) else ""
