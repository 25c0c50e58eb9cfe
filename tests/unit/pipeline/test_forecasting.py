"""A run says when it will be over, and whatever goes wrong there does not touch it."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from balancer import Pool
from balancer.hookspecs import ForecasterPlugin
from balancer.pipeline.progress import ProblemWork, Progress, guesses_of
from balancer.pipeline.report import print_summary, write_report
from balancer.pipeline.results.predictions import EndPrediction, prediction_line, prediction_lines
from balancer.pipeline.results.store import Store
from balancer.pipeline.running import run as running
from balancer.pipeline.running import turns
from balancer.pipeline.running.forecast import EndForecaster, ForecastPlan, ForecastSchedule
from balancer.plugins.loading import names_of_forecaster
from balancer.plugins.registry import Registered, default_registry
from balancer.problem import Problem
from tests.patience import PATIENCE_S
from tests.unit.pipeline.test_run import CONFIG, Bench, bench

__all__ = ["bench"]

_OFTEN = ForecastSchedule(first_s=0.0, every_s=0.01, factor=1.0)


def plugin(name: str) -> ForecasterPlugin:
    return ForecasterPlugin(name, f"tests.unit.pipeline.forecasters:{name}", "for tests")


# -- what is left -----------------------------------------------------------------------------------

_OVER = [ProblemWork(100, 50, 0), ProblemWork(200, 20, 0), ProblemWork(10, 10, 0)]


def test_nobody_knows_what_is_left_before_three_problems_are_over() -> None:
    going_on = {"p": ProblemWork(100, 10, 90)}
    assert guesses_of(_OVER[:2], going_on, 0, random.Random(1), 5) is None
    nothing = ProblemWork(100, 0, 0)  # it was over in an earlier session
    assert guesses_of([*_OVER[:2], nothing], going_on, 0, random.Random(1), 5) is None
    assert guesses_of(_OVER, {}, 0, random.Random(1), 5) is None


def test_a_problem_is_like_one_that_is_over_and_has_done_what_it_has_done() -> None:
    found = guesses_of(
        _OVER, {"new": ProblemWork(100, 0, 100), "begun": ProblemWork(100, 30, 70)}, 1, random.Random(1), 200
    )
    assert found is not None
    assert {guess[0] for guess in found} == {50 - 30, 100 - 30}  # not the one that took a tenth
    assert {guess[1] for guess in found} == {50, 10, 100}
    assert {guess[2] for guess in found} >= {50, 20, 10}  # of one that was not met a plan is not known


def test_small_problems_are_over_first_and_those_at_work_are_told_from_as_well() -> None:
    many = {f"p{number}": ProblemWork(100, 0, 100) for number in range(100)}
    at_work = {f"w{number}": ProblemWork(100, 60, 40) for number in range(3)}
    alone, with_them = (
        [sum(guess[-100:]) for guess in guesses_of(_OVER[:2] * 2, going_on, 0, random.Random(1), 50) or ()]
        for going_on in (many, at_work | many)
    )
    assert sum(with_them) > 1.4 * sum(alone)  # three of six take all that was planned, and the others a third


def test_which_problems_are_over_is_chance_for_all_that_are_left_together() -> None:
    many = {f"p{number}": ProblemWork(100, 0, 100) for number in range(1000)}
    sums = [sum(guess) for guess in guesses_of(_OVER, many, 0, random.Random(1), 50) or ()]
    assert max(sums) > 1.5 * min(sums)  # each by itself they would all be near the mean


def test_what_took_more_than_any_other_is_taken_by_its_plan() -> None:
    found = guesses_of(_OVER, {"large": ProblemWork(100, 300, 7)}, 0, random.Random(1), 3)
    assert found == ((7,), (7,), (7,))


def test_progress_knows_plans_and_what_came_of_them() -> None:
    progress = Progress(Console(file=StringIO()), 5)
    for name in "abcd":
        progress.plan(name, 10)
    for name in "abc":
        for _ in range(5):
            progress.advance(name)
        progress.finish(name)
    progress.advance("d")
    assert progress.guesses(random.Random(1), 2) == (16, ((4, 5), (4, 5)), ("d",))
    assert Progress(Console(file=StringIO()), None).guesses(random.Random(1), 2) is None


def test_what_earlier_sessions_did_of_a_problem_is_part_of_what_it_takes() -> None:
    progress = Progress(Console(file=StringIO()), 6)
    for name in "abcde":
        progress.plan(name, 10)
        progress.done_before(name, 6)
    for name in "abc":
        progress.advance(name)
        progress.finish(name)
    progress.finish("d")  # it was over before this session: nothing is known of how long it took
    assert progress.guesses(random.Random(1), 1) == (3, ((1, 7),), ("e",))


# -- while a run goes on ----------------------------------------------------------------------------


class Kept(list[EndPrediction]):
    """What is kept, and an event once there is something."""

    def __init__(self) -> None:
        super().__init__()
        self.there = threading.Event()

    def __call__(self, made: list[EndPrediction]) -> None:
        self[:] = made
        self.there.set()


def progress_of(out: StringIO, left: int = 4) -> Progress:
    progress = Progress(Console(file=out, width=300), 3 + left)
    for name in "abc" + "defghij"[:left]:
        progress.plan(name, 10)
    for name in "abc":
        progress.advance(name)
        progress.finish(name)
    return progress


def until(what: str, out: StringIO) -> None:
    """Wait until it was said."""
    over_s = time.monotonic() + PATIENCE_S
    while what not in out.getvalue():
        assert time.monotonic() < over_s, out.getvalue()
        time.sleep(0.01)


@contextmanager
def foretelling(name: str, folder: Path, left: int = 4) -> Iterator[SimpleNamespace]:
    """Have the end of a run foretold that has made one call; its pool must serve whatever became of that."""
    out, kept = StringIO(), Kept()
    progress, plan = progress_of(out, left), ForecastPlan(2, folder, time.monotonic(), _OFTEN)
    with Store(folder) as store, Pool(["http://a/"]) as pool, pool.trace(store.trace) as trace:
        with EndForecaster(trace, plugin(name), progress, kept, plan) as teller:
            pool.acquire().release()
            yield SimpleNamespace(out=out, kept=kept, progress=progress, teller=teller)
        pool.acquire(timeout=0).release()


def test_what_is_foretold_is_said_shown_and_kept_with_what_came(tmp_path: Path) -> None:
    with foretelling("told", tmp_path) as run:
        until("from 1 calls: end after", run.out)
        run.teller.over()
    assert run.kept.there.is_set()
    first = run.kept[0]
    assert first.end_s - first.at_s == pytest.approx(1004.0)
    assert (first.low_s - first.at_s, first.high_s - first.at_s) == pytest.approx((900.0, 2000.0))
    assert first.came_s is not None
    assert "(15 min" in run.out.getvalue()
    assert "; with two more it would take half of that" in run.out.getvalue()
    assert not list(tmp_path.glob("so-far*"))


def test_what_is_past_when_it_comes_is_kept_as_a_miss_and_not_said(tmp_path: Path) -> None:
    with foretelling("past", tmp_path) as run:
        assert run.kept.there.wait(PATIENCE_S)
        run.teller.over()
    assert "over after" not in run.out.getvalue()
    assert "predicted" not in run.progress.tables()["run"][""]["left"]
    assert run.kept[0].came_s is not None
    assert run.kept[0].came_s > run.kept[0].high_s


def test_a_line_says_how_old_what_is_predicted_is() -> None:
    made = EndPrediction(225.0, 500.0, 400.0, 600.0, 70)
    assert prediction_line(made, 127.0).startswith("predicted after 3 min 45 s (2 min 07 s ago), from 70 calls: end")
    assert prediction_line(made, 3.0).startswith("predicted after 3 min 45 s, from 70 calls: end")


def test_predictions_of_all_sessions_are_kept(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        first, second, _ = (store.begin_session("fifo", 1) for _ in range(3))
        store.keep_predictions(second, [EndPrediction(30.0, 60.0, 50.0, 70.0, 80, came_s=65.0)])
        store.keep_predictions(first, [EndPrediction(30.0, 90.0, 80.0, 99.0, 70)])
        found = store.predictions()
    assert [(each.session, each.came_s) for each in found] == [(first, None), (second, 65.0)]
    stopped, over = prediction_lines(found)
    assert stopped.startswith("session 1: predicted after 30 s")
    assert stopped.endswith("it was stopped, or still runs")
    assert over.startswith("session 2: predicted after 30 s")
    assert over.endswith("it ended after 1 min 05 s")
    assert prediction_lines(found[:1])[0].startswith("predicted after 30 s")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("unsure", "cannot be predicted yet: 3 calls have ended, and it takes at least 50"),
        ("broken", "cannot be predicted: RuntimeError: ZeroDivisionError: no idea"),
        ("missing", "cannot be predicted: RuntimeError: AttributeError"),
        ("never", "cannot be predicted: ValueError: never returned Forecast("),
    ],
)
def test_what_goes_wrong_is_a_line(name: str, said: str, tmp_path: Path) -> None:
    with foretelling(name, tmp_path) as run:
        until("\n", run.out)  # whatever it is
    assert said in run.out.getvalue()
    assert "Traceback" not in run.out.getvalue()
    assert run.kept == []


def test_the_end_is_not_predicted_from_a_last_few_problems(tmp_path: Path) -> None:
    with foretelling("told", tmp_path, left=3) as run:
        run.teller._forecast(1.0)
        assert run.kept == []


@pytest.mark.parametrize("name", ["endless", "parent"])
def test_a_run_does_not_wait_for_a_prediction_that_is_under_way(tmp_path: Path, name: str) -> None:
    with foretelling(name, tmp_path) as run:
        over_s = time.monotonic() + PATIENCE_S
        while not (tmp_path / "asked").exists():
            assert time.monotonic() < over_s
            time.sleep(0.01)
    assert "cannot" not in run.out.getvalue()


def test_once_it_is_over_nothing_is_predicted_any_more(
    tmp_path: Path, still_running: Callable[[str], list[str]]
) -> None:
    with foretelling("told", tmp_path) as run:
        assert run.kept.there.wait(PATIENCE_S)
        run.teller.over()
        assert not still_running("forecast")
        assert all(each.came_s is not None for each in run.kept)


def test_a_folder_that_cannot_be_written_costs_the_prediction_only(tmp_path: Path) -> None:
    with Store(tmp_path):
        (tmp_path / "so-far.trace.jsonl").mkdir()
    with foretelling("told", tmp_path) as run:
        until("the end of the run cannot be predicted: RuntimeError: IsADirectoryError", run.out)


# -- a whole run ------------------------------------------------------------------------------------


def test_a_run_reports_what_it_predicted_and_what_came(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(8):
        bench.package(f"more-{number}")
    monkeypatch.setattr(running, "FORECAST_AT", _OFTEN)
    monkeypatch.setattr("balancer.pipeline.running.forecast.EndForecaster._asked", _at_once)
    bench.registry.forecasters.clear()
    bench.registry.forecasters["told"] = Registered(plugin("told"), "tests")
    settled = turns.settle
    made = threading.Event()
    keep = running.Store.keep_predictions

    def kept(self: running.Store, session: int, told: list[EndPrediction]) -> None:
        keep(self, session, told)
        made.set()

    def wait(store: running.Store, problem: Problem) -> None:
        settled(store, problem)
        if len(store.sessions()) == 1 and problem.id == "more-3":  # the fifth: three are over, and six left at least
            assert made.wait(PATIENCE_S)

    monkeypatch.setattr(running.Store, "keep_predictions", kept)
    monkeypatch.setattr(turns, "settle", wait)
    found = bench.run()
    assert found.predictions
    assert all(each.came_s is not None for each in found.predictions)
    (line, *_) = prediction_lines(found.predictions)
    assert line.endswith("it ended after 0 s") or "it ended after" in line
    said = StringIO()
    print_summary(found, Console(file=said, width=400))
    assert "it ended after" in said.getvalue()
    page = write_report(found, bench.folder / "results")
    assert "Predictions of its end" in page.read_text(encoding="utf-8")
    assert json.loads((bench.folder / "results" / "summary.json").read_text())["predictions"][0]["calls"] == 7


def test_a_run_that_is_told_not_to_predicts_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("it is not to be forecast")

    monkeypatch.setattr(running, "EndForecaster", refuse)
    bench.registry.forecasters.clear()
    bench.registry.forecasters["told"] = Registered(plugin("told"), "tests")
    with pytest.raises(AssertionError):
        bench.run()
    bench.write(f"{CONFIG}predict = false\n")
    assert bench.run().predictions == ()


def _at_once(self: EndForecaster, order: dict[str, object]) -> dict[str, object]:
    return {"left_s": 5.0, "low_s": 4.0, "high_s": 6.0, "calls": 7, "advice": ""}


def test_the_simulator_forecasts_and_others_may() -> None:
    assert list(default_registry().forecasters) == ["simulator"]
    for wrong in (object(), ForecasterPlugin("x", "no function", ""), ForecasterPlugin("x y", "a:b", "")):
        with pytest.raises(TypeError):
            names_of_forecaster(wrong)
