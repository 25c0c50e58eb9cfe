"""A task that is cancelled, at whichever await of an acquire, a call or a release, keeps no slot and loses none.

The coroutines are driven by hand: the future that a task waits for is resolved or not, and then the cancellation comes,
as `asyncio.Task` brings it. So "just as it was granted" is tried, and not hoped for.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import pytest

from balancer import EndpointError, Lease, Outcome, Pool
from balancer.settings.rules import HealthSettings, RetrySettings
from tests.patience import PATIENCE_S

_RULES = pytest.mark.parametrize("health", [None, HealthSettings()], ids=["plain", "ruled"])
_WAYS = ("cancelled", "granted, then cancelled", "granted and not told, then cancelled", "interrupted", "collected")


class _Interrupted(BaseException):
    """Stands for KeyboardInterrupt."""


class _Steps:
    """A scene in the hands of its task: what the scene waits for is waited for, but at one step something befalls it.

    Args:
        scene: a coroutine.
        at: the step, counted from 1; 0: none.
        way: what befalls it there.
        meanwhile: what happens elsewhere while it waits.

    Attributes:
        steps: how often it has waited so far.
    """

    def __init__(self, scene: Coroutine[Any, Any, object], at: int, way: str, meanwhile: Callable[[], object]) -> None:
        self._scene = scene
        self._at = at
        self._way = way
        self._meanwhile = meanwhile
        self.steps = 0

    def __await__(self) -> Generator[Any, Any, None]:
        loop = asyncio.get_running_loop()
        go_on: Callable[[], Any] = partial(self._scene.send, None)
        with suppress(StopIteration):
            while True:
                waits_for = go_on()
                self.steps += 1
                if self.steps != self._at:
                    loop.call_soon(self._meanwhile)
                elif self._way == "collected":
                    waits_for = None
                    self._scene.close()
                    return
                elif self._way == "interrupted":
                    if waits_for is not None:
                        waits_for._asyncio_future_blocking = False
                    go_on = partial(self._scene.throw, _Interrupted())
                    continue
                else:
                    self._befall(loop)
                try:
                    yield waits_for
                except BaseException as error:
                    go_on = partial(self._scene.throw, error)
                else:
                    go_on = partial(self._scene.send, None)

    def _befall(self, loop: asyncio.AbstractEventLoop) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._way == "cancelled":
            task.cancel()
        elif self._way == "granted, then cancelled":
            self._meanwhile()  # by a task of this loop, so that the future is resolved at once
            task.cancel()
        else:
            loop.call_soon(self._meanwhile)  # as by a thread: the loop is to resolve the future later
            loop.call_soon(task.cancel)


Scene = Callable[[Pool], Coroutine[Any, Any, object]]


async def _acquire(pool: Pool) -> None:
    (await pool.aio.acquire(exclude={"b"}, timeout=PATIENCE_S)).release()


async def _block(pool: Pool) -> None:
    async with pool.aio.lease(exclude={"b"}):
        await asyncio.sleep(0)
    async with pool.aio.lease(exclude={"b"}):
        await asyncio.sleep(0)


async def _call(pool: Pool) -> None:
    """It fails at a, goes to b, and that is busy: it waits, and looks again."""
    went: list[str] = []

    async def fn(lease: Lease) -> None:
        went.append(lease.endpoint.name)
        await asyncio.sleep(0)
        if len(went) < 3:
            raise EndpointError("down")

    await pool.aio.call(fn, attempts=3)


async def _hedged(pool: Pool) -> None:
    async def fn(lease: Lease) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        if lease.endpoint.name == "a":
            await asyncio.sleep(3600)

    await pool.aio.call(fn, hedge_after_s=0.0)


_LEAST: dict[Scene, int] = {_acquire: 1, _block: 3, _call: 4, _hedged: 2}
"""How often each of them waits, at least."""


@_RULES
@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("scene", _LEAST, ids=lambda scene: scene.__name__.strip("_"))
def test_at_every_await_nothing_is_lost(scene, way, health, monkeypatch):
    monkeypatch.setattr("balancer.core.attempt_plan._FIRST_LOOK_S", 0.001)

    async def befall(at: int) -> tuple[int, str]:
        retries = RetrySettings(base_s=0.001, budget_ratio=10.0)
        pool = Pool(["a", "b"], strategy="first", health=health, retries=retries, seed=1)
        held = [] if scene is _hedged else [pool.acquire(0, exclude={"b"})]

        def meanwhile() -> None:
            while held:
                held.pop().release(Outcome.IGNORED)

        steps = _Steps(scene(pool), at, way, meanwhile)

        async def run() -> None:
            await steps

        ended = await asyncio.wait_for(asyncio.gather(asyncio.create_task(run()), return_exceptions=True), PATIENCE_S)
        meanwhile()
        for _ in range(5):
            await asyncio.sleep(0)
        stats = pool.stats()
        where = f"at step {at} of {steps.steps}: {pool!r}"
        assert stats.waiting == 0, where
        assert [each.in_flight for each in stats.endpoints] == [0, 0], where
        assert not pool.engine.waits.places, where
        assert [type(end).__name__ for end in ended] in (["NoneType"], ["CancelledError"], ["_Interrupted"]), ended
        return steps.steps, type(ended[0]).__name__

    async def befall_at_each() -> int:
        for at in count(1):
            steps, end = await befall(at)
            if steps < at:
                return steps
            assert way == "collected" or end in ("CancelledError", "_Interrupted"), f"{end} at {at}"
        raise AssertionError("it never ends")

    assert asyncio.run(befall_at_each()) >= _LEAST[scene], "there were fewer awaits than that has"
