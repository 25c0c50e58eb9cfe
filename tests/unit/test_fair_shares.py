"""Fair shares of holders in the core: who is next, what it costs to have been away, bounds, and figures."""

import math
import random
from collections.abc import Mapping

import pytest

from balancer.core import Core, Waiter
from balancer.core.metrics import HolderStats
from balancer.core.waiters import OTHERS
from balancer.endpoint import Endpoint, Lease, LeaseTerms, Outcome
from balancer.settings.rules import HolderSettings, QuotaSettings
from balancer.strategy import Request
from balancer.testing.doubles import FakeLender
from tests.registered import MAKERS


def core_of(
    *specs: Endpoint, holders: Mapping[str, HolderSettings] | None = None, quotas: Mapping[str, QuotaSettings] = {}
) -> Core:
    strategy = MAKERS["fifo"](random.Random(0))
    shares = {} if holders is None else holders
    return Core(specs, strategy, lender=FakeLender(), holders=shares, quotas=quotas, now=0.0)


def call(holder: str, **asked: object) -> Request:
    return Request(terms=LeaseTerms(holder), **asked)  # of the test


def take(core: Core, request: Request, now: float = 0.0) -> Lease:
    lease = core.acquire(request, now)
    assert lease is not None
    return lease


def wait(core: Core, request: Request, now: float = 0.0, priority: int = 0) -> Waiter:
    assert core.acquire(request, now) is None
    return core.wait(request, now, math.inf, priority, lambda: None)


def served(core: Core, lease: Lease, now: float) -> list[Waiter]:
    return list(core.release(lease, Outcome.SUCCESS, now))


def stats_of(core: Core, name: str, now: float) -> HolderStats:
    return next(each for each in core.holders(now) if each.name == name)


def test_long_calls_are_paid_for_while_they_run():
    core = core_of(Endpoint("http://a/", capacity=4))
    quick = [take(core, call("quick")) for _ in range(4)]
    for _ in range(400):
        wait(core, call("slow"))
        wait(core, call("quick"))
    for quarter in range(1, 201):  # calls of one take a second, those of the other never end
        (waiter,) = served(core, quick.pop(0), quarter / 4)
        assert waiter.lease is not None
        if waiter.lease.holder == "quick":
            quick.append(waiter.lease)
        assert quick, "calls that never end have all slots"
    assert stats_of(core, "slow", 50.0).busy_s == pytest.approx(100, rel=0.5)


def test_what_a_holder_did_not_use_is_not_kept_for_it():
    core = core_of(Endpoint("http://a/", capacity=2))
    for now in range(100):
        core.release(take(core, call("busy"), now), Outcome.SUCCESS, now + 1.0)
    out = [take(core, call("busy"), 100.0), take(core, call("new"), 100.0)]
    for _ in range(20):
        wait(core, call("busy"), 100.0)
        wait(core, call("new"), 100.0)
    for now in range(101, 121):
        (waiter,) = served(core, out.pop(0), float(now))
        assert waiter.lease is not None
        out.append(waiter.lease)
    assert stats_of(core, "new", 121.0).leases in (11, 12)


def test_a_wait_in_vain_names_the_bound_of_its_holder():
    core = core_of(Endpoint("http://a/", capacity=2), holders={"a": HolderSettings(max_leases=1)})
    take(core, call("a"))
    waiter = wait(core, call("a"))
    core.cancel(waiter, 1.0, timed_out=True)
    assert "its holder has as many leases as its max_leases allows: release one, or raise that" in str(waiter.error)


def test_one_that_was_passed_over_gets_another_slot_that_was_free():
    labelled = frozenset({"x"})
    core = core_of(
        Endpoint("http://a/"), Endpoint("http://b/", labels=labelled), holders={"a": HolderSettings(max_leases=1)}
    )
    lease = take(core, call("a", exclude=frozenset({"http://b/"})))
    bounded, other = wait(core, call("a", labels=labelled)), wait(core, call("b", exclude=frozenset({"http://b/"})))
    assert set(served(core, lease, 1.0)) == {bounded, other}


def test_holders_that_have_gone_are_forgotten_and_their_figures_are_kept_together():
    core = core_of(Endpoint("http://a/"))
    for number in range(2500):
        core.release(take(core, call(f"job {number}"), number), Outcome.SUCCESS, number + 1.0)
    found = core.holders(2500.0)
    assert len(found) <= 2001
    assert found[-1].name == OTHERS
    assert sum(each.leases for each in found) == 2500
    assert sum(each.busy_s for each in found) == pytest.approx(2500)


def test_a_recovery_counts_what_is_out_and_who_waits():
    core = core_of(Endpoint("http://a/"))
    take(core, call("a"))
    waiter = wait(core, call("b"))
    shares = core.shares
    assert shares is not None
    shares.of(call("a")).out = shares.of(call("a")).slots = 7
    shares.of(call("b")).waiting = 7
    core.shells.append([waiter])
    core.recover(2.0)
    assert stats_of(core, "a", 2.0).in_flight == 1
    assert stats_of(core, "b", 2.0).waiting == 1
