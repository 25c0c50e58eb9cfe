"""Columns of a row: the content of a problem, and how values are read from columns that may hold anything.

Decides what a value must be to count as a text, a list, a limit or a program. All readers raise `PackageError` with one
line, and nothing else.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from balancer.errors import PackageError
from balancer.program import Program

__all__ = [
    "KINDS",
    "RowProblem",
    "RowSchema",
    "RowTest",
    "Solution",
    "in_python",
    "lists",
    "mapping",
    "mebibytes",
    "name_in",
    "pairs",
    "parsed",
    "program_in",
    "seconds",
    "short",
    "solutions",
    "text",
    "unfenced",
    "whole",
    "with_starter",
    "without_repetition",
]

KINDS = ("public", "private", "generated")


@dataclass(frozen=True, slots=True)
class RowTest:
    """A known input with its expected output; `kind` is "public", "private" or "generated".

    `function`: the function that it calls, or "". Then each line of the input is an argument, and each line of the
    output a right value, as JSON.
    """

    input: str
    output: str
    kind: str
    function: str = ""


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
        read: returns the content of a row; raises PackageError.
        languages: languages of its solutions, by their names in the data; empty: the names in the row are used.
        ignored: columns that say something about a problem and are not used.
    """

    marks: frozenset[str]
    words: str
    read: Callable[[Mapping[str, Any]], RowProblem]
    languages: Mapping[Any, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def text(row: Mapping[str, Any], column: str, *, needed: bool = True) -> str:
    """Return a text of `row`; not empty if it is needed, else "" if there is none."""
    found = row.get(column)
    if found is None and not needed:
        return ""
    if not isinstance(found, str) or (needed and not found):
        raise PackageError(f"{column}: found {short(found)}; it must be a text{' that is not empty' if needed else ''}")
    return _encodable(column, found)


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
            return _encodable(column, str(found))
    return ""


def mapping(where: str, found: object) -> Mapping[str, Any]:
    """Return `found`, which must be an object with names."""
    if not isinstance(found, Mapping):
        raise PackageError(f"{where}: found {short(found)}; it must be an object with names")
    return found


def parsed(row: Mapping[str, Any], column: str) -> Any:
    """Return the value of a column; if that is a text, the value that the text holds as JSON; None if it is empty."""
    found = row.get(column)
    if not isinstance(found, str):
        return found
    if not found.strip():
        return None
    try:
        return json.loads(found)
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{column}: is not JSON: {str(error)[:120]}") from None


def pairs(row: Mapping[str, Any], column: str, first: str, second: str, words: str) -> list[tuple[Any, Any]]:
    """Return pairs from a struct of two lists, as `datasets` stores a sequence, or from a list of structs.

    Args:
        first, second: their names.
        words: for the error if one list is longer, e.g. "inputs for {} outputs".
    """
    found = row.get(column)
    if found is None:
        return []
    if not isinstance(found, Mapping):
        each = enumerate(lists(row, column))
        tables = [mapping(f"{column}[{number}]", entry) for number, entry in each]
        return [(table.get(first), table.get(second)) for table in tables]
    ones, others = lists(found, first), lists(found, second)
    if len(ones) != len(others):
        raise PackageError(f"{column}: {len(ones)} {words.format(len(others))}; give as many of each")
    return list(zip(ones, others, strict=True))


def solutions(
    row: Mapping[str, Any],
    column: str,
    named: str = "language",
    source: str = "solution",
    languages: Mapping[Any, str] | None = None,
) -> Iterator[Solution]:
    """Yield the programs of a column that has a language with each.

    Args:
        named, source: names of the language and the program.
        languages: by their names in the data. If given, others are "language NAME", which no endpoint runs.
    """
    for number, (language, program) in enumerate(pairs(row, column, named, source, "languages, {} programs")):
        where = f"{column}[{number}]"
        if not isinstance(program, str) or not (program or languages):
            raise PackageError(f"{where}: found {short(program)}; it must be the text of a program")
        if not isinstance(language, str | int):
            raise PackageError(f"{where}: its language is {short(language)}; it must be a name or a number")
        known = str(language).lower() if languages is None else languages.get(language, f"language {language}")
        yield Solution(number, _encodable(where, known), _encodable(where, program))


def in_python(column: str, found: object) -> Iterator[Solution]:
    """Yield the programs of a list of texts without languages: they are in Python 3. None: there are none."""
    if found is not None and not isinstance(found, list):
        raise PackageError(f"{column}: found {short(found)}; it must be a list of programs")
    for number, program in enumerate(found or []):
        yield Solution(number, "python", text({f"{column}[{number}]": program}, f"{column}[{number}]"))


def program_in(row: Mapping[str, Any], column: str, language: str) -> Program | None:
    """Return the program in a column, named for people; None if the row has none."""
    source = text(row, column, needed=False)
    return Program(language, source, f"row/{column}") if source.strip() else None


def with_starter(statement: str, row: Mapping[str, Any]) -> str:
    """Return the statement, with the row's starter code if it has some: that names the types of a call."""
    starter = text(row, "starter_code", needed=False)
    return f"{statement}\n\n```python\n{starter.strip()}\n```" if starter.strip() else statement


def unfenced(found: str) -> str:
    """Return the code in the last Markdown fence of a text; the text itself if it has none."""
    fences = re.findall(r"^```[^\n`]*\n(.*?)^```", found, flags=re.DOTALL | re.MULTILINE)
    return str(fences[-1]) if fences else found


def seconds(found: object) -> float | None:
    """Return seconds from {seconds, nanos}, as durations of protobuf, from a number, or from "2.0 seconds"."""
    if isinstance(found, Mapping):
        whole_s, nanos = found.get("seconds") or 0, found.get("nanos") or 0
        found = whole_s + nanos / 1e9 if _is_number(whole_s) and _is_number(nanos) else None
    elif isinstance(found, str):
        match = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,9})?)\s*(?:s|seconds?)\s*", found)
        found = float(match[1]) if match else None
    return float(found) if _is_number(found) and 0 < found < math.inf else None


