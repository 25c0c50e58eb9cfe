"""Run store: the results so far, in SQLite, so that a run that dies resumes where it stopped.

Every row is committed before the run acts on it, in WAL mode, which survives the death of the process at any time. Rows
of verdicts, cases and leases are committed in batches, at the latest before the next read. The store never judges.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Self

from balancer.core.metrics import EndpointStats, HolderStats, PoolStats, QuotaStats, SourceStats, WaitStats
from balancer.errors import ConfigError
from balancer.pipeline.results import answers, judges, leases, problem_times, problems, rounds, trust
from balancer.pipeline.results.answers import Answers
from balancer.pipeline.results.database import Database, RecentCache
from balancer.pipeline.results.judges import Judges
from balancer.pipeline.results.leases import Leases, TraceTables
from balancer.pipeline.results.problem_result import CaseState
from balancer.pipeline.results.problem_times import FirstKill, GeneratorYield, ProblemTimes, generator_yields
from balancer.pipeline.results.problems import Problems, SeenBefore
from balancer.pipeline.results.rounds import Rounds, Shrunk
from balancer.pipeline.results.tally import ProblemTally, RoundHistory
from balancer.pipeline.results.trust import Rechecks, TrustStore
from balancer.problem import Origin, Problem, Verdict
from balancer.program import Program

__all__ = ["Session", "Store", "StoredCase", "StoredVerdict"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS left_out (problem TEXT, name TEXT, why TEXT NOT NULL, PRIMARY KEY (problem, name));
CREATE TABLE IF NOT EXISTS cases (
    problem TEXT, id INTEGER, data BLOB NOT NULL, answer BLOB, generator TEXT NOT NULL, detail TEXT NOT NULL,
    sample INTEGER NOT NULL, state TEXT NOT NULL, note TEXT NOT NULL, round INTEGER NOT NULL,
    PRIMARY KEY (problem, id));
CREATE TABLE IF NOT EXISTS verdicts (
    problem TEXT, submission TEXT, case_id INTEGER, verdict TEXT NOT NULL, time_s REAL NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (problem, submission, case_id));
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY, strategy TEXT NOT NULL, slots INTEGER NOT NULL, pool TEXT, complete INTEGER NOT NULL);
"""
_AS_JSON = (PoolStats, EndpointStats, WaitStats, QuotaStats, SourceStats, HolderStats, ProblemTally, RoundHistory)
_FIELDS = "".join(f"-- {kind.__name__}: {', '.join(each.name for each in fields(kind))}\n" for kind in _AS_JSON)
"""What columns hold as JSON. It stands in the schema, so that results of other fields are those of another version."""
_VERDICTS = {each.value: each for each in Verdict}  # faster than Verdict(...), for the most frequent rows


@dataclass(frozen=True, slots=True)
class StoredCase:
    """A proposed input and its state; `answer` is None until there is an expected output."""

    id: int
    data: bytes
    answer: bytes | None
    origin: Origin
    sample: bool
    state: CaseState
    note: str
    round: int = 0


class StoredVerdict(NamedTuple):
    """The verdict of one case on one submission."""

    submission: str
    case: int
    verdict: Verdict
    time_s: float
    note: str


@dataclass(frozen=True, slots=True)
class Session:
    """One process's part of a run; `pool` is a `PoolStats` as a dict, or None if the session did not end normally."""

    id: int
    strategy: str
    slots: int
    pool: dict[str, Any] | None
    complete: bool


