"""What observers hear: in order, outside the lock, and nothing of it is made when nobody listens."""

import logging
import re
from contextlib import suppress
from random import Random

import pytest

from balancer import (
    AcquireTimeout,
    Endpoint,
    EndpointError,
    EndpointOverloaded,
    NoEndpoint,
    Outcome,
    Pool,
    PoolClosed,
    QuotaSpent,
)
from balancer.core import events
from balancer.core.events import Ejected, Ended, Event, Granted, Queued, Rested, Retried
from balancer.observing.page.pool_tables import RecentEvents
from balancer.settings.rules import HealthSettings, RetrySettings
from balancer.shells.logs import Log, log_refused
from balancer.testing.clock import ManualClock
from balancer.values.redaction import ShownNames

HEALTH = HealthSettings(consecutive_failures=1, cooldown_s=8.0, max_cooldown_s=8.0, slow_start_s=2.0)


class Heard(list[Event]):
    """An observer that remembers."""

    def __call__(self, event, /):
        self.append(event)

    @property
    def names(self):
        return [type(event).__name__ for event in self]


def pool_of(*names, clock=None, **settings):
    return Pool(list(map(Endpoint, names)), strategy="fifo", seed=1, clock=clock or ManualClock(), **settings)


def test_membership_strategy_and_calls():
    heard = Heard()
    retries = RetrySettings(base_s=0.001, max_pause_s=0.001)
    pool = pool_of("a", "b", health=None, retries=retries, observers=[heard])
    pool.add(Endpoint("c"))
    pool.drain("c")
    pool.remove("c")
    pool.update("b", capacity=3)
    pool.set_strategy("p2c")
    assert heard.names == ["Added", "Drained", "Removed", "LimitChanged", "StrategyChanged"]
    heard.clear()

    def fails(lease):
        raise EndpointError("down")

    with pytest.raises(EndpointError):
        pool.call(fails, attempts=2)
    assert sum(isinstance(event, Retried) for event in heard) == 1


def test_what_time_did_is_told_though_the_acquire_that_found_it_is_refused():
    clock, heard = ManualClock(0.0), Heard()
    pool = pool_of("a", clock=clock, health=None, max_waiters=0)
    pool.observe(heard, {events.Expired})
    lease = pool.acquire(ttl_s=5.0)
    clock.advance(5.0)
    with pytest.raises(NoEndpoint):
        pool.acquire(exclude={"a"})
    assert lease.ended
    assert heard.names == ["Expired"]


def test_one_that_raises_is_set_aside_with_one_line_and_the_others_go_on(caplog):
    heard = Heard()

    def bad(event, /):
        raise ValueError("the token is s3cret")

    pool = pool_of("a", health=None, observers=[bad, heard])
    for _ in range(3):
        pool.acquire().release()
    assert heard.names == ["Granted", "Ended"] * 3
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert "bad" in lines[0]
    assert "ValueError" in lines[0]
    assert "s3cret" not in lines[0]


def test_an_observer_may_call_the_pool_and_hears_of_that_afterwards():
    heard = []

    def busy(event, /):
        heard.append(f"{type(event).__name__} begins")
        if isinstance(event, Granted) and event.lease_id == 1:
            pool.acquire(timeout=0).release()
            assert repr(pool)
        heard.append(f"{type(event).__name__} ends")

    pool = pool_of("a", "b", health=None, observers=[busy])
    pool.acquire()
    assert heard == [f"{kind} {word}" for kind in ("Granted", "Granted", "Ended") for word in ("begins", "ends")]


def test_an_observation_ends():
    heard = Heard()
    pool = pool_of("a", health=None)
    with pool.observe(heard) as observation:
        pool.acquire().release()
    observation.end()
    pool.acquire().release()
    assert heard.names == ["Granted", "Ended"]
    assert observation.ended


def test_nothing_is_made_that_nobody_wants():
    heard = Heard()
    pool = pool_of("a", health=None)
    with pool.observe(heard, {Granted}):
        pool.acquire().release()
        assert heard.names == ["Granted"]
    assert not {Granted, Ended, Queued} & Log.kinds, "the log must cost a lease nothing"


@pytest.mark.parametrize("kinds", [{int}, {Event}, {"Granted"}])
def test_a_stranger_among_the_kinds_is_refused(kinds):
    pool = pool_of("a", health=None)
    with pytest.raises(ValueError, match="only event classes"):
        pool.observe(Heard(), kinds)
    with pytest.raises(TypeError, match="must be a function"):
        pool.observe(7)


