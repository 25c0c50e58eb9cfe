"""Relations between the values of an input: seen in samples, kept to, and learnt from what validators say."""

import random
from collections.abc import Callable
from decimal import Decimal
from functools import cache

import pytest

from balancer.pipeline.generators.learn.rules import RuleKind
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.proposing import UnusedInput, ValidatorFeedback
from balancer.problem import Proposal
from tests.unit.pipeline.knowing import known, problem

Rows = list[list[int]]


def check(condition: bool, words: str) -> None:
    if not condition:
        raise ValueError(words)


def _sum(rows: Rows) -> None:
    (n, total), values = rows
    check(1 <= n == len(values), "n is not the number")
    check(all(1 <= value <= 1000 for value in values), "a value is not in [1, 1000]")
    check(sum(values) == total, f"the sum is {sum(values)}, not {total}")


def _matrix(rows: Rows) -> None:
    (n,), *matrix = rows
    check(1 <= n <= 200, f"n = {n} is not in [1, 200]")  # said below as well: the rules are tried, not the sizes
    check(n == len(matrix) and all(len(row) == n for row in matrix), "not n times n")
    check(all(matrix[i][i] == 0 for i in range(n)), "the diagonal")
    check(all(matrix[i][j] == matrix[j][i] >= 0 for i in range(n) for j in range(n)), "not symmetric")


pytestmark = pytest.mark.xdist_group("rules")  # what is proposed is found out once

# Samples, the validator, and the share of inputs that are valid at least, once it has been heard twice.
SETTERS: list[tuple[tuple[str, ...], Callable[[Rows], None], float]] = [
    (("3 12\n5 3 4\n", "2 9\n2 7\n", "4 10\n1 2 3 4\n"), _sum, 0.75),
    (("3\n0 5 2\n5 0 9\n2 9 0\n", "2\n0 1\n1 0\n"), _matrix, 0.75),
]

_STATEMENTS: dict[Callable[[Rows], None], str] = {
    _matrix: "A number $n$ ($1 \\le n \\le 200$), and $n$ lines of $n$ numbers."
}


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
    what, rng = problem(*inputs, statement=_STATEMENTS.get(setter, "")), random.Random(3)
    found: list[tuple[Proposal, str]] = []
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
def test_relations_are_kept(index):
    inputs, setter, share = SETTERS[index]
    assert not any(why_refused(setter, text.encode()) for text in inputs)
    later = asked(index)[40:]
    assert len(later) >= 30
    assert sum(not why for _, why in later) >= share * len(later)


def test_one_sample_is_no_witness_of_a_sum():
    assert not any(rule.kind is RuleKind.SUM for rule in known("3 12\n5 3 4\n").beliefs)
    assert any(rule.kind is RuleKind.SUM for rule in known("3 12\n5 3 4\n", "2 9\n2 7\n").beliefs)


def test_a_sum_that_all_lists_have_is_kept():
    what = problem("3\n0.250000 0.500000 0.250000\n", "1\n1.000000\n")
    made = [proposal.data.decode().split() for proposal in MutateGenerator().propose(what, random.Random(1), 30)]
    kept = [shares for _, *shares in made if sum(map(Decimal, shares)) == 1]
    assert len(kept) >= 20
    assert max(map(len, kept)) > 50


def test_brackets_are_balanced():
    what = problem("(()())\n", "()\n", "()(())()\n")
    made = [
        proposal.data.decode().strip()
        for seed in range(1, 5)
        for proposal in MutateGenerator().propose(what, random.Random(seed), 30)
    ]
    balanced = [word for word in made if word.count("(") == word.count(")") and not word.startswith(")")]
    assert len(balanced) >= 94  # of 120
    assert max(map(len, balanced)) > 50


def test_a_kind_of_bracket_that_comes_once_in_each_sample_is_chance():
    what = problem("(()[])\n", "[(())]()\n")
    made = [proposal.data.decode().strip() for proposal in MutateGenerator().propose(what, random.Random(1), 30)]
    assert sum(word.count("[") == word.count("]") for word in made) >= 24
    assert sum(word.count("[") > 1 for word in made) >= 10
