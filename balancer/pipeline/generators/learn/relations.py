"""How the fields of one line are related, in every line seen: the smaller first, say, or never equal.

Pure. An observation, which may be chance: the modules that use it say how far they trust it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from balancer.pipeline.generators.learn.template import Choice, Instance, Node, Repeat

__all__ = ["Relation", "Tie", "find_relations", "tables_of"]

_MOST_DIGITS = 300  # int() has a limit, and longer tokens are no numbers to programs either


class Tie(Enum):
    """How two fields of one line are related, in every line seen."""

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
    """Yield what holds in every line between two of its fields that are whole numbers."""
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
    """Return right - left for every line; nothing if they are not whole numbers everywhere."""
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
