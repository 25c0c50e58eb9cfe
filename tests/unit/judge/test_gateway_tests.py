"""Requests that bring tests: SandboxFusion's `/submit`, and the `/test_program` of open-instruct."""

import base64
import json
import os
import pickle
import zlib
from collections.abc import Mapping
from typing import Any

import pytest

from balancer.judge.gateway.plain_pickle import plain_values
from balancer.program import Execution, Program, Status
from tests.unit.judge.gateways import ask, asked_all, call_of, really
from tests.unit.judge.judges import doubling
from tests.unit.pipeline.fakes import BUSY, DOWN, FakeExecutor
from tests.unit.pipeline.programs import finished

# -- /submit -------------------------------------------------------------------------------------------

DOUBLE = "Think.\n```python\ndouble\n```\nOr else:\n```python\ntriple\n```"


def _row(*pairs: tuple[str, str]) -> dict[str, Any]:
    return {"id": 7, "test": [{"input": {"stdin": one}, "output": {"stdout": other}} for one, other in pairs]}


def _submit(
    row: object, completion: str = DOUBLE, extra: dict[str, Any] | None = None, **config: Any
) -> dict[str, Any]:
    common = {"dataset_type": "CommonOJDataset", "language": "python", "provided_data": row, "extra": extra or {}}
    return {"dataset": "mine", "id": 7, "completion": completion, "config": common | config}


@pytest.mark.parametrize("row", [_row(("1", "2"), ("2", "4\n")), {"test": json.dumps(_row(("1", "2"))["test"])}])
def test_a_right_program_is_accepted(row: dict[str, Any]) -> None:
    status, answer = ask(FakeExecutor(doubling), "/submit", _submit(row))
    assert (status, answer["id"], answer["accepted"], answer["extracted_code"]) == (200, 7, True, "double")
    first = answer["tests"][0]
    assert (first["passed"], first["exec_info"]["run_result"]["stdout"]) == (True, "2\n")
    assert first["test_info"] == {"input": {"stdin": "1"}, "output": {"stdout": "2"}}


def test_it_stops_at_the_first_wrong_case_unless_all_are_wanted() -> None:
    row = _row(("1", "2"), ("2", "5"), ("3", "6"))
    _, answer = ask(FakeExecutor(doubling), "/submit", _submit(row))
    assert (answer["accepted"], [each["passed"] for each in answer["tests"]]) == (False, [True, False])
    _, answer = ask(FakeExecutor(doubling), "/submit", _submit(row, extra={"run_all_cases": True}))
    assert (answer["accepted"], [each["passed"] for each in answer["tests"]]) == (False, [True, False, True])


@pytest.mark.parametrize(
    ("printed", "expected", "passed"),
    [
        ("Yes \n no", "yes\nNO\n", True),
        ("0.3333333", "0.33333331", True),
        ("0.3334", "0.3333", False),
        ("1 0.33333", "1 0.33333331", False),  # only a line that is one number
        ("nan", "1", False),
        ("inf", "1", False),
        ("1\n2", "1", False),
        ("", "", True),
    ],
)
def test_lines_are_compared_as_sandboxfusion_does(printed: str, expected: str, *, passed: bool) -> None:
    executor = FakeExecutor(lambda program, stdin, files: finished(printed.encode()))
    _, answer = ask(executor, "/submit", _submit(_row(("", expected))))
    assert answer["accepted"] is passed


def test_a_program_that_does_not_end_well_passes_nothing() -> None:
    ended = Execution(Status.FINISHED, b"2\n", exit_code=1)
    _, answer = ask(FakeExecutor(always=ended), "/submit", _submit(_row(("1", "2"))))
    assert answer["accepted"] is False


def test_long_cases_are_cut_in_the_answer() -> None:
    row = _row(("1" + " " * 3000, "2"))
    _, answer = ask(FakeExecutor(doubling), "/submit", _submit(row))
    assert len(answer["tests"][0]["test_info"]["input"]["stdin"]) == 999
    _, answer = ask(FakeExecutor(doubling), "/submit", _submit(row, extra={"return_full_case": True}))
    assert len(answer["tests"][0]["test_info"]["input"]["stdin"]) == 3001


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/submit", _submit(_row(("1", "2"), ("2", "4")))),
        ("/test_program", {"program": "x", "tests": ["y", "z"]}),
        ("/test_program_stdio", {"program": "x", "tests": [{"input": "1", "output": "2"}] * 2}),
    ],
)
def test_a_failure_of_the_servers_is_no_verdict(path: str, body: object) -> None:
    for script in ([DOWN], [Execution(Status.FINISHED, b"2\n", exit_code=0), BUSY]):
        executor = FakeExecutor(doubling, script=script, always=DOWN)
        (answer,) = asked_all({"a": executor}, call_of(path, body), outage_s=0, attempts=1)
        assert (answer.status, answer.headers["Retry-After"]) == (504, "1")
        assert b"the program was not run" in answer.body


