"""Changes that cannot be made are found when the scenario is read, each with its instant; all others can be made."""

import re
from typing import Any

import pytest
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.scenario.endpoints import Change, EndpointModel
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Poisson
from hypothesis import given
from hypothesis import strategies as st


def scenario(*changes: tuple[float, str], from_s: float = 0.0) -> Scenario:
    said: list[Any] = [
        {"at_s": at_s, "do": do, "url": "http://a/", "capacity": 2 if do == "update" else None} for at_s, do in changes
    ]
    return Scenario(
        workload=Poisson(rate_per_s=2.0),
        endpoints=[EndpointModel(url="http://a/", from_s=from_s), EndpointModel(url="http://b/", capacity=2)],
        changes=[Change.model_validate(change) for change in said],
        horizon_s=20.0,
        replications=1,
    )


@pytest.mark.parametrize(
    ("changes", "from_s", "line"),
    [
        ([(1.0, "add")], 0.0, "'add' of 'http://a/' at 1 s, when it is there already"),
        ([(1.0, "remove"), (2.0, "drain")], 0.0, "'drain' of 'http://a/' at 2 s, when it is not there"),
        ([(1.0, "remove"), (2.0, "update")], 0.0, "'update' of 'http://a/' at 2 s, when it is not there"),
        ([(3.0, "update")], 5.0, "'update' of 'http://a/' at 3 s, when it is not there"),
        ([(3.0, "add")], 5.0, "'add' of 'http://a/' at 5 s, when it is there already"),
    ],
)
def test_what_cannot_be_done_is_said(changes, from_s, line):
    with pytest.raises(ValueError, match=re.escape(line)):
        scenario(*changes, from_s=from_s)


_steps = st.lists(st.tuples(st.floats(0.1, 19.0), st.sampled_from(("add", "drain", "remove", "update"))), max_size=6)


@given(_steps, st.sampled_from((0.0, 5.0)))
def test_what_is_accepted_can_be_done(changes, from_s):
    try:
        accepted = scenario(*changes, from_s=from_s)
    except ValueError:
        return
    record = simulate_once(accepted, Policy(strategy="fifo"))
    assert record.completed + record.lost + record.timed_out + record.unfinished > 0
