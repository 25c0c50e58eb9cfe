"""Acts that a generator wants: threads and tasks do them alike, and what was begun is ended, whatever comes between."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from balancer.shells.driver import Acts, follow, follow_in_task
from tests.threads.interrupts import points


def _in_task(acts: Acts[Any]) -> Any:
    return asyncio.run(follow_in_task(acts))


def _awaited(act: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    async def made() -> Any:
        return act()

    return made


@pytest.mark.parametrize(("does", "kind"), [(follow, lambda act: act), (_in_task, _awaited)], ids=["thread", "task"])
def test_what_comes_of_an_act_is_sent_or_raised_where_it_was_wanted(does, kind):
    def wants(last: str) -> Acts[list[Any]]:
        came = [(yield kind(partial(int, "1")))]
        try:
            yield kind(partial(int, "x"))
        except ValueError:
            came.append((yield kind(partial(int, "2"))))
        return [*came, (yield kind(partial(int, last)))]

    assert does(wants("3")) == [1, 2, 3]
    with pytest.raises(ValueError, match="'y'"):
        does(wants("y"))


def test_an_interrupt_at_any_point_ends_what_was_begun():
    ended = 0
    for interrupt in points("balancer/shells/driver.py", least=5):
        said: list[str] = []

        def wants(said: list[str] = said) -> Acts[None]:
            said.append("begun")
            try:
                for _ in range(3):
                    yield int
            finally:
                said.append("ended")

        acts = wants()  # somebody has it: that it is collected would not do
        where = interrupt(partial(follow, acts))
        assert said in ([], ["begun", "ended"]), f"interrupted at {where}"
        ended += bool(where and said)
    assert ended > 5
