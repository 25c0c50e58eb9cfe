"""How many servers open arrivals need: the cheapest that does, the one that fails beside it, and where the knee is."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from balancer_simulator import (
    Closed,
    EndpointModel,
    Exponential,
    OnOff,
    Poisson,
    Policy,
    Requests,
    Scenario,
    simulate_once,
)
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.predicting.sizing import KNEE_LOADS, ServerForecast, ServerGoal, Sizing, servers_for
from balancer_simulator.report.sizing import servers_verdict

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from balancer.settings.config import load_config
from tests.simulation.made_traces import made_trace, written

Command = Callable[..., tuple[int, str, str]]

# Two servers of one slot, busy for 60% of the time.
_OPEN = Scenario(
    workload=Poisson(rate_per_s=12.0),
    endpoints=[EndpointModel(url=f"http://{name}/", service=Exponential(mean_s=0.1)) for name in "ab"],
    requests=Requests(attempts=1),
    policies=[Policy(strategy="fifo")],
    horizon_s=40.0,
    health=None,
)
_FIFO = ["fifo"]


@pytest.fixture(scope="module")
def trace() -> Trace:
    return made_trace(_OPEN, "fifo")


def sized(trace: Trace, draws: int = 5, **goal: float) -> Sizing:
    return servers_for(fit_trace(trace), ServerGoal(**goal), strategies=_FIFO, draws=draws)  # type: ignore[arg-type]


def number(found: Sizing) -> int:
    assert found.chosen is not None
    return len(found.chosen.setting.endpoints)


@pytest.mark.more
def test_slots_that_bind_are_varied_and_are_counted_at_their_cost(trace: Trace) -> None:
    now = sized(trace, p99_s=0.8, load=2.0)
    free = sized(trace, p99_s=0.8, load=2.0, slot_cost=0.1)
    assert number(free) < number(now)
    assert free.chosen is not None
    assert free.chosen.setting.slots > 1
    slots = [model.capacity for model in free.chosen.scenario.endpoints]
    assert free.chosen.cost == pytest.approx(number(free) + 0.1 * sum(slots))
    assert min(slots) > 1
    assert "never had so many calls at once, so the behaviour then is assumed" in servers_verdict(free)
    assert "never" not in servers_verdict(now)


def test_slots_that_never_were_all_in_use_are_not_varied(trace: Trace) -> None:
    wide = _OPEN.changed(endpoints=[each.model_copy(update={"capacity": 50}) for each in _OPEN.endpoints])
    with pytest.raises(ConfigError, match="--slot-cost: no endpoint ever had all its slots in use"):
        sized(made_trace(wide, "fifo"), p99_s=0.8, slot_cost=0.1)
    with pytest.raises(ConfigError, match="--slot-cost: found -1"):
        sized(trace, p99_s=0.8, slot_cost=-1.0)


def test_one_less_fails_and_what_comes_with_the_answer_is_what_was_wished(trace: Trace) -> None:
    found = sized(trace, p99_s=0.8, load=2.0)
    assert found.chosen is not None
    assert found.fails is not None
    assert len(found.fails.setting.endpoints) == number(found) - 1
    assert not found.does(found.fails)
    grown = _OPEN.changed(
        endpoints=[EndpointModel(url=f"http://{n}/", service=Exponential(mean_s=0.1)) for n in range(number(found))],
        workload=Poisson(rate_per_s=24.0),
    )
    came = [simulate_once(grown, Policy(strategy="fifo"), n).metrics["sojourn_p99_s"] for n in range(5)]
    assert sum(each <= 0.8 for each in came) >= 4


@pytest.mark.more
def test_the_knee_is_shown_for_today_the_answer_and_one_more(trace: Trace) -> None:
    found = sized(trace, p99_s=0.8, load=2.0)
    assert set(found.knee) == {"as it is", "answer", "one more"}
    assert list(found.knee["one more"]) == [2.0 * part for part in KNEE_LOADS]
    today, answer, more = (line[3.0].value for line in found.knee.values())
    assert today > answer > 0.9 * more


def test_a_time_that_no_server_meets_is_said_with_the_nearest(trace: Trace) -> None:
    found = sized(trace, p99_s=0.05)
    assert found.chosen is None
    assert found.fails is not None
    assert found.fails.sure_s == min(each.sure_s for each in found.tried)


@pytest.mark.more
def test_the_kind_with_the_lower_cost_for_its_work_is_bought() -> None:
    models = [
        EndpointModel(url="http://slow/", service=Exponential(mean_s=0.2)),
        EndpointModel(url="http://fast/", service=Exponential(mean_s=0.05)),
    ]
    scenario = _OPEN.changed(endpoints=models)
    for costs, kind in (({"http://fast/": 1.5}, "fast"), ({"http://fast/": 40.0}, "slow")):
        found = servers_for(scenario, ServerGoal(1.2, 4.0, costs=costs), strategies=_FIFO, draws=5)
        assert found.chosen is not None
        assert {url.split("-like-")[1] for url in found.chosen.made_up} == {f"{kind}/"}


def test_a_scenario_will_do() -> None:
    bursts = _OPEN.changed(workload=OnOff(on_rate_per_s=20.0, on_s=1.0, off_s=1.0), horizon_s=20.0)
    assert isinstance(servers_for(bursts, ServerGoal(2.0, 1.5), strategies=_FIFO, draws=5).chosen, ServerForecast)


def test_callers_who_wait_have_a_deadline_instead() -> None:
    closed = _OPEN.changed(workload=Closed(workers=3, calls=60), horizon_s=1e5)
    with pytest.raises(ConfigError, match=r"--p99: it is for open arrivals, and its workload is closed .*--deadline"):
        servers_for(closed, ServerGoal(1.0), draws=5)
    with pytest.raises(ConfigError, match="3 callers wait for their answers"):
        servers_for(fit_trace(made_trace(closed)), ServerGoal(1.0), draws=5)


@pytest.mark.parametrize(
    ("goal", "wrong"),
    [
        (ServerGoal(0.0), "--p99: found 0 s"),
        (ServerGoal(1.0, load=0.0), "--load: found 0"),
        (ServerGoal(1.0, losing=-1), "--losing: found -1"),
        (ServerGoal(1.0, costs={"http://c/": 1.0}), "--cost: there is no endpoint 'http://c/'; there are http://a/"),
        (ServerGoal(1.0, costs={"http://a/": 0.0}), "--cost: found 0"),
    ],
)
def test_a_goal_that_cannot_be_is_one_line(goal: ServerGoal, wrong: str) -> None:
    with pytest.raises(ConfigError, match=wrong):
        servers_for(_OPEN, goal, draws=5)


def test_the_command_prints_the_answer_and_writes_a_pool_and_a_page(
    trace: Trace, tmp_path: Path, command: Command
) -> None:
    path, config = str(written(trace, tmp_path)), tmp_path / "pool.toml"
    options = ("--p99", "800ms", "--load", "x2", "--strategy", "fifo", "--draws", "5", "--jobs", "1")
    code, said, _ = command("recommend", path, *options, "-o", str(config), "--report", str(tmp_path), "--json")
    assert code == 0
    found = json.loads(said)
    assert found["chosen"]["does"]
    assert not found["fails"]["does"]
    assert len(load_config(config).endpoints) == len(found["chosen"]["endpoints"])
    assert (tmp_path / "recommendation.html").read_text(encoding="utf-8").count("<figure") == 1


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--p99", "soon"), "--p99: found 'soon'; write it like"),
        (("--p99", "1s", "--deadline", "1h"), "--deadline: it excludes --p99: open arrivals have no end"),
        (("--load", "x2"), "--load: it needs --p99"),
        (("--losing", "1"), "--losing: it needs --p99"),
        (("--p99", "1s", "--certainty", "3"), "--certainty: found 3"),
        (("--p99", "1s", "--cost", "a=b"), "--cost: found 'a=b'; write it like"),
    ],
)
def test_an_option_that_does_not_apply_is_one_line(
    trace: Trace, tmp_path: Path, command: Command, options: tuple[str, ...], wrong: str
) -> None:
    code, said, wrongs = command("recommend", str(written(trace, tmp_path)), *options)
    assert (code, said) == (2, "")
    assert wrong in wrongs
