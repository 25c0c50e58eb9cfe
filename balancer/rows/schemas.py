"""Schemas of rows: a table of which columns mark the rows of a data set, and what its other columns mean.

Decides how a row's schema is recognised, and which columns are named because they hold programs that are not used.

Columns are read in the order in which a schema names them, so the first mistake of a row is the one that is said.
Columns of programs that any row may have are in `solutions`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from reprlib import Repr
from typing import Any

from balancer.errors import PackageError
from balancer.rows.asserts import asserted
from balancer.rows.columns import (
    KINDS,
    RowProblem,
    RowSchema,
    RowTest,
    Solution,
    lists,
    mapping,
    mebibytes,
    name_in,
    parsed,
    program_in,
    seconds,
    text,
    whole,
)
from balancer.rows.row_tests import function_in, listed_tests
from balancer.rows.solutions import solution_in, with_solutions

__all__ = ["SCHEMAS", "problem_of", "schema_of"]

Row = Mapping[str, Any]
Reader = Callable[[Row], Any]


# -- what a column may mean ------------------------------------------------------------------------------


def _columns(ids: str, statements: str, tests: str = "", /, **more: Reader) -> Callable[[Row], RowProblem]:
    """Return what reads a row.

    Args:
        ids, statements: columns of which the first that has something counts.
        tests: columns in a form of data sets. Their kind is in the column's name, else they are private.
        more: fields of the content, each by a reader of its own; the others are as most data sets have them.
    """
    readers = {
        "tests": _tests(*tests.split()),
        "id": lambda row: name_in(row, *ids.split()),
        "statement": _statement(*statements.split()),
        "time_limit_s": lambda row: seconds(row.get("time_limit")),
        "memory_bytes": lambda row: whole(row, "memory_limit_bytes") or mebibytes(row.get("memory_limit")),
        **more,
    }
    return lambda row: RowProblem(**{field: read(row) for field, read in readers.items()})


def _needed(column: str) -> Reader:
    """Return a reader of a name or whole number that must be there."""
    return lambda row: name_in(row, column) or text(row, column)


def _statement(*columns: str) -> Reader:
    """Return a reader of the first text. The row's starter code follows it: that names the types of a call."""

    def read(row: Row) -> str:
        said = next(filter(None, (text(row, column, needed=False) for column in columns)), "")
        starter = text(row, "starter_code", needed=False).strip()
        return f"{said}\n\n```python\n{starter}\n```" if starter else said

    return read


def _program(column: str, language: str = "cpp") -> Reader:
    return lambda row: program_in(row, column, language)


def _tests(*columns: str) -> Reader:
    def read(row: Row) -> tuple[RowTest, ...]:
        function = function_in(row)
        tests = (listed_tests(column, row.get(column), _kind(column), function) for column in columns)
        return tuple(chain.from_iterable(tests))

    return read


def _kind(column: str) -> str:
    column = column.replace("examples", "public")
    return next((kind for kind in KINDS if column.startswith(kind)), "private")


def _one(*columns: str, language: Reader = lambda _: "python") -> Reader:
    """Return a reader of one right program: the text of the columns together, if the last one has some."""

    def read(row: Row) -> tuple[Solution, ...]:
        parts = [text(row, column, needed=False) for column in columns]
        return (solution_in(columns[-1], "\n".join(parts), language(row)),) if parts[-1].strip() else ()

    return read


def _asserted(ids: str, statements: str, tests: str, right: Reader) -> Callable[[Row], RowProblem]:
    """Return what reads a row whose tests are asserts: a text, or a list of texts, in the first of `tests`."""

    def read(row: Row) -> RowProblem:
        solutions = right(row)
        column = next((each for each in tests.split() if row.get(each)), tests)
        found = row.get(column)
        code = "\n".join(map(str, found)) if isinstance(found, list) and found else text(row, column)
        called = name_in(row, "entry_point").rpartition(".")[2]
        cases, notes = asserted(column, code, solutions[0].source if solutions else "", called)
        return replace(_columns(ids, statements)(row), tests=cases, right=solutions, notes=notes)

    return read


# -- rows that need more than their columns, one after the other -----------------------------------------


def _plain_tests(row: Row) -> tuple[RowTest, ...]:
    function = function_in(row)
    tests = []
    for number, entry in enumerate(lists(row, "tests")):
        where = f"tests[{number}]"
        test = mapping(where, entry)
        for column in ("input", "output") if not function else ():
            text(test, column)
        kind = str(test.get("kind") or KINDS[0])
        tests += [replace(each, kind=kind) for each in listed_tests(where, [test], KINDS[0], function)]
    return tuple(sorted(tests, key=lambda test: KINDS.index(test.kind) if test.kind in KINDS else len(KINDS)))


def _commands(row: Row) -> tuple[str, ...]:
    return tuple(filter(lambda each: isinstance(each, str), lists(row, "commands"))) if row.get("commands") else ()


