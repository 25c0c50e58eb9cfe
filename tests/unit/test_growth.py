"""Nothing under the lock grows as a product: lines of Python that a call takes, with few and with many of both."""

import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from balancer.core import Core, Waiter
from balancer.core.live_heap import LiveHeap
from balancer.endpoint import Endpoint, Lease, LeaseTerms, Outcome
from balancer.errors import AcquireTimeout
from balancer.settings.rules import HealthSettings, HolderSettings, QuotaSettings
from balancer.strategy import ANY, Request
from balancer.testing.doubles import FakeLender
from tests.registered import MAKERS

Crowd = tuple[Core, list[Lease], list[Waiter]]
Asks = Callable[[int], Request]

FEW, MANY = 20, 200  # endpoints, and as many waiters. A heap is C code: what is O(log) takes the same number of lines
_ROUNDS = 10
_ASKED = Request(frozenset({"x"}))


def lines(act: Callable[[], object]) -> int:
    """Return how many lines of Python `act` runs."""
    seen = 0

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal seen
        seen += event == "line"
        return local

    before = sys.gettrace()
    sys.settrace(lambda frame, event, arg: local)
    try:
        act()
    finally:
        sys.settrace(before)
    return seen


def crowd(endpoints: int, waiting: int, asks: Asks, idle: int = 0, **options: Any) -> Crowd:
    """Return a core whose endpoints are all leased, and who waits; `idle` endpoints are free, without the label.

    One lease was handed on before, so that what is done once for all waiters is done.
    """
    quota = "shared" if "quotas" in options else None
    specs = [Endpoint(f"http://{number}/", labels=frozenset({"x"}), quota=quota) for number in range(endpoints)]
    specs += [Endpoint(f"http://idle-{number}/", group=int("spill_after_s" in options)) for number in range(idle)]
    core = Core(specs, MAKERS["fifo"](random.Random(0)), lender=FakeLender(), now=0.0, **options)
    leases = [lease for number in range(endpoints) if (lease := core.acquire(asks(number), 0.0)) is not None]
    waiters = []
    for number in range(waiting + 1):
        assert core.acquire(asks(number), 0.0) is None
        waiters.append(core.wait(asks(number), 0.0, 5.0, 0, lambda: None))
    core.release(leases.pop(0), Outcome.SUCCESS, 0.5)
    return core, leases, [waiter for waiter in waiters if not waiter.ended]


def one_kind(number: int) -> Request:
    return _ASKED


def by_place(number: int) -> Request:
    return Request(frozenset({"x"}), frozenset({f"http://away-{number}/"}))


def by_holder(number: int) -> Request:
    return Request(frozenset({"x"}), terms=LeaseTerms(holder=f"holder {number}"))


def time_out(core: Core, leases: list[Lease], waiters: list[Waiter]) -> None:
    for number, waiter in enumerate(waiters[:_ROUNDS]):
        core.cancel(waiter, 5.0 + number / 1000, timed_out=True)


def hand_on(core: Core, leases: list[Lease], waiters: list[Waiter]) -> None:
    for number, lease in enumerate(leases[: min(_ROUNDS, len(waiters))]):
        (served,) = core.release(lease, Outcome.SUCCESS, 1.0 + number / 1000)
        assert served.lease is not None


@pytest.mark.parametrize("call", [time_out, hand_on])
@pytest.mark.parametrize(
    ("asks", "options"),
    [
        pytest.param(one_kind, {}, id="one kind"),
        pytest.param(one_kind, {"health": HealthSettings(), "rng": random.Random(0)}, id="health"),
        pytest.param(by_place, {}, id="many requests"),
        pytest.param(by_holder, {"holders": {}}, id="fair shares"),
        pytest.param(by_holder, {"holders": {"*": HolderSettings(max_leases=1)}}, id="bounded holders"),
        pytest.param(one_kind, {"quotas": {"shared": QuotaSettings(requests_per_min=10_000)}}, id="a quota"),
    ],
)
def test_a_call_takes_as_many_lines_with_many_waiters_and_endpoints(call, asks, options):
    few, many = (crowd(size, size, asks, **options) for size in (FEW, MANY))
    assert lines(lambda: call(*many)) <= 1.1 * lines(lambda: call(*few))


@pytest.mark.parametrize("options", [{}, {"spill_after_s": 100.0}], ids=["labels", "a higher group"])
def test_endpoints_that_are_free_but_unsuited_cost_a_time_out_nothing(options):
    few, many = (crowd(FEW, FEW, one_kind, idle, **options) for idle in (FEW, MANY))
    assert lines(lambda: time_out(*many)) <= lines(lambda: time_out(*few))
    assert isinstance(error := many[2][0].error, AcquireTimeout)
    assert error.reasons == {"full": FEW, "unsuited": MANY}


def test_why_a_free_endpoint_was_not_taken_is_looked_for_once_for_equal_requests_and_an_instant():
    """Two slots are wanted, and each endpoint has one free: so each has to be looked at."""
    core = Core(
        [Endpoint(f"http://{n}/", capacity=2) for n in range(MANY)],
        MAKERS["fifo"](random.Random(0)),
        lender=FakeLender(),
        now=0.0,
    )
    for _ in range(MANY):
        core.acquire(ANY, 0.0)
    waiters = [core.wait(Request(slots=2), 0.0, until_s, 0, lambda: None) for until_s in (9.0, 5.0, 5.0)]
    first, second = (lines(lambda: core.cancel(each, 5.0, timed_out=True)) for each in waiters[1:])  # noqa: B023
    assert second < first - MANY
    assert isinstance(error := waiters[2].error, AcquireTimeout)
    assert error.reasons == {"full": MANY - 1, "reserved": 1}


def test_a_heap_keeps_what_counts_and_little_else():
    counting = {999}
    heap = LiveHeap[int](lambda entry: entry[2] in counting)
    for number in range(1000):
        heap.push(-number if number % 2 else number, number)
    assert len(heap) <= 200
    first = heap.first()
    assert first is not None
    assert first[2] == 999
    heap.remove_first(first)
    assert heap.first() is None
