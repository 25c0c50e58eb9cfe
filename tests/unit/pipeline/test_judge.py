"""What an execution means for a submission, and that a validator's own failure means nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.judging.verdict import (
    ACCEPT,
    Judgement,
    checker_files,
    checker_program,
    checker_says,
    judge_end,
    judge_output,
)
from balancer.problem import Checker, Verdict
from balancer.program import Execution, Program, Status

STATUSES = {
    Status.COMPILE_ERROR: Verdict.COMPILE_ERROR,
    Status.TIME_LIMIT: Verdict.TIME_LIMIT,
    Status.MEMORY_LIMIT: Verdict.RUN_TIME_ERROR,
    Status.OUTPUT_LIMIT: Verdict.WRONG_ANSWER,
}
VALIDATOR = Program("python", "...", "output_validators/validate.py")


def test_every_status_means_something() -> None:
    assert STATUSES.keys() | {Status.FINISHED} == set(Status)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("exit_code", [None, 0, 42, -9])
def test_an_end_that_was_forced_decides_whatever_was_printed(status: Status, exit_code: int | None) -> None:
    found = judge_end(Execution(status, b"the right answer", exit_code=exit_code))
    assert found == Judgement(STATUSES[status], status.value.replace("_", " "))
    assert judge_end(Execution(status, message="cpu time")) == Judgement(STATUSES[status], "cpu time")


@given(st.none() | st.integers(-64, 255))
def test_a_program_that_ended_by_itself_is_judged_by_its_exit_code(code: int | None) -> None:
    found = judge_end(Execution(Status.FINISHED, b"42", exit_code=code))
    assert (found is None) == (code == 0)
    assert found is None or found.verdict is Verdict.RUN_TIME_ERROR
    assert found is None or code is None or found.note == f"exit code {code}"


def test_the_endpoint_s_words_come_before_ours() -> None:
    found = judge_end(Execution(Status.FINISHED, exit_code=-11, message="segmentation fault"))
    assert found == Judgement(Verdict.RUN_TIME_ERROR, "segmentation fault")


@pytest.mark.parametrize(
    ("flags", "output", "verdict"),
    [
        ((), b"yes  1.0\n", Verdict.ACCEPTED),
        ((), b"Yes 1.00\n", Verdict.WRONG_ANSWER),
        ((), b"", Verdict.WRONG_ANSWER),
        (("case_sensitive",), b"yes 1.0\n", Verdict.WRONG_ANSWER),
        (("float_tolerance", "1e-6"), b"yes 1.0000001\n", Verdict.ACCEPTED),
        (("float_tolerance", "1e-6"), b"yes 1.1\n", Verdict.WRONG_ANSWER),
    ],
)
def test_the_default_validator_keeps_to_the_flags(flags: tuple[str, ...], output: bytes, verdict: Verdict) -> None:
    found = judge_output(Checker(flags=flags), output, b"Yes 1.0\n")
    assert found.verdict is verdict
    assert bool(found.note) == (verdict is Verdict.WRONG_ANSWER)


def test_a_custom_validator_gets_its_arguments_and_files() -> None:
    checker = Checker(VALIDATOR, ("float_tolerance", "1e-6"))
    program = checker_program(checker)
    assert program == Program(
        "python", "...", VALIDATOR.name, ("input.txt", "answer.txt", "feedback/", "float_tolerance", "1e-6")
    )
    files = checker_files(b"the input", b"the answer")
    assert files["input.txt"] == b"the input"
    assert files["answer.txt"] == b"the answer"
    assert any(name.startswith("feedback/") for name in files), "else the feedback folder would be missing"


def test_the_default_validator_is_no_program() -> None:
    assert checker_program(Checker(flags=("case_sensitive",))) is None


def test_a_custom_validator_says_42_or_43() -> None:
    assert ACCEPT == 42
    assert checker_says(Execution(Status.FINISHED, exit_code=42)).verdict is Verdict.ACCEPTED
    assert checker_says(Execution(Status.FINISHED, exit_code=43)).verdict is Verdict.WRONG_ANSWER


@given(
    status=st.sampled_from(Status),
    code=st.none() | st.integers(-64, 255),
    stderr=st.binary(max_size=2000),
)
def test_a_validator_that_ends_otherwise_has_not_judged(status: Status, code: int | None, stderr: bytes) -> None:
    found = checker_says(Execution(status, stderr=stderr, exit_code=code))
    if status is Status.FINISHED and code in (42, 43):
        assert found.verdict is not Verdict.UNJUDGED
        return
    assert found.verdict is Verdict.UNJUDGED
    assert not found.verdict.kills
    assert found.note.startswith("the output validator failed (")
    assert len(found.note) < 320


@pytest.mark.parametrize(
    ("execution", "note"),
    [
        (
            Execution(Status.FINISHED, stderr=b"Traceback\n  line 1\nIndexError: 3\n", exit_code=1),
            "the output validator failed (exit code 1): IndexError: 3; it must exit with 42 or 43",
        ),
        (Execution(Status.TIME_LIMIT), "the output validator failed (time_limit); it must exit with 42 or 43"),
        (Execution(Status.COMPILE_ERROR), "the output validator failed (compile_error); it must exit with 42 or 43"),
    ],
)
def test_its_note_tells_what_to_mend(execution: Execution, note: str) -> None:
    assert checker_says(execution).note == note
