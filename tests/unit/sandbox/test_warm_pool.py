"""What is kept ready: never twice the same, never more than allowed, and none left at the end."""

import os
import threading
from collections import Counter

import pytest

from balancer.program import ExecutorOptions
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.isolation.view import SandboxSpec
from balancer.sandbox.local.jail import Jail
from balancer.sandbox.local.prepared import PreparedSandbox, WarmPool
from balancer.sandbox.local.shutdown import is_readable
from tests.integration.sandbox.processes import wait_until
from tests.patience import PATIENCE_S
from tests.threads.crew import crew


class Thing:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Factory:
    """Makes things, and remembers them."""

    def __init__(self) -> None:
        self.made: list[Thing] = []
        self.broken = False

    def make(self, kind: str) -> Thing | None:
        if self.broken:
            raise OSError("no room")
        self.made.append(Thing(kind))
        return self.made[-1]

    def of(self, kind: str) -> int:
        return sum(thing.kind == kind for thing in self.made)


def test_who_finds_none_has_one_made_for_the_next_time():
    factory = Factory()
    pool = WarmPool(factory.make, 3)
    assert pool.take("a") is None
    wait_until(lambda: factory.of("a") == 1)
    found = None
    while found is None:
        found = pool.take("a")
    assert found is factory.made[0]
    pool.close()
    assert [thing.closed for thing in factory.made if thing is not found] == [1] * (len(factory.made) - 1)
    assert found.closed == 0


def test_nothing_is_handed_out_twice_and_all_else_is_closed():
    factory = Factory()
    pool = WarmPool(factory.make, 4)
    taken: list[Thing] = []

    def customer(_: int) -> None:
        for turn in range(300):
            if (thing := pool.take("ab"[turn % 2])) is not None:
                assert thing.kind == "ab"[turn % 2]
                taken.append(thing)

    crew(4, customer)
    pool.close()
    pool.close()
    assert max(Counter(map(id, taken)).values(), default=1) == 1
    assert all(thing.closed == 0 for thing in taken)
    mine = {id(thing) for thing in taken}
    assert all(thing.closed == 1 for thing in factory.made if id(thing) not in mine)
    assert pool.take("a") is None


def test_what_was_asked_for_longest_ago_gives_way():
    factory = Factory()
    pool = WarmPool(factory.make, 2)
    for kind in "aab":
        pool.take(kind)
        wait_until(lambda: pool._due == 0)
    for _ in range(8):
        pool.take("b")
        wait_until(lambda: pool._due == 0)
    waiting = [thing.kind for ready in pool._ready.values() for thing in ready]
    assert len(waiting) <= 2
    assert waiting.count("b") >= 1
    pool.close()


def test_what_cannot_be_made_now_may_be_later():
    factory = Factory()
    factory.broken = True
    pool = WarmPool(factory.make, 2)
    assert pool.take("a") is None
    wait_until(lambda: pool._due == 0)
    factory.broken = False
    assert pool.take("a") is None
    wait_until(lambda: factory.of("a") == 1)
    pool.close()


def test_a_mistake_of_whoever_makes_them_is_logged_and_stops_nothing(caplog):
    factory = Factory()

    def make(kind: str) -> Thing | None:
        return factory.make(kind) if kind == "a" else 1 // 0

    pool = WarmPool(make, 3)
    for kind in "bba":
        pool.take(kind)
    wait_until(lambda: bool(factory.made))
    pool.close()
    assert pool._due == 0
    assert "could not be prepared" in caplog.text


@pytest.mark.parametrize("most", [0, 1])
def test_the_bound(most):
    factory = Factory()
    pool = WarmPool(factory.make, most)
    for _ in range(20):
        pool.take("a")
    wait_until(lambda: pool._due == 0)
    assert sum(map(len, pool._ready.values())) <= most
    pool.close()
    assert bool(factory.made) == bool(most)


def file_at(fd: int) -> int | None:
    """Return which file is open there. Threads of other tests may open another one at the same number."""
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return None


def test_a_sandbox_that_is_made_while_its_executor_closes_looks_at_no_closed_file(
    monkeypatch,
):
    """The thread of the pool is not inside: the signal that it looks at is closed after it has ended."""
    executor = LocalExecutor("local://closes", ExecutorOptions(isolation="rlimits"))
    makes, shut, looked = threading.Event(), threading.Event(), []
    make, shut_down, signal = Jail._prepared, executor._shutdown.shut, executor._shutdown.signal
    file = file_at(signal)

    def slow(jail: Jail, spec: SandboxSpec) -> PreparedSandbox:
        if threading.current_thread().name == "balancer-warm-pool":
            makes.set()
            assert shut.wait(PATIENCE_S)
            looked.append((file_at(signal), is_readable(signal)))  # what it does next
        return make(jail, spec)

    def shut_and_tell() -> bool:
        first = shut_down()
        shut.set()
        return first

    monkeypatch.setattr(Jail, "_prepared", slow)
    monkeypatch.setattr(executor._shutdown, "shut", shut_and_tell)
    executor.ping()
    assert makes.wait(PATIENCE_S)
    executor.close()
    executor.close()
    assert looked == [(file, True)]
    assert file_at(signal) != file
