"""What is observed in known inputs: kinds, bounds, order, and what lines have in common."""

from typing import Any

import pytest

from balancer.pipeline.generators.learn.facts import ListOrder, Relation, Tie, TokenKind
from balancer.pipeline.generators.learn.template import Count
from tests.unit.pipeline.knowing import known

# One row: known inputs, which of their fields, and what is found of it.
FACTS: dict[str, tuple[tuple[str, ...], int, dict[str, Any]]] = {
    "whole numbers": (("3\n", "-12\n"), 0, {"kind": TokenKind.INT, "low": -12, "high": 3, "decimals": 0}),
    "decimals": (("0.50\n", "-3.1\n"), 0, {"kind": TokenKind.FLOAT, "low": -4, "high": 1, "decimals": 2}),
    "both": (("3\n", "2.5\n"), 0, {"kind": TokenKind.FLOAT, "low": 2, "high": 3, "decimals": 1}),
    "words": (("ab\n", "c\n"), 0, {"kind": TokenKind.WORD, "low": 1, "high": 2, "decimals": 0}),
    "an exponent": (("1e5\n", "12\n"), 0, {"kind": TokenKind.WORD, "low": 2, "high": 3, "decimals": 0}),
    "zeros before it": (("007\n", "12\n"), 0, {"kind": TokenKind.WORD, "low": 2, "high": 3, "decimals": 0}),
    "a number that counts": (("4\n1 2 6 8\n", "3\n10 40 70\n"), 0, {"counts": True}),
    "a list in order": (
        ("4\n1 2 6 8\n", "3\n10 40 70\n"),
        1,
        {"counts": False, "order": ListOrder.STRICTLY_UP, "distinct": True, "permutation": False},
    ),
    "ties": (("4\n1 2 2 8\n", "3\n10 40 70\n"), 1, {"order": ListOrder.UP, "distinct": False}),
    "one step down": (("4\n1 2 6 5\n", "3\n10 40 70\n"), 1, {"order": ListOrder.NONE}),
    "a permutation": (("4\n2 1 4 3\n", "3\n3 1 2\n"), 1, {"permutation": True}),
    "none": (("4\n2 1 5 3\n", "3\n3 1 2\n"), 1, {"permutation": False}),
    "as long as a number says, some letters once": (
        ("3 4\nS...\n.##.\n...E\n", "2 2\nSE\n..\n"),
        2,
        {"length": Count(1), "once": "ES"},
    ),
    "keywords": (("4\nadd 1\nsub 2\nadd 3\nsub 3\n", "2\nadd 1\nsub 9\n"), 1, {"words": ("add", "sub")}),
    "a bound that was not seen at work": (("9 1\n", "8 2\n", "7 1\n"), 1, {"bound": None}),
    "a bound": (("9 8\n", "8 8\n", "7 1\n"), 1, {"bound": Count(0)}),
}


@pytest.mark.parametrize(("inputs", "field", "facts"), FACTS.values(), ids=FACTS)
def test_what_is_seen_of_a_field(inputs: tuple[str, ...], field: int, facts: dict[str, Any]) -> None:
    fact = known(*inputs).facts.fields[field]
    assert {name: getattr(fact, name) for name in facts} == facts


def test_edges_of_a_graph() -> None:
    found = known("4 3\n1 2\n2 3\n4 3\n", "3 2\n1 2\n3 1\n", "5 4\n1 2\n3 2\n5 4\n1 5\n")
    (edges,) = found.edges
    assert (edges.left, edges.right, edges.bound, edges.low, edges.rows) == (2, 3, Count(0), 1, Count(1))
    assert edges.simple
    assert edges.connected
    assert found.facts.fields[0].limits
    assert {0, 1} <= found.sizes


def test_nodes_from_zero_and_a_graph_in_pieces() -> None:
    found = known("4 2\n0 3\n2 1\n", "3 3\n0 2\n0 2\n1 1\n", "5 1\n0 4\n")
    (edges,) = found.edges
    assert (edges.bound, edges.low, edges.simple, edges.connected) == (Count(0, -1), 0, False, False)


@pytest.mark.parametrize(
    ("rows", "relation"),
    [
        ("1 3\n4 6\n7 9\n", Relation(1, 2, Tie.LESS, 4)),
        ("1 3\n4 4\n7 9\n", Relation(1, 2, Tie.AT_MOST, 4)),
        ("3 1\n6 4\n9 7\n", None),
        ("3 1\n4 6\n9 7\n", Relation(1, 2, Tie.DIFFER, 4)),
        ("3 1\n4 6\n7 7\n", None),
    ],
)
def test_relations_between_two_columns(rows: str, relation: Relation | None) -> None:
    found = known(f"3\n{rows}", "1\n2 5\n").facts.relations
    assert found == (() if relation is None else (relation,)) or (relation is None and found[0].tie is Tie.DIFFER)
