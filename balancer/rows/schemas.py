"""Schemas of rows: a table of which columns mark the rows of a data set, and what its other columns mean.

Columns are read in the order in which a schema names them, so the first mistake of a row is the one that is said.
"""

import json
from ast import literal_eval
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any

from balancer.errors import PackageError
from balancer.rows.asserts import asserted
from balancer.rows.columns import (
    KINDS,
    RowProblem,
    RowSchema,
    RowTest,
    Solution,
    in_python,
    lists,
    mapping,
    mebibytes,
    name_in,
    parsed,
    program_in,
    seconds,
    solutions,
    text,
    unfenced,
    whole,
    with_starter,
)
from balancer.rows.row_tests import column_tests, function_in, listed_tests, row_test

__all__ = ["PLAIN", "SCHEMAS"]

Row = Mapping[str, Any]
Reader = Callable[[Row], Any]


# -- what a column may mean ------------------------------------------------------------------------------


def _columns(**readers: Reader) -> Callable[[Row], RowProblem]:
    """Return what reads a row: each field of its content by a reader of its own, in this order."""
    return lambda row: RowProblem(**{field: read(row) for field, read in readers.items()})


def _name(*columns: str) -> Reader:
    return lambda row: name_in(row, *columns)


def _text(column: str, *, needed: bool = False, starter: bool = False) -> Reader:
    """Return a reader of a text; with `starter`, the row's starter code follows it."""

    def read(row: Row) -> str:
        found = text(row, column, needed=needed)
        return with_starter(found, row) if starter else found

    return read


def _whole(column: str) -> Reader:
    return lambda row: whole(row, column) or None


def _limit_s(row: Row) -> float | None:
    return seconds(row.get("time_limit"))


def _megabytes(row: Row) -> int | None:
    return mebibytes(row.get("memory_limit"))


def _program(column: str, language: str = "cpp") -> Reader:
    return lambda row: program_in(row, column, language)


def _solutions(column: str, source: str = "solution", languages: Mapping[Any, str] | None = None) -> Reader:
    return lambda row: tuple(solutions(row, column, source=source, languages=languages))


def _tests_in(*columns: str) -> Reader:
    """Return a reader of columns of `input` and `output`. Their kind is in the column's name, else it is private."""
    return lambda row: tuple(
        chain.from_iterable(column_tests(row, each, _KIND_OF.get(each, "private")) for each in columns)
    )


def _listed_in(*columns: str, function: bool = False) -> Reader:
    """Return a reader of columns in a form of data sets. With `function`, `metadata` may name the function to call."""

    def read(row: Row) -> tuple[RowTest, ...]:
        called = function_in(row) if function else ""
        each = (listed_tests(column, row.get(column), _KIND_OF.get(column, "private"), called) for column in columns)
        return tuple(chain.from_iterable(each))

    return read


_KIND_OF = {
    "examples": "public",
    "public_test_cases": "public",
    **{f"{kind}_tests": kind for kind in KINDS},
}
"""Kinds of tests by the column; other columns have private ones."""


# -- rows that need more than their columns, one after the other -----------------------------------------


def _plain_tests(row: Row) -> tuple[RowTest, ...]:
    tests = []
    function = name_in(row, "fn_name", "func_name")
    for number, entry in enumerate(lists(row, "tests")):
        where = f"tests[{number}]"
        test = mapping(where, entry)
        kind = str(test.get("kind") or KINDS[0])
        if function:
            tests += [replace(each, kind=kind) for each in listed_tests(where, [test], KINDS[0], function)]
        else:
            tests.append(row_test(where, text(test, "input"), text(test, "output"), kind))
    return tuple(sorted(tests, key=lambda test: KINDS.index(test.kind) if test.kind in KINDS else len(KINDS)))


def _plain_limit_s(row: Row) -> float | None:
    limit = row.get("time_limit_s")
    return seconds(limit) if isinstance(limit, int | float) else None


def _corner_cases(row: Row) -> Iterator[RowTest]:
    for number, entry in enumerate(lists(row, "corner_cases")):
        where = f"corner_cases[{number}]"
        case = mapping(where, entry)
        given, wanted = (mapping(f"{where}.{part}", case.get(part)) for part in ("input", "output"))
        yield row_test(where, given.get("stdin"), wanted.get("stdout"), "private")


def _commands(row: Row) -> Iterable[str]:
    return (each for each in lists(row, "commands") if isinstance(each, str)) if row.get("commands") else ()


