"""Judges table: validators and checkers of problems, their exit codes and troubles, limits, programs of generators."""

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
CREATE TABLE IF NOT EXISTS limits (problem TEXT PRIMARY KEY, cpu_s REAL NOT NULL);
"""


class Judges:
    """The validators and checkers of all problems of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._aids = RecentCache(database, self._read_aids)

    def set_codes(self, problem: str, program: str, accepts: int, refuses: frozenset[int]) -> None:
        """Store the exit codes with which a validator accepts and refuses."""
        values = (problem, program, accepts, json.dumps(sorted(refuses)))
        self._db.do("INSERT OR REPLACE INTO codes VALUES (?, ?, ?, ?)", *values)

    def codes(self, problem: str, program: str) -> tuple[int, frozenset[int]] | None:
        """Return the exit codes with which it accepts and refuses; None if not found yet."""
        row = self._db.row("SELECT accepts, refuses FROM codes WHERE problem = ? AND program = ?", problem, program)
        return (int(row[0]), frozenset(json.loads(row[1]))) if row else None

    def set_limit(self, problem: str, cpu_s: float) -> None:
        """Store the time limit that replaces the problem's own."""
        self._db.do("INSERT OR REPLACE INTO limits VALUES (?, ?)", problem, cpu_s)

    def limit(self, problem: str) -> float | None:
        """Return the time limit that replaces the problem's own; None: its own holds."""
        row = self._db.row("SELECT cpu_s FROM limits WHERE problem = ?", problem)
        return None if row is None else float(row[0])

    def add_trouble(self, problem: str, line: str) -> None:
        """Record a trouble of `problem` that a person must know first. A repeated line is ignored."""
        self._db.do("INSERT OR IGNORE INTO troubles VALUES (?, ?)", problem, line)

    def troubles(self, problem: str) -> list[str]:
        """Return the troubles, in the order of recording."""
        return [
            line for (line,) in self._db.rows("SELECT line FROM troubles WHERE problem = ? ORDER BY rowid", problem)
        ]

    def forget_troubles(self, problem: str) -> None:
        """Delete the troubles. Those that still exist will be found again."""
        self._db.do("DELETE FROM troubles WHERE problem = ?", problem)

    def keep(self, problem: str, aid: str, program: Program, number: int) -> None:
        """Store a generator's program: a validator, checker or generator program."""
        self._db.do(
            "INSERT OR REPLACE INTO aids VALUES (?, ?, ?, ?, ?, ?)",
            problem, aid, program.language, program.source, program.name, number,
        )  # fmt: skip
        self._aids.forget(problem)

    def kept(self, problem: str, aid: str) -> Program | None:
        """Return the program stored as `aid`; None if there is none."""
        return self._aids.of(problem).get(aid)

    def forget(self, problem: str) -> None:
        """Clear the cache for `problem`, whose rows were deleted."""
        self._aids.forget(problem)

    def _read_aids(self, problem: str) -> dict[str, Program]:
        rows = self._db.rows("SELECT aid, language, source, name FROM aids WHERE problem = ?", problem)
        return {aid: Program(*program) for aid, *program in rows}
