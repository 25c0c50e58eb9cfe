"""Hints at bounds in the source of an input validator. It is read as text; nothing is executed.

A validator compares what it reads with constants: `1 <= n <= 2 * 10**5`, `readInt(1, MAX_N)`,
`[a-z]{1,50}`. This module finds alphabets and words; `comparing` reads comparisons. It must not know the problem's
inputs: `bounds` brings the two together.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from balancer.pipeline.generators.learn.comparisons import find_pairs
from balancer.pipeline.generators.learn.hints import Alphabet, Bounds, Hints
from balancer.pipeline.generators.learn.source_tokens import lex
from balancer.program import Program

__all__ = ["alphabets_of", "read_validators", "vocabularies_of"]

_CLASS = re.compile(r"\[((?:\\.|[^\]\\^])+)\](?:\{(\d{1,8})(?:,(\d{0,8}))?\}|([+*]))?")
_DIGITS = re.compile(r"(0\|)?(-\?)?\[1-9\](?:\[0-9\]|\\d)\{0,(\d{1,2})\}")
_QUOTED = re.compile(r"[\"']([A-Za-z0-9_+*/<>=.#-]+)[\"']")
_LISTED = re.compile(
    r"[\[{(]\s*((?:[bu]?[\"'][A-Za-z0-9_+*/<>=.#-]+[\"']\s*,\s*)+[bu]?[\"'][A-Za-z0-9_+*/<>=.#-]+[\"'])\s*,?\s*[\]})]"
)
_ALTERNATIVES = re.compile(r"\((?:\?:)?([A-Za-z0-9_]+(?:\|[A-Za-z0-9_]+)+)\)")
_NO_LETTERS = frozenset(" \\%{}'\",:;\t")
_RANGE = re.compile(r"(.)-(.)|\\?(.)", re.DOTALL)
_MENTIONS = {
    "order": re.compile(r"sort|increas|ascend|decreas|descend|monoton|prev|last|pairwise|adjacent"),
    "distinct": re.compile(r"\bset\b|distinct|unique|duplicat|permut|seen|used|twice"),
    "connected": re.compile(r"connect|union|parent|root|tree|reach|component|visit"),
}


def read_validators(validators: Sequence[Program]) -> Hints:
    """Find hints in the sources of `validators`."""
    pairs: list[Bounds] = []
    constants: set[int] = set()
    alphabets: list[Alphabet] = []
    mentions: set[str] = set()
    vocabularies: list[tuple[str, ...]] = []
    for program in validators:
        tokens, texts = lex(program.source, python=program.language == "python")
        pairs += [pair for text in texts for pair in _digit_pairs(text)]
        pairs += find_pairs(tokens)
        vocabularies += vocabularies_of(program.source, texts)
        constants.update(token.value for token in tokens if token.value is not None)
        alphabets += [alphabet for text in texts for alphabet in alphabets_of(text)]
        mentions.update(topic for topic, pattern in _MENTIONS.items() if pattern.search(program.source.lower()))
        alphabets += [
            Alphabet("".join(sorted(set(text))), 1, 10**5) for text in map(_inside, texts) if _is_alphabet(text)
        ]
    return Hints(
        tuple(pairs),
        tuple(sorted(constants)),
        tuple(alphabets),
        frozenset(mentions),
        bool(validators),
        tuple(vocabularies),
    )


def _inside(text: str) -> str:
    return text.lstrip("rRbBuUfFL")[1:-1]


def _is_alphabet(text: str) -> bool:
    """Say whether a text lists letters: "abcdefghijklmnopqrstuvwxyz", "ACGT", ".#"."""
    sorts = sum(text[:1] <= one < other for one, other in pairwise(text)) == len(text) - 1
    if len(text) < 2 or len(set(text)) < len(text) or not text.isascii() or set(text) & _NO_LETTERS:
        return False
    signs = sum(not letter.isalnum() for letter in text)
    return len(text) >= 10 or (sorts and text.isupper()) or (signs >= 2 and not text.isidentifier())


def vocabularies_of(source: str, texts: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield listed words: {"add", "undo"} in code, (add|undo) in a regular expression."""
    for listed in _LISTED.findall(source):
        yield tuple(_QUOTED.findall(listed))
    for text in texts:
        for group in _ALTERNATIVES.findall(text):
            yield tuple(group.split("|"))


def _digit_pairs(text: str) -> Iterator[Bounds]:
    """Yield bounds told by a regular expression for a whole number, such as "[1-9][0-9]{0,4}"."""
    for zero, minus, digits in _DIGITS.findall(text):
        high = 10 ** (int(digits) + 1) - 1
        low = -high if minus else 0 if zero else 1
        yield Bounds(low, high, weight=0.4)


def alphabets_of(text: str) -> Iterator[Alphabet]:
    """Yield the alphabets of a regular expression."""
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
