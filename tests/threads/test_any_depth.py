"""After any exception, at any depth of the stack and at any point, the lock of a pool is free and nothing is lost."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from balancer import BalancerError, Endpoint, Lease, LeaseError, Pool
from balancer.core.events import Ended, Granted
from balancer.settings.rules import HealthSettings
from tests.patience import PATIENCE_S
from tests.threads.crew import assert_nothing_lost, in_time, until
from tests.threads.interrupts import LEASING, points
from tests.threads.waiter import WaitingThread


def _block(pool: Pool, busy: Lease) -> None:
    with pool.lease(timeout=0):
        pass


_TAKEN: list[Lease] = []  # what a call of the pool has returned. Its release may find no room: then it is still out


def _give_back(lease: Lease) -> None:
    _TAKEN.append(lease)
    lease.release()


def _wait(pool: Pool, busy: Lease) -> None:
    with suppress(BalancerError):
        _give_back(pool.acquire(timeout=0.0001, labels={"busy"}))


def _call(pool: Pool, busy: Lease) -> None:
    pool.call(lambda lease: None, attempts=1)


def _step(coroutine: Coroutine[Any, Any, Lease]) -> None:
    """Run a coroutine until it waits, and end it there."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        _give_back(end.value)
    finally:
        coroutine.close()


# What calls the pool. Each gets a pool with a free slot, and the lease of the other slot.
_CALLS: dict[str, Callable[[Pool, Lease], object]] = {
    "block": _block,
    "acquire and release": lambda pool, busy: _give_back(pool.acquire(timeout=0, holder="me")),
    "wait": _wait,
    "release": lambda pool, busy: busy.release(),
    "release by id": lambda pool, busy: pool.release_by_id(busy.id),
    "call": _call,
    "add": lambda pool, busy: pool.add("http://new"),
    "update": lambda pool, busy: pool.update("a", weight=2.0),
    "drain": lambda pool, busy: (pool.drain("a"), pool.add("a")),
    "set_strategy": lambda pool, busy: pool.set_strategy("fifo"),
    "pinged": lambda pool, busy: pool.pinged("a", True),
    "stats": lambda pool, busy: pool.stats(),
    "leases": lambda pool, busy: pool.leases(),
    "task": lambda pool, busy: _step(pool.aio.acquire(timeout=0)),
    "task that waits": lambda pool, busy: _step(pool.aio.acquire(timeout=PATIENCE_S, labels={"busy"})),
}


def _depth() -> int:
    frame, depth = sys._getframe(1), 0
    while frame is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


def _dive(frames: int, act: Callable[[], object]) -> object:
    return act() if frames <= 0 else _dive(frames - 1, act)


def _at_depth(left: int, act: Callable[[], object]) -> bool:
    """Call `act` where the stack has room for `left` frames. Return whether there was too little."""
    try:
        _dive(sys.getrecursionlimit() - _depth() - 1 - left, act)
    except RecursionError:
        return True
    return False


Pool().set_strategy("fifo")  # now the plugins are loaded; to import them deep in the stack would break them


class _Scene:
    """A pool with a free slot and a busy one, for which somebody waits."""

    def __init__(self) -> None:
        endpoints = [Endpoint("a"), Endpoint("b", labels=frozenset({"busy"}))]
        self.pool = Pool(endpoints, seed=1, health=HealthSettings())
        self.told: list[object] = []
        self.pool.observe(self.told.append, [Granted, Ended])
        self.busy = self.pool.acquire(timeout=0, labels={"busy"})
        self.waiter = WaitingThread(self.pool, PATIENCE_S, labels={"busy"})

    def check(self, where: str) -> None:
        """Check that the lock is free, that the other one is served, and that no slot is lost."""
        in_time(self.pool.stats, where)
        for lease in (*_TAKEN, self.busy):
            with suppress(LeaseError):
                lease.release()
        _TAKEN.clear()
        self.waiter.join(PATIENCE_S)
        ended_with = self.waiter.ended_with  # a strategy that ran out of memory has failed the waiter that it looked at
        assert ended_with == "b" or "raised MemoryError" in str(ended_with), f"{where}: {ended_with}"
        until(lambda: not any(each.in_flight for each in self.pool.stats().endpoints))
        before = len(self.told)
        assert_nothing_lost(self.pool, sum(each.limit for each in self.pool.stats().endpoints))
        if "Delivery._tell" not in where:  # there the observer seems to have raised, so it gets no more events
            until(lambda: len(self.told) > before)


@pytest.fixture(autouse=True)
def _loop():
    """A task that waits needs the loop that runs."""
    loop = asyncio.new_event_loop()
    asyncio._set_running_loop(loop)
    yield
    asyncio._set_running_loop(None)
    loop.close()


@pytest.mark.sampled(8)
@pytest.mark.parametrize("what", _CALLS)
def test_no_room_on_the_stack_at_any_depth(what):
    failed, left = 0, 1
    for _ in range(30):  # in Python 3.11, code that has run often needs less room
        scene = _Scene()
        with suppress(BalancerError):
            _CALLS[what](scene.pool, scene.busy)
        scene.check("with room")
    while left < 80:
        scene = _Scene()
        is_short = _at_depth(left, lambda scene=scene: _CALLS[what](scene.pool, scene.busy))
        scene.check(f"with room for {left} frames")
        failed += is_short
        left += 1
    assert failed > 3
    assert not is_short, "there are depths that were not tried"


@pytest.mark.sampled(9)
# Where a generator is closed, Python drops an exception and says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.more)])
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt, RecursionError])
@pytest.mark.parametrize("what", ["block", "acquire and release", "wait", "add", "stats", "task", "task that waits"])
def test_an_exception_at_any_point(what, error, every):
    def fail() -> None:
        raise error

    for interrupt in points(*LEASING, least=3 * every, every=every):
        scene = _Scene()

        def act(scene: _Scene = scene) -> None:
            with suppress(error, BalancerError):
                _CALLS[what](scene.pool, scene.busy)

        where = interrupt(act, fail)
        scene.check(f"{error.__name__} at {where}")
