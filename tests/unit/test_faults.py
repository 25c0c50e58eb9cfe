"""The fault server: each fault as a plain client meets it, the schedule, and what is counted."""

import json
import time
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, IncompleteRead, RemoteDisconnected
from urllib.parse import urlsplit

import pytest

from tests.apis.api import Api, as_json, serving
from tests.faults.proxy import FAULTS, FaultProxy

RIGHT = {"text": "yes", "number": 4, "list": [True, None]}


class Echo(Api):
    def answer(self, asked):
        if asked.path.endswith("/said"):
            return as_json({"said": asked.body.decode(), "to": asked.path, "key": asked.headers.get("key")})
        return as_json(RIGHT)


@pytest.fixture(scope="module")
def target():
    with serving(Echo()) as place:
        yield f"http://{place}/"


def call(url, path="/", body="?", timeout_s=30.0):
    connection = HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)
    try:
        connection.request("POST", path, body=body, headers={"Key": "k"})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def met(target, name, **how):
    """Return what a client meets at its first request; the second must be passed through."""
    with FaultProxy(target, [name], first=1, **how) as proxy:
        answer = call(proxy.url)
        assert proxy.done == {name: 1}
        assert json.loads(call(proxy.url)[1]) == RIGHT
        assert proxy.passed == 1
    return answer


def test_what_is_no_fault_is_passed_through(target):
    with FaultProxy(target + "under/", []) as proxy:
        response, body = call(proxy.url, "/said", "hello")
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        assert json.loads(body) == {"said": "hello", "to": "/under/said", "key": "k"}
        assert (proxy.passed, proxy.done) == (1, {})


@pytest.mark.parametrize("name", ["500", "502", "503"])
def test_statuses(target, name):
    assert met(target, name)[0].status == int(name)


def test_pauses_that_are_asked_for(target):
    assert met(target, "429-seconds", seconds=7)[0].headers["Retry-After"] == "7"
    date = parsedate_to_datetime(met(target, "429-date", seconds=60)[0].headers["Retry-After"])
    assert 0 < date.timestamp() - time.time() <= 61
    response, _ = met(target, "429-nonsense")
    assert (response.status, response.headers["Retry-After"]) == (429, "soon, I hope")


def test_bodies(target):
    right = json.dumps(RIGHT).encode()
    response, page = met(target, "html")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.startswith(b"<!DOCTYPE html>")
    assert met(target, "truncated")[1] == right[: len(right) // 2]
    assert json.loads(met(target, "wrong-types")[1]) == {
        "text": ["yes"],
        "number": {"was": 4},
        "list": [{"was": True}, {"was": None}],
    }
    assert met(target, "empty")[1] == b""
    response, body = met(target, "gzip")
    assert (response.headers["Content-Encoding"], body) == ("gzip", right)
    assert met(target, "huge", huge_bytes=10**6)[1] == b" " * 10**6 + right
    assert met(target, "short-length")[1] == right[: len(right) // 2]
    assert met(target, "redirect")[0].headers["Location"] == "/"
    response, _ = met(target, "twice")
    assert response.headers.get_all("Content-Type") == ["application/json", "text/plain"]
    assert len(response.headers.get_all("Content-Length")) == 2


@pytest.mark.parametrize("name", ["reset", "reset-amid", "long-length"])
def test_connections_that_end_too_soon(target, name):
    with FaultProxy(target, [name], first=1) as proxy:
        with pytest.raises((ConnectionResetError, IncompleteRead, RemoteDisconnected)) as caught:
            call(proxy.url)
        assert isinstance(caught.value, ConnectionResetError) == (name != "long-length")
        assert json.loads(call(proxy.url)[1]) == RIGHT


def test_silence_and_slowness(target):
    with FaultProxy(target, ["hang"]) as proxy:
        with pytest.raises(TimeoutError):
            call(proxy.url, timeout_s=0.2)
        assert proxy.done == {"hang": 1}
    with FaultProxy(target, ["late"], seconds=0.3) as proxy:
        began_s = time.monotonic()
        assert json.loads(call(proxy.url)[1]) == RIGHT
        assert time.monotonic() - began_s >= 0.3


def test_the_schedule_is_seeded_and_in_turn(target):
    def course(seed):
        with FaultProxy(target, ["500", "502"], share=0.5, seed=seed) as proxy:
            return [call(proxy.url)[0].status for _ in range(20)]

    assert course(1) == course(1) != course(2)
    faults = [status for status in course(1) if status != 200]
    assert 4 < len(faults) < 16
    assert faults == [500 + 2 * (n % 2) for n in range(len(faults))]


@pytest.mark.more
def test_every_fault_says_what_it_is_and_is_met_by_a_client(target):
    for name, fault in FAULTS.items():
        assert fault.name == name
        assert "\n" not in fault.says
        with FaultProxy(target, [name], seconds=0.05, huge_bytes=1000) as proxy:
            connection = HTTPConnection(urlsplit(proxy.url).netloc, timeout=0.3)
            try:
                for body in ("1", "2"):
                    connection.request("POST", "/said", body=body)
                    connection.getresponse().read()
            except (OSError, HTTPException):
                pass
            connection.close()
            assert proxy.done[name] >= 1
