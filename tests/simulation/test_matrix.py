"""Several scenarios beside each other: what each cell says, and the table on the terminal."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from balancer_simulator import Scenario, Study, run_study
from balancer_simulator.report.tables import cells_of
from balancer_simulator.report.terminal import print_matrix

from tests.simulation.printed import in_80_columns

_CALM: dict[str, Any] = {
    "name": "calm",
    "workload": {"kind": "poisson", "rate_per_s": 1.0},
    "endpoints": [{"url": "http://a{1..4}/"}],
    "horizon_s": 200.0,
    "replications": 3,
}
_ALIKE = {"work": {"kind": "deterministic", "mean_s": 0.5}, "endpoints": [{"url": "http://a/", "capacity": 100}]}
# Of two endpoints one is slow, and the first: `first` uses it whenever it is free, `peak_ewma` learns not to.
_SPEEDS = {
    "endpoints": [{"url": "http://slow/", "capacity": 9, "speed": 0.1}, {"url": "http://fast/", "capacity": 9}],
    "work": {"kind": "deterministic", "mean_s": 0.5},
}
_TOO_MUCH = {"workload": {"kind": "poisson", "rate_per_s": 8.0}}
_HOLE = {
    "endpoints": [
        {"url": "http://hole/", "faults": [{"kind": "fail_within", "after_s": 0.01}]},
        {"url": "http://sound/", "capacity": 20, "weight": 100.0},
    ],
    "requests": {"attempts": 1},
    "horizon_s": 500.0,
    "health": None,
}
_STAGE = {"name": "one", "tasks": 20, "workers": 4}
_BATCH = {"workload": {"kind": "batch", "samples": 3, "stages": [_STAGE]}}


def study(*policies: str, **values: Any) -> Study:
    return run_study(Scenario.model_validate({**_CALM, **values}), policies)


def test_the_others_are_so_many_times_as_slow():
    found = study("peak_ewma", "first", **_SPEEDS)
    best, slow = (found.metric(policy, "sojourn_mean_s").mean for policy in ("peak_ewma", "first"))
    assert slow > 1.5 * best
    assert cells_of({"s": found}) == {"peak_ewma": ["1.00"], "first": [f"{slow / best:.2f}"]}


_NEARLY = {
    "workload": {"kind": "arrivals", "at_s": [float(at_s) for at_s in range(0, 100, 10)]},
    "work": {"kind": "deterministic", "mean_s": 1.0},
    "endpoints": [{"url": "http://a/"}, {"url": "http://slower/", "speed": 0.996}],
}


@pytest.mark.parametrize(
    ("policies", "values", "found"),
    [
        pytest.param(("fifo", "random"), _ALIKE, ["1.00", "1.00"], id="who cannot be told apart from the best"),
        # Every other call of `fifo` takes 0.4% longer, and none of `first`.
        pytest.param(("first", "fifo"), _NEARLY, ["1.00", "1.01"], id="who is clearly behind by less than a digit"),
        pytest.param(("fifo",), _TOO_MUCH, ["cannot keep up"], id="who cannot keep up"),
        pytest.param(("fifo",), {**_BATCH, "horizon_s": 2.0}, ["not done in time"], id="a batch that is not done"),
        pytest.param(
            ("fifo",),
            {"workload": {"kind": "arrivals", "at_s": [199.0], "work_s": [5.0]}},
            ["nothing ended"],
            id="where nothing ends",
        ),
    ],
)
def test_a_cell_says_how_it_fares(policies, values, found):
    assert [cell for (cell,) in cells_of({"s.toml": study(*policies, **values)}).values()] == found


def test_who_loses_more_is_said_with_how_much():
    found = study("least_in_flight", "round_robin", **_HOLE)
    lost = found.metric("round_robin", "lost").mean
    assert lost > found.metric("least_in_flight", "lost").mean + 0.05
    assert cells_of({"s": found}) == {"least_in_flight": ["1.00"], "round_robin": [f"loses {lost:.0%}"]}


def test_of_a_batch_the_makespan_counts():
    found = study("fifo", "always_first", **_BATCH, endpoints=[{"url": "http://a{1..12}/"}])
    fifo, first = (found.metric(policy, "makespan_s").mean for policy in ("fifo", "always_first"))
    assert cells_of({"s": found}) == {"fifo": ["1.00"], "always_first": [f"{first / fifo:.2f}"]}
    assert first > 1.5 * fifo


def test_who_was_not_in_a_study_has_a_dash_there():
    found = cells_of({"one": study("fifo", **_ALIKE), "two": study("random", **_ALIKE)})
    assert found == {"fifo": ["1.00", "-"], "random": ["-", "1.00"]}


# -- shown ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def studies():
    long = "weighted_least_request"
    return {
        "calm.toml": study("fifo", long, **_ALIKE),
        "much.toml": study("fifo", long, **_TOO_MUCH),
        **{f"{n}.toml": study("fifo", long, **_ALIKE) for n in range(3, 7)},
    }


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_six_scenarios_fit_80_columns_in_any_encoding(studies, encoding):
    text = in_80_columns(encoding, studies, print_matrix)
    assert "weighted_least_request" in text
    assert "2: calm (much.toml)" in text


# -- the command ------------------------------------------------------------------------------------

_TOML = """
horizon_s = 20.0
replications = 2
policies = ["fifo", "random"]
[workload]
kind = "poisson"
rate_per_s = 0.5
[[endpoints]]
url = "http://a/"
"""


@pytest.fixture
def compare(tmp_path, monkeypatch, command):
    """Return what runs `balancer simulate` among a few scenarios."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    Path("more").mkdir()
    for path in ("a.toml", "b.toml", "more/a.toml"):
        Path(path).write_text(_TOML)
    Path("wrong.toml").write_text(_TOML.replace("fifo", "fifi"))
    Path("loads.toml").write_text(f"loads = [0.5]\n{_TOML}")
    return partial(command, "simulate")


def test_several_scenarios_make_a_table(compare):
    code, out, _ = compare("a.toml", "b.toml", "--jobs", "1")
    assert not code
    assert out.count("1.00") == 5  # two policies in two scenarios, and the line below
    assert "2: scenario (b.toml)" in out


def test_files_of_one_name_are_told_apart_by_their_folders(compare):
    code, out, _ = compare("a.toml", "more/a.toml", "b.toml", "--jobs", "1")
    assert not code
    assert all(
        f"{number}: scenario ({path})" in out for number, path in enumerate(("a.toml", "more/a.toml", "b.toml"), 1)
    )


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["a.toml", "b.toml", "--by", "lost"], "--by: it takes one scenario; found 2; give one, or leave it"),
        (["a.toml", "b.toml", "--out", "x"], "--out: it takes one scenario; found 2; give one, or leave it"),
        (["a.toml", "b.toml", "a.toml"], "SCENARIO: a.toml is listed twice; give each once"),
        (["a.toml", "no.toml"], "no.toml: "),
        (["a.toml", "wrong.toml"], "wrong.toml: policies: unknown strategy 'fifi'"),
        (["a.toml", "b.toml", "--strategy", "fifi"], "a.toml: policies: unknown strategy 'fifi'"),
    ],
)
def test_a_mistake_is_one_line_and_is_found_before_anything_runs(compare, monkeypatch, args, line):
    monkeypatch.setattr("balancer_simulator.studies.study.Simulators", None)
    code, out, err = compare(*args)
    assert (code, out) == (2, "")
    (said,) = err.splitlines()
    assert said.startswith(f"balancer: {line}")
