"""What is read off VIVA patterns: the bounds of each value, in the order of the text."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators.learn.knowledge import knowledge_of
from balancer.pipeline.generators.learn.viva import read_viva
from tests.unit.pipeline.search.comparing import make_problem

Found = list[tuple[str, int | None, int | None]]


def read(text: str) -> Found:
    return [(each.name, each.low, each.high) for each in read_viva(text).bounds.values()]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("n (0 <= n <= 1000);\n", [("n", 0, 1000)]),
        ("n (n >= 1; n <= 10^5) @EOL [x (x > -5; x < 5) *n]", [("n", 1, 10**5), ("x", -4, 4)]),
        ("{ n:i (n > 0 && n <= 2*10**5) @EOL a:l [1 <= a && a <= 1e9] }", [("n", 1, 2 * 10**5), ("a", 1, 10**9)]),
        ("# up to n (n < 3)\nnum_a (num_a >= 2; num_a <= 7)", [("num_a", 2, 7)]),
        ("n (n>=1; n<=100)\nm (m >= 1; m <= n; m <= 50)", [("n", 1, 100), ("m", 1, 50)]),
        ("s:s (length(s) >= 1; length(s) <= 20)", [("s", 1, 20)]),
        ("x (x == 3 || x > 7); y (y > 1)", [("x", None, None), ("y", 2, None)]),
        ("<<@EOL>> { } [ ]", []),
        ("n (n <= 5", [("n", None, 5)]),
    ],
)
def test_bounds_are_read(text: str, wanted: Found) -> None:
    assert read(text) == wanted


def test_the_length_of_a_word_is_told_from_a_value() -> None:
    (one,) = read_viva("s (length(s) <= 20)").bounds.values()
    assert one.of_words


def test_a_problem_with_such_a_pattern_has_its_bounds() -> None:
    problem = make_problem("3\n5 1 4\n", "1\n7\n", "6\n9 2 2 8 1 5\n", validator="")
    pattern = "n (n >= 1; n <= 1234) @EOL [a (a >= -77; a <= 888)*n] @EOL"
    found = knowledge_of(replace(problem, grammars={"input_validators/format.viva": pattern}))
    assert found is not None
    number, value = sorted(found.ranges)
    assert (found.ranges[number].low, found.ranges[number].highs) == (1, (1234,))
    assert (found.ranges[value].low, found.ranges[value].highs) == (-77, (888,))


@given(st.text(st.sampled_from("nx ([])<=>&|;:#@{}*19 \n"), max_size=60))
def test_whatever_it_is_reading_it_ends(text: str) -> None:
    assert all(bound.weight > 1 for bound in read_viva(text).bounds.values())
