"""Problem times: when each input came, and when each wrong submission was first killed, over all sessions.

Times are seconds for which the problem was at work, because no clock runs between processes.

The yield of a generator is its inputs, cases, kills and time. A kill belongs to the generator of the case. The first
kill of a submission belongs to the generator of the first case that killed it. A made-up case may be contested later,
and a kill may turn out to be an error. So all kills are stored, and the first that still holds counts.
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
    problem TEXT, submission TEXT, case_id INTEGER NOT NULL, at_s REAL NOT NULL,
    PRIMARY KEY (problem, submission, case_id));
"""
_FIRST = (  # the first kill of each submission. SQLite takes the other columns from the row of the minimum
    "SELECT k.problem, k.submission, k.case_id, MIN(k.at_s) AS at_s FROM first_kills k"
    " JOIN cases c ON c.problem = k.problem AND c.id = k.case_id"
    " JOIN verdicts v ON v.problem = k.problem AND v.submission = k.submission AND v.case_id = k.case_id"
    " WHERE c.state = 'ready' AND v.verdict NOT IN ('accepted', 'judge_error', 'unjudged'){}"
    " GROUP BY k.problem, k.submission"
)


@dataclass(frozen=True, slots=True)
class FirstKill:
    """A wrong submission, the first case that killed it, the origin of the case, and the time of the kill.

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
        """Return the seconds for which `problem` was at work, and those spent on made-up inputs."""
        row = self._db.row("SELECT elapsed_s, spent_s FROM clocks WHERE problem = ?", problem)
        return (row[0], row[1]) if row else (0.0, 0.0)

    def keep(self, problem: str, elapsed_s: float, spent_s: float) -> None:
        """Store both times."""
        self._db.do("INSERT OR REPLACE INTO clocks VALUES (?, ?, ?)", problem, elapsed_s, spent_s)

    def killed(self, problem: str, submission: str, case: int, at_s: float) -> None:
        """Record, soon, that `case` killed a wrong submission at `at_s`. The first kill by a ready case counts."""
        self._db.later("INSERT OR IGNORE INTO first_kills VALUES (?, ?, ?, ?)", problem, submission, case, at_s)

    def batches(self, problem: str) -> dict[int, int]:
        """Return case id -> number of its batch in its round."""
        return dict(self._db.rows("SELECT case_id, batch FROM moments WHERE problem = ?", problem))

    def by_round(self, problem: str) -> tuple[dict[str, dict[int, float]], dict[str, dict[int, float]]]:
        """Return the first kills of each generator by round, and the seconds that it and runs on its inputs took."""
        kills: defaultdict[str, dict[int, float]] = defaultdict(dict)
        seconds: defaultdict[str, dict[int, float]] = defaultdict(dict)
        for name, number, count in self._db.rows(
            f"SELECT c.generator, c.round, COUNT(*) FROM ({_FIRST.format(' AND k.problem = ?')}) k"
            " JOIN cases c ON c.problem = k.problem AND c.id = k.case_id"
            " WHERE NOT c.sample GROUP BY c.generator, c.round", problem
        ):  # fmt: skip
            kills[name][number] = count
        for name, number, ran_s in self._db.rows(
            "SELECT c.generator, c.round, SUM(v.time_s) FROM verdicts v"
            " JOIN cases c ON c.problem = v.problem AND c.id = v.case_id"
            " WHERE v.problem = ? AND NOT c.sample GROUP BY c.generator, c.round", problem
        ):  # fmt: skip
            seconds[name][number] = ran_s
        for number, asked in self._db.rows("SELECT round, asked FROM batches WHERE problem = ?", problem):
            for name, each in json.loads(asked).items():
                seconds[name][number] = seconds[name].get(number, 0.0) + each["seconds"]
        return kills, seconds

    def kills(self) -> list[FirstKill]:
        """Return the first kills of all problems, by time, without those by cases that no longer count."""
        rows = self._db.rows(
            "SELECT k.problem, k.submission, k.case_id, c.generator, c.detail, c.sample, k.at_s"
            f" FROM ({_FIRST.format('')}) k JOIN cases c ON c.problem = k.problem AND c.id = k.case_id"
            " LEFT JOIN left_out l ON l.problem = k.problem AND l.name = k.submission"
            " WHERE l.name IS NULL ORDER BY k.at_s, k.problem, k.submission"
        )
        return [FirstKill(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6]) for row in rows]


@dataclass(frozen=True, slots=True)
class GeneratorYield:
    """The yield of one generator.

    Attributes:
        generator: its name; "shrink" for cases that were made smaller.
        proposed: inputs that were stored; `valid`: those that the validators accept; `cases`: those that are used.
        kills: pairs of one of its cases and a wrong submission that the case rejects.
        first_kills: wrong submissions that one of its cases rejected first.
        asked_s: seconds spent asking it; `run_s`: seconds of program runs on its inputs.
        cpu_s: CPU seconds of the programs that it ran, and of the submissions on its inputs.
    """

    generator: str
    proposed: int
    valid: int
    cases: int
    kills: int
    first_kills: int
    asked_s: float
    run_s: float
    cpu_s: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


def generator_yields(database: Database, kills: Sequence[FirstKill]) -> tuple[GeneratorYield, ...]:
    """Return the yield of each generator, those with the most first kills first.

    Args:
        database: of the run.
        kills: the first kills.
    """
    first = Counter(kill.generator for kill in kills)
    asked_s: defaultdict[str, float] = defaultdict(float)
    cpu_s = defaultdict(
        float,
        database.rows(
            "SELECT c.generator, SUM(v.time_s) FROM verdicts v"
            " JOIN cases c ON c.problem = v.problem AND c.id = v.case_id WHERE NOT c.sample GROUP BY c.generator"
        ),
    )
    for (asked,) in database.rows("SELECT asked FROM batches"):
        for name, each in json.loads(asked).items():
            asked_s[name] += each["seconds"]
            cpu_s[name] += each.get("cpu_s", 0.0)
    run_s = dict(
        database.rows(
            "SELECT c.generator, SUM(s.ended_s - s.started_s) FROM spans s"
            " JOIN cases c ON c.problem = s.problem AND c.id = s.case_id GROUP BY c.generator"
        )
    )
    killed = dict(
        database.rows(
            "SELECT c.generator, COUNT(*) FROM (SELECT DISTINCT problem, submission FROM first_kills) f"
            " JOIN verdicts v ON v.problem = f.problem AND v.submission = f.submission"
            " JOIN cases c ON c.problem = v.problem AND c.id = v.case_id"
            " WHERE c.state = 'ready' AND v.verdict NOT IN ('accepted', 'judge_error', 'unjudged') GROUP BY c.generator"
        )
    )
    counts = database.rows(
        "SELECT generator, COUNT(*), SUM(state IN ('valid', 'contested', 'ready', 'replaced')), SUM(state = 'ready')"
        " FROM cases GROUP BY generator"
    )
    found = {
        name: GeneratorYield(
            name,
            proposed,
            valid,
            cases,
            killed.get(name, 0),
            first[name],
            asked_s[name],
            run_s.get(name, 0.0),
            cpu_s[name],
        )
        for name, proposed, valid, cases in counts
    }
    for name in asked_s:  # a generator without inputs took time too
        found.setdefault(name, GeneratorYield(name, 0, 0, 0, 0, 0, asked_s[name], 0.0, cpu_s[name]))
    return tuple(sorted(found.values(), key=lambda each: (-each.first_kills, -each.kills, each.generator)))
