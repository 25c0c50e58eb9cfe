"""Groups, quotas and told loads in a simulation: what a scenario says happens, and what it cannot mean is refused."""

import pytest
from balancer_simulator import Scenario

from balancer.errors import ConfigError
from tests.simulation.scenarios import run
from tests.simulation.theory import exponential

_EVERY_SECOND = {"kind": "arrivals", "at_s": [float(second) for second in range(1, 121)]}


def scenario_of(*endpoints: dict[str, object], **values: object) -> Scenario:
    """Return a scenario with a request a second for two minutes."""
    fixed = {"kind": "deterministic", "mean_s": 0.5}
    return Scenario.model_validate(
        {"workload": _EVERY_SECOND, "work": fixed, "endpoints": list(endpoints), "horizon_s": 1000.0, **values}
    )


def test_fewer_tokens_than_reserved_let_more_calls_begin():
    def wait_s(**used: int) -> float:
        kinds = [{"tokens": 10, **used}]
        values = {"quotas": {"key": {"tokens_per_min": 100}}, "requests": {"kinds": kinds}}
        return run(scenario_of({"url": "http://a/", "quota": "key"}, **values)).wait.mean

    assert wait_s(used_tokens=2) < wait_s() / 2


def test_told_loads_keep_calls_off_a_server_that_does_less_at_once_than_the_pool_knows():
    servers = [{"url": f"http://{n}/", "capacity": 16, "parallel": n, "tells_load": True} for n in (1, 16)]
    busy = scenario_of(*servers, workload={"kind": "poisson", "rate_per_s": 8.0}, work=exponential())
    assert run(busy, "told_load").sojourn.mean < run(busy, "p2c").sojourn.mean


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
