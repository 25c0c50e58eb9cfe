"""`Core.adopt`: leases that are out already come on the books of a core that has lost them."""

import random
from dataclasses import replace

import pytest

from balancer.core import Core
from balancer.core.events import Granted
from balancer.endpoint import Endpoint, LeaseTerms, Outcome
from balancer.settings.rules import QuotaSettings
from balancer.strategy import Request
from tests.registered import MAKERS, NAMES

_A, _B = Endpoint("http://a/", capacity=2, host="one"), Endpoint("http://b/", capacity=2, host="one")


def _core(strategy="least_in_flight", endpoints=(_A, _B), **rules):
    made = MAKERS[strategy](random.Random(1))
    return Core(endpoints, made, lender=None, now=0.0, **rules)  # nobody gives back


def _adopted(core, name, slots=1, tokens=None):
    lease = core.adopt(name, slots, LeaseTerms("me"), tokens, 1.0)
    assert lease is not None
    return lease


@pytest.mark.parametrize("strategy", NAMES)
def test_every_strategy_counts_what_it_has_not_picked(strategy):
    core = _core(strategy)
    leases = [_adopted(core, name) for name in ("http://a/", "http://a/", "http://b/")]
    got = core.acquire(Request(), 2.0)
    assert got is not None
    assert got.endpoint == _B
    assert core.acquire(Request(), 2.0) is None
    for lease in (*leases, got):
        core.release(lease, Outcome.SUCCESS, 3.0)
    assert [core.acquire(Request(), 4.0) is not None for _ in range(5)] == [True, True, True, True, False]


def test_it_counts_for_its_host_and_its_quota():
    core = _core(host_caps={"one": 2})
    _adopted(core, "http://a/", slots=2)
    assert core.acquire(Request(), 2.0) is None
    core = _core(quotas={"a": QuotaSettings(tokens_per_min=10)}, endpoints=(replace(_A, quota="a"), _B))
    _adopted(core, "http://a/", tokens=8)
    got = core.acquire(Request(tokens=5), 2.0)
    assert got is not None
    assert got.endpoint == _B


def test_it_is_told_and_has_its_terms_and_an_endpoint_that_is_gone_has_none():
    core = _core()
    core.listen({Granted})
    lease = _adopted(core, "http://a/")
    assert (lease.id, lease.holder) == (1, "me")
    assert [type(event) for event in core.journal.happened] == [Granted]
    assert core.adopt("http://gone/", 1, None, None, 1.0) is None
    core.drain("http://b/", 1.0)
    _adopted(core, "http://b/")
    assert core.ledger.account("http://b/").in_flight == 1
