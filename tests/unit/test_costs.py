"""What calls cost: by endpoint, by holder, over a server, in a config, a scenario, a scrape and the texts of a pool."""

import math
from pathlib import Path
from typing import Any

import pytest
from balancer_simulator import Scenario, simulate_once
from balancer_simulator.scenario.fields import Policy
from rich.console import Console

from balancer import ConfigError, Endpoint, Lease, Outcome, Pool, PoolStats, Prices, load_config
from balancer.observing.page.pool_tables import PoolTables, RecentEvents
from balancer.observing.page.top import LeaseRates, render
from balancer.observing.prometheus import Collector
from balancer.testing.clock import ManualClock
from balancer.transports.leased_body import end_lease
from balancer.transports.reports import usage_for
from balancer.values.redaction import ShownNames
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.unit.test_fair_pool import until
from tests.unit.test_prometheus import at, scraped

ALL = Prices(call=1.0, second=0.25, input=2e6, output=16e6)
USAGE = b'{"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}'


def priced(clock: ManualClock, **more: Any) -> Pool:
    return Pool([Endpoint("http://a/", capacity=4, prices=ALL)], clock=clock, fairness="holder", **more)


@pytest.mark.parametrize(
    ("outcome", "call"),
    [(Outcome.SUCCESS, 1.0), (Outcome.FAILURE, 0.0), (Outcome.OVERLOAD, 0.0), (Outcome.IGNORED, 0.0)],
)
def test_a_call_costs_if_it_succeeds_and_its_slots_and_tokens_always(outcome: Outcome, call: float) -> None:
    clock = ManualClock()
    with priced(clock) as pool:
        lease = pool.acquire(slots=2, holder="x")
        clock.advance(3.0)
        lease.release(outcome, tokens=5, output=2)
        cost = call + 2 * 3.0 * 0.25 + 3 * 2.0 + 2 * 16.0
        stats = pool.stats()
    assert (stats.cost, stats.endpoints[0].cost, stats.holders[0].cost) == (cost, cost, cost)


def test_the_last_report_of_a_lease_counts_and_the_price_at_its_grant() -> None:
    clock = ManualClock()
    with priced(clock) as pool:
        lease = pool.acquire(holder="x")
        lease.used(tokens=9, output=9)
        lease.used(tokens=4, output=1)
        pool.update("http://a/", prices=Prices(call=100.0))
        lease.release()
        pool.acquire(holder="y").release(tokens=50)
        stats = pool.stats()
    assert [(each.name, each.cost) for each in stats.holders] == [("x", 1.0 + 3 * 2.0 + 16.0), ("y", 100.0)]


def test_an_endpoint_that_has_gone_stays_in_the_sum() -> None:
    with priced(ManualClock()) as pool:
        pool.add("http://free/")
        pool.acquire(exclude={"http://free/"}).release()
        pool.remove("http://a/")
        stats = pool.stats()
        assert (stats.cost, [each.cost for each in stats.endpoints]) == (1.0, [0.0])
        assert PoolStats.from_dict(stats.to_dict()) == stats


def test_without_prices_nothing_is_counted_and_a_lease_goes_the_short_way() -> None:
    with Pool(["http://a/"]) as pool:
        pool.acquire().release(tokens=5, output=2)
        assert pool.stats().cost is None
        assert "cost" not in str(pool)
        assert pool.engine.core.plain_until_s > 0
        pool.add(Endpoint("http://b/", prices=Prices(call=0.5)))
        assert pool.engine.core.plain_until_s == -math.inf
        pool.acquire(exclude={"http://a/"}).release()
        assert pool.stats().cost == 0.5


def test_a_lease_that_expires_or_is_abandoned_costs_its_time() -> None:
    clock = ManualClock()
    with priced(clock) as pool:
        kept = pool.acquire(ttl_s=2.0)
        pool.acquire()  # at once abandoned
        clock.advance(4.0)
        until(lambda: not pool.leases())
        assert kept.ended
        assert pool.stats().cost == pytest.approx(2 * 4.0 * 0.25)


def test_texts_page_and_scrape_have_the_cost_only_if_there_are_prices() -> None:
    for prices in (ALL, None):
        with Pool([Endpoint("http://a/", prices=prices)], fairness="holder", clock=ManualClock()) as pool:
            pool.acquire(holder="x").release()
            figures = scraped(Collector(pool))
            names = ShownNames(None)
            at_s, tables = PoolTables(pool, names, RecentEvents(names)).look()
            console = Console(width=120)
            past = LeaseRates()
            past.take(at_s, tables)
            with console.capture() as shown:
                console.print(render(at_s, tables, past, console))
            has = prices is not None
            assert ("cost 1" in str(pool), "cost 1" in shown.get()) == (has, has)
            assert figures.get(at("cost_total", endpoint="http://a/")) == (1.0 if has else None)
            assert figures.get(at("holder_cost_total", holder="x")) == (1.0 if has else None)
            assert tables["pool"][""]["cost"] == (1.0 if has else None)
            assert tables["endpoints"]["0"]["cost"] == tables["shares"]["0"]["cost"] == (1.0 if has else 0.0)


