"""The SandboxFusion client against servers that misbehave below HTTP, over real sockets."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from balancer.errors import EndpointError
from balancer.program import Limits, Program, Status
from balancer.sandbox.fusion.executor import FusionExecutor
from tests.patience import PATIENCE_S, stretched

DEADLINE_S = 0.5  # of a call: wall limit and margin
OVERTIME_S = 0.3
BODY = (
    b'{"status": "Success", "run_result": {"status": "Finished", "return_code": 0, "stdout": "3", "execution_time": 1}}'
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY)
_TELLS = b"GET /v1/about", b"GET /v1/langu"  # what is asked of a server of ours
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
LONG, SHORT = Limits(wall_s=PATIENCE_S), Limits(wall_s=0.2)
Behaviour = Callable[[socket.socket, threading.Event], None]


@pytest.fixture(autouse=True)
def short_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FusionExecutor, "margin_s", DEADLINE_S - 0.2)


@contextmanager
def server(behaviour: Behaviour) -> Iterator[tuple[str, list[int]]]:
    """Serve every connection with `behaviour`; yields the URL and a list that grows with each connection."""
    stop = threading.Event()
    connections: list[int] = []
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while connection.recv(len(_TELLS[0]), socket.MSG_PEEK) in _TELLS:  # it is no server of ours
                receive_request(connection)
                connection.sendall(_NOT_FOUND)
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


def run(url: str, source: str = "print(3)", limits: Limits = LONG) -> Status:
    executor = FusionExecutor(url)
    try:
        return executor.run(Program("python", source), b"", limits, {}).status
    finally:
        executor.close()


def receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the client has left")
    return data


def receive_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length:
        body += receive(connection)


def drip(connection: socket.socket, data: bytes, stop: threading.Event) -> None:
    """Send `data` over and over, a byte every 20 ms, until the client has had enough."""
    while True:
        for byte in data:
            connection.sendall(bytes([byte]))
            if stop.wait(0.02):
                return


def drip_headers(connection: socket.socket, stop: threading.Event) -> None:
    receive_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    drip(connection, b"X-Slow: yes\r\n", stop)


def drip_body(connection: socket.socket, stop: threading.Event) -> None:
    receive_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    drip(connection, b" ", stop)


def silence(connection: socket.socket, stop: threading.Event) -> None:
    receive_request(connection)
    stop.wait()


def deaf(connection: socket.socket, stop: threading.Event) -> None:
    stop.wait()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("behaviour", [drip_headers, drip_body, silence])
def test_the_deadline_is_for_all_of_it(behaviour: Behaviour) -> None:
    with server(behaviour) as (url, _):
        started_s = time.monotonic()
        with pytest.raises(EndpointError, match=r"no answer within 0\.5 s"):
            run(url, limits=SHORT)
        assert time.monotonic() - started_s < DEADLINE_S + stretched(OVERTIME_S)


def test_a_server_that_does_not_read() -> None:
    with server(deaf) as (url, _):
        started_s = time.monotonic()
        with pytest.raises(EndpointError, match=r"no answer within 0\.5 s"):
            run(url, "#" * 20_000_000, SHORT)
        encoding_s = 0.5
        assert time.monotonic() - started_s < DEADLINE_S + stretched(OVERTIME_S + encoding_s)


def reset(connection: socket.socket, stop: threading.Event) -> None:
    receive_request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(connection: socket.socket, stop: threading.Event) -> None:
    receive_request(connection)


def hang_up_midway(connection: socket.socket, stop: threading.Event) -> None:
    receive_request(connection)
    connection.sendall(HEAD + BODY[:20])


def other_protocol(connection: socket.socket, stop: threading.Event) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")
    stop.wait(0.1)


def endless_header(connection: socket.socket, stop: threading.Event) -> None:
    receive_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        connection.sendall(b"x" * 65536)


@pytest.mark.parametrize("behaviour", [reset, hang_up, hang_up_midway, other_protocol, endless_header])
def test_broken_exchanges(behaviour: Behaviour) -> None:
    with server(behaviour) as (url, _), pytest.raises(EndpointError) as caught:
        run(url)
    assert caught.value.endpoint == url
    assert "\n" not in str(caught.value)


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as taken:  # and does not listen, so nobody else can
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def test_no_tls_where_it_is_expected() -> None:
    with server(other_protocol) as (url, _), pytest.raises(EndpointError, match="ConnectError"):
        run(url.replace("http:", "https:"))


def answer_well(connection: socket.socket, stop: threading.Event) -> None:
    while True:
        receive_request(connection)
        connection.sendall(HEAD + BODY)


def test_connections_are_kept_and_shared() -> None:
    with server(answer_well) as (url, connections):
        executor = FusionExecutor(url)
        for _ in range(5):
            executor.run(Program("python", ""), b"", LONG, {})
        executor.close()
    assert len(connections) == 1


def test_threads_share_an_executor_and_each_has_a_connection_of_its_own() -> None:
    with server(answer_well) as (url, connections):
        executor = FusionExecutor(url)
        with ThreadPoolExecutor(8) as threads:
            runs = threads.map(lambda _: executor.run(Program("python", ""), b"", LONG, {}), range(200))
            assert {each.status for each in runs} == {Status.FINISHED}
        executor.close()
    assert len(connections) <= 8


def test_proxies_of_the_environment_are_not_asked(closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = f"http://127.0.0.1:{closed_port}/"
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    with server(answer_well) as (url, _):
        assert run(url) is Status.FINISHED
