"""Problems that are judged elsewhere: what goes and what comes back adds up to what one process would have found."""

import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from balancer.errors import ConfigError
from balancer.judging.executors import make_executors
from balancer.judging.trust import Trust
from balancer.opening.pool import Pool
from balancer.pipeline.progress import WorkerProgress
from balancer.pipeline.results.diff import difference
from balancer.pipeline.results.records import TrustStore
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.results.transfer import begin_with, part_of, take_back
from balancer.pipeline.running.remote import RemoteResult, RemoteTask, run_remote_task
from balancer.pipeline.running.run import RunOptions
from balancer.plugins.registry import Registered
from balancer.settings.config import Config
from tests.unit.cli_mistakes import GOOD
from tests.unit.command import balancer, package, registry
from tests.unit.pipeline import test_streamed_rows as rows
from tests.unit.pipeline.bench import make_problem
from tests.unit.pipeline.fakes import FakeExecutor

__all__ = ["balancer", "registry"]


class _Near:
    """An engine whose workers are threads of this process, but all that goes there and comes back is pickled."""

    def __init__(self, registry: Any) -> None:
        self.registry = registry
        self.judged: list[str] = []
        self.dies: set[str] = set()
        self.stops: Callable[[], bool] = bool
        self.at_once = 3
        self.heard: list[WorkerProgress] = []

    @contextmanager
    def __call__(self, config: Config) -> Iterator["_Near"]:
        self.config = config
        self.pool = Pool.from_config(config, registry=self.registry)
        self.trust = Trust(config.verify, [endpoint.name for endpoint in self.pool.endpoints()])
        yield self

    def judge(
        self, sent: RemoteTask, heard: Callable[[WorkerProgress], None], stopping: Callable[[], bool]
    ) -> RemoteResult | str:
        problem = sent.problem.id
        if problem in self.dies:
            return "its worker died"
        self.judged.append(problem)
        executors = make_executors(self.config, self.registry, Path("nowhere"))

        def tell(each: WorkerProgress) -> bool:
            self.heard.append(each)
            heard(each)
            return stopping() or self.stops()

        sent = pickle.loads(pickle.dumps(sent))
        came = run_remote_task(sent, self.config, self.registry, self.pool, executors, tell, self.trust)
        found: RemoteResult = pickle.loads(pickle.dumps(came))
        return found

    def stats(self) -> Mapping[str, Any]:
        return self.pool.stats().to_dict()


class _Bench(rows.Bench):
    def away(self, near: "_Near | None", results: str, **pipeline: Any) -> RunResult:
        return self.run_with({"results": results, **pipeline}, RunOptions(engine=near))


@pytest.fixture
def bench(tmp_path):
    made = _Bench(tmp_path)
    made.write(*(rows.row(f"r{n}") for n in range(4)))
    return made


def _same(bench: _Bench, one: str, other: str) -> bool:
    with Store(bench.folder / one) as first, Store(bench.folder / other) as then:
        return difference(first, then).same


def test_it_comes_to_what_one_process_finds(bench):
    near = _Near(bench.registry)
    here, found = bench.away(None, "here"), bench.away(near, "there")
    assert here.complete
    assert found.complete
    assert sorted(near.judged) == ["r0", "r1", "r2", "r3"]
    assert _same(bench, "here", "there")
    assert bench.written("there") == bench.written("here")
    assert found.verified.runs == here.verified.runs > 0
    assert found.work.leases == found.verified.runs + found.verified.again == found.pool.acquired
    assert sum(each.done for each in near.heard) > 0


def test_a_worker_remembers_from_one_problem_to_the_next_which_endpoints_agree(bench):
    near = _Near(bench.registry)
    bench.write(*(rows.row(f"r{n}") for n in range(30)))
    verified = bench.away(near, "there").verified
    # Ten of each endpoint in a row, and few by chance; with a new record for each problem it is nearly half of them.
    assert 10 <= verified.again < 0.15 * verified.runs


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_the_wall_clock_of_a_worker_s_machine_moves_no_lease_of_the_run(bench, off_s, monkeypatch):
    """It shows another time there, or was set while the run goes on. One problem comes after the other all the same."""
    near, real, began_s = _Near(bench.registry), time.time, time.monotonic()
    near.at_once = 1
    monkeypatch.setattr(time, "time", lambda: real() + (off_s if near.judged else 0.0))
    assert bench.away(near, "there", sample_level_workers=1).complete
    took_s = time.monotonic() - began_s
    with Store(bench.folder / "there") as store:
        sql = "SELECT MIN(started_s), MAX(ended_s) FROM spans WHERE problem = ?"
        begun, ended = zip(*(store.log.row(sql, name) for name in near.judged), strict=True)
    assert len(begun) == 4
    assert all(after >= before for after, before in zip(begun, [0.0, *ended], strict=False))
    assert ended[-1] <= took_s


