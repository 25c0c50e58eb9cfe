"""What is observed in known inputs: kinds, bounds, order, and what lines have in common."""

from pathlib import Path

import pytest

from balancer.pipeline.generators.learn.facts import ListOrder, Relation, Tie, TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge, knowledge_of
from balancer.pipeline.generators.learn.template import Count
from balancer.problem import Checker, Origin, Problem, Proposal


def known(*inputs: str) -> Knowledge:
    data = tuple(Proposal(text.encode(), Origin("data", "")) for text in inputs)
    found = knowledge_of(Problem("p", "p", Path(), None, None, data, (), Checker(), ()))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("inputs", "kind", "low", "high", "decimals"),
    [
        (("3\n", "-12\n"), TokenKind.INT, -12, 3, 0),
        (("0.50\n", "-3.1\n"), TokenKind.FLOAT, -4, 1, 2),
        (("3\n", "2.5\n"), TokenKind.FLOAT, 2, 3, 1),
        (("ab\n", "c\n"), TokenKind.WORD, 1, 2, 0),
        (("1e5\n", "12\n"), TokenKind.WORD, 2, 3, 0),
        (("007\n", "12\n"), TokenKind.WORD, 2, 3, 0),
    ],
)
def test_kinds(inputs: tuple[str, ...], kind: TokenKind, low: int, high: int, decimals: int) -> None:
    fact = known(*inputs).facts.fields[0]
    assert (fact.kind, fact.low, fact.high, fact.decimals) == (kind, low, high, decimals)


def test_a_number_that_counts_and_a_list_in_order() -> None:
    facts = known("4\n1 2 6 8\n", "3\n10 40 70\n").facts.fields
    assert facts[0].counts
    assert not facts[1].counts
    assert facts[1].order is ListOrder.STRICTLY_UP
    assert facts[1].distinct
    assert not facts[1].permutation


def test_a_list_with_ties_is_not_distinct_and_one_step_down_is_no_order() -> None:
    facts = known("4\n1 2 2 8\n", "3\n10 40 70\n").facts.fields
    assert facts[1].order is ListOrder.UP
    assert not facts[1].distinct
    assert known("4\n1 2 6 5\n", "3\n10 40 70\n").facts.fields[1].order is ListOrder.NONE


def test_a_permutation() -> None:
    assert known("4\n2 1 4 3\n", "3\n3 1 2\n").facts.fields[1].permutation
    assert not known("4\n2 1 5 3\n", "3\n3 1 2\n").facts.fields[1].permutation


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


def test_words_as_long_as_a_number_says_and_letters_that_come_once() -> None:
    facts = known("3 4\nS...\n.##.\n...E\n", "2 2\nSE\n..\n").facts.fields
    assert facts[2].length == Count(1)
    assert set(facts[2].once) == {"S", "E"}


def test_digits_as_many_as_a_number_says_are_a_word() -> None:
    fact = known("5 2\n11101\n", "3 1\n111\n").facts.fields[2]
    assert (fact.kind, fact.letters, fact.length) == (TokenKind.WORD, "01", Count(0))


def test_keywords() -> None:
    fact = known("4\nadd 1\nsub 2\nadd 3\nsub 3\n", "2\nadd 1\nsub 9\n").facts.fields[1]
    assert fact.words == ("add", "sub")


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


def test_a_bound_needs_to_be_seen_at_work() -> None:
    assert known("9 1\n", "8 2\n", "7 1\n").facts.fields[1].bound is None
    assert known("9 8\n", "8 8\n", "7 1\n").facts.fields[1].bound == Count(0)
