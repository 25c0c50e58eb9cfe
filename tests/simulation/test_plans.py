"""The model that shards are planned with: it is queues, so it is held against the theory of queues."""

import pytest

from tests.benchmarks.plan_shards import BY_SLOTS, EVENLY, TWO, by_rendezvous, by_ring, shards_run
from tests.simulation.analytic import mmc


def test_one_shard_is_a_queue_of_erlangs() -> None:
    found = shards_run([20], 0.8, EVENLY, 4000.0)
    theory = mmc(20, 0.8, 1.0)
    # 64 000 calls, of which a quarter wait; waits hang together over some seconds, so a tenth is three deviations.
    assert found.wait_mean_s == pytest.approx(theory.wait_s, rel=0.1)
    assert found.wait_p99_s == pytest.approx(theory.wait_quantile_s(0.99), rel=0.1)
    assert found.in_vain == 0, "there is no other"


def test_a_second_choice_saves_waits_and_an_uneven_one_costs() -> None:
    slots = [8, 12, 10, 10]
    evenly, by_slots, two = (shards_run(slots, 0.75, choice, 1000.0) for choice in (EVENLY, BY_SLOTS, TWO))
    assert two.wait_mean_s < by_slots.wait_mean_s < evenly.wait_mean_s
    assert two.in_vain < by_slots.in_vain < evenly.in_vain
    assert (by_slots.heaviest, evenly.heaviest) == pytest.approx((0.75, 0.75 * 10 / 8))


def test_an_endpoint_goes_nowhere_but_to_a_new_shard() -> None:
    names = [f"http://10.0.0.{number}/" for number in range(200)]
    ways = ([[by_rendezvous(name, n) for name in names] for n in (4, 5)], [by_ring(names, n, 100) for n in (4, 5)])
    for before, after in ways:
        moved = {new for old, new in zip(before, after, strict=True) if old != new}
        assert moved == {4}
        assert set(before) == {0, 1, 2, 3}
