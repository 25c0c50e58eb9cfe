"""The page shows what `stats()` says, to those who may see it; its buttons are for those who have the token."""

import asyncio
import base64
import hashlib
import http.client
import json
import logging
import os
import re
import socket
import threading
import time
import warnings
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from balancer import AsyncPool, ConfigError, Endpoint, Outcome, Pool, QuotaSettings
from balancer.core.events import Added, Ejected, Probing, Removed, Rested, Restored
from balancer.core.metrics import LeaseRow
from balancer.hookspecs import Source, SourceError
from balancer.observing.page.pool_tables import PoolTables, RecentEvents, Tables, apply, holder_rows
from balancer.shells.logs import Log
from balancer.values.options import StrategyOptions
from balancer.values.redaction import ShownNames
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.unit.test_prometheus import at, figures_in

TOKEN = "t0ken-of-the-page-x"


def ask(page, method, path, headers=None, body=None):
    """Ask a page, or the one at a URL."""
    url = page if isinstance(page, str) else page.url
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S)
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    found = answer, answer.read()
    connection.close()
    return found


def state(page):
    answer, body = ask(page, "GET", "/state")
    assert answer.status == 200
    return json.loads(body)


def press(page, button, row, **headers):
    all_headers = {
        "Content-Type": "application/json",
        **{name.replace("_", "-"): text for name, text in headers.items()},
    }
    return ask(page, "POST", f"/admin/{button}", all_headers, json.dumps({"endpoint": row}))[0].status


def events(page):
    connection = http.client.HTTPConnection(urlsplit(page.url).netloc, timeout=PATIENCE_S)
    connection.request("GET", "/events")
    answer = connection.getresponse()
    try:
        while line := answer.readline():
            if line.startswith(b"data: "):
                yield json.loads(line[6:])
    finally:
        connection.close()


class _Silent(Source):
    name = "silent"
    Options = StrategyOptions

    def look(self):
        raise SourceError("no \ud800 answer")


def test_half_of_a_character_in_some_text_costs_nobody_an_answer():
    """It is refused of an endpoint, and replaced elsewhere."""
    with Pool(["http://a/"]) as pool:
        assert pool.acquire(holder="\ud800").holder == "?"
        with pytest.raises(ValueError, match="labels has half of a character"):
            pool.add(Endpoint("http://b/", labels={"\ud800"}))
        pool.add(Endpoint("http://c/"))
        pool.discover(_Silent, name="\ud801", wait_s=0.0)
        page = pool.serve_page(name="\ud802")
        found = state(page)
        assert (found["page"]["name"], found["sources"][0]["name"]) == ("?", "?")
        assert next(events(page))["all"]
        answer, body = ask(page, "GET", "/metrics")
        assert (answer.status, at("source_up", source="?") in figures_in(body.decode())) == (200, True)


@pytest.fixture
def pool():
    with Pool([Endpoint("http://a/", capacity=2), "http://b/"], strategy="first", seed=1) as made:
        yield made


@pytest.fixture
def page(pool):
    with pool.serve_page(token=TOKEN) as served:
        yield served


# -- what it shows ------------------------------------------------------------------------------------


def test_the_state_is_what_stats_say(pool, page):
    for outcome in (Outcome.FAILURE, Outcome.OVERLOAD, Outcome.IGNORED, Outcome.SUCCESS):
        pool.acquire(timeout=0).release(outcome)
    kept = pool.acquire(timeout=0, slots=2, holder="sample 7")
    stats, found = pool.stats(), state(page)
    for name in ("strategy", "acquired", "timed_out", "waiting", "calls", "failures", "overloads", "retries", "hedges"):
        assert found["pool"][name] == getattr(stats, name)
    assert len(found["endpoints"]) == 2
    for shown, told in zip(found["endpoints"], stats.endpoints, strict=True):
        for name in ("name", "state", "health", "in_flight", "limit", "capacity", "leases", "failures", "ejections"):
            assert shown[name] == getattr(told, name)
        ended = shown["successes"] + shown["failures"] + shown["overloads"] + shown["ignored"]
        assert ended + (shown["name"] == "http://a/") == shown["leases"]
    (holder,) = found["holders"]
    assert (holder["id"], holder["leases"], holder["slots"]) == ("sample 7", 1, 2)
    assert kept.granted_s == pytest.approx(holder["since_s"], abs=0.01)


