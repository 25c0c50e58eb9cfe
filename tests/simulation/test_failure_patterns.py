"""The default health under patterns of failure: an endpoint that comes back is used, one that does not costs little.

Three sound endpoints and a bad one, a slot each; calls of 0.3 s; callers that never pause: 12, or fewer than slots. The
bounds below are what was measured, with some room; a run of a pattern takes a tenth of a second.
"""

from collections.abc import Sequence
from statistics import fmean

import pytest
from balancer_simulator import Closed, EndpointModel, Policy, Requests, Scenario, simulate_once
from balancer_simulator.scenario.distributions import Deterministic
from balancer_simulator.scenario.endpoints import CrashRepair, FailWithin, Fault

from balancer.settings.rules import HealthSettings, RetrySettings

HORIZON_S, CALL_S, SOUND = 600.0, 0.3, 3


def _flaps(up_s: float, down_s: float) -> list[Fault]:
    spells, at_s = [], up_s
    while at_s < HORIZON_S:
        spells.append(FailWithin(from_s=at_s, to_s=at_s + down_s, after_s=0.01))
        at_s += up_s + down_s
    return [*spells]


PATTERNS: dict[str, tuple[list[Fault], float]] = {
    "up 2 s, down 1 s": (_flaps(2.0, 1.0), 2 / 3),
    "up 60 s, down 15 s": (_flaps(60.0, 15.0), 4 / 5),
    "crashes, 60 s and 15 s on average": ([CrashRepair(mtbf_s=60.0, mttr_s=15.0)], 4 / 5),
    "down for 300 s, once": ([FailWithin(from_s=100.0, to_s=400.0, after_s=0.01)], 1 / 2),
}
"""What is wrong with the bad endpoint, and the part of the time that counts as up in the bound."""


def cost(pattern: str, *, callers: int = 12, seeds: Sequence[int] = (1, 2, 3)) -> tuple[float, float]:
    """Return the time by the bound, and the part of all calls that fail."""
    faults, up = PATTERNS[pattern]
    scenario = Scenario(
        workload=Closed(workers=callers),
        work=Deterministic(mean_s=CALL_S),
        endpoints=[
            EndpointModel(url=f"http://sound-{{1..{SOUND}}}/"),
            EndpointModel(url="http://bad/", faults=faults),
        ],
        requests=Requests(attempts=5),
        retries=RetrySettings(budget_ratio=10.0),
        horizon_s=HORIZON_S,
        health=HealthSettings(),
    )
    records = [simulate_once(scenario.changed(seed=seed), Policy(strategy="least_in_flight")) for seed in seeds]
    bound = (SOUND + up) * HORIZON_S / CALL_S
    return fmean(bound / r.completed for r in records), fmean(r.metrics["failed_calls"] for r in records)


_NEAR = {
    "up 2 s, down 1 s": 1.07,
    "up 60 s, down 15 s": 1.08,
    "crashes, 60 s and 15 s on average": 1.08,
    "down for 300 s, once": 1.08,
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("pattern", _NEAR)
def test_an_endpoint_that_comes_back_is_used_again_soon(pattern):
    """Of three runs: a single crash that ends just after a probe costs a tenth of one run."""
    took, _ = cost(pattern)
    assert took <= _NEAR[pattern]
