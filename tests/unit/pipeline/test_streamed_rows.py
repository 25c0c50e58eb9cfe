"""Runs over rows: taken one at a time, left out by name, judged anew when they change, written out with their cases."""

import json
import threading
from collections.abc import Iterable, Iterator
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import datasets
import pytest
from rich.console import Console

from balancer.errors import ConfigError
from balancer.hookspecs import ExecutorPlugin
from balancer.pipeline.progress import Progress
from balancer.pipeline.proposing import Feedback
from balancer.pipeline.report import write_report
from balancer.pipeline.report.export import write_rows
from balancer.pipeline.results.run_result import MOST_DETAILED, RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.rows.read import ALL, Shard
from balancer.pipeline.running.run import RunOptions, run_pipeline
from balancer.pipeline.running.turns import work_through
from balancer.plugins.registry import Registered, Registry, default_registry
from balancer.problem import Origin, Problem, Proposal
from balancer.settings.config import parse_config
from tests.unit.pipeline.bench import Own
from tests.unit.pipeline.fakes import FakeExecutor

WRONG = ("square", "killed at 8", "fat at 7", "right after all")


class Rounds:
    """Proposes 8 at first and 7 in the second round; nothing kills "right after all"."""

    name: ClassVar[str] = "rounds"

    def propose(self, problem: Problem, rng: Random, budget: int) -> Iterable[Proposal]:
        """Yield inputs that kill one wrong program, and one that kills none that is left."""
        yield from (Proposal(data, Origin(self.name, "first")) for data in (b"8", b"0"))

    def refine(self, problem: Problem, feedback: Feedback, rng: Random, budget: int) -> Iterable[Proposal]:
        """Yield an input that kills another one, once."""
        if feedback.round == 1:
            yield Proposal(b"7", Origin(self.name, "second"))


