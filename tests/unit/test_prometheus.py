"""A scrape is one instant of a pool, equal to its `stats()`, in the names that Prometheus expects, without secrets."""

import json
import re
import threading

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from balancer import AcquireTimeout, Endpoint, HealthSettings, Outcome, Pool, QuotaSettings
from balancer.core.metrics import BOUNDS_S, SourceStats
from balancer.observing.page.pool_tables import PoolTables, RecentEvents
from balancer.observing.prometheus import Collector
from balancer.testing.clock import ManualClock
from balancer.values.redaction import ShownNames
from tests.contracts.documents import ROOT, rows
from tests.contracts.made_pages import metrics
from tests.patience import PATIENCE_S

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scraped(collector):
    registry = CollectorRegistry()
    registry.register(collector)
    return figures_in(generate_latest(registry).decode())


def figures_in(text):
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, f"{key} is there twice"
            found[key] = sample.value
    return found


def at(name, **labels):
    return f"balancer_{name}", frozenset(labels.items())


def fill(pool):
    while True:
        pool.acquire(timeout=0)


def of_pool(stats):
    """Return what a scrape must say that is of `stats`: a figure of each kind, by names that stay."""
    yield at("acquires_total", result="timed_out"), stats.timed_out
    yield at("retries_total"), stats.retries
    yield at("strategy_info", strategy=stats.strategy), 1
    for each in stats.endpoints:
        yield at("in_flight_slots", endpoint=each.name), each.in_flight
        yield at("busy_slot_seconds_total", endpoint=each.name), each.busy_s
        yield at("outcomes_total", endpoint=each.name, outcome="failure"), each.failures
        for state in ("active", "draining", "retiring"):
            yield at("endpoint_state", endpoint=each.name, state=state), each.state == state
        for health in ("healthy", "ejected") if each.health else ():
            yield at("endpoint_health", endpoint=each.name, health=health), each.health == health


def test_a_scrape_says_what_stats_say():
    clock = ManualClock(0.0)
    pool = Pool([Endpoint("http://a/", capacity=2), "http://b/"], strategy="first", clock=clock)
    collector = Collector(pool)
    for outcome in (*Outcome, *[Outcome.FAILURE] * 7):
        lease = pool.acquire(timeout=0)
        clock.advance(0.5)
        lease.release(outcome)
    pool.engine.change(lambda now: pool.engine.core.retried("http://a/", now))
    pool.engine.change(lambda now: pool.engine.core.hedged("http://b/", now))
    pool.drain("http://b/")
    with pytest.raises(AcquireTimeout):
        fill(pool)
    stats = pool.stats()
    assert stats.endpoints[0].ejections + stats.endpoints[1].ejections > 0
    assert dict(of_pool(stats)).items() <= scraped(collector).items()


def test_a_scrape_and_the_page_read_a_pool_once(monkeypatch):
    """So all their figures are of one instant."""
    pool, looks = Pool(["http://a/", "http://b/"]), []
    snapshot = pool.snapshot
    monkeypatch.setattr(pool, "snapshot", lambda **asked: (looks.append(asked), snapshot(**asked))[1])
    monkeypatch.setattr(pool, "stats", None)
    collector, tables = Collector(pool), PoolTables(pool, ShownNames(), RecentEvents(ShownNames()))
    assert not looks
    scraped(collector)
    tables.look()
    assert looks == [{}, {"leases": True, "also": None}]


# -- histograms ---------------------------------------------------------------------------------------


def test_waits_count_those_who_did_not_wait_as_nothing():
    clock = ManualClock(0.0)
    pool = Pool(["http://a/"], health=None, clock=clock)
    collector = Collector(pool)
    first = pool.acquire(timeout=0)
    waiter = threading.Thread(target=lambda: pool.acquire().release())
    waiter.start()
    while not pool.stats().waiting:
        pass
    clock.advance(2.0)
    first.release()
    waiter.join()
    seen = scraped(collector)
    within = [seen[at("wait_seconds_bucket", le=str(bound_s))] for bound_s in BOUNDS_S]
    assert dict(zip(BOUNDS_S, within, strict=True)) == {bound_s: 1 + (bound_s > 2) for bound_s in BOUNDS_S}
    assert (seen[at("wait_seconds_count")], seen[at("wait_seconds_sum")]) == (2, 2.0)
    assert pool.stats().wait_s.max == 2.0


# -- names --------------------------------------------------------------------------------------------


