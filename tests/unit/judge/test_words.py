"""Why a program failed: its last words, or its compiler's, in one line that is short, harmless and without secrets."""

import pytest

from balancer.endpoint import Endpoint
from balancer.judge import Judge, Verdict
from balancer.judge.procedure import MOST, last_words
from balancer.opening.pool import Pool
from balancer.program import Execution, Program, Status
from tests.unit.judge.judges import CASES, DOUBLE, judge_over
from tests.unit.pipeline.fakes import FakeExecutor

_TRACEBACK = b'Traceback (most recent call last):\n  File "main.py", line 2\nValueError: no\n\n'
_JAVA = b'Exception in thread "main" java.lang.Error: no\n\tat Main.main(Main.java:5)\n\tat java.base/x\n'


@pytest.mark.parametrize(
    ("status", "stderr", "words"),
    [
        (Status.FINISHED, _TRACEBACK, "ValueError: no"),
        (Status.FINISHED, _JAVA, 'Exception in thread "main" java.lang.Error: no'),
        (Status.FINISHED, b"", ""),
        (Status.FINISHED, b"\x1b[2J\x00\xff\ta  b\r\n", "?[2J?\ufffd a b"),
        (Status.FINISHED, b"a" * 10**6, "a" * (MOST - 3) + "..."),
        (Status.FINISHED, b"no\n" + b"\tat x\n" * 10**5, "at x"),
        (Status.COMPILE_ERROR, b"In main:\na.cpp:1:2: error: no\n  1 | x\n1 error.\n", "a.cpp:1:2: error: no"),
    ],
)  # fmt: skip
def test_the_line_that_tells_why(status, stderr, words):
    assert last_words(Execution(status, stderr=stderr)) == words


def _saying(execution: Execution) -> FakeExecutor:
    return FakeExecutor(lambda program, stdin, files: execution)


def test_a_verdict_carries_it():
    crash = Execution(Status.FINISHED, stderr=_TRACEBACK, exit_code=1)
    with judge_over({"a": _saying(crash)}) as judge:
        judged = judge.run(DOUBLE, CASES)
        assert (judged.verdict, judged.note) == (Verdict.RUN_TIME_ERROR, "exit code 1: ValueError: no")
    broken = Execution(Status.COMPILE_ERROR, stderr=b"a.cpp:1:2: error: no", message="it does not compile")
    with judge_over({"a": _saying(broken)}) as judge:
        assert judge.run(DOUBLE, CASES).cases[0].note == "it does not compile: a.cpp:1:2: error: no"
    wrong = Execution(Status.FINISHED, b"7", stderr=b"debug", exit_code=0)
    with judge_over({"a": _saying(wrong)}) as judge:
        assert "debug" not in judge.run(DOUBLE, CASES).note


@pytest.mark.parametrize("before", [0, 150, 190, 8192 - 10, 2 * 8192 - 10])
def test_secrets_are_never_in_it(before):
    token = "s3cr3t-t0k3n-of-thirty-characters"
    echo = Execution(Status.FINISHED, stderr=b"x" * before + f"Bearer {token} is wrong".encode(), exit_code=1)
    pool = Pool([Endpoint("a", headers={"Authorization": f"Bearer {token}"})], health=None)
    with Judge(pool, executors={"a": _saying(echo)}) as judge:
        note = judge.run(Program("python", "x"), CASES).note
    assert note.startswith("exit code 1: ")
    assert not any(token[start : start + 6] in note for start in range(len(token) - 5))
