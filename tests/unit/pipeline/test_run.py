"""A whole run over a pool of executors in memory: begun, stopped, gone on with, refused."""

import os
import signal
import threading
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from balancer.errors import BalancerError, ConfigError
from balancer.hookspecs import ExecutorPlugin
from balancer.pipeline.results.problem_log import ProblemLog
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.running.run import RunOptions, run_pipeline, settings_of, slots_of
from balancer.plugins.registry import Registered, Registry
from balancer.program import Executor, ExecutorOptions
from balancer.settings.config import Config, load_config
from tests.unit.pipeline.fakes import DOWN, FakeExecutor

CONFIG = """
[pool]
strategy = "least_in_flight"
[[endpoints]]
url = "fake://{1..3}/"
capacity = 2
[verify]  # off, as runs are counted
share = 0.0
first = 0
[pipeline]
problems = "problems"
results = "results"
sample_level_workers = 2
output_generation_workers = 3
solution_validation_workers = 3
max_inputs = 4
attempts = 2
outage_s = 0
"""


class Bench:
    """A folder with a config, problems, and a registry whose executors are in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, FakeExecutor] = {}
        self.closed: list[str] = []
        self.options: list[ExecutorOptions] = []
        self.new: Callable[[], FakeExecutor] = FakeExecutor
        self.registry = Registry(group=None)
        plugin = ExecutorPlugin(("fake",), self._make, "in memory")
        self.registry.executors["fake"] = Registered(plugin, "tests")
        self.write(CONFIG)
        for name in ("doubling", "tripling", "zeroing"):
            self.package(name)

    def _make(self, url: str, options: ExecutorOptions) -> Executor:
        executor = self.new()
        self.options.append(options)
        executor.when_closed = lambda: self.closed.append(url)
        self.made[url] = executor
        return executor

    def write(self, config: str) -> None:
        (self.folder / "balancer.toml").write_text(config)

    def package(self, name: str, wrong: tuple[str, ...] = ("square", "slow from 20")) -> None:
        home = self.folder / "problems" / name
        files = {
            "problem.yaml": f"name: {name}\n",
            "data/sample/1.in": "1\n",
            "data/sample/1.ans": "2\n",
            "data/secret/2.in": "25\n",
            "input_validators/check.py": "check input",
            "submissions/accepted/double.py": "double",
            "submissions/accepted/add.py": "add",
            **{f"submissions/wrong_answer/{source}.py": source for source in wrong},
        }
        for path, text in files.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(text)

    @property
    def config(self) -> Config:
        return load_config(self.folder / "balancer.toml")

    def run(self, *, fresh: bool = False) -> RunResult:
        self.made, self.closed = {}, []
        return run_pipeline(self.config, self.registry, Console(file=StringIO()), RunOptions(fresh=fresh))

    @property
    def calls(self) -> int:
        """How many programs the last run ran."""
        return sum(len(executor.calls) for executor in self.made.values())


@pytest.fixture
def bench(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Bench(tmp_path)


class Pinged(FakeExecutor):
    """Runs no program before it was pinged."""

    def __init__(self) -> None:
        self.pinged = threading.Event()
        super().__init__(gate=self.pinged)

    def ping(self) -> None:
        self.pinged.set()


# -- one run -------------------------------------------------------------------------------------------


def test_a_run_judges_everything_and_counts_every_lease(bench):
    result = bench.run()
    assert result.complete
    assert result.sessions == 1
    assert [problem.id for problem in result.problems] == ["doubling", "tripling", "zeroing"]
    assert (result.slots, result.strategy) == (6, "least_in_flight")
    assert bench.calls == result.work.leases == result.pool.acquired
    assert result.work.endpoints.keys() == set(bench.made)
    assert all(endpoint.in_flight == 0 for endpoint in result.pool.endpoints)
    assert sorted(bench.closed) == sorted(bench.made)
    for problem in result.problems:
        assert len(problem.ready) == 2 + 4
        assert (len(problem.kept), len(problem.killed), problem.unjudged) == (2, 2, 0)
        assert problem.killed_before == problem.killed, "the input 25 is slow, and none is a square"
    assert result.bound_s <= result.makespan_s
    assert 0 < result.utilisation <= 1
    assert 0 <= result.work.started_s <= result.work.ended_s


@pytest.mark.parametrize(
    ("caps", "slots"),
    [
        ("", 12),
        ("h1 = 3", 3 + 4 + 4),
        ('h1 = 3\n"*" = 1', 3 + 1 + 1),
        ('h3 = 100\n"*" = 3', 3 + 3 + 4),
    ],
)
def test_slots_are_those_that_may_be_used_at_once(bench, caps, slots):
    """Three hosts with two endpoints of two slots each; a host's cap, or that of all others, may be less than four."""
    config = CONFIG.replace("fake://{1..3}/", "fake://h{1..3}:{1..2}/") + f"[host_caps]\n{caps}\n"
    bench.write(config)
    assert slots_of(bench.config) == slots
    assert bench.run().slots == slots


