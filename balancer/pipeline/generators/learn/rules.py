"""What may hold between the values of an input: a sum, an order, balanced brackets, a graph in one piece.

Decides which kinds of rules there are, and how the values that they speak of are read. `suggest` finds those that known
inputs keep, `holds` says whether one holds. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["BRACKETS", "MOST_TOKENS", "Rule", "RuleKind", "balanced", "numbers_of", "scaled"]

MOST_TOKENS = 20_000  # of a list that is looked at
BRACKETS = {")": "(", "]": "[", "}": "{", ">": "<"}


class RuleKind(Enum):
    """What a rule says of its fields; `single` stands alone, `list` is a list or a column."""

    SUM = "the sum"  # single is the sum of list
    PARENTS = "a number less than its place"  # list[i] < i + value, for i from 0 on
    BALANCED = "balanced brackets"
    SYMMETRIC = "a symmetric matrix"  # the rows are lists; `value` is what its diagonal has, if that is told
    SUM_IS = "always the same sum"  # of list: `value`, in units of the last decimal
    ORDER = "sorted"
    DISTINCT = "no value twice"
    TIE = "how two fields are related"
    BOUND = "bounded by an earlier field"
    CONNECTED = "a graph in one piece"
    SIMPLE = "a graph without loops, and no edge twice"
    ACYCLIC = "a graph without cycles, from left to right"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about fields: (single, list), (list,) or the columns of a table; see RuleKind."""

    kind: RuleKind
    fields: tuple[int, ...]
    value: int | None = None


def numbers_of(tokens: Sequence[str]) -> list[int] | None:
    """Return whole numbers, or None if some are none, or too many to look at."""
    if len(tokens) > MOST_TOKENS:
        return None
    try:
        return [int(token) for token in tokens]
    except ValueError:
        return None


def scaled(tokens: Sequence[str], decimals: int) -> list[int] | None:
    """Return numbers in units of the last decimal; None if some are written otherwise, or if there are too many."""
    if not decimals:
        return numbers_of(tokens)
    found = []
    for token in tokens[: MOST_TOKENS + 1]:
        whole, _, rest = token.partition(".")
        if len(rest) != decimals or not (whole + rest).removeprefix("-").isdigit():
            return None
        found.append(int(whole + rest))
    return found if len(found) <= MOST_TOKENS else None


def balanced(text: str) -> bool:
    """Say whether every bracket has its partner; other letters do not matter."""
    open_ones: list[str] = []
    for letter in text:
        if letter in BRACKETS.values():
            open_ones.append(letter)
        elif letter in BRACKETS and (not open_ones or open_ones.pop() != BRACKETS[letter]):
            return False
    return not open_ones
