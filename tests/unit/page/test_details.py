"""An hour is kept by the server; what a drawer shows is measured only while one is open."""

import json

import pytest

from balancer import Endpoint, EndpointError, EndpointOverloaded, Outcome, Pool, UnknownEndpoint
from balancer.core.events import Ended
from balancer.observing.page.drawer import Drawers
from balancer.observing.page.history import PageHistory, standing
from balancer.observing.page.pool_tables import PoolTables, RecentEvents, holder_rows
from balancer.values.redaction import ShownNames
from tests.unit.page.test_page import TOKEN, ask, state


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def pool(now):
    with Pool([Endpoint("http://a/", capacity=2), "http://b/"], strategy="first", clock=lambda: now[0]) as made:
        yield made


def fail(pool, error):
    with pytest.raises(type(error)), pool.lease(timeout=0):
        raise error


def test_the_pool_keeps_the_last_fifty_errors_of_an_endpoint_with_their_reasons():
    pool = Pool(["http://a/", "http://b/"], strategy="first", health=None)
    for number in range(60):
        fail(pool, EndpointOverloaded("busy") if number % 2 else EndpointError(f"refused {number}"))
    fail(pool, KeyError("the caller's own"))
    pool.acquire(timeout=0).release(Outcome.FAILURE)
    errors = [(each.outcome, each.said) for each in pool.last_errors("http://a/")]
    assert len(errors) == 50
    assert errors[-3:] == [
        ("failure", "EndpointError: refused 58"),
        ("overload", "EndpointOverloaded: busy"),
        ("failure", ""),
    ]
    assert pool.last_errors("http://b/") == ()
    with pytest.raises(UnknownEndpoint):
        pool.last_errors("http://c/")


def test_a_drawer_tells_errors_by_kind_and_hides_secrets(pool):
    fail(pool, EndpointError("user 17 was refused"))
    fail(pool, EndpointError("user 18 was refused"))
    fail(pool, EndpointOverloaded("busy"))
    names = ShownNames(lambda text: text.replace("17", "***"))
    told = Drawers(pool, names).look("http://a/")
    assert told["kinds"] == [
        {"outcome": "failure", "kind": "EndpointError", "times": 2},
        {"outcome": "overload", "kind": "EndpointOverloaded", "times": 1},
    ]
    assert [each["said"] for each in told["errors"]] == [
        "EndpointOverloaded: busy", "EndpointError: user 18 was refused", "EndpointError: user *** was refused",
    ]  # fmt: skip


def test_leases_are_timed_only_while_a_drawer_is_open(pool, now):
    drawers, wanted = Drawers(pool, ShownNames()), lambda: Ended in pool.engine.core.journal.wanted
    for _ in range(10):
        drawers.beat()
    assert not wanted()
    drawers.look("http://a/")
    assert wanted()
    for held_s in [1.0] * 98 + [30.0] * 2:
        with pool.lease(timeout=0):
            now[0] += held_s
    held = drawers.look("http://a/")["held"]
    assert (held["ended"], held["p50_s"], held["p99_s"]) == (
        100,
        pytest.approx(1.0, rel=0.02),
        pytest.approx(30.0, rel=0.02),
    )
    assert drawers.look("http://b/")["held"]["ended"] == 0
    for _ in range(3):
        drawers.beat()
    assert wanted()
    drawers.beat()
    assert not wanted()
    drawers.look("http://a/")
    drawers.close()
    assert not wanted()


def test_the_page_tells_the_details_of_a_row_and_none_of_another(pool):
    with pool.serve_page(token=TOKEN, name="mine") as page:
        fail(pool, EndpointError("refused"))
        (row,) = [each["id"] for each in state(page)["endpoints"] if each["name"] == "http://a/"]
        answer, body = ask(page, "GET", f"/endpoint?id={row}")
        assert (answer.status, json.loads(body)["errors"][0]["said"]) == (200, "EndpointError: refused")
        for path in ("/endpoint", "/endpoint?id=77", "/endpoint?id=http://a/"):
            assert ask(page, "GET", path)[0].status == 404
        other = {"Sec-Fetch-Site": "cross-site"}
        assert [ask(page, "GET", path, other)[0].status for path in (f"/endpoint?id={row}", "/history")] == [403, 403]
        assert state(page)["page"] == {"buttons": True, "name": "mine"}


