"""The fault server: each fault as a plain client meets it, the schedule, and what is counted."""

import json
import socket
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, IncompleteRead, RemoteDisconnected
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.apis.api import Api, Asked, Reply, as_json, serving
from tests.faults.proxy import FAULTS, Answer, Exchange, Fault, FaultProxy
from tests.patience import PATIENCE_S

RIGHT = {"text": "yes", "number": 4, "list": [True, None]}


class Echo(Api):
    def answer(self, asked: Asked) -> Reply:
        if asked.path.endswith("/said"):
            return as_json({"said": asked.body.decode(), "to": asked.path, "key": asked.headers.get("key")})
        return as_json(RIGHT)


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    with serving(Echo()) as place:
        yield f"http://{place}/"


def call(url: str, path: str = "/", body: str = "?", timeout_s: float = 30.0) -> tuple[Any, bytes]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=timeout_s)
    try:
        connection.request("POST", path, body=body, headers={"Key": "k"})
        response = connection.getresponse()
        return response, response.read()
    finally:
        connection.close()


def met(target: str, name: str, **how: Any) -> tuple[Any, bytes]:
    """Return what a client meets at its first request; the second must be passed through."""
    with FaultProxy(target, [name], first=1, **how) as proxy:
        answer = call(proxy.url)
        assert proxy.done == {name: 1}
        assert json.loads(call(proxy.url)[1]) == RIGHT
        assert proxy.passed == 1
    return answer


def test_what_is_no_fault_is_passed_through(target: str) -> None:
    with FaultProxy(target + "under/", []) as proxy:
        response, body = call(proxy.url, "/said", "hello")
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        assert json.loads(body) == {"said": "hello", "to": "/under/said", "key": "k"}
        assert (proxy.passed, proxy.done) == (1, {})


@pytest.mark.parametrize("name", ["500", "502", "503"])
def test_statuses(target: str, name: str) -> None:
    assert met(target, name)[0].status == int(name)


def test_pauses_that_are_asked_for(target: str) -> None:
    assert met(target, "429-seconds", seconds=7)[0].headers["Retry-After"] == "7"
    date = parsedate_to_datetime(met(target, "429-date", seconds=60)[0].headers["Retry-After"])
    assert 0 < date.timestamp() - time.time() <= 61
    response, _ = met(target, "429-nonsense")
    assert (response.status, response.headers["Retry-After"]) == (429, "soon, I hope")


def test_bodies(target: str) -> None:
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
def test_connections_that_end_too_soon(target: str, name: str) -> None:
    with FaultProxy(target, [name], first=1) as proxy:
        with pytest.raises((ConnectionResetError, IncompleteRead, RemoteDisconnected)) as caught:
            call(proxy.url)
        assert isinstance(caught.value, ConnectionResetError) == (name != "long-length")
        assert json.loads(call(proxy.url)[1]) == RIGHT


def test_it_lets_nobody_in_for_a_while(target: str) -> None:
    with FaultProxy(target, ["refused"], first=1, seconds=1.0) as proxy:
        with pytest.raises(ConnectionResetError):
            call(proxy.url)
        with pytest.raises(ConnectionRefusedError):
            call(proxy.url)
        end_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                assert json.loads(call(proxy.url)[1]) == RIGHT
                break
            except ConnectionRefusedError:
                assert time.monotonic() < end_s
                time.sleep(0.02)
        assert proxy.done == {"refused": 1}


def test_silence_and_slowness(target: str) -> None:
    with FaultProxy(target, ["hang"]) as proxy:
        with pytest.raises(TimeoutError):
            call(proxy.url, timeout_s=0.2)
        assert proxy.done == {"hang": 1}
    with FaultProxy(target, ["late"], seconds=0.3) as proxy:
        began_s = time.monotonic()
        assert json.loads(call(proxy.url)[1]) == RIGHT
        assert time.monotonic() - began_s >= 0.3


@pytest.mark.more
def test_a_drip_takes_its_time(target: str) -> None:
    with FaultProxy(target, ["drip"]) as proxy:
        began_s = time.monotonic()
        assert json.loads(call(proxy.url)[1]) == RIGHT
        assert time.monotonic() - began_s >= 0.05 * (len(json.dumps(RIGHT)) - 1)


