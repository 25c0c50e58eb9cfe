"""Records of batched inputs: what goes into a program that takes many, and what comes out; see `wrap`."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from balancer.program import Execution, Status

__all__ = ["BatchedInput", "outcomes", "records"]

MOST_BYTES = 2**16  # kept of what is printed for one input
_STOPS = 3  # inputs on which time may run out, before the rest is left
_TIME_SIGNALS = (signal.SIGPROF, signal.SIGALRM)


@dataclass(frozen=True, slots=True)
class BatchedInput:
    """One input.

    Attributes:
        stdin: what the program reads.
        input, answer: the files `input.txt` and `answer.txt`, for an output validator; None: there are none.
    """

    stdin: bytes
    input: bytes | None = None
    answer: bytes | None = None


def records(inputs: Sequence[BatchedInput], cpu_s: float) -> bytes:
    """Return the standard input of a program that takes all of them, each within `cpu_s` seconds of CPU time."""
    parts = [b"%d %d %d\n" % (max(int(cpu_s * 1e6), 1), MOST_BYTES, _STOPS)]
    for fed in inputs:
        parts.append(b"%d %d %d\n" % (len(fed.stdin), _length(fed.input), _length(fed.answer)))
        parts += [fed.stdin, fed.input or b"", fed.answer or b""]
    return b"".join(parts)


def _length(data: bytes | None) -> int:
    return -1 if data is None else len(data)


def outcomes(printed: bytes) -> Iterator[Execution]:
    """Yield what came of each input, as far as `printed` tells; anything that is no record ends it."""
    at = 0
    while (end := printed.find(b"\n", at, at + 80)) >= 0:
        words = printed[at:end].split(b" ")
        if len(words) != 4 or not all(word.isdigit() for word in words):
            return
        status, used_us, cut, length = map(int, words)
        output = printed[end + 1 : end + 1 + length]
        if len(output) < length or length > MOST_BYTES:
            return
        yield _execution(status, used_us / 1e6, output, cut=bool(cut))
        at = end + 1 + length


def _execution(status: int, time_s: float, output: bytes, *, cut: bool) -> Execution:
    """Return the execution that a wait status (see wait(2)) tells of."""
    killed_by = status & 127
    if killed_by in _TIME_SIGNALS:
        return Execution(Status.TIME_LIMIT, output, time_s=time_s, cpu_measured=killed_by == signal.SIGPROF)
    ended = Status.OUTPUT_LIMIT if cut else Status.FINISHED
    exit_code = -killed_by if killed_by else (status >> 8) & 255
    return Execution(ended, output, exit_code=exit_code, time_s=time_s, cpu_measured=True)
