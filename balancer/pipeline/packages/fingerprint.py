"""Problem fingerprint, and a problem without its data, as a run keeps it between its turns. Pure.

Decides what verdicts depend on.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from balancer.problem import CaseOptions, Problem
from balancer.program import Program

__all__ = ["fingerprint", "without_data"]


def fingerprint(problem: Problem) -> str:
    """Return a hash, 64 hex digits, of everything that verdicts depend on: data, programs, limits, flags.

    It does not depend on names for people and the place of the package. It depends on names of submissions, because
    results use them.
    """
    parts = (
        problem.time_limit_s,
        problem.memory_bytes,
        tuple((_hash(known.data), None if known.answer is None else _hash(known.answer)) for known in problem.data),
        _essence(problem.input_validators),
        _essence([problem.checker.program] if problem.checker.program else []),
        problem.checker.flags,
        tuple((s.name, s.accepted, s.expected, *_essence([s.program])) for s in problem.submissions),
        sorted((name, _options(options)) for name, options in problem.options.items()),
        tuple((each.name, _essence([each.program]), each.args) for each in problem.recipes),
    )
    return _hash(repr(parts).encode("utf-8", "surrogatepass"))


def _essence(programs: Iterable[Program]) -> tuple[object, ...]:
    return tuple(
        (program.language, program.source, program.args, tuple((name, _hash(data)) for name, data in program.extras))
        for program in programs
    )


def _options(options: CaseOptions) -> tuple[object, ...]:
    files = tuple((name, _hash(data)) for name, data in options.files)
    return sorted(options.validators.items()), options.checker, options.args, files


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def without_data(problem: Problem) -> Problem:
    """Return `problem` with the same number of inputs, answers and files, all empty."""
    return replace(
        problem,
        data=tuple(replace(each, data=b"", answer=_emptied(each.answer)) for each in problem.data),
        options={
            name: replace(options, files=tuple((file, b"") for file, _ in options.files))
            for name, options in problem.options.items()
        },
    )


def _emptied(answer: bytes | None) -> bytes | None:
    return None if answer is None else b""
