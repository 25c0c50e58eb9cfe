"""The walks judge the ends of leases by the clock: a core that gets one wrong is found out."""

from typing import Any
from unittest.mock import patch

import pytest

from balancer.core.core import Core
from balancer.core.lease_timers import LeaseTimers
from balancer.endpoint import Lease, Outcome
from tests.referee.walk import random_walk
from tests.registered import MAKERS

_ADD, _TAKE_DUE, _LEASES = LeaseTimers.add, LeaseTimers.take_due, Core.leases


def _nothing(*_: Any) -> None:
    pass


def _too_early(tenures: LeaseTimers, lease: Lease, now: float) -> None:
    _ADD(tenures, lease, now - 0.4)


def _as_a_failure(core: Core, lease: Lease, kind: object, now: float, why: str) -> None:
    core.ledger.end(lease, Outcome.FAILURE, now)


def _all_over(timers: LeaseTimers, now: float) -> Any:
    return [(lease, True) for lease, _ in _TAKE_DUE(timers, now)]


def _but_one(core: Core, now: float) -> list[Any]:
    return _LEASES(core, now)[1:]


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("where", "what", "wrong"),
    [
        (Core, "_end_for", _nothing),
        (Core, "_end_for", _as_a_failure),
        (LeaseTimers, "add", _too_early),
        (LeaseTimers, "take_due", _all_over),
        (Core, "leases", _but_one),
    ],
    ids=["never ends", "ends as a failure", "ends too early", "a leak ends it", "the table misses one"],
)
def test_a_core_that_gets_it_wrong_is_found_out(where, what, wrong):
    random_walk(MAKERS["fifo"], 2000, seed=1, thorough_every=20)
    with patch.object(where, what, wrong), pytest.raises(AssertionError):
        random_walk(MAKERS["fifo"], 2000, seed=1, thorough_every=20)
