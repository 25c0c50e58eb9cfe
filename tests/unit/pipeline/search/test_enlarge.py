"""Larger inputs like a known one: the same structure, more of it, and as large as a validator accepts."""

import random
from collections.abc import Callable, Sequence
from itertools import islice, pairwise

import pytest

from balancer.pipeline.generators.learn.edges import is_connected
from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.search import enlarge
from balancer.pipeline.generators.search.enlarge import enlarged, larger_relatives
from tests.unit.pipeline.knowing import known
from tests.unit.pipeline.search.comparing import make_problem

LISTS = ("3\n5 1 4\n", "1\n7\n", "6\n9 2 2 8 1 5\n")
WORDS = ("(())()\n", "()\n", "())(\n")
CASES = ("2\n3\n5 1 4\n1\n7\n", "1\n4\n1 2 3 9\n", "3\n1\n2\n2\n8 8\n1\n3\n")
TREES = ("3\n1 2\n1 3\n", "5\n1 2\n2 3\n2 4\n4 5\n", "2\n1 2\n")
BARE = ("1 5\n2 5\n", "7 1\n8 8\n9 1\n", "4 4\n")
SPANS = ("2 1\n0 4\n7 9\n3\n", "3 2\n5 6\n1 2\n8 12\n0\n6\n", "1 1\n2 3\n9\n")


def grown(inputs: tuple[str, ...], data: bytes, count: int = 300, *, most: int = 4000, seed: int = 1) -> list[bytes]:
    made = larger_relatives(known(*inputs), data, random.Random(seed), most)
    return [each for _, each in islice(made, count)]


def rows(data: bytes) -> list[list[bytes]]:
    return [line.split() for line in data.splitlines()]


def spans_apart(data: bytes) -> bool:
    """Say whether no two of the spans a b have a point in common."""
    (n, _), *lines = [list(map(int, row)) for row in rows(data)]
    spans = sorted(lines[:n])
    return all(a < b for a, b in spans) and all(b < c for (_, b), (c, _) in pairwise(spans))


@pytest.mark.parametrize("inputs", [LISTS, WORDS, CASES, TREES, BARE], ids=["lists", "words", "cases", "trees", "bare"])
def test_relatives_have_the_format_are_larger_and_stay_below_the_limit(inputs: tuple[str, ...]) -> None:
    found = known(*inputs)
    made = grown(inputs, inputs[0].encode())
    assert len(made) == 300
    assert all(len(each) <= 4000 for each in made)
    assert sum(len(each) > 2 * len(inputs[0]) for each in made) > 100
    assert max(map(len, made)) > 500
    again = knowledge_of(make_problem(*inputs, *(each.decode() for each in made)))
    assert again is not None
    assert again.nodes == found.nodes


def test_a_pattern_of_letters_is_repeated() -> None:
    made = grown(("abcab\n", "zz\n", "kxy\n"), b"aab\n")
    assert any(each[:6] == b"aabaab" and len(each) > 20 for each in made)
    assert any(each.startswith(b"aaaaaa") and each.rstrip().endswith(b"bbb") for each in made)


def test_a_test_case_is_repeated_and_put_among_others() -> None:
    made = grown(CASES, b"1\n2\n8 8\n")
    many = [rows(each) for each in made if int(rows(each)[0][0]) > 3]
    assert any(all(row == [b"8", b"8"] for row in lines[2::2]) for lines in many), "the same case again and again"
    assert any([b"8", b"8"] in lines[4::2] and len({tuple(row) for row in lines[2::2]}) > 2 for lines in many), (
        "one among others"
    )


def is_tree(data: bytes) -> bool:
    (n,), *edges = [list(map(int, row)) for row in rows(data)]
    return len(edges) == n - 1 and is_connected(n, [(one - 1, other - 1) for one, other in edges])


def test_copies_of_a_tree_make_a_larger_tree() -> None:
    assert sum(map(is_tree, grown(TREES, b"3\n1 2\n1 3\n"))) > 80


def test_copies_of_intervals_do_not_overlap() -> None:
    made = [each for each in grown(SPANS, b"2 1\n0 4\n7 9\n3\n") if int(rows(each)[0][0]) > 4]
    assert sum(map(spans_apart, made)) >= 5


def test_an_input_of_another_shape_has_no_relatives() -> None:
    assert list(larger_relatives(known(*LISTS), b"no such\nshape at all\n", random.Random(1), 4000)) == []


# -- as large as a validator accepts --------------------------------------------------------------------


class Validator:
    """Counts what it is asked; accepts what `rule` accepts."""

    def __init__(self, rule: Callable[[bytes], bool]) -> None:
        self.rule = rule
        self.asked = 0

    def __call__(self, inputs: Sequence[bytes]) -> list[bool]:
        self.asked += len(inputs)
        return [self.rule(data) for data in inputs]


