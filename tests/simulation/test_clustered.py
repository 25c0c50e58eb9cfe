"""Callers in several processes, in virtual time: as in one where nothing takes time, and else as arithmetic says."""

from collections import Counter
from typing import Any

import pytest
from balancer_simulator import Record, Scenario, run_study
from balancer_simulator.report.terminal import print_study

from tests.registered import NAMES
from tests.simulation.printed import printed
from tests.simulation.scenarios import at, batch, calls, closed, endpoint, run, times

_FAULTY = {"kind": "fail_within", "probability": 0.3}


def wire(mean_s: float) -> dict[str, Any]:
    return {"kind": "deterministic", "mean_s": mean_s}


def most_at_once(record: Record) -> Counter[str]:
    """Return how many calls each endpoint had at once, at most; one that ends makes room for one that begins."""
    steps = [(span.started_s, 1, span.url) for span in record.spans]
    steps += [(span.ended_s, -1, span.url) for span in record.spans]
    now, most = Counter[str](), Counter[str]()
    for _, step, url in sorted(steps):
        now[url] += step
        most[url] = max(most[url], now[url])
    return most


# -- where nothing takes time ----------------------------------------------------------------------


@pytest.mark.parametrize("policy", NAMES)
def test_where_nothing_takes_time_a_cluster_is_a_pool(policy: str) -> None:
    shape = {"kind": "poisson", "rate_per_s": 3.0}
    values = {
        "workload": shape,
        "endpoints": [endpoint("http://{1..2}", capacity=2), endpoint("http://3", faults=[_FAULTY])],
        "requests": {
            "attempts": 3,
            "retry_pause_s": 0.125,
            "kinds": [{"name": "a", "acquire_timeout_s": 1.5}, {"name": "b", "priority": 1}],
        },
        "horizon_s": 60.0,
    }
    alone = Scenario.model_validate(values)
    many = alone.changed(cluster={"members": 3})
    expected, found = run(alone, policy), run(many, policy)
    assert calls(found) == calls(expected)
    figures = {name: value for name, value in found.metrics.items() if name in expected.metrics}
    assert figures == expected.metrics
    assert found.metrics["timed_out"] > 0, "or the test shows less than it says"
    assert found.metrics["failed_calls"] > 0


def test_what_the_pool_replaces_has_no_coordinator() -> None:
    scenario = closed(2, 0.0, 1.0, cluster={"members": 2, "network": wire(0.25)}, horizon_s=10.0)
    assert run(scenario, "always_first").cluster is None
    assert run(scenario, "fifo").cluster is not None


# -- where the time goes ---------------------------------------------------------------------------


def test_a_free_lease_takes_a_round_trip() -> None:
    record = run(at([0.0, 10.0], 1.0, cluster={"members": 2, "network": wire(0.25)}))
    assert times(record) == [(0.5, 1.5), (10.5, 11.5)]
    assert record.metrics["network_wait_mean_s"] == 0.5
    assert record.metrics["slot_wait_mean_s"] == record.metrics["owner_wait_mean_s"] == 0.0


def test_a_slot_that_is_given_back_reaches_the_next_a_round_trip_later() -> None:
    record = run(at([0.0, 0.0], 1.0, cluster={"members": 2, "network": wire(0.25)}))
    # The first call ends at 1.5 s; its end is heard at 1.75 s, and the grant is there at 2 s.
    assert times(record) == [(0.5, 1.5), (2.0, 3.0)]
    assert record.metrics["slot_wait_mean_s"] == pytest.approx(1.5 / 2)  # from 0.25 to 1.75 s
    assert record.metrics["utilisation"] == pytest.approx(2 / 100)


def test_the_coordinator_does_one_thing_at_a_time() -> None:
    record = run(at([0.0] * 4, 1.0, endpoint(capacity=4), cluster={"members": 4, "coordinator_s": 0.25}))
    assert [began for began, _ in times(record)] == [0.25, 0.5, 0.75, 1.0]
    assert record.metrics["owner_wait_mean_s"] == pytest.approx(0.625, rel=0.03)
    assert record.metrics["network_wait_mean_s"] == record.metrics["slot_wait_mean_s"] == 0.0


