"""What is kept ready: never twice the same, never more than allowed, and none left at the end."""

import os
import threading
from collections import Counter

import pytest

from balancer.program import ExecutorOptions
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.isolation import SandboxSpec
from balancer.sandbox.local.jail import Jail
from balancer.sandbox.local.prepared import PreparedSandbox, WarmPool
from balancer.sandbox.local.shutdown import is_readable
from tests.integration.sandbox.processes import wait_until
from tests.patience import PATIENCE_S
from tests.threads.crew import crew


class Factory:
    """Makes things, and remembers them."""

    def __init__(self) -> None:
        self.made: list[object] = []
        self.broken = False

    def make(self) -> object | None:
        if self.broken:
            raise OSError("no room")
        self.made.append(object())
        return self.made[-1]


@pytest.mark.parametrize("most", [0, 1, 4])
def test_nothing_is_handed_out_twice_and_all_else_is_left(most):
    factory = Factory()
    pool = WarmPool(factory.make, most)
    assert pool.take() is None
    wait_until(lambda: bool(factory.made) or not most)
    taken: list[object] = []

    def customer(_: int) -> None:
        for _turn in range(300):
            if (thing := pool.take()) is not None:
                taken.append(thing)

    crew(4, customer)
    if most:
        wait_until(lambda: taken.append(pool.take()) or taken[-1] is not None)
    left = pool.close()
    given = [each for each in taken if each is not None]
    assert max(Counter(map(id, [*given, *left])).values(), default=1) == 1
    assert {*map(id, given), *map(id, left)} == {*map(id, factory.made)}
    assert len(left) <= most
    assert (pool.take(), pool.close()) == (None, [])


def test_what_cannot_be_made_now_may_be_later():
    factory = Factory()
    factory.broken = True
    pool = WarmPool(factory.make, 2)
    assert [pool.take() for _ in range(9)] == [None] * 9
    factory.broken = False
    wait_until(lambda: pool.take() is not None)
    pool.close()


def file_at(fd: int) -> int | None:
    """Return which file is open there. Threads of other tests may open another one at the same number."""
    try:
        return os.fstat(fd).st_ino
    except OSError:
        return None


def test_a_sandbox_that_is_made_while_its_executor_closes_looks_at_no_closed_file(monkeypatch):
    """The thread of the pool is not inside: the signal that it looks at is closed after it has ended."""
    executor = LocalExecutor("local://closes", ExecutorOptions(isolation="rlimits"))
    makes, shut, looked = threading.Event(), threading.Event(), []
    make, shut_down, signal = Jail._prepared, executor._shutdown.shut, executor._shutdown.signal
    file = file_at(signal)

    def slow(jail: Jail, spec: SandboxSpec) -> PreparedSandbox:
        if threading.current_thread().name.startswith("balancer-warm-pool"):
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
