"""Relations between lines: graphs, names that are listed before, counts of twice as many."""

import random
from dataclasses import replace
from itertools import islice, repeat

import pytest

from balancer.pipeline.generators.draw.graphs import Shape, nodes_wanted
from balancer.pipeline.generators.draw.styles import Size, Style
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.edges import is_acyclic
from balancer.pipeline.generators.learn.knowledge import Knowledge, ranges_apart
from balancer.pipeline.generators.learn.rules import RuleKind
from balancer.pipeline.generators.learn.statement import read_statement
from balancer.pipeline.generators.learn.template import Count
from balancer.pipeline.generators.write.build import build_styled
from tests.unit.pipeline.knowing import known

MOST = Size(10**9, 10**9)


def drawn(found: Knowledge, style: Style, count: int = 40) -> list[list[list[str]]]:
    made = islice(build_styled(found, repeat(style), random.Random(1)), count)
    return [[line.split() for line in data.decode().splitlines()] for _, data in made]


def test_edges_that_may_be_repeated_are_sometimes_all_alike() -> None:
    style = Style("alike", Size(20, 20), (Where.LOW, Where.HIGH), (How.EQUAL,))
    told = "$1 \\le n \\le 50$, $1 \\le m \\le 50$"
    repeated = drawn(known("3 4\n1 2\n2 3\n1 2\n3 3\n", "2 3\n1 2\n2 2\n1 2\n", statement=told), style, 200)
    kinds = [len(set(map(tuple, rows[1:]))) for rows in repeated]
    assert all(1 <= int(end) <= int(rows[0][0]) for rows in repeated for edge in rows[1:] for end in edge)
    assert 0.1 * len(kinds) < kinds.count(1) < 0.6 * len(kinds)
    simple = drawn(known("3 2\n1 2\n2 3\n", "5 3\n1 2\n2 4\n3 5\n", statement=told), style)
    assert all(len(set(map(tuple, rows[1:]))) > 1 for rows in simple)


def test_edges_stay_as_they_are_though_their_columns_were_seen_to_be_small() -> None:
    found = known("9 3\n1 2\n2 3\n1 9\n", "8 4\n1 2\n2 8\n3 4\n4 5\n", statement="$1 \\le n \\le 50$")
    narrow = {number: replace(each, highs=(3,)) if number in (2, 3) else each for number, each in found.ranges.items()}
    made = drawn(replace(found, ranges=narrow), Style("path", Size(40, 40), (Where.FULL,), shape=Shape.PATH), 10)
    ends = [{frozenset(row) for row in rows[1:]} for rows in made]
    assert all(len(pairs) == len(rows) - 1 for pairs, rows in zip(ends, made, strict=True)), "no edge comes twice"
    assert all(max(int(end) for row in rows[1:] for end in row) > 30 for rows in made)


def test_nodes_of_trees_are_not_bounded_by_the_number_of_edges() -> None:
    trees = "5 4\n1 0\n2 1\n2 3\n3 4\n", "3 2\n1 0\n0 2\n", "4 3\n1 0\n3 1\n0 2\n", "6 5\n1 0\n3 1\n0 2\n5 4\n4 0\n"
    assert known("4 4\n1 0\n0 2\n3 1\n2 3\n", *trees).edges[0].bound == Count(0, -1)


def test_no_column_is_an_end_of_two_kinds_of_edges() -> None:
    found = known("5 6\n1 2 1\n1 3 1\n4 3 3\n3 5 2\n", "3 9\n1 2 3\n2 3 1\n")
    assert [(each.left, each.right) for each in found.edges] == [(2, 3)]


def test_edges_have_no_loops_if_none_were_seen_though_some_edges_came_twice() -> None:
    found = known("4 3\n1 2\n1 4\n2 3\n", "2 3\n1 2\n2 1\n1 2\n")
    made = drawn(found, Style("random", Size(8, 8), (Where.FULL,)))
    assert sum(any(a == b for a, b in rows[1:]) for rows in made) <= 6


def test_a_dense_graph_has_as_few_nodes_as_its_edges_need() -> None:
    assert nodes_wanted(Shape.COMPLETE, 10) == 5
    assert nodes_wanted(Shape.BIPARTITE, 9) == 6
    assert nodes_wanted(Shape.PATH, 9) is None
    samples = "9 3\n1 2\n2 3\n1 9\n", "8 4\n1 2\n2 8\n3 4\n4 5\n"
    found = known(*samples, statement="$1 \\le n \\le 500$, $0 \\le m \\le 190$")
    made = drawn(found, Style("complete", MOST, (Where.FULL,), shape=Shape.COMPLETE), 20)
    assert {rows[0][0] for rows in made} == {"20", "500"}


def test_the_letters_of_an_expression_are_inside_its_brackets() -> None:
    found = known("2 3\n.#.\n###\n", "1 2\n..\n", validator='REGEX("[.#]")')
    assert set(found.ranges[2].letters) == {".", "#"}


def test_short_lists_are_distinct_if_the_validator_speaks_of_it() -> None:
    samples = "6 1\n6\n", "4 2\n3 2\n", "3 1\n1\n"
    rules = known(*samples, validator="assert len(set(v)) == p").beliefs
    assert any(rule.kind is RuleKind.DISTINCT for rule in rules)
    assert not any(rule.kind is RuleKind.DISTINCT for rule in known(*samples).beliefs)


def test_decimals_are_numbers_and_not_words_of_so_many_letters() -> None:
    assert ranges_apart(["0.999999", "-0.5"]) == (-1, 1)
    assert ranges_apart(["abc", "1e5"]) == (3, 3)


@pytest.mark.parametrize("words", ["the $i$th of them", "the $i^{\\text{th}}$ one"])
def test_an_index_is_no_name_of_the_input(words: str) -> None:
    names = "$q$ ($1 \\le q \\le 8$), and $i$ ($1 \\le i \\le n$)"
    text = f"\\section*{{Input}} $n$ ($1 \\le n \\le 9$), then {words}. Then {names}."
    assert [each.name for each in read_statement(text) if each.name in "nqi"] == ["n", "q", "i"]


def test_edges_to_other_nodes_are_no_graph_without_cycles() -> None:
    assert is_acyclic(3, [(0, 1), (1, 2)])
    assert not is_acyclic(3, [(0, 3)])
    assert not is_acyclic(3, [(0, -1)])
