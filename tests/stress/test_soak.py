"""What looks for violations in a soak sees each kind: a slot given twice, lost, leaked. `make stress` ends with one."""

import pytest

from balancer import Endpoint, Outcome, Pool
from balancer.core.events import Added, Ended, Granted, LimitChanged, Removed
from balancer.plugins.registry import Registry
from tests.registered import KINDS
from tests.stress.invariants import LeaseEvents, limits_of, seen_at_rest


def _granted(number, slots=1):
    return Granted(0.0, number, "e", "", slots, 0.0)


def _ended(number, slots=1):
    return Ended(0.0, number, "e", "", slots, Outcome.SUCCESS, 0.0)


@pytest.mark.parametrize(
    ("events", "sees"),
    [
        ([_granted(1), _granted(2), _ended(1), _granted(3), _ended(2), _ended(3)], None),
        ([_granted(1, 2), LimitChanged(0.0, "e", 1), _ended(1, 2), _granted(2), _ended(2)], None),
        ([Removed(0.0, "e"), Added(0.0, "e"), _granted(1, 3), _ended(1, 3)], None),
        ([_granted(1), _granted(2), _granted(3)], "given twice: 3 slots of e"),
        ([_granted(1), LimitChanged(0.0, "e", 1), _granted(2)], "given twice: 2 slots of e"),
        ([Removed(0.0, "e"), _granted(1)], "given twice: 1 slots of e"),
        ([_granted(1), _granted(1)], "given twice: Granted"),
        ([_granted(1), _ended(1), _ended(1)], "ended twice: Ended"),
        ([_granted(1), _granted(2), _ended(1)], "lost: Granted"),
    ],
)
def test_events_that_must_never_be_are_seen(events, sees):
    heard = LeaseEvents({"e": 2}, most=3)
    for event in events:
        heard(event)
    found = heard.at_rest()
    assert any(each.startswith(sees) for each in found) if sees else found == []


def _a_lease_is_out(pool):
    return pool.acquire(0)


def _a_slot_counts_as_out(pool):
    pool.engine.core.ledger.account("e0").shown["in_flight"] = 1
    pool.engine.core.ledger.account("e0").in_flight = 1


class _Blind(KINDS["first"]):
    """Sees no endpoint that could serve."""

    name = "blind"

    def pick(self, request, now):
        return None


def _a_strategy_sees_no_endpoint(pool):
    pool.set_strategy(_Blind)


@pytest.mark.parametrize(
    ("harm", "sees"),
    [
        (None, None),
        (_a_lease_is_out, "leaked: LeaseRow"),
        (_a_slot_counts_as_out, "leaked: 1 slots of e0"),
        (_a_strategy_sees_no_endpoint, "lost: free slots of ['e0', 'e1']"),
    ],
)
def test_what_a_pool_has_lost_is_seen(harm, sees):
    endpoints = [Endpoint("e0", capacity=2), Endpoint("e1", capacity=3)]
    pool = Pool(endpoints, registry=Registry())  # that of others does not hear of a strategy that sees nothing
    assert limits_of(pool) == {"e0": 2, "e1": 3}
    kept = harm(pool) if harm else None  # a lease that nobody has ends
    found = seen_at_rest(pool)
    assert any(each.startswith(sees) for each in found) if sees else found == []
    del kept