def test_endpoints_are_pinged_while_it_runs_and_no_longer(bench, still_running):
    bench.new = Pinged
    bench.write(CONFIG + '[health]\nping = "ping"\n')
    assert bench.run().complete
    assert bench.calls > 0
    assert not still_running("ping ")


@pytest.mark.parametrize("health", ["", '[health]\nenabled = false\nping = "ping"\n'])
def test_nobody_is_pinged_who_was_not_asked_for(bench, health, monkeypatch):
    monkeypatch.setattr("balancer.pipeline.running.run.Prober", None)  # must not be called
    bench.write(CONFIG + health)
    assert bench.run().complete


@pytest.mark.parametrize(("scheme", "again"), [("fake", True), ("local", False)])
def test_runs_are_made_again_where_another_machine_can_tell(bench, scheme, again):
    bench.registry.executors["local"] = bench.registry.executors["fake"]
    bench.write(
        CONFIG.replace("[verify]", "[verify]\n#").replace("first = 0", "first = 10").replace("fake:", f"{scheme}:")
    )
    bench.run()
    with Store(bench.folder / "results") as store:
        assert bool(store.trust.found().again) is again


def test_executors_get_what_the_config_says(bench):
    bench.write(CONFIG.replace("capacity = 2", 'capacity = 2\nheaders = { Authorization = "Bearer secret" }'))
    bench.run()
    assert [dict(options.headers) for options in bench.options] == [{"Authorization": "Bearer secret"}] * 3
    assert all(str(options.cache_dir).endswith("results/compiled") for options in bench.options)


def test_complete_run_runs_nothing_with_another_strategy_and_says_the_same(bench):
    first = bench.run()
    assert bench.run() == first, "the figures are those of the session that ran programs"
    assert bench.calls == 0
    changed = CONFIG.replace("least_in_flight", "fifo").replace("{1..3}", "{4..5}")
    bench.write(changed.replace("_workers = 3", "_workers = 1"))
    assert bench.run().complete
    assert bench.calls == 0


# -- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("max_inputs = 4", "max_inputs = 5", "setting max_inputs"),
        ("max_inputs = 4", "max_inputs = 4\nseed = 2", "setting seed"),
        ("max_inputs = 4", "max_inputs = 4\ntime_limit_factor = 2.0", "setting time_limit_factor"),
        ("max_inputs = 4", 'max_inputs = 4\ngenerators = ["data"]', "setting generators"),
    ],
)
def test_other_settings_are_another_run(bench, before, after, named):
    bench.run()
    bench.write(CONFIG.replace(before, after))
    with pytest.raises(ConfigError, match=rf"^results: holds a run with other {named}; use --fresh to start over"):
        bench.run()
    assert bench.calls == 0
    assert bench.closed, "executors that were made are closed"
    assert bench.run(fresh=True).sessions == 1
    assert bench.calls > 0


def test_a_language_that_came_since_is_another_run(bench):
    """What no endpoint could run was left out for good; to go on would leave it out without a reason."""
    for name in ("doubling", "tripling", "zeroing"):
        (bench.folder / "problems" / name / "submissions/accepted/fast.cpp").write_text("double")
    bench.run()
    bench.new = lambda: FakeExecutor(languages=["python", "cpp"])
    with pytest.raises(ConfigError, match="other languages on the endpoints; use --fresh"):
        bench.run()
    result = bench.run(fresh=True)
    assert all(problem.left_out == {} for problem in result.problems)
    bench.new = lambda: FakeExecutor(languages=["python", "cpp", "cobol"])
    assert bench.run().complete, "a language that nobody uses does not matter"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("fake://", "ftp://"), r"unknown endpoint scheme 'ftp'"),
        (("fake://{1..3}/", "fake://[::1/"), ""),
        (('"least_in_flight"', '"least_in_fligth"'), r"unknown strategy .*; did you mean 'least_in_flight'"),
        (("max_inputs", 'generators = ["mutant"]\nmax_inputs'), r"unknown generator 'mutant'; did you mean 'mutate'"),
        (('"problems"', '"problem"'), r"problem: not a folder"),
    ],
)
def test_a_run_that_never_began_claims_no_folder(bench, change, line):
    if line:
        bench.write(CONFIG.replace(*change).replace("max_inputs = 4", "max_inputs = 5"))
        with pytest.raises(BalancerError, match=line):
            bench.run()
        bench.write(CONFIG)
    else:
        bench.write(CONFIG.replace(*change))  # an odd name is a name
    assert bench.run().complete


