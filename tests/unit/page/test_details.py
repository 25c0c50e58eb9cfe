"""What happened is told in lines; an hour is kept by the server; a drawer measures only while it is open."""

import json
import threading
from dataclasses import replace

import pytest

from balancer import Endpoint, EndpointError, EndpointOverloaded, Outcome, Pool, UnknownEndpoint
from balancer.core.events import Added, Ejected, Ended, Removed, Rested, Restored
from balancer.core.metrics import EndpointStats, LeaseRow, WaitRow
from balancer.observing.page.history import Drawers, mark_and_word, standing
from balancer.observing.page.pool_tables import PoolTables, RecentEvents, holder_rows
from balancer.values.redaction import ShownNames
from tests.unit.page.test_page import ask, state


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def pool(now):
    with Pool([Endpoint("http://a/", capacity=2), "http://b/"], strategy="first", clock=lambda: now[0]) as made:
        yield made


def scene_of(pool):
    names = ShownNames()
    return PoolTables(pool, names, RecentEvents(names))


# -- what happened ------------------------------------------------------------------------------------


def lines_of(*happened):
    news = RecentEvents(ShownNames())
    for event in happened:
        news(event)
    return [row["said"] for row in news.rows()]


_OUT, _SAID = Ejected(0.0, "a", "5 failures in a row", 2.0), "ejected: 5 failures in a row"
_RESTS = [event for n in range(5) for event in (Rested(2.0 * n, "a", 1.5), Restored(2.0 * n + 1.5, "a"))]
_RESTED = "asked for a rest of 1.5 s"
_OFTEN = f"{_RESTED}; 5 times in all; back in service after 9.5 s"


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        ([_OUT], [_SAID]),
        ([_OUT, Ejected(2.5, "a", "its probe failed", 4.0)], [f"{_SAID}; 2 times in all"]),
        ([_OUT, Restored(3.0, "a")], [f"{_SAID}; back in service after 3 s"]),
        ([_OUT, Restored(3.0, "a"), replace(_OUT, at_s=9.0)], [f"{_SAID}; back in service after 3 s", _SAID]),
        ([_OUT, Removed(1.0, "a"), Added(2.0, "a")], [_SAID, "removed", "in service"]),
        (_RESTS[:1], [_RESTED]),
        (_RESTS[:-1], [f"{_RESTED}; 5 times in all"]),
        (_RESTS, [_OFTEN]),
        ([*_RESTS, Rested(700.0, "a", 3.0)], [_OFTEN, "asked for a rest of 3 s"]),
        ([*_RESTS, Ejected(9.0, "a", "5 failures")], [_OFTEN, "ejected: 5 failures"]),
    ],
)
def test_an_endpoint_that_leaves_and_comes_back_is_one_line(happened, said):
    assert lines_of(*happened) == said


def test_no_more_than_a_hundred_lines_are_kept():
    news = RecentEvents(ShownNames())
    for number in range(150):
        news(Ejected(float(number), f"http://u:p@a-{number}/?key=1", "5 failures in a row"))
    rows = news.rows()
    assert len(rows) == 100
    assert rows[-1] == {"id": "150", "at_s": 149.0, "endpoint": "http://a-149/", "said": _SAID}


# -- the hour -----------------------------------------------------------------------------------------


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
    rows = {each["name"]: each["id"] for each in scene.look()["endpoints"]}
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


@pytest.mark.parametrize(
    ("told", "mark", "word", "letter"),
    [
        ({"state": "draining"}, "drained", "draining", "d"),
        ({"health": "ejected"}, "bad", "ejected", "x"),
        ({"health": "spent"}, "bad", "spent", "x"),
        ({"health": "half_open"}, "trial", "on trial", "t"),
        ({"health": "resting"}, "trial", "resting", "t"),
        ({"health": "healthy", "spared": "too few others"}, "trial", "would be ejected", "t"),
        ({"health": "slow_start", "in_flight": 6}, "ok", "slow start", "9"),
        ({"in_flight": 1, "limit": 100}, "none", "not watched", "1"),
        ({}, "none", "not watched", "0"),
    ],
)
def test_mark_word_and_letter_of_an_endpoint(told, mark, word, letter):
    each = replace(EndpointStats("http://a/", "active", 0, 4, 0, 0, 0.0, 0.0), **told)
    assert (*mark_and_word(each), standing(each)) == (mark, word, letter)


