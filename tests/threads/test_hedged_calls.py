"""Hedged calls: who wins, what becomes of the loser's lease, and that none is ever left out."""

import threading
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from balancer import CannotTell, Endpoint, EndpointError, EndpointOverloaded, Lease, Pool
from balancer.core.events import Ended, Event, Hedged
from balancer.settings.rules import HealthSettings, RetrySettings
from balancer.shells.calls import call
from tests.patience import PATIENCE_S
from tests.threads.crew import in_background, in_time, until
from tests.threads.interrupts import points

_NEVER_S = 2 * PATIENCE_S


def pool_of(
    *urls: str, ratio: float = 1.0, per_s: float = 10.0, capacity: int = 1, health: HealthSettings | None = None
) -> Pool:
    retries = RetrySettings(budget_ratio=ratio, budget_per_s=per_s, base_s=0.0)
    return Pool([Endpoint(url, capacity=capacity) for url in urls], retries=retries, health=health, seed=1)


def nobody_runs() -> bool:
    return not any(each.name.startswith("hedged-") for each in threading.enumerate())


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


def _both_run(
    pool: Pool, stage: Stage, fn: Callable[[Lease], object] | None = None
) -> tuple[threading.Thread, list[object]]:
    """Begin a hedged call, and return once it runs on a and on b."""
    begun = in_background(lambda: call(pool.engine, fn or stage.fn, hedge_after_s=0))
    assert stage.started["a"].wait(_NEVER_S)
    assert stage.started["b"].wait(_NEVER_S)
    return begun


@pytest.mark.parametrize(("error", "failures"), [(EndpointError("down"), 1), (CannotTell("its limit is lower"), 0)])
def test_one_failure_is_not_the_end_while_the_other_runs(error, failures):
    pool, stage = pool_of("a", "b"), Stage("a", "b")
    stage.fails["a"] = error
    thread, came = _both_run(pool, stage)
    stage.go["a"].set()
    until(lambda: stage.leases["a"].ended)
    assert not came
    stage.go["b"].set()
    thread.join(PATIENCE_S)
    assert came == ["b"]
    assert ended_as(pool) == {"a": (1, failures, 0), "b": (1, 0, 0)}


def test_an_error_of_the_caller_s_own_ends_both():
    pool, stage = pool_of("a", "b"), Stage("a", "b")
    heard: list[Event] = []
    pool.observe(heard.append, {Hedged})
    stage.fails["b"] = KeyError("mine")
    thread, came = _both_run(pool, stage)
    stage.go["b"].set()
    thread.join(PATIENCE_S)
    assert came == [stage.fails["b"]]
    assert [event.endpoint for event in heard if isinstance(event, Hedged)] == ["b"]
    assert stage.leases["a"].ended
    assert ended_as(pool) == {"a": (1, 0, 0), "b": (1, 0, 0)}
    stage.go["a"].set()


# -- a loser that fails --------------------------------------------------------------------------------


def _loses_on_a(pool: Pool, error: Exception) -> None:
    """Make a call that b wins, and let the loser on a raise `error` afterwards."""
    stage = Stage("a", "b")
    stage.fails["a"] = error
    thread, came = _both_run(pool, stage)
    stage.go["b"].set()
    thread.join(PATIENCE_S)
    assert came == ["b"]
    stage.go["a"].set()
    until(nobody_runs)


@pytest.mark.parametrize(
    ("error", "health"),
    [
        (TimeoutError(), "ejected"),
        (EndpointError("down"), "ejected"),
        (EndpointOverloaded("busy"), "healthy"),
        (KeyError("mine"), "healthy"),
    ],
)
def test_health_learns_of_a_loser_that_fails_by_its_endpoint_s_fault(error, health):
    pool = pool_of("a", "b", health=HealthSettings(consecutive_failures=2, cooldown_s=300.0))
    for _ in range(2):
        _loses_on_a(pool, error)
    assert {each.url: each.health for each in pool.stats().endpoints} == {"a": health, "b": "healthy"}
    assert ended_as(pool) == {"a": (2, 0, 0), "b": (2, 0, 0)}