def test_without_a_pipeline_there_is_nothing_to_run(bench):
    bench.write(CONFIG.partition("[pipeline]")[0])
    with pytest.raises(ConfigError, match=r"balancer\.toml: \[pipeline\]: is missing; add it"):
        settings_of(bench.config)


# -- stopping and going on -----------------------------------------------------------------------------


def undisturbed(bench: Bench) -> object:
    bench.write(CONFIG.replace('"results"', '"undisturbed"'))
    found = bench.run().problems
    bench.write(CONFIG)
    return found


def after_calls(count: int, act: Callable[[], None]) -> Callable[[], FakeExecutor]:
    """Return what makes executors that together do `act` at their `count`th call.

    Calls are slow from then on: a signal may reach the main thread as late as 0.2 s afterwards, if the kernel
    hands it to another thread, and the run must not be over by then.
    """
    lock = threading.Lock()
    calls = 0

    def call_s() -> float:
        nonlocal calls
        with lock:
            calls += 1
            if calls == count:
                act()
            return 0.001 if calls < count else 0.04

    return lambda: FakeExecutor(call_s=call_s)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("count", [1, 30, 60])
def test_a_signal_stops_it_and_the_next_run_goes_on(bench, number, count):
    expected = undisturbed(bench)
    before = signal.getsignal(number)
    bench.new = after_calls(count, lambda: os.kill(os.getpid(), number))
    stopped = bench.run()
    assert not stopped.complete
    assert stopped.stopped_by == number
    assert signal.getsignal(number) is before
    assert stopped.work.leases < 150
    assert all(endpoint.in_flight == 0 for endpoint in stopped.pool.endpoints)
    bench.new = FakeExecutor
    result = bench.run()
    assert result.complete
    assert result.sessions == 2
    assert result.problems == expected
    assert result.work.leases == result.pool.acquired == bench.calls, "figures are the last session's"


def test_a_session_that_was_killed_counts_as_one(bench):
    bench.new = after_calls(40, lambda: os.kill(os.getpid(), signal.SIGINT))
    bench.run()
    with Store(bench.folder / "results") as store:  # as SIGKILL leaves it: no word on how the session ended
        store.log.replace("", ["ended"])
    bench.new = FakeExecutor
    assert bench.run().sessions == 2


# -- when things fail ----------------------------------------------------------------------------------


def test_when_all_endpoints_are_down_all_is_unjudged_and_the_result_says_why(bench):
    expected = undisturbed(bench)
    bench.new = lambda: FakeExecutor(always=DOWN)
    down = bench.run()
    assert not down.complete, "a run that judged nothing is no success"
    assert down.stopped_by == 0
    assert down.reasons == {"after 3 of 3 tries: connection refused": 6 * len(down.problems)}
    for problem in down.problems:
        assert problem.ready == ()
        assert problem.unjudged == 2 + 4
        assert problem.notes == ("unjudged, 6 x: after 3 of 3 tries: connection refused",)
        assert problem.rejected == problem.kept == problem.survivors == problem.killed == ()
        assert len(problem.not_judged) == 4
    summary = down.summary()
    assert (summary["judged"], summary["accepted_kept"], summary["wrong_killed"]) == (0, None, None)
    bench.new = FakeExecutor
    assert bench.run().problems == expected


def test_an_error_in_one_problem_stops_the_others(bench, monkeypatch):
    """Else an error of the first minute would be told after hours."""
    expected = undisturbed(bench)
    begin = ProblemLog.propose

    def failing(log: ProblemLog, *what: object) -> None:
        if log.problem == "tripling":
            raise BalancerError("disk full")
        begin(log, *what)

    monkeypatch.setattr(ProblemLog, "propose", failing)
    bench.new = lambda: FakeExecutor(call_s=lambda: 0.02)
    with pytest.raises(BalancerError, match="disk full"):
        bench.run()
    assert bench.calls < 60
    assert sorted(bench.closed) == sorted(bench.made)
    monkeypatch.setattr(ProblemLog, "propose", begin)
    bench.new = FakeExecutor
    assert bench.run().problems == expected
