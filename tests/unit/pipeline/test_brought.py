"""What each generator brought, and when: from a run to its report."""

from pathlib import Path

import pytest

from balancer.pipeline.report import page
from balancer.pipeline.report.charts import kills_over_time
from balancer.pipeline.results.collect import collect, settle
from balancer.pipeline.results.run_result import FirstKill, RunResult
from balancer.pipeline.round.rounds import judge_problem
from tests.unit.pipeline.bench import Bench, make_problem
from tests.unit.pipeline.fakes import FakeExecutor
from tests.unit.pipeline.test_turns import Further, bench_of


def run(bench: Bench) -> RunResult:
    with bench.open({"a": FakeExecutor()}) as sample:
        sample.store.problems.meet(bench.problem, 0, "-")
        session = sample.store.begin_session("fifo", 1)
        judge_problem(sample)
        settle(sample.store, bench.problem)
        sample.store.end_session(session, sample.runner._pool.stats().to_dict(), complete=True)
        return collect(sample.store)


@pytest.fixture
def result(tmp_path: Path) -> RunResult:
    return run(bench_of(tmp_path, Further(), wrong=("square", "killed at 8", "wordy at 9", "right after all")))


def test_first_kills_and_what_was_brought(result: RunResult) -> None:
    first = {kill.submission: kill.generator for kill in result.first_kills}
    assert first == {"square": "data", "killed at 8": "further", "wordy at 9": "further"}
    assert [kill.at_s for kill in result.first_kills] == sorted(kill.at_s for kill in result.first_kills)
    by = {each.generator: each for each in result.brought}
    assert (by["data"].proposed, by["data"].cases, by["data"].first_kills) == (2, 2, 1)
    assert by["further"].first_kills == 2
    assert by["further"].proposed == by["further"].valid == 4 * 3
    # The first round is run by all: `square` fails on 3 to 6. Later ones kill one with 8, one with 9.
    assert by["further"].kills == 4 + 2
    summary = result.summary()
    assert [each["generator"] for each in summary["generators"]] == ["further", "data"]
    assert summary["first_kills"][0]["submission"] == "square"


def test_the_report_says_so(result: RunResult) -> None:
    chart = kills_over_time(result.first_kills)
    assert chart.svg.startswith("<svg")
    assert chart.svg.count("<path") > 20
    told = page(result, [chart])
    assert "What each generator brought" in told
    assert "Kills over time" in told


def test_a_kill_that_counts_no_more_is_not_among_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_problem(wrong=["square"]))
    with bench.open({"a": FakeExecutor()}) as sample:
        judge_problem(sample)
        assert [kill.submission for kill in sample.store.times.kills()] == ["square"]
        sample.store.leave_out("doubling", "square", "for some reason")
        assert sample.store.times.kills() == []


def test_a_single_kill_and_many_generators_can_be_drawn() -> None:
    many = [
        FirstKill("p", f"w{n}", n, f"generator {n % 9}", "-", n % 4 == 0, 0.0 if n < 3 else n * 1.5) for n in range(30)
    ]
    assert "Shown are the 5 of" in kills_over_time(many).caption
    assert "<svg" in kills_over_time(many[:1]).svg
