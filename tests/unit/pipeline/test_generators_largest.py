"""How far sizes go: intervals in refusals, and the next size after refused ones."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.generators.draw.largest import (
    SHORTFALL,
    ToldInterval,
    interval_in,
    next_size,
    shortfall,
    within_refusals,
)
from tests.unit.pipeline.knowing import known


@pytest.mark.parametrize(
    ("words", "interval"),
    [
        ("v.py refuses it: Integer 100001 out of range [3, 100001)", ToldInterval(3, 100_000, (100_001,))),
        ("integer 0 outside of range [1, 10^5]", ToldInterval(1, 100_000, (0,))),
        ("Integer parameter [name=n] equals to 7, violates the range [1, 5]", ToldInterval(1, 5, (7,))),
        ("n = 2000000 is not in (0..2*10^5)", ToldInterval(1, 199_999, (2_000_000,))),
        ("got 9: 1 <= n < 9 does not hold", ToldInterval(1, 8, (9,))),
        ("n must be between 1 and 1000, not 1001", ToldInterval(1, 1000, (1001,))),
        ("1e6 is 1000000, not in [1, 1e5]", ToldInterval(1, 100_000, (1_000_000,))),
        ("line 3: 4 numbers expected, [1, 5]", None),
        ("the graph is not connected", None),
        ("", None),
    ],
)
def test_the_interval_in_a_refusal(words, interval):
    assert interval_in(words) == interval


@given(st.integers(1, 10**7), st.integers(0, 10**7), st.floats(0, 1))
def test_sizes_step_down_to_within_a_factor_of_two_and_none_is_refused_a_third_time(high, limit, seen):
    """A validator accepts sizes up to `limit`, which nobody knows."""
    accepted = start = int(min(limit, high) * seen)
    refused: list[int] = []
    for _ in range(64):
        size = next_size(high, refused, accepted)
        assert accepted <= size <= max(high, accepted)
        assert size not in refused
        if size <= limit:
            if size == accepted:
                break
            accepted = size
        else:
            refused.append(size)
    else:
        raise AssertionError(f"no end: {refused}, {accepted}")
    assert len(refused) <= 30
    assert start <= accepted <= max(limit, start)
    assert 2 * accepted >= min(limit, high) - 1 or accepted == min(limit, high)


def _told(
    *inputs: str, highs: dict[int, int], refused: list[tuple[str, str]], valid: tuple[str, ...] = ()
) -> list[int]:
    found = known(*inputs)
    ranges = {number: replace(one, highs=(highs[number],)) for number, one in found.ranges.items()}
    found = within_refusals(replace(found, ranges=ranges), valid, refused)
    return [max(found.ranges[number].highs) for number in sorted(found.ranges)]


MOST = "most, anywhere n=100001"
OPEN = "Integer 100001 out of range [1, 100001)"


@pytest.mark.parametrize(
    ("refused", "valid", "highs"),
    [
        ([(MOST, OPEN)], (), [100_000, 10**9]),
        ([(MOST, "")], (), [100_001, 10**9]),
        ([(MOST, ""), ("most, sorted n=100001", "")], (), [100_000, 10**9]),
        ([(MOST, "")] * 2 + [("large n=100000", "")] * 2, (), [10_000, 10**9]),
        ([(MOST, "")] * 2 + [("large n=100000", "")] * 2, ("large n=20000",), [44721, 10**9]),
        ([("random n=100001", "")] * 5, (), [100_001, 10**9]),
        ([("x", "7 is not in [1, 3]")] * 2, (), [100_001, 10**9]),
        ([("x", "1000000000 is not in [1, 1000000]")] * 2, (), [100_001, 10**6]),
        ([("x", "9 is not in [1, 7]"), ("y", "9 is not in [1, 8]"), ("y", "9 is not in [1, 8]")], (), [100_001, 10**9]),
    ],
    ids=[
        "an open bound",
        "refused once",
        "refused twice: the bound may be open",
        "then a tenth",
        "then back towards it",
        "small inputs tell nothing of sizes",
        "less than what is known",
        "a value",
        "the interval depends on the input",
    ],
)
def test_ranges_after_refusals(refused, valid, highs):
    inputs = ("3\n5 2 4\n", "2\n1 6\n")
    assert _told(*inputs, highs={0: 100_001, 1: 10**9}, refused=refused, valid=valid) == highs


@pytest.mark.parametrize(
    ("size", "refusals", "says"),
    [
        (3, [], "n is at most 3 of 1000"),
        (499, [], "n is at most 499 of 1000"),
        (500, [], ""),
        (3, ["1000 out of range [1, 701)"], "n is at most 3 of 700"),
    ],
)
def test_a_problem_without_a_large_input_says_so(size, refusals, says):
    found = known("3\n7 8 9\n", "2\n1 0\n", validator="assert 1 <= n <= 1000\nassert 0 <= x <= 50")
    line = shortfall(found, refusals, [f"{size}\n{' '.join(['5'] * size)}\n".encode(), b"1\n1\n", b"no input"])
    assert line.startswith(SHORTFALL) is bool(says)
    assert line.endswith(says)


def test_without_a_valid_input_nothing_is_said():
    """Nothing was judged, e.g. as all servers were down."""
    found = known("3\n7 8 9\n", "2\n1 0\n", validator="assert 1 <= n <= 1000\nassert 0 <= x <= 50")
    assert shortfall(found, [], []) == ""