def test_changes_lead_to_the_state(pool, page):
    told, mine = events(page), Tables()
    first = next(told)
    assert first["all"]
    apply(mine, first["tables"])
    pool.acquire(timeout=0).release()
    pool.drain("http://b/")
    while True:
        event = next(told)
        assert not event["all"]
        apply(mine, event["tables"])
        if mine["endpoints"]["1"]["state"] == "draining" and mine["pool"][""]["acquired"]:
            break
    found = state(page)
    assert [{"id": row, **values} for row, values in mine["endpoints"].items()] == found["endpoints"]
    assert [values["said"] for values in mine["news"].values()] == ["drained"]
    assert first["tables"]["page"][""]["buttons"]


def test_waits_since_the_last_look_are_told_apart_from_all():
    now = [0.0]
    pool = Pool(["http://a/"], health=None, clock=lambda: now[0])
    names = ShownNames()
    scene = PoolTables(pool, names, RecentEvents(names))

    def wait(for_s):
        first = pool.acquire(timeout=0)
        waiter = threading.Thread(target=lambda: pool.acquire().release())
        waiter.start()
        while not pool.stats().waiting:
            pass
        now[0] += for_s
        first.release()
        waiter.join()

    scene.look()
    wait(8.0)
    assert scene.look(still=True)[1]["pool"][""]["wait_now_p99_s"] == pytest.approx(8.0, rel=0.03)
    assert scene.look()[1]["pool"][""]["wait_now_p99_s"] == pytest.approx(8.0, rel=0.03)
    assert scene.look()[1]["pool"][""]["wait_now_p99_s"] == 0
    wait(1.0)
    found = scene.look()[1]["pool"][""]
    assert (found["wait_now_p99_s"], found["wait_p99_s"]) == (pytest.approx(1.0, rel=0.03), 8.0)


def test_what_happened_to_endpoints_is_told_and_no_more_than_a_hundred_lines():
    news = RecentEvents(ShownNames())
    for number in range(150):
        news(Ejected(float(number), f"http://u:p@a-{number}/?key=1", "5 failures in a row"))
    rows = news.rows()
    assert len(rows) == 100
    assert rows["150"] == {"at_s": 149.0, "endpoint": "http://a-149/", "said": "ejected: 5 failures in a row"}


def lines_of(*happened):
    news = RecentEvents(ShownNames())
    for event in happened:
        news(event)
    return [row["said"] for row in news.rows().values()]


def test_an_endpoint_that_leaves_and_comes_back_is_one_line():
    out = Ejected(0.0, "a", "5 failures in a row", 2.0)
    said = "ejected: 5 failures in a row; it is tried again in 2 s"
    assert lines_of(out) == [said]
    assert lines_of(out, Probing(2.0, "a")) == [said]
    assert lines_of(out, Probing(2.0, "a"), Ejected(2.5, "a", "its probe failed", 4.0)) == [
        f"{said}; tried 1 more time"
    ]
    assert lines_of(out, Probing(2.0, "a"), Restored(3.0, "a")) == [f"{said}; back in service after 3 s"]
    assert lines_of(out, Restored(3.0, "a"), replace(out, at_s=9.0)) == [f"{said}; back in service after 3 s", said]
    assert lines_of(out, Removed(1.0, "a"), Added(2.0, "a")) == [said, "removed", "in service"]


def test_rests_and_returns_are_one_line_and_ten_minutes_of_them_two():
    rests = [event for n in range(5) for event in (Rested(2.0 * n, "a", 1.5), Restored(2.0 * n + 1.5, "a"))]
    assert lines_of(*rests[:1]) == ["asked for a rest of 1.5 s"]
    assert lines_of(*rests[:2]) == ["asked for a rest of 1.5 s; back in service after 1.5 s"]
    often = "asked for a rest 5 times in 8 s, the last of 1.5 s"
    assert lines_of(*rests[:-1]) == [often]
    assert lines_of(*rests) == [f"{often}; back in service"]
    assert lines_of(*rests, Rested(700.0, "a", 3.0)) == [f"{often}; back in service", "asked for a rest of 3 s"]
    assert lines_of(*rests, Ejected(9.0, "a", "5 failures")) == [f"{often}; back in service", "ejected: 5 failures"]


