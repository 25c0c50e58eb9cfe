"""Made-up runs for the tests of reports: of any size, from a seed."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

from balancer.core.metrics import EndpointStats, PoolStats, WaitHistogram
from balancer.judging.pending import RunStage, Span
from balancer.pipeline.results.problem_log import CaseState, StoredVerdict
from balancer.pipeline.results.problem_result import CaseResult, ProblemResult, SubmissionResult
from balancer.pipeline.results.records import ANSWERS, EndpointTotals, LeaseTotals
from balancer.pipeline.results.run_result import RunResult
from balancer.problem import Origin, Verdict

__all__ = ["case", "empty_run", "made_up_problem", "made_up_run", "submission", "work_of"]

_WRONG = (
    ("wrong_answer/greedy.cpp", Verdict.WRONG_ANSWER),
    ("wrong_answer/off_by_one_in_the_last_row.py", Verdict.WRONG_ANSWER),
    ("time_limit_exceeded/quadratic.py", Verdict.TIME_LIMIT),
    ("run_time_error/deep_recursion.py", Verdict.RUN_TIME_ERROR),
)


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
    """Return a problem with 2 accepted submissions; some have a contested case, and notes."""
    ready = tuple(case(n, sample=n < 3) for n in range(cases))
    contested = case(cases, state=CaseState.CONTESTED)
    accepted = [submission(f"accepted/{s}", [Verdict.ACCEPTED] * cases, accepted=True) for s in ("one.cpp", "other.py")]
    odd = rng.random() < 0.2
    differs = StoredVerdict("accepted/other.py", cases, Verdict.WRONG_ANSWER, 0.1, "3 != 4")
    return ProblemResult(
        id=name,
        name=name.replace("-", " ").title(),
        cases=(*ready, contested) if odd else ready,
        submissions=(*accepted, *_wrong(rng, cases, wrong)),
        disagreements=(differs,) * odd,
        invalid=rng.randrange(9),
        left_out={"wrong_answer/old.rb": "unknown language 'ruby'"} if odd else {},
        notes=("proposed 400 inputs, kept 40",) * odd,
    )


def _wrong(rng: Random, cases: int, number: int) -> Iterator[SubmissionResult]:
    for n in range(number):
        name, likely = _WRONG[n % len(_WRONG)]
        often = rng.choice((0.0, 0.02, 0.1, 0.5))
        verdicts = [likely if rng.random() < often else Verdict.ACCEPTED for _ in range(cases)]
        name = name if n < len(_WRONG) else name.replace("/", f"/{n}_")
        made = submission(name, verdicts, expected=name.partition("/")[0])
        yield replace(made, times_s={n: rng.expovariate(8) for n in range(cases)})


def made_up_run(
    seed: int = 1, *, problems: int = 14, cases: int = 40, wrong: int = 4, endpoints: int = 4, capacity: int = 2
) -> RunResult:
    """Return a run whose leases keep to the endpoints' capacities."""
    rng = Random(seed)
    found = tuple(made_up_problem(f"problem-{n}", rng, cases=cases, wrong=wrong) for n in range(problems))
    urls = [f"http://sandbox-{n % 7}.judge.example.org:{8080 + n}/" for n in range(endpoints)]
    spans = tuple(_schedule(rng, found, urls * capacity))
    waits = WaitHistogram()
    waits.add(0.02)
    stats = [_endpoint(url, [s for s in spans if s.endpoint == url], len(spans), capacity) for url in urls]
    counts = {"acquired": len(spans), "timed_out": 3 if spans else 0, "waiting": 0}
    return RunResult(
        problems=found,
        pool=PoolStats.of(stats, strategy="least_in_flight", waits=waits, **counts),
        slots=endpoints * capacity,
        makespan_s=max((s.ended_s for s in spans), default=0.0) - min((s.started_s for s in spans), default=0.0),
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


def empty_run() -> RunResult:
    """Return a run of nothing on nothing."""
    pool = PoolStats.of([], strategy="fifo", acquired=0, timed_out=0, waiting=0, waits=WaitHistogram())
    return RunResult(problems=(), pool=pool, slots=0, makespan_s=0.0, strategy="fifo")


def _schedule(rng: Random, problems: Sequence[ProblemResult], slots: Sequence[str]) -> Iterator[Span]:
    """Give each run to the next slot."""
    free_s = [0.25 + rng.random() / 50 for _ in slots]
    runs = [(problem, run, each) for problem in problems for each in problem.cases for run in problem.submissions]
    for number, (problem, run, each) in enumerate(runs):
        slot = number % len(slots)
        start_s, end_s = free_s[slot], free_s[slot] + 0.02 + rng.expovariate(1 / 0.08)
        stage = RunStage.AGREE if run.accepted else RunStage.VALIDATE_SOLUTION
        yield Span(slots[slot], problem.id, stage, run.name, each.id, start_s, end_s, "success")
        free_s[slot] = end_s + rng.expovariate(1 / 0.01)


def _endpoint(url: str, spans: Sequence[Span], total: int, capacity: int) -> EndpointStats:
    return EndpointStats(
        url=url,
        state="active",
        in_flight=0,
        limit=capacity,
        leases=len(spans),
        failures=0,
        share=len(spans) / total if total else 0.0,
        busy_s=sum(s.ended_s - s.started_s for s in spans),
        capacity=capacity,
    )
