"""Pings in tasks: hundreds of endpoints, no thread for any of them."""

import threading
from collections import Counter

import pytest

from balancer import EndpointError, Pool
from balancer.settings.rules import HealthSettings
from balancer.shells.tasks.prober import TaskProber
from tests.tasks.libraries import BOTH, task_until

_SOON_S = 0.01


class _Ear:
    def __init__(self) -> None:
        self.heard = Counter[tuple[str, bool]]()

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        self.heard[name, ok] += 1


@BOTH
async def test_hundreds_of_endpoints_are_pinged_without_a_thread(library):
    ear, threads = _Ear(), threading.active_count()

    async def ping() -> None:
        await library.sleep(0)

    async with TaskProber(ear, {str(n): ping for n in range(500)}, every_s=_SOON_S):
        await task_until(library, lambda: len(ear.heard) == 500)
        assert threading.active_count() <= threads


@BOTH
async def test_a_ping_that_fails_is_told_and_one_that_hangs_holds_nobody_up(library):
    pool = Pool(["good", "bad", "hung"], health=HealthSettings(consecutive_failures=3, cooldown_s=100.0))
    good = 0

    async def answers() -> None:
        nonlocal good
        good += 1

    async def fails() -> None:
        raise EndpointError("down")

    async def hangs() -> None:
        await library.sleep(3600)

    pings = {"good": answers, "bad": fails, "hung": hangs, "gone": answers}
    async with TaskProber(pool, pings, every_s=_SOON_S):
        await task_until(library, lambda: pool.out_of_service() == {"bad"} and good > 20)
    assert pool.stats().acquired == 0


@pytest.mark.parametrize("every_s", [0.0, -1.0, float("nan")])
def test_an_interval_out_of_range_is_refused_for_tasks(every_s):
    with pytest.raises(ValueError, match="every_s"):
        TaskProber(_Ear(), {}, every_s=every_s)
