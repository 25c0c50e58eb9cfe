"""Batch front: make of a program one that takes many inputs, by a part put before its source.

Decides for which languages there is such a front, and what becomes of a program's text. The front reads what
`records` writes, forks for each record, lets the copy go on into the program with the record as its standard input, and
writes down how that ended. It runs where the program runs, in the sandbox, and a program may spoil it: what comes of it
is a hint, never a verdict.
"""

from dataclasses import replace
from functools import lru_cache
from importlib.resources import files

from balancer.program import Program

__all__ = ["taking_many"]

_FRONTS = {"python": "front.python.txt", "cpp": "front.c.txt", "c": "front.c.txt"}


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
