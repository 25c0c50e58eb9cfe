"""The rates of a run, and what leases add up to."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from balancer.judging.pending import RunStage, Span
from balancer.pipeline.results.problem_result import ProblemTally, RoundHistory
from balancer.pipeline.results.records import ModelUsage
from balancer.pipeline.results.run_result import RoundScores, scores_of, totals_of
from balancer.pipeline.results.store import Store
from tests.unit.pipeline.report_results import made_up_run, work_of


def test_rates_of_a_worked_example():
    """Two problems alike, one that ended a round before, and one of which not all was judged."""
    courses = {
        RoundHistory(2, 4, True, (2, 2, 2), (1, 2, 4)): 2,
        RoundHistory(2, 2, True, (2, 1), (0, 2)): 1,
        RoundHistory(0, 1, False, (0, 0, 0), (0, 0, 0)): 1,
    }
    spent = ModelUsage(questions=3)
    assert scores_of(courses, {1: spent}) == (
        RoundScores(0, 1.0, 2 / 11, 0.0),
        RoundScores(1, 5 / 6, 6 / 11, 0.0),
        RoundScores(2, 5 / 6, 10 / 11, 2 / 3, spent),
    ), "what ended before stays as it was, and what is not known does not count"
    assert scores_of({}) == ()
    assert scores_of({RoundHistory(0, 0, False, (0,), (0,)): 3}) == (RoundScores(0, None, None, None),)


def test_totals_are_those_of_the_problems_and_a_tally_survives_json():
    run = made_up_run(problems=5, cases=6)
    tallies = [problem.tally() for problem in run.problems]
    counts = totals_of(tallies).counts
    assert counts == sum((Counter(problem.counts) for problem in run.problems), Counter())
    assert counts["wrong_killed"] == sum(len(problem.killed) for problem in run.problems)
    adapter = TypeAdapter(ProblemTally)
    assert [adapter.validate_json(adapter.dump_json(each)) for each in tallies] == tallies


# -- leases --------------------------------------------------------------------------------------------

_TIMES = st.tuples(st.integers(0, 20), st.integers(0, 9)).map(lambda t: (t[0] / 4, (t[0] + t[1]) / 4))
_SPANS = st.builds(
    lambda endpoint, times, outcome: Span(endpoint, "p", RunStage.AGREE, "x", 1, *times, outcome),
    st.sampled_from("ab"),
    _TIMES,
    st.sampled_from(["success", "failure", "overload"]),
)


@settings(max_examples=30)
@given(st.lists(_SPANS, max_size=25))
def test_leases_of_a_session_are_added_up_in_the_database(tmp_path_factory, spans):
    with Store(tmp_path_factory.mktemp("leases")) as store:
        for span in spans:
            store.leases.add("7", span)
            store.leases.add("8", Span("other", "p", RunStage.AGREE, "x", 1, 0.0, 99.0, "success"))
        assert store.leases.work("7") == work_of(spans), "times are quarters of a second, which add up exactly"
        assert store.leases.any_of("7") == bool(spans)


def _span(stage: RunStage, subject: str, start_s: float, end_s: float, number: int = 1, problem: str = "p") -> Span:
    return Span("a", problem, stage, subject, number, start_s, end_s, "success")


@pytest.mark.parametrize(
    ("spans", "longest_s"),
    [
        ([], 0),
        # one stage: submissions may run side by side, the slowest counts
        ([_span(RunStage.AGREE, "x", 0, 2), _span(RunStage.AGREE, "y", 0, 3)], 3),
        # stages follow each other
        (
            [
                _span(RunStage.VALIDATE_INPUT, "v", 0, 1),
                _span(RunStage.REFERENCE, "r", 1, 4),
                _span(RunStage.AGREE, "x", 4, 6),
            ],
            6,
        ),
        # a second try, and the validator of an output, come after the first
        ([_span(RunStage.AGREE, "x", 0, 2), _span(RunStage.AGREE, "x", 4, 5), _span(RunStage.AGREE, "y", 0, 2.5)], 3),
        # cases and problems do not wait for each other
        ([_span(RunStage.AGREE, "x", 0, 2), _span(RunStage.REFERENCE, "r", 2, 5, 2)], 3),
        ([_span(RunStage.AGREE, "x", 0, 2), _span(RunStage.REFERENCE, "r", 2, 5, 1, "q")], 3),
    ],
)
def test_the_longest_chain_of_runs(tmp_path, spans, longest_s):
    with Store(tmp_path) as store:
        for span in spans:
            store.leases.add("7", span)
        assert store.leases.work("7").chain_s == longest_s