def test_the_log_has_a_line_for_each_ejection_and_recovery_and_no_secret(caplog):
    clock = ManualClock()
    caplog.set_level(logging.INFO, "balancer")
    names = ["https://token@host/v1?key=s3cret", "b", "c", "d"]
    pool = pool_of(*names, clock=clock, health=HEALTH)
    pool.acquire(exclude={"b", "c", "d"}).release(Outcome.FAILURE)
    clock.advance(10.0)
    pool.acquire(exclude={"b", "c", "d"}).release()
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [
        ("WARNING", "https://host/v1 is ejected: 1 failure in a row; it is tried again in 7.82 s"),
        ("WARNING", "https://host/v1 is back in service"),  # a pair: a log of warnings alone has both
    ]


def _logged(caplog):
    lines = [line.partition("; it is tried again in ") for line in caplog.messages if "is ejected" in line]
    assert all(for_s.endswith(" s") for _, _, for_s in lines)
    return [said for said, _, _ in lines]


class _Status(Exception):
    """Looks like the error of the OpenAI SDK for a status."""

    status_code = 500


_Status.__module__, _Status.__qualname__ = "openai", "APIStatusError"


@pytest.mark.parametrize(
    ("errors", "health", "said"),
    [
        ([ConnectionError("s3cret")] * 5, {}, "5 failures in a row, last: ConnectionError"),
        ([TimeoutError()] * 4 + [_Status()], {}, "5 failures in a row, last: _Status 500"),
        (
            [None, EndpointError("down")] * 5 + [EndpointError("down")],
            {"consecutive_failures": 0},
            "45% of its latest calls succeeded, less than 50%, last: EndpointError: down",
        ),
    ],
)
def test_an_ejection_says_what_was_measured(caplog, errors, health, said):
    clock, whys = ManualClock(), list[str]()
    pool = Pool(["a", "b"], clock=clock, strategy="first", health=HealthSettings(**health))
    pool.observe(lambda event: whys.append(event.why), {Ejected})
    for error in errors:
        with suppress(Exception), pool.lease(exclude={"b"}):
            if error is not None:
                raise error
    assert (whys, _logged(caplog)) == ([said], [f"a is ejected: {said}"])
    whys.clear()
    while not whys:  # its cooldown is over, and the probe fails
        clock.advance(1.0)
        with suppress(Exception), pool.lease(exclude={"b"}, timeout=0.0):
            raise ConnectionError
    assert whys == ["its probe failed: ConnectionError"]


def test_the_reason_of_an_ejection_has_no_secret_and_one_line(caplog):
    headers = {"Authorization": "Bearer s3cret"}
    pool = Pool([Endpoint("http://a", headers=headers), "b"], clock=ManualClock(), strategy="first")
    reason = "answered 502\nto bearer  S3CRET by http://u:s3cret@a/x?key=s3cret \x1b[31m" + "x" * 500
    for _ in range(5):
        with suppress(EndpointError), pool.lease():
            raise EndpointError(reason)
    (line,) = _logged(caplog)
    assert line.startswith(
        "http://a is ejected: 5 failures in a row, last: EndpointError: answered 502 to *** by http://a/x"
    )
    assert "s3cret" not in line.lower()
    assert line.isprintable()
    assert len(line) < 200


def _rests(pool, clock, times):
    for _ in range(times):
        with suppress(EndpointOverloaded), pool.lease(exclude={"b"}):
            raise EndpointOverloaded("429", retry_after_s=1.0)
        clock.advance(1.1)
        pool.acquire(exclude={"b"}).release()


def test_a_rest_is_told_once_a_minute_with_its_length(caplog):
    clock = ManualClock()
    caplog.set_level(logging.INFO, "balancer")
    health = HealthSettings(consecutive_failures=0, success_rate=0.0)
    pool = Pool(["a", "b"], clock=clock, strategy="first", health=health)
    pool.engine.start = lambda timer: None  # else its thread may be the one that tells
    news = RecentEvents(ShownNames())
    pool.observe(news, news.kinds)
    _rests(pool, clock, 120)
    (line,) = news.rows()
    assert re.fullmatch(r"asked for a rest of 1 s; 120 times in all; back in service after 13\d s", line["said"])
    assert caplog.messages == ["a asked for a rest of 1 s"] * 3, "one a minute"


