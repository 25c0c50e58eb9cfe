"""Arrivals from a file: one to three columns; what cannot be read is said with its line."""

from pathlib import Path

import pytest
from balancer_simulator.scenario.scenario import load_scenario
from balancer_simulator.scenario.workload import Arrivals

from balancer.errors import ConfigError

_SCENARIO = """
[workload]
kind = "arrivals"
file = "trace.csv"

[requests]
kinds = [{ name = "one" }, { name = "two" }]

[[endpoints]]
url = "http://a/"
"""


def load(folder: Path, trace: str) -> Arrivals:
    (folder / "scenario.toml").write_text(_SCENARIO)
    (folder / "trace.csv").write_text(trace)
    workload = load_scenario(folder / "scenario.toml").workload
    assert isinstance(workload, Arrivals)
    return workload


@pytest.mark.parametrize(
    ("trace", "found"),
    [
        ("0.5\n1\n", ([0.5, 1.0], [], [])),
        ("0.5,2\n\n1,3.5\n", ([0.5, 1.0], [2.0, 3.5], [])),
        ("0.5,2,1\n1,3.5,0\n", ([0.5, 1.0], [2.0, 3.5], [1, 0])),
    ],
)
def test_it_has_one_to_three_columns(tmp_path, trace, found):
    workload = load(tmp_path, trace)
    assert (workload.at_s, workload.work_s, workload.kinds) == found


@pytest.mark.parametrize(
    ("trace", "line"),
    [
        ("", "found rows of no columns"),
        ("1\nx\n", "trace.csv:2: the instant, in seconds: found 'x'; it must be a number"),
        ("1,2\n2,\n", "trace.csv:2: the work, in seconds: found ''; it must be a number"),
        ("1,2\n2\n", "found rows of [1, 2] columns; all must have the same number, 1 to 3"),
        ("1,2,0,9\n", "trace.csv:1: found 4 columns; there are at most 3"),
        ("2\n1\n", "workload.file: at_s must be in order"),
        ("1,1,0.5\n", "workload.file: kinds[0]: found 0.5"),
        ("-1\n", "workload.file: at_s[0]: found -1.0"),
        ("1,1,2\n", "workload.kinds: found 2, but requests.kinds has 2"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, trace, line):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, trace)
    assert line in str(caught.value)
    assert len(caught.value.problems) == 1


def test_a_file_that_is_not_there_is_named(tmp_path):
    (tmp_path / "scenario.toml").write_text(_SCENARIO)
    with pytest.raises(ConfigError, match=r"trace\.csv cannot be read: No such file"):
        load_scenario(tmp_path / "scenario.toml")
