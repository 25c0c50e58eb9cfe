"""Made-up runs for the tests of reports: of any size, from a seed, and as hostile as one likes."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from balancer.core.metrics import EndpointStats, PoolStats, WaitHistogram
from balancer.pipeline.results.run_result import (
    ANSWERS,
    CaseResult,
    CaseState,
    Disagreement,
    EndpointTotals,
    LeaseTotals,
    ProblemResult,
    RunResult,
    RunStage,
    Span,
    SubmissionResult,
)
from balancer.problem import Origin, Verdict

__all__ = ["case", "empty_run", "made_up_problem", "made_up_run", "submission", "with_spans", "work_of"]

_NAMES = (
    "cheapest-trip",
    "close-pairs",
    "exact-change",
    "leaderboard",
    "longest-run",
    "meeting-room",
    "pair-sum",
    "prime-check",
    "rope-cutting",
    "spread",
    "stock-value",
    "two-teams",
    "undo-log",
    "unpack",
)
_WRONG = (
    ("wrong_answer/greedy.cpp", "wrong_answer"),
    ("wrong_answer/off_by_one_in_the_last_row.py", "wrong_answer"),
    ("time_limit_exceeded/quadratic.py", "time_limit_exceeded"),
    ("run_time_error/deep_recursion.py", "run_time_error"),
)
_LIKELY = {
    "wrong_answer": Verdict.WRONG_ANSWER,
    "time_limit_exceeded": Verdict.TIME_LIMIT,
    "run_time_error": Verdict.RUN_TIME_ERROR,
}


def case(number: int, *, sample: bool = False, state: CaseState = CaseState.READY) -> CaseResult:
    origin = Origin("data", f"sample/{number}.in") if sample else Origin("mutate", f"token {number} -> 0")
    return CaseResult(number, origin, sample, state, 17 * number + 3)


def submission(
    name: str, verdicts: Sequence[Verdict], *, accepted: bool = False, expected: str = "wrong_answer"
) -> SubmissionResult:
    """Return a submission with one verdict for each of the cases 0, 1, ..."""
    return SubmissionResult(
        name, accepted, "accepted" if accepted else expected, dict(enumerate(verdicts)), {0: 0.0123} if verdicts else {}
    )


def made_up_problem(name: str, rng: Random, *, cases: int = 40, wrong: int = 4) -> ProblemResult:
    """Return a problem with 2 accepted submissions; half of the wrong ones are killed by its own data."""
    ready = tuple(case(n, sample=n < 3) for n in range(cases))
    contested = case(cases, state=CaseState.CONTESTED)
    accepted = tuple(
        submission(f"accepted/{s}", [Verdict.ACCEPTED] * cases, accepted=True) for s in ("reference.cpp", "other.py")
    )
    disagrees = rng.random() < 0.2
    return ProblemResult(
        id=name,
        name=name.replace("-", " ").title(),
        cases=(*ready, contested) if disagrees else ready,
        submissions=(*accepted, *_wrong(rng, cases, wrong)),
        disagreements=(Disagreement(cases, contested.origin, "accepted/other.py", Verdict.WRONG_ANSWER, "3 != 4"),)
        if disagrees
        else (),
        invalid=rng.randrange(9),
        left_out={"wrong_answer/old.rb": "unknown language 'ruby'"} if rng.random() < 0.2 else {},
        notes=("proposed 400 inputs, kept 40",) if rng.random() < 0.2 else (),
    )


def _wrong(rng: Random, cases: int, number: int) -> Iterator[SubmissionResult]:
    for n in range(number):
        name, expected = _WRONG[n % len(_WRONG)]
        often = rng.choice((0.0, 0.02, 0.1, 0.5))
        verdicts = [_LIKELY[expected] if rng.random() < often else Verdict.ACCEPTED for _ in range(cases)]
        name = name if n < len(_WRONG) else name.replace("/", f"/{n}_")
        yield replace(
            submission(name, verdicts, expected=expected), times_s={n: rng.expovariate(8) for n in range(cases)}
        )


def made_up_run(
    seed: int = 1, *, problems: int = 14, cases: int = 40, wrong: int = 4, endpoints: int = 4, capacity: int = 2
) -> RunResult:
    """Return a run whose leases keep to the endpoints' capacities."""
    rng = Random(seed)
    names = [_NAMES[n] if n < len(_NAMES) else f"problem-{n}" for n in range(problems)]
    found = tuple(made_up_problem(name, rng, cases=cases, wrong=wrong) for name in names)
    urls = [f"http://sandbox-{n % 7}.judge.example.org:{8080 + n}/" for n in range(endpoints)]
    spans = tuple(_schedule(rng, found, urls, capacity))
    return RunResult(
        problems=found,
        pool=_pool(rng, urls, spans, capacity),
        slots=endpoints * capacity,
        makespan_s=max((s.ended_s for s in spans), default=0.0) - min((s.started_s for s in spans), default=0.0),
        spans=spans,
        strategy="least_in_flight",
        work=work_of(spans),
    )