def test_it_answers_and_then_hangs(target: str) -> None:
    with FaultProxy(target, ["then-hang"], first=1) as proxy:
        connection = HTTPConnection(urlsplit(proxy.url).netloc, timeout=0.5)
        connection.request("GET", "/")
        assert json.loads(connection.getresponse().read()) == RIGHT
        connection.request("GET", "/")
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()
        assert json.loads(call(proxy.url)[1]) == RIGHT


def test_an_answer_that_belongs_to_another(target: str) -> None:
    with FaultProxy(target, ["swapped"], first=2) as proxy:
        assert json.loads(call(proxy.url, "/said", "one")[1])["said"] == "one"
        assert (proxy.passed, proxy.done["swapped"]) == (1, 0), "there was nothing to swap"
        assert json.loads(call(proxy.url, "/said", "one")[1])["said"] == "one"
        assert json.loads(call(proxy.url, "/said", "two")[1])["said"] == "one"
        assert json.loads(call(proxy.url, "/said", "three")[1])["said"] == "two"
        assert (proxy.passed, proxy.done["swapped"]) == (2, 2)


def test_the_schedule_is_seeded_and_in_turn(target: str) -> None:
    def course(seed: int) -> list[int]:
        with FaultProxy(target, ["500", "502"], share=0.5, seed=seed) as proxy:
            return [call(proxy.url)[0].status for _ in range(20)]

    assert course(1) == course(1) != course(2)
    faults = [status for status in course(1) if status != 200]
    assert 4 < len(faults) < 16
    assert faults == [500 + 2 * (n % 2) for n in range(len(faults))]


def test_who_may_meet_one(target: str) -> None:
    with FaultProxy(target, ["500"], first=2, only=lambda method, path: path.startswith("/said")) as proxy:
        assert [call(proxy.url, path)[0].status for path in ("/", "/said", "/said?x", "/said")] == [200, 500, 500, 200]
        proxy.on = False
    with FaultProxy(target, ["500"]) as proxy:
        proxy.on = False
        assert call(proxy.url)[0].status == 200


def test_a_fault_of_ones_own(target: str) -> None:
    def teapot(met: Exchange) -> bool:
        met.send(Answer(418, [("X-Tea", "yes")], met.fetch().body))
        return True

    with FaultProxy(target, [Fault("teapot", "418", teapot)]) as proxy:
        response, body = call(proxy.url)
        assert (response.status, response.headers["X-Tea"], json.loads(body)) == (418, "yes", RIGHT)
        assert proxy.done == {"teapot": 1}


def test_a_target_that_is_not_there() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with FaultProxy(f"http://127.0.0.1:{nobody.getsockname()[1]}", []) as proxy:
            response, body = call(proxy.url)
            assert response.status == 502
            assert b"the target does not answer" in body


def test_nothing_is_left_when_it_ends(target: str) -> None:
    with FaultProxy(target, ["hang"]) as proxy:
        place = (urlsplit(proxy.url).hostname, urlsplit(proxy.url).port)
        waiting = socket.create_connection(place)
        waiting.sendall(b"GET / HTTP/1.1\r\n\r\n")
        while not proxy.done:
            time.sleep(0.01)
    waiting.settimeout(PATIENCE_S)
    assert waiting.recv(1) == b""
    waiting.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(place)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"faults": ["rest"]}, "fault 'rest' is not known; known are refused, reset, "),
        ({"share": 1.5}, "share is 1.5; it must be from 0 to 1"),
        ({"seconds": -1}, "seconds is -1; it must be 0 or more"),
        ({"target_url": "ftp://a/"}, "target_url is 'ftp://a/'; it must be http://HOST or https://HOST"),
    ],
)
def test_mistakes(how: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=r"must be|known are") as caught:
        FaultProxy(**{"target_url": "http://a/", "faults": ["reset"]} | how)
    assert str(caught.value).startswith(words)


@pytest.mark.more
def test_every_fault_says_what_it_is_and_is_met_by_a_client(target: str) -> None:
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
