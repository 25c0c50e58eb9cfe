"""Programs that are Python functions of their input, for a problem whose answer is twice the input.

So every verdict is known beforehand.
"""

from collections.abc import Callable, Mapping

from balancer.problem import Verdict
from balancer.program import Execution, Status

__all__ = ["PROGRAMS", "TRUTH", "finished", "pong"]


def finished(output: bytes = b"", code: int = 0) -> Execution:
    """Return the execution of a program that ended by itself."""
    return Execution(Status.FINISHED, output, exit_code=code, time_s=0.01, cpu_measured=True)


def pong(stdin: bytes) -> Execution:
    """Return how a probe ends: it has a known answer."""
    return finished(b"%d\n" % (int(stdin) * 48271 % (2**31 - 1)))


def _doubling(data: bytes, _: Mapping[str, bytes]) -> Execution:
    return finished(b"%d\n" % (2 * int(data)))


def _unless(odd: Callable[[int], bool], then: Execution) -> Callable[[bytes, Mapping[str, bytes]], Execution]:
    return lambda data, files: then if odd(int(data)) else _doubling(data, files)


def _check_input(data: bytes, _: Mapping[str, bytes]) -> Execution:
    return finished(code=42 if data.strip().isdigit() and int(data) <= 50 else 43)


def _check_output(output: bytes, files: Mapping[str, bytes]) -> Execution:
    if int(files["input.txt"]) == 3:
        return Execution(Status.FINISHED, stderr=b"Traceback\nIndexError: 3", exit_code=1)
    return finished(code=42 if output.split() == [b"%d" % (2 * int(files["input.txt"]))] else 43)


PROGRAMS: dict[str, Callable[[bytes, Mapping[str, bytes]], Execution]] = {
    "double": _doubling,
    "add": _doubling,
    "a bit less": lambda data, files: finished(b"%.8f\n" % (2 * int(data) * (1 - 0.9e-5))),
    "rounded": lambda data, files: finished(b"%.8f\n" % (2 * int(data) * (1 + 0.2e-5))),
    "a bit more": lambda data, files: finished(b"%.8f\n" % (2 * int(data) * (1 + 0.9e-5))),
    "double, but 13": _unless(lambda n: n == 13, finished(b"13")),
    "square": _unless(lambda n: n not in (0, 2), finished(b"-1")),
    "crash at 0": _unless(lambda n: n == 0, finished(code=1)),
    "killed at 8": _unless(lambda n: n == 8, finished(code=-11)),
    "slow from 20": _unless(lambda n: n >= 20, Execution(Status.TIME_LIMIT, time_s=2.0, cpu_measured=True)),
    "fat at 7": _unless(lambda n: n == 7, Execution(Status.MEMORY_LIMIT, exit_code=-9)),
    "wordy at 9": _unless(lambda n: n == 9, Execution(Status.OUTPUT_LIMIT, b"99999", exit_code=-9)),
    "right after all": _doubling,
    "broken": lambda data, files: Execution(Status.COMPILE_ERROR, stderr=b"syntax error", message="line 1: syntax"),
    "check input": _check_input,
    "check output": _check_output,
}

# What each wrong program must be found to do on the input n.
TRUTH: Mapping[str, Callable[[int], Verdict]] = {
    "square": lambda n: Verdict.ACCEPTED if n in (0, 2) else Verdict.WRONG_ANSWER,
    "crash at 0": lambda n: Verdict.RUN_TIME_ERROR if n == 0 else Verdict.ACCEPTED,
    "killed at 8": lambda n: Verdict.RUN_TIME_ERROR if n == 8 else Verdict.ACCEPTED,
    "slow from 20": lambda n: Verdict.TIME_LIMIT if n >= 20 else Verdict.ACCEPTED,
    "fat at 7": lambda n: Verdict.RUN_TIME_ERROR if n == 7 else Verdict.ACCEPTED,
    "wordy at 9": lambda n: Verdict.WRONG_ANSWER if n == 9 else Verdict.ACCEPTED,
    "right after all": lambda n: Verdict.ACCEPTED,
}