def test_the_reason_of_an_ejection_is_redacted_on_the_page_and_in_the_log(caplog):
    event = Ejected(0.0, "a", "5 failures in a row, last: EndpointError: user 17 is over quota")

    def redact(text):
        return text.replace("17", "***")

    news, log = RecentEvents(ShownNames(redact)), Log()
    log.redact = redact
    news(event)
    log(event)
    (row,) = news.rows().values()
    for said in (row["said"], caplog.messages[0]):
        assert "user *** is over quota" in said


def test_a_pool_is_looked_at_only_while_somebody_reads_but_for_its_history(pool, monkeypatch):
    looks = []
    snapshot = pool.snapshot
    monkeypatch.setattr(pool, "snapshot", lambda **asked: (looks.append(asked), snapshot(**asked))[1])
    with pool.serve_page() as page:
        over = time.monotonic() + PATIENCE_S
        while not looks and time.monotonic() < over:
            time.sleep(0.001)
        assert not any(looks)  # points of the history; no lease is listed for them
        assert looks
        looks.clear()
        told = events(page)
        next(told)
        next(told)
        read = [asked for asked in looks if asked]
        assert len(read) >= 2  # a third may have begun
        assert read == len(read) * [{"leases": True, "also": None}]
        told.close()


# -- Prometheus ---------------------------------------------------------------------------------------


