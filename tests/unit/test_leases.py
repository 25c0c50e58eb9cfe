"""Leases with an identity: who holds what since when, an end by id, and an end by the clock."""

import asyncio
import logging
import math
from inspect import currentframe
from pathlib import Path

import pytest

from balancer import Endpoint, EndpointError, Lease, LeaseError, Outcome, Pool
from balancer.core.events import Ended, Event, Expired
from balancer.endpoint import LeaseTerms
from balancer.settings.rules import HealthSettings
from balancer.strategy import Request
from balancer.testing.clock import ManualClock
from tests.unit.ruled import Ruled


def pool_of(clock: ManualClock | None = None, **settings: object) -> Pool:
    settings = {"health": None, "strategy": "fifo", "clock": clock or ManualClock()} | settings
    return Pool([Endpoint("a"), Endpoint("b", capacity=3)], **settings)


def test_the_leases_that_are_out_are_shown():
    clock = ManualClock(10.0)
    pool = pool_of(clock)
    pool.acquire(holder="sample 7")
    clock.advance(1.5)
    other = pool.acquire(slots=2)
    rows = pool.leases()
    assert [(row.id, row.endpoint, row.holder, row.since_s, row.age_s, row.slots) for row in rows] == [
        (1, "a", "sample 7", 10.0, 1.5, 1),
        (2, "b", "", 11.5, 0.0, 2),
    ]
    assert (other.holder, other.slots) == ("", 2)
    other.release()
    assert [row.id for row in pool.leases()] == [1]
    with pytest.raises(AttributeError):
        rows[0].id = 3


def test_a_lease_is_ended_by_its_id_and_its_return_is_refused():
    pool = pool_of()
    lease = pool.acquire()
    pool.release_by_id(lease.id, Outcome.FAILURE)
    assert lease.ended
    assert pool.stats().failures == 1
    with pytest.raises(LeaseError, match="ended by its id"):
        lease.release()
    for id in (lease.id, 99):
        with pytest.raises(LeaseError, match="not out"):
            pool.release_by_id(id)
    stats = pool.stats()
    assert (stats.calls, stats.failures, [e.in_flight for e in stats.endpoints]) == (1, 1, [0, 0])


@pytest.mark.parametrize("health", [None, HealthSettings()], ids=["plain", "ruled"])
@pytest.mark.parametrize("whose", ["pool", "acquire"])
def test_a_lease_is_over_when_its_time_is_over_though_nobody_waits(health, whose):
    clock, heard = ManualClock(0.0), list[Event]()
    pool = pool_of(clock, ttl_s=5.0 if whose == "pool" else None, health=health, observers=[heard.append])
    lease = pool.acquire(ttl_s=None if whose == "pool" else 5.0, holder="slow")
    clock.advance(4.9)
    assert len(pool.leases()) == 1
    clock.advance(0.1)
    assert pool.leases() == ()
    assert heard[-2:] == [Expired(5.0, 1, "a", "slow", 1, 5.0), Ended(5.0, 1, "a", "slow", 1, Outcome.IGNORED, 5.0)]
    before = pool.stats()
    with pytest.raises(LeaseError, match=r"^lease 1: the lease of a expired after its ttl_s"):
        lease.release(Outcome.FAILURE)
    assert pool.stats() == before
    assert (before.calls, before.failures, before.endpoints[0].in_flight) == (0, 0, 0)


def _outlast(clock: ManualClock, pool: Pool, error: Exception | None = None) -> None:
    """Use a lease for six seconds, and raise."""
    with pool.lease():
        clock.advance(6.0)
        pool.stats()  # time does what is due
        if error is not None:
            raise error


def test_the_error_of_a_block_that_outlasts_its_lease_is_not_lost():
    clock = ManualClock()
    pool = pool_of(clock, ttl_s=5.0)
    with pytest.raises(ConnectionResetError) as caught:
        _outlast(clock, pool, ConnectionResetError())
    (note,) = caught.value.__notes__
    assert note.endswith("expired after its ttl_s, so its slot went to others; release it sooner")
    stats = pool.stats()
    assert (stats.calls, stats.failures, [endpoint.in_flight for endpoint in stats.endpoints]) == (0, 0, [0, 0])
    with pytest.raises(LeaseError, match="expired"):
        _outlast(clock, pool)


