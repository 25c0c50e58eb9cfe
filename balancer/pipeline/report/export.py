"""Export of a run: the cases that kill as files, and training rows as JSON lines and Parquet.

Decides what is written of a case, and which few cases kill all that the others kill. Rows are read again from their
source, one at a time. Rows that were not judged are not written.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from balancer.pipeline.results.collect import problem_result
from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.problems import Roster
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.rows.raw import raw_rows
from balancer.plugins.extras import has
from balancer.scratch import Scratch

__all__ = ["CASES", "MINIMAL", "export_cases", "minimal", "write_rows"]

CASES = "new_cases"  # columns added to a row's own
MINIMAL = "minimal"
_AT_ONCE = 32  # rows converted to Parquet together


def write_rows(store: Store, folder: Path, say: Callable[[str], object]) -> int:
    """Write `rows.jsonl` and, if pyarrow is installed, `rows.parquet`. Return the number of rows.

    Each file is replaced in one step.

    Args:
        store: knows the source of the rows, and the results.
        folder: to write to.
        say: is called if there is no Parquet file, with the reason.

    Raises:
        ConfigError: the rows cannot be read any more.
        OSError: the folder cannot be written.
    """
    with Scratch(".rows-", folder) as scratch:
        lines, count = scratch.path / "rows.jsonl", 0
        with lines.open("w", encoding="utf-8") as file:
            for row in _rows(store):
                file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
                count += 1
        table = scratch.path / "rows.parquet"
        written = count > 0 and has("rows") and _write_parquet(lines, table, say)
        os.replace(lines, folder / lines.name)
        if written:
            os.replace(table, folder / table.name)
        else:
            (folder / table.name).unlink(missing_ok=True)  # else one of an earlier session would stay
    return count


def minimal(kills: Sequence[tuple[Sequence[str], int]]) -> list[int]:
    """Return the indices of a few cases that kill all that all cases kill together, the best first.

    The greedy set cover: at most 1 + ln(programs) times as many as needed (Chvatal 1979).

    Args:
        kills: for each case, the submissions it kills, and its size. Of equal cases, the smallest is chosen.
    """
    left = {name for names, _ in kills for name in names}
    chosen: list[int] = []
    while left:
        best = max(range(len(kills)), key=lambda i: (len(left.intersection(kills[i][0])), -kills[i][1], -i))
        chosen.append(best)
        left.difference_update(kills[best][0])
    return sorted(chosen)


# -- rows ----------------------------------------------------------------------------------------------


def _rows(store: Store) -> Iterator[dict[str, Any]]:
    places, source = store.problems.places(), store.source
    if places is None:
        return
    first, last = places
    for raw in raw_rows(source["problems"], source["split"], start=first):
        if raw.number > last:
            return
        roster = store.problems.at(raw.number)
        if roster is not None and raw.columns is not None:
            found = problem_result(store, roster)
            if found.judged:
                yield {**raw.columns, **_new(store, roster, found)}


def _new(store: Store, roster: Roster, found: ProblemResult) -> Mapping[str, Any]:
    killed: dict[int, list[str]] = {case.id: [] for case in found.ready if not case.sample}
    for submission in found.wrong:
        for number in submission.killed_by(found.ready):
            if number in killed:
                killed[number].append(submission.name)
    cases, kills = [], []
    for case in store.cases(roster.id):
        if case.id not in killed or case.answer is None:
            continue
        try:
            texts = {"input": case.data.decode(), "output": case.answer.decode()}
        except UnicodeDecodeError:  # a row of text cannot hold it, and another text would be another case
            continue
        origin = f"{case.origin.generator}: {case.origin.detail}"
        cases.append({**texts, "origin": origin, "round": case.round, "kills": killed[case.id]})
        kills.append((killed[case.id], len(case.data)))
    return {CASES: cases, MINIMAL: minimal(kills)}


# -- Parquet -------------------------------------------------------------------------------------------


def _write_parquet(lines: Path, table: Path, say: Callable[[str], object]) -> bool:
    """Write the lines as a table whose column types suit all rows. Return whether there is a table."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    try:
        schema = pa.schema([])
        for rows in _batches(lines):
            schema = pa.unify_schemas([schema, _columns(pa, rows).schema], promote_options="permissive")
        with ParquetWriter(table, schema) as writer:
            for rows in _batches(lines):
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    except pa.ArrowException as error:
        why = " ".join(str(error).split())[:160]
        say(f"rows.parquet is not written, because no column type fits all rows: {why}; rows.jsonl has all rows")
        return False
    return True


def _columns(pa: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})


def _batches(lines: Path) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    with lines.open(encoding="utf-8") as file:
        for line in file:
            batch.append(json.loads(line))
            if len(batch) == _AT_ONCE:
                yield batch
                batch = []
    if batch:
        yield batch


# -- cases ---------------------------------------------------------------------------------------------


def export_cases(store: Store, result: RunResult, folder: Path) -> None:
    """Write the cases that kill to `folder`, which is created anew, without the problem's own.

    A case becomes `PROBLEM/004.in` and `.ans`, as in the problem package format. So a folder can be copied into
    `data/secret/`.
    """
    if folder.is_symlink():  # the target of a link belongs to others
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    for problem in result.problems:
        wanted = {case.id for case in problem.killers if not case.sample}
        for case in store.cases(problem.id):
            if case.id in wanted and case.answer is not None:
                home = folder / problem.id
                home.mkdir(parents=True, exist_ok=True)
                (home / f"{case.id:03}.in").write_bytes(case.data)
                (home / f"{case.id:03}.ans").write_bytes(case.answer)
