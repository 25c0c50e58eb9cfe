"""Judges table: a problem's validators and checkers, their exit codes, what is wrong with them, and who brought them.

Decides what is durable of it: of the problem's own, and of the programs that a generator has brought.
"""

import json

from balancer.pipeline.results.database import Database, RecentCache
from balancer.program import Program

__all__ = ["SCHEMA", "Judges"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS codes (
    problem TEXT, program TEXT, accepts INTEGER NOT NULL, refuses TEXT NOT NULL, PRIMARY KEY (problem, program));
CREATE TABLE IF NOT EXISTS aids (
    problem TEXT, aid TEXT, language TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL, round INTEGER NOT NULL,
    PRIMARY KEY (problem, aid));
CREATE TABLE IF NOT EXISTS troubles (problem TEXT, line TEXT, PRIMARY KEY (problem, line));
"""


class Judges:
    """The validators and checkers of all problems of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._aids = RecentCache(database, self._read_aids)

    def set_codes(self, problem: str, program: str, accepts: int, refuses: frozenset[int]) -> None:
        """Remember with which exit codes a validator accepts and refuses."""
        values = (problem, program, accepts, json.dumps(sorted(refuses)))
        self._db.do("INSERT OR REPLACE INTO codes VALUES (?, ?, ?, ?)", *values)

    def codes(self, problem: str, program: str) -> tuple[int, frozenset[int]] | None:
        """Return the exit codes with which it accepts and refuses, if that was found out."""
        row = self._db.row("SELECT accepts, refuses FROM codes WHERE problem = ? AND program = ?", problem, program)
        return (int(row[0]), frozenset(json.loads(row[1]))) if row else None

    def add_trouble(self, problem: str, line: str) -> None:
        """Record what a person must know first of all of `problem`; once is enough."""
        self._db.do("INSERT OR IGNORE INTO troubles VALUES (?, ?)", problem, line)

    def troubles(self, problem: str) -> list[str]:
        """Return what was recorded, in the order in which it was."""
        return [
            line for (line,) in self._db.rows("SELECT line FROM troubles WHERE problem = ? ORDER BY rowid", problem)
        ]

    def forget_troubles(self, problem: str) -> None:
        """Forget them: they are found again, if they are still there."""
        self._db.do("DELETE FROM troubles WHERE problem = ?", problem)

    def keep(self, problem: str, aid: str, program: Program, number: int) -> None:
        """Keep a generator's own program: its validator, checker or generator program."""
        self._db.do(
            "INSERT OR REPLACE INTO aids VALUES (?, ?, ?, ?, ?, ?)",
            problem, aid, program.language, program.source, program.name, number,
        )  # fmt: skip
        self._aids.forget(problem)

    def kept(self, problem: str, aid: str) -> Program | None:
        """Return the program that is kept as `aid`."""
        return self._aids.of(problem).get(aid)

    def forget(self, problem: str) -> None:
        """Say that what is stored of `problem` was taken away."""
        self._aids.forget(problem)

    def _read_aids(self, problem: str) -> dict[str, Program]:
        rows = self._db.rows("SELECT aid, language, source, name FROM aids WHERE problem = ?", problem)
        return {aid: Program(*program) for aid, *program in rows}