def test_metrics_are_on_the_same_port(pool, page):
    pool.acquire(timeout=0).release()
    answer, body = ask(page, "GET", "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    pool.acquire(timeout=0).release()
    seen = figures_in(ask(page, "GET", "/metrics")[1].decode())
    assert seen[at("leases_total", endpoint="http://a/")] == 2
    assert b"balancer_leases_total" in body


# -- who may look -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/state", "/metrics", "/nothing"])
def test_every_answer_tells_browsers_what_a_page_must_not_do(page, path):
    headers = ask(page, "GET", path)[0].headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = headers["Content-Security-Policy"]
    for said in ("default-src 'none'", "frame-ancestors 'none'", "connect-src 'self'", "base-uri 'none'"):
        assert said in policy
    assert "unsafe" not in policy
    assert "Server" not in headers


def test_the_page_has_all_it_needs_and_its_policy_names_just_that(page):
    answer, body = ask(page, "GET", "/")
    text = body.decode()
    assert not re.findall(r"(?:src|href)=\"(?!data:|state)", text)
    assert "://" not in re.sub(r"\\/", "", text).replace("[a-z+]+:", "")
    policy = answer.headers["Content-Security-Policy"]
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "onclick=" not in text
    assert " style=" not in text


def test_it_listens_on_loopback_and_is_asked_by_its_own_name_only(page):
    assert urlsplit(page.url).hostname == "127.0.0.1"
    assert ask(page, "GET", "/state", {"Host": "evil.example:80"})[0].status == 421
    assert ask(page, "GET", "/state", {"Host": f"localhost:{urlsplit(page.url).port}"})[0].status == 200


def test_other_web_pages_are_refused(page):
    for path in ("/state", "/events", "/metrics"):
        assert ask(page, "GET", path, {"Sec-Fetch-Site": "cross-site"})[0].status == 403
    assert press(page, "drain", "0", Authorization=f"Bearer {TOKEN}", Sec_Fetch_Site="same-site") == 403
    assert ask(page, "GET", "/", {"Sec-Fetch-Site": "cross-site"})[0].status == 200  # a link to it


# -- buttons ------------------------------------------------------------------------------------------


def test_a_button_drains_and_restores_for_those_who_have_the_token(pool, page):
    right = f"Bearer {TOKEN}"
    assert [each["id"] for each in state(page)["endpoints"]] == ["0", "1"]
    assert press(page, "drain", "0", Authorization=right) == 200
    assert [each.state for each in pool.stats().endpoints] == ["draining", "active"]
    assert press(page, "restore", "0", Authorization=right) == 200
    assert [each.state for each in pool.stats().endpoints] == ["active", "active"]
    assert pool.endpoints()[0].capacity == 2
    assert press(page, "restore", "0", Authorization=right) == 409
    for row in ("7", "", "http://nobody/"):
        assert press(page, "drain", row, Authorization=right) == 404
    for other in (0, None, ["0"]):
        assert press(page, "drain", other, Authorization=right) == 400


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong-token-wrong-token"},
     {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": f"Bearer {TOKEN}x"}],
)  # fmt: skip
def test_without_the_token_a_button_does_nothing(pool, page, headers):
    assert press(page, "drain", "0", **headers) == 401
    assert press(page, f"drain?token={TOKEN}", "0", **headers) == press(page, "restore", "0", **headers) == 401
    assert pool.stats().endpoints[0].state == "active"


def test_a_page_without_a_token_has_no_buttons(pool):
    with pool.serve_page() as page:
        assert press(page, "drain", "0", Authorization="Bearer ") == 403
        assert press(page, "drain", "0", Authorization="Bearer None") == 403
        assert state(page)["page"] == {"buttons": False, "name": ""}
    assert pool.stats().endpoints[0].state == "active"


def test_a_button_is_pressed_by_post_with_json_and_nothing_else(pool, page):
    right = {"Authorization": f"Bearer {TOKEN}"}
    assert ask(page, "GET", "/admin/drain", right)[0].status == 405
    assert (
        ask(page, "POST", "/admin/drain", {**right, "Content-Type": "text/plain"}, '{"endpoint": "0"}')[0].status == 415
    )
    json_too = {**right, "Content-Type": "application/json"}
    too_long = '{"endpoint": "0", "x": "' + "y" * 5000 + '"}'
    for body in (
        "",
        "{",
        "[]",
        '"0"',
        too_long,
        "[" * 4000,
        '{"a":' * 800,
        "[" * 5000,
        "\0",
        "9" * 4096,
        '{"endpoint": 1e999}',
        '{"endpoint": "0", "for": 3}',
        "{}",
    ):
        answer, said = ask(page, "POST", "/admin/drain", json_too, body)
        assert (answer.status, json.loads(said)["error"][:8]) == (400, "the body")
    assert ask(page, "POST", "/admin/drain", json_too, b"\xff\xfe")[0].status == 400
    assert ask(page, "POST", "/admin/remove", json_too, '{"endpoint": "0"}')[0].status == 404
    assert ask(page, "GET", "/nope", right)[0].status == 404
    assert pool.stats().endpoints[0].state == "active"


# -- secrets ------------------------------------------------------------------------------------------


def test_no_secret_is_in_anything_that_is_served(caplog):
    caplog.set_level(logging.DEBUG)
    pool = Pool(
        [
            Endpoint("http://a/?key=c4n4ry-1", headers={"Authorization": "Bearer c4n4ry-2"}, quota="q"),
            Endpoint("http://c4n4ry-3@b/"),
            Endpoint("http://c/c4n4ry-4/"),
        ],
        quotas={"q": QuotaSettings(requests_per_min=5)},
    )
    hide = [("c4n4ry-4", "${KEY}")]
    with pool.serve_page(token=TOKEN, redact=lambda text: text.replace(*hide[0])) as page:
        lease = pool.acquire(timeout=0, key="c4n4ry-5")
        for name in ("http://a/?key=c4n4ry-1", "http://c/c4n4ry-4/"):
            pool.drain(name)
        told = events(page)
        served = [json.dumps(next(told)).encode()]
        told.close()
        for path in ("/", "/state", "/metrics", "/metrics"):
            served.append(ask(page, "GET", path)[1])
        right = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        for row in ("0", "0", "9"):
            served.append(ask(page, "POST", "/admin/restore", right, json.dumps({"endpoint": row}))[1])
        assert b"${KEY}" in served[2]
        served.append(repr(page).encode())
        lease.release()
    for body in (*served, caplog.text.encode()):
        assert b"c4n4ry" not in body
        assert TOKEN.encode() not in body


@pytest.mark.parametrize("token", ["", "short", "with a space in it, and long", "pässword-pässword"])
def test_a_token_that_can_be_guessed_is_refused_and_not_quoted(pool, token):
    with pytest.raises(ConfigError, match="at least 16 printable ASCII") as caught:
        pool.serve_page(token=token)
    assert not token or token not in str(caught.value)


# -- begin and end ------------------------------------------------------------------------------------


def test_it_ends_with_its_block_and_with_its_pool_even_while_somebody_reads(pool, still_running):
    for end in ("block", "pool"):
        page = pool.serve_page()
        told = events(page)
        next(told)
        if end == "block":
            with page:
                pass
        else:
            pool.close()
        for _ in told:  # it comes to its end
            pass
        with pytest.raises(ConnectionError):
            ask(page, "GET", "/state")
        page.close()
    assert not still_running("page")


def test_a_port_in_use_is_a_line(pool, page):
    port = urlsplit(page.url).port
    assert port is not None
    with pytest.raises(ConfigError, match=rf"the page cannot listen on 127.0.0.1 port {port}: .*; choose another port"):
        pool.serve_page(port)


def test_a_fork_leaves_the_page_to_its_parent(pool, page):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a process that has threads
        child = os.fork()
    if not child:
        try:
            pool.close()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert state(page)["pool"]["acquired"] == 0


# -- other pools --------------------------------------------------------------------------------------


def test_a_pool_of_tasks_has_a_page_as_well():
    async def main():
        async with AsyncPool(["http://a/"]) as tasks:
            page = tasks.serve_page()
            async with tasks.lease():
                return await asyncio.to_thread(state, page)

    found = asyncio.run(main())
    assert found["endpoints"][0]["in_flight"] == 1


def test_a_pool_of_a_server_has_a_page_of_its_own_process_and_no_say_over_endpoints():
    with (
        Serving("http://a/", Endpoint("http://b/", capacity=2)) as server,
        Pool.connect(server.url) as pool,
        pool.serve_page(token=TOKEN) as page,
    ):
        with pool.lease(holder="sample 7"):
            found = state(page)
            assert sum(each["in_flight"] for each in found["endpoints"]) == 1
            assert [each["id"] for each in found["holders"]] == ["sample 7"]
        assert press(page, "drain", "0", Authorization=f"Bearer {TOKEN}") == 409
        seen = figures_in(ask(page, "GET", "/metrics")[1].decode())
        ended = [seen[at("outcomes_total", endpoint=name, outcome="success")] for name in ("http://a/", "http://b/")]
        assert sorted(ended) == [0, 1]
        assert seen[at("wait_seconds_count")] == 1


def test_the_logging_of_other_servers_of_the_process_is_left_alone(pool):
    loggers = [logging.getLogger(f"uvicorn.{name}") for name in ("access", "error", "asgi")]
    mine = logging.NullHandler()
    for logger in loggers:
        logger.addHandler(mine)
    before = [(logger.level, [*logger.handlers], logger.propagate) for logger in loggers]
    try:
        with pool.serve_page() as page:
            state(page)
            assert [(logger.level, [*logger.handlers], logger.propagate) for logger in loggers] == before
    finally:
        for logger in loggers:
            logger.removeHandler(mine)


def test_the_page_writes_no_line_into_the_programs_log(pool, caplog):
    """Neither for a request, nor for a client that goes in the middle of one."""
    caplog.set_level(logging.INFO, "uvicorn.access")
    with pool.serve_page(token=TOKEN) as page:
        state(page)
        assert ask(page, "GET", "/nope")[0].status == 404
        host, port = urlsplit(page.url).hostname, urlsplit(page.url).port
        with socket.create_connection((host, port), PATIENCE_S) as client:
            head = f"POST /admin/drain HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n"
            client.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{{".encode())
        for _ in range(3):
            state(page)
    assert [each.getMessage() for each in caplog.records] == []


@pytest.mark.parametrize("granted_s", [10.006, 10.0, 0.999])
def test_no_lease_is_shown_as_younger_than_now(granted_s):
    row = LeaseRow(id=1, endpoint="http://a/", holder="h", since_s=granted_s, age_s=0.0, slots=1)
    shown = holder_rows([row])["h"]["since_s"]
    assert granted_s - 0.01 < shown <= granted_s
