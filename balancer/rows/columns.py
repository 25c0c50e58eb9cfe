"""Columns of a row: the content of a problem, and how values are read from columns that may hold anything.

Decides what a value must be to count as a text, a list, a limit or a program. All readers raise `PackageError` with one
line, and nothing else.
"""

import json
import math
import re
from ast import literal_eval
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from balancer.errors import PackageError
from balancer.judging.cases import CallCase, StdinCase
from balancer.program import Program

__all__ = [
    "KINDS",
    "NO_PYTHON",
    "RowProblem",
    "RowSchema",
    "RowTest",
    "Solution",
    "encodable",
    "lists",
    "mapping",
    "mebibytes",
    "name_in",
    "parsed",
    "program_in",
    "seconds",
    "short",
    "text",
    "whole",
]

NO_PYTHON = (SyntaxError, ValueError, TypeError, MemoryError, RecursionError)
"""What reading a text as Python may raise."""
KINDS = ("public", "private", "generated")


@dataclass(frozen=True, slots=True)
class RowTest:
    """A known input with its expected output, which a judge has as `case`; `kind` is one of `KINDS`.

    Of a call each line of the input is an argument, and each line of the output a right value, as JSON.
    """

    input: str
    output: str
    kind: str
    case: StdinCase | CallCase = field(compare=False)

    @property
    def function(self) -> str:
        """The function that it calls, or ""."""
        return self.case.function if isinstance(self.case, CallCase) else ""


@dataclass(frozen=True, slots=True)
class Solution:
    """A program, and its index among the right or the wrong ones of its row."""

    number: int
    language: str
    source: str


@dataclass(frozen=True, slots=True)
class RowProblem:
    """The content of a row.

    Args:
        id: its name in the row; "" if it has none.
        statement: for a person or a model.
        tests: in the order public, private, generated.
        time_limit_s, memory_bytes: None if the row has none.
        right, wrong: in the order of the row, without repetitions.
        repeated: number of repetitions.
        notes: what of the row is ignored, a line each.
        checker, validator: programs of the row, as it has them.
        generator, commands: a program that makes inputs, and its command lines.
    """

    id: str
    statement: str
    tests: tuple[RowTest, ...]
    time_limit_s: float | None = None
    memory_bytes: int | None = None
    right: tuple[Solution, ...] = ()
    wrong: tuple[Solution, ...] = ()
    repeated: int = 0
    notes: tuple[str, ...] = ()
    checker: Program | None = None
    validator: Program | None = None
    generator: Program | None = None
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowSchema:
    """A form of problems in data sets.

    Attributes:
        marks: the columns that identify its rows.
        words: its name and columns, for people.
        read: returns the content of a row, without the programs of the columns that any row may have; raises
            PackageError.
    """

    marks: frozenset[str]
    words: str
    read: Callable[[Mapping[str, Any]], RowProblem]


def text(row: Mapping[str, Any], column: str, *, needed: bool = True) -> str:
    """Return a text of `row`; not empty if it is needed, else "" if there is none."""
    found = row.get(column)
    if found is None and not needed:
        return ""
    if not isinstance(found, str) or (needed and not found):
        raise PackageError(f"{column}: found {short(found)}; it must be a text{' that is not empty' if needed else ''}")
    return encodable(column, found)


def lists(row: Mapping[str, Any], column: str) -> list[Any]:
    found = row.get(column)
    if not isinstance(found, list):
        raise PackageError(f"{column}: found {short(found)}; it must be a list")
    return found


def name_in(row: Mapping[str, Any], *columns: str) -> str:
    """Return the first text or whole number of `columns` as a text; "" if there is none."""
    for column in columns:
        found = row.get(column)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found).strip():
            return encodable(column, str(found))
    return ""


def mapping(where: str, found: object) -> Mapping[str, Any]:
    """Return `found`, which must be an object with names."""
    if not isinstance(found, Mapping):
        raise PackageError(f"{where}: found {short(found)}; it must be an object with names")
    return found


def parsed(row: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column; if that is a text, the value that it holds as JSON or as a Python literal.

    An empty text is None.
    """
    found = row.get(column)
    if not isinstance(found, str):
        return found
    if not found.strip():
        return None
    with suppress(ValueError, RecursionError):
        return json.loads(found)
    try:
        return literal_eval(found)
    except NO_PYTHON as error:
        raise PackageError(f"{column}: is neither JSON nor a Python literal: {ascii(str(error))[1:-1][:120]}") from None


def program_in(row: Mapping[str, Any], column: str, language: str) -> Program | None:
    """Return the program in a column, named for people; None if the row has none."""
    source = text(row, column, needed=False)
    return Program(language, source, f"row/{column}") if source.strip() else None


def seconds(found: object) -> float | None:
    """Return seconds from {seconds, nanos}, as durations of protobuf, from a number, or from "2.0 seconds"."""
    if isinstance(found, Mapping):
        whole_s, nanos = found.get("seconds") or 0, found.get("nanos") or 0
        found = whole_s + nanos / 1e9 if _is_number(whole_s) and _is_number(nanos) else None
    return _measure(found, r"s|seconds?")


def mebibytes(found: object) -> int | None:
    """Return bytes from a number of megabytes, or from "256.0 megabytes"; None if there is no limit."""
    found = _measure(found, r"MB|megabytes?")
    return int(found * 2**20) if found is not None and found < 2**20 else None


def _measure(found: object, units: str) -> float | None:
    """Return a number above 0, which may be in a text with its unit."""
    if isinstance(found, str):
        match = re.fullmatch(rf"\s*(\d{{1,6}}(?:\.\d{{1,9}})?)\s*(?:{units})\s*", found)
        found = float(match[1]) if match else None
    return float(found) if _is_number(found) and 0 < found < math.inf else None


def whole(row: Mapping[str, Any], column: str) -> int:
    """Return a whole number above 0 of `row`; 0 if there is none."""
    found = row.get(column)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 2**63 else 0


def short(found: object) -> str:
    """Return type and beginning of a value, for an error."""
    return "nothing" if found is None else f"{type(found).__name__} {ascii(found)[:60]}"


def _is_number(found: object) -> TypeGuard[float]:
    return isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e18


def encodable(where: str, found: str) -> str:
    """Return `found`, unless it has half a character, as JSON may: then no file can hold it."""
    try:
        found.encode()
    except UnicodeEncodeError:
        raise PackageError(f"{where}: it has half of a surrogate pair, which is no text; remove it") from None
    return found
