"""Facts about fields: kind, range, order, bounding fields, and what a field counts. Pure.

Defines the facts; `observe` gathers them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from balancer.pipeline.generators.learn.template import Choice, Count, Instance, Node, Repeat, fields_of

__all__ = [
    "CountedFields",
    "Fact",
    "Facts",
    "ListOrder",
    "Relation",
    "Tie",
    "TokenKind",
    "blocks_of",
    "find_relations",
    "loads_of",
    "names_of",
    "tables_of",
    "word_loads_of",
]

_MOST_DIGITS = 300  # int() has a limit, and longer tokens are no numbers to programs either


class Tie(Enum):
    """Relation of two fields of one line, in every line seen."""

    LESS = "less"
    AT_MOST = "at most"
    DIFFER = "differ"


@dataclass(frozen=True, slots=True)
class Relation:
    """`left` `tie` `right`, seen in `lines` lines."""

    left: int
    right: int
    tie: Tie
    lines: int


def tables_of(nodes: Sequence[Node]) -> Iterator[tuple[int, ...]]:
    """Yield the fields that stand together on one line, single or repeated."""
    for node in nodes:
        if isinstance(node, Repeat):
            yield from tables_of(node.body)
        elif isinstance(node, Choice):
            yield from (fields for _, fields in node.lines)
        else:
            yield node.fields


def find_relations(fields: Sequence[int], instances: Sequence[Instance]) -> Iterator[Relation]:
    """Yield the relations that hold in every line between two of its whole numbers."""
    for index, left in enumerate(fields):
        for right in fields[index + 1 :]:
            steps = _steps(left, right, instances)
            if steps and min(steps) >= 0:
                yield Relation(left, right, Tie.LESS if min(steps) > 0 else Tie.AT_MOST, len(steps))
            elif steps and max(steps) <= 0:
                yield Relation(right, left, Tie.LESS if max(steps) < 0 else Tie.AT_MOST, len(steps))
            elif steps and 0 not in steps:
                yield Relation(left, right, Tie.DIFFER, len(steps))


def _steps(left: int, right: int, instances: Sequence[Instance]) -> list[int]:
    """Return right - left for every line; empty if they are not whole numbers everywhere."""
    steps: list[int] = []
    for instance in instances:
        for (number, where), tokens in instance.items():
            if number == left:
                for one, other in zip(tokens, instance.get((right, where), ()), strict=False):
                    if not (_is_whole(one) and _is_whole(other)):
                        return []
                    steps.append(int(other) - int(one))
    return steps


def _is_whole(token: str) -> bool:
    digits = token.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS


class TokenKind(Enum):
    """Kind of a field's tokens."""

    INT = "int"
    FLOAT = "float"
    WORD = "word"


class ListOrder(Enum):
    """Order of a list's values."""

    NONE = "none"
    UP = "up"  # each at least as large as the previous one
    STRICTLY_UP = "strictly up"


@dataclass(frozen=True, slots=True)
class Fact:
    """Facts seen of one field.

    Args:
        low, high: least and greatest value of a number; length of a word.
        decimals: most digits after the point.
        letters: every character of words, sorted.
        closed: whether the letters are a closed alphabet.
        words: the words themselves, if they look like keywords.
        once: letters that every list of words had exactly once, e.g. the start of a maze.
        counts: whether it counts something.
        limits: whether it bounds other fields.
        bounds: earlier fields that no value exceeds and some come close to, the closest first.
        order, distinct, permutation: of the values of a list.
        length: what tells the length of a word.
    """

    kind: TokenKind
    low: int
    high: int
    decimals: int = 0
    letters: str = ""
    closed: bool = False
    words: tuple[str, ...] = ()
    once: str = ""
    counts: bool = False
    limits: bool = False
    bounds: tuple[Count, ...] = ()
    order: ListOrder = ListOrder.NONE
    distinct: bool = False
    permutation: bool = False
    length: Count | None = None

    @property
    def bound(self) -> Count | None:
        """The earlier field that the values come closest to; None if there is none."""
        return self.bounds[0] if self.bounds else None


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts of all fields, and relations between fields of one line."""

    fields: Mapping[int, Fact]
    relations: tuple[Relation, ...] = ()


@dataclass(frozen=True, slots=True)
class CountedFields:
    """What one more of a counted thing adds: tokens of `fields`, as often as all of `around` tell.

    Args:
        least: the least count: 1 if there are n - 1 things, or if it counts letters.
        letters_only: whether it adds a letter to each word, not a token.
    """

    fields: tuple[int, ...]
    around: tuple[int, ...]
    least: int = 0
    letters_only: bool = False


def loads_of(nodes: Sequence[Node], around: tuple[int, ...]) -> Iterator[tuple[int, CountedFields]]:
    """Yield the fields that count something, with what one more of it adds."""
    for node in nodes:
        if isinstance(node, Choice):
            continue
        inside = around
        if node.count is not None and node.count.field is not None:
            fields = tuple(fields_of(node.body)) if isinstance(node, Repeat) else (node.tail or 0,)
            yield node.count.field, CountedFields(fields, around, least=max(-node.count.plus, 0))
            inside = (*around, node.count.field)
        if isinstance(node, Repeat):
            yield from loads_of(node.body, inside)


def word_loads_of(nodes: Sequence[Node], facts: Facts, around: tuple[int, ...]) -> Iterator[tuple[int, CountedFields]]:
    """Yield the fields that tell the length of words."""
    for node in nodes:
        if isinstance(node, Repeat):
            counted = () if node.count is None or node.count.field is None else (node.count.field,)
            yield from word_loads_of(node.body, facts, (*around, *counted))
            continue
        for number in fields_of((node,)):
            length = facts.fields[number].length
            if length is not None and length.field is not None:
                yield length.field, CountedFields((number,), around, least=1, letters_only=True)


def blocks_of(nodes: Sequence[Node]) -> Iterator[int]:
    """Yield the fields that count repeated groups of lines: test cases."""
    for node in nodes:
        if isinstance(node, Repeat):
            if len(node.body) > 1 and node.count is not None and node.count.field is not None:
                yield node.count.field
            yield from blocks_of(node.body)


def names_of(nodes: Sequence[Node], counting: frozenset[int]) -> dict[int, str]:
    """Return usual names of fields: n and m for counts, a, b, c for values."""
    counts, values = iter("nmkqpr"), iter("abcdefghijuvwxyz")
    names = {}
    for number in fields_of(nodes):
        letter = next(counts if number in counting else values, None)
        names[number] = letter or f"field {number + 1}"
    return names
