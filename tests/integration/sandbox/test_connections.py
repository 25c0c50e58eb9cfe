"""Requests over real sockets: all of one has a deadline, which answers are read, which connections are used again."""

import contextlib
import gc
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, repeat

import pytest

from balancer.errors import EndpointError
from balancer.sandbox.http.client import ServerClient
from balancer.sandbox.http.connections import Connections
from tests.patience import PATIENCE_S, stretched

DEADLINE_S, OVERTIME_S = 0.5, 0.3
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OPEN = b"HTTP/1.1 200 OK\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
Behaviour = Callable[[socket.socket, threading.Event], None]


@contextmanager
def server(behaviour: Behaviour) -> Iterator[tuple[str, list[int]]]:
    """Serve every connection with `behaviour`; yields the URL and a list that grows with each connection."""
    stop, connections, threads = threading.Event(), list[int](), list[threading.Thread]()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            behaviour(connection, stop)

    def accept(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connections.append(1)
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept, args=(listener,))
        acceptor.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/", connections
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        acceptor.join()
    for thread in threads:
        thread.join()


def saying(*pieces: bytes, times: int = 1, then_s: float = 0.0) -> Behaviour:
    """Answer so many requests of a connection with these pieces, and wait before it is closed."""

    def behaviour(connection: socket.socket, stop: threading.Event) -> None:
        for _ in range(times):
            if not connection.recv(65536):
                return
            for piece in pieces:
                connection.sendall(piece)
        stop.wait(then_s)

    return behaviour


def for_ever(first: bytes, then: bytes, pause_s: float = 0.0) -> Behaviour:
    """Answer the first request with `first`, and `then` again and again."""

    def behaviour(connection: socket.socket, stop: threading.Event) -> None:
        connection.recv(65536)
        for piece in chain([first], repeat(then)):
            connection.sendall(piece)
            if stop.wait(pause_s):
                return

    return behaviour


@contextmanager
def client_of(behaviour: Behaviour) -> Iterator[tuple[ServerClient, list[int]]]:
    with server(behaviour) as (url, made), client_at(url) as client:
        yield client, made


@contextmanager
def client_at(url: str) -> Iterator[ServerClient]:
    with contextlib.closing(Connections()) as connections:
        yield ServerClient(url, {}, exchange=connections.exchange)


def ask(client: ServerClient, body: bytes = b"", *, within_s: float = PATIENCE_S) -> bytes:
    return client.call("POST", "/", body=body, within_s=within_s, at_most=1000)


def _deaf(connection: socket.socket, stop: threading.Event) -> None:
    stop.wait()


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(for_ever(OPEN[:-2], b"X", 0.02), id="headers in drips"),
        pytest.param(for_ever(LONG, b" ", 0.02), id="a body in drips"),
        pytest.param(for_ever(b"", b"", PATIENCE_S), id="silence"),
        pytest.param(_deaf, id="a server that does not read"),
    ],
)
def test_the_deadline_is_for_all_of_it(behaviour):
    with client_of(behaviour) as (client, _):
        started_s = time.monotonic()
        with pytest.raises(EndpointError, match=r"no answer within 0\.5 s"):
            ask(client, b"#" * 20_000_000, within_s=DEADLINE_S)
        assert time.monotonic() - started_s < DEADLINE_S + stretched(OVERTIME_S)


def test_what_a_deaf_server_does_not_read_keeps_no_connection_open():
    with client_of(_deaf) as (client, connections):
        before = 0
        for count in range(4):
            with pytest.raises(EndpointError, match="no answer within"):
                ask(client, b"#" * 20_000_000, within_s=0.3)
            time.sleep(0.1)
            open_now = len(os.listdir("/proc/self/fd")) - len(connections)  # the server's own ends stay
            before = before or open_now
            assert open_now <= before, count


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (GOOD, b"hi"),
        (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Encoding: x\r\n\r\n" + GOOD, b"hi"),
        (CHUNKED + b"1;a=b\r\nh\r\n1\r\ni\r\n0\r\nContent-Encoding: x\r\n\r\n", b"hi"),
        (b"HTTP/1.1 200 OK\r\nX: \xe4\xff\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (GOOD + GOOD, b"hi"),
    ],
)
def test_answers_that_are_read_in_one_piece_or_many(sent, content):
    for pieces in ([sent], [bytes([each]) for each in sent]):
        with client_of(saying(*pieces)) as (client, _):
            assert ask(client) == content


def _reset(connection: socket.socket, stop: threading.Event) -> None:
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


_CUT = "RemoteProtocolError: the server closed the connection before the end of its answer"


