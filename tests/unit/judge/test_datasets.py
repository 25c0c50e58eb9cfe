"""The tests of data sets, in each form that is known: read as they are meant, or refused, but never a wrong score."""

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy
import pytest

from balancer.judge import CallCase, Checker, Job, StdinCase, Verdict, cases_of
from balancer.judging.cases import CaseRun, case_of
from balancer.judging.verdict import judge_value
from balancer.program import Program
from tests.patience import PATIENCE_S

_STDIN = [StdinCase("1\n", "2\n"), StdinCase("3\n", "4\n")]


def test_the_function_may_be_told_beside_them():
    assert cases_of([{"testtype": "functional", "input": "1", "output": "true"}], "f") == [CallCase("f", (1,), True)]
    assert cases_of([{"testtype": "stdin", "input": "1\n", "output": "2\n"}], "f") == _STDIN[:1]


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ("", "the row has no tests"), ({"input_output": " "}, "the row has no tests"),
        ("{", "are not JSON"), (3, "type int"), ({"a": 1}, r"keys \['a'\]"), ([3], "a test is"),
        ({"inputs": ["1"], "outputs": []}, "1 inputs and 0 outputs"),
        ({"inputs": "12", "outputs": ["1"]}, "known are"),
        ({"assert_case": ["assert f(1) == 2"], "inputs": [""], "outputs": [None]}, "assert statements"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_no_score(tests, words):
    with pytest.raises(ValueError, match=words):
        Job.of("print(1)", tests)


@pytest.mark.parametrize("wanted", [[[2, 4]], "[[2, 4]]", [2, 4]])
def test_the_note_of_a_wrong_call_has_the_value_without_the_list_around_it(wanted):
    (case,) = cases_of({"fn_name": "f", "inputs": [[1]], "outputs": [wanted]})
    assert isinstance(case, CallCase)
    answers = json.dumps([case.expected, *case.or_else]).encode()
    assert judge_value(Checker(), b"[1, 2]", answers).note == "expected [2, 4], found [1, 2]"


_RUNS_ALL = """
import json, os, sys
for number, (source, stdin) in enumerate(json.load(sys.stdin)):
    if not os.fork():
        with open(f"in-{number}", "w+") as given, open(f"out-{number}", "w") as out:
            given.write(stdin)
            given.seek(0)
            os.dup2(given.fileno(), 0)
            os.dup2(out.fileno(), 1)
            try:
                exec(compile(source, "main.py", "exec"), {"__name__": "__main__"})
                sys.stdout.flush()
            finally:
                os._exit(0)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""


def _outputs(runs: Sequence[CaseRun], folder: Path) -> list[bytes]:
    """Return what each run prints, by one interpreter that forks: starting one for each takes longer than the tests."""
    given = json.dumps([(run.program.source, run.stdin.decode()) for run in runs])
    command = [sys.executable, "-I", "-c", _RUNS_ALL]
    subprocess.run(command, input=given.encode(), cwd=folder, stderr=subprocess.DEVNULL, timeout=PATIENCE_S, check=True)
    return [(folder / f"out-{number}").read_bytes() for number in range(len(runs))]


_READS = "a, b = map(int, open(0).read().split())\nprint(a {} b)"
_CALLED = "class Solution:\n    def f(self, a, b):\n        return a {} b"
_LOOKS_UP = "def f(a):\n    return a[1] {} a[2]"
_OF_METADATA = {"input": "1\n2", "output": "3", "testtype": "functional"}

FORMS: dict[str, tuple[str, Any]] = {
    "APPS, TACO, verl": (_READS, {"inputs": ["1 2\n"], "outputs": ["3\n"]}),
    "APPS, lines": (_READS, {"inputs": [["1", "2"]], "outputs": [["3"]]}),
    "stdin, the output a number": (_READS, {"inputs": ["1 2"], "outputs": [3]}),
    "metadata in words": (_READS, [{"input": "1 2", "output": "3", "metadata": "easy"}]),
    "stdin, numbers": (_READS, {"type": "stdin", "inputs": [[1, 2]], "outputs": [[3]]}),
    "APPS, a function": (_CALLED, {"fn_name": "f", "inputs": [[1, 2]], "outputs": [[3]]}),
    "TACO, a value": (_CALLED, {"fn_name": "f", "inputs": [[1, 2]], "outputs": [3]}),
    "PRIME, a function": (_CALLED, {"fn_name": "f", "inputs": ["1\n2"], "outputs": ["3"]}),
    "APPS, keys": (_LOOKS_UP, {"fn_name": "f", "inputs": [[{"1": 1, "2": 2}]], "outputs": [[3]]}),
    "a row of APPS": (
        _CALLED,
        {"problem_id": 7, "solutions": "[]", "input_output": '{"fn_name": "f", "inputs": [[1, 2]], "outputs": [[3]]}'},
    ),
    "LiveCodeBench": (_READS, [{"input": "1 2\n", "output": "3\n", "testtype": "stdin"}]),
    "LiveCodeBench, a function": (_CALLED, [{**_OF_METADATA, "func_name": "f"}]),
    "DeepCoder": (_CALLED, [{**_OF_METADATA, "metadata": {"func_name": "f"}}]),
    "DeepCoder, JSON": (_CALLED, [{**_OF_METADATA, "metadata": '{"func_name": "f"}'}]),
    "DeepCoder, stdin": (
        _READS, [{"input": "1 2", "output": "3", "testtype": "stdin", "metadata": {"func_name": None}}],
    ),
    "open-r1": (
        _READS,
        {"test_cases": [{"input": "1 2\n", "output": "3\n", "type": "stdin_stdout", "fn_name": None}]},
    ),
    "PrimeIntellect, a function": (
        _CALLED, [{"input": [1, 2], "output": [3], "type": "function_call", "fn_name": "f"}],
    ),
    "a function beside them": (_CALLED, {"fn_name": "f", "test_cases": [{"input": [1, 2], "output": 3}]}),
    "arrays of Parquet": (
        _CALLED, {"fn_name": "f", "inputs": numpy.array([[1, 2]]), "outputs": numpy.array([3])},
    ),
    "arrays of Parquet, lines": (
        _READS, {"inputs": numpy.array([["1", "2"]], object), "outputs": numpy.array([["3"]], object)},
    ),
}  # fmt: skip


def test_a_right_program_is_right_and_a_wrong_one_wrong_in_every_form(tmp_path):
    runs = {}
    for (form, (source, tests)), sign in product(FORMS.items(), "+-"):
        job = Job.of(f"```python\n{source.format(sign)}\n```", tests)
        (case,) = map(case_of, job.cases)
        assert job.program is not None
        runs[form, sign] = case.run_of(job.program)
    outputs = _outputs([*runs.values()], tmp_path)
    right = [
        run.compare(Checker(), output, run.answer).verdict is Verdict.ACCEPTED
        for run, output in zip(runs.values(), outputs, strict=True)
    ]
    assert dict(zip(runs, right, strict=True)) == {(form, sign): sign == "+" for form, sign in runs}


_CALL_OF = {"fn_name": "f", "outputs": ["3"]}


@pytest.mark.parametrize(
    ("tests", "words"),
    [
        ([_OF_METADATA], r"tests\[0\]: it is a call, and no function is named; name it in fn_name"),
        ([{"input": [1, 2], "output": 3, "type": "function_call"}], "no function is named"),
        ([{"input": "1", "output": "3", "type": "interactive"}], "type is 'interactive' .*; known are"),
        ([{"input": "1", "output": "3", "fn_name": ["f"]}], "fn_name is .*; it must be the name"),
        ({"fn_name": None, "inputs": [[1, 2]], "outputs": [3]}, r"the input is \[1, 2\] .* If this is a call"),
        ({"inputs": [[]], "outputs": ["3"]}, "If this is a call"),
        ({"inputs": [5], "outputs": ["6"]}, "the input is 5"),
        ({"inputs": ["1"], "outputs": [None]}, "the output is None"),
        ({"inputs": ["1"], "outputs": [1e16]}, "the output is 1e"),
        ({"inputs": [[b"1", b"2"]], "outputs": ["3"]}, r"the input is \[b'1', b'2'\]"),
        ({"inputs": {"a": 1}, "outputs": {"a": 1}}, "known are"),
        ({**_CALL_OF, "inputs": ["(1, 2)"]}, r"the line '\(1, 2\)' .*; each line must be one argument, as JSON"),
        ({**_CALL_OF, "inputs": [{"a": 1}]}, "the input of a call is {'a': 1}"),
        ({"fn_name": "f", "inputs": ["1"], "outputs": ["True"]}, "the output of a call is 'True' .*; it must be JSON"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_no_score(tests, words):
    with pytest.raises(ValueError, match=words) as raised:
        Job.of("print(1)", tests)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_the_separators_of_unicode_are_no_ends_of_lines():
    (case,) = cases_of({"fn_name": "f", "inputs": ['"a\u2028b"'], "outputs": ["1"]})
    assert isinstance(case, CallCase)
    assert case.args == ("a\u2028b",)


def test_the_checker_of_a_row_comes_with_its_tests():
    row = {"id": "1", "official_tests": [{"input": "1", "output": "2"}], "generated_checker": "print(1)"}
    job = Job.of("print(1)", row)
    assert isinstance(job.checker, Program)
    assert "print(1)" in job.checker.source
    assert Job.of("print(1)", row, checker=Checker()).checker == Checker()
    assert Job.of("print(1)", {**row, "generated_checker": None}).checker is None
