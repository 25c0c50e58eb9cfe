"""Limits that move with overload, and caps that the endpoints of a host share."""

import pytest

from balancer.core.account import Aimd
from balancer.endpoint import Endpoint, LeaseTerms
from balancer.errors import LeaseError, StrategyError
from balancer.settings.rules import LimitSettings
from balancer.strategy import Request
from tests.unit.ruled import FAILURE, SUCCESS, Ruled, Scan

# -- AIMD ----------------------------------------------------------------------------------------------


def test_hundreds_of_rounds_do_not_stray_by_rounding():
    aimd = Aimd(LimitSettings(kind="aimd"))
    lease = Ruled(1).take()
    for limit in range(1, 400):
        assert aimd.limit == limit
        for _ in range(limit):
            aimd.ended(lease, SUCCESS, 1.0, used=limit + 1, capacity=400)
    assert aimd.limit == 400


# -- hosts ---------------------------------------------------------------------------------------------


def ports(count: int, capacity: int = 4) -> list[Endpoint]:
    return [Endpoint(f"http://m:{8000 + number}/", capacity=capacity) for number in range(count)]


def urls_of(count: int) -> list[str]:
    return [spec.url for spec in ports(count)]


def test_the_ports_of_a_host_share_its_cap():
    one, two = urls_of(2)
    ruled = Ruled(ports(2), host_caps={"m": 5})
    for url in (one, one, two, one, one):
        ruled.take(url)
    assert ruled.get() is None
    assert ruled.limits() == {one: 4, two: 1}


def test_a_slot_freed_on_one_port_serves_a_waiter_on_another():
    one, two = urls_of(2)
    ruled = Ruled(ports(2), host_caps={"m": 2})
    leases = [ruled.take(one), ruled.take(one)]
    waiter = ruled.wait(two)
    assert ruled.give(leases[0]) == [waiter]
    assert ruled.limits() == {one: 1, two: 1}


@pytest.mark.parametrize("cap", [0, -1, 1.5, True, "2"])
def test_a_cap_that_is_no_whole_number_above_zero_is_refused(cap):
    with pytest.raises(ValueError, match=r"host_caps: m is .*; it must be a whole number >= 1"):
        Ruled(ports(1), host_caps={"m": cap})  # that is the point


def test_hosts_that_are_gone_are_forgotten():
    ruled = Ruled(1, host_caps={"*": 1})
    for number in range(100):
        spec = Endpoint(f"http://host{number}:1/")
        ruled.core.add(spec, 0.0)
        ruled.core.remove(spec.url, 0.0)
    assert len(ruled.core._rules._hosts) <= 1


class _RaisesAtTheEnd(Scan):
    def finish(self, *args: object) -> None:
        raise ZeroDivisionError


def test_a_strategy_that_raises_as_a_lease_ends_does_not_make_the_count_of_its_host_drift():
    one, two = urls_of(2)
    ruled = Ruled(ports(2), host_caps={"m": 1}, health={"consecutive_failures": 1})
    lease = ruled.take(one)
    ruled.core.set_strategy(_RaisesAtTheEnd(), 0.0)
    with pytest.raises(StrategyError, match=r"in finish$"):
        ruled.give(lease, FAILURE)
    assert ruled.health() == {one: "ejected", two: "healthy"}
    assert ruled.limits() == {one: 0, two: 1}
    with pytest.raises(LeaseError):
        ruled.give(lease)
    assert ruled.limits() == {one: 0, two: 1}


def test_a_lease_that_runs_out_is_taken_off_its_host():
    one, two = urls_of(2)
    ruled = Ruled(ports(2), host_caps={"m": 1})
    assert ruled.core.acquire(Request(terms=LeaseTerms(ttl_s=5.0)), 0.0) is not None
    assert ruled.limits() == {one: 1, two: 0}
    ruled.at(6.0)
    assert ruled.limits() == {one: 1, two: 1}
