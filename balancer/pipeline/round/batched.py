"""Batched inputs: many small inputs in one run of a program, by a part that is put before its source.

Decides for which languages there is such a front, and what becomes of a program's text. The front reads what
`records` writes, forks for each record, lets the copy go on into the program with the record as its standard input, and
writes down how that ended. It runs where the program runs, in the sandbox, and a program may spoil it: what comes of it
is a hint, never a verdict.
"""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files

from balancer.program import Execution, Program, Status

__all__ = ["BatchedInput", "outcomes", "records", "taking_many"]

_FRONTS = {"python": "front.python.txt", "cpp": "front.c.txt", "c": "front.c.txt"}
MOST_BYTES = 2**16  # kept of what is printed for one input
_STOPS = 3  # inputs on which time may run out, before the rest is left
_TIME_SIGNALS = (signal.SIGPROF, signal.SIGALRM)


def taking_many(program: Program) -> Program | None:
    """Return the program that takes many inputs; None if its language has no front."""
    front = _FRONTS.get(program.language)
    if front is None:
        return None
    if program.language == "python":
        text = program.source.encode("utf-8", "surrogateescape")
        source = _text(front).replace("SOURCE", repr(text))
    else:
        source = f"{_text(front)}\n#line 1\n{program.source}"
    return replace(program, source=source)


@lru_cache
def _text(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


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