def _codeforces_statement(row: Row) -> str:
    if text(row, "interaction_format", needed=False):
        raise PackageError("it is interactive (interaction_format); such problems are not judged")
    if text(row, "input_mode", needed=False) not in ("", "stdio"):
        raise PackageError("its programs read a file (input_mode); the pipeline runs only programs that read input")
    headed = {"": "description", "Input": "input_format", "Output": "output_format", "Note": "note"}
    parts = ((heading, text(row, column, needed=False)) for heading, column in headed.items())
    return "\n\n".join(f"{heading}\n\n{part}".strip() for heading, part in parts if part)


def _codeforces_tests(row: Row) -> tuple[RowTest, ...]:
    """Return the tests, each once; generated ones may be a mere number."""
    columns = [each for each in _CODEFORCES_TESTS if not isinstance(row.get(each), int)]
    return tuple(dict.fromkeys(_tests(*columns)(row)))


_CODEFORCES_TESTS = ("examples", "public_tests", "private_tests", "official_tests", "generated_tests")


def _verl(row: Row) -> RowProblem:
    ability = text(row, "ability", needed=False)
    if ability not in ("", "code"):
        raise PackageError(f"its ability is {ascii(ability)[:60]}, not code")
    truth = mapping("reward_model", row.get("reward_model"))
    where = row.get("extra_info")
    place = {**(where if isinstance(where, Mapping) else {}), "source": row.get("data_source")}
    parts = [name_in(place, column) for column in ("source", "split", "index")]
    asked = [mapping("prompt", message) for message in lists(row, "prompt")]
    return RowProblem(
        id="-".join(filter(None, parts)),
        statement="\n\n".join(text(message, "content") for message in asked if message.get("role") == "user"),
        tests=tuple(listed_tests("ground_truth", truth.get("ground_truth"), "private")),
        right=_one("solution")(place),
    )


def _synthetic(row: Row) -> RowProblem:
    """Read tests that stand beside the language, and one right solution. Tables may be texts."""
    info = mapping("verification_info", parsed(row, "verification_info"))
    if "test_cases" not in info:
        raise PackageError("verification_info: has no test_cases: it is no problem to write a program for")
    metadata = parsed(row, "metadata")
    limits = metadata if isinstance(metadata, Mapping) else {}
    return RowProblem(
        id=name_in(row, "problem_id", "in_source_id"),
        statement=_statement("problem_statement", "problem", "prompt")(row),
        time_limit_s=seconds(limits.get("time_limit")),
        memory_bytes=whole(limits, "memory_limit_bytes") or None,
        tests=tuple(listed_tests("test_cases", info["test_cases"], "private")),
        right=_one("gold_standard_solution", language=lambda _: text(info, "language"))(row),
    )


# -- the table -------------------------------------------------------------------------------------------

_CODEFORCES: Mapping[str, Reader] = {
    "statement": _codeforces_statement,
    "tests": _codeforces_tests,
    "checker": _program("generated_checker", "python"),
}
_CODE_CONTESTS_PLUS: Mapping[str, Reader] = {
    "time_limit_s": lambda row: seconds({"nanos": whole(row, "time_limit") * 10**6}),
    "checker": _program("checker"),
    "validator": _program("validator"),
    "generator": _program("generator"),
    "commands": lambda row: tuple(filter(str.strip, text(row, "generator_cmd", needed=False).splitlines())),
}
_CODE_CONTESTS_O: Mapping[str, Reader] = {
    "checker": _program("checker"),
    "generator": _program("generator"),
    "commands": _commands,
}
_PLAIN: Mapping[str, Reader] = {
    "tests": _plain_tests,
    "id": _needed("id"),
    "time_limit_s": lambda row: seconds(row.get("time_limit_s")),
    "memory_bytes": lambda row: whole(row, "memory_bytes") or None,
}

