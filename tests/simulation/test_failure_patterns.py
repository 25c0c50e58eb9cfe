"""The default health under patterns of failure: an endpoint that comes back is used, one that does not costs little.

Three sound endpoints and a bad one, a slot each; calls of 0.3 s; 12 callers that never pause. The
bounds below are what was measured, with some room; a run of a pattern takes a tenth of a second.
"""

from statistics import fmean

import numpy as np
import pytest
from balancer_simulator import Closed, EndpointModel, Policy, Requests, Scenario, simulate_once
from balancer_simulator.scenario.distributions import Deterministic
from balancer_simulator.scenario.endpoints import CrashRepair, FailWithin, Fault

from balancer.settings.rules import HealthSettings, RetrySettings

HORIZON_S, CALL_S = 600.0, 0.3


def _flaps(up_s: float, down_s: float) -> list[Fault]:
    begins = np.arange(up_s, HORIZON_S, up_s + down_s).tolist()
    return [FailWithin(from_s=at_s, to_s=at_s + down_s, after_s=0.01) for at_s in begins]


PATTERNS: dict[str, tuple[list[Fault], float, float]] = {
    "up 2 s, down 1 s": (_flaps(2.0, 1.0), 2 / 3, 1.07),
    "up 60 s, down 15 s": (_flaps(60.0, 15.0), 4 / 5, 1.08),
    "crashes, 60 s and 15 s on average": ([CrashRepair(mtbf_s=60.0, mttr_s=15.0)], 4 / 5, 1.08),
    "down for 300 s, once": ([FailWithin(from_s=100.0, to_s=400.0, after_s=0.01)], 1 / 2, 1.08),
}
"""What is wrong with the bad endpoint, the part of the time that is up, and the time by the bound, at most."""


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("faults", "up", "near"), PATTERNS.values(), ids=PATTERNS)
def test_an_endpoint_that_comes_back_is_used_again_soon(faults, up, near):
    """Of three runs: a single crash that ends just after a probe costs a tenth of one run."""
    scenario = Scenario(
        workload=Closed(workers=12),
        work=Deterministic(mean_s=CALL_S),
        endpoints=[EndpointModel(url="http://sound-{1..3}/"), EndpointModel(url="http://bad/", faults=faults)],
        requests=Requests(attempts=5),
        retries=RetrySettings(budget_ratio=10.0),
        horizon_s=HORIZON_S,
        health=HealthSettings(),
    )
    records = [simulate_once(scenario.changed(seed=seed), Policy(strategy="least_in_flight")) for seed in (1, 2, 3)]
    bound = (3 + up) * HORIZON_S / CALL_S
    assert fmean(bound / record.completed for record in records) <= near
