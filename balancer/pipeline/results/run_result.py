"""Result of a run, as plain data: the one thing that reports are made from.

A makespan gets its bound here, and a rate its meaning. Pure: a record knows no file, database or thread, and not how a
report looks.

Lease totals of a session: what its leases add up to, and the longest chain of runs among them. Decides what a chain of
runs is. Pure: a lease here knows no pool, and no file.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from balancer.core.metrics import PoolStats
from balancer.judging.pending import RunStage, Span
from balancer.pipeline.results.predictions import EndPrediction
from balancer.pipeline.results.problem_result import (
    CaseResult,
    CaseState,
    Disagreement,
    ProblemResult,
    SubmissionResult,
)
from balancer.pipeline.results.problem_times import FirstKill, GeneratorYield
from balancer.pipeline.results.scores import RoundScores
from balancer.pipeline.results.tally import Totals, totals_of
from balancer.pipeline.results.trust import Liar, Verified
from balancer.problem import Origin

__all__ = [
    "ANSWERS",
    "CaseResult",
    "CaseState",
    "Disagreement",
    "EndpointTotals",
    "FirstKill",
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
    "lease_totals_of",
    "longest_chain_s",
    "rate",
]

ANSWERS = ("success", "overload")  # outcomes of a call that an endpoint answered
_MOST_KILLS = 10_000  # in the summary; the figures count all
_COUNTED = (
    "accepted", "accepted_judged", "accepted_kept", "wrong", "wrong_judged", "wrong_killed", "wrong_killed_before",
    "survivors", "not_judged", "cases_kept", "contested",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EndpointTotals:
    """The leases of one endpoint: how many, for how long in all, and how many of them it answered."""

    leases: int = 0
    busy_s: float = 0.0
    answers: int = 0


@dataclass(frozen=True, slots=True)
class LeaseTotals:
    """What the leases of a session add up to.

    Attributes:
        endpoints: name -> its part.
        started_s, ended_s: from the first lease to the last.
        chain_s: see `longest_chain_s`.
    """

    endpoints: Mapping[str, EndpointTotals]
    started_s: float = 0.0
    ended_s: float = 0.0
    chain_s: float = 0.0

    @property
    def leases(self) -> int:
        """How many there were."""
        return sum(each.leases for each in self.endpoints.values())

    @property
    def busy_s(self) -> float:
        """How long they were in all."""
        return sum(each.busy_s for each in self.endpoints.values())

    def at(self, endpoint: str) -> EndpointTotals:
        """Return the part of one endpoint."""
        return self.endpoints.get(endpoint, EndpointTotals())


def lease_totals_of(spans: Iterable[Span]) -> LeaseTotals:
    """Return what `spans` add up to."""
    spans = list(spans)
    found: dict[str, EndpointTotals] = {}
    for span in spans:
        before = found.get(span.endpoint, EndpointTotals())
        found[span.endpoint] = EndpointTotals(
            before.leases + 1,
            before.busy_s + span.ended_s - span.started_s,
            before.answers + (span.outcome in ANSWERS),
        )
    return LeaseTotals(
        found,
        min((span.started_s for span in spans), default=0.0),
        max((span.ended_s for span in spans), default=0.0),
        longest_chain_s(spans),
    )


def longest_chain_s(spans: Iterable[Span]) -> float:
    """Return the longest time that one case needs: its stages one after the other, each as long as its slowest run."""
    runs: dict[tuple[str, int], dict[RunStage, dict[str, float]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(float))
    )
    for span in spans:
        runs[span.problem, span.case][span.stage][span.subject] += span.ended_s - span.started_s
    return max(
        (sum(max(by_subject.values()) for by_subject in stages.values()) for stages in runs.values()), default=0.0
    )


@dataclass(frozen=True, slots=True)
class NearCase:
    """A case that a surviving program passes and that rejects others: what a person reads beside the program.

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
    """A surviving program, and the cases that came nearest: those that reject most of the others."""

    problem: str
    submission: str
    language: str
    source: str
    nearest: tuple[NearCase, ...]


@dataclass(frozen=True, slots=True)
class LeftOutRow:
    """A row of the data set that could not be used, and why. Rows are counted from 0."""

    number: int
    why: str


