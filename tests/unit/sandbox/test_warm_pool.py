"""What is kept ready: never twice the same, never more than allowed, and none left at the end."""

from collections import Counter

import pytest

from balancer.sandbox.local.prepared import WarmPool
from tests.integration.sandbox.processes import wait_until
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
