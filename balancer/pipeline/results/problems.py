"""Problem table: the problems of a run and their results, so that none need stay in memory.

Decides what is stored of a problem beside its cases: its name, the names of its programs, a fingerprint, a tally when
it is done, and the sources of the survivors.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from balancer.judging.calls import called_source
from balancer.pipeline.results.database import Database
from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.run_result import LeftOutRow
from balancer.pipeline.results.tally import ProblemTally
from balancer.problem import Problem
from balancer.program import Program

__all__ = ["OF_A_PROBLEM", "SCHEMA", "Problems", "Roster", "RosterEntry", "SeenBefore"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS problems (
    id TEXT PRIMARY KEY, number INTEGER NOT NULL, name TEXT NOT NULL, fingerprint TEXT NOT NULL, roster TEXT NOT NULL,
    left_out TEXT NOT NULL, done INTEGER NOT NULL, survivors INTEGER NOT NULL, tally TEXT);
CREATE UNIQUE INDEX IF NOT EXISTS problems_by_number ON problems (number);
CREATE INDEX IF NOT EXISTS problems_by_survivors ON problems (survivors);
CREATE TABLE IF NOT EXISTS surviving (
    problem TEXT, name TEXT, language TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (problem, name));
CREATE TABLE IF NOT EXISTS killed_programs (
    problem TEXT, name TEXT, language TEXT NOT NULL, source TEXT NOT NULL, PRIMARY KEY (problem, name));
CREATE TABLE IF NOT EXISTS bad_rows (number INTEGER PRIMARY KEY, why TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS bad_packages (name TEXT PRIMARY KEY, why TEXT NOT NULL);
"""

_AT_ONCE = 100
_FEW = 100  # problems; of more, the killed programs are not kept
_MOST_KILLED = 20  # programs of a problem
_MOST_SOURCE = 8000  # characters
OF_A_PROBLEM = (
    "put_off", "cases", "verdicts", "left_out", "rounds", "aids", "looks", "surviving", "killed_programs", "codes",
    "troubles", "batches", "clocks", "moments", "first_kills", "shrunk", "believed", "withdrawn", "limits",
)  # fmt: skip
"""Tables with rows of a problem, in their column `problem`."""


class SeenBefore(Enum):
    """Whether and how a problem was met before."""

    NEW = "new"
    KNOWN = "known"  # begun in an earlier session
    DONE = "done"  # with nothing left to do
    CHANGED = "changed"  # it has changed: its results are deleted


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """A submission without its program. Attributes as in `Submission`."""

    name: str
    accepted: bool
    expected: str


@dataclass(frozen=True, slots=True)
class Roster:
    """A problem without its data and programs. Attributes as in `Problem`; `number`: its place in the source."""

    id: str
    number: int
    name: str
    submissions: tuple[RosterEntry, ...]
    left_out: dict[str, str]