@dataclass(frozen=True, slots=True)
class RunResult:
    """A whole run.

    Attributes:
        problems: in their own order; of many, those with the most survivors, in that order.
        pool: the pool's counters at the end of the last session that ran programs.
        slots: leases the pool could have out at once in that session, host caps included.
        makespan_s: how long that session ran programs, from the first lease to the last.
        spans: its leases; of many, one in `one_in`.
        strategy: the strategy's name.
        complete: False if it was stopped before everything was judged, or judged nothing at all.
        sessions: how many sessions it took (1: never resumed).
        stopped_by: number of the signal that stopped this session; 0: none did.
        one_in: 1: `spans` has all leases.
        all_problems: what all problems come to; None: those of `problems`.
        all_work: what all leases come to; None: those of `spans`.
        scores: the rates with own data alone, and after each round.
        rechecks: (why a time limit was not believed, what a second look said) -> how often.
        rows_left_out: how many rows could not be used; `left_out_rows`: the first of them.
        readings: surviving programs to be read; of many, some.
        first_kills: which case killed each wrong submission first, and when; by time.
        brought: what each generator brought.
        timed: whether problems have a budget of time.
        packages_left_out: packages that cannot be judged, name -> why.
        verified: the runs that were made again on other endpoints, and the endpoints that lied.
        predictions: what all sessions predicted of their own ends.
    """

    problems: tuple[ProblemResult, ...]
    pool: PoolStats
    slots: int
    makespan_s: float
    spans: tuple[Span, ...]
    strategy: str
    complete: bool = True
    sessions: int = 1
    stopped_by: int = 0
    one_in: int = 1
    all_problems: Totals | None = None
    all_work: LeaseTotals | None = None
    scores: tuple[RoundScores, ...] = ()
    rechecks: Mapping[tuple[str, str], int] = field(default_factory=dict)
    rows_left_out: int = 0
    left_out_rows: tuple[LeftOutRow, ...] = ()
    readings: tuple[SurvivorReading, ...] = ()
    first_kills: tuple[FirstKill, ...] = ()
    brought: tuple[GeneratorYield, ...] = ()
    timed: bool = False
    packages_left_out: Mapping[str, str] = field(default_factory=dict)
    verified: Verified = field(default_factory=Verified)
    predictions: tuple[EndPrediction, ...] = ()

    @property
    def totals(self) -> Totals:
        """What all problems come to together."""
        return self.all_problems or totals_of(problem.tally() for problem in self.problems)

    @property
    def work(self) -> LeaseTotals:
        """What all leases come to together."""
        return self.all_work or lease_totals_of(self.spans)

    @property
    def judged(self) -> int:
        """Verdicts on ready cases that say something."""
        return self.totals.judged

    @property
    def reasons(self) -> dict[str, int]:
        """Why something is unjudged, and how often, the most frequent first."""
        return dict(self.totals.reasons.most_common())

    @property
    def bound_s(self) -> float:
        """No schedule could have been shorter: max(total work / slots, longest chain)."""
        work = self.work
        return max(work.busy_s / self.slots if self.slots else 0.0, work.chain_s)

    @property
    def utilisation(self) -> float:
        """Part of the slot-seconds of the makespan that were leased, 0..1."""
        offered_s = self.slots * self.makespan_s
        return self.work.busy_s / offered_s if offered_s else 0.0

    def summary(self) -> dict[str, Any]:
        """Return what `summary.json` holds. Rates are 0..1, over what was judged; see `rate`."""
        totals = self.totals
        tallies = [problem.tally() for problem in self.problems]
        return {
            "problems": totals.problems,
            "cases": totals.cases,
            "judged": totals.judged,
            "unjudged": totals.unjudged,
            "makespan_s": self.makespan_s,
            "bound_s": self.bound_s,
            "utilisation": self.utilisation,
            "accepted_kept": rate(totals.accepted_kept, totals.accepted_judged, totals.accepted),
            "wrong_killed": rate(totals.wrong_killed, totals.wrong_judged, totals.wrong),
            "wrong_killed_before": rate(totals.wrong_killed_before, totals.wrong_judged, totals.wrong),
            "survivors": [f"{t.id}/{name}" for t in tallies for name in t.survivors],
            "not_judged": [f"{t.id}/{name}" for t in tallies for name in t.not_judged],
            "strategy": self.strategy,
            "complete": self.complete,
            "sessions": self.sessions,
            "counts": {
                **{name: getattr(totals, name) for name in _COUNTED},
                "invalid_inputs": totals.invalid,
                "unchecked_inputs": totals.unchecked,
            },
            "rounds": [each.to_dict() for each in self.scores],
            "looks": [{"why": why, "said": said, "times": times} for (why, said), times in self.rechecks.items()],
            "verified": self.verified.to_dict(),
            "predictions": [asdict(each) for each in self.predictions],
            "rows_left_out": {
                "count": self.rows_left_out,
                "first": [{"row": row.number, "why": row.why} for row in self.left_out_rows],
            },
            "generators": [each.to_dict() for each in self.brought],
            "first_kills": [asdict(kill) for kill in self.first_kills[:_MOST_KILLS]],
            "packages_left_out": dict(self.packages_left_out),
            "languages_missing": dict(totals.missing),
            "detailed": len(self.problems),
            "per_problem": [tally.summary() for tally in tallies],
            "pool": self.pool.to_dict(),
        }


def rate(part: int, judged: int, whole: int) -> float | None:
    """Return part / judged; None if none of the `whole` was judged, and 1 if there is nothing to be judged."""
    if not whole:
        return 1.0
    return part / judged if judged else None
