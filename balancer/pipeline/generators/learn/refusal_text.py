"""The text of a validator's refusal: the range it names, and the kind of rule that was broken.

Reads words that people write for people, so it may miss much; what it returns is taken as said. Pure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from balancer.pipeline.generators.learn.formula import number_at_start, plain
from balancer.pipeline.generators.learn.rules import RuleKind

__all__ = ["NamedRange", "named_kinds", "named_ranges"]

_SHOWN_LINES = 4  # the last ones: before them is a traceback
_NUMBER = r"(-?\d[\d.^*e+]*)"
_RANGES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"[\[(]\s*{_NUMBER}\s*(?:,|;|\.\.+|\s-\s|and|to)\s*{_NUMBER}\s*[\])]",
        rf"(?:between|from|within|range)\s+{_NUMBER}\s*(?:and|to|,|\.\.+|-)\s*{_NUMBER}",
        rf"{_NUMBER}\s*<=?\s*[A-Za-z_]\w*\s*<=?\s*{_NUMBER}",
        rf"{_NUMBER}\s*\.\.+\s*{_NUMBER}",
    )
)
_MOST = re.compile(
    rf"(?:at most|no more than|not exceed|maximum(?: is| of)?|exceeds|greater than|larger than|<=|limit(?: is| of)?)"
    rf"\s*:?\s*{_NUMBER}",
    re.IGNORECASE,
)
_LEAST = re.compile(
    rf"(?:at least|no less than|minimum(?: is| of)?|less than|smaller than|below|>=)\s*:?\s*{_NUMBER}", re.IGNORECASE
)
_PLACE = re.compile(
    r"(?:line|token|column|col|test|case|position|byte|row)\s*[#:=]?\s*\d+|\bline:? ?\d+", re.IGNORECASE
)
_VALUE = re.compile(r"(?<![\w.\[])(-?\d+)(?![\w.])")
_LINE = re.compile(r"line\s*[#:=]?\s*(\d+)", re.IGNORECASE)
_KINDS: tuple[tuple[str, frozenset[RuleKind]], ...] = (
    (r"sort|increas|ascend|decreas|order|monoton", frozenset({RuleKind.ORDER, RuleKind.TIE})),
    (
        r"distinct|duplicat|twice|unique|repeat|again|differ|same|already|seen",
        frozenset({RuleKind.DISTINCT, RuleKind.SIMPLE, RuleKind.ROWS_DIFFER}),
    ),
    (r"loop|itself|multi-?edge|parallel", frozenset({RuleKind.SIMPLE, RuleKind.TIE})),
    (r"connect|tree|reach|component|spanning", frozenset({RuleKind.CONNECTED, RuleKind.PARENTS})),
    (r"cycl|acyclic|dag", frozenset({RuleKind.ACYCLIC})),
    (r"permut", frozenset({RuleKind.DISTINCT, RuleKind.PERMUTED})),
    (r"\bsum|total|adds? up", frozenset({RuleKind.SUM, RuleKind.SUM_LIMIT})),
    (r"product", frozenset({RuleKind.PRODUCT, RuleKind.PRODUCT_LIMIT})),
    (r"balanc|bracket|parenthes", frozenset({RuleKind.BALANCED})),
    (r"symmetr|diagonal", frozenset({RuleKind.SYMMETRIC})),
    (r"unknown|undeclared|not declared|undefined|no such", frozenset({RuleKind.MEMBER})),
    (r"parent", frozenset({RuleKind.PARENTS})),
    (r"multiple|divisible|even", frozenset({RuleKind.MULTIPLE})),
    (r"maxim|greatest|largest", frozenset({RuleKind.MAX})),
)


@dataclass(frozen=True, slots=True)
class NamedRange:
    """A range that a validator names: `values` are other numbers in its words, of which one lies outside.

    Args:
        low, high: None where only the other is named.
        line: the line of the input that it names, from 1 on; 0 if none.
    """

    low: int | None
    high: int | None
    values: tuple[int, ...]
    line: int


def named_ranges(why: str) -> Iterator[NamedRange]:
    """Yield the ranges that the last lines of a refusal name."""
    text = _end(why)
    line = _LINE.search(text)
    place = int(line[1]) if line else 0
    bare = _PLACE.sub(" ", plain(text))
    found = False
    for pattern in _RANGES:
        for match in pattern.finditer(bare):
            low, high = number_at_start(match[1]), number_at_start(match[2])
            if low is not None and high is not None and low <= high and not found:
                found = True
                yield NamedRange(low, high, _values(bare, match), place)
    if not found:
        for match in _MOST.finditer(bare):
            yield NamedRange(None, number_at_start(match[1]), _values(bare, match), place)
        for match in _LEAST.finditer(bare):
            yield NamedRange(number_at_start(match[1]), None, _values(bare, match), place)


def named_kinds(why: str) -> frozenset[RuleKind]:
    """Return the kinds of rules that the words of a refusal may be about."""
    text = _end(why).lower()
    return frozenset().union(*(kinds for pattern, kinds in _KINDS if re.search(pattern, text)))


def _values(text: str, match: re.Match[str]) -> tuple[int, ...]:
    rest = text[: match.start()] + " " + text[match.end() :]
    return tuple(int(value) for value in _VALUE.findall(rest) if len(value) < 100)


def _end(why: str) -> str:
    lines = [line for line in why.strip().splitlines() if line.strip()]
    return "\n".join(lines[-_SHOWN_LINES:])
