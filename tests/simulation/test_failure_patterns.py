"""The default health under patterns of failure: an endpoint that comes back is used, one that does not costs little.

The bounds below are what was measured, with some room; a run of a pattern takes a tenth of a second.
"""

import pytest

from balancer import HealthSettings
from tests.simulation.failure_patterns import PATTERNS, cost

_NEAR = {
    "up 2 s, down 1 s": 1.07,
    "up 4 s, down 2 s": 1.06,
    "up 8 s, down 4 s": 1.06,
    "up 60 s, down 15 s": 1.08,
    "up 120 s, down 60 s": 1.08,
    "crashes, 60 s and 15 s on average": 1.08,
    "down for 300 s, once": 1.08,
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("pattern", _NEAR)
def test_an_endpoint_that_comes_back_is_used_again_soon(pattern):
    """Of three runs: a single crash that ends just after a probe costs a tenth of one run."""
    took, _ = cost(pattern, HealthSettings())
    assert took <= _NEAR[pattern]


@pytest.mark.parametrize("callers", [3, 12])
@pytest.mark.parametrize("pattern", [pattern for pattern in PATTERNS if pattern.startswith(("dead", "fails 90%"))])
def test_an_endpoint_that_does_not_come_back_costs_next_to_nothing(pattern, callers):
    _, lost = cost(pattern, HealthSettings(), callers=callers, seeds=[1])
    assert 0.0 < lost <= 0.005
