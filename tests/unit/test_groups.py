"""Failover groups: a higher one is used when no endpoint of the lower ones can serve, and never else."""

import random
from typing import Any

import pytest

from balancer import Endpoint, HealthSettings, Pool
from balancer.core import Core
from balancer.endpoint import Hint, Lease, Outcome
from balancer.errors import WHY_NOT_TAKEN, AcquireTimeout
from balancer.plugins.registry import default_registry
from balancer.settings.rules import LimitSettings, QuotaSettings
from balancer.strategy import ANY, Request
from balancer.testing import ManualClock
from balancer.testing.doubles import FakeLender
from tests.unit.ruled import woken

LOW, HIGH = "http://low/", "http://high/"


def core_of(*, spill_after_s: float | None = None, health: HealthSettings | None = None, capacity: int = 1) -> Core:
    """A core of two endpoints, the second in a higher group."""
    specs = [Endpoint(LOW, capacity=capacity), Endpoint(HIGH, capacity=2, group=1, labels=frozenset({"big"}))]
    strategy = default_registry().strategy("least_in_flight", None, random.Random(0))
    rng = random.Random(0)
    return Core(specs, strategy, lender=FakeLender(), health=health, spill_after_s=spill_after_s, rng=rng, now=0.0)


def wait(core: Core, now: float, request: Request = ANY) -> Any:
    """Return who waits."""
    assert core.acquire(request, now) is None
    return core.wait(request, now, 1e9, 0, woken)


def place(lease: Any) -> str:
    """Return where a lease is."""
    return str(lease.endpoint.name)


def test_a_full_group_is_waited_for_unless_the_pool_says_for_how_long() -> None:
    core = core_of()
    first = core.acquire(ANY, 0.0)
    assert first is not None
    waiter = wait(core, 1.0)
    assert core.due_s == float("inf")
    assert core.tick(1e6) == []
    assert core.release(first, Outcome.SUCCESS, 1e6) == [waiter]
    assert place(waiter.lease) == LOW


def test_the_next_group_is_used_at_the_instant_when_the_lower_one_has_been_full_for_so_long() -> None:
    core = core_of(spill_after_s=5.0)
    assert place(core.acquire(ANY, 10.0)) == LOW
    waiter = wait(core, 12.0)
    assert core.due_s == 15.0
    assert core.tick(14.999) == []
    assert core.tick(15.0) == [waiter]
    assert place(waiter.lease) == HIGH
    assert place(core.acquire(ANY, 16.0)) == HIGH  # it is full still, and has been for long enough


def test_a_slot_that_comes_free_and_is_handed_on_was_never_free() -> None:
    core = core_of(spill_after_s=5.0)
    lease = core.acquire(ANY, 0.0)
    assert lease is not None
    first, second = wait(core, 1.0), wait(core, 2.0)
    assert core.release(lease, Outcome.SUCCESS, 3.0) == [first]
    assert core.due_s == 5.0
    assert core.tick(5.0) == [second]


def test_a_group_with_a_free_slot_is_used_again_and_its_time_begins_anew() -> None:
    core = core_of(spill_after_s=5.0)
    lease = core.acquire(ANY, 0.0)
    assert lease is not None
    assert place(core.acquire(ANY, 6.0)) == HIGH
    core.release(lease, Outcome.SUCCESS, 7.0)
    assert place(core.acquire(ANY, 8.0)) == LOW
    assert core.acquire(ANY, 9.0) is None


def test_an_endpoint_that_is_ejected_gives_way_at_once_and_takes_its_probe_when_it_is_due() -> None:
    health = HealthSettings(consecutive_failures=1, cooldown_s=1.0, max_ejected_share=1.0)
    core = core_of(health=health)
    lease = core.acquire(ANY, 0.0)
    assert lease is not None
    core.release(lease, Outcome.FAILURE, 0.5)
    assert place(core.acquire(ANY, 0.6)) == HIGH
    probe = core.acquire(ANY, 2.0)
    assert place(probe) == LOW  # half open: a lease tries it
    assert place(core.acquire(ANY, 2.1)) == HIGH  # and nobody waits for that


def test_what_no_lower_group_can_serve_does_not_wait_for_it() -> None:
    core = core_of()
    assert place(core.acquire(Request(labels=frozenset({"big"})), 0.0)) == HIGH
    assert place(core.acquire(Request(exclude=frozenset({LOW})), 0.0)) == HIGH


