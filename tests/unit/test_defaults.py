"""What a new user gets who names nothing: health is on, and the strategy is the one that the guide recommends."""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from balancer_simulator import Closed, EndpointModel, Scenario

import balancer.compat
from balancer import Endpoint, EndpointError, HealthSettings, Lease, LimitSettings, Pool, RetrySettings
from balancer.settings import DEFAULT_STRATEGY
from balancer.settings.config import Config
from balancer.settings.tables import HealthSection
from balancer.testing import ManualClock
from tests.contracts.documents import ROOT

_BAD = "http://bad/"


def failed_calls(calls: int = 500, **settings: Any) -> int:
    """Return how many calls fail when one of four endpoints answers 500 at once and the others take some 10 ms.

    Three callers take turns, each with one call at a time, so that the one that fails is free at once again.
    """
    clock, rng = ManualClock(), random.Random(1)
    urls = (_BAD, "http://one/", "http://two/", "http://three/")
    pool = Pool([Endpoint(url) for url in urls], seed=1, clock=clock, **settings)
    under_way: list[tuple[float, Lease]] = []
    failed = 0
    for _ in range(calls):
        if len(under_way) == 3:
            end_s, lease = under_way.pop(under_way.index(min(under_way, key=lambda call: call[0])))
            clock.advance(max(0.0, end_s - clock()))
            failed += _end(lease)
        lease = pool.acquire(timeout=0)
        takes_s = 0.001 if lease.endpoint.url == _BAD else rng.uniform(0.005, 0.015)
        under_way.append((clock() + takes_s, lease))
    return failed + sum(_end(lease) for _, lease in under_way)


def _end(lease: Lease) -> bool:
    bad = lease.endpoint.url == _BAD
    with suppress(EndpointError), lease:
        if bad:
            raise EndpointError("answered 500")
    return bad


def test_one_of_four_that_fails_costs_a_new_user_next_to_nothing():
    """Five failures in a row eject it; 500 calls are done within 2 s, so a few probes come on top."""
    assert failed_calls() <= 10


def test_and_half_of_the_calls_without_health():
    assert failed_calls(health=None) >= 200


def _strategies() -> dict[str, Callable[[], str]]:
    return {
        "Pool": lambda: Pool([Endpoint("http://a/")]).stats().strategy,
        "config": lambda: Config().pool.strategy,
        "pool of a config": lambda: Pool.from_config(Config()).stats().strategy,
        "quickstart": lambda: Pool.from_config(ROOT / "examples/quickstart.toml").stats().strategy,
    }


@pytest.mark.parametrize("where", _strategies())
def test_the_default_strategy_is_the_same_everywhere(where):
    assert _strategies()[where]() == DEFAULT_STRATEGY


def test_the_default_strategy_is_the_one_that_the_guide_recommends():
    guide = (ROOT / "docs/strategies.md").read_text(encoding="utf-8")
    assert f"\n\nTake `{DEFAULT_STRATEGY}`." in guide


def test_health_is_on_unless_it_is_turned_off_by_name():
    def health(**settings: Any) -> str:
        return Pool([Endpoint("http://a/")], **settings).stats().endpoints[0].health

    assert (health(), health(health=HealthSettings()), health(health=None)) == ("healthy", "healthy", "")
    scenario = Scenario(workload=Closed(workers=1), endpoints=[EndpointModel(url="http://a/")])
    assert scenario.health == HealthSection()
    off = [scenario.changed(health=None), scenario.changed(health={"enabled": False})]
    assert [one.health for one in off] == [None, None]
    assert off[0].changed(seed=2).health is None, "off stays off"


def test_the_old_queue_stays_a_queue_and_has_no_health_as_nobody_tells_it_how_calls_went():
    pool = balancer.compat._GlobalQueue(Counter(["http://a/"])).pool
    assert pool.stats().strategy == "fifo"
    assert [endpoint.health for endpoint in pool.stats().endpoints] == [""]


def test_settings_are_public():
    assert {kind.__module__ for kind in (HealthSettings, LimitSettings, RetrySettings)} == {"balancer.settings.rules"}
