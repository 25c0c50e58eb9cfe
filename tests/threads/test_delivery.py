"""Observers under threads and interrupts: every event is told once, in order, and leasing never waits for one."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable

import pytest

from balancer import Endpoint, Pool
from balancer.core.events import Ended, Event, Granted, Retried
from balancer.shells.delivery import Delivery, Observation
from tests.patience import PATIENCE_S
from tests.registered import NAMES
from tests.threads.crew import crew, until
from tests.threads.interrupts import points

_TELLING = (
    "balancer/shells/delivery.py",
    "balancer/pool/pool.py",
    "balancer/shells/engine.py",
    "balancer/shells/waiting.py",
    "balancer/core/",
)


@pytest.mark.parametrize("name", NAMES[:4])
def test_many_threads_are_heard_in_order_and_completely(name):
    heard: list[Event] = []
    inside = threading.Semaphore()

    def observer(event: Event, /) -> None:
        assert inside.acquire(blocking=False), "two threads tell at once"
        heard.append(event)
        inside.release()

    pool = Pool([Endpoint("a", capacity=2), Endpoint("b")], strategy=name, seed=1, observers=[observer])

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(200):
            with pool.lease(timeout=PATIENCE_S):
                if rng.random() < 0.1:
                    time.sleep(0.0001)

    crew(8, work)
    until(lambda: sum(isinstance(event, Ended) for event in heard) == 1600)
    assert [event.lease_id for event in heard if isinstance(event, Granted)] == list(range(1, 1601))
    out: set[int] = set()
    for event in heard:
        if isinstance(event, Granted):
            out.add(event.lease_id)
            assert len(out) <= 3, "a lease was told before the one that made room for it had ended"
        elif isinstance(event, Ended):
            out.remove(event.lease_id)
    assert not out
    assert [event.at_s for event in heard] == sorted(event.at_s for event in heard)


class _TurnThatEnds:
    """A lock as the turn of a delivery, which tells the test that it is about to be let go."""

    def __init__(self, ends: Callable[[], object]) -> None:
        self._lock = threading.RLock()
        self._ends = ends

    def acquire(self, blocking: bool = True) -> bool:
        return self._lock.acquire(blocking=blocking)

    def release(self) -> None:
        self._ends()
        self._lock.release()


def test_what_happens_after_the_last_look_of_who_tells_is_told_as_well():
    heard: list[Event] = []
    happened: deque[Event] = deque([Retried(0.0, "a")])
    late = [Retried(1.0, "a")]
    delivery = Delivery(happened, lambda observation, error: None)
    delivery.observations = (Observation(heard.append, None, lambda observation: None),)

    def happens_now() -> None:  # another thread finds the turn taken, and goes its way
        if late:
            happened.append(late.pop())
            other = threading.Thread(target=delivery.deliver)
            other.start()
            other.join(PATIENCE_S)
            assert not other.is_alive(), "leasing waits for an observer"

    delivery._turn = _TurnThatEnds(happens_now)
    delivery.deliver()
    assert [event.at_s for event in heard] == [0.0, 1.0]


def test_an_interrupt_at_any_point_loses_no_event_but_the_one_under_way():
    """What is told must be told without another call to the pool: whoever is interrupted may have been the last."""
    for interrupt in points(*_TELLING, least=20):
        heard: list[Event] = []
        others: list[Event] = []
        pool = Pool([Endpoint("a"), Endpoint("b")], strategy="fifo", observers=[heard.append, others.append])
        lease = pool.acquire()
        where = interrupt(lease.release)
        ended = lease.ended
        until(lambda pool=pool: len(pool.engine.happened) == len(pool.engine.delivery._calls) == 0)
        with pool.engine.delivery._turn:  # who tells has told it
            told = len(heard), len(others)
        assert told in ((2, 2), (2, 1), (1, 2)) if ended else told == (1, 1), f"interrupted at {where}: {told}"
        after = len(heard)
        pool.acquire(exclude={"a"}, timeout=PATIENCE_S).release()
        until(lambda heard=heard, after=after: len(heard) == after + 2)
