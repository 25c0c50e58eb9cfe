"""Leases of several slots, and the slots that are kept for one who waits for several."""

import pytest

from balancer.core import Waiter
from balancer.endpoint import Endpoint, Lease
from balancer.errors import AcquireTimeout, NoEndpoint
from balancer.strategy import Request
from tests.unit.ruled import Ruled


def full(*capacities: int, **rules: object) -> tuple[Ruled, list[Lease]]:
    """Return a core whose slots are all out, one a lease, endpoint by endpoint."""
    specs = [Endpoint(chr(ord("a") + number), capacity=capacity) for number, capacity in enumerate(capacities)]
    ruled = Ruled(specs, **rules)
    return ruled, [ruled.take(spec.url) for spec in specs for _ in range(spec.capacity)]


def slots_of(waiter: Waiter) -> tuple[str, int]:
    assert waiter.lease is not None
    return waiter.lease.endpoint.url, waiter.lease.slots


def test_slots_that_no_endpoint_has_are_refused():
    ruled, _ = full(2, 3)
    assert ruled.get(slots=4) is None
    with pytest.raises(NoEndpoint, match="4 slots"):
        ruled.core.wait(Request(slots=4), 0.0, 9.0, 0, lambda: None)


def test_the_endpoint_that_misses_the_fewest_slots_is_kept():
    ruled, leases = full(4, 4)
    for lease in leases[4:6]:
        ruled.give(lease)
    ruled.wait(slots=4)
    assert ruled.get("b") is None
    ruled.give(leases[0])
    ruled.take("a")


def test_what_was_begun_is_ended_unless_another_is_nearer():
    ruled, leases = full(3, 3)
    several = ruled.wait(slots=3)
    ruled.give(leases[3])
    assert ruled.get("b") is None
    ruled.give(leases[0])  # equal: b is kept on, and a's slot is free
    ruled.give(ruled.take("a"))
    ruled.give(leases[1])  # a misses one, b misses two
    assert ruled.get("a") is None
    assert ruled.take("b")
    assert ruled.give(leases[2]) == [several]
    assert slots_of(several) == ("a", 3)


def test_who_gives_up_leaves_what_was_kept_to_the_others():
    for timed_out in (False, True):
        ruled, leases = full(3)
        several, first, second = ruled.wait(slots=3, timeout_s=5.0), ruled.wait(), ruled.wait()
        ruled.give(leases[0])
        ruled.give(leases[1])
        ruled.at(5.0)
        assert list(ruled.core.cancel(several, 5.0, timed_out=timed_out)) == [first, second]
        assert isinstance(several.error, AcquireTimeout) is timed_out
        assert not ruled.core.reservations.accounts


def test_the_number_of_all_slots_follows_each_change_of_the_endpoints():
    """A server shares them out to its members in blocks of this number."""
    core = Ruled([Endpoint("a", capacity=2), Endpoint("b", capacity=3)]).core
    assert core.ledger.kinds.slots == 5
    core.update(Endpoint("a", capacity=7), 0.0)
    assert core.ledger.kinds.slots == 10
    core.add(Endpoint("c", capacity=4), 0.0)
    assert core.ledger.kinds.slots == 14
    core.drain("b", 0.0)
    assert core.ledger.kinds.slots == 11
    core.remove("a", 0.0)
    assert core.ledger.kinds.slots == 4
