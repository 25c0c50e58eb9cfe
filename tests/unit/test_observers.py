"""What observers hear: in order, outside the lock, and nothing of it is made when nobody listens."""

import logging
from collections.abc import Callable

import pytest

from balancer import AcquireTimeout, Endpoint, EndpointError, NoEndpoint, Outcome, Pool
from balancer.core import events
from balancer.core.events import KINDS, Ended, Event, Granted, Queued, Retried
from balancer.settings.rules import HealthSettings, RetrySettings
from balancer.shells.logs import Log
from balancer.testing.clock import ManualClock

HEALTH = HealthSettings(consecutive_failures=1, cooldown_s=8.0, max_cooldown_s=8.0, slow_start_s=2.0)


class Heard(list[Event]):
    """An observer that remembers."""

    def __call__(self, event: Event, /) -> None:
        self.append(event)

    @property
    def names(self) -> list[str]:
        return [type(event).__name__ for event in self]


def pool_of(*names: str, clock: Callable[[], float] | None = None, **settings: object) -> Pool:
    return Pool(list(map(Endpoint, names)), strategy="fifo", seed=1, clock=clock or ManualClock(), **settings)  # type: ignore[arg-type]


def test_a_lease_is_granted_and_ends_with_its_outcome() -> None:
    clock, heard = ManualClock(5.0), Heard()
    pool = pool_of("a", clock=clock, health=None, observers=[heard])
    lease = pool.acquire(holder="sample 7")
    clock.advance(2.0)
    lease.release(Outcome.OVERLOAD)
    assert heard == [
        Granted(5.0, 1, "a", "sample 7", 1, 0.0),
        Ended(7.0, 1, "a", "sample 7", 1, Outcome.OVERLOAD, 2.0),
    ]


def test_a_wait_that_ends_in_vain() -> None:
    heard = Heard()
    pool = pool_of("a", health=None, observers=[heard])
    pool.acquire()
    with pytest.raises(AcquireTimeout):
        pool.acquire(timeout=0)
    assert heard.names == ["Granted", "Queued", "TimedOut"]


def test_an_endpoint_fails_is_tried_and_comes_back() -> None:
    clock, heard = ManualClock(), Heard()
    pool = pool_of("a", "b", "c", "d", clock=clock, health=HEALTH)
    kinds = KINDS - {Granted, Ended, Queued}
    pool.observe(heard, kinds)
    pool.acquire(exclude={"b", "c", "d"}).release(Outcome.FAILURE)
    assert heard.names == ["LimitChanged", "Ejected"] or heard.names == ["Ejected", "LimitChanged"]
    clock.advance(10.0)
    probe = pool.acquire(exclude={"b", "c", "d"})
    assert heard.names[2:] == ["Probing", "LimitChanged"]
    probe.release()
    assert heard.names[4:5] == ["Restored"]
    clock.advance(10.0)
    pool.stats()
    assert heard.names.count("Restored") == 1, "the end of a slow start is no news"


def test_panic_begins_and_ends() -> None:
    clock, heard = ManualClock(0.0), Heard()
    health = HEALTH.model_copy(update={"max_ejected_share": 1.0, "panic_share": 0.5})
    pool = pool_of("a", "b", "c", clock=clock, health=health)
    pool.observe(heard, {events.Panic})
    for name in "ab":
        pool.acquire(exclude=set("abc") - {name}).release(Outcome.FAILURE)
    assert heard == [events.Panic(0.0, True)]
    pool.add(Endpoint("d"))
    assert heard == [events.Panic(0.0, True), events.Panic(0.0, False)]


def test_membership_strategy_and_calls() -> None:
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

    def fails(lease: object) -> None:
        raise EndpointError("down")

    with pytest.raises(EndpointError):
        pool.call(fails, attempts=2)
    assert sum(isinstance(event, Retried) for event in heard) == 1


def test_what_time_did_is_told_though_the_acquire_that_found_it_is_refused() -> None:
    clock, heard = ManualClock(0.0), Heard()
    pool = pool_of("a", clock=clock, health=None, max_waiters=0)
    pool.observe(heard, {events.Expired})
    lease = pool.acquire(ttl_s=5.0)
    clock.advance(5.0)
    with pytest.raises(NoEndpoint):
        pool.acquire(exclude={"a"})
    assert lease.ended
    assert heard.names == ["Expired"]


def test_one_that_raises_is_set_aside_with_one_line_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()

    def bad(event: Event, /) -> None:
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


def test_an_observer_may_call_the_pool_and_hears_of_that_afterwards() -> None:
    heard: list[str] = []

    def busy(event: Event, /) -> None:
        heard.append(f"{type(event).__name__} begins")
        if isinstance(event, Granted) and event.lease_id == 1:
            pool.acquire(timeout=0).release()
            assert repr(pool)
        heard.append(f"{type(event).__name__} ends")

    pool = pool_of("a", "b", health=None, observers=[busy])
    pool.acquire()
    assert heard == [f"{kind} {word}" for kind in ("Granted", "Granted", "Ended") for word in ("begins", "ends")]


def test_an_observation_ends() -> None:
    heard = Heard()
    pool = pool_of("a", health=None)
    with pool.observe(heard) as observation:
        pool.acquire().release()
    observation.end()
    pool.acquire().release()
    assert heard.names == ["Granted", "Ended"]
    assert observation.ended


def test_nothing_is_made_that_nobody_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    pool = pool_of("a", health=None)
    before = pool._core.acquire, pool._core.release
    with pool.observe(heard, {Granted}):
        assert pool._core.acquire != before[0], "grants are told by another method, so that others cost nothing"
        assert pool._core.release == before[1]
        pool.acquire().release()
        assert heard.names == ["Granted"]
    assert (pool._core.acquire, pool._core.release) == before
    assert not {Granted, Ended, Queued} & Log.kinds, "the log must cost a lease nothing"


@pytest.mark.parametrize("kinds", [{int}, {Event}, {"Granted"}])
def test_a_stranger_among_the_kinds_is_refused(kinds: set[object]) -> None:
    pool = pool_of("a", health=None)
    with pytest.raises(ValueError, match="no kind of event"):
        pool.observe(Heard(), kinds)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="must be callable"):
        pool.observe(7)  # type: ignore[arg-type]


def test_the_log_has_a_line_for_each_ejection_and_recovery_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    caplog.set_level(logging.INFO, "balancer")
    names = ["https://token@host/v1?key=s3cret", "b", "c", "d"]
    pool = pool_of(*names, clock=clock, health=HEALTH)
    pool.acquire(exclude={"b", "c", "d"}).release(Outcome.FAILURE)
    clock.advance(10.0)
    pool.acquire(exclude={"b", "c", "d"}).release()
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [
        ("WARNING", "https://host/v1 is ejected: it fails"),
        ("INFO", "https://host/v1 is back in service"),
    ]
