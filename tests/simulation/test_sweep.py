"""Sweeps: each scenario as if it were run alone, and differences paired across scenarios."""

import pytest
from balancer_simulator import Closed, EndpointModel, Scenario, run_study, run_sweep

from balancer.errors import ConfigError


def _scenario(workers: int, **values: object) -> Scenario:
    given = {"horizon_s": 40.0, "warmup_s": 0.0, "replications": 3, **values}
    return Scenario(workload=Closed(workers=workers), endpoints=[EndpointModel(url="http://{1..3}/")], **given)


SCENARIOS = {workers: _scenario(workers) for workers in (1, 2, 4)}


def test_each_scenario_fares_as_if_it_were_run_alone():
    found = run_sweep(SCENARIOS, ["fifo", "p2c"])
    assert list(found.studies) == [1, 2, 4]
    for workers, scenario in SCENARIOS.items():
        alone = run_study(scenario, ["fifo", "p2c"])
        assert found[workers].policies == ["fifo", "p2c"]
        for policy in alone.policies:
            assert found[workers].metrics(policy) == alone.metrics(policy)
            assert [r.replication for r in found[workers].records[policy]] == [0, 1, 2]


def test_a_difference_is_paired_by_replication():
    found = run_sweep(SCENARIOS, ["fifo", "p2c"])
    more, less = (found[workers].values("p2c", "throughput_per_s") for workers in (4, 1))
    difference = found.difference(4, 1, "throughput_per_s", "p2c")
    assert difference.mean == pytest.approx(sum(m - n for m, n in zip(more, less, strict=True)) / 3)
    assert difference.count == 3
    assert difference.low > 0  # three endpoints do about three times what one worker asks for


def test_the_first_policy_is_meant_unless_told_otherwise():
    found = run_sweep({"a": _scenario(2, policies=["p2c", "fifo"])})
    assert found["a"].policies == ["p2c", "fifo"]
    assert found.metric("a", "calls") == found["a"].metric("p2c", "calls")
    assert found.metric("a", "jain_endpoints", "fifo") == found["a"].metric("fifo", "jain_endpoints")


@pytest.mark.parametrize(
    ("scenarios", "what"),
    [
        ({}, "no scenarios"),
        ({"a": _scenario(1), "b": _scenario(1, replications=2)}, "replications is 3 in 'a' and 2 in 'b'"),
        ({"a": _scenario(1), "b": _scenario(1, seed=7)}, "seed is 1 in 'a' and 7 in 'b'"),
        ({"a": _scenario(1, loads=[0.5])}, "'a' has loads"),
        ({"a": _scenario(1, policies=["fiifo"])}, "fiifo"),
    ],
)
def test_what_cannot_be_compared_is_refused(scenarios, what):
    with pytest.raises(ConfigError, match=what):
        run_sweep(scenarios)
