"""Endpoint trust: whose word alone counts, which endpoints lied, and which problems they had a part in.

Decides what is durable of it: a problem that a liar had a part in is forgotten as soon as nobody works on it, or the
next time the store is opened, so no verdict that is withdrawn outlives the process. Second runs after time limits are
kept beside it.
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

_MOST = 100_000  # pairs of an endpoint and a problem that are in memory


@dataclass(frozen=True, slots=True)
class Liar:
    """An endpoint that was taken out of service, why, and how many problems were judged again for it."""

    endpoint: str
    why: str
    problems: int


@dataclass(frozen=True, slots=True)
class Verified:
    """What verifying came to, over all sessions.

    Attributes:
        runs: leases that were not for it.
        again: runs that were made to verify others.
        differed: how often an endpoint was outvoted.
        unsettled: how often endpoints differed and nobody could tell who is right.
        liars: endpoints that were taken out of service.
    """

    runs: int = 0
    again: int = 0
    differed: int = 0
    unsettled: int = 0
    liars: tuple[Liar, ...] = ()

    @property
    def share(self) -> float:
        """The part of the runs that were made again, 0 to 1 (or more, with `share = 1`)."""
        return self.again / self.runs if self.runs else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON has."""
        return {**asdict(self), "share": self.share, "liars": [asdict(each) for each in self.liars]}


class TrustStore:
    """What is known of the endpoints' honesty, over all sessions of one run. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._known: set[tuple[str, str]] = set()

    def believed(self, endpoint: str, problem: str) -> None:
        """Remember that something `endpoint` said of `problem` counts, and nobody has said the same."""
        with self._db.using():
            if (endpoint, problem) in self._known:
                return
            self._db.do("INSERT OR IGNORE INTO believed VALUES (?, ?)", endpoint, problem)
            if len(self._known) >= _MOST:
                self._known.clear()  # to be told twice does no harm
            self._known.add((endpoint, problem))

    def trusted(self, endpoint: str) -> None:
        """Forget it: all that the endpoint has said is believed."""
        with self._db.using():
            self._db.do("DELETE FROM believed WHERE endpoint = ?", endpoint)
            self._known = {each for each in self._known if each[0] != endpoint}

    def eject(self, endpoint: str, why: str) -> int:
        """Remember that `endpoint` lied, and withdraw what it had a part in; return how many problems that are."""
        with self._db.transaction() as db:
            db.execute("INSERT OR IGNORE INTO withdrawn SELECT problem FROM believed WHERE endpoint = ?", (endpoint,))
            (problems,) = db.execute("SELECT COUNT(*) FROM believed WHERE endpoint = ?", (endpoint,)).fetchone()
            db.execute("INSERT INTO liars VALUES (?, ?, ?)", (endpoint, why, problems))
        return int(problems)

    def withdraw_from_liars(self, problem: str) -> None:
        """Withdraw `problem` if one that is known to lie had a part in it: it was judged meanwhile, elsewhere."""
        self._db.do(
            "INSERT OR IGNORE INTO withdrawn SELECT problem FROM believed"
            " WHERE problem = ? AND endpoint IN (SELECT endpoint FROM liars)",
            problem,
        )

    def withdrawn(self) -> set[str]:
        """Return the problems of which nothing counts any more."""
        return {problem for (problem,) in self._db.rows("SELECT problem FROM withdrawn")}

    def forget(self, problems: Iterable[str]) -> None:
        """Say that what is stored of these was taken away."""
        gone = set(problems)
        with self._db.using():
            self._known = {each for each in self._known if each[1] not in gone}

    def made_again(self, what: str) -> None:
        """Count a run that was made to verify another one ("again"), or what came of it."""
        self._db.do(
            "INSERT INTO made_again VALUES (?, 1) ON CONFLICT (what) DO UPDATE SET times = times + 1", what
        )  # fmt: skip

    def found(self) -> Verified:
        """Return what verifying came to."""
        counts = dict(self._db.rows("SELECT what, times FROM made_again"))
        leases = (self._db.row("SELECT COUNT(*) FROM spans") or (0,))[0]
        again = counts.get("again", 0)
        liars = self._db.rows("SELECT endpoint, why, problems FROM liars ORDER BY rowid")
        return Verified(
            max(0, leases - again), again, counts.get("differed", 0), counts.get("unsettled", 0),
            tuple(Liar(*each) for each in liars),
        )  # fmt: skip


class Rechecks:
    """Second runs after time limits: why a first one was not believed, and what the second one said. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, problem: str, subject: str, case: int, suspicion: str, said: str) -> None:
        """Record a look; a later one at the same run takes its place."""
        self._db.do("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?)", problem, subject, case, suspicion, said)

    def counts(self) -> dict[tuple[str, str], int]:
        """Return how many looks there were, by (why, what was said; `LATER` if a later run had to say it)."""
        rows = self._db.rows(_COUNTS)
        return {(suspicion, said): count for suspicion, said, count in rows}
