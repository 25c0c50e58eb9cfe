"""Tests of a row: inputs with outputs, in the forms of data sets.

Decides what a test means. A problem whose tests call a function is refused: the pipeline compares standard output.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from balancer.errors import PackageError
from balancer.pipeline.rows.columns import KINDS, RowTest, mapping, pairs, short

__all__ = ["column_tests", "listed_tests", "refuse_calls", "row_test"]

_STDIN = frozenset({"stdin", "stdin_stdout", "stdio", "std", "standard_input"})  # as the judge knows them


def row_test(where: str, given: object, wanted: object, kind: str) -> RowTest:
    """Return a test; input and output are texts, or lists of texts: their lines. Raises PackageError."""
    return RowTest(_text(f"{where}: the input", given), _text(f"{where}: the output", wanted), kind)


def column_tests(row: Mapping[str, Any], column: str, kind: str) -> Iterator[RowTest]:
    """Yield the tests of a column of `input` and `output`. Raises PackageError."""
    for number, (given, wanted) in enumerate(pairs(row, column, "input", "output", "inputs for {} outputs")):
        yield row_test(f"{column}[{number}]", given, wanted, kind)


def listed_tests(column: str, found: object, kind: str) -> Iterator[RowTest]:
    """Yield tests in one of the forms of data sets. Raises PackageError.

    Args:
        column: names them in an error.
        found: `{"inputs": [...], "outputs": [...]}`, with `fn_name` if they are calls (APPS, TACO); or
            `[{"input": ..., "output": ...}]`, with `type`, `testtype`, `fn_name` or `metadata` in each (LiveCodeBench,
            DeepCoder, SYNTHETIC-1). None: no tests.
        kind: one of `KINDS`.
    """
    assert kind in KINDS
    if isinstance(found, Mapping):
        refuse_calls(column, found)
        if found and not ("inputs" in found and "outputs" in found):
            raise PackageError(f"{column}: has {', '.join(map(ascii, found))[:120]}; it must have inputs and outputs")
        tables = [{"tests": {"input": found.get("inputs", []), "output": found.get("outputs", [])}}]
        yield from column_tests(tables[0], "tests", kind)
        return
    if found is not None and not isinstance(found, list):
        raise PackageError(f"{column}: found {short(found)}; it must be a list of tests")
    for number, entry in enumerate(found or []):
        where = f"{column}[{number}]"
        test = mapping(where, entry)
        refuse_calls(where, test)
        yield row_test(where, test.get("input"), test.get("output"), kind)


def refuse_calls(where: str, test: Mapping[str, Any]) -> None:
    """Raise PackageError if `test` calls a function: its type says so, or without a type, its name or metadata."""
    metadata = test.get("metadata")
    name = test.get("fn_name") or (metadata.get("func_name") if isinstance(metadata, Mapping) else None)
    kind = next((str(test[key]).lower() for key in ("testtype", "type") if test.get(key)), "")
    if (kind.replace("-", "_").replace(" ", "_") not in _STDIN) if kind else name:
        called = ascii(name or kind)[1:-1][:60]
        raise PackageError(f"{where}: it calls a function ({called}); the pipeline runs only programs that read input")


def _text(where: str, found: object) -> str:
    lines = found if isinstance(found, list) else None
    if lines and all(isinstance(line, str) for line in lines):
        found = "\n".join(lines) + "\n"
    if not isinstance(found, str):
        raise PackageError(f"{where} is {short(found)}: a test is not text; inputs and outputs must be texts")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise PackageError(f"{where} has half of a surrogate pair, which is no text; remove it") from None
    return found
