"""What is kept ready: never twice the same, never more than allowed, and none left at the end."""

import os
import threading
from collections import Counter

import pytest

from balancer.program import ExecutorOptions
from balancer.sandbox.local import jail
from balancer.sandbox.local import prepared as cell
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.shutdown import is_readable
from balancer.sandbox.local.warm_pool import WarmPool
from tests.integration.sandbox.processes import wait_until


class Thing:
    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.closed = 0

    def close(self) -> None:
        self.closed += 1


class Workshop:
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


def test_who_finds_none_has_one_made_for_the_next_time() -> None:
    shop = Workshop()
    stock = WarmPool(shop.make, 3)
    assert stock.take("a") is None
    wait_until(lambda: shop.of("a") == 1)
    found = None
    while found is None:
        found = stock.take("a")
    assert found is shop.made[0]
    stock.close()
    assert [thing.closed for thing in shop.made if thing is not found] == [1] * (len(shop.made) - 1)
    assert found.closed == 0


def test_nothing_is_handed_out_twice_and_all_else_is_closed() -> None:
    shop = Workshop()
    stock = WarmPool(shop.make, 4)
    taken: list[Thing] = []

    def customer() -> None:
        for turn in range(300):
            if (thing := stock.take("ab"[turn % 2])) is not None:
                assert thing.kind == "ab"[turn % 2]
                taken.append(thing)

    threads = [threading.Thread(target=customer) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stock.close()
    stock.close()
    assert max(Counter(map(id, taken)).values(), default=1) == 1
    assert all(thing.closed == 0 for thing in taken)
    mine = {id(thing) for thing in taken}
    assert all(thing.closed == 1 for thing in shop.made if id(thing) not in mine)
    assert stock.take("a") is None


def test_what_was_asked_for_longest_ago_gives_way() -> None:
    shop = Workshop()
    stock = WarmPool(shop.make, 2)
    for kind in "aab":
        stock.take(kind)
        wait_until(lambda: stock._due == 0)
    for _ in range(8):
        stock.take("b")
        wait_until(lambda: stock._due == 0)
    waiting = [thing.kind for ready in stock._ready.values() for thing in ready]
    assert len(waiting) <= 2
    assert waiting.count("b") >= 1
    stock.close()


def test_what_cannot_be_made_now_may_be_later() -> None:
    shop = Workshop()
    shop.broken = True
    stock = WarmPool(shop.make, 2)
    assert stock.take("a") is None
    wait_until(lambda: stock._due == 0)
    shop.broken = False
    assert stock.take("a") is None
    wait_until(lambda: shop.of("a") == 1)
    stock.close()


def test_a_mistake_of_whoever_makes_them_is_logged_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    shop = Workshop()
    thing = Thing("a")
    stock = WarmPool(lambda kind: shop.make(kind) if kind == "a" else 1 // 0, 2)  # type: ignore[arg-type, return-value]
    for kind in "bba":
        stock.take(kind)
    stock.clear(thing)
    stock.close()
    assert thing.closed == 1
    assert stock._due == 0
    assert "could not be made ready" in caplog.text


@pytest.mark.parametrize("most", [0, 1])
def test_the_bound(most: int) -> None:
    shop = Workshop()
    stock = WarmPool(shop.make, most)
    for _ in range(20):
        stock.take("a")
    wait_until(lambda: stock._due == 0)
    assert sum(map(len, stock._ready.values())) <= most
    stock.close()
    assert bool(shop.made) == bool(most)


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_a_cell_that_is_made_while_its_executor_closes_looks_at_no_closed_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of the stock is not inside the gate: the signal that it looks at is closed after it has ended."""
    executor = LocalExecutor("local://closes", ExecutorOptions(isolation="rlimits"))
    makes, shut, looked = threading.Event(), threading.Event(), []
    make, shut_gate, signal = jail.make_cell, executor._gate.shut, executor._gate.signal

    def slow(site: cell.SandboxHost, kind: cell.SandboxSpec) -> cell.PreparedSandbox:
        if threading.current_thread().name == "balancer-stock":
            makes.set()
            assert shut.wait(10)
            looked.append((is_open(signal), is_readable(signal)))  # what the cell does next
        return make(site, kind)

    def shut_and_tell() -> bool:
        first = shut_gate()
        shut.set()
        return first

    monkeypatch.setattr(jail, "make_cell", slow)
    monkeypatch.setattr(executor._gate, "shut", shut_and_tell)
    executor.ping()
    assert makes.wait(10)
    executor.close()
    executor.close()
    assert looked == [(True, True)]
    assert not is_open(signal)