_OF_CODE_CONTESTS = "public_tests private_tests generated_tests"
_TABLE: Iterable[tuple[str, str, Callable[[Row], RowProblem]]] = (
    # https://huggingface.co/datasets/codeparrot/apps and https://huggingface.co/datasets/BAAI/TACO
    ("input_output solutions", "APPS' and TACO's", _columns("problem_id id name url", "question", "input_output")),
    # https://huggingface.co/datasets/livecodebench/code_generation_lite, whose private tests may be packed, and
    # https://huggingface.co/datasets/sigcp/hardtests_problems
    (
        "question_content public_test_cases",
        "LiveCodeBench's and HardTests'",
        _columns("question_id pid question_title", "question_content", "public_test_cases private_test_cases"),
    ),
    # https://huggingface.co/datasets/open-r1/codeforces and https://huggingface.co/datasets/open-r1/codeforces-cots
    ("official_tests | input_format examples", "Codeforces' of Open R1", _columns("id", "", **_CODEFORCES)),
    # https://huggingface.co/datasets/ByteDance-Seed/Code-Contests-Plus. Only its configurations with tests (`1x` to
    # `5x`) have `test_cases`. Milliseconds and megabytes; programs with testlib.h; a command a line.
    (
        "correct_submissions",
        "CodeContests+'s",
        _columns("id title", "description", "test_cases", **_CODE_CONTESTS_PLUS),
    ),
    # https://huggingface.co/datasets/caijanfeng/CodeContests-O: tests that a model improved. Solutions and other tests
    # are those of CodeContests, if joined to it.
    (
        "corner_cases",
        "CodeContests-O's",
        _columns("name", "description", f"{_OF_CODE_CONTESTS} corner_cases", **_CODE_CONTESTS_O),
    ),
    # for verl, such as https://huggingface.co/datasets/PRIME-RL/Eurus-2-RL-Data
    ("prompt reward_model", "verl's", _verl),
    # https://huggingface.co/datasets/PrimeIntellect/SYNTHETIC-1, and
    # https://huggingface.co/datasets/open-r1/verifiable-coding-problems-python, of which it was made
    ("gold_standard_solution verification_info", "SYNTHETIC-1's", _synthetic),
    # https://huggingface.co/datasets/KodCode/KodCode-V1 (`test`, in some versions `test_code`)
    (
        "solution gpt_pass_sequence",
        "KodCode's",
        _asserted("question_id", "question", "test test_code", _one("solution")),
    ),
    # https://huggingface.co/datasets/openai/openai_humaneval: the prompt is the beginning of the program
    (
        "canonical_solution entry_point",
        "HumanEval's",
        _asserted("task_id", "prompt", "test", _one("prompt", "canonical_solution")),
    ),
    # https://huggingface.co/datasets/newfacade/LeetCodeDataset
    (
        "completion entry_point",
        "LeetCodeDataset's",
        _asserted("task_id question_id", "problem_description query", "test", _one("prompt", "completion")),
    ),
    # https://huggingface.co/datasets/google-research-datasets/mbpp
    ("code test_list", "MBPP's", _asserted("task_id", "text prompt", "test_list", _one("code"))),
    (
        "id tests right",
        "the plain form, with tests: [{input, output}], right: [{language, source}], wrong: [{language, source}]",
        _columns("", "statement", **_PLAIN),
    ),
    # https://huggingface.co/datasets/agentica-org/DeepCoder-Preview-Dataset; tests in the forms of its sources, no ids
    ("problem tests", "DeepCoder's", _columns("", "problem", "tests")),
    # https://github.com/google-deepmind/code_contests; its `contest_problem.proto` names the columns
    ("solutions", "CodeContests'", _columns("", "description", _OF_CODE_CONTESTS, id=_needed("name"))),
)

SCHEMAS = tuple(
    RowSchema(frozenset(each.split()), f"{name} ({', '.join(each.split())})", read)
    for marks, name, read in _TABLE
    for each in marks.split("|")
)
"""A row is of the first schema of which it has all marks."""


# -- from a row to a problem -----------------------------------------------------------------------------

_NAMED = re.compile(r"solution|submission|code|checker|validator|generator|response$|^(results|trials)$")
_BEGINS = r"(?:```|#include|import |from \S+ import|def |class |int main|print\()"
_CODE = re.compile(rf"(?:^|\n|\\n|['\"]){_BEGINS}.*?(?:\n|\\n)")
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 2000


class _Watched(dict[str, Any]):
    """A row that knows which of its columns were read."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        super().__init__(row)
        self.used: set[str] = set()

    def get(self, column: str, default: Any = None) -> Any:
        self.used.add(column)
        return super().get(column, default)


def schema_of(row: Mapping[str, Any]) -> RowSchema | None:
    """Return the schema of `row`; None if it is not known. The column `right` may stand for `solutions`."""
    more = frozenset({"solutions"} if "right" in row else ())
    each = (schema for marks in (row.keys(), row.keys() | more) for schema in SCHEMAS if schema.marks <= marks)
    return next(each, None)


def problem_of(row: Mapping[str, Any]) -> RowProblem:
    """Return the content of `row`.

    Raises:
        PackageError: something is missing, or has another form; one line.
    """
    schema = schema_of(row)
    if schema is None:
        known = "; ".join(dict.fromkeys(schema.words for schema in SCHEMAS))
        columns = ascii(", ".join(sorted(map(str, row))))[1:-1]
        raise PackageError(f"it has the columns {columns[:160]}; known are {known}")
    watched = _Watched(row)
    read = with_solutions(watched, schema.read(watched))
    unused = ", ".join(_unused(watched))
    return replace(read, notes=(f"not used: {unused}", *read.notes)) if unused else read


def _unused(row: _Watched) -> Iterator[str]:
    """Yield the columns that were not read, and have the name or the look of programs."""
    for column, found in row.items():
        if column not in row.used and found and not isinstance(found, bool | int | float):
            words = found[:2000] if isinstance(found, str) else _SHORT.repr(found)
            if _NAMED.search(str(column)) or _CODE.search(words):
                yield ascii(column)[1:-1]
