"""Smaller inputs by what is known of the format."""

import pytest

from balancer.pipeline.generators.write.reduce import smaller_inputs
from tests.unit.pipeline.knowing import known

LISTS = ("3\n5 1 4\n", "1\n7\n", "6\n9 2 2 8 1 5\n")
TWO_LISTS = ("3 2\n5 1 4\n8 8\n", "1 1\n7\n2\n", "2 4\n9 2\n8 1 5 6\n")
CASES = ("2\n3\n5 1 4\n1\n7\n", "1\n4\n1 2 3 9\n", "3\n1\n2\n2\n8 8\n1\n3\n")
TREES = ("3\n1 2\n1 3\n", "5\n1 2\n2 3\n2 4\n4 5\n", "2\n1 2\n")
GRAPHS = ("4 4\n1 2\n2 3\n3 4\n4 1\n", "3 2\n1 2\n3 1\n", "5 1\n2 5\n")
MATRICES = ("2 3\n1 2 3\n4 5 6\n", "1 2\n7 8\n", "3 1\n1\n2\n3\n")
WORDS = ("5\nabcab\n", "2\nzz\n", "3\nkxy\n")
SUMS = ("3 10\n5 1 4\n", "1 7\n7\n", "4 20\n9 2 8 1\n")


def smaller(inputs: tuple[str, ...], data: str) -> list[str]:
    return [each.decode() for each in smaller_inputs(known(*inputs), data.encode())]


@pytest.mark.parametrize(
    ("inputs", "data", "wanted"),
    [
        (LISTS, "4\n5 1 4 8\n", "2\n4 8\n"),
        (TWO_LISTS, "3 2\n5 1 4\n8 9\n", "3 1\n5 1 4\n9\n"),
        (CASES, "3\n1\n2\n2\n8 8\n1\n3\n", "2\n2\n8 8\n1\n3\n"),
        (CASES, "1\n4\n1 2 3 9\n", "1\n2\n3 9\n"),
        (TREES, "5\n1 2\n2 3\n2 4\n4 5\n", "4\n1 2\n2 3\n2 4\n"),  # without the leaf 5
        (TREES, "3\n1 2\n2 3\n", "2\n1 2\n"),  # without 1, the others numbered anew
        (GRAPHS, "4 4\n1 2\n2 3\n3 4\n4 1\n", "4 2\n1 2\n2 3\n"),
        (MATRICES, "2 3\n1 2 3\n4 5 6\n", "2 2\n1 3\n4 6\n"),
        (WORDS, "4\nabab\n", "2\nab\n"),
        (WORDS, "4\nabab\n", "4\naaaa\n"),
        (SUMS, "4 20\n9 2 8 1\n", "3 11\n2 8 1\n"),  # the sum is put right
    ],
)
def test_what_is_taken_out_is_not_counted_any_more(inputs, data, wanted):
    assert wanted in smaller(inputs, data)


@pytest.mark.parametrize("inputs", [LISTS, TWO_LISTS, CASES, TREES, GRAPHS, MATRICES, WORDS, SUMS])
def test_they_are_smaller_new_and_of_the_format(inputs):
    found = smaller(inputs, inputs[0])
    assert len(found) == len(set(found)) > 0
    assert all(len(each) <= len(inputs[0]) and each != inputs[0] for each in found)
    assert known(*inputs, *found).nodes == known(*inputs).nodes


def test_large_parts_come_first():
    found = smaller(LISTS, "64\n" + " ".join(map(str, range(1, 65))) + "\n")
    assert [int(each.split()[0]) for each in found[:3]] == [32, 32, 48]


def test_another_format_has_none():
    assert smaller(LISTS, "what is\nthis\n") == []


@pytest.mark.parametrize(
    ("inputs", "data", "kills", "wanted"),
    [
        (LISTS, "9\n5 1 4 8 31 8 2 9 9\n", lambda rows: rows[1].count("8") > 1, "2\n8 8\n"),
        (TREES, "7\n1 2\n2 3\n3 4\n4 5\n4 6\n6 7\n", lambda rows: ["1", "2"] in rows and len(rows) > 3, "4\n"),
        (CASES, "3\n1\n2\n2\n8 8\n1\n3\n", lambda rows: any(len(set(row)) < len(row) for row in rows), "1\n2\n1 1\n"),
    ],
)
def test_step_by_step_the_least_is_reached(inputs, data, kills, wanted):
    better = True
    while better:
        better = False
        for each in smaller(inputs, data):
            if kills([line.split() for line in each.splitlines()]):
                data, better = each, True
                break
    assert data.startswith(wanted)