def test_recent_waits_are_told_apart_from_all():
    now = [0.0]
    pool = Pool(["http://a/"], health=None, clock=lambda: now[0])
    scene = scene_of(pool)

    def wait(for_s):
        first = pool.acquire(timeout=0)
        waiter = threading.Thread(target=lambda: pool.acquire().release())
        waiter.start()
        while not pool.stats().waiting:
            pass
        now[0] += for_s
        first.release()
        waiter.join()

    scene.sample()
    wait(8.0)
    assert scene.look()["pool"]["wait_now_p99_s"] == pytest.approx(8.0, rel=0.03)
    for _ in range(2):
        scene.sample()
    assert scene.look()["pool"]["wait_now_p99_s"] == 0
    wait(1.0)
    found = scene.look()["pool"]
    assert (found["wait_now_p99_s"], found["wait_p99_s"]) == (pytest.approx(1.0, rel=0.03), 8.0)
    assert [each["p99"] for each in scene.history.told()["points"]] == [0, pytest.approx(8.0, rel=0.03), 0]


# -- holders ------------------------------------------------------------------------------------------


def test_holders_are_told_with_what_they_have_and_how_long_they_wait(pool):
    for holder in ("one", "one", "two"):
        pool.acquire(timeout=0, holder=holder)
    waiters = [WaitRow("two", 2, 5.0), WaitRow("three", 1, 7.0)]
    one, two, three = holder_rows(pool.snapshot(leases=True).leases, waiters=waiters)
    assert (one["on"], one["waiting"], one["waits_since_s"]) == ([["http://a/", 2]], 0, None)
    assert (two["on"], two["waiting"], two["waits_since_s"]) == ([["http://b/", 1]], 2, 5.0)
    assert (three["slots"], three["waiting"], three["waits_since_s"]) == (0, 1, 7.0)


@pytest.mark.parametrize("granted_s", [10.006, 10.0, 0.999])
def test_no_lease_is_shown_as_younger_than_now(granted_s):
    row = LeaseRow(id=1, endpoint="http://a/", holder="h", since_s=granted_s, age_s=0.0, slots=1)
    (shown,) = holder_rows([row])
    assert granted_s - 0.01 < shown["since_s"] <= granted_s


# -- the drawer ---------------------------------------------------------------------------------------


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
    told = Drawers(pool, ShownNames(lambda text: text.replace("17", "***"))).look("http://a/")
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
    for held_s in [1.0] * 98 + [30.0] * 2:
        with pool.lease(timeout=0):
            now[0] += held_s
    held = drawers.look("http://a/")["held"]
    about = {part: pytest.approx(s, rel=0.02) for part, s in (("p50_s", 1.0), ("p99_s", 30.0), ("max_s", 30.0))}
    assert held == {"ended": 100, "since_s": 0.0, **about}
    assert drawers.look("http://b/")["held"]["ended"] == 0
    for _ in range(3):
        drawers.beat()
    assert wanted()
    drawers.beat()
    assert not wanted()
    assert drawers.look("http://a/")["held"]["ended"] == 0
    drawers.close()
    assert not wanted()


def test_a_page_serves_its_history_and_the_details_of_a_row(pool):
    fail(pool, EndpointError("refused"))
    with pool.serve_page() as page:
        row = state(page)["endpoints"][0]["id"]
        found = [json.loads(ask(page, "GET", path)[1]) for path in ("/history", f"/endpoint?id={row}")]
        assert set(found[0]) == {"every_s", "points", "endpoints"}
        assert found[1]["errors"][0]["said"] == "EndpointError: refused"
        for path in ("/endpoint", "/endpoint?id=77", "/endpoint?id=http://a/"):
            assert ask(page, "GET", path)[0].status == 404
