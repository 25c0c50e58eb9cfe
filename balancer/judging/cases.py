"""Test cases: input and output of a program, or arguments and return value of a function. Pure data.

Decides what is run for a case, and what its output is compared with.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

from balancer.judging.calls import as_json, calling, fed, shortened
from balancer.judging.judgements import Compare
from balancer.judging.verdict import judge_output, judge_value
from balancer.program import Program
from balancer.sandbox.languages.layout import check_name, check_together

__all__ = ["CallCase", "CaseRun", "Cases", "StdinCase", "case_of", "cases_in", "check_names", "shown", "utf8_bytes"]

_calling = lru_cache(maxsize=256)(calling)  # a program has many cases


@dataclass(frozen=True, slots=True)
class CaseRun:
    """A case, prepared for a program.

    Attributes:
        program: to run.
        stdin: its standard input.
        files: in its working directory.
        answer: the output is compared with this.
        expected: the expected output, if only one output is right; else None.
        compare: compares output and answer, if the checker is not a program.
    """

    program: Program
    stdin: bytes
    files: Mapping[str, bytes]
    answer: bytes
    expected: bytes | None
    compare: Compare


@dataclass(frozen=True, slots=True)
class StdinCase:
    """Standard input of a program, and the expected output.

    Args:
        input: text or bytes.
        output: text or bytes; compared token by token, or by the checker.
        files: in the working directory.
        args: command-line arguments.
    """

    input: str | bytes
    output: str | bytes
    files: Mapping[str, bytes] = field(default_factory=dict)
    args: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("input", "output"):
            if not isinstance(found := getattr(self, name), str | bytes):
                raise TypeError(f"{name} is {shown(found)}; it takes a text, or bytes")
        if not isinstance(self.files, Mapping) or not all(
            isinstance(name, str) and isinstance(content, bytes) for name, content in self.files.items()
        ):
            raise TypeError(f"files is {shown(self.files)}; it takes bytes by their name, e.g. {{'a.txt': b'1'}}")
        check_names(self.files)
        if isinstance(self.args, str) or not all(isinstance(each, str) for each in self.args):
            raise TypeError(f"args is {shown(self.args)}; it takes texts, e.g. ('-n', '3')")

    def run_of(self, program: Program) -> CaseRun:
        """Return the run of `program` on this case. Raises ValueError for text that UTF-8 cannot encode."""
        if self.args:
            program = replace(program, args=tuple(self.args))
        answer = utf8_bytes("output", self.output)
        return CaseRun(program, utf8_bytes("input", self.input), self.files, answer, answer, judge_output)


@dataclass(frozen=True, slots=True)
class CallCase:
    """Arguments of a function, and the expected return value: JSON values, and numbers and arrays of NumPy.

    Args:
        function: its name, or the name of a method of the class `Solution`.
        args: its arguments.
        expected: the return value. Tuples and sets count as lists; a set is sorted.
        kwargs: its keyword arguments.
        or_else: further return values that are right.
    """

    function: str
    args: Sequence[Any]
    expected: Any
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    or_else: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.function, str):
            raise TypeError(f"function is {shown(self.function)}; it takes a name, e.g. 'f' or 'Solution.f'")
        if isinstance(self.args, str | bytes | Mapping) or not isinstance(self.args, Iterable):
            raise TypeError(f"args is {shown(self.args)}; it takes a list of arguments, e.g. [1, 'a'] for f(1, 'a')")
        if not isinstance(self.kwargs, Mapping) or not all(isinstance(name, str) for name in self.kwargs):
            raise TypeError(f"kwargs is {shown(self.kwargs)}; it takes arguments by their name, e.g. {{'key': 1}}")

    def run_of(self, program: Program) -> CaseRun:
        """Return the run of `program` on this case.

        Raises:
            ValueError: the language has no calls, or a value is not JSON.
        """
        answers = as_json("expected", [self.expected, *self.or_else])
        return CaseRun(_calling(program, self.function), fed(self.args, self.kwargs), {}, answers, None, judge_value)


AnyCase: TypeAlias = StdinCase | CallCase | tuple[str | bytes, str | bytes]
Cases: TypeAlias = Sequence[AnyCase]


def case_of(given: AnyCase) -> StdinCase | CallCase:
    """Return `given` as a case; it may be a pair of input and output. Raises TypeError."""
    if isinstance(given, StdinCase | CallCase):
        return given
    if isinstance(given, tuple) and len(given) == 2:
        return StdinCase(*given)
    forms = "; Job.of and cases_of read the forms of data sets" if isinstance(given, Mapping) else ""
    raise TypeError(
        f"found {shown(given)}; a case is a StdinCase, a CallCase, or a pair of input and output, "
        f"e.g. ('1', '2'){forms}"
    )


def cases_in(given: Any) -> tuple[AnyCase, ...]:
    """Return the cases as a tuple; they may come from a generator. Raises TypeError if they are not cases."""
    if isinstance(given, str | bytes | Mapping | StdinCase | CallCase) or not isinstance(given, Iterable):
        forms = ""
        if isinstance(given, str | bytes | Mapping):
            forms = ", or cases_of(...) of the tests of a data set"
        raise TypeError(f"cases is {shown(given)}; it takes a list of cases, e.g. [('1', '2')]{forms}")
    return tuple(given)


def utf8_bytes(name: str, text: str | bytes) -> bytes:
    """Return `text` as bytes. Raises ValueError, with `name`, for text that UTF-8 cannot encode."""
    try:
        return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{name} has {text[error.start]!r} at {error.start}, half of a character, which UTF-8 cannot encode; "
            "give bytes"
        ) from None


def check_names(files: Iterable[str]) -> None:
    """Raise ValueError for names of files that no endpoint takes: that is no failure of an endpoint."""
    for name in files:
        utf8_bytes("the name of a file", name)
        check_name(name)
    check_together(files)


def shown(found: Any) -> str:
    """Return `found` and its type, cut if it is long: for an error."""
    return f"{shortened(repr(found))} ({type(found).__name__})"
