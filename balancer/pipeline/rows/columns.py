"""Row schemas: from a row to a problem, with CodeContests' columns or a plain schema of ours.

Decides how a row's schema is recognised, what each column means and what a row must have.

CodeContests: https://github.com/google-deepmind/code_contests (its `contest_problem.proto` names the columns).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from balancer.errors import PackageError

__all__ = ["LANGUAGES", "RowProblem", "RowSchema", "RowTest", "Solution", "problem_of"]

_CODE_CONTESTS = {1: "python2", 2: "cpp", 3: "python", 4: "java"}  # its languages; 0 is unknown
_KINDS = ("public", "private", "generated")


@dataclass(frozen=True, slots=True)
class RowTest:
    """A known input with its expected output; `kind` is "public", "private" or "generated"."""

    input: str
    output: str
    kind: str


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
        id: its name in the row.
        statement: for a person or a model.
        time_limit_s, memory_bytes: None if the row has none.
        tests: in the order public, private, generated.
        right, wrong: in the order of the row, without repetitions.
        repeated: number of repetitions.
    """

    id: str
    statement: str
    time_limit_s: float | None
    memory_bytes: int | None
    tests: tuple[RowTest, ...]
    right: tuple[Solution, ...]
    wrong: tuple[Solution, ...]
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class RowSchema:
    """A form of problems in data sets; see `SCHEMAS`.

    Attributes:
        mark: the column that identifies its rows.
        words: its columns, for people.
        read: returns the content of a row; raises PackageError.
        languages: languages of its solutions, by their names in the data; empty: the names in the row are used.
    """

    mark: str
    words: str
    read: Callable[[Mapping[str, Any]], RowProblem]
    languages: Mapping[Any, str] = field(default_factory=dict)


def problem_of(row: Mapping[str, Any]) -> RowProblem:
    """Return the content of `row`.

    Raises:
        PackageError: something is missing, or has another form; one line.
    """
    if "input_output" in row:  # it has `solutions`, too, but they are others than CodeContests'
        raise PackageError(
            "it is a row of APPS or TACO (input_output), which only the judge reads; docs/loop.md has a converter"
        )
    for schema in SCHEMAS:
        if schema.mark in row:
            return schema.read(row)
    known = " and ".join(schema.words for schema in SCHEMAS)
    raise PackageError(f"it has the columns {', '.join(sorted(map(str, row)))[:160]}; known are {known}")


def _code_contests(row: Mapping[str, Any]) -> RowProblem:
    return _without_repetition(
        RowProblem(
            id=_text(row, "name"),
            statement=_text(row, "description", needed=False),
            time_limit_s=_time_limit_s(row.get("time_limit")),
            memory_bytes=_whole(row, "memory_limit_bytes") or None,
            tests=tuple(test for kind in _KINDS for test in _tests(row, kind)),
            right=tuple(_solutions(row, "solutions")),
            wrong=tuple(_solutions(row, "incorrect_solutions")),
        )
    )


def _plain(row: Mapping[str, Any]) -> RowProblem:
    tests = [
        RowTest(_text(test, "input"), _text(test, "output"), str(test.get("kind") or "public"))
        for test in _list(row, "tests")
    ]
    limit_s = row.get("time_limit_s")
    return _without_repetition(
        RowProblem(
            id=_text(row, "id"),
            statement=_text(row, "statement", needed=False),
            time_limit_s=float(limit_s) if isinstance(limit_s, int | float) and limit_s > 0 else None,
            memory_bytes=_whole(row, "memory_bytes") or None,
            tests=tuple(
                sorted(tests, key=lambda test: _KINDS.index(test.kind) if test.kind in _KINDS else len(_KINDS))
            ),
            right=tuple(_listed(row, "right")),
            wrong=tuple(_listed(row, "wrong")),
        )
    )


