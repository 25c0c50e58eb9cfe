"""What kept, killed, before and after mean; and what a makespan is held against."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.core.metrics import EndpointStats, PoolStats, WaitHistogram
from balancer.pipeline.results.problem_log import CaseState
from balancer.pipeline.results.problem_result import CaseResult, ProblemResult, SubmissionResult
from balancer.pipeline.results.records import EndpointTotals, LeaseTotals
from balancer.pipeline.results.run_result import RunResult, rate
from balancer.problem import Origin, Verdict

A, W, T, R, C, U = (
    Verdict.ACCEPTED,
    Verdict.WRONG_ANSWER,
    Verdict.TIME_LIMIT,
    Verdict.RUN_TIME_ERROR,
    Verdict.COMPILE_ERROR,
    Verdict.UNJUDGED,
)
ORIGIN = Origin("data", "1.in")


def case(number: int, *, sample: bool = False, state: CaseState = CaseState.READY) -> CaseResult:
    return CaseResult(number, ORIGIN, sample, state, 10)


def submission(name: str, accepted: bool, *verdicts: Verdict) -> SubmissionResult:
    """Return a submission with a verdict on each of the cases 1, 2, ..."""
    return SubmissionResult(name, accepted, "accepted" if accepted else "wrong_answer", dict(enumerate(verdicts, 1)))


def pool() -> PoolStats:
    endpoint = EndpointStats("a", "active", 0, 1, 0, 0, 0.0, 0.0)
    return PoolStats.of([endpoint], strategy="fifo", acquired=0, timed_out=0, waiting=0, waits=WaitHistogram())


def run_of(*problems: ProblemResult) -> RunResult:
    return RunResult(problems, pool(), 1, 0.0, (), "fifo")


# A worked example: cases 1 and 2 are the problem's own, 3 and 4 were made up, 5 is contested, 6 was lost.
EXAMPLE = ProblemResult(
    id="p",
    name="P",
    cases=(
        case(1, sample=True),
        case(2, sample=True),
        case(3),
        case(4),
        case(5, state=CaseState.CONTESTED),
        case(6, state=CaseState.UNJUDGED),
    ),
    submissions=(
        submission("good", True, A, A, A, A),
        submission("no good", True, A, A, U, R),
        submission("good but lost", True, U, A, A, A),
        submission("not compiling", True, C, C, C, C),
        submission("killed before", False, A, W, A, A),
        submission("killed after", False, A, A, T, U),
        submission("killed twice", False, W, A, A, R),
        submission("survivor", False, A, A, A, A),
        submission("unknown", False, U, U, U, U),
        submission("all but one", False, A, A, A),
        submission("killed on what is not ready", False, A, A, A, A, W),
    ),
    invalid=3,
)


def names(submissions: tuple[SubmissionResult, ...]) -> list[str]:
    return [found.name for found in submissions]


def test_what_the_example_means():
    assert [c.id for c in EXAMPLE.ready] == [1, 2, 3, 4]
    assert [c.id for c in EXAMPLE.before] == [1, 2]
    assert names(EXAMPLE.accepted) == ["good", "no good", "good but lost"]
    assert names(EXAMPLE.kept) == ["good"]
    assert names(EXAMPLE.rejected) == ["no good"]
    assert names(EXAMPLE.accepted_judged) == ["good", "no good"]
    assert names(EXAMPLE.killed_before) == ["killed before", "killed twice"]
    assert names(EXAMPLE.killed) == ["killed before", "killed after", "killed twice"]
    assert names(EXAMPLE.survivors) == ["survivor", "killed on what is not ready"]
    assert names(EXAMPLE.wrong_judged) == [*names(EXAMPLE.killed), *names(EXAMPLE.survivors)]
    assert names(EXAMPLE.not_judged) == ["good but lost", "unknown", "all but one"]
    assert [c.id for c in EXAMPLE.killers] == [1, 2, 3, 4]
    assert EXAMPLE.unjudged == 1 + 1 + 1 + 1 + 4
    assert EXAMPLE.judged == 4 + 3 + 3 + 4 + 4 + 3 + 4 + 4 + 0 + 3 + 5


def test_the_summary_adds_up():
    summary = run_of(EXAMPLE, EXAMPLE).summary()
    assert summary["problems"] == 2
    assert summary["cases"] == 8
    assert summary["unjudged"] == 16
    assert summary["accepted_kept"] == pytest.approx(2 / 4)
    assert summary["wrong_killed"] == pytest.approx(6 / 10)
    assert summary["wrong_killed_before"] == pytest.approx(4 / 10)
    assert summary["survivors"][0] == "p/survivor"
    assert summary["not_judged"] == [f"p/{name}" for name in names(EXAMPLE.not_judged)] * 2
    assert summary["counts"] == {
        "cases": 8,
        "judged": 74,
        "unjudged": 16,
        "rejected": 2,
        "accepted": 6,
        "accepted_judged": 4,
        "accepted_kept": 2,
        "wrong": 14,
        "wrong_judged": 10,
        "wrong_killed": 6,
        "wrong_killed_before": 4,
        "survivors": 4,
        "not_judged": 6,
        "cases_kept": 8,
        "contested": 2,
        "invalid_inputs": 6,
        "unchecked_inputs": 0,
        "accepted_left_out": 0,
        "wrong_left_out": 0,
        "abstaining": 0,
        "unasked": 0,
        "no_validator": 0,
    }
    assert json.loads(json.dumps(summary))["per_problem"][0]["survivors"] == names(EXAMPLE.survivors)


def test_a_rate_over_nothing_is_one():
    summary = run_of().summary()
    assert (summary["accepted_kept"], summary["wrong_killed"], summary["utilisation"]) == (1, 1, 0)
    assert (rate(0, 0, 0), rate(0, 4, 4), rate(1, 4, 6)) == (1, 0, 0.25)


@given(verdicts=st.lists(st.lists(st.sampled_from(Verdict), min_size=4, max_size=4), max_size=6), own=st.integers(0, 4))
def test_more_cases_kill_no_fewer(verdicts, own):
    problem = ProblemResult(
        "p",
        "P",
        tuple(case(n, sample=n <= own) for n in range(1, 5)),
        tuple(submission(f"{n}", False, *row) for n, row in enumerate(verdicts)),
    )
    before, after = set(names(problem.killed_before)), set(names(problem.killed))
    assert before <= after
    unknown = set(names(problem.not_judged))
    assert after | set(names(problem.survivors)) | unknown == set(names(problem.wrong))
    assert not unknown & (after | set(names(problem.survivors)))
    assert not after & set(names(problem.survivors))
    assert problem.judged + problem.unjudged == 4 * len(verdicts)
    for row, found in zip(verdicts, problem.submissions, strict=True):
        kills = {number for number, verdict in enumerate(row, 1) if verdict in (W, T, R, C)}
        assert set(found.killed_by(problem.ready)) == kills
        assert (found.name in after) == (bool(kills) and C not in row)
    only_killers = {c.id for c in problem.killers}
    assert all(set(found.killed_by(problem.ready)) & only_killers for found in problem.killed), "killers are enough"


# -- makespan and bound --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "busy_s", "chain_s", "makespan_s", "bound_s", "utilisation"),
    [(2, 8, 1, 4, 4, 1), (2, 8, 1, 8, 4, 0.5), (4, 6, 6, 6, 6, 0.25), (0, 0, 0, 0, 0, 0)],
)
def test_the_bound_is_the_greater_of_work_and_chain(slots, busy_s, chain_s, makespan_s, bound_s, utilisation):
    work = LeaseTotals({"a": EndpointTotals(1, busy_s, 1)}, chain_s=chain_s)
    run = RunResult((), pool(), slots, makespan_s, (), "fifo", work=work)
    assert (run.bound_s, run.utilisation) == (bound_s, utilisation)
