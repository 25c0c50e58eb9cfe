"""What an end means, as a table."""

import signal
from dataclasses import replace

import pytest

from balancer.program import Limits, Status
from balancer.sandbox.languages.memory import died_of_memory_limit
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.executor import execution_of

LIMITS = Limits(cpu_s=0.5, wall_s=2.0, output_bytes=100)
MEMORY_ERROR = b"Traceback (most recent call last):\n  File ...\nMemoryError\n"
LOST = b"object type name: MemoryError\nobject repr     : MemoryError()\nlost sys.stderr\n"
BAD_ALLOC = b"terminate called after throwing an instance of 'std::bad_alloc'\n  what():  std::bad_alloc\n"


def ended(
    exit_code: int | None = 0, stopped_by: StopReason | None = None, *, cpu_s: float | None = 0.1, stderr: bytes = b""
) -> ProcessResult:
    return ProcessResult(
        ready=True,
        exit_code=None if stopped_by else exit_code,
        stopped_by=stopped_by,
        lost=False,
        stdout=b"out",
        stderr=stderr,
        cpu_s=cpu_s,
        peak_bytes=123,
    )


@pytest.mark.parametrize(
    ("end", "language", "status", "exit_code", "words"),
    [
        (ended(0), "python", Status.FINISHED, 0, ""),
        (ended(-40), "cpp", Status.FINISHED, -40, "killed by signal 40"),
        (ended(-signal.SIGXFSZ), "cpp", Status.FINISHED, -25, "killed for writing too large a file"),
        (ended(0, cpu_s=0.49), "python", Status.FINISHED, 0, ""),
        (ended(0, cpu_s=0.5), "python", Status.TIME_LIMIT, None, "CPU time: 0.500 s of 0.5 s"),
        (ended(-signal.SIGXCPU, cpu_s=0.4), "cpp", Status.TIME_LIMIT, None, "CPU time: 0.400 s of 0.5 s"),
        (ended(stopped_by=StopReason.CPU, cpu_s=None), "cpp", Status.TIME_LIMIT, None, "CPU time: 0.5 s"),
        (ended(stopped_by=StopReason.WALL), "cpp", Status.TIME_LIMIT, None, "wall time: 2 s"),
        (
            ended(stopped_by=StopReason.OUTPUT, cpu_s=0.7),
            "cpp",
            Status.OUTPUT_LIMIT,
            None,
            "output: more than 100 bytes",
        ),
        (ended(1, stderr=MEMORY_ERROR), "python", Status.MEMORY_LIMIT, 1, "memory: 536870912 bytes were not enough"),
        (ended(1, stderr=LOST), "python", Status.MEMORY_LIMIT, 1, "memory: 536870912 bytes were not enough"),
        (ended(-6, stderr=BAD_ALLOC), "cpp", Status.MEMORY_LIMIT, -6, "memory: 536870912 bytes were not enough"),
        (ended(-6, stderr=b"Assertion failed"), "cpp", Status.FINISHED, -6, "killed by SIGABRT"),
    ],
)
def test_the_table(end, language, status, exit_code, words):
    execution = execution_of(end, language, LIMITS)
    assert (execution.status, execution.exit_code, execution.message) == (status, exit_code, words)
    assert execution.stdout == b"out"
    assert execution.memory_bytes == 123


def test_unmeasured_time_is_said_to_be_wall_time():
    execution = execution_of(ended(stopped_by=StopReason.WALL, cpu_s=None), "cpp", LIMITS)
    assert (execution.time_s, execution.cpu_measured) == (LIMITS.wall_s, False)


@pytest.mark.parametrize(
    ("language", "exit_code", "stderr"),
    [
        ("python", 2, MEMORY_ERROR),  # it caught the error and left with a code of its own
        ("python", 1, MEMORY_ERROR + b"ValueError: another error came after it\n"),
        ("python", 1, LOST.replace(b"name: MemoryError", b"name: ValueError")),
        ("cpp", 1, BAD_ALLOC),
        ("cpp", -6, MEMORY_ERROR),
        ("bash", 1, MEMORY_ERROR),
    ],
)
def test_what_is_no_memory_limit(language, exit_code, stderr):
    assert not died_of_memory_limit(language, exit_code, stderr)


def test_a_group_that_used_up_its_memory_is_told_before_the_clock_and_after_the_cpu():
    starved = replace(ended(stopped_by=StopReason.WALL), starved=True)
    assert execution_of(starved, "cpp", LIMITS).status is Status.MEMORY_LIMIT
    assert execution_of(replace(ended(-9), starved=True), "cpp", LIMITS).status is Status.MEMORY_LIMIT
    spent = replace(ended(-9, cpu_s=0.6), starved=True)
    assert execution_of(spent, "cpp", LIMITS).status is Status.TIME_LIMIT


def test_who_meddles_with_the_report_has_ended_and_not_well():
    execution = execution_of(replace(ended(1), tampered=True), "cpp", LIMITS)
    assert (execution.status, execution.exit_code) == (Status.FINISHED, 1)
    assert "tampered" in execution.message