class Store:
    """The database of one results folder. Thread-safe; one process at a time.

    Args:
        folder: created if it is missing.
        fresh: delete the earlier run's database. Nothing else in the folder changes, and nothing at all while another
            process uses it.

    Raises:
        ConfigError: another process uses it, it holds files but no run, another version made it, or it cannot be
            written.

    Attributes:
        rounds: the rounds of each problem.
        answers: answers of a model.
        judges: the problems' validators and checkers.
        rechecks: second runs after suspect ends.
        problems: the problems and their results.
        leases: what ran where and when.
        shrunk: cases that were made smaller.
        times: times of inputs and kills.
        trace: the sink of the trace of the run's pool.
        trust: endpoints that lied, and the problems they had a part in.

    Every method raises BalancerError, one line, if the database fails, e.g. because the disk is full.
    """

    def __init__(self, folder: Path, *, fresh: bool = False) -> None:
        self._folder = folder
        parts = (rounds, answers, judges, problems, leases, problem_times, trust)
        self._db = Database(folder, _SCHEMA + "".join(part.SCHEMA for part in parts) + _FIELDS, fresh=fresh)
        self.rounds = Rounds(self._db)
        self.answers = Answers(self._db)
        self.judges = Judges(self._db)
        self.rechecks = Rechecks(self._db)
        self.problems = Problems(self._db)
        self.leases = Leases(self._db)
        self.shrunk = Shrunk(self._db)
        self.times = ProblemTimes(self._db)
        self.trace = TraceTables(self._db)
        self.trust = TrustStore(self._db)
        self._left_out = RecentCache(self._db, self._read_left_out)
        self.withdraw()

    def close(self) -> None:
        """Close the database and unlock the folder."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def withdraw(self) -> set[str]:
        """Delete the results of problems that a liar had a part in, and return these problems. None may be at work."""
        gone = self.trust.withdrawn()
        if gone:
            self.problems.begin_anew(gone)
        self.trust.forget(gone)
        for problem in gone:
            self.problem_changed(problem)
        return gone

    # -- the run as a whole --------------------------------------------------------------------------

    def claim(self, fingerprint: Mapping[str, str], *, then: Mapping[str, str] | None = None) -> None:
        """Record what is judged here, or check that it is the same as before.

        Args:
            fingerprint: of what is judged.
            then: what is judged from now on, if that is more.

        Raises:
            ConfigError: a line that names the differences.
        """
        before = self._meta("fingerprint")
        if before is None:
            self._set_meta("fingerprint", dict(fingerprint))
            return
        changed = sorted(k for k in before.keys() | fingerprint.keys() if before.get(k) != fingerprint.get(k))
        if changed:
            raise ConfigError(
                f"{self._folder}: holds a run with other {', '.join(changed)}; "
                "use --fresh to start over, or choose other --results"
            )
        if then is not None:
            self._set_meta("fingerprint", dict(then))

    @property
    def fingerprint(self) -> dict[str, str]:
        """What is judged here; empty if no run has begun."""
        return self._meta("fingerprint") or {}

    @property
    def database(self) -> Database:
        """The database of all tables."""
        return self._db

    def mended(self, problems: Iterable[str]) -> set[str]:
        """Return those of `problems` that were left out as packages when the run was claimed, so not part of it."""
        before = self.fingerprint
        left_out = self.problems.left_out_packages()
        return {name for name in problems if name in left_out and f"problem {name}" not in before}

    def describe(self, source: Mapping[str, str]) -> None:
        """Record where the problems come from, for later commands."""
        self._set_meta("source", dict(source))

    @property
    def source(self) -> dict[str, str]:
        """Where the problems come from; empty if no run has begun."""
        return self._meta("source") or {}

    def begin_session(self, strategy: str, slots: int) -> int:
        """Open a session and return its id."""
        return self._db.do("INSERT INTO sessions (strategy, slots, complete) VALUES (?, ?, 0)", strategy, slots)

    def end_session(self, session: int, pool: Mapping[str, Any], *, complete: bool) -> None:
        """Record the end of `session`."""
        self._db.do("UPDATE sessions SET pool = ?, complete = ? WHERE id = ?", json.dumps(pool), complete, session)

    def sessions(self) -> list[Session]:
        """Return the sessions so far, oldest first."""
        rows = self._db.rows("SELECT id, strategy, slots, pool, complete FROM sessions ORDER BY id")
        return [Session(r[0], r[1], r[2], json.loads(r[3]) if r[3] else None, bool(r[4])) for r in rows]

    def brought(self, kills: Sequence[FirstKill]) -> tuple[GeneratorYield, ...]:
        return generator_yields(self._db, kills)

    @property
    def timed(self) -> bool:
        """Whether the run has a time budget for each problem."""
        return float(self.fingerprint.get("setting budget_s", 0)) > 0

    def _meta(self, key: str) -> dict[str, str] | None:
        row = self._db.row("SELECT value FROM meta WHERE key = ?", key)
        found: dict[str, str] | None = json.loads(row[0]) if row else None
        return found

    def _set_meta(self, key: str, value: object) -> None:
        self._db.do("INSERT OR REPLACE INTO meta VALUES (?, ?)", key, json.dumps(value))

    # -- one problem ---------------------------------------------------------------------------------

    def cases(self, problem: str, *states: CaseState) -> list[StoredCase]:
        """Return the cases of `problem` that are in one of `states` (default: all), by id."""
        wanted = [state.value for state in states or CaseState]
        rows = self._db.rows(
            "SELECT id, data, answer, generator, detail, sample, state, note, round FROM cases"
            f" WHERE problem = ? AND state IN ({', '.join('?' * len(wanted))}) ORDER BY id",
            problem, *wanted,
        )  # fmt: skip
        return [StoredCase(r[0], r[1], r[2], Origin(r[3], r[4]), bool(r[5]), CaseState(r[6]), r[7], r[8]) for r in rows]

    def states(self, problem: str) -> list[tuple[int, CaseState]]:
        """Return id and state of the cases of `problem`, without their data."""
        return [
            (row[0], CaseState(row[1]))
            for row in self._db.rows("SELECT id, state FROM cases WHERE problem = ?", problem)
        ]

    def origins(self, problem: str, number: int, *states: CaseState) -> list[tuple[str, CaseState]]:
        """Return generator and state of the made-up inputs of round `number` that are in one of `states`."""
        rows = self._db.rows(
            "SELECT generator, state FROM cases WHERE problem = ? AND round = ? AND NOT sample"
            f" AND state IN ({', '.join('?' * len(states))})",
            problem, number, *(state.value for state in states),
        )  # fmt: skip
        return [(generator, CaseState(state)) for generator, state in rows]

    def set_case(
        self, problem: str, case: int, state: CaseState, *, note: str = "", answer: bytes | None = None
    ) -> None:
        """Record the state of a case, soon. If `answer` is None, the stored answer stays."""
        self._db.later(
            "UPDATE cases SET state = ?, note = ?, answer = COALESCE(?, answer) WHERE problem = ? AND id = ?",
            state.value, note, answer, problem, case,
        )  # fmt: skip

    def reopen(self, problem: str) -> None:
        """Reset what the infrastructure prevented, so that it is tried again."""
        with self._db.transaction() as db:
            lost = db.execute(
                "UPDATE cases SET state = ? WHERE problem = ? AND state = ?",
                (CaseState.PROPOSED.value, problem, CaseState.UNJUDGED.value),
            ).rowcount
            db.execute("DELETE FROM verdicts WHERE problem = ? AND verdict = ?", (problem, Verdict.UNJUDGED.value))
            if lost:  # a case that counts again may make others superfluous, or the other way round
                db.execute(
                    "UPDATE cases SET state = ? WHERE problem = ? AND state = ?",
                    (CaseState.PROPOSED.value, problem, CaseState.SPARE.value),
                )

    def answer_again(self, problem: str, case: int) -> None:
        """Reset a case whose expected output was wrong: delete the output, and the verdicts on the case."""
        with self._db.transaction() as db:
            db.execute("DELETE FROM verdicts WHERE problem = ? AND case_id = ?", (problem, case))
            db.execute(
                "UPDATE cases SET state = ?, note = '', answer = NULL WHERE problem = ? AND id = ?",
                (CaseState.VALID.value, problem, case),
            )

    def set_verdict(self, problem: str, verdict: StoredVerdict) -> None:
        """Store a verdict, soon. It replaces an earlier one."""
        self._db.later(
            "INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?, ?, ?, ?)",
            problem, verdict.submission, verdict.case, verdict.verdict.value, verdict.time_s, verdict.note,
        )  # fmt: skip

    def verdicts(self, problem: str, cases: Iterable[StoredCase] | None = None) -> dict[tuple[str, int], StoredVerdict]:
        """Return the verdicts so far, by submission and case: all, or those on `cases`."""
        sql, values = "SELECT submission, case_id, verdict, time_s, note FROM verdicts WHERE problem = ?", [problem]
        if cases is not None:
            sql += " AND case_id IN (SELECT value FROM json_each(?))"
            values.append(json.dumps([case.id for case in cases]))
        rows = self._db.rows(sql, *values)
        return {(r[0], r[1]): StoredVerdict(r[0], r[1], _VERDICTS[r[2]], r[3], r[4]) for r in rows}

    def forget_verdicts(self, problem: str, of: Collection[tuple[str, int]]) -> None:
        """Delete verdicts, each of a submission on a case."""
        for submission, case in of:
            self._db.later(
                "DELETE FROM verdicts WHERE problem = ? AND submission = ? AND case_id = ?", problem, submission, case
            )

    def adopt_checker(self, problem: str, checker: Program, number: int) -> None:
        """Use another checker for a problem from now on: delete its verdicts, and reset its cases."""
        judged = (CaseState.READY, CaseState.CONTESTED, CaseState.UNJUDGED)
        with self._db.transaction() as db:
            self.judges.keep(problem, "checker", checker, number)
            db.execute("DELETE FROM verdicts WHERE problem = ?", (problem,))
            db.execute("DELETE FROM first_kills WHERE problem = ?", (problem,))
            db.execute(
                f"UPDATE cases SET state = ? WHERE problem = ? AND state IN ({', '.join('?' * len(judged))})",
                (CaseState.VALID.value, problem, *(state.value for state in judged)),
            )

    def leave_out(self, problem: str, name: str, why: str) -> None:
        """Record that a submission is not used."""
        self._db.do("INSERT OR REPLACE INTO left_out VALUES (?, ?, ?)", problem, name, why)
        self._left_out.forget(problem)

    def left_out(self, problem: str) -> dict[str, str]:
        """Return what is not used, and why. The caller must not change it."""
        return self._left_out.of(problem)

    def meet(self, problem: Problem, number: int, fingerprint: str) -> SeenBefore:
        """Record a problem. Return how it was met before. The rows of a changed problem are deleted."""
        met = self.problems.meet(problem, number, fingerprint)
        if met is SeenBefore.CHANGED:
            self.problem_changed(problem.id)
        return met

    def problem_changed(self, problem: str) -> None:
        """Clear the caches of a problem whose rows have changed."""
        self._left_out.forget(problem)
        self.judges.forget(problem)

    def _read_left_out(self, problem: str) -> dict[str, str]:
        return dict(self._db.rows("SELECT name, why FROM left_out WHERE problem = ? ORDER BY name", problem))
