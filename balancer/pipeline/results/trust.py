"""Endpoint trust table: unverified results, endpoints that lied, and the problems they had a part in; and rechecks.

A problem that a liar had a part in is deleted when it is no longer at work, or when the store is next opened. So no
withdrawn verdict outlives the process.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from balancer.pipeline.results.database import Database

__all__ = ["LATER", "SCHEMA", "Liar", "Rechecks", "TrustStore", "Verified"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS believed (endpoint TEXT, problem TEXT, PRIMARY KEY (endpoint, problem));
CREATE TABLE IF NOT EXISTS liars (
    endpoint TEXT, why TEXT NOT NULL, problems INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS withdrawn (problem TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS made_again (what TEXT PRIMARY KEY, times INTEGER NOT NULL);
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

_MOST = 100_000  # pairs of endpoint and problem in memory


@dataclass(frozen=True, slots=True)
class Liar:
    """An endpoint that was taken out of service, why, and how many problems were judged again because of it."""

    endpoint: str
    why: str
    problems: int


@dataclass(frozen=True, slots=True)
class Verified:
    """Results of verification, over all sessions.

    Attributes:
        runs: leases that were not for verification.
        again: runs made to verify others.
        differed: how often an endpoint was outvoted.
        unsettled: how often endpoints differed and none could be believed.
        liars: endpoints that were taken out of service.
    """

    runs: int = 0
    again: int = 0
    differed: int = 0
    unsettled: int = 0
    liars: tuple[Liar, ...] = ()

    @property
    def share(self) -> float:
        """Repeated runs as a share of all other runs, 0 to 1 (or more, with `share = 1`)."""
        return self.again / self.runs if self.runs else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "share": self.share, "liars": [asdict(each) for each in self.liars]}


class TrustStore:
    """What is known about lying endpoints, over all sessions of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: set[tuple[str, str]] = set()

    def believed(self, endpoint: str, problem: str) -> None:
        """Record that an unverified result of `endpoint` counts for `problem`."""
        if (endpoint, problem) in self._known:
            return
        with self._db.using():
            self._db.do("INSERT OR IGNORE INTO believed VALUES (?, ?)", endpoint, problem)
            if len(self._known) >= _MOST:
                self._known.clear()  # recording a pair twice does no harm
            self._known.add((endpoint, problem))

    def trusted(self, endpoint: str) -> None:
        """Delete the unverified results of the endpoint: all of them are believed now."""
        with self._db.using():
            self._db.do("DELETE FROM believed WHERE endpoint = ?", endpoint)
            self._known = {each for each in self._known if each[0] != endpoint}

    def eject(self, endpoint: str, why: str) -> int:
        """Record that `endpoint` lied, and withdraw the problems that it had a part in. Return their number."""
        with self._db.transaction() as db:
            db.execute("INSERT OR IGNORE INTO withdrawn SELECT problem FROM believed WHERE endpoint = ?", (endpoint,))
            (problems,) = db.execute("SELECT COUNT(*) FROM believed WHERE endpoint = ?", (endpoint,)).fetchone()
            db.execute("INSERT INTO liars VALUES (?, ?, ?)", (endpoint, why, problems))
        return int(problems)

    def withdraw_from_liars(self, problem: str) -> None:
        """Withdraw `problem` if a known liar had a part in it. It may have been judged elsewhere meanwhile."""
        self._db.do(
            "INSERT OR IGNORE INTO withdrawn SELECT problem FROM believed"
            " WHERE problem = ? AND endpoint IN (SELECT endpoint FROM liars)",
            problem,
        )

    def withdrawn(self) -> set[str]:
        """Return the withdrawn problems."""
        return {problem for (problem,) in self._db.rows("SELECT problem FROM withdrawn")}

    def forget(self, problems: Iterable[str]) -> None:
        """Clear the cache for these problems, whose rows were deleted."""
        gone = set(problems)
        with self._db.using():
            self._known = {each for each in self._known if each[1] not in gone}

    def made_again(self, what: str) -> None:
        """Count, soon, a run that was made to verify another one ("again"), or its result."""
        self._db.later(
            "INSERT INTO made_again VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET times = times + 1", what
        )  # fmt: skip

    def found(self) -> Verified:
        """Return the results of verification."""
        counts = dict(self._db.rows("SELECT what, times FROM made_again"))
        leases = (self._db.row("SELECT COUNT(*) FROM spans") or (0,))[0]
        again = counts.get("again", 0)
        liars = self._db.rows("SELECT endpoint, why, problems FROM liars ORDER BY rowid")
        return Verified(
            max(0, leases - again), again, counts.get("differed", 0), counts.get("unsettled", 0),
            tuple(Liar(*each) for each in liars),
        )  # fmt: skip


class Rechecks:
    """Rechecks of suspect ends: why the first end was doubted, and what the second run showed. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, problem: str, subject: str, case: int, suspicion: str, said: str) -> None:
        """Record a recheck, soon. It replaces an earlier one of the same run."""
        self._db.later("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?)", problem, subject, case, suspicion, said)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return the number of rechecks by (why, result; `LATER` if a later run had to decide)."""
        rows = self._db.rows(_COUNTS)
        return {(suspicion, said): count for suspicion, said, count in rows}