CODE = {"labels": {"programming_language": "python"}, "test": {"code": "#<INSERT>\nassert f() == 3"}}
THREE = '```python\ndef f():\n    return 3\n\nif __name__ == "__main__":\n    input()\n```'


@pytest.mark.parametrize(
    ("completion", "extra", "accepted"),
    [
        (THREE, {}, True),
        (THREE.replace("3", "4"), {}, False),
        (THREE, {"append_flag": True}, True),
        ("```python\nimport sys; sys.exit(0)\n```", {}, True),  # as SandboxFusion has it, without the flag
        ("```python\nimport sys; sys.exit(0)\n```", {"append_flag": True}, False),
    ],
)
def test_tests_that_are_code(completion: str, extra: dict[str, Any], *, accepted: bool) -> None:
    asked = _submit(CODE, completion, extra, dataset_type="AutoEvalDataset", language=None)
    status, answer = ask(FakeExecutor(really), "/submit", asked)
    assert (status, answer["accepted"], answer["tests"][0]["passed"]) == (200, accepted, accepted)
    assert "input()" not in answer["full_code"]


def test_code_without_a_place_for_the_program_follows_it() -> None:
    seen: list[tuple[str, dict[str, bytes]]] = []

    def look(program: Program, stdin: bytes, files: Mapping[str, bytes]) -> Execution:
        seen.append((program.source, dict(files)))
        return finished(b"")

    test = {"code": "TEST", "asset": json.dumps({"a.txt": base64.b64encode(b"1").decode()})}
    row = {"labels": json.dumps({"programming_language": "python", "execution_language": "bash"}), "test": test}
    asked = _submit(row, "```python\nOWN\n```", dataset_type="AutoEvalDataset")
    assert ask(FakeExecutor(look, languages=["bash"]), "/submit", asked)[1]["accepted"] is True
    assert seen == [("OWN\nTEST", {"a.txt": b"1"})]


@pytest.mark.parametrize(
    ("asked", "status", "why"),
    [
        (_submit({}, dataset_type="HumanEvalDataset"), 400, "dataset_type is 'HumanEvalDataset'; it must be"),
        (_submit({}, dataset_type=None), 400, "dataset_type is 'None'"),
        (_submit(None), 400, "config.provided_data must be a row"),
        (_submit({}), 400, "provided_data has no field 'test'"),
        (_submit({"test": "{"}), 400, "provided_data.test is a text that is not JSON"),
        (_submit({"test": {}}), 400, "provided_data.test must be a list of cases"),
        (_submit({"test": [{"input": 1}]}), 400, "provided_data.test.0.input: Input should be a valid dictionary"),
        (_submit({"test": [{"input": {}, "output": {}}]}), 400, "provided_data.test.0: input.stdin or output.stdout"),
        (_submit(_row(("", "")), language=None), 400, "config.language is missing"),
        (_submit(_row(("", "")), language="lean"), 422, "language 'lean' is not known"),
        (_submit({}, custom_extract_logic="import os"), 400, "custom_extract_logic is code for the server"),
        (_submit({}, run_timeout=-1), 422, "config.run_timeout: Input should be greater than 0"),
        (_submit({"test": {"code": 1}}, dataset_type="AutoEvalDataset"), 400, "provided_data.test.code: Input"),
        (_submit({"test": {"code": ""}}, dataset_type="AutoEvalDataset"), 400, "provided_data has no field 'labels'"),
        (
            _submit(CODE | {"test": {"code": "", "asset": {"a": "%"}}}, dataset_type="AutoEvalDataset"),
            422,
            "file 'a' is not base64",
        ),
        (
            _submit(CODE | {"test": {"code": "", "asset": "[1]"}}, dataset_type="AutoEvalDataset"),
            400,
            "provided_data.test.asset must have files by their name",
        ),
    ],
)
def test_what_cannot_be_submitted_is_refused(asked: object, status: int, why: str) -> None:
    code, answer = ask(FakeExecutor(doubling), "/submit", asked)
    assert (code, list(answer)) == (status, ["detail"])
    assert answer["detail"].startswith(why)


# -- /test_program -------------------------------------------------------------------------------------


def _packed(tests: object) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(tests))).decode()


ADD = "def add(a, b):\n    print('said')\n    return a + b\nif __name__ == '__main__':\n    1 / 0\n"


def test_which_tests_a_program_passes() -> None:
    tests = ["assert add(1, 2) == 3", "assert add(0, 0) == 1", "import sys; sys.exit(0)", "assert add(2, 2) == 4"]
    status, answer = ask(FakeExecutor(really), "/test_program", {"program": ADD, "tests": tests})
    assert (status, answer) == (200, {"results": [1, 0, 0, 1], "runtimes": [0.125, -1.0, -1.0, 0.125]})


def test_a_program_that_ends_early_passes_nothing() -> None:
    asked = {"program": "import os\nos.write(1, b'1')\nos._exit(0)", "tests": ["assert False"]}
    assert ask(FakeExecutor(really), "/test_program", asked)[1]["results"] == [0]


