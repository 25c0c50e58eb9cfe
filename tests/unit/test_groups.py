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


def core_of(low: int = 1) -> Core:
    """A core of some endpoints in the lowest group, and one in a higher group."""
    specs = [*map(Endpoint, (LOW, "http://too/")[:low]), Endpoint(HIGH, group=1, labels=frozenset({"big"}))]
    strategy = default_registry().strategy("least_in_flight", None, random.Random(0))
    return Core(specs, strategy, lender=FakeLender(), spill_after_s=5.0, now=0.0)


def wait(core: Core, now: float, request: Request = ANY) -> Any:
    """Return who waits."""
    assert core.acquire(request, now) is None
    return core.wait(request, now, 1e9, 0, woken)


def place(lease: Any) -> str:
    """Return where a lease is."""
    return str(lease.endpoint.name)


def test_a_slot_that_comes_free_and_is_handed_on_was_never_free():
    core = core_of()
    lease = core.acquire(ANY, 0.0)
    assert lease is not None
    first, second = wait(core, 1.0), wait(core, 2.0)
    assert core.release(lease, Outcome.SUCCESS, 3.0) == [first]
    assert core.due_s == 5.0
    assert core.tick(5.0) == [second]


def test_a_group_gives_way_when_its_last_endpoint_has_been_full_for_long_enough():
    core = core_of(low=2)
    core.acquire(ANY, 1.0)
    core.acquire(ANY, 3.0)
    waiter = wait(core, 7.0)
    assert core.due_s == 8.0
    assert core.tick(8.0) == [waiter]


def test_groups_come_and_go_with_their_endpoints():
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


def test_a_group_that_comes_back_is_waited_for_anew():
    """How long a lower one is full was not watched meanwhile."""
    core = core_of()
    lease = core.acquire(ANY, 1.0)
    core.remove(HIGH, 2.0)
    core.release(lease, Outcome.SUCCESS, 3.0)
    assert place(core.acquire(ANY, 100.0)) == LOW
    core.add(Endpoint(HIGH, group=1), 101.0)
    assert core.acquire(ANY, 102.0) is None
    assert place(core.acquire(ANY, 106.0)) == HIGH


def test_a_group_is_a_whole_number_from_0_on():
    with pytest.raises(ValueError, match="group is -1; it must be a whole number >= 0"):
        Endpoint(LOW, group=-1)
    with pytest.raises(ValueError, match="spill_after_s is -1"):
        Pool([LOW], spill_after_s=-1)


def reasons(core: Core, request: Request, now: float = 0.0) -> dict[str, int]:
    """Return why nobody could be taken, of a wait that times out after a second."""
    waiter = core.wait(request, now, now + 1.0, 0, lambda: None)
    core.cancel(waiter, now + 1.0, timed_out=True)
    assert isinstance(waiter.error, AcquireTimeout)
    assert waiter.error.reasons.keys() <= WHY_NOT_TAKEN.keys()
    return waiter.error.reasons


def test_a_wait_in_vain_says_why_each_endpoint_was_not_taken():
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