def test_a_problem_whose_workers_die_is_left_for_the_next_session_and_the_others_are_kept(bench):
    near = _Near(bench.registry)
    near.dies = {"r1"}
    found = bench.away(near, "there")
    assert not found.complete
    assert "r1 is left for the next session: its worker died" in bench.said.getvalue()
    again = _Near(bench.registry)
    assert bench.away(again, "there").complete
    assert again.judged == ["r1"]
    bench.away(None, "here")
    assert _same(bench, "here", "there")


def test_a_run_that_was_stopped_brings_back_what_was_judged_and_goes_on_there(bench):
    calls: list[None] = []

    def call_s() -> float:
        calls.append(None)
        return 0.0 if len(calls) < 48 else 0.5  # a problem takes 28

    near = _Near(bench.registry)
    near.at_once = 1
    near.stops = lambda: len(calls) >= 48
    bench.new = lambda: FakeExecutor(call_s=call_s)
    assert not bench.away(near, "there", sample_level_workers=1).complete
    with Store(bench.folder / "there") as store:
        assert store.of("r0").verdicts()
        assert store.of("r1").cases(), "what it had come to"
    bench.new = FakeExecutor
    again = _Near(bench.registry)
    assert bench.away(again, "there").complete
    assert "r0" not in again.judged
    bench.away(None, "here")
    assert _same(bench, "here", "there")


def test_an_engine_that_there_is_not_is_a_line(balancer):
    package()
    said = balancer("run", "c.toml", "--engine", "spark", config=GOOD)
    assert said.code == 2
    assert said.lines == [
        "balancer: --engine: found 'spark'; allowed is ray; leave it out for the threads of this process"
    ]


def test_a_generator_with_a_budget_of_the_whole_run_is_refused(bench):
    class Opened:
        name = "opened"

        @contextmanager
        def open(self, services: object) -> Iterator[object]:
            yield self

    bench.registry.generators["opened"] = Registered(Opened(), "tests")
    with pytest.raises(ConfigError, match=r"pipeline\.generators: opened keeps its budget in one process"):
        bench.away(_Near(bench.registry), "there", generators=["data", "opened"])
    assert not (bench.folder / "there").exists()


def test_of_what_a_liar_had_a_part_in_nobody_is_believed_any_more(tmp_path):
    with Store(tmp_path) as run:
        run.problems.meet(make_problem("p"), 0, "as it is")
        for endpoint in "ab":
            run.trust.believed(endpoint, "p")
        run.trust.eject("a", "it lied")
        run.withdraw()
        run.trust.believed("b", "p")
        assert run.trust.eject("b", "it lied") == 1, "what it has said since"


def test_a_liar_that_one_worker_finds_withdraws_what_others_have_believed_of_it(tmp_path):
    def judged(problem: str, find: Callable[[TrustStore], object]) -> None:
        """Judge a problem elsewhere, where `find` is found out."""
        with Store(tmp_path / f"of {problem}", fresh=True) as part:
            begin_with(part, part_of(run, problem))
            part.trust.believed("a", problem)
            part.trust.made_again("again")
            find(part.trust)
            take_back(run, problem, part_of(part, problem, whole=True), session, 0.0)

    with Store(tmp_path / "run") as run:
        session = run.begin_session("fifo", 1)
        for number in range(4):
            run.problems.meet(make_problem(f"p{number}"), number, "as it is")
        judged("p0", lambda trust: None)
        assert run.withdraw() == set()
        judged("p1", lambda trust: trust.eject("a", "it lied"))
        judged("p2", lambda trust: None)  # it was under way
        judged("p3", lambda trust: trust.eject("a", "it lied"))
        assert run.withdraw() == {"p0", "p1", "p2", "p3"}
        found = run.trust.found()
        assert [(each.endpoint, each.why) for each in found.liars] == [("a", "it lied")]
        assert found.again == 4
        assert len(list(run.problems.met())) == 4
        assert run.withdraw() == set()