def mebibytes(found: object) -> int | None:
    """Return bytes from a number of megabytes, or from "256.0 megabytes"; None if there is no limit."""
    if isinstance(found, str):
        match = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,9})?)\s*(?:MB|megabytes?)\s*", found)
        found = float(match[1]) if match else None
    return int(found * 2**20) if _is_number(found) and 0 < found < 2**20 else None


def whole(row: Mapping[str, Any], column: str) -> int:
    """Return a whole number above 0 of `row`; 0 if there is none."""
    found = row.get(column)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 2**63 else 0


def without_repetition(row: RowProblem) -> RowProblem:
    """Drop and count programs that differ from another only in white space at line ends."""
    kept = [_first_ones(row.right), _first_ones(row.wrong)]
    repeated = len(row.right) + len(row.wrong) - sum(map(len, kept))
    return replace(row, right=kept[0], wrong=kept[1], repeated=repeated)


def short(found: object) -> str:
    """Return type and beginning of a value, for an error."""
    return "nothing" if found is None else f"{type(found).__name__} {ascii(found)[:60]}"


def _is_number(found: object) -> TypeGuard[float]:
    return isinstance(found, int | float) and not isinstance(found, bool) and abs(found) < 1e18


def _encodable(where: str, found: str) -> str:
    """Return `found`, unless it has half a character, as JSON may: then no file can hold it."""
    try:
        found.encode()
    except UnicodeEncodeError:
        raise PackageError(f"{where}: it has half of a surrogate pair, which is no text; remove it") from None
    return found


def _first_ones(found: Iterable[Solution]) -> tuple[Solution, ...]:
    first: dict[tuple[str, str], Solution] = {}
    for solution in found:
        source = re.sub(r"[ \t\r]+$", "", solution.source, flags=re.MULTILINE).strip()
        first.setdefault((solution.language, source), solution)
    return tuple(first.values())