def test_a_loser_that_fails_just_as_its_lease_ends_is_reported_too(monkeypatch):
    pool, stage = pool_of("a", "b"), Stage("a", "b")
    stage.fails["a"] = EndpointError("down")
    told: list[str] = []
    monkeypatch.setattr(pool.engine.core, "pinged", lambda url, ok, now: told.append(url) or ())

    def ended(event: Event) -> None:
        if event.endpoint == "a" and not stage.go["a"].is_set():
            stage.go["a"].set()
            until(nobody_runs)

    pool.observe(ended, {Ended})
    thread, came = _both_run(pool, stage)
    stage.go["b"].set()
    thread.join(_NEVER_S)
    assert came == ["b"]
    assert told == ["a"]


# -- what must not replace a good answer ---------------------------------------------------------------


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("missing", [1, 2])
def test_if_the_machine_has_no_more_threads_the_first_call_goes_on_alone(missing, fails, monkeypatch):
    """Without a thread for the first one, it runs in that of the caller."""
    pool, stage = pool_of("a", "b"), Stage("a", "b")
    stage.fails = {"a": EndpointError("down")} if fails else {}
    starts: list[str] = []
    start = threading.Thread.start

    def starts_few(thread: threading.Thread) -> None:
        if thread.name.startswith("hedged-"):
            starts.append(thread.name)
            if len(starts) == missing:
                stage.go["a"].set()
                raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starts_few)
    with pytest.raises(EndpointError, match="down") if fails else nullcontext():
        assert call(pool.engine, stage.fn, hedge_after_s=0, attempts=1) == "a"
    assert len(starts) == missing
    assert stage.through == ["a"]
    assert ended_as(pool) == {"a": (1, int(fails), 0), "b": (missing - 1, 0, 0)}


# -- interrupts ----------------------------------------------------------------------------------------

_AROUND_THE_LEASE = (
    "balancer/shells/driver.py",
    "balancer/shells/calls.py",
    "balancer/shells/hedging.py",
    "balancer/core/budget.py",
    "balancer/core/attempt_plan.py",
)
# Between the return of `acquire` and the store of what it returned: no caller of any pool can see to that. CPython
# looks for signals after calls of functions in C only, and these are none.
_IN_NO_HAND = ("CallDriver.take_at_once, ", "ThreadDriver.lease, ")


def _made_twice(pool: Pool, go: threading.Event) -> str:
    """Make a hedged call, of which a waits for `go`, which b gives."""

    def fn(lease: Lease) -> str:
        if lease.endpoint.url == "b":
            go.set()
        assert go.wait(_NEVER_S)
        return "done"

    return call(pool.engine, fn, hedge_after_s=0)


def _made_again(pool: Pool, go: threading.Event) -> str:
    """Make a call that fails once."""
    failed: list[Lease] = []

    def fn(lease: Lease) -> str:
        if not failed:
            failed.append(lease)
            raise EndpointError("down")
        return "done"

    return call(pool.engine, fn)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("made", "least"), [(_made_twice, 60), (_made_again, 60)])
def test_an_interrupt_at_any_point_of_a_call_loses_no_lease(made, least):
    in_no_hand = 0
    for interrupt in points(*_AROUND_THE_LEASE, least=least):
        pool, go = pool_of("a", "b"), threading.Event()
        where = interrupt(lambda pool=pool, go=go: made(pool, go))
        go.set()
        until(nobody_runs)
        if where and where.startswith(_IN_NO_HAND) and pool.stats().acquired:
            in_no_hand += any(each.in_flight for each in pool.stats().endpoints)
            continue
        assert not any(each.in_flight for each in pool.stats().endpoints), f"interrupted at {where}"
        assert in_time(pool.engine.budget.try_spend, f"interrupted at {where}") is True
    assert in_no_hand <= 2, "more than one for each lease"