def _codeforces_statement(row: Row) -> str:
    if text(row, "interaction_format", needed=False):
        raise PackageError("it is interactive (interaction_format); such problems are not judged")
    if text(row, "input_mode", needed=False) not in ("", "stdio"):
        raise PackageError("its programs read a file (input_mode); the pipeline runs only programs that read input")
    headed = {"": "description", "Input": "input_format", "Output": "output_format", "Note": "note"}
    parts = ((heading, text(row, column, needed=False)) for heading, column in headed.items())
    return "\n\n".join(f"{heading}\n\n{part}".strip() for heading, part in parts if part)


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
    )


def _synthetic(row: Row) -> RowProblem:
    """Read tests that stand beside the language, and one right solution. Tables may be texts."""
    info = mapping("verification_info", _literal(row, "verification_info"))
    if "test_cases" not in info:
        raise PackageError("verification_info: has no test_cases: it is no problem to write a program for")
    metadata = _literal(row, "metadata")
    limits = metadata if isinstance(metadata, Mapping) else {}
    source = unfenced(text(row, "gold_standard_solution", needed=False))
    language = text(info, "language").lower()
    statements = (text(row, name, needed=False) for name in ("problem_statement", "problem", "prompt"))
    return RowProblem(
        id=name_in(row, "problem_id", "in_source_id"),
        statement=next(filter(None, statements), ""),
        time_limit_s=seconds(limits.get("time_limit")),
        memory_bytes=whole(limits, "memory_limit_bytes") or None,
        tests=tuple(listed_tests("test_cases", info["test_cases"], "private")),
        right=(Solution(0, language, source),) if source.strip() else (),
    )


def _literal(row: Row, column: str) -> Any:
    """Return a value that a text holds as JSON or as a Python literal."""
    found = row.get(column)
    if not isinstance(found, str) or not found.strip():
        return found or None
    try:
        return json.loads(found)
    except (ValueError, RecursionError):
        pass
    try:
        return literal_eval(found)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise PackageError(f"{column}: is neither JSON nor a Python literal: {ascii(str(error))[1:-1][:120]}") from None


def _kod_code(row: Row) -> RowProblem:
    column = "test" if row.get("test") else "test_code"
    tests, notes = asserted(column, text(row, column))
    return RowProblem(
        id=name_in(row, "question_id"),
        statement=text(row, "question", needed=False),
        tests=tests,
        right=tuple(in_python("solution", [row["solution"]])),
        notes=notes,
    )


# -- the table -------------------------------------------------------------------------------------------

# https://github.com/google-deepmind/code_contests; its `contest_problem.proto` names the columns. 0 is unknown.
_CODE_CONTESTS = {1: "python2", 2: "cpp", 3: "python", 4: "java"}
_code_contests_tests = _tests_in(*(f"{kind}_tests" for kind in KINDS))
_CODE_CONTESTS_PLUS = {"py2": "python2", "py3": "python", "cpp": "cpp", "java": "java"}

PLAIN = RowSchema(
    frozenset({"id", "tests", "right"}),
    "id, statement, tests: [{input, output}], right: [{language, source}], wrong: [{language, source}]",
    _columns(
        tests=_plain_tests,
        id=_text("id", needed=True),
        statement=_text("statement"),
        time_limit_s=_plain_limit_s,
        memory_bytes=_whole("memory_bytes"),
        right=_solutions("right", "source"),
        wrong=_solutions("wrong", "source"),
    ),
    ignored=("checker", "generator", "validator"),
)