class Bench:
    """A folder with rows, and a registry whose executors are in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: list[FakeExecutor] = []
        self.new = FakeExecutor
        self.said = StringIO()
        self.registry = Registry(group=None)
        self.registry.executors["fake"] = Registered(ExecutorPlugin(("fake",), self._make, "in memory"), "tests")
        self.registry.generators.update({each.name: Registered(each, "tests") for each in (Own(), Rounds())})
        self.registry.strategies.update(default_registry().strategies)

    def _make(self, url: str, options: object) -> FakeExecutor:
        self.made.append(self.new())
        return self.made[-1]

    def write(self, *rows: object) -> None:
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        (self.folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines))

    def run(self, *, share: Shard = ALL, results: str = "results", **rows: Any) -> RunResult:
        verify = {"share": 0.0, "first": 0}  # calls are counted
        return self.run_with({"results": results, "rows": rows}, RunOptions(shard=share), verify=verify)

    def run_with(self, pipeline: dict[str, Any], options: RunOptions, **settings: Any) -> RunResult:
        self.made, self.said = [], StringIO()
        config = parse_config(
            {
                "pool": {"strategy": "fifo"},
                "endpoints": [{"url": "fake://{1..2}/", "capacity": 2}],
                "pipeline": {
                    "problems": str(self.folder / "rows.jsonl"),
                    "generators": ["data", "rounds"],
                    "sample_level_workers": 2,
                    "output_generation_workers": 2,
                    "solution_validation_workers": 2,
                    "attempts": 2,
                    "outage_s": 0,
                    **pipeline,
                    "results": str(self.folder / pipeline["results"]),
                },
                **settings,
            },
            file="test",
            environ={},
        )
        return run_pipeline(config, self.registry, Console(file=self.said, width=200), options)

    def written(self, results: str = "results") -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / results / "rows.jsonl").read_text().splitlines()]

    @property
    def calls(self) -> int:
        return sum(len(executor.calls) for executor in self.made)


def row(name: str, *, tests: Iterable[int] = (1, 2), wrong: Iterable[str] = WRONG, **columns: Any) -> dict[str, Any]:
    return {
        "id": name,
        "statement": "Double it.",
        "tests": [{"input": str(n), "output": str(2 * n)} for n in tests],
        "right": [{"language": "python", "source": source} for source in ("double", "add")],
        "wrong": [{"language": "python", "source": source} for source in wrong],
        **columns,
    }


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


# -- what comes out ------------------------------------------------------------------------------------


def test_a_row_goes_on_with_its_columns_and_has_its_new_cases(bench):
    bench.write(row("a", rating=1200), row("b", rating=None))
    found = bench.run()
    assert found.complete
    first, second = bench.written()
    assert {**first, "new_cases": 0} == {**row("a", rating=1200), "row_number": 0, "new_cases": 0}
    assert first["new_cases"] == second["new_cases"]
    assert [(case["input"], case["output"].strip(), case["round"]) for case in first["new_cases"]] == [
        ("8", "16", 0),
        ("7", "14", 1),
    ], "0 kills nobody, and the second round has taken its place"
    kills = {case["input"]: case["kills"] for case in first["new_cases"]}
    assert kills == {"8": ["wrong/0.py", "wrong/1.py"], "7": ["wrong/2.py"]}, (
        "the second round ran what survived the first"
    )
    assert first["new_cases"][0]["origin"] == "rounds: first"


def test_what_comes_out_is_a_data_set(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    bench.write(row("a", rating=None, tags=[]), *(row(f"r{n}", rating=n, tags=["x"]) for n in range(40)))
    bench.run()
    path = str(tmp_path / "results" / "rows.jsonl")
    loaded = datasets.load_dataset("json", data_files=path, split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded.num_rows == 41
    assert loaded[0]["rating"] is None
    assert loaded[1]["rating"] == 0
    assert [case["input"] for case in loaded[40]["new_cases"]] == ["8", "7"]


# -- which rows ----------------------------------------------------------------------------------------


def test_a_bad_row_is_named_and_left_out(bench, monkeypatch):
    told = []
    monkeypatch.setattr(Progress, "expect", lambda self, problems: told.append(problems))
    bench.write(row("a"), "{not json", row("b"), {**row("c"), "right": []})
    found = bench.run()
    assert told[-1] == 2
    assert found.complete
    assert found.totals.problems == 2
    assert found.rows_left_out == 2
    assert [bad.number for bad in found.left_out_rows] == [1, 3]
    assert "row 1 (from 0) is left out: is not JSON" in bench.said.getvalue()
    assert found.summary()["rows_left_out"]["first"][1]["row"] == 3
    page = write_report(found, bench.folder / "results").read_text()
    assert "row 1 (from 0)" in page
    assert [(each["id"], each["row_number"]) for each in bench.written()] == [("a", 0), ("b", 2)]
    left_out = (bench.folder / "results" / "rows_left_out.jsonl").read_text().splitlines()
    assert [json.loads(line)["row_number"] for line in left_out] == [1, 3]


def test_rows_of_which_none_could_be_read_are_not_read_again(tmp_path):
    with Store(tmp_path) as store:
        store.describe({"kind": "rows", "problems": "gone.jsonl", "split": "train"})
        store.problems.leave_out_row(0, "is not JSON")
        write_rows(store, tmp_path)
    assert [(tmp_path / name).stat().st_size > 2 for name in ("rows.jsonl", "rows_left_out.jsonl")] == [False, True]


def test_columns_that_are_not_used_are_told_once(bench):
    bench.write(row("a", checker="int main() {}"), row("b"), row("c", checker="int main() {}"))
    found = bench.run()
    assert bench.said.getvalue().count("columns of the rows are not used: checker") == 1
    assert [problem.notes for problem in found.problems] == [()] * 3, "they are not told of each row again"


def test_a_later_session_may_take_more_rows(bench):
    bench.write(*(row(f"r{n}") for n in range(6)))
    assert bench.run(limit=2).totals.problems == 2
    calls = bench.calls
    found = bench.run(limit=4)
    assert found.totals.problems == 4
    assert bench.calls == calls, "the first two are not judged again"
    assert [each["id"] for each in bench.written()] == ["r0", "r1", "r2", "r3"]


def test_a_row_that_has_changed_is_judged_anew_and_the_others_are_not(bench):
    bench.write(row("a"), row("b"))
    bench.run()
    half = bench.calls / 2
    bench.write(row("a"), row("b", tests=[1, 8]))
    found = bench.run()
    assert "row 1 (from 0), b, has changed since it was judged; it is judged again" in bench.said.getvalue()
    assert 0 < bench.calls <= half
    assert found.complete
    assert next(problem.killed_before for problem in found.problems if problem.id == "b")
    bench.run()
    assert bench.calls == 0


def test_rows_of_one_name_keep_their_results_apart_whatever_is_taken_first(bench):
    bench.write("no row yet", row("a", wrong=["square"]))
    bench.run()
    bench.write(row("a"), row("a", wrong=["square"]))
    found = bench.run()
    assert found.totals.problems == 2
    assert {problem.id for problem in found.problems} == {"a", "a-row-0"}
    assert [len(each["wrong"]) for each in bench.written()] == [4, 1]


# -- stopping ------------------------------------------------------------------------------------------


# -- many ----------------------------------------------------------------------------------------------


@pytest.mark.more
def test_of_many_rows_those_with_most_survivors_are_told_in_detail(bench):
    wrong = ("right after all", "fat at 7", "square")
    bench.write(*(row(f"r{n}", wrong=wrong if n % 2 else wrong[1:]) for n in range(MOST_DETAILED + 20)))
    found = bench.run()
    assert found.totals.problems == MOST_DETAILED + 20
    assert len(found.problems) == MOST_DETAILED
    assert [len(problem.survivors) for problem in found.problems] == [1] * 30 + [0] * 10
    summary = found.summary()
    assert (summary["problems"], summary["detailed"]) == (MOST_DETAILED + 20, MOST_DETAILED)
    assert summary["counts"]["survivors"] == 30
    page = write_report(found, bench.folder / "results").read_text()
    assert f"Shown in detail are {MOST_DETAILED} of {MOST_DETAILED + 20} problems" in page
    assert len(page) < 1_500_000


def test_a_survivor_can_be_read_beside_the_cases_that_came_nearest(bench):
    bench.write(row("a"))
    found = bench.run()
    (reading,) = found.readings
    assert set(reading.cases) == {int(path.stem) for path in (bench.folder / "results" / "inputs" / "a").glob("*.in")}
    shown = write_report(found, bench.folder).read_text()
    for words in ("right after all", "all 4, and 1 that later rounds replaced", "of 5 s", "1 B"):
        assert words in shown, words
    assert shown.index("rejects 2:") < shown.index("rejects 1:")


# -- the threads ---------------------------------------------------------------------------------------


class _Stoppable:
    """As much of a runner as is needed."""

    stopping = False

    def stop(self) -> None:
        self.stopping = True


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_is_read_than_can_be_worked_on(workers):
    lock, taken, ended = threading.Lock(), 0, 0
    ahead: list[int] = []

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(50):
            with lock:
                taken += 1
                ahead.append(taken - ended)
            yield number

    def act(number: int) -> None:
        nonlocal ended
        with lock:
            ended += 1

    assert work_through(items(), act, workers, _Stoppable())
    assert ended == 50
    assert max(ahead) <= workers + 1


def test_an_error_of_the_source_is_told_once_those_at_work_have_ended():
    done: list[int] = []

    def items() -> Iterator[int]:
        yield from range(3)
        raise ConfigError("broken file")

    with pytest.raises(ConfigError, match="broken file"):
        work_through(items(), done.append, 2, _Stoppable())
    assert sorted(done) == [0, 1, 2]