def scene_of(pool):
    names = ShownNames()
    return PoolTables(pool, names, RecentEvents(names))


def test_the_history_has_an_hour_and_each_endpoint_as_a_letter_a_point(pool, now):
    scene = scene_of(pool)
    scene.sample()
    kept = pool.acquire(timeout=0)
    scene.sample()
    pool.drain("http://b/")
    pool.add("http://c/")
    scene.sample()
    told = scene.history.told()
    assert [point["acquired"] for point in told["points"]] == [0, 1, 1]
    rows = {each["name"]: row for row, each in scene.look()[1]["endpoints"].items()}
    assert told["endpoints"][rows["http://a/"]] == {"stood": "055", "leases": [0, 1, 0], "total": 1}
    assert told["endpoints"][rows["http://b/"]]["stood"] == "00d"
    assert told["endpoints"][rows["http://c/"]]["stood"] == "0"
    kept.release()
    pool.remove("http://c/")
    for _ in range(400):
        now[0] += 10.0
        scene.sample()
    told = scene.history.told()
    assert (len(told["points"]), told["points"][-1]["at"] - told["points"][0]["at"]) == (360, 3590.0)
    assert {(len(each["stood"]), len(each["leases"])) for each in told["endpoints"].values()} == {(360, 360)}
    assert rows["http://c/"] not in told["endpoints"]


def test_of_very_many_endpoints_only_sums_are_kept(monkeypatch):
    monkeypatch.setattr("balancer.observing.page.history._MOST_ENDPOINTS", 1)
    history = PageHistory()
    with Pool(["http://a/", "http://b/"]) as pool:
        history.take(pool.snapshot(), {"http://a/": "0", "http://b/": "1"})
    assert (len(history.told()["points"]), history.told()["endpoints"]) == (1, {})


@pytest.mark.parametrize(("given", "letter"), [((0, 4), "0"), ((1, 100), "1"), ((4, 4), "9"), ((6, 4), "9")])
def test_an_endpoint_in_use_is_never_shown_as_idle(given, letter):
    with Pool([Endpoint("http://a/", capacity=given[1])], health=None) as pool:
        (each,) = pool.stats().endpoints
        object.__setattr__(each, "in_flight", given[0])
        assert standing(each) == letter


def test_holders_are_told_with_what_they_have_and_how_long_they_wait(pool, now):
    for _ in range(2):
        pool.acquire(timeout=0, holder="one")
    pool.acquire(timeout=0, holder="two")
    engine = pool.engine
    now[0] = 5.0
    from balancer.endpoint import LeaseTerms
    from balancer.strategy import Request

    for since_s, who in ((5.0, "two"), (6.0, "two"), (7.0, "three")):
        request = Request(terms=LeaseTerms(holder=who))
        engine.under_lock(lambda r=request, s=since_s: engine.core.wait(r, s, 99.0, 0, bool))
    seen = pool.snapshot(leases=True)
    rows = holder_rows(seen.leases, waiters=seen.waiters)
    assert rows["one"]["on"] == [["http://a/", 2]]
    assert (rows["one"]["waiting"], rows["one"]["waits_since_s"]) == (0, None)
    assert (rows["two"]["on"], rows["two"]["waiting"], rows["two"]["waits_since_s"]) == ([["http://b/", 1]], 2, 5.0)
    assert (rows["three"]["slots"], rows["three"]["waiting"], rows["three"]["waits_since_s"]) == (0, 1, 7.0)
    assert pool.snapshot().waiters == ()


def test_the_page_of_a_pool_serves_its_history(pool):
    with pool.serve_page() as page:
        assert set(history_of(page)) == {"every_s", "points", "endpoints"}


def history_of(page):
    answer, body = ask(page, "GET", "/history")
    assert answer.status == 200
    return json.loads(body)
