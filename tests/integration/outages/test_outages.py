"""Servers that fail, over HTTP: what a black hole gets, what an outage costs, and how soon a recovery is used."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from balancer import AcquireTimeout, Endpoint, EndpointError, Lease, Pool
from balancer.program import Execution, ExecutorOptions, Limits, Program
from balancer.sandbox.probes import pings_of
from balancer.sandbox.servers.fusion import FusionExecutor
from balancer.settings.rules import HealthSettings, RetrySettings
from balancer.shells.calls import call
from balancer.shells.prober import Prober
from balancer.testing import ManualClock
from tests.integration.outages.flaky import FlakyServer, flaky_servers
from tests.registered import NAMES, few_first
from tests.threads.crew import until

_PING = Program("bash", "echo pong")
_CALLS = 600
_CALLERS = 8
_TAKES_S = 3.0  # so many calls, on a machine that has nothing else to do


@pytest.fixture
def servers():
    with flaky_servers(4) as servers:
        yield servers


@pytest.fixture
def executors(servers):
    with ExitStack() as stack:
        # What they run is told, so that nothing is asked but what a lease was for.
        options = ExecutorOptions(languages=frozenset({"bash"}))
        executors = {server.url: FusionExecutor(server.url, options) for server in servers}
        for executor in executors.values():
            stack.callback(executor.close)
        yield executors


def pool_of(servers: list[FlakyServer], **arguments: Any) -> Pool:
    return Pool([Endpoint(server.url, capacity=2) for server in servers], seed=1, **arguments)


def running(executors: Mapping[str, FusionExecutor]) -> Callable[[Lease], Execution]:
    return lambda lease: executors[lease.endpoint.url].run(_PING, b"", Limits(), {})


def by_many(work: Callable[[], bool], times: int = _CALLS) -> Counter[bool]:
    """Do `work` so many times, by several threads, and count what came."""
    with ThreadPoolExecutor(_CALLERS) as threads:
        return Counter(threads.map(lambda _: work(), range(times)))


def _share(server: FlakyServer, servers: list[FlakyServer], took_s: float = _TAKES_S) -> float:
    """Return its share of the requests; without one for each time that a busy machine takes twice as long.

    There a hole is probed more often, after ever longer cooldowns.
    """
    probes = max(0, math.ceil(math.log2(took_s / _TAKES_S)))
    return (server.asked - probes) / sum(each.asked for each in servers)


# -- a black hole among four ---------------------------------------------------------------------------


@pytest.mark.sampled(1)
@pytest.mark.parametrize("strategy", few_first(NAMES))
def test_a_black_hole_takes_two_percent_at_most(strategy, servers, executors):
    hole = servers[0]
    hole.down = True
    pool = pool_of(servers, strategy=strategy, health=HealthSettings())
    began_s = time.monotonic()
    done = by_many(lambda: call(pool.engine, running(executors)).stdout == b"pong\n")
    assert done == {True: _CALLS}
    assert _share(hole, servers, time.monotonic() - began_s) <= 0.02
    assert hole.failed == hole.asked > 0
    assert sum(server.asked for server in servers) == pool.stats().acquired
    assert all(endpoint.in_flight == 0 for endpoint in pool.stats().endpoints)


def test_pings_take_a_black_hole_out_before_anybody_calls_it(servers, executors):
    hole = servers[0]
    hole.down = True
    pool = pool_of(servers, health=HealthSettings(cooldown_s=300.0))
    with Prober(pool, pings_of(executors, "ping"), every_s=0.01):
        until(lambda: pool.out_of_service() == {hole.url})
    assert by_many(lambda: call(pool.engine, running(executors)).stdout == b"pong\n", 60) == {True: 60}
    assert hole.asked == 0


# -- all four fail -------------------------------------------------------------------------------------


def test_an_outage_is_no_storm(servers, executors):
    """Callers get errors, and servers no more calls than the budget allows, although every call has 9 more attempts."""
    for server in servers:
        server.down = True
    retries = RetrySettings(budget_ratio=0.2, budget_per_s=1.0, base_s=0.0)
    pool = pool_of(servers, health=HealthSettings(cooldown_s=0.1, max_cooldown_s=0.1), retries=retries)
    began_s = pool.clock()

    def fails() -> bool:
        with pytest.raises(EndpointError, match="out of order"):
            call(pool.engine, running(executors), attempts=10)
        return True

    assert by_many(fails, 300) == {True: 300}
    windows = (pool.clock() - began_s) // retries.budget_window_s + 1
    asked = sum(server.asked for server in servers)
    assert asked <= 300 + 0.2 * 300 + 10 * windows
    assert asked >= 300 + 50, "the budget is there to be used"


def test_the_first_recovery_is_used_within_one_cooldown(servers, executors):
    """The cooldown passes on a manual clock: before half of it there is no call, after all of it there is."""
    clock = ManualClock()
    for server in servers:
        server.down = True
    health = HealthSettings(cooldown_s=8.0, max_cooldown_s=8.0)
    pool = pool_of(servers, health=health, clock=clock, retries=RetrySettings(base_s=0.0))
    for _ in range(40):
        with pytest.raises(EndpointError):
            call(pool.engine, running(executors), attempts=1)
    out = pool.out_of_service()
    assert len(out) == 2  # as many as may be
    healed = next(server for server in servers if server.url in out)
    healed.down = False
    before = healed.asked
    others = {server.url for server in servers} - {healed.url}

    clock.advance(3.9)
    with pytest.raises(AcquireTimeout):
        call(pool.engine, running(executors), exclude=others, deadline_s=0.0)
    assert healed.asked == before
    clock.advance(4.1)
    assert call(pool.engine, running(executors), exclude=others, deadline_s=0.0).stdout == b"pong\n"
    assert healed.asked == before + 1
    assert healed.url not in pool.out_of_service()


def test_whoever_waits_rather_waits_out_a_cooldown_than_fails(servers, executors):
    """Callers that only an ejected endpoint may serve are all served once it has recovered, by threads that wait."""
    hole, *others = servers
    hole.down = True
    pool = pool_of(servers, health=HealthSettings(cooldown_s=1.0, slow_start_s=0.0))
    exclude = {server.url for server in others}
    for _ in range(5):
        with pytest.raises(EndpointError):
            call(pool.engine, running(executors), attempts=1, exclude=exclude)
    assert pool.out_of_service() == {hole.url}
    hole.down = False
    done = by_many(
        lambda: call(pool.engine, running(executors), attempts=1, exclude=exclude, deadline_s=60.0).exit_code == 0, 16
    )
    assert done == {True: 16}
    assert hole.failed == 5