@pytest.mark.parametrize("hedge_after_s", [None, 30.0])
def test_a_call_that_fails_after_its_lease_is_over_is_made_again(hedge_after_s):
    clock, went = ManualClock(), list[str]()
    pool = pool_of(clock, ttl_s=5.0)

    def fn(lease: Lease) -> str:
        went.append(lease.endpoint.name)
        if len(went) == 1:
            clock.advance(6.0)
            pool.stats()
            raise EndpointError("down")
        return "done"

    assert pool.call(fn, hedge_after_s=hedge_after_s) == "done"
    assert went == ["a", "b"]


def test_a_forgotten_lease_is_logged_once_with_its_place_and_keeps_its_slot(caplog):
    clock = ManualClock()
    pool = pool_of(clock, leak_after_s=30.0)
    pool.acquire(holder="sample 7")
    line = f"{Path(__file__)}:{currentframe().f_lineno - 1}"
    clock.advance(29.0)
    pool.acquire().release()
    assert not caplog.records
    clock.advance(1.0)
    for _ in range(3):
        pool.stats()
        clock.advance(30.0)
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert lines == [
        f"lease 1 of a held by 'sample 7' has been out for 30 s, acquired at {line}; did the program forget it?"
    ]
    assert pool.leases()[0].where == line
    assert pool.stats().endpoints[0].in_flight == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ttl_s": 0}, "ttl_s is 0"),
        ({"ttl_s": math.nan}, "ttl_s is nan"),
        ({"ttl_s": "5"}, "ttl_s is '5'"),
        ({"holder": 7}, "holder is 7"),
    ],
)
def test_terms_that_make_no_sense_are_refused(given, message):
    pool = pool_of()
    with pytest.raises((ValueError, TypeError), match=message):
        pool.acquire(**given)
    assert pool.stats().acquired == 0
    if "ttl_s" in given:
        with pytest.raises(ValueError, match=message.replace("ttl_s", "leak_after_s")):
            pool_of(leak_after_s=given["ttl_s"])


def test_a_lease_whose_end_is_cut_short_ends_at_the_next_look(monkeypatch):
    """An interrupt comes as its time is over, before it has ended."""
    ruled = Ruled(1)
    lease = ruled.core.acquire(Request(terms=LeaseTerms(ttl_s=5.0)), 0.0)
    assert lease is not None

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ruled.core, "_end_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ruled.core.tick(6.0)
    assert not lease.ended
    ruled.core.recover(6.0)
    ruled.core.tick(6.0)
    assert lease.ended


@pytest.mark.parametrize("wrong", ["good", 0, "", True])
def test_an_outcome_that_is_none_leaves_no_slot_out_and_hides_no_error(wrong):
    pool = Pool(["a"])

    def use(lease: Lease) -> None:
        lease.outcome = wrong

    def by_hand() -> None:
        lease = pool.acquire()
        use(lease)
        lease.release()

    def block(error: Exception | None = None) -> None:
        with pool.lease() as lease:
            use(lease)
            if error is not None:
                raise error

    async def in_task() -> None:
        async with pool.aio.lease() as lease:
            use(lease)

    ends = [by_hand, block, lambda: pool.call(use), lambda: pool.call(use, hedge_after_s=60.0)]
    for end in [*ends, lambda: asyncio.run(in_task())]:
        with pytest.raises(TypeError, match=r"^lease\.outcome is .*it takes an Outcome.* has ended as 'ignored'"):
            end()
        assert not pool.leases()
    with pytest.raises(EndpointError, match="mine") as caught:
        block(EndpointError("mine"))
    assert "has ended as 'failure'" in caught.value.__notes__[0]
    (endpoint,) = pool.stats().endpoints
    assert (endpoint.in_flight, endpoint.failures, endpoint.ignored) == (0, 1, 5)