class Problems:
    """The problems of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def id_of(self, number: int, wanted: str) -> str:
        """Return the id of problem `number`: as before, else `wanted`, unless another problem has it."""
        row = self._db.row("SELECT id FROM problems WHERE number = ?", number)
        if row is not None:
            return str(row[0])
        taken = self._db.row("SELECT 1 FROM problems WHERE id = ?", wanted) is not None
        return f"{wanted}-row-{number}" if taken else wanted

    def place_of(self, problem: str, wanted: int) -> int:
        """Return the number of a package: as before, else `wanted` if it is free, else the next free one."""
        row = self._db.row("SELECT number FROM problems WHERE id = ?", problem)
        if row is not None:
            return int(row[0])
        if self._db.row("SELECT 1 FROM problems WHERE number = ?", wanted) is None:
            return wanted
        return int((self._db.row("SELECT MAX(number) FROM problems") or (0,))[0]) + 1

    def meet(self, problem: Problem, number: int, fingerprint: str) -> SeenBefore:
        """Record a problem. Return how it was met before. The rows of a changed problem are deleted."""
        row = self._db.row("SELECT fingerprint, done FROM problems WHERE id = ?", problem.id)
        if row is not None and row[0] == fingerprint:
            if row[1]:
                return SeenBefore.DONE
            self._db.do("UPDATE problems SET tally = NULL WHERE id = ?", problem.id)
            return SeenBefore.KNOWN
        roster = [(each.name, each.accepted, each.expected) for each in problem.submissions]
        with self._db.transaction() as db:
            if row is not None:
                for table in OF_A_PROBLEM:
                    db.execute(f"DELETE FROM {table} WHERE problem = ?", (problem.id,))
            db.execute("DELETE FROM bad_rows WHERE number = ?", (number,))
            db.execute(
                "INSERT OR REPLACE INTO problems VALUES (?, ?, ?, ?, ?, ?, 0, 0, NULL)",
                (problem.id, number, problem.name, fingerprint, json.dumps(roster), json.dumps(dict(problem.left_out))),
            )
        return SeenBefore.NEW if row is None else SeenBefore.CHANGED

    def begin_anew(self, problems: Iterable[str]) -> None:
        """Delete the results of these problems, but not the problems."""
        with self._db.transaction() as db:
            for problem in problems:
                for table in OF_A_PROBLEM:
                    db.execute(f"DELETE FROM {table} WHERE problem = ?", (problem,))
                db.execute("UPDATE problems SET done = 0, survivors = 0, tally = NULL WHERE id = ?", (problem,))

    def settle(self, found: ProblemResult, tally: ProblemTally, programs: dict[str, Program]) -> None:
        """Store the result of a problem. It is done, unless the infrastructure prevented something.

        Args:
            found: the result.
            tally: its figures.
            programs: of its submissions; those of the survivors are stored, for readers. So are killed ones, if there
                are few problems.
        """
        put_off = self._db.row("SELECT 1 FROM put_off WHERE problem = ?", found.id) is not None
        done = not (tally.unjudged or tally.not_judged or put_off)
        names = [each.name for each in found.killed][:_MOST_KILLED] if self.count() <= _FEW else []
        killed = [
            (found.id, name, programs[name].language, source)
            for name in names
            if len(source := called_source(programs[name])) <= _MOST_SOURCE
        ]
        with self._db.transaction() as db:
            db.execute("DELETE FROM surviving WHERE problem = ?", (found.id,))
            db.executemany(
                "INSERT INTO surviving VALUES (?, ?, ?, ?)",
                [(found.id, name, programs[name].language, called_source(programs[name])) for name in tally.survivors],
            )
            db.execute("DELETE FROM killed_programs WHERE problem = ?", (found.id,))
            db.executemany("INSERT INTO killed_programs VALUES (?, ?, ?, ?)", killed)
            db.execute(
                "UPDATE problems SET done = ?, survivors = ?, tally = ? WHERE id = ?",
                (done, len(tally.survivors), json.dumps(tally.to_dict()), found.id),
            )

    def count(self) -> int:
        """Return the number of problems."""
        return int((self._db.row("SELECT COUNT(*) FROM problems") or (0,))[0])

    def rosters(self, *, most_survivors: int | None = None, unsettled: bool = False) -> Iterator[Roster]:
        """Yield the problems by their place.

        Args:
            most_survivors: only so many, those with most survivors, in that order.
            unsettled: only those without a tally.
        """
        columns = "SELECT id, number, name, roster, left_out FROM problems"
        if most_survivors is not None:
            rows: Iterable[tuple[Any, ...]] = self._db.rows(
                f"{columns} ORDER BY survivors DESC, number LIMIT ?", most_survivors
            )
        else:
            where = f"number > ?{' AND tally IS NULL' if unsettled else ''}"
            rows = self._pages(f"{columns} WHERE {where} ORDER BY number", place=1)
        yield from map(_roster, rows)

    def tallies(self) -> Iterator[ProblemTally]:
        """Yield the stored tallies, by the problem's place."""
        query = "SELECT tally, number FROM problems WHERE number > ? AND tally IS NOT NULL ORDER BY number"
        for tally, _ in self._pages(query, place=1):
            yield ProblemTally.from_dict(json.loads(tally))

    def tally(self, problem: str) -> ProblemTally | None:
        """Return the tally of `problem`; None if there is none."""
        row = self._db.row("SELECT tally FROM problems WHERE id = ?", problem)
        return ProblemTally.from_dict(json.loads(row[0])) if row and row[0] else None

    def at(self, number: int) -> Roster | None:
        """Return the problem at this place; None if there is none."""
        rows = self._db.rows("SELECT id, number, name, roster, left_out FROM problems WHERE number = ?", number)
        return _roster(rows[0]) if rows else None

    def places(self) -> tuple[int, int] | None:
        """Return the first and the last place with a problem; None if there are no problems."""
        row = self._db.row("SELECT MIN(number), MAX(number) FROM problems")
        return (row[0], row[1]) if row and row[0] is not None else None

    def surviving(self, problem: str) -> list[Program]:
        """Return the surviving wrong programs of `problem`, named as their submissions."""
        rows = self._db.rows("SELECT language, source, name FROM surviving WHERE problem = ? ORDER BY name", problem)
        return [Program(*row) for row in rows]

    def killed(self, problem: str) -> list[Program]:
        """Return some of the killed wrong programs of `problem`, named as their submissions."""
        query = "SELECT language, source, name FROM killed_programs WHERE problem = ? ORDER BY name"
        return [Program(*row) for row in self._db.rows(query, problem)]

    def leave_out_row(self, number: int, why: str) -> None:
        """Record that a row could not be used."""
        self._db.do("INSERT OR REPLACE INTO bad_rows VALUES (?, ?)", number, why)

    def left_out_rows(self, most: int) -> tuple[int, list[LeftOutRow]]:
        """Return the number of rows that could not be used, and the first `most` of them."""
        count = (self._db.row("SELECT COUNT(*) FROM bad_rows") or (0,))[0]
        rows = self._db.rows("SELECT number, why FROM bad_rows ORDER BY number LIMIT ?", most)
        return count, [LeftOutRow(*row) for row in rows]

    def leave_out_packages(self, found: Mapping[str, str]) -> None:
        """Record the packages that cannot be judged, name -> why. Replaces those of an earlier session."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM bad_packages")
            db.executemany("INSERT INTO bad_packages VALUES (?, ?)", list(found.items()))

    def left_out_packages(self) -> dict[str, str]:
        """Return the packages that could not be judged, name -> why."""
        return dict(self._db.rows("SELECT name, why FROM bad_packages ORDER BY name"))

    def _pages(self, query: str, *, place: int) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query page by page, each page after the last number. No lock is held in between."""
        last: object = -1
        while rows := self._db.rows(f"{query} LIMIT {_AT_ONCE}", last):
            yield from rows
            last = rows[-1][place]


def _roster(row: tuple[Any, ...]) -> Roster:
    identity, number, name, roster, left_out = row
    entries = tuple(RosterEntry(*entry) for entry in json.loads(roster))
    return Roster(identity, number, name, entries, json.loads(left_out))
