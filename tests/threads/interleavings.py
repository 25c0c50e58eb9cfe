"""Scenarios for frontrun, which runs threads under a scheduler of its own and tries their interleavings.

Run under its command, for it must replace the locks before anything takes one:

    frontrun python -m tests.threads.interleavings

Prints a JSON object: for each scenario whether nothing was lost in any interleaving tried, how many were,
and what went wrong. Time is frontrun's too, but for one: that a wait times out is one more thing that can
happen between any two others, so a time-out at the moment of a release is tried and not hoped for.
"""

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import frontrun

from balancer import AcquireTimeout, Endpoint, NoEndpoint, Pool, PoolClosed

__all__ = ["SCENARIOS", "explore"]


def pool_of(*urls: str) -> Callable[[], Pool]:
    # The clock is looked up at each call: frontrun replaces time.monotonic while it explores.
    return lambda: Pool([Endpoint(url) for url in urls], clock=lambda: time.monotonic())


def lease(pool: Pool) -> None:
    # Not for ever: frontrun takes a thread that waits for a lock it has itself for a deadlock, which a gate is
    # not, for another opens it. Where its clock rules, even eleven days may pass between two steps.
    with suppress(AcquireTimeout, NoEndpoint, PoolClosed), pool.lease(timeout=1e6):
        pass


def lease_in_time(pool: Pool) -> None:
    with suppress(AcquireTimeout, NoEndpoint, PoolClosed), pool.lease(timeout=0.01):
        time.sleep(0.01)


def grow(pool: Pool) -> None:
    pool.update("a", capacity=2)


def come_and_go(pool: Pool) -> None:
    pool.drain("a")
    pool.add(Endpoint("a"))


def switch(pool: Pool) -> None:
    pool.set_strategy("least_in_flight")


def nothing_is_lost(pool: Pool) -> bool:
    stats = pool.stats()
    if stats.waiting or any(endpoint.in_flight for endpoint in stats.endpoints):
        return False
    with suppress(PoolClosed):  # raised by the first, if at all
        for _ in range(sum(endpoint.limit for endpoint in stats.endpoints)):
            pool.acquire(timeout=0)
    return True


Scenario = tuple[Callable[[], Pool], list[Callable[[Pool], None]]]
SCENARIOS: dict[str, Scenario] = {
    "two lease one": (pool_of("a"), [lease, lease]),
    "a wait may end as the slot comes": (pool_of("a"), [lease_in_time] * 2),
    "two wait and one may give up": (pool_of("a"), [lease_in_time] * 3),
    "the pool closes": (pool_of("a"), [lease_in_time, lease, Pool.close]),
    "capacity grows": (pool_of("a"), [lease_in_time, lease, grow]),
    "the endpoint goes and comes back": (pool_of("a"), [lease_in_time, lease, come_and_go]),
    "the strategy changes": (pool_of("a"), [lease_in_time, lease, switch]),
}
# Interleavings of each; one takes 0.03 to 0.1 s. A lease swallowed by a wait that gave up was found in the
# 25th of the third scenario.
_MOST = {"two wait and one may give up": 40}
_FEW = 10
# With time of its own a waiter that nobody wakes would just give up; here it is found to be stuck.
_IN_REAL_TIME = ("two lease one",)
_TIMES = 20 if os.environ.get("BALANCER_STRESS") == "1" else 1


def explore(name: str, scenario: Scenario) -> dict[str, Any]:
    """Try a scenario's interleavings; return what came of it."""
    setup, workers = scenario
    try:
        found = frontrun.explore(
            setup=setup,
            workers=workers,
            invariant=nothing_is_lost,
            clock="real" if name in _IN_REAL_TIME else "explored",
            trace_packages=["balancer.*", "balancer_strategies.*"],
            max_executions=_MOST.get(name, _FEW) * _TIMES,
            deadlock_timeout=2.0,
            total_timeout=20.0 * _TIMES,
            reproduce_on_failure=0,
        )
    except Exception as error:  # a worker's: that is a finding too
        return {"holds": False, "tried": 0, "why": repr(error)}
    return {"holds": found.property_holds, "tried": found.num_explored, "why": str(found.explanation)}


if __name__ == "__main__":
    pool_of("a")()  # loads the plugins, outside the scheduler
    print(json.dumps({name: explore(name, scenario) for name, scenario in SCENARIOS.items()}))
