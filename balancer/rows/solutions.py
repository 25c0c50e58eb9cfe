"""Solutions of a row: right and wrong programs, in whatever form a data set keeps them.

Decides which columns of any row hold programs, what their languages are called, and what of a text is the program.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from typing import Any

from balancer.errors import PackageError
from balancer.rows.columns import NO_PYTHON, RowProblem, Solution, encodable, lists, mapping, parsed, short

__all__ = ["LANGUAGES", "solution_in", "with_solutions"]

_RIGHT = ("solutions", "correct_submissions", "accepted_solutions", "right")
_WRONG = ("incorrect_solutions", "incorrect_submissions", "failed_solutions", "wrong_solutions", "wrong")
_GRADED = {"code_list": "graded_list", "r1_solution": "r1_correctness"}
"""Columns of programs, and those that say which of them are right."""
_PLAIN = ("right", "wrong")  # columns that people write, so an empty program is a mistake

_SOURCE = ("code", "solution", "source")
_LANGUAGE = ("language", "programmingLanguage", "lang")
_NAMES = {
    "cpp": re.compile(r"2|(gnu |ms |clang )*(c|g)(\+\+|pp).*|cc|cxx"),
    "python2": re.compile(r"1|py(thon|py)?[ -]?2.*"),
    "python": re.compile(r"3|py|py(thon|py)?[ -]?3.*"),
    "java": re.compile(r"4|java[ -]?\d.*"),
}
"""Languages by their names in data sets; numbers are those of CodeContests."""
LANGUAGES = frozenset(_NAMES)
_FENCED = re.compile(r"^```([^\n`]*)\n(.*?)(?:^```|\Z)", re.DOTALL | re.MULTILINE)


def with_solutions(row: Mapping[str, Any], read: RowProblem) -> RowProblem:
    """Return the content of a row with the programs of all columns that any row may have, each once.

    Those are the same that differ only in white space at line ends.
    """
    right, wrong = (chain.from_iterable(_several(row, each) for each in columns) for columns in (_RIGHT, _WRONG))
    graded = [each for column, marks in _GRADED.items() for each in _graded(row, column, marks)]
    every = (
        _numbered([*read.right, *right, *(each for each, is_right in graded if is_right)]),
        _numbered([*read.wrong, *wrong, *(each for each, is_right in graded if not is_right)]),
    )
    kept = tuple(map(_first_ones, every))
    return replace(read, right=kept[0], wrong=kept[1], repeated=sum(map(len, every)) - sum(map(len, kept)))


def solution_in(where: str, found: object, language: object = "python") -> Solution:
    """Return a program, of a text that is one or has one in a Markdown fence. Raises PackageError."""
    if not isinstance(found, str):
        raise PackageError(f"{where}: found {short(found)}; it must be the text of a program")
    if not isinstance(language, str | int):
        raise PackageError(f"{where}: its language is {short(language)}; it must be a name or a number")
    fences = _FENCED.findall(found)
    if not fences or _is_python(found):
        return Solution(0, encodable(where, _known(language)), encodable(where, found))
    tag, source = fences[-1]
    named = _known(tag.strip())
    return Solution(0, named if named in LANGUAGES else _known(language), encodable(where, source))


def _several(row: Mapping[str, Any], column: str) -> Iterator[Solution]:
    """Yield the programs of a column: a list of texts in Python or of tables, or a table of lists; also as JSON."""
    found = parsed(row, column)
    if found is None:
        return
    for number, each in enumerate(
        _tables(column, found) if isinstance(found, Mapping) else lists({column: found}, column)
    ):
        where = f"{column}[{number}]"
        source: Any = each
        language: Any = "python"
        if not isinstance(each, str):
            table = mapping(where, each)
            source, language = (table.get(_key(table, names)) for names in (_SOURCE, _LANGUAGE))
        if source == "" and (column in _PLAIN or each == ""):
            raise PackageError(f"{where}: found {short(source)}; it must be the text of a program")
        yield solution_in(where, source, language)


def _tables(column: str, found: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield tables from a table of two lists, as `datasets` stores a sequence."""
    keys = [_key(found, names) for names in (_LANGUAGE, _SOURCE)]
    languages, programs = (lists(found, key) for key in keys)
    if len(languages) != len(programs):
        raise PackageError(f"{column}: {len(languages)} languages, {len(programs)} programs; give as many of each")
    return (dict(zip(keys, each, strict=True)) for each in zip(languages, programs, strict=True))


def _graded(row: Mapping[str, Any], column: str, marks: str) -> Iterator[tuple[Solution, bool]]:
    if marks not in row:
        return
    found, says = (each if isinstance(each, list) else [each] for each in (row.get(column), row.get(marks)))
    if len(found) != len(says):
        raise PackageError(f"{column}: {len(found)} programs, and {marks} has {len(says)}; give as many of each")
    for number, (program, is_right) in enumerate(zip(found, says, strict=True)):
        if program and is_right is not None:
            yield solution_in(f"{column}[{number}]", program), str(is_right).lower() == "true"


def _key(table: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in table), names[0])


def _known(language: str | int) -> str:
    name = str(language).lower()
    found = next((known for known, names in _NAMES.items() if names.fullmatch(name)), None)
    return found or (name if isinstance(language, str) else f"language {name}")


def _is_python(found: str) -> bool:
    """Return whether a text is a program as it is: a fence in it is part of a docstring."""
    with suppress(*NO_PYTHON):
        ast.parse(found)
        return True
    return False


def _numbered(found: Iterable[Solution]) -> list[Solution]:
    return [replace(each, number=number) for number, each in enumerate(found)]


def _first_ones(found: Iterable[Solution]) -> tuple[Solution, ...]:
    first: dict[tuple[str, str], Solution] = {}
    for solution in found:
        source = re.sub(r"[ \t\r]+$", "", solution.source, flags=re.MULTILINE).strip()
        first.setdefault((solution.language, source), solution)
    return tuple(first.values())
