"""What people get wrong with a study is one line that says what to do; and a study does not flood a notebook."""

import pytest
from balancer_simulator import EndpointModel, Poisson, Scenario, run_study, run_sweep
from balancer_strategies.fifo import Fifo

from balancer.errors import ConfigError, StrategyError
from balancer.plugins.registry import Registry
from balancer.strategy import Node, Request

_SCENARIO = Scenario(
    name="two",
    workload=Poisson(rate_per_s=1.0),
    endpoints=[EndpointModel(url="http://{1..2}/")],
    horizon_s=50.0,
    replications=2,
)


class Idle(Fifo):
    """Never chooses."""

    name = "idle"

    def pick(self, request: Request, now: float) -> Node | None:
        return None


class Broken(Fifo):
    """Fails when a slot is taken."""

    name = "broken"

    def pick(self, request: Request, now: float) -> Node | None:
        raise ZeroDivisionError("no share")


def _registry(strategy: type[Fifo]) -> Registry:
    registry = Registry()
    registry.add_strategy(strategy)
    return registry


@pytest.fixture(scope="module")
def study():
    return run_study(_SCENARIO, ["fifo", "p2c"])


# -- names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "line"),
    [
        (
            lambda study: study.metrics("pck"),
            r"study: unknown policy 'pck'; did you mean .p2c.\? \(there are: fifo",
        ),
        (lambda study: study.difference("fifo", "pck", "wait_mean_s"), "study: unknown policy 'pck'; did you mean"),
        (lambda study: study.metric("fifo", "wait_p98_s"), "unknown figure 'wait_p98_s'; did you mean 'wait_p9"),
        (lambda study: study.ranking("wait_p98_s"), "unknown figure 'wait_p98_s'; did you mean 'wait_p9"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(study, ask, line):
    with pytest.raises(ConfigError, match=f"^{line}"):
        ask(study)


def test_a_figure_that_the_runs_do_not_have_is_named_with_those_they_have(study):
    line = r"^study: 'fifo' has no makespan_s in 2 of 2 replications; it has throughput_per_s, "
    with pytest.raises(ConfigError, match=line):
        study.metric("fifo", "makespan_s")
    with pytest.raises(ConfigError, match=line):
        study.ranking("makespan_s")


@pytest.mark.parametrize(
    ("run", "kind", "line"),
    [
        (lambda: run_study("x.toml"), TypeError, r"^run_study takes a Scenario, not 'x.toml'; .*load_scenario"),
        (lambda: run_study(_SCENARIO, []), ConfigError, "^policies: found none; name at least one"),
        (lambda: run_sweep({1: _SCENARIO}, []), ConfigError, "^policies: found none; name at least one"),
        (lambda: run_study(_SCENARIO, "fifo"), ConfigError, r"^policies: found the text 'fifo'; give a list"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_one_line(run, kind, line):
    with pytest.raises(kind, match=line):
        run()


# -- strategies that do not work ----------------------------------------------------------------------


def test_a_strategy_that_never_chooses_is_told_from_one_that_works():
    study = run_study(_SCENARIO, ["idle"], registry=_registry(Idle))
    for ask in (study.best, lambda: study.metric("idle", "sojourn_mean_s")):
        with pytest.raises(ConfigError, match=r"none of \d+ requests succeeded; .* check_strategy"):
            ask()
    assert study.ranking() == ["idle"]
    assert study.metric("idle", "unfinished").mean == 1.0
    assert not study.keeps_up("idle")


def test_an_exception_of_a_strategy_names_it():
    with pytest.raises(StrategyError, match=r"^strategy 'broken' raised ZeroDivisionError\(.*\) in ") as caught:
        run_study(_SCENARIO, ["broken"], registry=_registry(Broken))
    assert [note.startswith("under 'broken', replication 0, at ") for note in caught.value.__notes__] == [True]


# -- notebooks ----------------------------------------------------------------------------------------


def test_a_study_and_a_record_are_a_line_each(study):
    assert repr(study) == "<Study of 'two': fifo, p2c; 2 replications>"
    assert repr(run_study(_SCENARIO.changed(loads=[0.5], replications=1), ["fifo"])) == (
        "<Study of 'two': fifo; 1 replication, loads 0.5>"
    )
    record = study.records["fifo"][1]
    assert repr(record) == (
        f"<Record of 'fifo', replication 1: {record.completed} completed, 0 lost, {record.unfinished} unfinished>"
    )
    assert len(repr(run_sweep({1: _SCENARIO}, ["fifo"]))) < 100
