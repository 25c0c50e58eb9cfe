"""Rows whose tests call a function: they become problems of programs that read JSON, and run through the pipeline."""

import contextlib
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import pytest

from balancer.judge import cases_of
from balancer.judging.calls import called_source
from balancer.judging.verdict import judge_output
from balancer.pipeline.generators.draw.arguments import drawn_arguments
from balancer.pipeline.generators.learn.value_shapes import arguments_of, read_arguments
from balancer.pipeline.generators.mutate import MutateGenerator
from balancer.pipeline.report.export import write_rows
from balancer.pipeline.results.problem_log import CaseState, ProposalBatch
from balancer.pipeline.results.run_result import settle
from balancer.pipeline.results.store import Store
from balancer.pipeline.rows.read import BadRow, read_rows
from balancer.problem import Checker, Origin, Problem, Proposal, Verdict
from balancer.program import Execution, Program
from balancer.settings.pipeline import RowSettings
from tests.patience import PATIENCE_S
from tests.unit.pipeline.bench import Bench, judged
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.programs import finished, pong
from tests.unit.pipeline.test_row_schemas import ROWS

_TWICE = "def twice(n):\n    return 2 * n"
_WRONG = [{"language": "python", "source": "def twice(n):\n    return n * n"}]
_FORM = json.dumps({"fn_name": "twice", "inputs": [[2], [0]], "outputs": [[4], [0]]})
_PRIME = json.dumps({"fn_name": "twice", "inputs": ["2\n", "0"], "outputs": ["4", "0"]})
_LISTED = json.dumps([{"input": "2", "output": "4", "testtype": "functional"}])
_TYPED = json.dumps([{"input": [2], "output": [4], "type": "function_call", "fn_name": "twice"}])
_NAMED = json.dumps({"func_name": "twice"})

CALLS: Mapping[str, Mapping[str, Any]] = {
    "apps": {"input_output": _FORM, "solutions": json.dumps([_TWICE])},
    "taco": {"input_output": _FORM, "solutions": json.dumps([_TWICE])},
    "live-code-bench": {"public_test_cases": _LISTED, "private_test_cases": _LISTED, "metadata": _NAMED},
    "verl": {"reward_model": {"ground_truth": _FORM}},
    "eurus": {"reward_model": {"ground_truth": _PRIME}},
    "deep-coder": {"tests": _TYPED},
    "synthetic": {
        "verification_info": json.dumps({"language": "python", "test_cases": json.loads(_TYPED)}),
        "gold_standard_solution": f"```python\n{_TWICE}\n```",
    },
    "kod-code": {},
}


def _problem(folder: Path, row: Mapping[str, Any], **settings: Any) -> Problem | BadRow:
    place = folder / "rows.jsonl"
    place.write_text(json.dumps(row) + "\n")
    ((_, read),) = read_rows(str(place), RowSettings(right="all", wrong="all", **settings), {"python", "cpp"})
    return read


def _call(name: str, folder: Path, **more: Any) -> Problem:
    right = [{"language": "python", "source": _TWICE}]
    read = _problem(folder, {**ROWS[name], "right": right, "wrong": _WRONG, **CALLS[name], **more})
    assert isinstance(read, Problem), read
    return read


@pytest.mark.parametrize("name", CALLS)
def test_a_call_becomes_an_input_of_json(name, tmp_path):
    problem = _call(name, tmp_path)
    assert (problem.function, problem.checker.values) == ("twice", True)
    assert {known.data for known in problem.data} <= {b"2\n", b"0\n", b"1\n"}
    assert "The tests call the function twice." in problem.statement
    for known in problem.data:
        assert known.answer is not None
        wanted = b"%d" % (2 * int(known.data))
        assert judge_output(problem.checker, wanted, known.answer).verdict is Verdict.ACCEPTED
        assert judge_output(problem.checker, wanted + b"1", known.answer).verdict is Verdict.WRONG_ANSWER
    assert {called_source(each.program).strip() for each in problem.accepted} == {_TWICE}


