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
import warnings
from urllib.parse import urlsplit

import pytest

from balancer import AsyncPool, ConfigError, Endpoint, Outcome, Pool, QuotaSettings
from balancer.hookspecs import Source, SourceError
from balancer.values.options import StrategyOptions
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.unit.test_prometheus import at, figures_in

TOKEN = "t0ken-of-the-page-x"
RIGHT = f"Bearer {TOKEN}"


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


def admin(page, action, said, **headers):
    """Ask for an action; return the status, and what was done or is wrong."""
    right = {"Content-Type": "application/json", "Authorization": RIGHT}
    body = said if isinstance(said, str | bytes) else json.dumps(said)
    answer, told = ask(page, "POST", f"/admin/{action}", right | headers, body)
    found = json.loads(told)
    return answer.status, found.get("done") or found["error"]


def press(page, button, row, **headers):
    return admin(page, button, {"endpoint": row}, **{"Authorization": ""} | headers)[0]


@pytest.fixture
def pool():
    with Pool([Endpoint("http://a/?key=c4n4ry-1", capacity=2), "http://b/"], strategy="first", seed=1) as made:
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
    for shown, told in zip(found["endpoints"], stats.endpoints, strict=True):
        assert shown["name"] == told.name.partition("?")[0]
        for name in ("state", "health", "in_flight", "limit", "capacity", "leases", "failures", "ejections"):
            assert shown[name] == getattr(told, name)
        ended = shown["successes"] + shown["failures"] + shown["overloads"] + shown["ignored"]
        assert ended + (shown["name"] == "http://a/") == shown["leases"]
    (holder,) = found["holders"]
    assert (holder["id"], holder["leases"], holder["slots"]) == ("sample 7", 1, 2)
    assert kept.granted_s == pytest.approx(holder["since_s"], abs=0.01)
    pool.drain("http://b/")
    assert [each["said"] for each in state(page)["news"]] == ["drained"]
    seen = figures_in(ask(page, "GET", "/metrics")[1].decode())
    assert seen[at("leases_total", endpoint="http://a/")] == 5


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
        pool.discover(_Silent, name="\ud801", wait_s=0.0)
        page = pool.serve_page(name="\ud802")
        found = state(page)
        assert (found["page"]["name"], found["sources"][0]["name"]) == ("?", "?")
        answer, body = ask(page, "GET", "/metrics")
        assert (answer.status, at("source_up", source="?") in figures_in(body.decode())) == (200, True)


def test_a_source_is_shown_with_its_trouble(tmp_path):
    file = tmp_path / "servers.json"
    file.write_text('["http://a/"]')
    with Pool() as pool, pool.serve_page() as page:
        discovery = pool.discover("file", {"path": str(file), "every_s": 1e6}, name="pods", wait_s=300.0)
        discovery.failed(ValueError("it is broken"))
        (row,) = state(page)["sources"]
        assert row.pop("answered_at_s") > 0
        assert row == {"name": "pods", "kind": "file", "endpoints": 1, "missing": 0, "held": 0, "failures": 1,
                       "trouble": "it is broken"}  # fmt: skip


def test_pools_of_tasks_and_of_a_server_have_pages_too():
    async def main():
        async with AsyncPool(["http://a/"]) as tasks:
            page = tasks.serve_page()
            async with tasks.lease():
                return await asyncio.to_thread(state, page)

    assert asyncio.run(main())["endpoints"][0]["in_flight"] == 1
    with (
        Serving("http://a/", Endpoint("http://b/", capacity=2)) as server,
        Pool.connect(server.url) as pool,
        pool.serve_page(token=TOKEN) as page,
    ):
        with pool.lease(holder="sample 7"):
            found = state(page)
            assert sum(each["in_flight"] for each in found["endpoints"]) == 1
            assert [each["id"] for each in found["holders"]] == ["sample 7"]
        assert press(page, "drain", "0", Authorization=RIGHT) == 409  # it has no say over endpoints


# -- who may look -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/state", "/metrics", "/nothing"])
def test_every_answer_tells_browsers_what_a_page_must_not_do(page, path):
    headers = ask(page, "GET", path)[0].headers
    for name, said in (
        ("X-Frame-Options", "DENY"), ("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"),
        ("Referrer-Policy", "no-referrer"), ("Server", None),
    ):  # fmt: skip
        assert headers[name] == said
    policy = headers["Content-Security-Policy"]
    for said in ("default-src 'none'", "frame-ancestors 'none'", "connect-src 'self'", "base-uri 'none'"):
        assert said in policy
    assert "unsafe" not in policy


def test_the_page_has_all_it_needs_and_its_policy_names_just_that(page):
    answer, body = ask(page, "GET", "/")
    text = body.decode()
    assert not re.findall(r"(?:src|href)=\"(?!data:|state)", text)
    assert "://" not in re.sub(r"\\/", "", text).replace("[a-z+]+:", "")
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    assert "onclick=" not in text
    assert " style=" not in text


def test_it_is_asked_by_its_own_name_and_by_no_other_web_page(page):
    assert urlsplit(page.url).hostname == "127.0.0.1"
    assert ask(page, "GET", "/state", {"Host": "evil.example:80"})[0].status == 421
    assert ask(page, "GET", "/state", {"Host": f"localhost:{urlsplit(page.url).port}"})[0].status == 200
    for path in ("/state", "/history", "/endpoint?id=0", "/metrics"):
        assert ask(page, "GET", path, {"Sec-Fetch-Site": "cross-site"})[0].status == 403
    assert press(page, "drain", "0", **{"Authorization": RIGHT, "Sec-Fetch-Site": "same-site"}) == 403
    assert ask(page, "GET", "/", {"Sec-Fetch-Site": "cross-site"})[0].status == 200  # a link to it


