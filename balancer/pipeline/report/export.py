"""Export of a run: the cases that kill as files, and training rows as JSON lines.

Decides what is written of a case. Rows are read again from their source, one at a time. Rows that were not judged are
not written.
"""

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from balancer.errors import ConfigError
from balancer.pipeline.report.readings import with_readings
from balancer.pipeline.results.problem_log import CaseState, ProblemLog
from balancer.pipeline.results.problem_result import ProblemResult, result_of
from balancer.pipeline.results.run_result import MOST_DETAILED, RunResult, collect
from balancer.pipeline.results.store import Store
from balancer.pipeline.rows.raw import raw_rows
from balancer.rows.row_tests import function_of
from balancer.rows.schemas import problem_of
from balancer.scratch import Scratch

__all__ = ["CASES", "NUMBER", "conclude", "export_cases", "export_inputs", "write_rows"]

NUMBER = "row_number"  # columns added to a row's own
CASES = "new_cases"


def write_rows(store: Store, folder: Path) -> None:
    """Write `rows.jsonl` and `rows_left_out.jsonl` into `folder`. Each file is replaced in one step.

    Raises:
        ConfigError: the rows cannot be read any more.
        OSError: the folder cannot be written.
    """
    with Scratch(".rows-", folder) as scratch:
        lines, left_out = scratch.path / "rows.jsonl", scratch.path / "rows_left_out.jsonl"
        _put(lines, _rows(store))
        _put(left_out, ({NUMBER: each.number, "why": each.why} for each in store.problems.left_out_rows(-1)[1]))
        for each in (lines, left_out):
            os.replace(each, folder / each.name)


def _put(file: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with file.open("w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)


# -- rows ----------------------------------------------------------------------------------------------


def _rows(store: Store) -> Iterator[dict[str, Any]]:
    last, source = store.problems.last_place(), store.source
    if last < 0:
        return
    for raw in raw_rows(source["problems"], source["split"]):
        if raw.number > last:
            return
        problem = store.problems.at(raw.number)
        if problem is not None and raw.columns is not None:
            log = store.of(problem.id)
            found = result_of(log, problem)
            if found.judged:
                yield {**raw.columns, NUMBER: raw.number, CASES: [*_new_cases(log, found, raw.columns)]}


def _new_cases(log: ProblemLog, found: ProblemResult, row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    function, listed = _called(row)
    for case in log.cases(CaseState.READY):
        if case.sample or case.answer is None:
            continue
        try:
            made: dict[str, Any] = {"input": case.data.decode(), "output": case.answer.decode()}
        except UnicodeDecodeError:  # a row of text cannot hold it, and another text would be another case
            continue
        if listed:
            args, right = ([*map(json.loads, filter(None, text.split("\n")))] for text in made.values())
            made = {"input": args, "output": right[0]}
        if function:
            made["fn_name"] = function
        origin = f"{case.origin.generator}: {case.origin.detail}"
        yield {**made, "origin": origin, "round": case.round, "kills": found.rejects.get(case.id, [])}


def _called(row: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the function that the tests of a row call, and whether they have lists of arguments, not lines of JSON."""
    function, own, packed = function_of(problem_of(row).tests), row.get("tests"), row.get("input_output")
    lists = json.loads(packed) if isinstance(packed, str) else packed or {}
    inputs = own if isinstance(own, list) else lists.get("inputs") or lists.get("input") or [None]
    first = inputs[0].get("input") if isinstance(own, list) else inputs[0]
    return function, bool(function) and isinstance(first, list)


# -- cases ---------------------------------------------------------------------------------------------


def export_cases(store: Store, result: RunResult, folder: Path) -> None:
    """Write the cases that kill to `folder`, which is created anew, without the problem's own.

    A case becomes `PROBLEM/004.in` and `.ans`, as in the problem package format. So a folder can be copied into
    `data/secret/`.
    """
    _export(store, folder, {each.id: {case.id for case in each.killers if not case.sample} for each in result.problems})


def export_inputs(store: Store, result: RunResult, folder: Path) -> None:
    """Write the inputs that the report names of survivors and contested cases to `folder`, which is created anew."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for reading in (*result.readings, *result.contested):
        wanted[reading.problem].update(reading.cases)
    _export(store, folder, wanted)


def _export(store: Store, folder: Path, wanted: Mapping[str, Collection[int]]) -> None:
    if folder.is_symlink():  # the target of a link belongs to others
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    for problem, numbers in wanted.items():
        for case in store.of(problem).cases() if numbers else ():
            if case.id in numbers:
                home = folder / problem
                home.mkdir(parents=True, exist_ok=True)
                (home / f"{case.id:03}.in").write_bytes(case.data)
                if case.answer is not None:
                    (home / f"{case.id:03}.ans").write_bytes(case.answer)


# -- all of it ---------------------------------------------------------------------------------------


def conclude(store: Store, folder: Path, say: Callable[[str], object]) -> RunResult:
    """Write the cases, or the rows with their new cases, into `folder`. Return the result of the run.

    Args:
        store: of a run that has begun.
        folder: its results folder.
        say: is called with lines for the user.

    Raises:
        OSError: the folder cannot be written.
    """
    rows = store.source.get("kind") == "rows"
    found = with_readings(store, collect(store, most=MOST_DETAILED if rows else None))
    export_inputs(store, found, folder / "inputs")
    if rows:
        try:
            write_rows(store, folder)
        except ConfigError as error:
            say(f"rows.jsonl is not written: {error}")
    else:
        export_cases(store, found, folder / "cases")
    return found
