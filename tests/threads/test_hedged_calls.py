"""Hedged calls: who wins, what becomes of the loser's lease, and that none is ever left out."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextvars import ContextVar

import pytest

from balancer import Endpoint, EndpointError, Lease, Outcome, Pool
from balancer.calls import SharedBudget, call
from balancer.policies import RetrySettings
from tests.threads.crew import assert_nothing_lost, crew, switching_often, until

_NEVER_S = 60.0


def pool_of(*urls: str, ratio: float = 1.0, per_s: float = 10.0, capacity: int = 1) -> Pool:
    retries = RetrySettings(budget_ratio=ratio, budget_per_s=per_s, base_s=0.0)
    return Pool([Endpoint(url, capacity=capacity) for url in urls], retries=retries, seed=1)


def ended_as(pool: Pool) -> dict[str, tuple[int, int, int]]:
    """Return (leases, failures, in flight) by URL."""
    return {e.url: (e.leases, e.failures, e.in_flight) for e in pool.stats().endpoints}


class Stage:
    """Calls that wait until they are told to go on, by the endpoint they run on."""

    def __init__(self, *urls: str) -> None:
        self.started = {url: threading.Event() for url in urls}
        self.go = {url: threading.Event() for url in urls}
        self.leases: dict[str, Lease] = {}
        self.through: list[str] = []
        self.fails: dict[str, Exception] = {}

    def fn(self, lease: Lease) -> str:
        url = lease.endpoint.url
        self.leases[url] = lease
        self.started[url].set()
        assert self.go[url].wait(_NEVER_S), f"nobody let {url} go on"
        self.through.append(url)
        if url in self.fails:
            raise self.fails[url]
        return url


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run `work` in a thread; what it returned or raised is in the list once the thread has ended."""
    came: list[object] = []

    def run() -> None:
        try:
            came.append(work())
        except BaseException as error:
            came.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, came


def test_a_quick_call_is_made_once() -> None:
    pool = pool_of("a", "b")
    assert call(pool, lambda lease: lease.endpoint.url, hedge_after_s=_NEVER_S) == "a"
    assert ended_as(pool) == {"a": (1, 0, 0), "b": (0, 0, 0)}


@pytest.mark.parametrize(("winner", "loser"), ["ab", "ba"])
def test_the_first_success_wins_and_the_loser_s_lease_ends_at_once(winner: str, loser: str) -> None:
    pool, stage = pool_of("a", "b"), Stage("a", "b")
    thread, came = in_background(lambda: call(pool, stage.fn, hedge_after_s=0))
    assert stage.started["a"].wait(10)
    assert stage.started["b"].wait(10)
    assert not stage.leases[loser].ended
    stage.go[winner].set()
    thread.join(10)
    assert came == [winner]
    assert stage.through == [winner], "the loser still runs"
    assert stage.leases[loser].ended, "and can tell"
    assert ended_as(pool) == {"a": (1, 0, 0), "b": (1, 0, 0)}
    stage.fails[loser] = EndpointError("too late to matter")
    stage.go[loser].set()
    until(lambda: loser in stage.through)
    until(lambda: not any(each.name.startswith("hedged-") for each in threading.enumerate()))
    assert ended_as(pool) == {"a": (1, 0, 0), "b": (1, 0, 0)}


def test_one_failure_is_not_the_end_while_the_other_runs() -> None:
    pool, stage = pool_of("a", "b"), Stage("a", "b")
    stage.fails["a"] = EndpointError("down")
    thread, came = in_background(lambda: call(pool, stage.fn, hedge_after_s=0))
    assert stage.started["b"].wait(10)
    stage.go["a"].set()
    until(lambda: stage.leases["a"].ended)
    assert not came
    stage.go["b"].set()
    thread.join(10)
    assert came == ["b"]
    assert ended_as(pool) == {"a": (1, 1, 0), "b": (1, 0, 0)}


def test_two_failures_are_one_attempt_and_neither_endpoint_is_next() -> None:
    pool = pool_of("a", "b", "c")
    both = threading.Barrier(2)
    went: list[str] = []

    def fn(lease: Lease) -> str:
        went.append(lease.endpoint.url)
        if lease.endpoint.url == "c":
            return "done"
        both.wait(10)
        raise EndpointError("down")

    with pool.lease(exclude=["a", "b"]):
        thread, came = in_background(lambda: call(pool, fn, attempts=2, hedge_after_s=0))
        until(lambda: pool.stats().waiting == 1)  # for c, although a and b are free
    thread.join(10)
    assert came == ["done"]
    assert Counter(went) == {"a": 1, "b": 1, "c": 1}
    assert ended_as(pool) == {"a": (1, 1, 0), "b": (1, 1, 0), "c": (2, 0, 0)}  # one is ours


