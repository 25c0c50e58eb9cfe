"""Classify how a program ended: from exit code, outputs and measured times to a `Status`.

Pure. It prefers to say `FINISHED` with the exit code over a guess: a limit is named only where the end shows it.
"""

import signal

from balancer.program import Execution, Limits, Status
from balancer.sandbox.languages.memory import died_of_memory_limit
from balancer.sandbox.local.command import ProcessResult, StopReason

__all__ = ["execution_of"]

_CROWDED = 0.25  # of its wall time; a program that sleeps waits for no core


def execution_of(ended: ProcessResult, language: str, limits: Limits) -> Execution:
    """Return what came of a local run that did start.

    Output comes first, as a flood may well use up the time; then CPU time, which is measured and so beats the
    wall clock; then memory.
    """
    status, message = _status(ended, language, limits)
    return Execution(
        status=status,
        stdout=ended.stdout,
        stderr=ended.stderr,
        exit_code=None if status is Status.TIME_LIMIT else ended.exit_code,
        time_s=limits.wall_s if ended.cpu_s is None else ended.cpu_s,
        cpu_measured=ended.cpu_s is not None,
        memory_bytes=ended.peak_bytes,
        message=message,
        doubtful=status is Status.TIME_LIMIT and _was_crowded_out(ended, limits),
    )


def _was_crowded_out(ended: ProcessResult, limits: Limits) -> bool:
    """Tell whether wall time ran out because the machine had no core for it: with those, it might have ended."""
    return ended.stopped_by is StopReason.WALL and ended.waited_s >= _CROWDED * limits.wall_s


def _status(ended: ProcessResult, language: str, limits: Limits) -> tuple[Status, str]:
    if ended.stopped_by is StopReason.OUTPUT:
        return Status.OUTPUT_LIMIT, f"output: more than {limits.output_bytes} bytes"
    # The measured time counts even if the program ended by itself in the meantime. SIGXCPU comes from the kernel's
    # own limit, which lies above ours.
    spent = (ended.cpu_s or 0.0) >= limits.cpu_s
    if spent or ended.stopped_by is StopReason.CPU or ended.exit_code == -signal.SIGXCPU:
        used = "" if ended.cpu_s is None else f"{ended.cpu_s:.3f} s of "
        return Status.TIME_LIMIT, f"CPU time: {used}{limits.cpu_s:g} s"
    if ended.starved:  # before wall time: what was killed, others may have waited for in vain
        return Status.MEMORY_LIMIT, f"memory: {limits.memory_bytes} bytes were not enough for all its processes"
    if ended.stopped_by is StopReason.WALL:
        return Status.TIME_LIMIT, f"wall time: {limits.wall_s:g} s"
    if ended.tampered:
        return Status.FINISHED, "what the sandbox reports of its end was tampered with"
    if ended.exit_code and died_of_memory_limit(language, ended.exit_code, ended.stderr):
        return Status.MEMORY_LIMIT, f"memory: {limits.memory_bytes} bytes were not enough"
    if ended.exit_code == -signal.SIGXFSZ:
        return Status.FINISHED, "killed for writing too large a file"
    return Status.FINISHED, _death(ended.exit_code)


def _death(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return ""
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-exit_code}"