def test_every_count_is_raised_one_after_the_other() -> None:
    """Intervals that do not overlap cannot be drawn; copies of two of them can be shifted."""
    validator = Validator(lambda data: spans_apart(data) and all(int(n) <= 900 for n in rows(data)[0]))
    bounds = "assert 1 <= n <= 900\nassert 1 <= q <= 900\nassert 0 <= a <= 10**9\nassert 0 <= b <= 10**9"
    found = known(*SPANS, validator=bounds)
    made = enlarged(found, b"2 1\n0 4\n7 9\n3\n", random.Random(1), 2**19, validator)
    assert made is not None
    n, q = map(int, rows(made[1])[0])
    assert n >= 200, "a quarter of the most, or all"
    assert q == 900
    assert spans_apart(made[1])
    assert validator.asked <= 2 * 3 * 8


def test_a_smaller_size_is_tried_after_a_refusal() -> None:
    limit = 40
    made = enlarged(
        known(*LISTS), b"3\n5 1 4\n", random.Random(1), 4000, Validator(lambda data: len(data) <= limit * 4)
    )
    assert made is not None
    assert 20 < len(made[1]) <= limit * 4


def test_what_is_never_valid_or_not_known_stays_as_it_is() -> None:
    found = known(*LISTS)
    assert enlarged(found, b"3\n5 1 4\n", random.Random(1), 4000, Validator(lambda _: False)) is None
    assert enlarged(found, b"3\n5 1 4\n", random.Random(1), 4000, lambda inputs: [None] * len(inputs)) is None
    assert enlarged(found, b"no such\nshape\n", random.Random(1), 4000, Validator(lambda _: True)) is None


def test_letters_are_copied_as_a_whole_up_to_the_longest_word() -> None:
    found = known("(())()\n", "()\n", statement="A line with a word $s$ ($1 \\le |s| \\le 1001$).", validator=r"[()]*")
    largest = [enlarged(found, b"(())()\n", random.Random(seed), 4000, lambda made: [True]) for seed in range(30)]
    assert {len(each[1]) - 1 for each in largest if each} == {1001 - 1001 % 6}


ROWS = ("9 2\n1 4\n2 4\n", "5 3\n1 3\n4 4\n2 3\n", "7 1\n5 3\n")
ROW_RULES = "assert 1 <= h <= 5000\nassert 1 <= q <= 400\nassert 1 <= y <= h\nassert 1 <= x <= 4\n"


def test_one_column_gets_new_keys_while_the_others_are_copied() -> None:
    made = [rows(each)[1:] for each in grown(ROWS, b"5000 3\n1 3\n4 4\n2 3\n")]
    assert any(
        len(lines) > 50 and len({key for key, _ in lines}) == len(lines) and {x for _, x in lines} == {b"3", b"4"}
        for lines in made
    )


def test_what_limits_values_is_raised_before_more_values_need_room() -> None:
    def valid(made: Sequence[bytes]) -> list[bool]:
        lines = [[list(map(int, row)) for row in rows(each)] for each in made]
        keys = [[y for y, _ in each[1:]] for each in lines]
        return [max(own) <= each[0][0] and len(set(own)) == len(own) for own, each in zip(keys, lines, strict=True)]

    said = "One line with $h$ and $q$ ($1 \\le h \\le 5000$, $1 \\le q \\le 400$), then $y$ ($1 \\le y \\le h$)."
    found = known(*ROWS, validator=ROW_RULES, statement=said)
    largest = [enlarged(found, ROWS[1].encode(), random.Random(seed), 10**5, valid) for seed in range(8)]
    assert any(each is not None and each[1].count(b"\n") == 401 for each in largest)


def test_a_list_of_twice_as_many_values_is_repeated_whole() -> None:
    twice = ("1\n7 3\n", "3\n5 1 4 9 2 6\n", "2\n8 1 2 0\n")
    made = [rows(each) for each in grown(twice, b"3\n5 1 4 9 2 6\n")]
    assert all(2 * int(count[0]) == len(values) for count, values in made)
    again = [values for _, values in made if len(values) >= 24 and values[:12] == values[:6] * 2]
    assert any(values == (values[:6] * len(values))[: len(values)] for values in again)


@pytest.mark.parametrize(("says", "bound", "most"), [(None, 2**23, 1), (False, 3000, 8)])
def test_no_larger_one_is_sought_for_ever(
    monkeypatch: pytest.MonkeyPatch, says: bool | None, bound: int, most: int
) -> None:
    """Inputs of megabytes were made one after the other, minutes after the time was over."""
    monkeypatch.setattr(enlarge, "_BYTES_IN_VAIN", bound)
    asked: list[bytes] = []

    def valid(inputs: Sequence[bytes]) -> list[bool | None]:
        asked.extend(inputs)
        return [says] * len(inputs)

    assert enlarged(known(*LISTS), b"3\n5 1 4\n", random.Random(1), 4000, valid) is None
    assert 1 <= len(asked) <= most