def test_a_server_adds_up_for_its_processes_what_answers_say() -> None:
    endpoint = Endpoint("http://a/", prices=ALL)
    with Serving(endpoint, fairness="holder") as server, Pool.connect(server.url, name="p") as pool:
        lease = pool.acquire(timeout=PATIENCE_S)
        assert lease.endpoint.prices == ALL
        usage = usage_for(lease, {"Content-Type": "application/json"})
        assert usage is not None  # as tokens cost something
        usage.feed(USAGE)
        end_lease(lease, usage=usage)
        until(lambda: server.pool.stats().holders[0].calls == 1)
        stats = server.pool.stats()
        cost = 1.0 + 3 * 2.0 + 2 * 16.0 + stats.endpoints[0].busy_s * 0.25
        assert stats.holders[0].tokens == 5
        assert stats.holders[0].cost == pytest.approx(cost)
        assert pool.stats().cost is None


@pytest.mark.parametrize(
    ("body", "tokens", "output"),
    [
        (USAGE, 5, 2),
        (b'{"usage": {"input_tokens": 3, "output_tokens": 2}}', 5, 2),
        (b'{"usage": {"prompt_tokens": 3, "total_tokens": 3}}', 3, 0),
        (b'{"usage": {"completion_tokens": 9, "total_tokens": 3}}', 3, 3),  # more than all: a mistake
        (b'{"choices": []}', None, 0),
    ],
)
def test_the_tokens_of_the_answer_are_read(body: bytes, tokens: int | None, output: int) -> None:
    with Pool([Endpoint("http://a/", prices=Prices(output=1.0))]) as pool, pool.lease() as lease:
        usage = usage_for(lease, {})
        assert usage is not None
        usage.feed(body)
        assert (usage.tokens, usage.output) == (tokens, output)
    with Pool([Endpoint("http://a/", prices=Prices(call=1.0))]) as pool, pool.lease() as lease:
        assert usage_for(lease, {}) is None  # no price by token: answers are not read


def test_a_report_whose_answer_is_longer_than_all_is_refused() -> None:
    with Pool(["http://a/"]) as pool, pool.lease() as lease:
        with pytest.raises(ValueError, match="output is 6, more than tokens, 5"):
            lease.used(tokens=5, output=6)
        assert isinstance(lease, Lease)


@pytest.mark.parametrize("price", [-1.0, math.nan, math.inf, "1", True])
def test_a_price_is_a_number_of_at_least_0(price: Any) -> None:
    with pytest.raises(ValueError, match=r"the price call is .*; it must be a number >= 0"):
        Prices(call=price)
    with pytest.raises(ValueError, match=r"prices is .*; it must be a Prices, e.g. Prices\(call=0.01\), or None"):
        Endpoint("http://a/", prices=price)


def test_a_config_has_prices_and_says_what_is_wrong_with_them(tmp_path: Path) -> None:
    file = tmp_path / "pool.toml"
    file.write_text(
        '[[endpoints]]\nurl = "http://a{1..2}/"\nprices = { call = 0.5, output = 10.0 }\n', encoding="utf-8"
    )
    with Pool.from_config(load_config(file)) as pool:
        assert {each.prices for each in pool.endpoints()} == {Prices(call=0.5, output=10.0)}
    file.write_text('[[endpoints]]\nurl = "http://a/"\nprices = { calls = 0.5 }\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"prices.calls"):
        load_config(file)


def test_a_scenario_tells_what_a_request_costs() -> None:
    scenario = Scenario.model_validate(
        {
            "horizon_s": 100.0,
            "warmup_s": 20.0,
            "endpoints": [{"url": "http://a/", "prices": {"call": 1.0, "second": 2.0, "input": 1e6}}],
            "requests": {"kinds": [{"used_tokens": 5, "work": {"kind": "deterministic", "mean_s": 3.0}}]},
            "workload": {"kind": "closed", "workers": 1},
        }
    )
    cost = simulate_once(scenario, Policy(strategy="fifo")).metrics["cost_per_request"]
    assert cost == pytest.approx(
        1.0 + 3.0 * 2.0 + 5.0, rel=0.05
    )  # some calls are cut by an end of the time that counts
    free = scenario.model_copy(update={"endpoints": [scenario.endpoints[0].model_copy(update={"prices": None})]})
    assert "cost_per_request" not in simulate_once(free, Policy(strategy="fifo")).metrics
