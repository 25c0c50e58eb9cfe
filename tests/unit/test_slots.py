"""Leases of several slots, and the slots that are kept for one who waits for several."""

import pytest

from balancer.core import Waiter
from balancer.endpoint import Endpoint, Lease
from balancer.errors import AcquireTimeout, NoEndpoint
from balancer.strategy import Request
from tests.unit.ruled import FAILURE, SUCCESS, Ruled


def full(*capacities: int, **rules: object) -> tuple[Ruled, list[Lease]]:
    """Return a core whose slots are all out, one a lease, endpoint by endpoint."""
    specs = [Endpoint(chr(ord("a") + number), capacity=capacity) for number, capacity in enumerate(capacities)]
    ruled = Ruled(specs, **rules)  # type: ignore[arg-type]
    return ruled, [ruled.take(spec.url) for spec in specs for _ in range(spec.capacity)]


def slots_of(waiter: Waiter) -> tuple[str, int]:
    assert waiter.lease is not None
    return waiter.lease.endpoint.url, waiter.lease.slots


def test_a_lease_of_several_slots_takes_them_of_one_endpoint() -> None:
    ruled = Ruled([Endpoint("a", capacity=2), Endpoint("b", capacity=3)])
    lease = ruled.take(slots=3)
    assert (lease.endpoint.url, lease.slots) == ("b", 3)
    assert ruled.get("b") is None
    assert ruled.get(slots=3) is None
    ruled.give(lease)
    assert [ruled.take("b").slots for _ in range(3)] == [1, 1, 1]


def test_slots_that_no_endpoint_has_are_refused() -> None:
    ruled, _ = full(2, 3)
    assert ruled.get(slots=4) is None
    with pytest.raises(NoEndpoint, match="4 slots"):
        ruled.core.wait(Request(slots=4), 0.0, 9.0, 0, lambda: None)


def test_a_smaller_capacity_ends_the_wait_for_more_slots_than_that() -> None:
    ruled, _ = full(3)
    waiter = ruled.wait(slots=3)
    assert list(ruled.core.update(Endpoint("a", capacity=2), 1.0)) == [waiter]
    assert isinstance(waiter.error, NoEndpoint)


def test_busy_time_counts_slots() -> None:
    ruled = Ruled([Endpoint("a", capacity=3)])
    lease = ruled.take(slots=3)
    ruled.at(2.0)
    ruled.give(lease)
    (stats,) = ruled.core.counters(5.0)[0]
    assert (stats.busy_s, stats.leases, stats.in_flight) == (6.0, 1, 0)


def test_one_who_waits_for_several_is_not_starved_by_those_who_want_one() -> None:
    """Every slot that comes free is wanted by a single one; four releases must be enough all the same."""
    ruled, leases = full(4)
    several = ruled.wait(slots=4)
    singles = [ruled.wait() for _ in range(10)]
    for lease in leases[:3]:
        assert ruled.give(lease) == []
        assert ruled.get() is None  # kept
    assert ruled.give(leases[3]) == [several]
    assert several.lease is not None
    assert ruled.give(several.lease) == singles[:4]


def test_only_one_endpoint_is_kept_the_others_serve_on() -> None:
    ruled, leases = full(2, 2)
    several, single = ruled.wait(slots=2), ruled.wait()
    assert ruled.give(leases[0]) == []  # a is kept
    assert ruled.give(leases[2]) == [single]  # b is not
    assert ruled.give(leases[1]) == [several]


def test_the_endpoint_that_misses_the_fewest_slots_is_kept() -> None:
    ruled, leases = full(4, 4)
    for lease in leases[4:6]:
        ruled.give(lease)
    ruled.wait(slots=4)
    assert ruled.get("b") is None
    ruled.give(leases[0])
    ruled.take("a")


def test_what_was_begun_is_ended_unless_another_is_nearer() -> None:
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


