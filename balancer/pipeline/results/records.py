"""Records of a run that belong to no single problem: leases, answers of a model, endpoints that lied, and the trace.

Decides which leases are drawn in the report, and which problems a liar had a part in. Such a problem is deleted when it
is no longer at work, or when the store is next opened. So no withdrawn verdict outlives the process.
"""

import errno
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from balancer.errors import BalancerError
from balancer.judging.pending import Span
from balancer.observing.traces.tables import insert_rows
from balancer.pipeline.results.log import EventLog

__all__ = [
    "ANSWERS",
    "Answers",
    "EndpointTotals",
    "LeaseTotals",
    "Leases",
    "Liar",
    "ModelUsage",
    "StoredAnswer",
    "TraceTables",
    "TrustStore",
    "Verified",
]

ANSWERS = ("success", "overload")  # outcomes of a call that an endpoint answered
_MOST_KNOWN = 100_000  # pairs of endpoint and problem in memory

# The slowest run of each stage of a case, summed over the stages.
_CHAIN = """
SELECT MAX(chain_s) FROM (
    SELECT SUM(slowest_s) AS chain_s FROM (
        SELECT problem, case_id, MAX(took_s) AS slowest_s FROM (
            SELECT problem, case_id, stage, subject, SUM(ended_s - started_s) AS took_s FROM spans
            WHERE session = ? GROUP BY problem, case_id, stage, subject)
        GROUP BY problem, case_id, stage)
    GROUP BY problem, case_id)
"""
_BELIEVED = """
SELECT DISTINCT problem FROM events AS believed WHERE kind = 'believed' AND json_extract(payload, '$[0]') = ?
    AND seq > COALESCE((SELECT MAX(seq) FROM events WHERE kind = 'trusted' AND problem IN ('', believed.problem)
        AND json_extract(payload, '$[0]') = json_extract(believed.payload, '$[0]')), 0)
"""


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """Use of a model: answers, tokens of questions and of answers, and seconds of waiting."""

    questions: int = 0
    asked: int = 0
    answered: int = 0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        return self.asked + self.answered


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """A stored answer of a model: its text, the model, the version of the prompts, and the use."""

    model: str
    prompts: str
    text: str | None
    refusal: str | None
    cut: bool
    used: ModelUsage


@dataclass(frozen=True, slots=True)
class EndpointTotals:
    """The leases of one endpoint: number, seconds, and number that it answered."""

    leases: int = 0
    busy_s: float = 0.0
    answers: int = 0


@dataclass(frozen=True, slots=True)
class LeaseTotals:
    """Totals of a session's leases.

    Attributes:
        endpoints: name -> its part.
        started_s, ended_s: from the first lease to the last.
        chain_s: the longest time that one case needs: the sum over its stages, each as long as its slowest submission.
    """

    endpoints: Mapping[str, EndpointTotals] = field(default_factory=dict)
    started_s: float = 0.0
    ended_s: float = 0.0
    chain_s: float = 0.0

    @property
    def leases(self) -> int:
        """Number of leases."""
        return sum(each.leases for each in self.endpoints.values())

    @property
    def busy_s(self) -> float:
        """Seconds of all leases together."""
        return sum(each.busy_s for each in self.endpoints.values())

    def at(self, endpoint: str) -> EndpointTotals:
        """Return the part of one endpoint."""
        return self.endpoints.get(endpoint, EndpointTotals())


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


