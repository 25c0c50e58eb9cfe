"""The rates of a run, and what leases add up to: worked examples, and what must hold of all of them."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from balancer.judging.pending import RunStage, Span
from balancer.pipeline.report.tables import rate_cells
from balancer.pipeline.results.run_result import LeaseTotals, lease_totals_of
from balancer.pipeline.results.scores import RATES, ModelUsage, Rate, scores_of
from balancer.pipeline.results.store import Store
from balancer.pipeline.results.tally import ProblemTally, RoundHistory, totals_of
from balancer.reporting.document import plain
from tests.unit.pipeline.report_results import made_up_run


def course(
    accepted: int, wrong: int, kept: tuple[int, ...], killed: tuple[int, ...], *, whole: bool = True
) -> RoundHistory:
    return RoundHistory(accepted, wrong, whole, kept, killed)


def value(rate: Rate | None) -> float:
    assert rate is not None
    return rate.value


def test_the_worked_example():
    """Two problems alike, one that ended a round before, and one of which not all was judged."""
    courses = Counter(
        {
            course(2, 4, (2, 2, 2), (1, 2, 4)): 2,
            course(2, 2, (2, 1), (0, 2)): 1,
            course(0, 1, (0, 0, 0), (0, 0, 0), whole=False): 1,
        }
    )
    own, first, second = scores_of(courses, {1: ModelUsage(questions=3)})
    assert value(own.tpr_micro) == 1
    assert value(own.tnr_micro) == pytest.approx((2 * 1 + 0 + 0) / 11)
    assert value(own.tnr_macro) == pytest.approx((2 * 0.25 + 0 + 0) / 4)
    assert value(first.tpr_micro) == pytest.approx(5 / 6)
    assert value(first.tpr_macro) == pytest.approx((2 * 1 + 0.5) / 3), "one problem has no accepted submission"
    assert value(second.tnr_micro) == pytest.approx((2 * 4 + 2) / 11), "what ended before stays as it was"
    assert value(own.accuracy) == value(first.accuracy) == 0
    assert value(second.accuracy) == pytest.approx(2 / 3), "the last problem is not known, and does not count"
    assert [each.spent.questions for each in (own, first, second)] == [0, 0, 3]


def test_nothing_has_no_rates():
    assert scores_of({}) == ()
    (own,) = scores_of({course(0, 0, (0,), (0,), whole=False): 3})
    assert all(getattr(own, name) is None for name in RATES)


def test_one_problem_has_no_interval():
    """It read "100.0 to 100.0", as if that were certain."""
    whole = RoundHistory(accepted=2, wrong=4, whole=True, kept=(2,), killed=(3,))
    (alone,), (two,) = scores_of({whole: 1}), scores_of({whole: 2})
    assert alone.tnr_micro == Rate(0.75, None, None)
    assert not alone.has_intervals
    assert two.tnr_micro == Rate(0.75, 0.75, 0.75)
    assert alone.to_dict()["tnr_micro"] == {"value": 0.75, "low": None, "high": None}
    first = next(rate_cells(alone))
    assert (plain(first.words), plain(first.below)) == ("100.0%", "")
    only_one_is_whole = replace(whole, whole=False)
    (some,) = scores_of({whole: 1, only_one_is_whole: 3})
    assert some.accuracy == Rate(0.0, None, None)
    assert some.tnr_micro == Rate(0.75, 0.75, 0.75)


def test_an_interval_is_as_wide_as_the_normal_one():
    """100 problems with one wrong submission each, half of them killed: 1.96 x sqrt(0.5 x 0.5 / 100) = 0.098.

    The ends of 1000 draws are off by 0.01 or so: four times their own deviation of about 0.0025, and a step of 0.01.
    """
    courses = {course(1, 1, (1,), (1,)): 50, course(1, 1, (1,), (0,)): 50}
    (own,) = scores_of(courses)
    assert own.tnr_micro is not None
    assert own.tnr_micro.low == pytest.approx(0.402, abs=0.021)
    assert own.tnr_micro.high == pytest.approx(0.598, abs=0.021)


_COURSES = st.builds(
    lambda accepted, wrong, parts, whole: RoundHistory(
        accepted, wrong, whole and accepted > 0 and wrong > 0,
        tuple(min(accepted, a) for a, _ in parts), tuple(min(wrong, b) for _, b in parts),
    ),
    st.integers(0, 3),
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=4),
    st.booleans(),
)  # fmt: skip


@settings(max_examples=50)
@given(st.dictionaries(_COURSES, st.integers(1, 5), min_size=1, max_size=6))
def test_rates_are_parts_within_their_intervals_and_the_same_each_time(courses):
    found = scores_of(courses)
    assert found == scores_of(dict(reversed(courses.items())))
    assert len(found) == max(len(each.kept) for each in courses)
    for each in found:
        for name in RATES:
            rate = getattr(each, name)
            assert rate is None or rate.low is None or 0 <= rate.low <= rate.value <= rate.high <= 1


def test_totals_are_those_of_the_problems_and_a_tally_survives_json():
    run = made_up_run(problems=5, cases=6)
    tallies = [problem.tally() for problem in run.problems]
    totals = totals_of(tallies)
    assert totals.wrong_killed == sum(len(problem.killed) for problem in run.problems)
    assert totals.survivors == sum(len(problem.survivors) for problem in run.problems)
    adapter = TypeAdapter(ProblemTally)
    assert [adapter.validate_json(adapter.dump_json(each)) for each in tallies] == tallies


_TIMES = st.tuples(st.integers(0, 20), st.integers(0, 9)).map(lambda t: (t[0] / 4, (t[0] + t[1]) / 4))
_SPANS = st.builds(
    lambda endpoint, problem, stage, subject, case, times, outcome: Span(
        endpoint, problem, stage, subject, case, *times, outcome
    ),
    st.sampled_from("ab"),
    st.sampled_from("pq"),
    st.sampled_from(RunStage),
    st.sampled_from("xyz"),
    st.integers(1, 3),
    _TIMES,
    st.sampled_from(["success", "failure", "overload"]),
)


@settings(max_examples=50)
@given(st.lists(_SPANS, max_size=25))
def test_the_database_adds_leases_up_as_we_do(tmp_path_factory, spans):
    with Store(tmp_path_factory.mktemp("leases")) as store:
        for span in spans:
            store.leases.add("7", span)
            store.leases.add("8", Span("other", "p", RunStage.AGREE, "x", 1, 0.0, 99.0, "success"))
        found: LeaseTotals = store.leases.work("7")
        assert found == lease_totals_of(spans), "times are quarters of a second, which add up exactly"
        assert store.leases.drawn("7") == (1, sorted(store.leases.of("7"), key=lambda span: span.ended_s))
        assert store.leases.any_of("7") == bool(spans)


def test_of_many_leases_some_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("balancer.pipeline.results.records._MOST_DRAWN", 10)
    with Store(tmp_path / "results") as store:
        for n in range(95):
            store.leases.add("1", Span("a", "p", RunStage.AGREE, "x", n, n, n + 1, "success"))
        one_in, drawn = store.leases.drawn("1")
        assert one_in == 10
        assert len(drawn) == 9
        assert store.leases.work("1").leases == 95