def test_two_who_wait_for_several_have_an_endpoint_kept_each_the_older_first() -> None:
    ruled, leases = full(2, 3)
    three, two = ruled.wait(slots=3), ruled.wait(slots=2)
    assert ruled.give(leases[2]) == []
    assert ruled.give(leases[0]) == []
    assert ruled.get() is None
    assert ruled.give(leases[1]) == [two]
    assert ruled.give(leases[3]) == []
    assert ruled.give(leases[4]) == [three]


def test_two_who_wait_for_the_same_endpoint_get_it_one_after_the_other() -> None:
    ruled, leases = full(3)
    three, two = ruled.wait(slots=3), ruled.wait(slots=2)
    for lease in leases[:2]:
        assert ruled.give(lease) == []  # two are free, but the older claim needs three
    assert ruled.give(leases[2]) == [three]
    assert three.lease is not None
    assert ruled.give(three.lease) == [two]


def test_an_older_claim_for_one_goes_first() -> None:
    ruled, leases = full(2)
    single, several = ruled.wait(), ruled.wait(slots=2)
    assert ruled.give(leases[0]) == [single]
    assert ruled.give(leases[1]) == []
    assert single.lease is not None
    assert ruled.give(single.lease) == [several]


def test_who_gives_up_leaves_what_was_kept_to_the_others() -> None:
    for timed_out in (False, True):
        ruled, leases = full(3)
        several, first, second = ruled.wait(slots=3, timeout_s=5.0), ruled.wait(), ruled.wait()
        ruled.give(leases[0])
        ruled.give(leases[1])
        ruled.at(5.0)
        assert list(ruled.core.cancel(several, 5.0, timed_out=timed_out)) == [first, second]
        assert isinstance(several.error, AcquireTimeout) is timed_out
        assert not ruled.core.reservations.accounts


def test_a_release_tells_one_whose_time_is_up_and_keeps_nothing_for_it() -> None:
    ruled, leases = full(2)
    several, single = ruled.wait(slots=2, timeout_s=1.0), ruled.wait()
    ruled.at(3.0)
    assert ruled.give(leases[0]) == [several, single]
    assert isinstance(several.error, AcquireTimeout)
    assert single.lease is not None


def test_a_higher_priority_takes_what_is_kept_for_a_lower_one() -> None:
    ruled, leases = full(3)
    several = ruled.wait(slots=3)
    ruled.give(leases[0])
    assert ruled.get() is None
    urgent = ruled.core.wait(Request(), ruled.now, 99.0, 1, lambda: None)
    assert urgent.lease is not None  # at once: its claim is 10 s older
    assert ruled.core.waiting == 1
    for lease in leases[1:]:
        assert ruled.give(lease) == []
    assert ruled.give(urgent.lease) == [several]


def test_a_priority_that_waits_for_several_is_kept_an_endpoint_before_an_older_arrival() -> None:
    ruled, leases = full(2, 2)
    plain = ruled.wait(slots=2)
    ruled.give(leases[0])  # kept for it
    urgent = ruled.wait(slots=2, priority=1)  # takes that over
    assert ruled.give(leases[2]) == []  # b is kept for the other
    assert ruled.give(leases[1]) == [urgent]
    assert ruled.give(leases[3]) == [plain]


def test_nobody_is_passed_over_when_an_urgent_one_is_served_from_what_is_kept() -> None:
    """Then another endpoint is nearer; were it kept at once, `single` could use what is left, and would not get it."""
    ruled, leases = full(4, 4)
    several, single = ruled.wait(slots=4), ruled.wait("a")
    for lease in (leases[0], leases[1], leases[4], leases[5]):
        assert ruled.give(lease) == []  # a and b miss two each; a is kept
    urgent = ruled.core.wait(Request(exclude=frozenset("b")), ruled.now, 99.0, 5, lambda: None)
    assert urgent.lease is not None
    assert ruled.limits() == {"a": 3, "b": 4}  # a is kept on: it offers nothing
    assert ruled.give(leases[6]) == [single]  # now b is kept, which misses one
    assert ruled.give(leases[7]) == [several]
    assert slots_of(several) == ("b", 4)


