"""The simulator against queueing theory beyond plain queues: impatience, overflow.

As in `test_theory`: each figure must agree with a closed form, and not with that for calls that take 5% more or less.
"""

from typing import Any

import pytest

from tests.simulation.analytic import erlang_b, mm1_deadline, mmc, supermarket
from tests.simulation.theory import hold, poisson, runs

pytestmark = pytest.mark.timeout(1200)


def lost(scenario: Any, policy: str = "fifo") -> list[float]:
    return [record.metrics["lost"] for record in runs(scenario, policy)]


# -- the formulas themselves -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "rho", "wait"),
    [(4, 0.8, 0.7455), (4, 0.9, 1.9694), (8, 0.5, 0.0148), (8, 0.95, 2.1104), (16, 0.9, 0.3696)],
)
def test_erlang_c_gives_the_printed_mean_waits(servers, rho, wait):
    assert mmc(servers, rho).wait_s == pytest.approx(wait, abs=5e-5)


@pytest.mark.parametrize(("choices", "rho", "sojourn"), [(2, 0.5, 1.2657), (2, 0.99, 5.4320), (3, 0.9, 2.0279)])
def test_the_supermarket_gives_the_printed_sojourns(choices, rho, sojourn):
    assert supermarket(choices, rho).sojourn_s == pytest.approx(sojourn, abs=5e-5)


# -- impatience -------------------------------------------------------------------------------------


def test_callers_that_leave_after_the_same_wait_are_barrers():
    kind = {"acquire_timeout_s": 2.0}
    scenario = poisson(1.1, 8_000, 50.0, endpoints=[{"url": "server"}], requests={"kinds": [kind]})
    hold(lost(scenario), lambda s: mm1_deadline(1.1 * s, 2.0 / s).abandons, error=0.03)


# -- overflow ---------------------------------------------------------------------------------------


@pytest.mark.more
def test_a_full_group_overflows_at_once_where_it_is_told_to():
    groups = [{"url": "http://own-{1..3}/"}, {"url": "http://rented-{1..2}/", "group": 1}]
    scenario = poisson(3.0, 12_000, 50.0, endpoints=groups, max_waiters=0, spill_after_s=0.0)
    hold(lost(scenario), lambda s: erlang_b(5, 3.0 * s), error=0.03)
    outages = scenario.changed(spill_after_s=1e9)
    hold(lost(outages), lambda s: erlang_b(3, 3.0 * s), error=0.03)
