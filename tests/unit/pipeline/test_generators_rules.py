"""Relations between the values of an input: seen in samples, kept to, and learnt from what validators say."""

import random
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.learn.refusal_text import named_kinds, named_ranges
from balancer.pipeline.generators.learn.rules import Rule, RuleKind
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.proposing.feedback import UnusedInput, ValidatorFeedback
from balancer.problem import Checker, Origin, Problem, Proposal

Rows = list[list[int]]


def problem(*inputs: str, statement: str = "") -> Problem:
    data = tuple(Proposal(text.encode(), Origin("data", ""), sample=True) for text in inputs)
    return Problem("p", "p", Path(), None, None, data, (), Checker(), (), statement=statement)


def check(condition: bool, words: str) -> None:
    if not condition:
        raise ValueError(words)


def _sum(rows: Rows) -> None:
    (n, total), values = rows
    check(1 <= n == len(values), "n is not the number")
    check(all(1 <= value <= 1000 for value in values), "a value is not in [1, 1000]")
    check(sum(values) == total, f"the sum is {sum(values)}, not {total}")


def _product(rows: Rows) -> None:
    (n,), values, (product,) = rows
    check(1 <= n == len(values), "n is not the number")
    found = 1
    for value in values:
        check(1 <= value <= 50, f"{value} is not in [1, 50]")
        found *= value
    check(found == product <= 10**15, "not the product")


def _inverse(rows: Rows) -> None:
    (n,), before, after = rows
    check(1 <= n == len(before) == len(after), "n is not the number")
    check(sorted(before) == sorted(after), "not the same values")


def _limited(rows: Rows) -> None:
    (n,), *rest = rows
    check(1 <= n == len(rest), "n is not the number of lines")
    check(all(len(row) == 1 for row in rest) and sum(row[0] for row in rest) <= 500, "the total is too large")
    check(all(0 <= row[0] <= 400 for row in rest), "a value is not in [0, 400]")


def _parents(rows: Rows) -> None:
    (n,), values = rows
    check(2 <= n == len(values) + 1, "n - 1 parents expected")
    check(all(1 <= value <= index for index, value in enumerate(values, 1)), "a parent that comes later")


def _points(rows: Rows) -> None:
    (n,), *points = rows
    check(1 <= n == len(points), "n is not the number of points")
    check(all(len(point) == 2 and max(map(abs, point)) <= 100 for point in points), "a point is out of bounds")
    check(len({tuple(point) for point in points}) == n, "two points are the same")


def _matrix(rows: Rows) -> None:
    (n,), *matrix = rows
    check(1 <= n <= 200, f"n = {n} is not in [1, 200]")  # said below as well: the rules are tried, not the sizes
    check(n == len(matrix) and all(len(row) == n for row in matrix), "not n times n")
    check(all(matrix[i][i] == 0 for i in range(n)), "the diagonal")
    check(all(matrix[i][j] == matrix[j][i] >= 0 for i in range(n) for j in range(n)), "not symmetric")


def _rising(rows: Rows) -> None:
    (n, k), values = rows
    check(2 <= n == len(values) and 1 <= k <= n, "k is not in 1 to n")
    check(all(one < other for one, other in pairwise(values)), "not strictly increasing")


pytestmark = pytest.mark.xdist_group("rules")  # what is proposed is found out once

# Samples, the validator, and the share of inputs that are valid at least, once it has been heard twice.
SETTERS: list[tuple[tuple[str, ...], Callable[[Rows], None], float]] = [
    (("3 12\n5 3 4\n", "2 9\n2 7\n", "4 10\n1 2 3 4\n"), _sum, 0.75),
    (("2\n4 9\n36\n", "3\n1 5 2\n10\n", "1\n7\n7\n"), _product, 0.75),
    (("3\n5 9 7\n7 5 9\n", "4\n2 8 8 1\n8 1 2 8\n"), _inverse, 0.75),
    (("3\n100\n7\n20\n", "2\n250\n150\n", "1\n0\n"), _limited, 0.6),
    (("5\n1 1 3 2\n", "4\n1 2 3\n", "2\n1\n"), _parents, 0.8),
    (("3\n0 0\n0 4\n-5 4\n", "4\n1 1\n1 2\n2 1\n2 2\n"), _points, 0.75),
    (("3\n0 5 2\n5 0 9\n2 9 0\n", "2\n0 1\n1 0\n"), _matrix, 0.75),
    (("5 2\n1 4 9 30 31\n", "3 1\n10 20 35\n", "4 4\n2 3 5 70\n"), _rising, 0.6),
]

_STATEMENTS = {_matrix: "A number $n$ ($1 \\le n \\le 200$), and $n$ lines of $n$ numbers."}


def why_refused(setter: Callable[[Rows], None], data: bytes) -> str:
    try:
        setter([list(map(int, line.split())) for line in data.decode().removesuffix("\n").split("\n")])
    except ValueError as error:
        return str(error) or "no"
    return ""


@cache
def asked(index: int) -> list[tuple[Proposal, str]]:
    """Ask as a run does: twenty inputs, then ten and ten again, each time with what the validator said of all."""
    inputs, setter, _ = SETTERS[index]
    what, rng, found = problem(*inputs, statement=_STATEMENTS.get(setter, "")), random.Random(3), []
    for budget in (20, 20, 20, 20):
        if found:
            told = [(UnusedInput(made.origin, made.data, why), why) for made, why in found]
            heard = ValidatorFeedback(
                tuple(one for one, why in told if not why), tuple(one for one, why in told if why)
            )
            more = MutateGenerator().ask_again(what, heard, rng, budget)
        else:
            more = MutateGenerator().propose(what, rng, budget)
        found += [(made, why_refused(setter, made.data)) for made in list(more)]
    return found


