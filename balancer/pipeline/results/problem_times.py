"""Problem times: when each input came, and when each wrong submission was killed, over all sessions.

Decides what is durable of it: seconds for which the problem was at work, as no clock goes on while no process runs.

The yield of each generator is inputs, cases, kills, and the time that it took. A kill belongs to the generator of the
case; the first kill of a submission to the one whose case was the first to kill it.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from balancer.pipeline.results.database import Database

__all__ = ["SCHEMA", "FirstKill", "GeneratorYield", "ProblemTimes", "generator_yields"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS clocks (problem TEXT PRIMARY KEY, elapsed_s REAL NOT NULL, spent_s REAL NOT NULL);
CREATE TABLE IF NOT EXISTS moments (
    problem TEXT, case_id INTEGER, batch INTEGER NOT NULL, came_s REAL NOT NULL, PRIMARY KEY (problem, case_id));
CREATE TABLE IF NOT EXISTS first_kills (
    problem TEXT, submission TEXT, case_id INTEGER NOT NULL, at_s REAL NOT NULL, PRIMARY KEY (problem, submission));
"""


@dataclass(frozen=True, slots=True)
class FirstKill:
    """A wrong submission, the case that killed it first, where that came from, and when it was killed.

    `at_s` is in seconds for which the problem was at work.
    """

    problem: str
    submission: str
    case: int
    generator: str
    detail: str
    sample: bool
    at_s: float


class ProblemTimes:
    """The times of all problems of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def of(self, problem: str) -> tuple[float, float]:
        """Return for how many seconds `problem` was at work, and for how many of them on made-up inputs."""
        row = self._db.row("SELECT elapsed_s, spent_s FROM clocks WHERE problem = ?", problem)
        return (row[0], row[1]) if row else (0.0, 0.0)

    def keep(self, problem: str, elapsed_s: float, spent_s: float) -> None:
        """Remember both."""
        self._db.do("INSERT OR REPLACE INTO clocks VALUES (?, ?, ?)", problem, elapsed_s, spent_s)

    def killed(self, problem: str, submission: str, case: int, at_s: float) -> None:
        """Remember when a wrong submission was killed, and by what; the first time counts."""
        self._db.do("INSERT OR IGNORE INTO first_kills VALUES (?, ?, ?, ?)", problem, submission, case, at_s)

    def spared(self, problem: str, submission: str, case: int) -> None:
        """Forget that `case` was the first to kill a submission: it did not."""
        self._db.do(
            "DELETE FROM first_kills WHERE problem = ? AND submission = ? AND case_id = ?", problem, submission, case
        )

    def batches(self, problem: str) -> dict[int, int]:
        """Return in which batch of its round each case came."""
        return dict(self._db.rows("SELECT case_id, batch FROM moments WHERE problem = ?", problem))

    def kills(self) -> list[FirstKill]:
        """Return the first kills of all problems, by time; those on cases that count no more are not among them."""
        rows = self._db.rows(
            "SELECT k.problem, k.submission, k.case_id, c.generator, c.detail, c.sample, k.at_s"
            " FROM first_kills k JOIN cases c ON c.problem = k.problem AND c.id = k.case_id"
            " LEFT JOIN left_out l ON l.problem = k.problem AND l.name = k.submission"
            " WHERE c.state = 'ready' AND l.name IS NULL ORDER BY k.at_s, k.problem, k.submission"
        )
        return [FirstKill(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6]) for row in rows]


@dataclass(frozen=True, slots=True)
class GeneratorYield:
    """What one generator brought.

    Attributes:
        generator: its name; "shrink" are cases that were made smaller.
        proposed: inputs that were stored; `valid`: those that the validators accept; `cases`: those that are used.
        kills: pairs of a case of its and a wrong submission that it rejects.
        first_kills: wrong submissions that a case of its was the first to reject.
        asked_s: seconds that it was asked for; `run_s`: of program runs on its inputs.
    """

    generator: str
    proposed: int
    valid: int
    cases: int
    kills: int
    first_kills: int
    asked_s: float
    run_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON has."""
        return asdict(self)


def generator_yields(database: Database, kills: Sequence[FirstKill]) -> tuple[GeneratorYield, ...]:
    """Return what each generator brought, those with the most first kills first.

    Args:
        database: of the run.
        kills: the first kills.
    """
    first = Counter(kill.generator for kill in kills)
    asked_s: defaultdict[str, float] = defaultdict(float)
    for (asked,) in database.rows("SELECT asked FROM batches"):
        for name, each in json.loads(asked).items():
            asked_s[name] += each["seconds"]
    run_s = dict(
        database.rows(
            "SELECT c.generator, SUM(s.ended_s - s.started_s) FROM spans s"
            " JOIN cases c ON c.problem = s.problem AND c.id = s.case_id GROUP BY c.generator"
        )
    )
    killed = dict(
        database.rows(
            "SELECT c.generator, COUNT(*) FROM first_kills f"
            " JOIN verdicts v ON v.problem = f.problem AND v.submission = f.submission"
            " JOIN cases c ON c.problem = v.problem AND c.id = v.case_id"
            " WHERE c.state = 'ready' AND v.verdict NOT IN ('accepted', 'unjudged') GROUP BY c.generator"
        )
    )
    counts = database.rows(
        "SELECT generator, COUNT(*), SUM(state IN ('valid', 'contested', 'ready', 'replaced')), SUM(state = 'ready')"
        " FROM cases GROUP BY generator"
    )
    found = {
        name: GeneratorYield(
            name, proposed, valid, cases, killed.get(name, 0), first[name], asked_s[name], run_s.get(name, 0.0)
        )
        for name, proposed, valid, cases in counts
    }
    for name in asked_s:  # one that had nothing to say has taken its time as well
        found.setdefault(name, GeneratorYield(name, 0, 0, 0, 0, 0, asked_s[name], 0.0))
    return tuple(sorted(found.values(), key=lambda each: (-each.first_kills, -each.kills, each.generator)))