def test_a_coordinator_grants_no_more_than_it_has_time_for() -> None:
    cluster = {"members": 4, "coordinator_s": 0.125, "network": wire(0.03125), "ttl_s": 400.0}
    record = run(closed(40, 0.0, 0.5, endpoint(capacity=40), cluster=cluster, horizon_s=200.0))
    # Eight messages a second, of which a lease takes two: it is asked for, and it ends. Heartbeats are not needed.
    assert record.metrics["owner_messages_per_s"] == pytest.approx(8.0, rel=0.01)
    assert record.metrics["owner_busy"] == pytest.approx(1.0, rel=0.01)
    assert 3.9 < record.metrics["throughput_per_s"] <= 4.1
    assert record.metrics["lost_leases"] == 0


@pytest.mark.parametrize("loss", [0.0, 0.2])
def test_what_a_lease_waited_for_adds_up(loss: float) -> None:
    cluster = {"members": 3, "coordinator_s": 0.02, "network": {"kind": "exponential", "mean_s": 0.05}, "loss": loss}
    stage = {"name": "a", "tasks": 60, "workers": 9}
    record = run(
        batch([stage], endpoint("http://{1..2}", capacity=2), cluster={**cluster, "ttl_s": 4.0}, horizon_s=500.0)
    )
    parts = [record.metrics[f"{part}_wait_mean_s"] for part in ("network", "owner", "slot")]
    assert all(part > 0 for part in parts)
    assert sum(parts) == pytest.approx(record.metrics["wait_mean_s"], rel=1e-9)
    assert record.completed == 60


# -- what the protocol is for ----------------------------------------------------------------------


def test_nothing_is_lost_with_messages_and_nothing_is_granted_twice() -> None:
    cluster = {"members": 5, "loss": 0.3, "network": {"kind": "exponential", "mean_s": 0.01}, "block": 3}
    stage = {"name": "a", "tasks": 200, "workers": 10}
    record = run(batch([stage], endpoint("http://{1..2}", capacity=2), cluster=cluster, horizon_s=2000.0))
    assert record.completed == 200
    assert record.metrics["lost_leases"] == 0
    assert max(most_at_once(record).values()) == 2


def test_a_block_saves_round_trips() -> None:
    one = {"members": 1, "network": wire(0.25)}
    shape = closed(1, 0.0, 0.25, endpoint(capacity=4), cluster=one, horizon_s=60.0)
    singly, in_blocks = run(shape), run(shape.changed(cluster={**one, "block": 4}))
    assert singly.metrics["from_blocks"] == 0.0
    assert in_blocks.metrics["from_blocks"] == pytest.approx(3 / 4, abs=0.05)
    assert in_blocks.metrics["throughput_per_s"] > 1.7 * singly.metrics["throughput_per_s"]


def test_what_is_out_stays_out_when_the_coordinator_dies() -> None:
    cluster = {"members": 2, "ttl_s": 2.0, "outages": [{"at_s": 1.0, "for_s": 0.5}]}
    record = run(at([0.0, 1.25, 8.0], [5.0, 1.0, 1.0], cluster=cluster))
    assert times(record) == [(0.0, 5.0), (5.0, 6.0), (8.0, 9.0)]
    assert record.metrics["lost_leases"] == 0


def test_while_the_coordinator_is_away_nobody_is_served() -> None:
    cluster = {"members": 2, "ttl_s": 2.0, "outages": [{"at_s": 1.0, "for_s": 1.0}]}
    ((began, _),) = times(run(at([1.25], 1.0, cluster=cluster)))
    # Members knock once a tenth of a second, so both are in soon after, and the grace is over.
    assert 2.0 < began < 2.75


def test_a_process_out_of_touch_loses_its_leases() -> None:
    # Every answer is older than 0.8 TTL when it comes. Its call goes on, and the slot goes to another.
    cluster = {"members": 2, "ttl_s": 2.0, "outages": [{"at_s": 1.0, "for_s": 4.0}]}
    record = run(at([0.0, 6.0], [20.0, 1.0], cluster=cluster))
    assert record.metrics["lost_leases"] == 1
    assert times(record)[1][0] < 8.0


# -- how it is said --------------------------------------------------------------------------------


def test_a_table_says_where_the_time_goes() -> None:
    scenario = closed(4, 0.0, 0.5, cluster={"members": 2, "network": wire(0.25)}, horizon_s=50.0, replications=2)
    text = printed(run_study(scenario, ["fifo"]), print_study, width=120)
    assert "network" in text.partition("of a lease's wait")[2]