def test_groups_come_and_go_with_their_endpoints() -> None:
    clock = ManualClock()
    pool = Pool([LOW], health=None, clock=clock)
    pool.add(Endpoint(HIGH, group=1))
    pool.acquire(timeout=0)
    with pytest.raises(AcquireTimeout):
        pool.acquire(timeout=0)
    pool.drain(LOW)
    assert place(pool.acquire(timeout=0)) == HIGH
    pool.add(Endpoint("http://third/", group=2))
    pool.update(HIGH, group=3)
    assert place(pool.acquire(timeout=0)) == "http://third/"


@pytest.mark.parametrize("way", ["drain", "remove"])
def test_the_next_group_is_used_when_the_last_of_the_first_leaves(way: str) -> None:
    pool = Pool([LOW, Endpoint(HIGH, group=1)], health=None, clock=ManualClock())
    getattr(pool, way)(LOW)
    assert place(pool.acquire(timeout=0)) == HIGH


def test_a_group_is_a_whole_number_from_0_on() -> None:
    with pytest.raises(ValueError, match="group is -1; it must be a whole number >= 0"):
        Endpoint(LOW, group=-1)
    with pytest.raises(ValueError, match="spill_after_s is -1"):
        Pool([LOW], spill_after_s=-1)


def test_since_when_a_group_is_full_does_not_depend_on_what_is_added() -> None:
    core = core_of(spill_after_s=10.0)
    assert place(core.acquire(ANY, 0.0)) == LOW
    core.add(Endpoint("http://third/", group=2), 9.0)
    assert place(core.acquire(ANY, 10.0)) == HIGH


def test_of_the_time_with_one_group_it_is_not_known_since_when_it_was_full() -> None:
    core = core_of(spill_after_s=10.0)
    first = core.acquire(ANY, 0.0)
    assert first is not None
    core.remove(HIGH, 1.0)
    core.release(first, Outcome.SUCCESS, 2.0)
    assert place(core.acquire(ANY, 50.0)) == LOW
    core.add(Endpoint(HIGH, group=1), 51.0)
    assert core.acquire(ANY, 60.9) is None
    assert place(core.acquire(ANY, 61.0)) == HIGH


def reasons(core: Core, request: Request, now: float = 0.0) -> dict[str, int]:
    """Return why nobody could be taken, of a wait that times out after a second."""
    waiter = core.wait(request, now, now + 1.0, 0, lambda: None)
    core.cancel(waiter, now + 1.0, timed_out=True)
    assert isinstance(waiter.error, AcquireTimeout)
    assert waiter.error.reasons.keys() <= WHY_NOT_TAKEN.keys()
    return waiter.error.reasons


def test_a_wait_in_vain_says_why_each_endpoint_was_not_taken() -> None:
    health = HealthSettings(consecutive_failures=2, slow_start_s=0.0, cooldown_s=100.0)
    names = "abcdefgh"
    specs = [Endpoint(name, capacity=2, labels=frozenset({name})) for name in names]
    quotas = {"one": QuotaSettings(requests_per_min=1)}
    specs[1] = Endpoint("b", quota="one")
    specs[2] = Endpoint("c", group=1)
    core = Core(
        specs,
        default_registry().strategy("first", None, random.Random(0)),
        lender=FakeLender(),
        health=health,
        limits=LimitSettings(kind="aimd"),
        quotas=quotas,
        spill_after_s=50.0,
        rng=random.Random(1),
        now=0.0,
    )

    def take(name: str) -> Lease:
        lease = core.acquire(Request(only=name), 0.0)
        assert lease is not None
        return lease

    for _ in range(2):
        core.release(take("a"), Outcome.FAILURE, 0.0)
    resting = take("d")
    resting.hint = Hint(retry_after_s=100.0)
    core.release(resting, Outcome.OVERLOAD, 0.0)
    spent = take("e")
    spent.hint = Hint(spent=True)
    core.release(spent, Outcome.OVERLOAD, 0.0)
    core.release(take("b"), Outcome.SUCCESS, 0.0)
    for name in "fg":
        take(name)  # one slot each, of two: AIMD
    found = reasons(core, Request(exclude=frozenset({"h"})))
    assert found == {"limited": 2, "ejected": 1, "resting": 1, "spent": 1, "quota": 1, "group": 1, "unsuited": 1}
