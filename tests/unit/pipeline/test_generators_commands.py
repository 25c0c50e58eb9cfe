"""Commands whose meaning depends on those before: other lists of them, most of them valid."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice

import pytest

from balancer.pipeline.generators.draw.fill import Fill
from balancer.pipeline.generators.draw.styles import Size, Style
from balancer.pipeline.generators.draw.values import Where
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.write.build import build
from balancer.pipeline.generators.write.commands import Needs, command_changes, needs_of
from tests.unit.pipeline.knowing import known
from tests.unit.pipeline.knowing import problem as problem_of

STACK = ("6\npush 3\npush 4\npop\nquery\npop\npush 9\n", "4\npush 1\nquery\npop\npush 2\n")
NUMBERED = ("5\n1 3\n1 4\n2\n1 7\n2\n", "3\n1 1\n1 2\n2\n")
BAG = ("6\nadd 5\nadd 7\nremove 5\nadd 5\nremove 5\nremove 7\n", "5\nadd 2\nadd 3\nremove 3\nadd 4\nremove 2\n")


def made(*inputs: str, count: int = 300) -> list[str]:
    found = known(*inputs)
    rng = random.Random(1)
    style = Style("as seen", Size(1, 6), (Where.SEEN,))
    changed = islice(command_changes(found, rng), count)
    return [build(found, given, Fill(found, style, rng)).decode() for _, given in changed]


def stack(rows: Sequence[Sequence[str]], push: str = "push", pop: str = "pop") -> bool:
    there = 0
    for row in rows:
        there += (row[0] == push) - (row[0] == pop)
        if there < 0 or len(row) != 1 + (row[0] == push):
            return False
    return True


def bag(rows: Sequence[Sequence[str]]) -> bool:
    there: Counter[str] = Counter()
    for word, value in rows:
        there[value] += 1 if word == "add" else -1
        if there[value] < 0:
            return False
    return True


def counted(keeps: Callable[[Sequence[Sequence[str]]], bool]) -> Callable[[str], bool]:
    def valid(text: str) -> bool:
        (count,), *rows = [line.split() for line in text.splitlines()]
        return int(count) == len(rows) and keeps(rows)

    return valid


@pytest.mark.parametrize(
    ("inputs", "valid", "share"),
    [
        (STACK, counted(stack), 0.75),
        (NUMBERED, counted(lambda rows: stack(rows, "1", "2")), 0.75),
        (BAG, counted(bag), 0.6),
    ],
    ids=["stack", "numbered", "bag"],
)
def test_most_lists_of_commands_are_valid_new_and_of_all_lengths(
    inputs: tuple[str, ...], valid: Callable[[str], bool], share: float
) -> None:
    assert all(map(valid, inputs))
    found = made(*inputs)
    assert sum(map(valid, found)) >= share * len(found)
    right = set(filter(valid, found)) - set(inputs)
    assert len(right) > 100
    assert min(map(len, right)) < min(map(len, inputs))
    assert max(map(len, right)) > 10 * max(map(len, inputs))


def test_inputs_without_commands_get_none() -> None:
    assert made("3\n5 1 4\n", "1\n7\n") == []


def test_rules_are_the_narrowest_that_hold() -> None:
    rows = [("add", "5"), ("add", "7"), ("remove", "5"), ("has", "9"), ("remove", "7"), ("has", "1")]
    found = needs_of([rows])
    assert Needs("remove", "add", uses_up=True, same=True) in found
    assert Needs("has", "add", uses_up=True, same=False) in found
    broken = needs_of([rows, [("has", "1"), ("add", "1")]])
    assert not any(rule.command == "has" and rule.other == "add" for rule in broken)


def test_mutate_makes_them_where_inputs_have_commands() -> None:
    problem = problem_of(*STACK)
    proposed = list(MutateGenerator().propose(problem, random.Random(1), 120))
    assert sum(each.origin.detail.startswith("commands ") for each in proposed) > 10
    plain = problem_of("3\n5 1 4\n", "1\n7\n")
    assert not any("commands" in each.origin.detail for each in MutateGenerator().propose(plain, random.Random(1), 120))
