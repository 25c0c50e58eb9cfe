"""Rechecks of time limits: why a first run was not believed, and what the second one said.

Decides what is durable of them. It must not know when a look is taken.
"""

from typing import Final

from balancer.pipeline.results.database import Database

__all__ = ["LATER", "SCHEMA", "Rechecks"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS looks (
    problem TEXT, subject TEXT, case_id INTEGER, suspicion TEXT NOT NULL, said TEXT NOT NULL,
    PRIMARY KEY (problem, subject, case_id));
"""

LATER: Final = "judged later"
_COUNTS: Final = f"""
SELECT suspicion, said, COUNT(*) FROM (
    SELECT suspicion, CASE WHEN said = 'unjudged' AND verdict <> 'unjudged' THEN '{LATER}' ELSE said END AS said
    FROM looks LEFT JOIN verdicts
    ON verdicts.problem = looks.problem AND submission = subject AND verdicts.case_id = looks.case_id)
GROUP BY suspicion, said ORDER BY 1, 2
"""


class Rechecks:
    """The second looks of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, problem: str, subject: str, case: int, suspicion: str, said: str) -> None:
        """Record a look; a later one at the same run takes its place."""
        self._db.do("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?)", problem, subject, case, suspicion, said)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many looks there were, by (why, what was said; `LATER` if a later run had to say it)."""
        rows = self._db.rows(_COUNTS)
        return {(suspicion, said): count for suspicion, said, count in rows}
