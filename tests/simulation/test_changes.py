"""Changes that cannot be made are found when the scenario is read, each with its instant; all others can be made."""

import pytest
from balancer_simulator import Scenario
from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.scenarios import arriving, change, ended, endpoint, run

A = "http://a/"


def scenario(*changes: tuple[float, str], from_s: float = 0.0) -> Scenario:
    said = [change(at_s, do, A, **({"capacity": 2} if do == "update" else {})) for at_s, do in changes]
    return arriving(2.0, endpoint(A, from_s=from_s), endpoint("http://b/"), changes=said, horizon_s=20.0)


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
    with pytest.raises(ValueError, match=line):
        scenario(*changes, from_s=from_s)


_steps = st.lists(st.tuples(st.floats(0.1, 19.0), st.sampled_from(("add", "drain", "remove", "update"))), max_size=6)


@given(_steps, st.sampled_from((0.0, 5.0)))
def test_what_is_accepted_can_be_done(changes, from_s):
    try:
        accepted = scenario(*changes, from_s=from_s)
    except ValueError:
        return
    assert sum(ended(run(accepted))) > 0