class Leases:
    """The leases of all sessions of one run, summed in the database because there may be millions. Thread-safe."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def add(self, session: str, span: Span, began_s: float = 0.0) -> None:
        """Record one lease, soon. `began_s`: when its session began, by the clock of the span."""
        self._log.add(
            span.problem, "leased", session, span.endpoint, span.stage, span.subject, span.case,
            span.started_s - began_s, span.ended_s - began_s, span.outcome, soon=True,
        )  # fmt: skip

    def any_of(self, session: str) -> bool:
        """Return whether `session` has run anything."""
        return self._log.row("SELECT 1 FROM spans WHERE session = ? LIMIT 1", session) is not None

    def work(self, session: str) -> LeaseTotals:
        rows = self._log.rows(
            "SELECT endpoint, COUNT(*), SUM(ended_s - started_s), SUM(outcome IN (?, ?)), MIN(started_s), MAX(ended_s)"
            " FROM spans WHERE session = ? GROUP BY endpoint ORDER BY endpoint",
            *ANSWERS, session,
        )  # fmt: skip
        chain = self._log.row(_CHAIN, session)
        return LeaseTotals(
            {row[0]: EndpointTotals(*row[1:4]) for row in rows},
            min((row[4] for row in rows), default=0.0),
            max((row[5] for row in rows), default=0.0),
            (chain[0] if chain else None) or 0.0,
        )

    def seconds_by_case(self, problem: str) -> dict[int, float]:
        """Return the seconds of all leases for each case of `problem`, over all sessions."""
        sql = "SELECT case_id, SUM(ended_s - started_s) FROM spans WHERE problem = ? GROUP BY case_id"
        return dict(self._log.rows(sql, problem))


class Answers:
    """The answers of a model, so that a run that dies does not ask, and pay, twice. Thread-safe."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def recall(self, key: str) -> StoredAnswer | None:
        """Return the answer stored under `key`; None if there is none."""
        sql = "SELECT payload FROM events WHERE kind = 'answer' AND json_extract(payload, '$[0]') = ?"
        row = self._log.row(sql, key)
        if row is None:
            return None
        found = json.loads(row[0])
        model, prompts, text, refusal, cut = found[6:11]
        return StoredAnswer(model, prompts, text, refusal, cut, ModelUsage(1, *found[3:6]))

    def remember(self, key: str, row: str, round: int, attempt: int, answer: StoredAnswer) -> None:
        """Store an answer. It is durable when this returns."""
        used = answer.used
        self._log.add(
            "", "answer", key, row, round, used.asked, used.answered, used.seconds,
            answer.model, answer.prompts, answer.text, answer.refusal, answer.cut, attempt,
        )  # fmt: skip

    def used(self) -> dict[str, ModelUsage]:
        """Return the use so far, by problem."""
        return dict(self._used_by(1))

    def spent(self) -> dict[int, ModelUsage]:
        """Return the use of each round, for all problems together."""
        return dict(self._used_by(2))

    def _used_by(self, place: int) -> Iterator[tuple[Any, ModelUsage]]:
        sums = ", ".join(f"SUM(json_extract(payload, '$[{each}]'))" for each in (3, 4, 5))
        by = f"json_extract(payload, '$[{place}]')"
        for key, *used in self._log.rows(
            f"SELECT {by}, COUNT(*), {sums} FROM events WHERE kind = 'answer' GROUP BY {by}"
        ):
            yield key, ModelUsage(*used)


class TrustStore:
    """What is known about lying endpoints, over all sessions of one run. Thread-safe."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._known: set[tuple[str, str]] = set()

    def believed(self, endpoint: str, problem: str) -> None:
        """Record that an unverified result of `endpoint` counts for `problem`."""
        if (endpoint, problem) not in self._known:
            self._log.add(problem, "believed", endpoint)
            if len(self._known) >= _MOST_KNOWN:
                self._known = set()  # recording a pair twice does no harm
            self._known.add((endpoint, problem))

    def trusted(self, endpoint: str) -> None:
        """Believe all unverified results of the endpoint so far."""
        self._log.add("", "trusted", endpoint)
        self._known = {each for each in self._known.copy() if each[0] != endpoint}

    def eject(self, endpoint: str, why: str) -> int:
        """Record that `endpoint` lied, and withdraw the problems that it had a part in. Return their number."""
        problems = [problem for (problem,) in self._log.rows(_BELIEVED, endpoint)]
        for problem in problems:
            self._log.add(problem, "withdrawn")
        self._log.add("", "ejected", endpoint, why, len(problems))
        return len(problems)

    def withdraw_from_liars(self, problem: str) -> None:
        """Withdraw `problem` if a known liar had a part in it. It may have been judged elsewhere meanwhile."""
        for liar in self.liars():
            if (problem,) in self._log.rows(f"{_BELIEVED} AND problem = ?", liar.endpoint, problem):
                self._log.add(problem, "withdrawn")

    def withdrawn(self) -> set[str]:
        """Return the withdrawn problems."""
        return {
            problem for (problem,) in self._log.rows("SELECT DISTINCT problem FROM events WHERE kind = 'withdrawn'")
        }

    def forget(self, problems: Iterable[str]) -> None:
        """Clear the cache for these problems, whose events were deleted."""
        gone = set(problems)
        self._known = {each for each in self._known.copy() if each[1] not in gone}

    def made_again(self, what: str) -> None:
        """Count, soon, a run that was made to verify another one ("again"), or its result."""
        self._log.add("", "made_again", what, soon=True)

    def liars(self) -> tuple[Liar, ...]:
        """Return the endpoints that lied."""
        return tuple(Liar(*payload) for _, payload in self._log.of("", "ejected"))

    def found(self) -> Verified:
        """Return the results of verification."""
        what = "json_extract(payload, '$[0]')"
        counts = dict(self._log.rows(f"SELECT {what}, COUNT(*) FROM events WHERE kind = 'made_again' GROUP BY {what}"))
        leases = (self._log.row("SELECT COUNT(*) FROM events WHERE kind = 'leased'") or (0,))[0]
        again = counts.get("again", 0)
        return Verified(
            max(0, leases - again), again, counts.get("differed", 0), counts.get("unsettled", 0), self.liars()
        )


class TraceTables:
    """The sink of a run's trace: its tables in the run's database."""

    def __init__(self, log: EventLog) -> None:
        self._log = log

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Insert all rows, or none. Raises OSError if the database fails, e.g. because the disk is full."""
        try:
            with self._log.transaction() as db:
                insert_rows(db, rows)
        except BalancerError as error:  # an error costs the run only these rows
            raise OSError(errno.EIO, str(error)) from error

    def close(self) -> None:
        """Do nothing."""