def test_late_singles_do_not_take_kept_slots_nor_wait_when_there_are_others() -> None:
    ruled, leases = full(2, 1)
    ruled.wait(slots=2)
    ruled.give(leases[0])
    ruled.give(leases[2])
    assert ruled.take().endpoint.url == "b"
    assert ruled.get() is None


def test_when_the_kept_endpoint_is_ejected_another_is_kept() -> None:
    health = {"consecutive_failures": 1, "slow_start_s": 0.0, "cooldown_s": 5.0}
    ruled, leases = full(2, 2, health=health, jitter=1.0)
    several = ruled.wait(slots=2)
    single = ruled.wait()
    assert ruled.give(leases[0], SUCCESS) == []  # a is kept
    assert ruled.give(leases[1], FAILURE) == []  # and ejected
    assert ruled.give(leases[2], SUCCESS) == []  # b is kept
    assert ruled.give(leases[3], SUCCESS) == [several]
    assert slots_of(several) == ("b", 2)
    assert ruled.at(5.0) == [single]  # the probe


def test_who_waits_for_several_takes_the_only_slot_of_one_that_is_half_open() -> None:
    health = {"consecutive_failures": 1, "slow_start_s": 0.0, "cooldown_s": 5.0}
    ruled = Ruled([Endpoint("a", capacity=2), Endpoint("b", capacity=2)], health=health)
    ruled.call("a", FAILURE)
    ruled.take("b")
    several = ruled.wait(slots=2)
    assert ruled.at(5.0) == [several]
    assert slots_of(several) == ("a", 1)


def test_the_slots_of_a_host_are_kept_together() -> None:
    specs = [Endpoint("a", capacity=2, host="m"), Endpoint("b", capacity=2, host="m"), Endpoint("c", host="n")]
    ruled = Ruled(specs, host_caps={"m": 2})
    leases = [ruled.take("a"), ruled.take("b"), ruled.take("c")]
    several, single = ruled.wait(slots=2), ruled.wait()
    assert ruled.give(leases[0]) == []  # for two slots of one endpoint, the host must be idle
    assert ruled.give(leases[2]) == [single]
    assert ruled.give(leases[1]) == [several]


def test_a_kept_endpoint_that_moves_to_another_host_is_let_go() -> None:
    specs = [Endpoint("a", capacity=2, host="m"), Endpoint("b", capacity=2, host="m")]
    ruled = Ruled(specs, host_caps={"m": 2, "n": 2})
    lease, other = ruled.take("a"), ruled.take("a")
    several = ruled.wait("a", slots=2)
    assert ruled.get("b") is None
    ruled.core.update(Endpoint("b", capacity=2, host="n"), 0.0)
    ruled.take("b")
    assert ruled.give(lease) == []
    assert ruled.give(other) == [several]


def test_slots_of_a_drained_endpoint_are_kept_no_more() -> None:
    ruled, leases = full(2, 2)
    several = ruled.wait(slots=2)
    ruled.give(leases[0])
    assert list(ruled.core.drain("a", 0.0)) == []
    ruled.give(leases[2])
    assert ruled.give(leases[3]) == [several]
    assert slots_of(several) == ("b", 2)


def test_a_closed_core_keeps_nothing() -> None:
    ruled, leases = full(2, health={})
    several = ruled.wait(slots=2)
    ruled.give(leases[0])
    assert ruled.limits() == {"a": 1}
    assert list(ruled.core.close(1.0)) == [several]
    assert ruled.limits() == {"a": 2}


def test_a_new_strategy_is_told_what_is_kept() -> None:
    ruled, leases = full(2)
    several = ruled.wait(slots=2)
    ruled.give(leases[0])
    fresh = type(ruled.strategy)()
    ruled.core.set_strategy(fresh, 0.0)
    assert ruled.get() is None
    assert ruled.give(leases[1]) == [several]


def test_the_number_of_all_slots_follows_each_change_of_the_endpoints() -> None:
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
