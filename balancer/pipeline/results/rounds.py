"""The rounds of a problem: which have begun, with what inputs, and which programs of a generator's are used.

Decides what is durable of a round: it begins with all its inputs, or not at all. It must not know where inputs come
from.
"""

import json
from collections.abc import Collection, Iterable

from balancer.pipeline.results.database import Database
from balancer.pipeline.results.recent import Recent
from balancer.pipeline.results.records import CaseState
from balancer.problem import Proposal
from balancer.program import Program

__all__ = ["SCHEMA", "Rounds"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS rounds (problem TEXT, number INTEGER, notes TEXT NOT NULL, PRIMARY KEY (problem, number));
CREATE TABLE IF NOT EXISTS aids (
    problem TEXT, aid TEXT, language TEXT NOT NULL, source TEXT NOT NULL, name TEXT NOT NULL, round INTEGER NOT NULL,
    PRIMARY KEY (problem, aid));
CREATE TABLE IF NOT EXISTS put_off (problem TEXT PRIMARY KEY, why TEXT NOT NULL);
"""


class Rounds:
    """The rounds of all problems of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._aids = Recent(database, self._read_aids)

    def has_begun(self, problem: str, number: int) -> bool:
        """Return whether round `number` has its inputs, from this session or an earlier one."""
        return self._db.row("SELECT 1 FROM rounds WHERE problem = ? AND number = ?", problem, number) is not None

    def begin(
        self,
        problem: str,
        number: int,
        proposals: Iterable[Proposal],
        notes: Iterable[str],
        replaced: Collection[int] = (),
    ) -> None:
        """Store the inputs of a round behind those that are there, and take the cases out that they replace."""
        with self._db.transaction() as db:
            self._add(problem, number, proposals)
            db.execute("INSERT INTO rounds VALUES (?, ?, ?)", (problem, number, json.dumps(list(notes))))
            db.execute("DELETE FROM put_off WHERE problem = ?", (problem,))
            db.executemany(
                "UPDATE cases SET state = ? WHERE problem = ? AND id = ?",
                [(CaseState.REPLACED.value, problem, case) for case in replaced],
            )

    def add_own(self, problem: str, proposals: Iterable[Proposal]) -> None:
        """Store a problem's own data, before its first round; once is enough."""
        with self._db.transaction() as db:
            if db.execute("SELECT 1 FROM cases WHERE problem = ?", (problem,)).fetchone() is None:
                self._add(problem, 0, proposals)

    def notes(self, problem: str, number: int | None = None) -> list[str]:
        """Return what was noted as round `number`, or any round, began."""
        rows = self._db.rows(
            "SELECT notes FROM rounds WHERE problem = ? AND (? IS NULL OR number = ?) ORDER BY number",
            problem, number, number,
        )  # fmt: skip
        return [note for (notes,) in rows for note in json.loads(notes)]

    def put_off(self, problem: str, why: str) -> None:
        """Record that the next round is left to another session, and why."""
        self._db.do("INSERT OR REPLACE INTO put_off VALUES (?, ?)", problem, why)

    def why_put_off(self, problem: str) -> list[str]:
        """Return why the next round is left to another session; nothing if it is not."""
        return [why for (why,) in self._db.rows("SELECT why FROM put_off WHERE problem = ?", problem)]

    def count(self, problem: str) -> int:
        """Return how many rounds have begun."""
        row = self._db.row("SELECT COUNT(*) FROM rounds WHERE problem = ?", problem)
        return row[0] if row else 0

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

    def _add(self, problem: str, number: int, proposals: Iterable[Proposal]) -> None:
        first = (self._db.row("SELECT MAX(id) FROM cases WHERE problem = ?", problem) or (None,))[0] or 0
        rows = [
            (problem, i, p.data, p.answer, p.origin.generator, p.origin.detail, p.sample, CaseState.PROPOSED.value, "",
             number)
            for i, p in enumerate(proposals, start=first + 1)
        ]  # fmt: skip
        with self._db.using() as db:
            db.executemany("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