SCHEMAS: tuple[RowSchema, ...] = (
    # https://huggingface.co/datasets/codeparrot/apps and https://huggingface.co/datasets/BAAI/TACO
    RowSchema(
        frozenset({"input_output", "solutions"}),
        "APPS' and TACO's (question, solutions, input_output)",
        _columns(
            id=_name("problem_id", "id", "name", "url"),
            statement=_text("question", starter=True),
            time_limit_s=_limit_s,
            memory_bytes=_megabytes,
            tests=_listed_in("input_output"),
            right=lambda row: tuple(in_python("solutions", parsed(row, "solutions"))),
        ),
    ),
    # https://huggingface.co/datasets/livecodebench/code_generation_lite; private tests may be packed
    RowSchema(
        frozenset({"public_test_cases", "private_test_cases"}),
        "LiveCodeBench's (question_id, question_content, public_test_cases, private_test_cases)",
        _columns(
            id=_name("question_id", "question_title"),
            statement=_text("question_content", starter=True),
            tests=_listed_in("public_test_cases", "private_test_cases", function=True),
        ),
    ),
    # https://huggingface.co/datasets/open-r1/codeforces; examples and official tests, without solutions
    RowSchema(
        frozenset({"official_tests"}),
        "Codeforces' of Open R1 (id, description, examples, official_tests)",
        _columns(
            statement=_codeforces_statement,
            id=_name("id"),
            time_limit_s=_limit_s,
            memory_bytes=_megabytes,
            tests=_tests_in("examples", "official_tests"),
            checker=_program("generated_checker", "python"),
        ),
    ),
    # https://huggingface.co/datasets/ByteDance-Seed/Code-Contests-Plus. Only its configurations with tests (`1x` to
    # `5x`) have `test_cases`. Milliseconds and megabytes; programs with testlib.h; a command a line.
    RowSchema(
        frozenset({"correct_submissions"}),
        "CodeContests+'s (id, description, test_cases, correct_submissions, incorrect_submissions)",
        _columns(
            id=_name("id", "title"),
            statement=_text("description"),
            time_limit_s=lambda row: seconds({"nanos": whole(row, "time_limit") * 10**6}),
            memory_bytes=_megabytes,
            tests=_tests_in("test_cases"),
            checker=_program("checker"),
            validator=_program("validator"),
            generator=_program("generator"),
            commands=lambda row: tuple(filter(str.strip, text(row, "generator_cmd", needed=False).splitlines())),
            right=_solutions("correct_submissions", "code", _CODE_CONTESTS_PLUS),
            wrong=_solutions("incorrect_submissions", "code", _CODE_CONTESTS_PLUS),
        ),
        _CODE_CONTESTS_PLUS,
    ),
    # https://huggingface.co/datasets/caijanfeng/CodeContests-O: tests that a model improved. Solutions and other tests
    # are those of CodeContests, if joined to it.
    RowSchema(
        frozenset({"corner_cases"}),
        "CodeContests-O's (name, description, corner_cases)",
        _columns(
            tests=lambda row: (*_code_contests_tests(row), *_corner_cases(row)),
            id=_name("name"),
            statement=_text("description"),
            time_limit_s=_limit_s,
            memory_bytes=_whole("memory_limit_bytes"),
            checker=_program("checker"),
            generator=_program("generator"),
            commands=lambda row: tuple(_commands(row)),
            right=_solutions("solutions", languages=_CODE_CONTESTS),
            wrong=_solutions("incorrect_solutions", languages=_CODE_CONTESTS),
        ),
        ignored=("results",),
    ),
    # for verl, such as https://huggingface.co/datasets/PRIME-RL/Eurus-2-RL-Data; without solutions
    RowSchema(frozenset({"reward_model", "prompt"}), "verl's (prompt, reward_model.ground_truth)", _verl),
    # https://huggingface.co/datasets/PrimeIntellect/SYNTHETIC-1, and
    # https://huggingface.co/datasets/open-r1/verifiable-coding-problems-python, of which it was made
    RowSchema(
        frozenset({"verification_info", "gold_standard_solution"}),
        "SYNTHETIC-1's (problem_id, prompt, gold_standard_solution, verification_info)",
        _synthetic,
        ignored=("llm_response",),
    ),
    # https://huggingface.co/datasets/KodCode/KodCode-V1 (`test`, in some versions `test_code`)
    RowSchema(frozenset({"gpt_pass_sequence", "solution"}), "KodCode's (question, solution, test)", _kod_code),
    PLAIN,
    # https://huggingface.co/datasets/agentica-org/DeepCoder-Preview-Dataset; tests in the forms of its sources, no ids
    RowSchema(
        frozenset({"problem", "tests"}),
        "DeepCoder's (problem, tests)",
        _columns(
            id=lambda row: "",
            statement=_text("problem", starter=True),
            tests=_listed_in("tests", function=True),
        ),
        ignored=("solutions",),
    ),
    RowSchema(
        frozenset({"solutions"}),
        "CodeContests' (name, description, solutions, ...)",
        _columns(
            id=_text("name", needed=True),
            statement=_text("description"),
            time_limit_s=_limit_s,
            memory_bytes=_whole("memory_limit_bytes"),
            tests=_code_contests_tests,
            right=_solutions("solutions", languages=_CODE_CONTESTS),
            wrong=_solutions("incorrect_solutions", languages=_CODE_CONTESTS),
        ),
        _CODE_CONTESTS,
        ignored=("checker", "generator", "validator"),
    ),
)
"""A row is of the first schema of which it has all marks."""