SCHEMAS = (
    RowSchema("solutions", "CodeContests' (name, description, solutions, ...)", _code_contests, _CODE_CONTESTS),
    RowSchema(
        "right",
        "id, statement, tests: [{input, output}], right: [{language, source}], wrong: [{language, source}]",
        _plain,
    ),
)

LANGUAGES = frozenset(language for schema in SCHEMAS for language in schema.languages.values())
"""Languages that the solutions of rows may have, as far as a schema tells."""


def _solutions(row: Mapping[str, Any], column: str) -> Iterator[Solution]:
    for number, (language, source) in enumerate(_pairs(row, column, "language", "solution", "languages, {} programs")):
        if not isinstance(source, str):
            raise PackageError(f"{column}[{number}]: found {type(source).__name__}; it must be the text of a program")
        yield Solution(number, _CODE_CONTESTS.get(language, f"language {language}"), source)


def _tests(row: Mapping[str, Any], kind: str) -> Iterator[RowTest]:
    column = f"{kind}_tests"
    for given, wanted in _pairs(row, column, "input", "output", "inputs for {} outputs"):
        if not (isinstance(given, str) and isinstance(wanted, str)):
            raise PackageError(f"{column}: a test is not text; inputs and outputs must be texts")
        yield RowTest(given, wanted, kind)


def _pairs(row: Mapping[str, Any], column: str, first: str, second: str, words: str) -> list[tuple[Any, Any]]:
    """Return pairs from a struct of two lists, as `datasets` stores a sequence, or from a list of structs."""
    found = row.get(column)
    if found is None:
        return []
    if not isinstance(found, Mapping):
        return [(entry.get(first), entry.get(second)) for entry in _list(row, column)]
    ones, others = _list(found, first), _list(found, second)
    if len(ones) != len(others):
        raise PackageError(f"{column}: {len(ones)} {words.format(len(others))}; give as many of each")
    return list(zip(ones, others, strict=True))


def _listed(row: Mapping[str, Any], column: str) -> Iterator[Solution]:
    for number, entry in enumerate(_list(row, column)):
        yield Solution(number, _text(entry, "language").lower(), _text(entry, "source"))


def _without_repetition(row: RowProblem) -> RowProblem:
    """Drop and count programs that differ from another only in white space at line ends."""
    kept = [_first_ones(row.right), _first_ones(row.wrong)]
    repeated = len(row.right) + len(row.wrong) - sum(map(len, kept))
    return replace(row, right=kept[0], wrong=kept[1], repeated=repeated)


def _first_ones(found: Iterable[Solution]) -> tuple[Solution, ...]:
    first: dict[tuple[str, str], Solution] = {}
    for solution in found:
        text = re.sub(r"[ \t\r]+$", "", solution.source, flags=re.MULTILINE).strip()
        first.setdefault((solution.language, text), solution)
    return tuple(first.values())


def _time_limit_s(found: object) -> float | None:
    """Return seconds from {seconds, nanos}, as durations of protobuf, or from a number."""
    if isinstance(found, Mapping):
        seconds = (found.get("seconds") or 0) + (found.get("nanos") or 0) / 1e9
    elif isinstance(found, int | float) and not isinstance(found, bool):
        seconds = float(found)
    else:
        return None
    return float(seconds) if seconds > 0 else None


def _text(row: Mapping[str, Any], column: str, *, needed: bool = True) -> str:
    found = row.get(column)
    if found is None and not needed:
        return ""
    if not isinstance(found, str) or (needed and not found):
        raise PackageError(
            f"{column}: found {_short(found)}; it must be a text{' that is not empty' if needed else ''}"
        )
    return found


def _list(row: Mapping[str, Any], column: str) -> list[Any]:
    found = row.get(column)
    if not isinstance(found, list):
        raise PackageError(f"{column}: found {_short(found)}; it must be a list")
    return found


def _whole(row: Mapping[str, Any], column: str) -> int:
    found = row.get(column)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def _short(found: object) -> str:
    return "nothing" if found is None else f"{type(found).__name__} {repr(found)[:60]}"
