"""A call over a pool: where it goes, how often, how long it pauses, and what is raised in the end."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from balancer import (
    AcquireTimeout,
    Endpoint,
    EndpointError,
    EndpointOverloaded,
    Lease,
    NoEndpoint,
    Outcome,
    Pool,
    PoolClosed,
    TooManyWaiters,
)
from balancer.core import Waiter
from balancer.settings.rules import HealthSettings, RetrySettings
from balancer.shells.calls import call
from balancer.strategy import Request
from balancer.testing import ManualClock

NO_PAUSE = RetrySettings(base_s=0.0)


class Place:
    """A pool whose clock moves only in pauses and calls, and what happened there. Nobody is ejected unless told."""

    def __init__(self, *urls: str, clock: ManualClock, retries: RetrySettings = NO_PAUSE, **arguments: Any) -> None:
        self.clock = clock
        usual = {"health": None, "strategy": "fifo"}
        self.pool = Pool(map(Endpoint, urls), clock=clock, retries=retries, seed=1, **{**usual, **arguments})
        self.went: list[str] = []

    def fn(self, *steps: Exception | str, call_s: float = 0.0) -> Callable[[Lease], str]:
        """Return a call that raises or returns one step after the other."""
        script = iter(steps)

        def run(lease: Lease) -> str:
            self.went.append(lease.endpoint.url)
            self.clock.advance(call_s)
            step = next(script)
            if isinstance(step, Exception):
                raise step
            return step

        return run

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return (leases, failures, overloads) by URL; and check that no lease is out."""
        endpoints = self.pool.stats().endpoints
        assert all(endpoint.in_flight == 0 for endpoint in endpoints)
        return {endpoint.url: (endpoint.leases, endpoint.failures, endpoint.overloads) for endpoint in endpoints}


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def slept(clock, monkeypatch):
    """Return the pauses so far; they pass on the manual clock only."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.advance(seconds)

    monkeypatch.setattr("balancer.shells.driver.pause", sleep)
    return pauses


def down(n: int = 0) -> EndpointError:
    return EndpointError(f"down {n}")


# -- where and how often -------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyError("mine"), ValueError("bad"), AcquireTimeout(1.0, 1.0), StopIteration(3)])
def test_another_error_is_raised_at_once_and_blames_nobody(error, clock):
    place = Place("a", "b", clock=clock)
    with pytest.raises(type(error)) as caught:
        call(place.pool.engine, place.fn(error))
    assert caught.value is error
    assert not hasattr(error, "__notes__")
    assert place.counts() == {"a": (1, 0, 0), "b": (0, 0, 0)}


@pytest.mark.parametrize(
    ("attempts", "went", "note"),
    [(1, "a", "the only attempt was at a"), (3, "abc", "the last of 3 attempts was at c")],
)
def test_the_last_error_is_raised_when_the_attempts_are_used_up(attempts, went, note, clock, slept):
    place = Place("a", "b", "c", "d", clock=clock)
    errors = [down(n) for n in range(4)]
    with pytest.raises(EndpointError) as caught:
        call(place.pool.engine, place.fn(*errors), attempts=attempts)
    assert caught.value is errors[attempts - 1]
    assert caught.value.__notes__ == [note]
    assert place.went == list(went)


def test_an_error_that_is_raised_again_and_again_gets_each_note_once_and_no_secret(clock, slept):
    place, error = Place("http://a/?key=s3cret", clock=clock), down()
    for _ in range(3):
        with pytest.raises(EndpointError):
            call(place.pool.engine, place.fn(error), attempts=1)
    assert error.__notes__ == ["the only attempt was at http://a/"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_it_never_goes_back_while_another_can_serve(data):
    """Any script on any pool; every lease ends, and nobody is asked more often than `attempts`."""
    clock = ManualClock()
    urls = [f"e{n}" for n in range(data.draw(st.integers(1, 4)))]
    place = Place(*urls, clock=clock, strategy=data.draw(st.sampled_from(["fifo", "random", "least_in_flight"])))
    script = data.draw(st.lists(st.sampled_from(["down", "busy", "mine", "done"]), min_size=6, max_size=6))
    kinds: dict[str, Exception | str] = {
        "down": down(),
        "busy": EndpointOverloaded("busy"),
        "mine": KeyError("mine"),
        "done": "done",
    }
    attempts = data.draw(st.integers(1, 5))
    try:
        ended = call(place.pool.engine, place.fn(*[kinds[step] for step in script]), attempts=attempts)
    except Exception as error:
        ended = "mine" if isinstance(error, KeyError) else "failed"
    went = place.went
    assert len(went) <= attempts
    assert all(before != after for before, after in pairwise(went)) or len(urls) == 1
    assert len(set(went)) == min(len(went), len(urls))
    last = script[len(went) - 1]
    assert ended == {"down": "failed", "busy": "failed", "mine": "mine", "done": "done"}[last]
    assert ended != "failed" or len(went) == attempts
    place.counts()


# -- the first lease, and later ones -------------------------------------------------------------------


def test_what_the_pool_says_to_the_first_attempt_is_raised(clock):
    place = Place("a", clock=clock, max_waiters=0)
    with pytest.raises(NoEndpoint):
        call(place.pool.engine, place.fn(), exclude=["a"])
    with place.pool.lease():
        with pytest.raises(AcquireTimeout):
            call(place.pool.engine, place.fn(), deadline_s=0.0)
        with pytest.raises(TooManyWaiters):
            call(place.pool.engine, place.fn())
    place.pool.close()
    with pytest.raises(PoolClosed):
        call(place.pool.engine, place.fn())
    assert place.went == []


@pytest.mark.parametrize(
    ("spoil", "note"),
    [
        (lambda pool: pool.close(), "the pool is closed; leases already out may still be released"),
        (lambda pool: pool.remove("a"), "no endpoint is in service; add one"),
    ],
)
def test_if_there_is_no_endpoint_for_a_retry_the_endpoint_s_own_error_is_raised_with_its_cause(
    spoil, note, clock, slept
):
    place = Place("a", clock=clock)
    error = down()

    def fn(lease: Lease) -> None:
        spoil(place.pool)
        raise error from OSError("reset")

    with pytest.raises(EndpointError) as caught:
        call(place.pool.engine, fn)
    assert caught.value is error
    assert isinstance(error.__cause__, OSError)
    assert error.__notes__[0].startswith(f"it was not tried again: {note}")
    assert error.__notes__[1:] == ["the only attempt was at a"]


# -- the budget ----------------------------------------------------------------------------------------


def test_all_calls_over_a_pool_share_a_budget(clock, slept):
    """Each call earns half a retry, which two calls make whole: every second one is tried again."""
    retries = RetrySettings(budget_ratio=0.5, budget_per_s=0.0, base_s=0.0)
    place = Place("a", "b", clock=clock, retries=retries)
    notes = []
    for number in range(10):
        with pytest.raises(EndpointError) as caught:
            call(place.pool.engine, place.fn(down(number), down(number)), attempts=2)
        notes.append(getattr(caught.value, "__notes__", []))
    empty = ["it was not tried again: the retry budget is empty, because too many calls fail"]
    assert [each[:-1] for each in notes] == [empty, []] * 5
    tried = ["the only attempt was", "the last of 2 attempts was"]
    assert [each[-1].partition(" at ")[0] for each in notes] == tried * 5
    assert len(place.went) == 15


def test_who_got_no_lease_earns_no_retry(clock):
    retries = RetrySettings(budget_ratio=1.0, budget_per_s=0.0, base_s=0.0)
    place = Place("a", clock=clock, retries=retries)
    with place.pool.lease(), pytest.raises(AcquireTimeout):
        call(place.pool.engine, place.fn(), deadline_s=0.0)
    assert not place.pool.engine.budget.try_spend()


# -- pauses and the deadline ---------------------------------------------------------------------------


def test_the_deadline_is_over_calls_and_pauses(clock, slept):
    place = Place("a", "b", clock=clock, retries=RetrySettings(base_s=0.2, max_pause_s=0.4))
    started_s = clock()
    with pytest.raises(EndpointError) as caught:
        call(place.pool.engine, place.fn(*map(down, range(100)), call_s=1.0), attempts=100, deadline_s=5.5)
    assert 5.5 <= clock() - started_s < 6.5  # no attempt starts after the deadline; each takes a second
    assert caught.value.__notes__ == [
        "it was not tried again: the deadline of 5.5 s has passed",
        f"the last of {len(place.went)} attempts was at {place.went[-1]}",
    ]


def test_a_pause_is_cut_so_that_the_deadline_leaves_time_for_an_attempt(clock, slept):
    place = Place("a", "b", clock=clock, retries=RetrySettings(base_s=1000.0, max_pause_s=1000.0))
    started_s = clock()
    assert call(place.pool.engine, place.fn(down(), down(), "done"), deadline_s=8.0) == "done"
    assert clock() - started_s < 8.0
    assert all(pause <= most for pause, most in zip(slept, (4.0, 6.0), strict=True))


@pytest.mark.parametrize(
    ("urls", "asked_s", "slept_s"),
    [("a", 7.0, 7.0), ("ab", 7.0, 0.0), ("a", 86_400.0, 60.0), ("a", float("inf"), 60.0)],
    ids=["it is kept if nobody else can serve", "not while another can", "a day is a minute", "for ever is a minute"],
)
def test_how_long_one_that_asks_for_rest_is_waited_for(urls, asked_s, slept_s, clock, slept):
    place = Place(*urls, clock=clock)
    assert call(place.pool.engine, place.fn(EndpointOverloaded("busy", retry_after_s=asked_s), "done")) == "done"
    assert place.went == ["a", urls[-1]]
    assert sum(slept) == slept_s


def test_a_rest_longer_than_what_is_left_is_not_begun(clock, slept):
    place = Place("a", clock=clock)
    error = EndpointOverloaded("busy", retry_after_s=7.0)
    with pytest.raises(EndpointOverloaded) as caught:
        call(place.pool.engine, place.fn(error), deadline_s=5.0)
    assert caught.value is error
    note = "it was not tried again: it asks for 7 s, and 5 s are left"
    assert error.__notes__ == [note, "the only attempt was at a"]
    assert sum(slept) == 0.0


# -- what happens while it waits -----------------------------------------------------------------------


class Waits:
    """Stands for the pool's own waiting at a gate: waits pass on the manual clock, and things happen meanwhile.

    Attributes:
        slices: how long each wait lasted, from one look to the next.
        then: what happens, by the second it happens at.
    """

    STEP_S = 0.125

    def __init__(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        self._pool = place.pool
        self._clock = place.clock
        self._began_s = place.clock()
        self.slices: list[float] = []
        self.then: dict[float, Callable[[], object]] = {}
        monkeypatch.setattr(place.pool.engine.waits, "_naps_until", self.naps_until)

    @property
    def passed_s(self) -> float:
        return self._clock() - self._began_s

    def naps_until(self, until_s: float, waiter: Waiter) -> Iterator[float]:
        """Let the time pass by itself, so that there is nothing left to wait for."""
        began_s = self._clock()
        while not waiter.ended and self._clock() < until_s:
            self._clock.advance(min(self.STEP_S, until_s - self._clock()))
            for at_s in [at_s for at_s in self.then if at_s <= self.passed_s]:
                self.then.pop(at_s)()
            self._pool.engine.change(self._do_what_is_due)
        if self._clock() > began_s:
            self.slices.append(self._clock() - began_s)
        return iter(())

    def _do_what_is_due(self, now: float) -> Sequence[Waiter]:
        core = self._pool.engine.core
        return core.tick(now) if now >= core.due_s else ()


def out_is_b(cooldown_s: float, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> tuple[Place, Waits]:
    """Return two endpoints, the second of which has just been ejected."""
    place = Place("a", "b", clock=clock, health=HealthSettings(consecutive_failures=1, cooldown_s=cooldown_s))
    place.pool.acquire(exclude=["a"]).release(Outcome.FAILURE)
    return place, Waits(place, monkeypatch)


def test_if_nobody_is_back_before_the_deadline_it_says_how_long_it_waited(clock, slept, monkeypatch):
    place, waits = out_is_b(300.0, clock, monkeypatch)
    with pytest.raises(EndpointOverloaded) as caught:
        call(place.pool.engine, place.fn(EndpointOverloaded("busy", retry_after_s=60.0)), deadline_s=10.0)
    assert waits.slices == [1.0, 2.0, 4.0, 3.0]
    note, where = caught.value.__notes__
    assert where == "the only attempt was at a"
    assert note.startswith(
        "it was not tried again: no endpoint came free within 10 s (waited 10.000 s); of 2 endpoints 1"
    )


def test_a_retry_that_waits_keeps_its_place_in_the_queue(clock, slept, monkeypatch):
    """Somebody asks for b after it has; then it looks again, twice; and when b is free it is the one that is served."""
    place = Place("a", "b", clock=clock)
    other = place.pool.acquire(exclude=["a"])
    waits = Waits(place, monkeypatch)
    core, later = place.pool.engine.core, []
    waits.then[0.5] = lambda: later.append(
        core.wait(Request(exclude=frozenset("a")), clock(), 2000.0, 0, lambda: None)  # what it itself asks for
    )
    waits.then[3.5] = lambda: other.release()
    assert call(place.pool.engine, place.fn(down(), "done")) == "done"
    assert waits.slices == [1.0, 2.0, 0.5]
    assert place.went == ["a", "b"]
    assert [waiter.lease.granted_s - waiter.since_s for waiter in later] == [3.0]  # when the call has ended
    stats = place.pool.stats()
    assert (stats.timed_out, stats.wait_s.max, stats.retries) == (0, 3.5, 1)


# -- arguments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [{"attempts": 0}, {"attempts": 1.5}, {"deadline_s": -1.0}, {"hedge_after_s": -0.1}, {"slots": 0}],
)
def test_a_number_out_of_range_is_refused(arguments, clock):
    place = Place("a", clock=clock)
    with pytest.raises(ValueError, match=next(iter(arguments))):
        call(place.pool.engine, place.fn(), **arguments)
