"""Lists up to a mark: "0", "0 0", "END", at the end of a line, of the input, or of each of several lists."""

import random
from collections.abc import Callable
from itertools import islice

import pytest

from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.generators.search.small_inputs import SmallInputs
from balancer.pipeline.generators.write.marked import marked_changes
from tests.unit.pipeline.search.comparing import make_problem


def made(*inputs: str, count: int = 400, sure: bool = False) -> list[str]:
    changed = marked_changes([each.encode() for each in inputs], random.Random(1), sure=sure)
    return [data.decode() for _, data in islice(changed, count)]


def pairs(text: str) -> bool:
    """Lines of two numbers until 0 0."""
    *lines, last = text.splitlines()
    return last == "0 0" and all(len(line.split()) == 2 and line != "0 0" for line in lines)


def lists(text: str) -> bool:
    """A number, then as many numbers in a line; until 0."""
    *lines, last = text.splitlines()
    counts, values = lines[::2], lines[1::2]
    return (
        last == "0"
        and len(counts) == len(values)
        and all(int(one) == len(other.split()) > 0 for one, other in zip(counts, values, strict=True))
    )


def in_line(text: str) -> bool:
    """Numbers of a line until 0."""
    *values, last = text.split()
    return text.count("\n") == 1 and last == "0" and "0" not in values


def several(text: str) -> bool:
    """How many lists, then lines of one number, each list until 0."""
    first, *lines = text.splitlines()
    return lines[-1:] == ["0"] and int(first) == lines.count("0") and all(line.isdigit() for line in lines)


def rows(text: str) -> bool:
    """A line with n and m, then m lines of two numbers; until 0 0."""
    lines = [line.split() for line in text.splitlines()]
    at = 0
    while at < len(lines) - 1:
        if len(lines[at]) != 2 or lines[at] == ["0", "0"] or at + int(lines[at][1]) >= len(lines) - 1:
            return False
        if any(len(line) != 2 for line in lines[at + 1 : at + 1 + int(lines[at][1])]):
            return False
        at += 1 + int(lines[at][1])
    return lines[at] == ["0", "0"]


@pytest.mark.parametrize(
    ("valid", "inputs", "share"),
    [
        (pairs, ("1 2\n3 4\n5 5\n0 0\n",), 0.9),
        (lists, ("3\n1 2 3\n2\n5 6\n0\n",), 0.9),
        (in_line, ("5 3 2 0\n", "7 1 0\n"), 0.9),
        (several, ("2\n5\n6\n0\n7\n0\n", "1\n3\n0\n"), 0.9),
        (rows, ("3 2\n1 2\n2 3\n2 1\n1 2\n0 0\n",), 0.4),  # to be cut by line, too
    ],
)
def test_what_is_made_has_the_format(valid: Callable[[str], bool], inputs: tuple[str, ...], share: float) -> None:
    assert all(map(valid, inputs))
    found = made(*inputs)
    assert len(found) == 400
    assert sum(map(valid, found)) >= share * len(found)
    assert len(set(found)) > 60
    assert max(map(len, found)) > 10 * max(map(len, inputs))


def test_words_until_end() -> None:
    found = made("push 3\npush 4\npop\nEND\n")
    assert all(each.endswith("END\n") and each.count("END") == 1 for each in found)
    assert any(each.count("push") > 5 for each in found)


@pytest.mark.parametrize(
    "inputs", [("3\n1 2 3\n",), ("",), ("END\n",), ("0\n",), ("1 2\n0 0\n", "5 5\n"), ("a\nb\nc\n",)]
)
def test_nothing_is_made_of_other_inputs(inputs: tuple[str, ...]) -> None:
    assert made(*inputs, count=5) == []


def test_a_single_zero_may_be_chance() -> None:
    assert made("2\n5\n0\n", sure=True) == []
    assert made("2\n5\n0\n", "1\n0\n", sure=True)
    assert made("1 2\n0 0\n", sure=True)


@pytest.mark.parametrize(
    "inputs", [("2\n5\n6\n0\n7\n0\n", "1\n3\n0\n"), ("3\n1 2 3\n2\n5 6\n0\n",), ("5 3 2 0\n", "7 0\n")]
)
def test_mutate_and_stress_make_them_where_inputs_have_marks(inputs: tuple[str, ...]) -> None:
    problem = make_problem(*inputs)
    known = [each.data for each in problem.data]
    proposed = list(MutateGenerator().propose(problem, random.Random(1), 120))
    assert sum(each.origin.detail.startswith("marked ") for each in proposed) > 5
    source = SmallInputs(knowledge_of(problem), known, [], random.Random(1))
    assert sum(each.kind == "marked" for each in source.batch()) > 10