@pytest.mark.parametrize(
    ("behaviour", "says"),
    [
        (_reset, "RemoteProtocolError: "),
        (saying(GOOD[:-1]), _CUT),
        (saying(CHUNKED + b"5\r\nhi"), _CUT),
        (saying(CHUNKED + b"2\r\nhi!"), "RemoteProtocolError: "),
        (saying(b"SSH-2.0-OpenSSH_9.9\r\n"), "RemoteProtocolError: "),
        (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi"), "RemoteProtocolError: "),
        (saying(b"HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhi"), "answered 101"),
        (
            saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi"),
            "sent a compressed answer",
        ),
        (saying(OPEN, b"x" * 1001), "answered with more than 1000 bytes"),
        (for_ever(CHUNKED, b"a\r\n0123456789\r\n"), "answered with more than 1000 bytes"),
        (for_ever(OPEN[:-2], b"X: x\r\n" * 200), "RemoteProtocolError: "),
    ],
)
def test_what_is_no_answer(behaviour, says):
    with client_of(behaviour) as (client, _), pytest.raises(EndpointError) as caught:
        ask(client)
    assert caught.value.reason.startswith(says)
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("sent", [10, 10_000_000])
def test_a_server_may_answer_before_it_has_all_of_the_request(sent):
    early = saying(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno", then_s=0.1)
    with client_of(early) as (client, _), pytest.raises(EndpointError, match="answered 413: no"):
        ask(client, b"x" * sent)


# -- which connections are used again ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "idle_s", "made"),
    [
        (GOOD, 0.0, 1),
        (GOOD, 3.5, 2),
        (GOOD + GOOD, 0.0, 2),
        (GOOD.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), 0.0, 2),
        (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"), 0.0, 2),
    ],
)
def test_which_connection_is_used_again(answer, idle_s, made):
    with client_of(saying(answer, times=2)) as (client, connections):
        assert ask(client) == b"hi"
        time.sleep(idle_s)
        assert ask(client) == b"hi"
    assert len(connections) == made


@pytest.mark.parametrize(("extra", "made"), [(GOOD.replace(b"hi", b"no"), 2), (b"garbage", 2), (b"\r\n", 1)])
def test_answers_that_nobody_asked_for_are_not_taken_for_the_next_one(extra, made):
    def says_more(connection: socket.socket, stop: threading.Event) -> None:
        while connection.recv(65536):
            connection.sendall(GOOD)
            if not idle.is_set() and idle.wait(10):
                connection.sendall(extra)
                said.set()

    idle, said = threading.Event(), threading.Event()
    with client_of(says_more) as (client, connections):
        assert ask(client) == b"hi"
        idle.set()
        assert said.wait(PATIENCE_S)
        time.sleep(1.0)  # the loop of the client reads it
        assert ask(client) == b"hi"
    assert len(connections) == made


def test_what_is_closed_sends_nothing_and_a_call_under_way_ends():
    connections = Connections()
    with server(_deaf) as (url, made), ThreadPoolExecutor(1) as threads:
        client = ServerClient(url, {}, exchange=connections.exchange)
        waiting = threads.submit(ask, client)
        while not made:
            time.sleep(0.01)
        connections.close()
        for call in (lambda: waiting.result(PATIENCE_S), lambda: ask(client)):
            with pytest.raises(EndpointError, match="the executor is closed"):
                call()
    assert "balancer-http" not in {each.name for each in threading.enumerate()}


def test_connections_that_nobody_closes_end_with_their_last_user():
    with server(saying(GOOD, times=2)) as (url, _):
        assert ask(ServerClient(url, {}, exchange=Connections().exchange)) == b"hi"
        gc.collect()
        assert "balancer-http" not in {each.name for each in threading.enumerate()}


# -- TLS ---------------------------------------------------------------------------------------------


@pytest.mark.needs("openssl")
@pytest.mark.skipif(sys.platform != "linux", reason="not run: the certificates are those of the system alone")
@pytest.mark.parametrize(
    ("host", "trusted", "says"),
    [
        ("127.0.0.1", True, ""),
        ("127.0.0.1", False, "ConnectError: .*certificate verify failed"),
        ("localhost", True, "ConnectError: .*Hostname mismatch"),
    ],
)
def test_a_certificate_must_be_trusted_and_the_hosts_own(tmp_path, monkeypatch, host, trusted, says):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=a server"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def behaviour(connection: socket.socket, stop: threading.Event) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            saying(GOOD, times=2)(wrapped, stop)

    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    with server(behaviour) as (url, _):
        place = url.replace("http://127.0.0.1", f"https://{host}")
        with client_at(place) as client:
            if says:
                with pytest.raises(EndpointError, match=says):
                    ask(client)
            else:
                assert [ask(client), ask(client)] == [b"hi", b"hi"]
