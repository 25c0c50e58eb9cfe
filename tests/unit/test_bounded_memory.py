"""What is over is dropped: many leases leave no more behind than a few, whoever waits or rests meanwhile."""

import gc
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from balancer.cluster.protocol.messages import LeaseEnded, LeaseRequested, RequestCancelled
from balancer.core import Core
from balancer.endpoint import Endpoint, Hint, LeaseTerms, Outcome
from balancer.settings.rules import HealthSettings, QuotaSettings
from balancer.strategy import Request
from tests.cluster.told import Told
from tests.registered import MAKERS, NAMES

_BUSY, _OPEN = frozenset({"busy"}), frozenset({"open"})
_ENDPOINTS = [
    Endpoint("http://busy/", labels=_BUSY),
    Endpoint("http://a/", labels=_OPEN, weight=1.7),
    Endpoint("http://b/", labels=_OPEN, capacity=2),
]
_FEW, _MANY, _ALLOWED = 300, 1500, 600


@pytest.fixture(autouse=True, scope="module")
def only_what_is_new():
    """Keep what is older out of the counts, and out of the time that they take."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def _grows(rounds: Callable[[int], None]) -> int:
    """Return how many more objects there are after many rounds than after a few."""
    rounds(_FEW)
    gc.collect()
    before = len(gc.get_objects())
    rounds(_MANY)
    gc.collect()
    return len(gc.get_objects()) - before


class _Nobody:
    def release(self, *_: object) -> None: ...

    used = told = release


def _core(strategy: str = "least_in_flight", **rules: object) -> Core:
    chosen = MAKERS[strategy](random.Random(1))
    quota = "q" if "quotas" in rules else None
    return Core(
        [replace(each, quota=quota) for each in _ENDPOINTS],
        chosen,
        lender=_Nobody(),
        rng=random.Random(1),
        now=0.0,
        **rules,
    )


@pytest.mark.sampled(3)
@pytest.mark.parametrize("strategy", NAMES)
@pytest.mark.parametrize("asked", [_OPEN, frozenset()], ids=["labels", "any"])
def test_leases_around_one_who_waits(strategy, asked):
    core = _core(strategy)
    assert core.acquire(Request(labels=_BUSY), 0.0) is not None
    core.wait(Request(labels=_BUSY), 0.0, 1e9, 0, lambda: None)
    now = 0.0

    def rounds(count: int) -> None:
        nonlocal now
        for _ in range(count):
            now += 0.01
            lease = core.acquire(Request(labels=asked), now)
            assert lease is not None
            core.release(lease, Outcome.SUCCESS, now)

    assert _grows(rounds) < _ALLOWED


@pytest.mark.parametrize(
    ("outcome", "hint", "rules"),
    [
        (Outcome.SUCCESS, None, {"health": HealthSettings()}),
        (Outcome.OVERLOAD, Hint(retry_after_s=250.0), {"health": HealthSettings()}),
        (Outcome.FAILURE, None, {"health": HealthSettings(consecutive_failures=1)}),
        (Outcome.SUCCESS, None, {"quotas": {"q": QuotaSettings(requests_per_min=10**6)}, "spill_after_s": 1.0}),
    ],
    ids=["a time limit", "rests", "ejections", "quotas"],
)
def test_leases_with_times(outcome, hint, rules):
    """Each lease has a far time limit, and each end may bring a far time of the rules."""
    core, now = _core(**rules), 0.0
    request = Request(labels=_OPEN, terms=LeaseTerms(ttl_s=1e9))

    def rounds(count: int) -> None:
        nonlocal now
        for _ in range(count):
            now += 1.0
            lease = core.acquire(request, now)
            if lease is not None:
                lease.hint = hint
                core.release(lease, outcome, now)

    assert _grows(rounds) < _ALLOWED


def test_leases_of_a_coordinator_around_one_who_waits():
    """Two callers of other processes hand one slot to each other, and each waits for it for a moment."""
    told, numbers = Told(_core()), iter(range(1, 10**6))

    def ask(labels: frozenset[str], timeout_s: float = 3600.0) -> LeaseRequested:
        return LeaseRequested(next(numbers), Request(labels=labels), 0, timeout_s, 0.0, 1)

    told.say(ask(_BUSY))
    told.say(ask(_BUSY, 1.0))  # the first deadline, which stays
    told.now = 0.5
    held = [told.granted(told.say(ask(_OPEN))) for _ in range(3)]

    def rounds(count: int) -> None:
        for _ in range(count):
            told.now = 0.5
            told.say(ask(_OPEN))  # waits
            ((token, _, _),) = held.pop(0).shares
            held.append(told.granted(told.say(LeaseEnded(token, Outcome.SUCCESS, 0.0))))

    assert _grows(rounds) < _ALLOWED


def test_requests_that_a_coordinator_in_its_grace_is_asked_for_and_then_not():
    told, numbers = Told(_core()), iter(range(1, 10**6))
    told.coordinator._queue.is_open = False

    def rounds(count: int) -> None:
        for _ in range(count):
            number = next(numbers)
            told.say(LeaseRequested(number, Request(), 0, 3600.0, 0.0, 1), RequestCancelled(number))

    assert _grows(rounds) < _ALLOWED
