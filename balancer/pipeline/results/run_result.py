"""Result of a run: the sum of the results of its problems, and what its endpoints did. The only source of reports.

Decides which of many problems are shown in detail: those with the most survivors. Defines the bound of a makespan, and
the rates. It only reads the store, except that it settles a problem.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from balancer.core.metrics import PoolStats, WaitHistogram
from balancer.judging.calls import called_source
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.problem_result import (
    GeneratorYield,
    ProblemResult,
    ProblemTally,
    RoundHistory,
    cost_of_missing,
    result_of,
)
from balancer.pipeline.results.records import LeaseTotals, ModelUsage, Verified
from balancer.pipeline.results.store import LeftOutRow, Session, Store
from balancer.problem import Problem
from balancer.program import Program
from balancer.reporting.document import Details

__all__ = [
    "MOST_DETAILED",
    "Reading",
    "RoundScores",
    "RunResult",
    "Totals",
    "collect",
    "rate",
    "scores_of",
    "settle",
    "totals_of",
]

MOST_DETAILED = 40  # for rows of a data set; packages are all shown in detail
_MOST_LEFT_OUT = 100
_MOST_REASONS = 50  # distinct reasons; the others count as one
_MOST_IDLE = 10
_MOST_TROUBLES = 10
_OTHERS = "other reasons"
_VALID = (CaseState.VALID, CaseState.CONTESTED, CaseState.READY, CaseState.REPLACED)


@dataclass(slots=True)
class Totals:
    """Totals of many problems.

    Attributes:
        problems: number of problems.
        counts: sums of their counts, by name; 0 for any other name.
        surviving: problems with a survivor.
        idle: problems without a case that counts; `idle_named`: the first few of them.
        troubles: number of troubles; `troubles_told`: the first few, with their problem.
        reasons: why something is unjudged -> how often, the most frequent first.
        courses: history -> number of problems with it.
        brought: generator -> its yield.
        missing: language that no endpoint runs -> submissions left out; `missing_in`: number of problems.
    """

    problems: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    surviving: int = 0
    idle: int = 0
    idle_named: list[str] = field(default_factory=list)
    troubles: int = 0
    troubles_told: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    courses: Counter[RoundHistory] = field(default_factory=Counter)
    brought: dict[str, GeneratorYield] = field(default_factory=dict, compare=False)
    missing: Counter[str] = field(default_factory=Counter)
    missing_in: Counter[str] = field(default_factory=Counter)

    def add(self, tally: ProblemTally) -> None:
        """Add one more problem."""
        self.problems += 1
        self.counts.update(tally.counts)
        self.surviving += bool(tally.survivors)
        self.courses[tally.course] += 1
        for each in tally.brought:
            before = self.brought.get(each.generator)
            self.brought[each.generator] = before.plus(each) if before else each
        cost = cost_of_missing(tally.left_out)
        self.missing.update(cost)
        self.missing_in.update(cost.keys())
        self.troubles += len(tally.troubles)
        told = [f"{tally.id}: {line}" for line in tally.troubles]
        self.troubles_told = [*self.troubles_told, *told][:_MOST_TROUBLES]
        if not tally.counts["cases"]:
            self.idle += 1
            self.idle_named = [*self.idle_named, tally.id][:_MOST_IDLE]
        for reason, times in tally.reasons.items():
            known = reason in self.reasons or len(self.reasons) < _MOST_REASONS
            self.reasons[reason if known else _OTHERS] += times


def totals_of(tallies: Iterable[ProblemTally]) -> Totals:
    found = Totals()
    for tally in tallies:
        found.add(tally)
    return found


@dataclass(frozen=True, slots=True)
class RoundScores:
    """The rates at one time: with the problems' own data alone, or after a round. None: the denominator is 0.

    Attributes:
        rounds: number of finished rounds; 0: own data alone.
        tpr, tnr: share of accepted submissions kept, and of wrong ones rejected, over all problems.
        accuracy: share of problems whose cases keep every accepted submission and reject every wrong one.
        spent: on a model, in the last of these rounds.
    """

    rounds: int
    tpr: float | None
    tnr: float | None
    accuracy: float | None
    spent: ModelUsage = field(default_factory=ModelUsage)


def scores_of(
    courses: Mapping[RoundHistory, int], spent: Mapping[int, ModelUsage] | None = None
) -> tuple[RoundScores, ...]:
    """Return the rates with own data alone, then after each round.

    Args:
        courses: history -> number of problems with it.
        spent: round, from 0 -> what it used of a model.
    """
    times = max((len(course.kept) for course in courses), default=0)
    return tuple(_scores(courses, time, (spent or {}).get(time - 1, ModelUsage())) for time in range(times))


def _scores(courses: Mapping[RoundHistory, int], time: int, spent: ModelUsage) -> RoundScores:
    sums: Counter[str] = Counter()
    for course, many in courses.items():
        kept, killed = course.at(time)
        right = course.whole and kept == course.accepted and killed == course.wrong
        sums["kept"] += many * kept
        sums["accepted"] += many * course.accepted
        sums["killed"] += many * killed
        sums["wrong"] += many * course.wrong
        sums["right"] += many * right
        sums["whole"] += many * course.whole

    def rate(part: str, whole: str) -> float | None:
        return sums[part] / sums[whole] if sums[whole] else None

    return RoundScores(time, rate("kept", "accepted"), rate("killed", "wrong"), rate("right", "whole"), spent)


@dataclass(frozen=True, slots=True)
class Reading:
    """A survivor or a contested case, as a person reads it.

    Attributes:
        problem: its id.
        cases: whose inputs are files beside the report.
        shown: for the report.
    """

    problem: str
    cases: tuple[int, ...]
    shown: Details


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
    readings: tuple[Reading, ...] = ()
    contested: tuple[Reading, ...] = ()
    packages_left_out: Mapping[str, str] = field(default_factory=dict)
    verified: Verified = field(default_factory=Verified)

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
            "rounds": [*map(asdict, self.scores)],
            "verified": self.verified.to_dict(),
            "rows_left_out": {
                "count": self.rows_left_out,
                "first": [{"row": row.number, "why": row.why} for row in self.left_out_rows],
            },
            "generators": [*map(asdict, self.brought)],
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


# -- from the store ------------------------------------------------------------------------------------


def collect(store: Store, *, most: int | None = None) -> RunResult:
    """Return the result of the problems, and the figures of the last session that ran programs.

    Args:
        store: of the run.
        most: problems to show in detail; None: all.
    """
    sessions = store.sessions()
    worked = [session for session in sessions if store.leases.any_of(session.id)]  # with killed ones
    ended = [session for session in sessions if session.pool is not None]
    last = next((each for each in reversed(ended) if each in worked), None) or (ended or worked or sessions)[-1]
    work = store.leases.work(last.id)
    totals = totals_of(_tallies(store))
    most = None if most is not None and totals.problems <= most else most  # with few problems, all keep their own order
    shown = store.problems.met(most_survivors=most)
    rows_left_out, left_out_rows = store.problems.left_out_rows(_MOST_LEFT_OUT)
    return RunResult(
        problems=tuple(result_of(store.of(problem.id), problem) for problem in shown),
        pool=_pool(last, work.leases),
        slots=last.slots,
        makespan_s=work.ended_s - work.started_s,
        strategy=last.strategy,
        complete=bool(ended) and sessions[-1].complete and totals.counts["judged"] > 0,
        sessions=len(worked) or 1,
        all_problems=totals,
        work=work,
        scores=scores_of(totals.courses, store.answers.spent()),
        rows_left_out=rows_left_out,
        left_out_rows=tuple(left_out_rows),
        packages_left_out=store.problems.left_out_packages(),
        verified=store.trust.found(),
    )


def _tallies(store: Store) -> Iterator[ProblemTally]:
    yield from store.problems.settled()
    for problem in store.problems.met(unsettled=True):  # those that the end of a session interrupted
        yield _tally(store, result_of(store.of(problem.id), problem))
        store.forget(problem.id)


def _pool(session: Session, leases: int) -> PoolStats:
    """Return the pool's counters at the end of a session; without details if the session was killed."""
    if session.pool is not None:
        return TypeAdapter(PoolStats).validate_python(session.pool)
    return PoolStats.of([], strategy=session.strategy, acquired=leases, timed_out=0, waiting=0, waits=WaitHistogram())


