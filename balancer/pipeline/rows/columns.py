"""Row schemas: from a row to a problem, by CodeContests' columns, or a plain schema of ours.

Decides what each column means and what a row must have. It must not know files, nor which solutions are used in the
end.

CodeContests: https://github.com/google-deepmind/code_contests (its `contest_problem.proto` names the columns).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from balancer.errors import PackageError

__all__ = ["LANGUAGES", "RowProblem", "RowTest", "Solution", "problem_of"]

LANGUAGES = {1: "python2", 2: "cpp", 3: "python", 4: "java"}  # CodeContests; 0 is unknown
_KINDS = ("public", "private", "generated")
_PLAIN = "id, statement, tests: [{input, output}], right: [{language, source}], wrong: [{language, source}]"


@dataclass(frozen=True, slots=True)
class RowTest:
    """A known input with its expected output; `kind` is "public", "private" or "generated"."""

    input: str
    output: str
    kind: str


@dataclass(frozen=True, slots=True)
class Solution:
    """A program, and its place among the right or the wrong ones of its row."""

    number: int
    language: str
    source: str


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What a row says.

    Args:
        id: its name, as it stands in the row.
        statement: what a person, or a model, is told.
        time_limit_s, memory_bytes: None if the row names none.
        tests: in the order public, private, generated.
        right, wrong: as they stand in the row, those that repeat another one left out.
        repeated: how many were.
    """

    id: str
    statement: str
    time_limit_s: float | None
    memory_bytes: int | None
    tests: tuple[RowTest, ...]
    right: tuple[Solution, ...]
    wrong: tuple[Solution, ...]
    repeated: int = 0


def problem_of(row: Mapping[str, Any]) -> RowProblem:
    """Return what `row` says.

    Raises:
        PackageError: it lacks something, or has something else in its place; one line.
    """
    if "solutions" in row:
        return _code_contests(row)
    if "right" in row:
        return _plain(row)
    raise PackageError(
        f"it has the columns {', '.join(sorted(map(str, row)))[:160]}; known are CodeContests' (name, description, "
        f"solutions, ...) and {_PLAIN}"
    )


def _code_contests(row: Mapping[str, Any]) -> RowProblem:
    right, again = _without_repetition(_solutions(row, "solutions"))
    wrong, again_wrong = _without_repetition(_solutions(row, "incorrect_solutions"))
    return RowProblem(
        id=_text(row, "name"),
        statement=_text(row, "description", needed=False),
        time_limit_s=_time_limit_s(row.get("time_limit")),
        memory_bytes=_whole(row, "memory_limit_bytes") or None,
        tests=tuple(test for kind in _KINDS for test in _tests(row, kind)),
        right=right,
        wrong=wrong,
        repeated=again + again_wrong,
    )


def _plain(row: Mapping[str, Any]) -> RowProblem:
    tests = [
        RowTest(_text(test, "input"), _text(test, "output"), str(test.get("kind") or "public"))
        for test in _list(row, "tests")
    ]
    right, again = _without_repetition(_listed(row, "right"))
    wrong, again_wrong = _without_repetition(_listed(row, "wrong"))
    limit_s = row.get("time_limit_s")
    return RowProblem(
        id=_text(row, "id"),
        statement=_text(row, "statement", needed=False),
        time_limit_s=float(limit_s) if isinstance(limit_s, int | float) and limit_s > 0 else None,
        memory_bytes=_whole(row, "memory_bytes") or None,
        tests=tuple(sorted(tests, key=lambda test: _KINDS.index(test.kind) if test.kind in _KINDS else len(_KINDS))),
        right=right,
        wrong=wrong,
        repeated=again + again_wrong,
    )


def _solutions(row: Mapping[str, Any], column: str) -> Iterator[Solution]:
    """Yield programs from a struct of lists, as `datasets` keeps a sequence, or from a list of structs."""
    found = row.get(column)
    if found is None:
        return
    if isinstance(found, Mapping):
        languages, sources = _list(found, "language"), _list(found, "solution")
        if len(languages) != len(sources):
            raise PackageError(f"{column}: {len(languages)} languages, {len(sources)} programs; they must go together")
        pairs = list(zip(languages, sources, strict=True))
    else:
        pairs = [(entry.get("language"), entry.get("solution")) for entry in _list(row, column)]
    for number, (language, source) in enumerate(pairs):
        if not isinstance(source, str):
            raise PackageError(f"{column}[{number}]: found {type(source).__name__}; it must be a text, the program")
        yield Solution(number, LANGUAGES.get(language, f"language {language}"), source)


def _listed(row: Mapping[str, Any], column: str) -> Iterator[Solution]:
    for number, entry in enumerate(_list(row, column)):
        yield Solution(number, _text(entry, "language").lower(), _text(entry, "source"))


def _without_repetition(found: Iterable[Solution]) -> tuple[tuple[Solution, ...], int]:
    """Return the programs that differ in more than white space at the end of lines, and how many others there were."""
    first: dict[tuple[str, str], Solution] = {}
    count = 0
    for solution in found:
        count += 1
        text = re.sub(r"[ \t\r]+$", "", solution.source, flags=re.MULTILINE).strip()
        first.setdefault((solution.language, text), solution)
    return tuple(first.values()), count - len(first)


def _tests(row: Mapping[str, Any], kind: str) -> Iterator[RowTest]:
    column = f"{kind}_tests"
    found = row.get(column)
    if found is None:
        return
    if isinstance(found, Mapping):
        inputs, outputs = _list(found, "input"), _list(found, "output")
        if len(inputs) != len(outputs):
            raise PackageError(f"{column}: {len(inputs)} inputs for {len(outputs)} outputs; they must go together")
        pairs = list(zip(inputs, outputs, strict=True))
    else:
        pairs = [(entry.get("input"), entry.get("output")) for entry in _list(row, column)]
    for given, wanted in pairs:
        if not (isinstance(given, str) and isinstance(wanted, str)):
            raise PackageError(f"{column}: a test that is no text; inputs and outputs must be texts")
        yield RowTest(given, wanted, kind)


def _time_limit_s(found: object) -> float | None:
    """Return seconds from {seconds, nanos}, as protobuf has durations, or from a number."""
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
