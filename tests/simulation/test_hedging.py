"""A call that is slow is made a second time: the first success counts, once, and the loser's slot is free at once."""

from collections import Counter
from typing import Any

import pytest
from balancer_simulator.world.task import Task

from balancer.endpoint import Lease
from tests.simulation.scenarios import BROKEN, at, calls, closed, ended, endpoint, run

_HEDGING: dict[str, Any] = {"requests": {"hedge_after_s": 1.0}}
_SLOW = endpoint("slow", speed=0.125)
_FAST = endpoint("fast")


class Begun:
    """Told of every grant: which task, where and when; leases too."""

    def __init__(self) -> None:
        self.leases: list[Lease] = []
        self.grants: list[tuple[int, str, float]] = []

    def __call__(self, task: Task, lease: Lease) -> None:
        self.leases.append(lease)
        self.grants.append((task.number, lease.endpoint.url, lease.granted_s))


def hedged(*endpoints: dict[str, Any], at_s: list[float], work_s: float | list[float] = 1.0, **values: Any) -> Any:
    """Return the record and the grants of a run under `first`, which takes the first endpoint that is free."""
    begun = Begun()
    return run(at(at_s, work_s, *endpoints, **{**_HEDGING, **values}), "first", observer=begun), begun.grants


def test_the_first_success_counts_and_the_request_is_counted_once():
    """On `slow` it takes 8 s; the second one begins at 1 and is done at 2."""
    record, grants = hedged(_SLOW, _FAST, at_s=[0])
    assert grants == [(1, "slow", 0), (1, "fast", 1)]
    assert calls(record) == [(1, "fast", 1, 2, True)]
    assert ended(record) == (1, 0, 0, 0)
    assert (record.sojourn.count, record.sojourn.most) == (1, 2.0)
    assert (record.wait.count, record.metrics["calls"]) == (1, 2)
    assert [e.failures for e in record.by_endpoint] == [0, 0]


def test_the_losers_slot_is_free_at_once_though_it_goes_on_at_its_endpoint():
    """At 2 `fast` wins. At 2.5 another has the slot of the loser, which goes on till 8; so it stands in line behind it.

    Its own second call, on `fast` from 3.5 on, is the quicker one by far.
    """
    values: dict[str, Any] = {"at_s": [0, 2.5], "work_s": [1, 0.0625]}
    record, _ = hedged(endpoint("slow", speed=0.125), _FAST, **values)
    assert calls(record)[-1] == (2, "slow", 2.5, 3.0, True)
    line = endpoint("slow", speed=0.125, parallel=1, capacity=2)
    record, grants = hedged(line, _FAST, **values)
    assert grants[2] == (2, "slow", 2.5)
    assert calls(record)[-1] == (2, "fast", 3.5, 3.5625, True)
    assert record.by_endpoint[0].busy_s == 2.0 + 1.0625


_FAILS = endpoint("fast", **BROKEN)
_TIMED = {"hedge_after_s": 1.0, "call_timeout_s": 3.0, "attempts": 1}
_BOTH_FAIL = [endpoint(url, speed=0.25, **BROKEN) for url in "ab"]
_CASES: dict[str, tuple[list[Any], dict[str, Any], list[Any], list[Any], tuple[int, ...]]] = {
    "the first call may win as well": (
        [_FAST, _SLOW], {"work_s": 1.5}, [(1, "fast", 0), (1, "slow", 1)], [(1, "fast", 0, 1.5, True)], (1, 0, 0, 0),
    ),
    "a call that is quick enough is made once": (
        [_FAST, _SLOW], {"work_s": 0.75}, [(1, "fast", 0)], [(1, "fast", 0, 0.75, True)], (1, 0, 0, 0),
    ),
    "no other slot is free": (
        [_SLOW, _FAST], {"at_s": [0, 0.5], "work_s": [1, 5]}, [(1, "slow", 0), (2, "fast", 0.5)],
        [(2, "fast", 0.5, 5.5, True), (1, "slow", 0, 8, True)], (2, 0, 0, 0),
    ),
    "the second fails and the first decides": (
        [_SLOW, _FAILS], {}, [(1, "slow", 0), (1, "fast", 1)],
        [(1, "fast", 1, 2, False), (1, "slow", 0, 8, True)], (1, 0, 0, 0),
    ),
    "the first fails and the second decides": (
        [endpoint("fast", speed=0.5, **BROKEN), endpoint("other", speed=0.5)], {}, [(1, "fast", 0), (1, "other", 1)],
        [(1, "fast", 0, 2, False), (1, "other", 1, 3, True)], (1, 0, 0, 0),
    ),
    "both fail and it is tried again where neither did": (
        [*_BOTH_FAIL, endpoint("c", from_s=3.5)], {}, [(1, "a", 0), (1, "b", 1), (1, "c", 5)],
        [(1, "a", 0, 4, False), (1, "b", 1, 5, False), (1, "c", 5, 6, True)], (1, 0, 0, 0),
    ),
    "a pair that fails is one attempt": (
        _BOTH_FAIL, {"requests": {"hedge_after_s": 1.0, "attempts": 1}}, [(1, "a", 0), (1, "b", 1)],
        [(1, "a", 0, 4, False), (1, "b", 1, 5, False)], (0, 1, 0, 0),
    ),
    "a retry is hedged, not where it failed": (
        [endpoint("a", speed=2.0, **BROKEN), endpoint("b", speed=0.125), endpoint("c")], {},
        [(1, "a", 0), (1, "b", 0.5), (1, "c", 1.5)],
        [(1, "a", 0, 0.5, False), (1, "c", 1.5, 2.5, True)], (1, 0, 0, 0),
    ),
    "each of the two has its own time-out": (
        [_SLOW, endpoint("slow too", speed=0.125)], {"requests": _TIMED}, [(1, "slow", 0), (1, "slow too", 1)],
        [(1, "slow", 0, 3, False), (1, "slow too", 1, 4, False)], (0, 1, 0, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", _CASES)
def test_second_calls_are_made_and_counted_when_arithmetic_says(case):
    endpoints, values, begun, over, became = _CASES[case]
    record, grants = hedged(*endpoints, **{"at_s": [0], **values})
    assert (grants, calls(record), ended(record)) == (begun, over, became)
    assert sum(e.failures for e in record.by_endpoint) == sum(not ok for *_, ok in over)


# -- the budget -------------------------------------------------------------------------------------


def test_second_calls_come_out_of_the_budget():
    """Ten slow requests at 0, and a budget of three retries, which nothing gives back in 10 s."""
    slow = endpoint("slow", capacity=10, speed=0.125)
    values: dict[str, Any] = {"at_s": [0.0] * 10, "horizon_s": 9.0}
    budget = {"budget_ratio": 0.3, "budget_per_s": 0.0}
    _, grants = hedged(slow, endpoint("fast", capacity=10), retries=budget, **values)
    assert Counter(url for _, url, _ in grants) == {"slow": 10, "fast": 3}
    _, grants = hedged(slow, endpoint("fast", capacity=10), **values)
    assert Counter(url for _, url, _ in grants) == {"slow": 10, "fast": 10}


def test_calls_of_workers_count_both():
    pair = [endpoint("http://a{1..2}/", capacity=2, **BROKEN), endpoint("http://slow/", capacity=2, speed=0.25)]
    record = run(closed(5, 0.25, 0.75, *pair, **_HEDGING), "least_in_flight")
    assert sum(record.crews[0]) == record.metrics["calls"] > record.wait.count