def test_programs_that_read_and_print() -> None:
    program = "a, b = map(int, input().split())\nif __name__ == '__main__':\n    print(a + b, sqrt(4))"
    tests = [{"input": "5 3", "output": " 8 2 \n"}, {"input": "0 0", "output": "1 2.0"}]
    asked = {"program": program, "tests": tests, "max_execution_time": 0.1}
    status, answer = ask(FakeExecutor(really), "/test_program_stdio", asked)
    assert (status, answer) == (200, {"results": [1, 0], "runtimes": [0.1, -1.0]})


@pytest.mark.parametrize(
    ("printed", "expected", "passed"),
    [("1.0 2", "1 2.00", 1), ("a", "A", 0), ("1\n", "1", 1), ("1\n2", "1", 0), ("sNaN", "1", 0), ("1", "x", 0)],
)
def test_numbers_are_compared_by_value(printed: str, expected: str, passed: int) -> None:
    executor = FakeExecutor(lambda program, stdin, files: finished(printed.encode()))
    asked = {"program": "x", "tests": [{"input": "", "output": expected}]}
    assert ask(executor, "/test_program_stdio", asked)[1]["results"] == [passed]


STDIO = [{"input": "1\n", "output": "2"}]


@pytest.mark.parametrize("tests", [STDIO, json.dumps(STDIO), _packed(STDIO)])
def test_tests_may_be_packed(tests: object) -> None:
    executor = FakeExecutor(lambda program, stdin, files: finished(b"2\n" if stdin == b"1\n" else b""))
    assert ask(executor, "/test_program_stdio", {"program": "x", "tests": tests})[1]["results"] == [1]


@pytest.mark.parametrize("tests", [None, [], "", "[]"])
def test_without_tests_there_are_no_results(tests: object) -> None:
    asked = {"program": "x", "tests": tests}
    assert ask(FakeExecutor(really), "/test_program", asked) == (200, {"results": [], "runtimes": []})


class Harm:
    """A value whose pickle calls a function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.abort, ()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"tests": []}, "program: Field required"),
        ({"program": "x", "tests": {}, "max_execution_time": 0}, "max_execution_time: Input should be greater than 0"),
        ({"program": "x", "tests": {"a": 1}}, "tests: found dict; it takes a list"),
        ({"program": "x", "tests": [1]}, "tests.0: found int; it takes a text with Python code"),
        ({"program": "x", "tests": ["1"] * 10_001}, "tests has 10001 entries; at most 10000 are allowed"),
        ({"program": "x", "tests": "{"}, "tests: neither JSON nor base64 of a compressed pickle"),
        ({"program": "x", "tests": "[" * 100_000}, "tests: the JSON is nested too deeply"),
        ({"program": "x", "tests": base64.b64encode(b"x").decode()}, "tests: neither JSON nor base64"),
        ({"program": "x", "tests": _packed([Harm()])}, "tests: neither JSON nor base64"),
        ({"program": "x", "tests": _packed("a")[:-8]}, "tests: neither JSON nor base64"),
    ],
)  # fmt: skip
def test_tests_that_cannot_be_read_are_refused_and_not_failed(asked: object, why: str) -> None:
    executor = FakeExecutor(really)
    code, answer = ask(executor, "/test_program", asked)
    assert (code, list(answer)) == (422, ["detail"])
    assert answer["detail"].startswith(why)
    assert len(answer["detail"]) < 500
    assert not executor.calls


@pytest.mark.more
def test_tests_are_not_unpacked_without_end() -> None:
    asked = {"program": "x", "tests": base64.b64encode(zlib.compress(b"\0" * (2**26 + 1))).decode()}
    code, answer = ask(FakeExecutor(really), "/test_program", asked)
    assert code == 422
    assert answer["detail"].endswith("it ends too early, or has more than 67108864 bytes")


def test_cases_of_input_and_output_have_both() -> None:
    asked = {"program": "x", "tests": [{"input": "1"}]}
    code, answer = ask(FakeExecutor(really), "/test_program_stdio", asked)
    assert (code, answer["detail"]) == (422, "tests.0: it takes an object with the texts input and output")


# -- pickles -------------------------------------------------------------------------------------------

PLAIN = [
    None,
    True,
    [1, -(2**40), 2**100, 1.5, "é", ""],
    {"a": [{"b": ("c", 2)}]},
    [str(number) for number in range(300)],
]


@pytest.mark.parametrize("value", PLAIN)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_through(value: object, protocol: int) -> None:
    assert plain_values(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Harm()),
        pickle.dumps(print),
        pickle.dumps(b"bytes", 2),  # by a function of codecs
        b"cos\nabort\n(tR.",
        pickle.dumps({1}, 4),  # no harm, but nothing that tests have
        pickle.dumps(bytearray(b"x"), 5),
        b"\x80\x04]r\xff\xff\xff\x7f.",  # an index for which the unpickler would make room
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.",
        b"\x80\x04\x85.",
        b"h\x01.",
        b"]",
        b"",
        b"\x80\x63N.",
    ],
)
def test_what_could_do_harm_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a pickle of plain values"):
        plain_values(data)
