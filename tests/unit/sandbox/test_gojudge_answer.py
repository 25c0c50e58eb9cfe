"""What each answer of a go-judge server means, of a program and of a compiler."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import httpx2
import pytest

from balancer.endpoint import Outcome, outcome_of
from balancer.errors import CannotTell, EndpointError
from balancer.program import Execution, Limits, Program, Status
from balancer.sandbox.servers.gojudge import GoJudgeExecutor
from tests.unit.sandbox.answering import answering

LIMITS = Limits(cpu_s=1.0, wall_s=5.0, compile_s=10.0, output_bytes=100)
GOOD: dict[str, Any] = {"status": "Accepted", "exitStatus": 0, "time": 10**8, "memory": 2**20, "runTime": 2 * 10**8}
TOOLS = GOOD | {"files": {"stdout": "python3 /usr/bin/python3\ng++ /usr/bin/g++\n"}}


def answered(language: str, *results: Mapping[str, Any]) -> tuple[Execution, int]:
    """Return the end of a program whose commands end so, and how many of them were asked for."""
    asked, left = [], iter([TOOLS, *results])

    def handler(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            asked.append(json.loads(request.content))
        return httpx2.Response(200, json=[next(left)] if request.method == "POST" else None)

    client = GoJudgeExecutor("gojudge+http://e/", exchange=answering(handler))
    return client.run(Program(language, ""), b"", LIMITS, {}), len(asked) - 1


def ended(**changes: Any) -> Execution:
    files = {"stdout": "out", "stderr": "err", **changes.pop("files", {})}
    return answered("python", {**GOOD, "files": files, **changes})[0]


def compiled(**changes: Any) -> Execution:
    made = {**GOOD, "files": {"stdout": "", "stderr": "words"}, **changes}
    return answered("cpp", made, made, GOOD | {"files": {"stdout": "ran"}})[0]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({}, Status.FINISHED, 0),
        ({"status": "Signalled", "exitStatus": 11}, Status.FINISHED, -11),
        ({"status": "Time Limit Exceeded", "exitStatus": 9, "time": 11 * 10**8}, Status.TIME_LIMIT, None),
        ({"status": "Time Limit Exceeded", "exitStatus": 9, "runTime": 5 * 10**9}, Status.TIME_LIMIT, None),
        ({"status": "Memory Limit Exceeded", "exitStatus": 9, "memory": 2**30}, Status.MEMORY_LIMIT, None),
        ({"status": "Output Limit Exceeded"}, Status.OUTPUT_LIMIT, None),
        ({"status": "Nonzero Exit Status", "exitStatus": 1, "files": {"stdout": "x" * 101}}, Status.OUTPUT_LIMIT, None),
        (
            {"status": "Signalled", "exitStatus": 9, "fileError": [{"name": "stdout", "type": "CollectSizeExceeded"}]},
            Status.OUTPUT_LIMIT,
            None,
        ),
        (
            {"status": "Nonzero Exit Status", "exitStatus": 1, "files": {"stderr": "MemoryError"}},
            Status.MEMORY_LIMIT,
            1,
        ),
    ],
)
def test_ends_of_a_program(changes, status, code):
    execution = ended(**changes)
    assert execution.status is status
    assert execution.cpu_measured
    assert len(execution.stdout) <= LIMITS.output_bytes
    assert execution.exit_code == code


@pytest.mark.parametrize("status", ["Internal Error", "File Error"])
def test_what_the_server_could_not_do(status):
    with pytest.raises(EndpointError, match=f"{status}: no such file"):
        ended(status=status, exitStatus=0, error="no such\nfile")
    with pytest.raises(EndpointError, match=f"{status}: no such file"):
        compiled(
            status=status, exitStatus=0, error="no such\nfile", fileError=[{"name": "main.cpp", "type": "CopyInOpen"}]
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "Nonzero Exit Status", "exitStatus": 1}, ""),
        ({"status": "Time Limit Exceeded", "exitStatus": 9, "time": 10**10}, "ended with Time Limit Exceeded"),
        ({"status": "Memory Limit Exceeded", "exitStatus": 9}, "ended with Memory Limit Exceeded"),
        ({"status": "File Error", "fileError": [{"name": ".program", "type": "CopyOutOpen"}]}, "made no program"),
    ],
)
def test_programs_that_a_compiler_refuses(changes, message):
    refusal = compiled(**changes)
    assert (refusal.status, refusal.stderr) == (Status.COMPILE_ERROR, b"words")
    assert message in refusal.message


def exits(words: str) -> dict[str, Any]:
    return {"status": "Nonzero Exit Status", "exitStatus": 1, "files": {"stderr": words}}


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"status": "Time Limit Exceeded", "exitStatus": 9, "time": 10**9, "runTime": 2 * 10**10}, Outcome.OVERLOAD),
        ({"status": "Signalled", "exitStatus": 9}, Outcome.FAILURE),
        # What a compiler says may be what the source says: such words are held against nobody.
        (exits("Killed signal terminated program cc1plus"), Outcome.IGNORED),
        ({}, Outcome.FAILURE),
    ],
)
def test_compilers_that_could_not_do_their_part(changes, outcome):
    with pytest.raises(EndpointError) as caught:
        compiled(**changes)
    assert outcome_of(caught.value) is outcome


def test_a_program_that_was_made_runs():
    made = GOOD | {"fileIds": {".program": "A"}}
    done, asked = answered("cpp", made, GOOD | {"files": {"stdout": "ran"}})
    assert (done.stdout, asked) == (b"ran", 2)


@pytest.mark.parametrize(
    ("changes", "status"), [({"status": "Output Limit Exceeded"}, Status.OUTPUT_LIMIT), ({}, None)]
)
def test_output_that_is_no_text_is_no_verdict_unless_it_was_cut(changes, status):
    with nullcontext() if status else pytest.raises(CannotTell, match="bytes that are not text"):
        assert ended(files={"stdout": "a\ufffd"}, **changes).status is status
