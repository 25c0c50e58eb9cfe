"""The tests that a program is judged on: what it reads and should print, or what a function is called with.

Decides what is run for a case, and what its output is compared with. Pure data: it must not know where a program runs,
nor who says that an output is right.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

from balancer.judge.calls import calling, fed
from balancer.pipeline.judging.values import judge_value
from balancer.pipeline.judging.verdict import judge_output
from balancer.pipeline.running.judgements import Compare
from balancer.program import Program

__all__ = ["CallCase", "Cases", "Laid", "StdinCase", "case_of"]

_calling = lru_cache(maxsize=256)(calling)  # a program has many cases


@dataclass(frozen=True, slots=True)
class Laid:
    """A case, laid out for a program.

    Attributes:
        program: what is run.
        stdin: what it reads.
        files: what lies in its working directory.
        answer: what its output is compared with.
        expected: what it should print, where one output is right.
        compare: compares, where the checker is no program.
    """

    program: Program
    stdin: bytes
    files: Mapping[str, bytes]
    answer: bytes
    expected: bytes | None
    compare: Compare


@dataclass(frozen=True, slots=True)
class StdinCase:
    """What a program reads on standard input, and what it should print.

    Args:
        input: text, or bytes.
        output: likewise; compared token by token, or by the checker.
        files: what lies in its working directory.
        args: its command-line arguments.
    """

    input: str | bytes
    output: str | bytes
    files: Mapping[str, bytes] = field(default_factory=dict)
    args: tuple[str, ...] = ()

    def laid(self, program: Program) -> Laid:
        """Return what is run for it."""
        if self.args:
            program = replace(program, args=self.args)
        answer = _bytes(self.output)
        return Laid(program, _bytes(self.input), self.files, answer, answer, judge_output)


@dataclass(frozen=True, slots=True)
class CallCase:
    """What a function is called with, and what it should return: values of JSON.

    Args:
        function: its name, or that of a method of the class `Solution`.
        args: its arguments.
        expected: what it should return; tuples and sets count as lists, a set in order.
        kwargs: its keyword arguments.
        or_else: further values that are right as well.
    """

    function: str
    args: Sequence[Any]
    expected: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    or_else: tuple[Any, ...] = ()

    def laid(self, program: Program) -> Laid:
        """Return what is run for it. Raises ValueError if the program's language has no calls, or for other values."""
        try:
            answers = json.dumps([self.expected, *self.or_else]).encode()
        except TypeError as error:
            raise ValueError(f"what a function should return must be a value of JSON: {error}") from None
        return Laid(_calling(program, self.function), fed(self.args, self.kwargs), {}, answers, None, judge_value)


AnyCase: TypeAlias = StdinCase | CallCase | tuple[str | bytes, str | bytes]
Cases: TypeAlias = Sequence[AnyCase]


def case_of(given: AnyCase) -> StdinCase | CallCase:
    """Return `given`, which may be a pair of input and output, as a case. Raises TypeError."""
    if isinstance(given, StdinCase | CallCase):
        return given
    if isinstance(given, tuple) and len(given) == 2 and all(isinstance(each, str | bytes) for each in given):
        return StdinCase(*given)
    raise TypeError(
        f"found {type(given).__name__}; a case is a StdinCase, a CallCase, or a pair of input and output as texts"
    )


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
