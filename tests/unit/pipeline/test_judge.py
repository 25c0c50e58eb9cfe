"""What an execution means for a submission, and that a validator's own failure means nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.judging.verdict import (
    Judgement,
    checker_files,
    checker_program,
    checker_says,
    judge_end,
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


def test_every_status_means_something():
    assert STATUSES.keys() | {Status.FINISHED} == set(Status)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("exit_code", [None, 0, 42, -9])
def test_an_end_that_was_forced_decides_whatever_was_printed(status, exit_code):
    found = judge_end(Execution(status, b"the right answer", exit_code=exit_code))
    assert found == Judgement(STATUSES[status], status.value.replace("_", " "))
    assert judge_end(Execution(status, message="cpu time")) == Judgement(STATUSES[status], "cpu time")


@given(st.none() | st.integers(-64, 255))
def test_a_program_that_ended_by_itself_is_judged_by_its_exit_code(code):
    found = judge_end(Execution(Status.FINISHED, b"42", exit_code=code))
    assert (found is None) == (code == 0)
    assert found is None or found.verdict is Verdict.RUN_TIME_ERROR
    assert found is None or code is None or found.note == f"exit code {code}"


def test_the_endpoint_s_words_come_before_ours():
    found = judge_end(Execution(Status.FINISHED, exit_code=-11, message="segmentation fault"))
    assert found == Judgement(Verdict.RUN_TIME_ERROR, "segmentation fault")


def test_a_custom_validator_gets_its_arguments_and_files():
    checker = Checker(VALIDATOR, ("float_tolerance", "1e-6"))
    program = checker_program(checker)
    assert program == Program(
        "python", "...", VALIDATOR.name, ("input.txt", "answer.txt", "feedback/", "float_tolerance", "1e-6")
    )
    files = checker_files(b"the input", b"the answer")
    assert files["input.txt"] == b"the input"
    assert files["answer.txt"] == b"the answer"
    assert any(name.startswith("feedback/") for name in files), "else the feedback folder would be missing"


def test_the_default_validator_is_no_program():
    assert checker_program(Checker(flags=("case_sensitive",))) is None


@given(
    status=st.sampled_from(Status),
    code=st.none() | st.integers(-64, 255),
    stderr=st.binary(max_size=2000),
)
def test_a_validator_that_ends_otherwise_has_not_judged(status, code, stderr):
    found = checker_says(Execution(status, stderr=stderr, exit_code=code))
    if status is Status.FINISHED and code in (42, 43):
        assert found.verdict is not Verdict.UNJUDGED
        return
    assert found.verdict is Verdict.UNJUDGED
    assert not found.verdict.kills
    assert found.note.startswith("the output validator failed (")
    assert len(found.note) < 320
