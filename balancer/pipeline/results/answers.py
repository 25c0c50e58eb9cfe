"""Answer table: a model's answers, stored so that a run that dies does not ask, and pay, twice."""

from balancer.pipeline.proposing import StoredAnswer, TokenUsage
from balancer.pipeline.results.database import Database
from balancer.pipeline.results.scores import ModelUsage

__all__ = ["SCHEMA", "Answers"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, problem TEXT, round INTEGER, attempt INTEGER, model TEXT NOT NULL, prompts TEXT NOT NULL,
    text TEXT, refusal TEXT, cut INTEGER NOT NULL, asked INTEGER NOT NULL, answered INTEGER NOT NULL,
    cost REAL NOT NULL, seconds REAL NOT NULL);
CREATE INDEX IF NOT EXISTS answers_by_problem ON answers (problem);
"""


class Answers:
    """The answers of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def recall(self, key: str) -> StoredAnswer | None:
        """Return the answer stored under `key`; None if there is none."""
        row = self._db.row(
            "SELECT model, prompts, text, refusal, cut, asked, answered, cost, seconds FROM answers WHERE key = ?", key
        )
        return StoredAnswer(row[0], row[1], row[2], row[3], bool(row[4]), TokenUsage(*row[5:])) if row else None

    def remember(self, key: str, row: str, round: int, attempt: int, answer: StoredAnswer) -> None:
        """Store an answer. It is durable when this returns."""
        used = answer.used
        self._db.do(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            key, row, round, attempt, answer.model, answer.prompts, answer.text, answer.refusal, answer.cut,
            used.asked, used.answered, used.cost, used.seconds,
        )  # fmt: skip

    def used(self) -> dict[str, TokenUsage]:
        """Return the use so far, by problem."""
        rows = self._db.rows(
            "SELECT problem, SUM(asked), SUM(answered), SUM(cost), SUM(seconds) FROM answers GROUP BY problem"
        )
        return {problem: TokenUsage(*figures) for problem, *figures in rows}

    def spent(self) -> dict[int, ModelUsage]:
        """Return the use of each round, for all problems together."""
        rows = self._db.rows(
            "SELECT round, COUNT(*), SUM(asked), SUM(answered), SUM(cost), SUM(seconds) FROM answers GROUP BY round"
        )
        return {number: ModelUsage(*figures) for number, *figures in rows}

    def count(self, problem: str | None = None) -> int:
        """Return the number of answers, of `problem` or of all."""
        row = self._db.row("SELECT COUNT(*) FROM answers WHERE ? IS NULL OR problem = ?", problem, problem)
        return row[0] if row else 0
