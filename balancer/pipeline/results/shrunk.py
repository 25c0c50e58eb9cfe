"""Cases that were made smaller: of which the smaller one was made, and for whom.

Decides what is durable of it: each case is tried once. It must not know how a case is made smaller.
"""

from balancer.pipeline.results.database import Database
from balancer.pipeline.results.problem_result import CaseState

__all__ = ["SCHEMA", "SHRINK", "Shrunk"]

SHRINK = "shrink"  # the generator that such a case is said to come from

SCHEMA = """
CREATE TABLE IF NOT EXISTS shrunk (
    problem TEXT, parent INTEGER, victim TEXT, case_id INTEGER, PRIMARY KEY (problem, parent, victim));
"""


class Shrunk:
    """The smaller cases of all problems of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def tried(self, problem: str) -> set[tuple[int, str]]:
        """Return which cases were tried, and for whom."""
        rows = self._db.rows("SELECT parent, victim FROM shrunk WHERE problem = ?", problem)
        return {(parent, victim) for parent, victim in rows}

    def parents(self, problem: str) -> dict[int, int]:
        """Return the smaller cases, by id: the id of the one that each was made of."""
        found = "SELECT case_id, parent FROM shrunk WHERE problem = ? AND case_id IS NOT NULL"
        return dict(self._db.rows(found, problem))

    def add(self, problem: str, parent: int, victim: str, found: tuple[bytes, str] | None, at_s: float) -> None:
        """Remember that `parent` was tried for `victim`, and what was found: a smaller valid input, and how."""
        with self._db.transaction() as db:
            case = None
            if (
                found is not None
                and not db.execute("SELECT 1 FROM cases WHERE problem = ? AND data = ?", (problem, found[0])).fetchone()
            ):
                data, detail = found
                case = db.execute("SELECT MAX(id) + 1 FROM cases WHERE problem = ?", (problem,)).fetchone()[0]
                db.execute(
                    "INSERT INTO cases SELECT problem, ?, ?, NULL, ?, ?, 0, ?, '', round FROM cases"
                    " WHERE problem = ? AND id = ?",
                    (case, data, SHRINK, detail, CaseState.VALID.value, problem, parent),
                )
                db.execute("INSERT INTO moments VALUES (?, ?, 0, ?)", (problem, case, at_s))
            db.execute("INSERT OR REPLACE INTO shrunk VALUES (?, ?, ?, ?)", (problem, parent, victim, case))