def test_no_secret_is_in_a_label_and_endpoints_that_look_alike_are_told_apart():
    pool = Pool(
        [
            Endpoint("http://a/?key=c4n4ry-1", headers={"Authorization": "Bearer c4n4ry-2"}, quota="q"),
            Endpoint("http://a/?key=c4n4ry-3"),
            "http://c4n4ry-4@b/",
            Endpoint("http://c/c4n4ry-5/"),
        ],
        quotas={"q": QuotaSettings(requests_per_min=5)},
    )
    registry = CollectorRegistry()
    registry.register(Collector(pool, redact=lambda text: text.replace("c4n4ry-5", "${KEY}")))
    text = generate_latest(registry).decode()
    assert "c4n4ry" not in text
    assert sorted(set(re.findall(r'endpoint="(.*?)"', text))) == [
        "http://a/",
        "http://a/ (2)",
        "http://b/",
        "http://c/${KEY}/",
    ]
    seen = figures_in(text)
    assert seen[at("quota_limit", quota="q", unit="requests")] == 5


def test_several_pools_are_told_apart_by_a_label():
    pools = {"llm": Pool(["http://a/"]), "sandboxes": Pool(["http://a/"])}
    pools["llm"].acquire(timeout=0)
    seen = scraped(Collector(pools))
    assert seen[at("leases_total", pool="llm", endpoint="http://a/")] == 1
    assert seen[at("leases_total", pool="sandboxes", endpoint="http://a/")] == 0


def test_holders_with_fair_shares_are_told_apart_without_secrets():
    with Pool([Endpoint("http://a/", capacity=2)], fairness="holder") as pool:
        lease = pool.acquire(holder="http://me:c4n4ry@b/")
        lease.used(tokens=3)
        pool.acquire(holder="team").release()
        seen = scraped(Collector(pool))
        holders = {each.name: each for each in pool.stats().holders}
    assert seen[at("holder_leases_total", holder="http://b/")] == holders["http://me:c4n4ry@b/"].leases == 1
    assert seen[at("holder_tokens_total", holder="http://b/")] == 3
    assert seen[at("holder_in_flight_slots", holder="team")] == 0
    assert seen[at("holder_busy_slot_seconds_total", holder="team")] == holders["team"].busy_s


def test_health_is_not_said_where_it_is_not_watched():
    watched = scraped(Collector(Pool(["http://a/"], health=HealthSettings())))
    not_watched = scraped(Collector(Pool(["http://a/"], health=None)))
    assert watched.keys() - not_watched.keys() == {
        at("endpoint_health", endpoint="http://a/", health=health)
        for health in ("healthy", "ejected", "half_open", "slow_start", "resting", "spent")
    }


# -- what is written of the names ---------------------------------------------------------------------

_WORD = re.compile(r"balancer_\w+")
_SUFFIXES = ("_bucket", "_sum", "_count")


def _all_there_is():
    quotas = {"q": QuotaSettings(requests_per_min=1, tokens_per_min=1, estimate=1)}
    pool = Pool([Endpoint("http://a/", quota="q")], quotas=quotas, fairness="holder")
    pool.acquire()
    pool._sources = (lambda: SourceStats("pods", "file", 1, 0, 0, 1, 0, 0.0, ""),)
    return {name for name, _ in scraped(Collector(pool))}


def test_the_dashboard_names_figures_and_labels_that_there_are():
    dashboard = json.loads((ROOT / "examples" / "grafana.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(asked) > 15
    assert set(_WORD.findall(" ".join(asked))) <= _all_there_is()
    pool = Pool([Endpoint("http://a/", quota="q")], quotas={"q": QuotaSettings(requests_per_min=1)})
    labels = {name for _, found in scraped(Collector(pool)) for name, _ in found}
    for expression in asked:
        used = {name for group in re.findall(r"by \((.*?)\)", expression) for name in re.split(", *", group)}
        used |= set(re.findall(r"(\w+)=~?\"", expression))
        assert used <= labels | {"job", "instance"}, expression
        assert expression.count("(") == expression.count(")")


def test_the_page_lists_every_figure_as_it_is_declared():
    listed = list(rows(ROOT / "docs" / "live.md", "Prometheus"))
    assert listed == metrics()
    there = {name for name in _all_there_is() if not name.endswith(_SUFFIXES)}
    there |= {name.removesuffix("_count") for name in _all_there_is() if name.endswith("_count")}
    assert {row[0].strip("`") for row in listed} == there


def test_the_page_says_the_buckets():
    said = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
    assert ", ".join(f"{bound:g}" for bound in BOUNDS_S) in said


def test_sources_say_how_they_are(tmp_path):
    file = tmp_path / "servers.json"
    file.write_text('["http://a/", "http://b/"]')
    with Pool() as pool:
        discovery = pool.discover("file", {"path": str(file), "every_s": 1e6}, name="pods", wait_s=PATIENCE_S)
        collector = Collector(pool)
        seen = scraped(collector)
        assert [seen[at(f"source_{name}", source="pods")] for name in ("endpoints", "missing", "up")] == [2, 0, 1]
        discovery.failed(ValueError("it is broken"))
        seen = scraped(collector)
        assert [seen[at(f"source_{name}", source="pods")] for name in ("up", "failures_total")] == [0, 1]
