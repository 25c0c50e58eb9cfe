"""Result of a run, as plain data: the only source of reports. Pure.

Defines the bound of a makespan and the rates.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from balancer.core.metrics import PoolStats
from balancer.judging.pending import RunStage, Span
from balancer.pipeline.results.problem_result import (
    NOT_ALL_RUN,
    CaseResult,
    CaseState,
    Disagreement,
    ProblemResult,
    SubmissionResult,
)
from balancer.pipeline.results.tally import GeneratorYield, RoundScores, Totals, totals_of
from balancer.problem import Origin

__all__ = [
    "ANSWERS",
    "NOT_ALL_RUN",
    "CaseResult",
    "CaseState",
    "ContestedReading",
    "Disagreement",
    "EndpointTotals",
    "GeneratorYield",
    "LeaseTotals",
    "LeftOutRow",
    "Liar",
    "NearCase",
    "ProblemResult",
    "RunResult",
    "RunStage",
    "Span",
    "SubmissionResult",
    "SurvivorReading",
    "Verified",
    "rate",
]

ANSWERS = ("success", "overload")  # outcomes of a call that an endpoint answered


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


@dataclass(frozen=True, slots=True)
class NearCase:
    """A case that a survivor passes and that rejects other submissions, for the reader of the report.

    Attributes:
        id, origin: the case.
        input, answer: their beginnings, as text.
        rejects: names of the wrong submissions that it rejects.
    """

    id: int
    origin: Origin
    input: str
    answer: str
    rejects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SurvivorReading:
    """A survivor with its source, and what came closest to it.

    Attributes:
        nearest: the cases that reject most other submissions.
        passed: the cases it is judged on; `replaced`: earlier ones, which later rounds replaced.
        slowest_s, limit_s: its slowest run, and what a run may take.
        largest: bytes of the largest input.
        shortfall: a line if no valid input has half of its largest size, else "".
        inputs: what an input is, and its case; they are files beside the report.
    """

    problem: str
    submission: str
    language: str
    source: str
    nearest: tuple[NearCase, ...]
    passed: int = 0
    replaced: int = 0
    slowest_s: float = 0.0
    limit_s: float = 0.0
    largest: int = 0
    shortfall: str = ""
    inputs: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class ContestedReading:
    """A contested case, and what each submission that ran on it says of its expected output."""

    problem: str
    case: NearCase
    says: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LeftOutRow:
    """A row of the data set that could not be used, and why. Rows are counted from 0."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run.

    Attributes:
        problems: in their own order; if there are many, those with the most survivors, in that order.
        pool: the pool's counters at the end of the last session that ran programs.
        slots: leases possible at once in that session, with host caps.
        makespan_s: of that session, from the first lease to the last.
        strategy: the strategy's name.
        complete: False if it was stopped before everything was judged, or judged nothing at all.
        sessions: number of sessions (1: never resumed).
        stopped_by: number of the signal that stopped this session; 0: none.
        all_problems: totals of all problems; None: those of `problems`.
        work: totals of all leases.
        scores: rates with own data alone, then after each round.
        rows_left_out: number of rows that could not be used; `left_out_rows`: the first of them.
        readings: survivors to read; some, if there are many.
        contested: cases to read; some, if there are many.
        packages_left_out: packages that cannot be judged, name -> why.
        verified: the runs that were repeated on other endpoints, and the endpoints that lied.
        source: where the problems are: "kind", "problems" and, of rows, "split".
    """

    problems: tuple[ProblemResult, ...]
    pool: PoolStats
    slots: int
    makespan_s: float
    strategy: str
    complete: bool = True
    sessions: int = 1
    stopped_by: int = 0
    all_problems: Totals | None = None
    work: LeaseTotals = field(default_factory=LeaseTotals)
    scores: tuple[RoundScores, ...] = ()
    rows_left_out: int = 0
    left_out_rows: tuple[LeftOutRow, ...] = ()
    readings: tuple[SurvivorReading, ...] = ()
    contested: tuple[ContestedReading, ...] = ()
    packages_left_out: Mapping[str, str] = field(default_factory=dict)
    verified: Verified = field(default_factory=Verified)
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def totals(self) -> Totals:
        """Totals of all problems."""
        return self.all_problems or totals_of(problem.tally() for problem in self.problems)

    @property
    def brought(self) -> tuple[GeneratorYield, ...]:
        """The yield of each generator, the best first."""
        found = self.totals.brought.values()
        return tuple(sorted(found, key=lambda each: (-each.first_kills, -each.kills, each.generator)))

    @property
    def reasons(self) -> dict[str, int]:
        """Why something is unjudged -> how often, the most frequent first."""
        return dict(self.totals.reasons.most_common())

    @property
    def bound_s(self) -> float:
        """A time in seconds that no schedule can beat: max(total work / slots, longest chain)."""
        work = self.work
        return max(work.busy_s / self.slots if self.slots else 0.0, work.chain_s)

    @property
    def utilisation(self) -> float:
        """Share of the slot-seconds of the makespan that were leased, 0..1."""
        offered_s = self.slots * self.makespan_s
        return self.work.busy_s / offered_s if offered_s else 0.0

    def summary(self) -> dict[str, Any]:
        """Return the content of `summary.json`. Rates are 0..1, over what was judged; see `rate`."""
        totals, counts = self.totals, self.totals.counts
        tallies = [problem.tally() for problem in self.problems]
        return {
            "problems": totals.problems,
            "cases": counts["cases"],
            "judged": counts["judged"],
            "unjudged": counts["unjudged"],
            "makespan_s": self.makespan_s,
            "bound_s": self.bound_s,
            "utilisation": self.utilisation,
            "accepted_kept": rate(counts["accepted_kept"], counts["accepted_judged"], counts["accepted"]),
            "wrong_killed": rate(counts["wrong_killed"], counts["wrong_judged"], counts["wrong"]),
            "wrong_killed_before": rate(counts["wrong_killed_before"], counts["wrong_judged"], counts["wrong"]),
            "survivors": [f"{t.id}/{name}" for t in tallies for name in t.survivors],
            "not_judged": [f"{t.id}/{name}" for t in tallies for name in t.not_judged],
            "strategy": self.strategy,
            "complete": self.complete,
            "sessions": self.sessions,
            "counts": dict(counts),
            "rounds": [each.to_dict() for each in self.scores],
            "verified": self.verified.to_dict(),
            "rows_left_out": {
                "count": self.rows_left_out,
                "first": [{"row": row.number, "why": row.why} for row in self.left_out_rows],
            },
            "generators": [each.to_dict() for each in self.brought],
            "packages_left_out": dict(self.packages_left_out),
            "languages_missing": dict(totals.missing),
            "detailed": len(self.problems),
            "per_problem": [tally.summary() for tally in tallies],
            "pool": self.pool.to_dict(),
        }


def rate(part: int, judged: int, whole: int) -> float | None:
    """Return part / judged; None if none of the `whole` was judged, and 1 if `whole` is 0."""
    if not whole:
        return 1.0
    return part / judged if judged else None