def test_if_both_fail_the_last_error_is_raised() -> None:
    pool = pool_of("a", "b")
    both = threading.Barrier(2)

    def fn(lease: Lease) -> None:
        both.wait(10)
        raise EndpointError("down", endpoint=lease.endpoint.url)

    with pytest.raises(EndpointError, match="down"):
        call(pool, fn, attempts=1, hedge_after_s=0)
    assert ended_as(pool) == {"a": (1, 1, 0), "b": (1, 1, 0)}


def test_an_error_of_the_caller_s_own_ends_both() -> None:
    pool, stage = pool_of("a", "b"), Stage("a", "b")
    stage.fails["b"] = KeyError("mine")
    thread, came = in_background(lambda: call(pool, stage.fn, hedge_after_s=0))
    assert stage.started["b"].wait(10)
    assert stage.started["a"].wait(10)
    stage.go["b"].set()
    thread.join(10)
    assert came == [stage.fails["b"]]
    assert stage.leases["a"].ended
    assert ended_as(pool) == {"a": (1, 0, 0), "b": (1, 0, 0)}
    stage.go["a"].set()


def _goes_on_alone(pool: Pool, budget: SharedBudget | None = None, urls: str = "ab") -> None:
    """Check that a slow call on `a` gets no company."""
    stage = Stage(*urls)
    before = pool.stats().acquired
    thread, came = in_background(lambda: call(pool, stage.fn, hedge_after_s=0, budget=budget))
    assert stage.started["a"].wait(10)
    until(lambda: pool.stats().timed_out > 0 or pool.stats().acquired == before + 1)
    stage.go["a"].set()
    thread.join(10)
    assert came == ["a"]
    assert not stage.started["b"].is_set()


def test_there_is_no_second_call_without_a_free_slot() -> None:
    pool = pool_of("a", "b")
    with pool.lease(exclude=["a"]):
        _goes_on_alone(pool)
    assert pool.stats().acquired == 2


def test_a_busy_pool_costs_the_budget_nothing() -> None:
    pool = pool_of("a", "b", ratio=0.0, per_s=0.1)
    with pool.lease(exclude=["a"]):
        _goes_on_alone(pool)
    assert pool.budget.try_spend()


def test_there_is_no_second_call_without_a_budget() -> None:
    pool = pool_of("a", "b", ratio=0.0, per_s=0.0)
    _goes_on_alone(pool)
    assert pool.stats().acquired == 1


def test_a_second_call_takes_a_retry_out_of_the_budget() -> None:
    pool = pool_of("a", "b", ratio=0.0, per_s=0.1)
    stage = Stage("a", "b")
    thread, came = in_background(lambda: call(pool, stage.fn, hedge_after_s=0))
    assert stage.started["b"].wait(10)
    stage.go["b"].set()
    thread.join(10)
    assert came == ["b"]
    assert not pool.budget.try_spend()
    stage.go["a"].set()


def test_it_is_never_made_twice_on_the_same_endpoint() -> None:
    pool = pool_of("a", capacity=2)
    assert call(pool, lambda lease: time.sleep(0.1), hedge_after_s=0) is None
    assert ended_as(pool)["a"] == (1, 0, 0)


def test_a_call_sees_the_context_of_its_caller() -> None:
    request: ContextVar[str] = ContextVar("request")
    request.set("mine")
    assert call(pool_of("a"), lambda lease: request.get(), hedge_after_s=_NEVER_S) == "mine"


def test_a_call_that_gives_its_lease_back_is_told_so() -> None:
    pool = pool_of("a")
    with pytest.raises(Exception, match="given back already"):
        call(pool, lambda lease: lease.release(Outcome.SUCCESS), hedge_after_s=_NEVER_S)
    assert_nothing_lost(pool, 1)


def test_nothing_is_lost_however_threads_take_turns() -> None:
    """Calls of any length, some of which fail: every lease ends once, and every failure is an attempt's."""
    pool = pool_of("a", "b", "c", ratio=10.0, capacity=2)
    wins: Counter[str] = Counter()

    def work(number: int) -> None:
        rng = random.Random(number)

        def fn(lease: Lease) -> str:
            if rng.random() < 0.3:
                raise EndpointError("down")
            threading.Event().wait(rng.uniform(0, 1e-3))
            return "done"

        for _ in range(60):
            try:
                wins[call(pool, fn, attempts=2, hedge_after_s=rng.uniform(0, 1e-3))] += 1
            except EndpointError:
                wins["failed"] += 1

    with switching_often():
        crew(6, work)
    until(lambda: not any(each.name.startswith("hedged-") for each in threading.enumerate()))
    assert sum(wins.values()) == 360
    assert wins["done"] > 200
    assert_nothing_lost(pool, 6)
