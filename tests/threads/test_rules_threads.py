"""Health, limits and kept slots over real threads: whoever waits out a cooldown is woken, and nothing is lost.

Cooldowns are milliseconds; what is waited for has many seconds, so a slow machine changes nothing.
"""

import threading
import time
from contextlib import suppress

import pytest

from balancer import Endpoint, EndpointOverloaded, Pool, PoolClosed
from balancer.settings.rules import HealthSettings
from tests.patience import PATIENCE_S
from tests.registered import NAMES
from tests.threads.crew import assert_nothing_lost, until
from tests.threads.waiter import WaitingThread

_LONG_S = PATIENCE_S
_QUICK = HealthSettings(consecutive_failures=1, cooldown_s=0.02, max_cooldown_s=3600.0, slow_start_s=0.0)


def pool_of(*urls: str, **arguments: object) -> Pool:
    return Pool([Endpoint(url) for url in urls], **{"health": _QUICK, "seed": 1, **arguments})


def rest(pool: Pool, seconds: float, url: str | None = None) -> None:
    """Let an endpoint ask to be left alone for so long."""
    others = () if url is None else [stats.url for stats in pool.stats().endpoints if stats.url != url]
    with suppress(EndpointOverloaded), pool.lease(timeout=0, exclude=others):
        raise EndpointOverloaded("busy", retry_after_s=seconds)


def timers() -> set[threading.Timer]:
    """Return those of all pools: compare with those of before, for one that another test has left may end meanwhile."""
    return {thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)}


@pytest.mark.parametrize("name", NAMES)
def test_time_alone_wakes_who_waits_for_the_only_endpoint(name):
    pool = pool_of("a", strategy=name)
    rest(pool, 0.05)
    with pool.lease(timeout=_LONG_S) as lease:
        assert lease.endpoint.url == "a"
    assert pool.stats().endpoints[0].out_s >= 0.05
    assert_nothing_lost(pool, 1)


def test_closing_the_pool_ends_the_wait_and_the_timer():
    pool = pool_of("a")
    before = timers()
    rest(pool, 3600.0)
    waiter = WaitingThread(pool)
    until(lambda: len(timers() - before) == 1)
    pool.close()
    waiter.join(_LONG_S)
    assert isinstance(waiter.ended_with, PoolClosed)
    until(lambda: not timers() - before)


def test_a_machine_without_threads_to_spare_tries_again_at_the_next_call(monkeypatch):
    pool = pool_of("a", "b")
    b = pool.acquire(timeout=0, exclude=["a"])
    rest(pool, 0.4, "a")

    def fails(self: threading.Timer) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Timer, "start", fails)
        waiter = WaitingThread(pool)
        time.sleep(0.6)
        assert waiter.is_alive()
    pool.update("b", weight=2.0)
    waiter.join(_LONG_S)
    assert waiter.ended_with == "a"
    b.release()
