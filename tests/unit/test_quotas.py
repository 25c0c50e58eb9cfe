"""Quotas: to the unit, in any minute; an estimate is reserved and settled; who waits is woken when there is room."""

import json
import random
from typing import Any

import pytest
from pydantic import TypeAdapter

from balancer import Endpoint, Pool, QuotaExceeded, QuotaSettings
from balancer.core import Core
from balancer.core.metrics import PoolStats, QuotaStats
from balancer.endpoint import Outcome
from balancer.errors import AcquireTimeout, LeaseError
from balancer.plugins.registry import default_registry
from balancer.strategy import ANY, Request
from balancer.testing import ManualClock
from balancer.testing.doubles import FakeLender
from tests.unit.ruled import woken

_KEY = "http://a/", "http://b/"


def core_of(quota: QuotaSettings, *, capacity: int = 100) -> Core:
    """A core of two endpoints of one key."""
    specs = [Endpoint(url, capacity=capacity, quota="key") for url in _KEY]
    strategy = default_registry().strategy("least_in_flight", None, random.Random(0))
    return Core(specs, strategy, lender=FakeLender(), quotas={"key": quota}, now=0.0)


def ask(core: Core, now: float, tokens: int | None = None) -> Any:
    """Return a lease, or the waiter that waits for one."""
    request = ANY if tokens is None else Request(tokens=tokens)
    return core.acquire(request, now) or core.wait(request, now, 1e9, 0, woken)


def test_a_request_waits_until_the_first_call_of_the_minute_leaves_it():
    core = core_of(QuotaSettings(requests_per_min=2))
    first, second = ask(core, 0.0), ask(core, 1.0)
    waiter = ask(core, 2.0)
    core.release(first, Outcome.SUCCESS, 3.0)
    core.release(second, Outcome.SUCCESS, 3.0)
    assert core.due_s == 60.0
    assert core.tick(59.9) == []
    assert [each.lease is not None for each in core.tick(60.0)] == [True]
    assert waiter.lease.endpoint.name in _KEY


def test_the_quota_of_one_that_left_is_kept_for_as_long_as_its_calls_count():
    clock = ManualClock()
    one = Endpoint("http://a/", quota="q")
    pool = Pool([one], quotas={"q": QuotaSettings(requests_per_min=1)}, clock=clock)
    pool.acquire(timeout=0).release()
    for after_s, free in ((30.0, False), (31.0, True)):
        pool.remove("http://a/")
        clock.advance(after_s)
        pool.add(Endpoint("http://b/"))
        pool.remove("http://b/")
        pool.add(one)
        if not free:
            with pytest.raises(AcquireTimeout):
                pool.acquire(timeout=0)
    pool.acquire(timeout=0)


def test_the_largest_quota_is_that_of_all_keys():
    quotas = {"small": QuotaSettings(tokens_per_min=10), "large": QuotaSettings(tokens_per_min=20)}
    pool = Pool([Endpoint("http://a/", quota="small"), Endpoint("http://b/", quota="large")], quotas=quotas)
    with pytest.raises(QuotaExceeded, match=r"reserves 21 tokens, and the largest quota .* has 20 a minute"):
        pool.acquire(timeout=0, tokens=21)


def test_a_quota_that_an_older_claim_waits_for_is_not_lived_on_by_smaller_ones():
    core = core_of(QuotaSettings(tokens_per_min=10))
    ask(core, 0.0, 6)
    large = ask(core, 1.0, 9)
    small = [ask(core, 2.0 + number, 1) for number in range(4)]
    other = Request(exclude=frozenset({"http://a/"}), tokens=1)  # for one of those endpoints, which has slots free
    assert core.acquire(other, 7.0) is None
    assert core.tick(59.0) == []
    assert core.tick(60.0) == [large, small[0]]


def test_what_a_call_used_is_said_before_it_ends():
    pool = Pool([Endpoint("http://a/", quota="key")], quotas={"key": QuotaSettings(tokens_per_min=10)})
    lease = pool.acquire(tokens=10)
    lease.release(tokens=3)
    with pytest.raises(LeaseError, match="report on a call before its lease ends"):
        lease.used(tokens=3)
    pool.acquire(timeout=0, tokens=7).release()
    with pytest.raises(AcquireTimeout):
        pool.acquire(timeout=0, tokens=1)


