"""Two loops, six threads and trio beside, with health and AIMD on: nothing is lost, and every wait ends once."""

from collections import Counter
from unittest.mock import patch

import pytest

from balancer.core.events import Ended, Event, Granted, Queued, TimedOut
from tests.referee.refereed_core import RefereedCore
from tests.tasks.mixed import KNOWN, mixed, ruled_pool

_SHORT, _FULL = 4_000, 60_000


@pytest.mark.stress
def test_whatever_threads_and_tasks_do_at_once(in_full):
    pool, heard = ruled_pool(1), Counter[tuple[type[Event], int]]()

    def hear(event: Event) -> None:
        heard[type(event), getattr(event, "lease_id", 0)] += 1

    pool.observe(hear, {Granted, Ended, Queued, TimedOut})
    asks = _FULL if in_full else _SHORT
    came = mixed(pool, asks, odd=0.7, seed=1, forgets=True)
    assert came.violations == []
    stats = pool.stats()
    assert [each.in_flight for each in stats.endpoints] == [0] * len(stats.endpoints), f"{pool!r}"
    assert (stats.waiting, pool.engine.waits.places) == (0, {})
    assert came.ends.total() == asks  # each that asked has one answer
    granted = {number for kind, number in heard if kind is Granted}
    assert granted == {number for kind, number in heard if kind is Ended} == set(range(1, stats.acquired + 1))
    assert {heard[kind, number] for kind in (Granted, Ended) for number in granted} == {1}
    assert heard[Queued, 0] > asks / 100
    assert came.ends["plain"] * came.ends["plain, in a task"] * came.ends["cancelled"] > 0
    hedged = {"hedged call", "hedged call, in a task"}
    assert {"AcquireTimeout", "EndpointError", "forgotten", *hedged} <= came.ends.keys()
    assert came.ends.keys() <= KNOWN


def test_the_naive_model_agrees_with_whatever_threads_and_tasks_do():
    """At each call of the core, under the lock of the pool: see `tests.referee.referee` for what holds."""
    with patch("balancer.pool.pool.Core", RefereedCore):
        pool = ruled_pool(2, endpoints=1)  # at first, so that many wait
    came = mixed(pool, 600, odd=0.3, seed=2, threads=4, tasks=4)
    assert came.violations[:1] == []
    assert came.ends.total() == 600
    core: RefereedCore = pool.engine.core
    assert len(core.referee.grants) > 400
    assert len(core.referee.ended) == len(core.referee.grants)