# -- buttons ------------------------------------------------------------------------------------------


def test_each_change_has_an_audit_line(pool, page, caplog):
    caplog.set_level(logging.INFO, "balancer.audit")
    state(page)  # rows have numbers from the first look on
    forged = "x' at 9.9.9.9\tdone: http://u:p@h/?q=c4n4ry " + "y" * 200
    asked = [
        ("drain", "http://a/", "ann", "drained http://a/"),
        ("restore", "0", "ann", "restored http://a/"),
        ("drain", "http://b", forged, "drained http://b/"),
    ]
    for action, named, user, done in asked:
        assert admin(page, action, {"endpoint": named}, **{"X-Balancer-User": user}) == (200, done)
    assert [(each.state, each.capacity) for each in pool.stats().endpoints] == [("active", 2), ("draining", 1)]
    lines = [record.getMessage() for record in caplog.records if record.name == "balancer.audit"]
    when = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    for line, (_, _, _, done) in zip(lines, asked, strict=True):
        assert re.fullmatch(f"audit: {when} .* at 127.0.0.1: {re.escape(done)}", line)
        assert len(line) < 200
    assert "'ann'" in lines[0]
    assert "c4n4ry" not in caplog.text


_TOO_LONG = '{"endpoint": "0", "x": "' + "y" * 5000 + '"}'
_NO_BODIES = ["", "{", "[]", '"0"', _TOO_LONG, "[" * 4000, '{"a":' * 800, "\0", b"\xff\xfe", "9" * 4096, "{}",
              '{"endpoint": 1e999}', '{"endpoint": "0", "for": 3}', '{"endpoint": null}']  # fmt: skip


@pytest.mark.parametrize(
    ("action", "body", "headers", "status", "why"),
    [
        *(("drain", body, {}, 400, 'the body must be {"endpoint": "NAME OR ID"}') for body in _NO_BODIES),
        ("drain", {"endpoint": "http://nobody/"}, {}, 404, "there is no such endpoint"),
        ("drain", {"endpoint": "7"}, {}, 404, "there is no such endpoint"),
        ("restore", {"endpoint": "http://a/"}, {}, 409, "http://a/"),
        ("remove", {"endpoint": "0"}, {}, 404, "Not Found"),
        ("drain", {"endpoint": "0"}, {"Content-Type": "text/plain"}, 415, "send a table as application/json"),
        *(("drain", {"endpoint": "0"}, {"Authorization": wrong}, 401, "the token is wrong or missing")
          for wrong in ("", "Bearer ", "Bearer wrong-token-wrong-token", TOKEN, f"Basic {TOKEN}", f"{RIGHT}x")),
    ],
)  # fmt: skip
def test_a_request_that_is_wrong_changes_nothing_and_is_a_line_without_secrets(
    pool, page, caplog, action, body, headers, status, why
):
    caplog.set_level(logging.INFO, "balancer.audit")
    before = pool.stats()
    found, said = admin(page, action, body, **headers)
    assert (found, why in said) == (status, True), said
    assert "c4n4ry" not in said
    assert pool.stats() == before
    assert not [record for record in caplog.records if record.name == "balancer.audit"]
    assert ask(page, "GET", "/admin/drain", {"Authorization": RIGHT})[0].status == 405


def test_names_that_look_the_same_need_the_id(pool, page):
    pool.add("http://a/?key=c4n4ry-3")
    rows = state(page)["endpoints"]
    assert admin(page, "drain", {"endpoint": "http://a/"})[0] == 409
    assert admin(page, "drain", {"endpoint": rows[2]["id"]}) == (200, "drained http://a/")
    assert [each.state for each in pool.stats().endpoints] == ["active", "active", "draining"]


def test_a_page_without_a_token_has_no_buttons(pool):
    with pool.serve_page() as page:
        assert press(page, "drain", "0", Authorization="Bearer ") == 403
        assert press(page, "drain", "0", Authorization="Bearer None") == 403
        assert state(page)["page"] == {"buttons": False, "name": ""}


@pytest.mark.parametrize("token", ["", "short", "with a space in it, and long", "pässword-pässword"])
def test_a_token_that_can_be_guessed_is_refused_and_not_quoted(pool, token):
    with pytest.raises(ConfigError, match="at least 16 printable ASCII") as caught:
        pool.serve_page(token=token)
    assert not token or token not in str(caught.value)


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
        served = [ask(page, "GET", path)[1] for path in ("/", "/state", "/history", "/metrics", "/endpoint?id=0")]
        served += [json.dumps(admin(page, "restore", {"endpoint": row})).encode() for row in ("0", "0", "9")]
        assert b"${KEY}" in served[1]
        served.append(repr(page).encode())
        lease.release()
    for body in (*served, caplog.text.encode()):
        assert b"c4n4ry" not in body
        assert TOKEN.encode() not in body


# -- begin and end ------------------------------------------------------------------------------------


def test_it_ends_with_its_block_and_with_its_pool(pool, still_running):
    for end in ("block", "pool"):
        page = pool.serve_page()
        state(page)
        if end == "block":
            with page:
                pass
        else:
            pool.close()
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