def settle(store: Store, problem: Problem) -> None:
    """Store the result of a problem after all its rounds.

    It is done, unless the infrastructure prevented something. The sources of the survivors are stored, for readers.
    """
    log = store.of(problem.id)
    found = result_of(log, problem)
    alive = {each.name for each in found.survivors}
    said, own_s = store.fingerprint, problem.time_limit_s
    usual_s = float(said.get("setting time_limit_s", 0))
    named_s = own_s * float(said.get("setting time_limit_factor", 1)) if own_s else usual_s
    store.problems.settle(
        _tally(store, found, log.limit_s or named_s),
        done=not (found.unjudged or found.not_judged or log.why_put_off),
        surviving=[
            Program(each.program.language, called_source(each.program), each.name)
            for each in problem.wrong
            if each.name in alive
        ],
    )
    store.forget(problem.id)


def _tally(store: Store, found: ProblemResult, limit_s: float = 0.0) -> ProblemTally:
    """Return the figures of a problem. A kill belongs to the generator of the case."""
    log, by = store.of(found.id), dict[str, GeneratorYield]()

    def of(generator: str) -> GeneratorYield:
        return by.setdefault(generator, GeneratorYield(generator))

    made_by = {case.id: case.origin.generator for case in log.cases()}
    for case in log.cases():
        mine = of(case.origin.generator)
        mine.proposed += 1
        mine.valid += case.state in _VALID
        mine.cases += case.state is CaseState.READY
    for each in found.killed:
        killing = each.killed_by(found.ready)
        of(made_by[min(killing)]).first_kills += 1
        for number in killing:
            of(made_by[number]).kills += 1
    for (_, number), stored in log.verdicts().items():
        of(made_by[number]).cpu_s += stored.time_s
    for number, ran_s in store.leases.seconds_by_case(log.problem).items():
        if number in made_by:
            of(made_by[number]).run_s += ran_s
    for name, asked in (each for batch in log.batches() for each in batch.items()):
        of(name).asked_s += asked.seconds
        of(name).cpu_s += asked.cpu_s
    return replace(found.tally(), limit_s=limit_s, brought=tuple(by[name] for name in sorted(by)))