def test_what_does_not_fit_together_is_said_where_it_is_given():
    quota = QuotaSettings(requests_per_min=1)
    with pytest.raises(ValueError, match=r"quota is 'kex', which the pool does not have \(quotas: 'key'\)"):
        Pool([Endpoint("http://a/", quota="kex")], quotas={"key": quota})
    with pytest.raises(ValueError, match="needs requests_per_min or tokens_per_min"):
        QuotaSettings()
    with pytest.raises(ValueError, match="estimate: 5 is more than tokens_per_min, 4"):
        QuotaSettings(tokens_per_min=4, estimate=5)
    with pytest.raises(ValueError, match="tokens is -1"):
        Pool(["http://a/"]).acquire(tokens=-1)


# -- what is told of it ----------------------------------------------------------------------------


def _full(**quota: int) -> tuple[Pool, ManualClock]:
    clock = ManualClock()
    specs = [Endpoint(url, capacity=100, quota="key") for url in _KEY]
    return Pool(specs, quotas={"key": QuotaSettings(**quota)}, clock=clock), clock


def test_a_wait_that_is_over_for_a_quota_names_it_and_says_when_there_is_room():
    pool, clock = _full(requests_per_min=3)
    for _ in range(3):
        pool.acquire(0).release()
        clock.advance(4.0)
    with pytest.raises(AcquireTimeout) as caught:
        pool.acquire(0)
    assert caught.value.quotas == ("quota 'key': 3 of 3 requests used in this minute, room for another one in 48 s",)
    assert f"; {caught.value.quotas[0]}; raise the quota, or add a key with its own quota, or allow" in str(
        caught.value
    )
    clock.advance(48.0)
    pool.acquire(0).release()


def test_tokens_are_named_with_what_was_wanted():
    pool, _ = _full(requests_per_min=10, tokens_per_min=100)
    pool.acquire(0, tokens=90).release()
    with pytest.raises(AcquireTimeout) as caught:
        pool.acquire(0, tokens=20)
    assert caught.value.quotas == (
        "quota 'key': 1 of 10 requests and 90 of 100 tokens used in this minute, room for 20 tokens in 60 s",
    )


def test_a_quota_that_is_kept_for_an_older_claim_is_said_to_be():
    pool, clock = _full(tokens_per_min=100)
    pool.acquire(0, tokens=60).release()
    older = pool.engine.core.wait(Request(tokens=80), clock(), 1e9, 0, lambda: None)
    with pytest.raises(AcquireTimeout, match="60 of 100 tokens used in this minute, kept for calls that have waited"):
        pool.acquire(0, tokens=10, holder="another")
    pool.engine.change(lambda now: pool.engine.core.cancel(older, now, timed_out=False))


def test_stats_say_how_much_of_a_quota_is_used():
    clock = ManualClock()
    specs = [
        Endpoint("http://a/", quota="key"),
        Endpoint("http://b/", name="bee", quota="own"),
        Endpoint("http://c/", quota="key"),
    ]
    quotas = {
        "key": QuotaSettings(requests_per_min=2, tokens_per_min=50, estimate=20),
        "own": QuotaSettings(requests_per_min=9),
    }
    pool = Pool(specs, quotas=quotas, clock=clock, strategy="first")
    assert Pool(["http://a/"]).stats().quotas == ()
    pool.acquire(0).release(tokens=7)
    clock.advance(10.0)
    pool.acquire(0).release()
    key, bee = pool.stats().quotas
    assert key == QuotaStats("key", ("http://a/", "http://c/"), 2, 2, 27, 50, 50.0)
    assert bee == QuotaStats("own", ("bee",), 0, 9, 0, None, 0.0)
    data = json.loads(json.dumps(pool.stats().to_dict()))
    assert TypeAdapter(PoolStats).validate_python(data).quotas == (key, bee)
    clock.advance(60.0)
    assert [(each.requests, each.tokens, each.room_in_s) for each in pool.stats().quotas] == [(0, 0, 0.0)] * 2


def test_an_interrupt_between_a_call_and_its_count_is_made_good():
    core = core_of(QuotaSettings(requests_per_min=5, tokens_per_min=20))
    for tokens in (3, 4):
        ask(core, 0.0, tokens)
    (meter,) = core.ledger.kinds.meters
    meter.calls, meter.tokens = 4, 19
    core.recover(1.0)
    (usage,) = core.quotas(1.0)
    assert (usage.requests, usage.tokens) == (2, 7)


def test_a_quota_is_made_of_its_settings():
    with pytest.raises(TypeError, match=r"quotas: key is 5; it takes balancer.QuotaSettings"):
        Pool(["http://a/"], quotas={"key": 5})
