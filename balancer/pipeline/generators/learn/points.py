"""Columns that look like points: two coordinates beside each other.

Decides which neighbouring columns are coordinates: those that both have negative values, and others if the statement or
a validator talks of points. Pure.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.learn.edges import EdgeTable
from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.relations import Relation, Tie
from balancer.pipeline.generators.learn.template import LineNode, Node, Repeat

__all__ = ["PointTable", "find_points", "talks_of_points"]

_TALK = re.compile(
    r"coordinate|cartesian|euclid|collinear|polygon|\bplane\b|\(\s*x|\bx_?\{?[i1]|\bpoints?\s*\(", re.IGNORECASE
)
_TELLING_LINES = 4  # in fewer the one is less than the other by chance


@dataclass(frozen=True, slots=True)
class PointTable:
    """Two columns of repeated lines that look like the coordinates of points."""

    x: int
    y: int


def talks_of_points(text: str) -> bool:
    """Say whether a text is about points."""
    return _TALK.search(text) is not None


def find_points(nodes: Sequence[Node], facts: Facts, edges: Sequence[EdgeTable], *, told: bool) -> Iterator[PointTable]:
    """Yield the columns of a template that look like points, none twice; `told`: there is talk of points."""
    ends = {end for table in edges for end in (table.left, table.right, table.weight)}
    for node in nodes:
        if not isinstance(node, Repeat):
            continue
        yield from find_points(node.body, facts, edges, told=told)
        if isinstance(node.table, LineNode):
            columns = list(node.table.fields)
            while len(columns) > 1:
                x, y = columns[:2]
                found = not ends & {x, y} and _are_coordinates(x, y, facts, told=told)
                if found:
                    yield PointTable(x, y)
                columns = columns[2 if found else 1 :]


def _are_coordinates(x: int, y: int, facts: Facts, *, told: bool) -> bool:
    one, other = facts.fields[x], facts.fields[y]
    if one.kind is not other.kind or one.kind is TokenKind.WORD or one.permutation or other.permutation:
        return False
    if any(
        {each.left, each.right} == {x, y} and each.lines >= _TELLING_LINES for each in facts.relations if _orders(each)
    ):
        return False  # the ends of an interval
    return told or max(one.low, other.low) < 0


def _orders(relation: Relation) -> bool:
    return relation.tie is not Tie.DIFFER
