"""When what a function returned is right."""

import json
from typing import Any

import pytest

from balancer.judging.verdict import judge_value
from balancer.problem import Checker, Verdict


def _says(found: Any, *right: Any, flags: tuple[str, ...] = ()) -> bool:
    output = found if isinstance(found, bytes) else json.dumps(found).encode()
    judged = judge_value(Checker(flags=flags), output, json.dumps(list(right)).encode())
    assert (judged.note == "") is (judged.verdict is Verdict.ACCEPTED)
    return judged.verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (3, 3), ([1, [2, 3]], [1, [2, 3]]), ("a", "a"), (None, None), (True, True), (True, 1), (2.0, 2),
        (0.1 + 0.2, 0.3), (1e9 + 100.0, 1e9), ({"a": [1.0000000001]}, {"a": [1]}), (10**400, 10**400),
        (float("nan"), float("nan")), (float("inf"), float("inf")),
    ],
)  # fmt: skip
def test_right(found, right):
    assert _says(found, right)


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (3, 4), ([1, 2], [2, 1]), ([1], [1, 2]), ("A", "a"), ("3", 3), (None, 0), (None, []), ([], {}), (3.1, 3),
        (2**53, 2**53 + 1), ({"a": 1}, {"a": 1, "b": 2}), (10**400, 1.5), (float("nan"), 1.0), (1e400, 5),
        (0, float("nan")), (float("-inf"), float("inf")), (5, float("inf")), (float("inf"), 5.5),
        (b"1" + b"0" * 10**5, 1),
        (b"", 3), (b"3 4", 3), (b"nonsense", "nonsense"), (b"[" * 100_000, []), (b"\xff", 1), (b"1" * 5000, 1),
    ],
)  # fmt: skip
def test_wrong(found, right):
    assert not _says(found, right)


def test_several_may_be_right():
    assert _says(3, [3], 3)
    assert _says([3], [3], 3)
    assert not _says([[3]], [3], 3)


def test_the_flags_set_the_tolerance():
    assert not _says(1.001, 1.0)
    assert _says(1.001, 1.0, flags=("float_tolerance", "1e-2"))
    assert not _says(1.0000001, 1.0, flags=("float_absolute_tolerance", "1e-9"))
