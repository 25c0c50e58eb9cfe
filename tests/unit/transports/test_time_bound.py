"""The deadline is kept in threads as in tasks, by every client, however slowly a server drips."""

import math
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from balancer import Endpoint
from balancer.transports import exchange, time_bound
from balancer.transports.time_bound import TimeBound, bound_of_thread, bounded
from tests.unit.transports.raw_server import (
    CLIENTS,
    LASTS_S,
    THREADS,
    RawServer,
    ask,
    drip,
    raw_server,
    receive_head,
    receive_request,
)
from tests.unit.transports.scripted import pool_of

_DEADLINE_S = 0.1
_MOST_S = 30.0  # of the 60 s that a drip lasts
_LARGE = bytes(2**25)


def _stands_still() -> float:
    """The pool's clock: on a busy machine, an attempt would begin late by a real one, and a late one blames nobody."""
    return 0.0


def _drips(before: bytes, data: bytes) -> Callable[[RawServer, socket.socket], None]:
    def behave(server: RawServer, connection: socket.socket) -> None:
        receive_request(server, connection)
        connection.sendall(before)
        drip(server, connection, data)

    return behave


def _is_silent(server: RawServer, connection: socket.socket) -> None:
    receive_request(server, connection)
    server.stop.wait()


def _reads_little(server: RawServer, connection: socket.socket) -> None:
    receive_head(server, connection)
    while not server.stop.wait(0.05):
        server.receive(connection)


def _is_deaf(server: RawServer, connection: socket.socket) -> None:
    server.stop.wait()


def _shakes_no_hand(server: RawServer, connection: socket.socket) -> None:
    """Drip a record of TLS that never ends."""
    connection.sendall(b"\x16\x03\x03\x3f\xff")
    drip(server, connection, b"\x02")


_SLOW: dict[str, Callable[[RawServer, socket.socket], None]] = {
    "drips its head": _drips(b"HTTP/1.1 200 OK\r\n", b"X-Slow: yes\r\n"),
    "sends 100 Continue for ever": _drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "drips a chunk extension": _drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", b"x"),
    "drips the body of a 503": _drips(b"HTTP/1.1 503 Busy\r\nContent-Length: 99999\r\n\r\n", b" "),
    "drips the chunks of a 429": _drips(b"HTTP/1.1 429 Busy\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "says nothing": _is_silent,
    "reads a large body slowly": _reads_little,
    "reads nothing of a large body": _is_deaf,
    "drips its handshake": _shakes_no_hand,
}


# A task that is cancelled within a handshake leaves its connection to the garbage collector: a fault of httpcore.
_LEFT_OPEN = {("drips its handshake", client) for client in CLIENTS if "tasks" in client}
_CASES = [(slow, client) for slow in _SLOW for client in CLIENTS if (slow, client) not in _LEFT_OPEN]


@pytest.mark.sampled(16)
@pytest.mark.parametrize(("slow", "client"), _CASES)
def test_an_attempt_ends_at_its_deadline(slow, client):
    with raw_server(_SLOW[slow]) as server:
        url = server.url.replace("http", "https") if "handshake" in slow else server.url
        pool, ends = pool_of(Endpoint(url, name="a"), clock=_stands_still)
        asked = {"method": "POST", "data": _LARGE if "large" in slow else b"{}"}
        with _timed() as took:
            error = ask(client, pool, asked, deadline_s=_DEADLINE_S)
    assert type(error).__name__ == "ReadTimeout"
    assert str(error).startswith("a did not answer before the deadline of")
    assert error.request.url.host == "pool" if hasattr(error.request.url, "host") else "pool" in error.request.url
    assert ends == ["a failure"], "its endpoint was too slow, as for a task"
    assert pool.leases() == ()
    assert took[0] < _MOST_S


@contextmanager
def _timed() -> Iterator[list[float]]:
    took: list[float] = []
    began_s = time.monotonic()
    yield took
    took.append(time.monotonic() - began_s)


@pytest.mark.parametrize("client", THREADS)
def test_what_comes_after_the_first_byte_has_no_deadline(client, monkeypatch):
    is_over = threading.Event()

    def serve(server: RawServer, connection: socket.socket) -> None:
        receive_request(server, connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        is_over.wait(LASTS_S)
        connection.sendall(b"k")

    class Ends(TimeBound):
        """An hour goes by when the first byte has come."""

        def __exit__(self, *args: Any) -> None:
            super().__exit__(*args)
            monkeypatch.setattr(time_bound, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + 3600.0))
            is_over.set()

    monkeypatch.setattr(exchange, "TimeBound", Ends)
    with raw_server(serve) as server:
        pool, ends = pool_of(Endpoint(server.url, name="a"))
        answer = ask(client, pool, {"method": "GET"}, deadline_s=LASTS_S)
    assert (answer.status_code, answer.content, ends) == (200, b"ok", ["a success"])


def test_an_operation_has_the_least_of_both_times_and_bounds_may_be_nested():
    with bounded(7.0) as alone_s, TimeBound(60.0) as outer:
        with (
            bounded(7.0) as own_s,
            bounded(None) as left_s,
            TimeBound(math.inf),
            TimeBound(5.0),
            bounded(7.0) as inner_s,
        ):
            pass
        assert bound_of_thread() is outer
    assert (alone_s, own_s, bound_of_thread(), outer.is_over) == (7.0, 7.0, None, False)
    assert (left_s or 0) > 7.0 > 5.0 >= (inner_s or 0)
    with TimeBound(0.0) as over, pytest.raises(TimeoutError), bounded(7.0):
        pass
    assert over.is_over


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    cert, key = (str(tmp_path_factory.mktemp("tls") / name) for name in ("cert.pem", "key.pem"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made = ["openssl", "req", "-x509", *curve, "-subj", "/CN=localhost", "-keyout", key, "-out", cert]
    subprocess.run(made, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@pytest.mark.needs("openssl")
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("client", ["requests", "httpx2, a given inner", "httpx, a given inner"])
def test_over_tls_as_well(client, tls):
    large = bytes(2**20)

    def serve(server: RawServer, connection: socket.socket) -> None:
        receive_request(server, connection)
        connection.settimeout(LASTS_S)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(large), large))

    with raw_server(serve, tls) as server:
        pool, ends = pool_of(Endpoint(server.url, name="a"))
        answer = ask(client, pool, {"method": "POST", "data": large}, deadline_s=LASTS_S)
    assert (answer.content == large, ends) == (True, ["a success"])
    for slow, data in (("drips its head", large), ("reads a large body slowly", _LARGE)):
        with raw_server(_SLOW[slow], tls) as server:
            pool, ends = pool_of(Endpoint(server.url, name="a"), clock=_stands_still)
            with _timed() as took:
                error = ask(client, pool, {"method": "POST", "data": data}, deadline_s=_DEADLINE_S)
        assert str(error).startswith("a did not answer before the deadline of 0.1 s")
        assert (ends, took[0] < _MOST_S) == (["a failure"], True)