def test_the_program_reads_an_argument_a_line_and_prints_the_value(tmp_path):
    source = "class Solution:\n    def both(self, xs: List[int], word):\n        return (sum(xs), {word: 1.5})"
    form = json.dumps({"fn_name": "both", "inputs": [[[1, 2], "a b"]], "outputs": [[3, {"a b": 1.5}]]})
    problem = _problem(tmp_path, {**ROWS["apps"], "input_output": form, "solutions": json.dumps([source])})
    assert isinstance(problem, Problem)
    (known,) = problem.data
    assert known.data == b'[1, 2]\n"a b"\n'
    program = problem.accepted[0].program.source
    ran = subprocess.run(
        [sys.executable, "-I", "-c", program], input=known.data, capture_output=True, timeout=PATIENCE_S, check=True
    )
    assert ran.stdout == b'[3, {"a b": 1.5}]'
    assert judge_output(problem.checker, ran.stdout, known.answer or b"").verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("output", "answer", "accepted"),
    [
        (b"[1, 2.0000001]", b"[1, 2]\n", True),
        (b"[1,2]", b"[[1, 2]]\n[1, 2]\n", True),
        (b"[2, 1]", b"[1, 2]\n", False),
        (b'"a"', b'"A"\n', False),
        (b"1 2", b"12\n", False),
        (b"", b"null\n", False),
        (b"1", b"{", False),
    ],
)
def test_outputs_are_compared_as_values(output, answer, accepted):
    verdict = judge_output(Checker(None, ("float_tolerance", "1e-6"), values=True), output, answer).verdict
    assert verdict is (Verdict.ACCEPTED if accepted else Verdict.WRONG_ANSWER)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"solutions": '["print(1)"]', "input_output": '{"fn_name": "f(", "inputs": [[1]], "outputs": [[1]]}'},
         "7: function is 'f('; it must be a name"),
        ({"input_output": '{"fn_name": "f", "inputs": [[{"1": 2}]], "outputs": [[1]]}'}, "keys that are numbers"),
        ({"input_output": '[{"input": "1", "output": "2"}, {"fn_name": "f", "input": [1], "output": 2}]'},
         "its tests call different functions ('f', no function)"),
        ({"solutions": "[]", "right": [{"language": "cpp", "source": "int f();"}], "input_output": _FORM},
         "no endpoint runs a right solution (they are in: cpp; endpoints run: python)"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_made_is_named(columns, why, tmp_path):
    read = _problem(tmp_path, {**ROWS["apps"], **columns})
    assert isinstance(read, BadRow)
    assert why in read.why


# -- through the pipeline ------------------------------------------------------------------------------


def _answer(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
    """Call the function in this process, as the program would in its own."""
    if program.name == "ping":
        return pong(stdin)
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(StringIO()):
        exec(called_source(program), names)
    try:
        value = names["twice"](*(json.loads(line) for line in stdin.splitlines()))
    except Exception:
        return finished(code=1)
    return finished(json.dumps(value).encode())


def test_calls_run_through_the_pipeline(tmp_path):
    survives = {"language": "python", "source": "def twice(n):\n    return n * 2"}
    wrong = [*_WRONG, {"language": "python", "source": "def twice(n):\n    return 2 * n if n < 19 else 0"}, survives]
    problem = _call("apps", tmp_path, wrong=wrong, right=[{"language": "python", "source": f"{_TWICE} + 0"}])
    bench = Bench(tmp_path / "results", problem, (MutateGenerator(),), max_inputs=6)
    end = judged(bench, {"a": FakeExecutor(_answer), "b": FakeExecutor(_answer)})
    killed = {name for name, _, verdict in end.verdicts if verdict is Verdict.WRONG_ANSWER}
    assert killed == {"wrong/0.py", "wrong/1.py"}
    assert {name for name, _, verdict in end.verdicts if verdict is Verdict.ACCEPTED} >= {"right/0.py", "right/1.py"}
    assert not end.left_out
    with bench.open({"a": FakeExecutor(_answer)}) as sample:
        settle(sample.store, problem)
        shown = [each.source for each in sample.store.problems.surviving(problem.id)]
    assert shown == [survives["source"]], "the report shows what was submitted"


@pytest.mark.parametrize(
    ("tests", "made"),
    [
        ({"tests": [{"input": [2], "output": 4}]}, [[18], 36]),
        ({"tests": [{"input": "2", "output": 4}]}, ["18\n", "36"]),
        ({"input_output": {"fn_name": "twice", "inputs": [[2]], "outputs": [4]}}, [[18], 36]),
        ({"input_output": json.dumps({"fn_name": "twice", "inputs": [[2]], "outputs": [4]})}, [[18], 36]),
    ],
)
def test_new_cases_of_calls_have_the_form_of_the_row(tests, made, tmp_path):
    right = [{"language": "python", "source": _TWICE}]
    row = {"id": "a", "question": "twice", "fn_name": "twice", **tests, "right": right, "wrong": _WRONG}
    problem = _problem(tmp_path, row)
    assert isinstance(problem, Problem)
    with Store(tmp_path / "results") as store:
        store.describe({"kind": "rows", "problems": str(tmp_path / "rows.jsonl"), "split": "train"})
        store.problems.meet(problem, 0, "")
        log = store.of("a")
        log.propose(0, ProposalBatch([Proposal(b"18\n", Origin("g", "d"))]))
        log.set_case(1, CaseState.READY, "", b"36")
        log.judged("right/0.py", 1, Verdict.ACCEPTED, 0.1, "")
        write_rows(store, tmp_path)
    (new,) = json.loads((tmp_path / "rows.jsonl").read_text())["new_cases"]
    assert [new["input"], new["output"], new["fn_name"]] == [*made, "twice"]
    assert len(cases_of([new])) == 1


# -- generated arguments -------------------------------------------------------------------------------

_STATEMENT = """Constraints: n == nums.length, 2 <= n <= 3 * 10^4, $-10^9 \\leq nums[i] \\leq 10^9$ and
0 < k <= 10<sup>5</sup>. The word has only lowercase English letters, 1 <= word.length <= 50."""
_INPUTS = [[[1, 2, 5], 3, "ab", [[1, 2]]], [[3, 4], 1, "c", [[5, 6], [7, 8]]], [[7, 9, 9, 11], 2, "", [[0, 1]]]]


def _known(tmp_path: Path, source: str = "def f(nums, k, word, pairs):\n    return 0", statement: str = "") -> Problem:
    form = json.dumps({"fn_name": "f", "inputs": _INPUTS, "outputs": [0] * len(_INPUTS)})
    row = {**ROWS["apps"], "input_output": form, "solutions": json.dumps([source]), "question": statement}
    problem = _problem(tmp_path, row)
    assert isinstance(problem, Problem)
    return problem


def test_what_is_known_of_arguments(tmp_path):
    found = arguments_of(_known(tmp_path, statement=_STATEMENT))
    assert found is not None
    nums, k, word, pairs = found.shapes
    assert (nums.kind, nums.low, nums.high, nums.rising, nums.distinct) == ("list", 2, 30_000, True, False)
    assert nums.item is not None
    assert (nums.item.low, nums.item.high) == (-(10**9), 10**9)
    assert (k.low, k.high) == (1, 10**5)
    assert (word.low, word.high, word.letters) == (1, 50, "abcdefghijklmnopqrstuvwxyz")
    assert pairs.item is not None
    assert (pairs.item.low, pairs.item.high) == (2, 2)
    assert found.within == ((1, 0),)


def test_drawn_arguments_keep_what_all_samples_have(tmp_path):
    problem = _known(tmp_path)
    seen = set()
    for number, (detail, data) in enumerate(drawn_arguments(problem, [problem.data[0].data], Random(1))):
        args = read_arguments(data)
        assert args is not None
        nums, k, word, pairs = args
        assert nums == sorted(nums)
        assert 1 <= len(nums) <= 2000
        assert all(1 <= each <= 11 for each in nums)
        assert k <= min(30, len(nums))
        assert set(word) <= set("abc")
        assert all(len(pair) == 2 and all(0 <= each <= 8 for each in pair) for pair in pairs)
        seen.add(detail)
        if number > 200:
            break
    assert {"least arguments", "greatest arguments", "changed arguments", "small arguments"} <= seen
    assert {"large arguments, 2000", "argument 4 greatest"} <= seen


@pytest.mark.parametrize(
    "values",
    [[None], [True, False], [1, "a"], [[]], [{}], [{"a": 1}, {"b": 2}], [[[], [1]]], [1.5, 2], [math.nan],
     ["\u00e9"], [[None]]],
)  # fmt: skip
def test_any_value_can_be_drawn(values, tmp_path):
    form = json.dumps({"fn_name": "f", "inputs": [[each, 1] for each in values], "outputs": [0] * len(values)})
    source = "def f(a: List[int], b):\n    return 0"
    problem = _problem(tmp_path, {**ROWS["apps"], "input_output": form, "solutions": json.dumps([source])})
    assert isinstance(problem, Problem)
    for number, (_, data) in enumerate(drawn_arguments(problem, [], Random(2))):
        args = read_arguments(data)
        assert args is not None
        assert len(args) == 2
        if number > 30:
            break
