"""Limits that move with overload, and caps that the endpoints of a host share."""

from dataclasses import replace

import pytest

from balancer.core.limits import Aimd
from balancer.endpoint import Endpoint, Hint, Lease, LeaseTerms, Outcome
from balancer.errors import LeaseError, StrategyError
from balancer.settings.rules import LimitSettings
from balancer.strategy import Request
from tests.unit.ruled import FAILURE, OVERLOAD, SUCCESS, Ruled, Scan

TIMED_OUT = Hint(timed_out=True)


def limited(capacity: int = 8, **limits: object) -> Ruled:
    return Ruled([Endpoint("a", capacity=capacity)], limits=limits)


def all_of(ruled: Ruled) -> list[Lease]:
    """Lease all there is."""
    leases = []
    while (lease := ruled.get()) is not None:
        leases.append(lease)
    return leases


def round_of(ruled: Ruled) -> None:
    """Let every lease of one round succeed while others want the slots; then give all back that is out."""
    leases = all_of(ruled)
    waiters = [ruled.wait() for _ in range(2 * len(leases) + 2)]
    for lease in leases:
        ruled.give(lease)
    for waiter in waiters:
        if waiter.lease is not None:
            ruled.give(waiter.lease, Outcome.IGNORED)
        else:
            ruled.core.cancel(waiter, ruled.now, timed_out=False)


def limit_of(ruled: Ruled) -> int:
    return ruled.limits()["a"]


# -- AIMD ----------------------------------------------------------------------------------------------


def test_a_limit_starts_low_and_grows_by_one_for_each_round_of_successes() -> None:
    ruled = limited()
    for limit in (1, 2, 3, 4, 5, 6, 7, 8, 8):
        assert limit_of(ruled) == limit
        round_of(ruled)


def test_an_overload_halves_the_limit_once_for_those_that_were_out_together() -> None:
    ruled = limited(initial=8)
    leases = all_of(ruled)
    ruled.at(1.0)
    for lease in leases[:4]:
        ruled.give(lease, OVERLOAD)
    assert limit_of(ruled) == 4
    assert ruled.get() is None  # four are out
    ruled.give(leases[4])
    late = ruled.take()
    assert late.granted_s == 1.0
    ruled.at(2.0)
    ruled.give(late, OVERLOAD)
    assert limit_of(ruled) == 4  # it was granted at the instant of the cut, perhaps before it
    ruled.give(ruled.take(), OVERLOAD)
    assert limit_of(ruled) == 2


@pytest.mark.parametrize(
    ("outcome", "hint", "limit"),
    [(FAILURE, None, 8), (FAILURE, TIMED_OUT, 4), (OVERLOAD, None, 4), (Outcome.IGNORED, None, 8), (SUCCESS, None, 8)],
)
def test_only_overload_and_time_outs_lower_a_limit(outcome: Outcome, hint: Hint | None, limit: int) -> None:
    ruled = limited(initial=8)
    ruled.give(ruled.take(), outcome, hint)
    assert limit_of(ruled) == limit


def test_hundreds_of_rounds_do_not_stray_by_rounding() -> None:
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


def test_the_ports_of_a_host_share_its_cap() -> None:
    one, two = urls_of(2)
    ruled = Ruled(ports(2), host_caps={"m": 5})
    for url in (one, one, two, one, one):
        ruled.take(url)
    assert ruled.get() is None
    assert ruled.limits() == {one: 4, two: 1}


def test_a_slot_freed_on_one_port_serves_a_waiter_on_another() -> None:
    one, two = urls_of(2)
    ruled = Ruled(ports(2), host_caps={"m": 2})
    leases = [ruled.take(one), ruled.take(one)]
    waiter = ruled.wait(two)
    assert ruled.give(leases[0]) == [waiter]
    assert ruled.limits() == {one: 1, two: 1}


def test_a_star_stands_for_each_host_that_is_not_named() -> None:
    specs = [Endpoint("http://m:1/", capacity=4), Endpoint("http://n:1/", capacity=4), Endpoint("http://n:2/")]
    ruled = Ruled([*specs, Endpoint("http://o:1/", capacity=4)], host_caps={"m": 3, "*": 2})
    assert ruled.limits() == {"http://m:1/": 3, "http://n:1/": 2, "http://n:2/": 1, "http://o:1/": 2}


def test_an_endpoint_that_moves_to_another_host_takes_its_leases_along() -> None:
    health = {"slow_start_s": 0.0}
    specs = [Endpoint("a", capacity=4, host="m"), Endpoint("b", capacity=4, host="m"), Endpoint("c", host="n")]
    ruled = Ruled([*specs, Endpoint("d", host="o")], host_caps={"m": 3, "n": 3}, health=health)
    ruled.call("d")
    leases = [ruled.take("a"), ruled.take("a"), ruled.take("d")]
    waiter = ruled.wait("b", slots=2)
    moved = ruled.core.update(replace(specs[0], host="n"), 0.0)
    assert list(moved) == [waiter]
    assert ruled.limits() == {"a": 3, "b": 3, "c": 1, "d": 1}
    ruled.core.update(Endpoint("d", host="n"), 0.0)  # its health was looked at just now, and seemed to need no more
    assert ruled.limits() == {"a": 2, "b": 3, "c": 0, "d": 1}
    for lease in leases:
        ruled.give(lease)
    assert ruled.limits() == {"a": 3, "b": 3, "c": 1, "d": 1}


@pytest.mark.parametrize("cap", [0, -1, 1.5, True, "2"])
def test_a_cap_that_is_no_whole_number_above_zero_is_refused(cap: object) -> None:
    with pytest.raises(ValueError, match=r"host_caps: m is .*; it must be a whole number >= 1"):
        Ruled(ports(1), host_caps={"m": cap})  # type: ignore[dict-item]  # that is the point


def test_hosts_that_are_gone_are_forgotten() -> None:
    ruled = Ruled(1, host_caps={"*": 1})
    for number in range(100):
        spec = Endpoint(f"http://host{number}:1/")
        ruled.core.add(spec, 0.0)
        ruled.core.remove(spec.url, 0.0)
    assert len(ruled.core._rules._hosts) <= 1


class _RaisesAtTheEnd(Scan):
    def finish(self, *args: object) -> None:
        raise ZeroDivisionError


def test_a_strategy_that_raises_as_a_lease_ends_does_not_make_the_count_of_its_host_drift() -> None:
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


def test_a_lease_that_runs_out_is_taken_off_its_host() -> None:
    one, two = urls_of(2)
    ruled = Ruled(ports(2), host_caps={"m": 1})
    assert ruled.core.acquire(Request(terms=LeaseTerms(ttl_s=5.0)), 0.0) is not None
    assert ruled.limits() == {one: 1, two: 0}
    ruled.at(6.0)
    assert ruled.limits() == {one: 1, two: 1}