@pytest.mark.parametrize("index", range(len(SETTERS)), ids=[setter.__name__ for _, setter, _ in SETTERS])
def test_relations_are_kept(index: int) -> None:
    inputs, setter, share = SETTERS[index]
    assert not any(why_refused(setter, text.encode()) for text in inputs)
    later = asked(index)[40:]
    assert len(later) >= 30
    assert sum(not why for _, why in later) >= share * len(later)


@pytest.mark.parametrize("index", range(len(SETTERS)), ids=[setter.__name__ for _, setter, _ in SETTERS])
def test_no_input_comes_twice_and_none_is_known(index: int) -> None:
    made = [proposal.data for proposal, _ in asked(index)]
    assert len(set(made)) == len(made)
    assert not set(made) & {text.encode() for text in SETTERS[index][0]}


def rules(*inputs: str) -> dict[Rule, float]:
    found = knowledge_of(problem(*inputs))
    assert found is not None
    return dict(found.beliefs)


def test_one_sample_is_no_witness_of_a_sum() -> None:
    assert not any(rule.kind is RuleKind.SUM for rule in rules("3 12\n5 3 4\n"))
    assert any(rule.kind is RuleKind.SUM for rule in rules("3 12\n5 3 4\n", "2 9\n2 7\n"))


def test_names_told_before_are_used() -> None:
    what = problem("3\nann\nbob\ncid\n2\nann bob\ncid ann\n", "2\nxi\nyo\n1\nyo xi\n", "4\na\nb\nc\nd\n2\na c\nd b\n")
    mostly = 0
    for made in MutateGenerator().propose(what, random.Random(1), 40):
        lines = made.data.decode().split("\n")
        names = lines[1 : 1 + int(lines[0])]
        used = " ".join(lines[2 + len(names) :]).split()
        mostly += set(used) <= set(names)
    assert mostly >= 30


def test_brackets_are_balanced() -> None:
    what = problem("(()())\n", "()\n", "()(())()\n")
    made = [
        proposal.data.decode().strip()
        for seed in range(1, 5)
        for proposal in MutateGenerator().propose(what, random.Random(seed), 30)
    ]
    balanced = [word for word in made if word.count("(") == word.count(")") and not word.startswith(")")]
    assert len(balanced) >= 94  # of 120
    assert max(map(len, balanced)) > 50


def test_a_kind_of_bracket_that_comes_once_in_each_sample_is_chance() -> None:
    what = problem("(()[])\n", "[(())]()\n")
    made = [proposal.data.decode().strip() for proposal in MutateGenerator().propose(what, random.Random(1), 30)]
    assert sum(word.count("[") == word.count("]") for word in made) >= 24
    assert sum(word.count("[") > 1 for word in made) >= 10


def test_a_rule_that_valid_inputs_break_is_given_up() -> None:
    what = problem("3 3\n1 2 3\n", "4 9\n2 5 7 9\n", "2 8\n3 8\n")  # sorted, and the last one is the maximum, by chance
    heard = ValidatorFeedback(
        tuple(UnusedInput(Origin("mutate", "x"), data, "") for data in (b"3 7\n3 1 2\n", b"2 1\n9 4\n")), ()
    )
    made = list(MutateGenerator().ask_again(what, heard, random.Random(1), 40))
    lists = [list(map(int, proposal.data.split()[2:])) for proposal in made]
    assert sum(values != sorted(values) for values in lists) >= 8


def test_bounds_are_taken_from_the_words_of_refusals() -> None:
    what = problem("5 1\n", "7 2\n")
    heard = ValidatorFeedback(
        (), (UnusedInput(Origin("mutate", "x"), b"5000 1\n", "Line 1: n = 5000 is not in [3, 1000]"),)
    )
    made = [int(each.data.split()[0]) for each in MutateGenerator().ask_again(what, heard, random.Random(1), 60)]
    assert min(made) == 3
    assert max(made) == 1000


@pytest.mark.parametrize(
    ("why", "low", "high", "value"),
    [
        ("Line 3: n must be between 1 and 1000, but is 2000", 1, 1000, 2000),
        ("FAIL Integer parameter [name=n] equals to 0, violates the range [1, 100] (stdin, line 1)", 1, 100, 0),
        ("n = -4 is not in [1, 1000000000]", 1, 10**9, -4),
        ("1 <= k <= 50 expected, 51 found", 1, 50, 51),
        ("k is 7, at most 5 is allowed", None, 5, 7),
    ],
)
def test_ranges_in_words(why: str, low: int | None, high: int | None, value: int) -> None:
    told = next(named_ranges(why))
    assert (told.low, told.high) == (low, high)
    assert value in told.values


@pytest.mark.parametrize(
    ("why", "kind"),
    [
        ("Line 4: graph is not connected", RuleKind.CONNECTED),
        ("self loop at node 3", RuleKind.SIMPLE),
        ("value 5 occurs twice", RuleKind.DISTINCT),
        ("not sorted", RuleKind.ORDER),
        ("the sum of n over all cases is too large", RuleKind.SUM_LIMIT),
    ],
)
def test_kinds_of_rules_in_words(why: str, kind: RuleKind) -> None:
    assert kind in named_kinds(why)


def test_large_inputs_are_among_the_first() -> None:
    what = problem(
        "2\n1 2\n", "3\n5 9 4\n", statement="$n$ ($1 \\le n \\le 2 \\cdot 10^5$), $a_i$ ($1 \\le a_i \\le 10^9$)"
    )
    made = list(MutateGenerator().propose(what, random.Random(1), 20))
    largest = [each for each in made if int(each.data.split()[0]) == 200_000]
    assert len(largest) >= 4
    assert len({each.origin.detail for each in largest}) == len(largest)