def work_of(spans: Sequence[Span]) -> LeaseTotals:
    """Return what the leases of one program on one case add up to."""
    endpoints = {
        name: EndpointTotals(
            len(mine), sum(s.ended_s - s.started_s for s in mine), sum(s.outcome in ANSWERS for s in mine)
        )
        for name in sorted({span.endpoint for span in spans})
        for mine in [[span for span in spans if span.endpoint == name]]
    }
    return LeaseTotals(
        endpoints,
        min((span.started_s for span in spans), default=0.0),
        max((span.ended_s for span in spans), default=0.0),
        sum(each.busy_s for each in endpoints.values()),
    )


def with_spans(result: RunResult, *spans: Span) -> RunResult:
    """Return `result` with these leases."""
    return replace(result, spans=spans, work=work_of(spans))


def watched(result: RunResult, *health: str) -> RunResult:
    """Return `result` with the health of its endpoints watched; the nth was ejected n times, from 0."""
    endpoints = tuple(
        replace(stats, health=word, ejections=n)
        for n, (stats, word) in enumerate(zip(result.pool.endpoints, health, strict=True))
    )
    return replace(result, pool=replace(result.pool, endpoints=endpoints))


def outage_run() -> RunResult:
    """Return a run that judged nothing, because no endpoint answered."""
    run = made_up_run(problems=2, cases=3, endpoints=2)
    lost = tuple(
        replace(
            problem,
            cases=tuple(replace(case, state=CaseState.UNJUDGED) for case in problem.cases),
            submissions=tuple(replace(s, verdicts={}, times_s={}) for s in problem.submissions),
            disagreements=(),
        )
        for problem in run.problems
    )
    return replace(run, problems=lost)


def empty_run() -> RunResult:
    """Return a run of nothing on nothing."""
    pool = PoolStats.of([], strategy="fifo", acquired=0, timed_out=0, waiting=0, waits=WaitHistogram())
    return RunResult(problems=(), pool=pool, slots=0, makespan_s=0.0, spans=(), strategy="fifo")


def _schedule(rng: Random, problems: Sequence[ProblemResult], urls: Sequence[str], capacity: int) -> Iterator[Span]:
    """Give each run to the slot that is free first."""
    slots = [(0.25 + rng.random() / 50, n, urls[n % len(urls)]) for n in range(len(urls) * capacity)]
    heapq.heapify(slots)
    for problem in problems:
        runs = [(s, c) for c in problem.cases for s in problem.submissions]
        for run, c in runs:
            start_s, n, url = heapq.heappop(slots)
            end_s = start_s + 0.02 + rng.expovariate(1 / 0.08)
            stage = RunStage.AGREE if run.accepted else RunStage.VALIDATE_SOLUTION
            if run is problem.submissions[0]:
                stage = rng.choice((RunStage.VALIDATE_INPUT, RunStage.REFERENCE))
            outcome = "failure" if rng.random() < 0.004 else "success"
            yield Span(url, problem.id, stage, run.name, c.id, start_s, end_s, outcome)
            heapq.heappush(slots, (end_s + rng.expovariate(1 / 0.01), n, url))


def _pool(rng: Random, urls: Sequence[str], spans: Sequence[Span], capacity: int) -> PoolStats:
    waits = WaitHistogram()
    for _ in spans:
        waits.add(max(0.0, rng.gauss(0.02, 0.03)))
    return PoolStats.of(
        [_endpoint(url, [s for s in spans if s.endpoint == url], len(spans), capacity) for url in urls],
        strategy="least_in_flight",
        acquired=len(spans),
        timed_out=3 if spans else 0,
        waiting=0,
        waits=waits,
    )


def _endpoint(url: str, spans: Sequence[Span], total: int, capacity: int) -> EndpointStats:
    return EndpointStats(
        url=url,
        state="active",
        in_flight=0,
        limit=capacity,
        leases=len(spans),
        failures=sum(s.outcome == "failure" for s in spans),
        share=len(spans) / total if total else 0.0,
        busy_s=sum(s.ended_s - s.started_s for s in spans),
        capacity=capacity,
    )
