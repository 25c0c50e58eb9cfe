"""The tests of data sets, in each form that is known."""

import json
from typing import Any

import pytest

from balancer.judge import CallCase, Job, StdinCase, cases_of

_STDIN = [StdinCase("1\n", "2\n"), StdinCase("3\n", "4\n")]


@pytest.mark.parametrize(
    "tests",
    [
        {"inputs": ["1\n", "3\n"], "outputs": ["2\n", "4\n"]},
        json.dumps({"inputs": ["1\n", "3\n"], "outputs": ["2\n", "4\n"], "fn_name": None}),
        [{"input": "1\n", "output": "2\n"}, {"input": "3\n", "output": "4\n", "type": "stdin_stdout", "fn_name": "no"}],
        [{"input": "1\n", "output": "2\n", "testtype": "stdin"}, {"input": "3\n", "output": "4\n"}],
        {"language": "python", "test_cases": [{"input": "1\n", "output": "2\n"}, {"input": "3\n", "output": "4\n"}]},
    ],
)
def test_standard_input(tests: Any) -> None:
    assert cases_of(tests) == _STDIN


def test_lines() -> None:
    assert cases_of({"inputs": [["1", "2"]], "outputs": [["3"]]}) == [StdinCase("1\n2", "3")]


@pytest.mark.parametrize(
    ("tests", "case"),
    [
        ({"fn_name": "f", "inputs": [[1, [2]]], "outputs": [[3]]}, CallCase("f", (1, [2]), [3], or_else=(3,))),
        ({"fn_name": "f", "inputs": ["1\n[2]"], "outputs": ["3"]}, CallCase("f", (1, [2]), 3, or_else=("3",))),
        ({"fn_name": "f", "inputs": ['"a"'], "outputs": ["b"]}, CallCase("f", ("a",), "b")),
        ({"fn_name": "f", "inputs": [[]], "outputs": [[1, 2]]}, CallCase("f", (), [1, 2])),
        ([{"fn_name": "f", "type": "function_call", "input": [1], "output": 2}], CallCase("f", (1,), 2)),
        (
            [{"testtype": "functional", "func_name": "f", "input": "1", "output": "2"}],
            CallCase("f", (1,), 2, or_else=("2",)),
        ),
    ],
)
def test_calls(tests: Any, case: CallCase) -> None:
    assert cases_of(tests) == [case]


def test_the_function_may_be_told_beside_them() -> None:
    assert cases_of([{"testtype": "functional", "input": "1", "output": "true"}], "f") == [
        CallCase("f", (1,), True, or_else=("true",))
    ]


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ("{", "are not JSON"), (3, "type int"), ({"a": 1}, r"keys \['a'\]"), ([3], "a test is"),
        ({"inputs": ["1"], "outputs": []}, "1 inputs and 0 outputs"),
        ({"inputs": "12", "outputs": ["1"]}, "known are"),
        ({"assert_case": ["assert f(1) == 2"], "inputs": [""], "outputs": [None]}, "assert statements"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_no_score(tests: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Job.of("print(1)", tests)
