"""Groups, quotas and told loads in a simulation: what a scenario says happens, and what it cannot mean is refused."""

import pytest
from balancer_simulator import Scenario, simulate_once
from balancer_simulator.scenario.fields import Policy

from balancer.errors import ConfigError

_EVERY_SECOND = {"kind": "arrivals", "at_s": [float(second) for second in range(1, 121)]}


def scenario_of(*endpoints: dict[str, object], **values: object) -> Scenario:
    """Return a scenario with a request a second for two minutes."""
    fixed = {"kind": "deterministic", "mean_s": 0.5}
    return Scenario.model_validate(
        {"workload": _EVERY_SECOND, "work": fixed, "endpoints": list(endpoints), "horizon_s": 1000.0, **values}
    )


def test_fewer_tokens_than_reserved_let_more_calls_begin():
    quotas = {"key": {"tokens_per_min": 100}}
    kinds = [{"tokens": 10, "used_tokens": 2}]
    endpoint = {"url": "http://a/", "quota": "key"}
    settled = simulate_once(scenario_of(endpoint, quotas=quotas, requests={"kinds": kinds}), Policy(strategy="fifo"))
    kinds = [{"tokens": 10}]
    not_settled = simulate_once(
        scenario_of(endpoint, quotas=quotas, requests={"kinds": kinds}), Policy(strategy="fifo")
    )
    assert settled.wait.mean < not_settled.wait.mean / 2


def test_told_loads_keep_calls_off_a_server_that_does_less_at_once_than_the_pool_knows():
    small = {"url": "http://small/", "capacity": 16, "parallel": 1, "tells_load": True}
    large = {"url": "http://large/", "capacity": 16, "parallel": 16, "tells_load": True}
    busy = scenario_of(
        small, large, workload={"kind": "poisson", "rate_per_s": 8.0}, work={"kind": "exponential", "mean_s": 1.0}
    )
    told, blind = (simulate_once(busy, Policy(strategy=name)) for name in ("told_load", "p2c"))
    assert told.sojourn.mean < blind.sojourn.mean


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"endpoints": [{"url": "http://a/", "quota": "kex"}], "quotas": {"key": {"requests_per_min": 1}}},
            "endpoints[0].quota: found 'kex', which is not in [quotas]\nquotas: no endpoint has quota = 'key'",
        ),
        (
            {
                "endpoints": [{"url": "http://a/", "quota": "key"}],
                "quotas": {"key": {"tokens_per_min": 5}},
                "requests": {"kinds": [{"tokens": 6}]},
            },
            "requests.kinds: 'all' reserves 6 tokens, and no quota of an endpoint that it may use has more than 5",
        ),
    ],
)
def test_what_a_scenario_cannot_mean_is_refused(values, line):
    with pytest.raises(ConfigError) as caught:
        scenario_of({"url": "http://a/"}).changed(**values)
    assert "\n".join(caught.value.problems) == "\n".join(f"the scenario: {each}" for each in line.split("\n"))