@pytest.mark.parametrize("seed", range(20))
def test_the_last_line_never_says_back_in_service_while_the_endpoint_rests(caplog, seed):
    draws, clock = Random(seed), ManualClock()
    caplog.set_level(logging.INFO, "balancer")
    health = HealthSettings(consecutive_failures=seed % 2 * 4, success_rate=0.0)
    pool = Pool(["this", "b"], clock=clock, strategy="first", health=health)
    pool.engine.start = lambda timer: None  # else its thread may be the one that tells
    news = RecentEvents(ShownNames())
    pool.observe(news, news.kinds)
    for _ in range(60):
        with suppress(EndpointOverloaded, ConnectionError, AcquireTimeout), pool.lease(exclude={"b"}, timeout=0.0):
            if draws.random() < 0.6:
                raise EndpointOverloaded("429", retry_after_s=draws.choice([0.5, 5.0, 20.0, 59.0, 60.0, 90.0]))
            if draws.random() < 0.7:
                raise ConnectionError
        # Its name is its own: a pool that another test has left may still say something of its endpoint "a".
        said = [line for line in caplog.messages if line.startswith("this ")]
        shown = [each["said"] for each in news.rows() if each["endpoint"] == "this"]
        if pool.stats().endpoints[0].health == "resting":
            assert "asked for a rest" in said[-1] or "is ejected" in said[-1]
            assert "asked for a rest" in shown[-1] or "ejected" in shown[-1]
            assert "back in service" not in shown[-1]
        clock.advance(draws.choice([0.1, 1.0, 10.0, 30.0, 70.0]))


def test_why_an_endpoint_is_out_and_when_it_comes_back_is_told_by_its_events_and_by_the_counters():
    clock, told = ManualClock(), list[float | None]()
    pool = Pool(["a", "b", "c", "d"], clock=clock, strategy="first")
    pool.observe(lambda event: told.append(event.for_s), {Ejected, Rested})
    with suppress(EndpointOverloaded), pool.lease():
        raise EndpointOverloaded("429", retry_after_s=7.0)
    for _ in range(5):
        pool.acquire().release(Outcome.FAILURE)
    rests, ejected, *others = pool.stats().endpoints
    assert (rests.health, ejected.health) == ("resting", "ejected")
    assert [rests.back_in_s, ejected.back_in_s] == pytest.approx(told)
    assert [each.back_in_s for each in others] == [None, None]
    assert [rests.why_out, ejected.why_out] == ["it asked for a rest", "5 failures in a row"]
    assert [each.why_out for each in others] == ["", ""]
    clock.advance(0.25)
    assert pool.stats().endpoints[0].back_in_s == pytest.approx(6.75)
    clock.advance(60.0)
    pool.acquire().release()
    stats = pool.stats().endpoints
    assert [each.back_in_s for each in stats] == [None] * 4
    assert [each.why_out for each in stats] == ["", "5 failures in a row", "", ""]  # on trial
    pool.drain("b")
    pool.add("b")
    assert pool.stats().endpoints[1].why_out == "it was ejected when it left"
    pool.acquire(only="b").release(Outcome.FAILURE)
    assert pool.stats().endpoints[1].why_out == "its probe failed"
    with suppress(QuotaSpent), pool.lease(only="c"):
        raise QuotaSpent("402")
    assert pool.stats().endpoints[2].why_out == "its account has no quota left"


def test_pings_that_fail_are_told_beside_calls(caplog):
    pool = Pool(["a", "b"], clock=ManualClock(), health=HealthSettings(consecutive_failures=3))
    pool.acquire(exclude={"b"}).release(Outcome.FAILURE)
    pool.pinged("a", False)
    pool.pinged("a", False)
    assert _logged(caplog) == ["a is ejected: 1 failure and 2 failed pings in a row"]


def _refused(secret):
    raise ValueError(secret)


def test_of_a_refused_call_that_is_not_the_pool_s_only_kind_and_place_are_logged(
    caplog,
):
    try:
        _refused("c4n4ry")
    except ValueError as error:
        log_refused(error)
    (line,) = caplog.messages
    assert line.endswith(f"raised ValueError at {__file__}:{_refused.__code__.co_firstlineno + 1}")
    log_refused(PoolClosed())
    assert caplog.messages[1].endswith(f"was refused: {PoolClosed()}")
