"""The connections to a server: which answers are read, which are none, and which connections are used again."""

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path

import httpx2
import pytest

from balancer.errors import ConfigError, EndpointError
from balancer.program import ExecutorOptions
from balancer.sandbox.fusion.executor import FusionExecutor
from balancer.sandbox.http.client import ServerClient
from balancer.sandbox.http.connections import Connections, NoAnswer, Received, connector
from tests.patience import PATIENCE_S
from tests.unit.sandbox.answering import answering

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OPEN = b"HTTP/1.1 200 OK\r\n\r\n"


class Scripted:
    """In the place of a socket: receives these pieces, whatever is sent; then its end."""

    def __init__(self, pieces: Iterable[bytes], sending: Exception | None = None) -> None:
        self._pieces = iter(pieces)
        self._sending = sending
        self.closed = False

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def sendall(self, data: memoryview) -> None:
        if self._sending is not None:
            raise self._sending

    def recv(self, most: int) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        self.closed = True


def received(pieces: Iterable[bytes], at_most: int = 1000, sending: Exception | None = None) -> Received:
    connection = Scripted(pieces, sending)
    connections = Connections(lambda left_s: connection, lambda: 0.0)  # type: ignore[arg-type, return-value]
    try:
        return connections.exchange(b"request", until_s=1.0, at_most=at_most)
    finally:
        connections.close()
        assert connection.closed


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (GOOD, b"hi"),
        (b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nContent-Encoding: x\r\n\r\n" + GOOD, b"hi"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + GOOD, b"hi"),
        (CHUNKED + b"1;a=b\r\nh\r\n1\r\ni\r\n0\r\nContent-Encoding: x\r\n\r\n", b"hi"),
        (OPEN + b"hi", b"hi"),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi"),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200\r\nContent-Length:2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", b"hi"),
        (b"HTTP/1.1 200 OK\r\nX: \xe4\xff\r\nContent-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 OK\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (GOOD + GOOD, b"hi"),
        (GOOD + b"more", b"hi"),
    ],
)
def test_answers_that_are_read_in_one_piece_or_many(sent: bytes, content: bytes) -> None:
    assert received([sent]).content == content
    assert received(bytes([each]) for each in sent).content == content


def test_headers_have_their_names_in_lower_case() -> None:
    assert received([b"HTTP/1.1 503 No\r\nRetry-AFTER: 7 \r\nContent-Length: 0\r\n\r\n"]) == Received(
        503, {"retry-after": "7", "content-length": "0"}, b""
    )


@pytest.mark.parametrize(
    ("pieces", "says"),
    [
        ([], "closed the connection before"),
        ([GOOD[:20]], "closed the connection before"),
        ([GOOD[:-1]], "closed the connection before"),
        ([CHUNKED + b"5\r\nhi"], "closed the connection before"),
        ([CHUNKED + b"2\r\nhi\r\n0\r\n"], "closed the connection before"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], "closed the connection before"),
        ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhi"], "closed the connection before"),
        ([CHUNKED + b"2\r\nhi!"], "RemoteProtocolError"),
        ([CHUNKED + b"-2\r\nhi"], "RemoteProtocolError"),
        ([b"SSH-2.0-OpenSSH_9.9\r\n"], "RemoteProtocolError"),
        ([b"HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\nhi"], "RemoteProtocolError"),
        ([b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nhi"], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi"], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi"], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\nhi"], "RemoteProtocolError"),
        ([b"HTTP/1.1 101 Up\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhi"], "RemoteProtocolError"),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nhi"], "compressed"),
        ([b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n", b"Content-Length: 9\r\n\r\n"], "compressed"),
        ([OPEN, b"x" * 1001], "more than 1000 bytes"),
        ([CHUNKED, b"3e9\r\n" + b"x" * 1001], "more than 1000 bytes"),
    ],
)
def test_what_is_no_answer(pieces: list[bytes], says: str) -> None:
    with pytest.raises(NoAnswer, match=says):
        received(pieces)


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"X: x\r\n" * 200),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 40),
        (CHUNKED + b"1;", b"x" * 1000),
        (CHUNKED + b"0\r\nX: ", b"x" * 1000),
    ],
)
def test_what_is_beside_a_body_has_an_end(first: bytes, then: bytes) -> None:
    def pieces() -> Iterator[bytes]:
        yield from filter(None, [first])
        yield from repeat(then)

    with pytest.raises(NoAnswer, match=r"more than 65536 bytes of headers|RemoteProtocolError"):
        received(pieces())


def test_a_server_may_answer_before_it_has_all_of_the_request() -> None:
    answer = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    assert received([answer], sending=BrokenPipeError(32, "Broken pipe")).status == 413
    with pytest.raises(NoAnswer, match="closed the connection before"):
        received([], sending=BrokenPipeError(32, "Broken pipe"))


# -- which connections are used again ----------------------------------------------------------------


class Pairs:
    """Makes connections whose other ends are here, in `servers`, and answer the first request with these bytes."""

    def __init__(self, answer: bytes) -> None:
        self.servers: list[socket.socket] = []
        self.clients: list[socket.socket] = []
        self.now_s = 0.0
        self._answer = answer
        self.connections = Connections(self._connect, lambda: self.now_s)

    def _connect(self, left_s: Callable[[], float]) -> socket.socket:
        client, server = socket.socketpair()
        server.sendall(self._answer)
        self.servers.append(server)
        self.clients.append(client)
        return client

    def exchange(self) -> bytes:
        return self.connections.exchange(b"request", until_s=self.now_s + PATIENCE_S, at_most=100).content

    def answer_next(self) -> threading.Thread:
        """Answer the request that comes next on the first connection."""

        def answers() -> None:
            self.servers[0].recv(100)
            self.servers[0].sendall(GOOD)

        self.servers[0].recv(100)  # the first one
        thread = threading.Thread(target=answers)
        thread.start()
        return thread

    def close(self) -> None:
        self.connections.close()
        for each in self.servers:
            each.close()


@pytest.fixture
def paired() -> Iterator[Callable[[bytes], Pairs]]:
    made: list[Pairs] = []

    def make(answer: bytes) -> Pairs:
        made.append(Pairs(answer))
        return made[-1]

    yield make
    for each in made:
        each.close()
        assert all(client.fileno() < 0 for client in each.clients)


@pytest.mark.parametrize("idle_s", [0.0, 2.9])
def test_a_connection_is_used_again(paired: Callable[[bytes], Pairs], idle_s: float) -> None:
    pairs = paired(GOOD)
    assert pairs.exchange() == b"hi"
    thread = pairs.answer_next()
    pairs.now_s += idle_s
    assert pairs.exchange() == b"hi"
    thread.join()
    assert len(pairs.clients) == 1


def _is_idle_for_long(pairs: Pairs) -> None:
    pairs.now_s += 3.1


def _ends(pairs: Pairs) -> None:
    pairs.servers[0].close()


def _says_more(pairs: Pairs) -> None:
    pairs.servers[0].sendall(GOOD)


def _nothing(pairs: Pairs) -> None:
    pass


@pytest.mark.parametrize(
    ("answer", "happens"),
    [
        (GOOD, _is_idle_for_long),
        (GOOD, _ends),
        (GOOD, _says_more),
        (GOOD + GOOD, _nothing),
        (GOOD.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"), _nothing),
        (GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"), _nothing),
    ],
)
def test_a_connection_is_not_used_again(
    paired: Callable[[bytes], Pairs], answer: bytes, happens: Callable[[Pairs], None]
) -> None:
    pairs = paired(answer)
    assert pairs.exchange() == b"hi"
    happens(pairs)
    assert pairs.exchange() == b"hi"
    assert len(pairs.clients) == 2


def test_closing_closes_what_is_idle_now_and_what_is_in_use_later() -> None:
    class Closing(Scripted):
        def recv(self, most: int) -> bytes:
            connections.close()
            return super().recv(most)

    connection = Closing([GOOD])
    connections = Connections(lambda left_s: connection, lambda: 0.0)  # type: ignore[arg-type, return-value]
    assert connections.exchange(b"request", until_s=1.0, at_most=100).content == b"hi"
    assert connection.closed
    with pytest.raises(NoAnswer, match="closed"):
        connections.exchange(b"request", until_s=1.0, at_most=100)


# -- what is sent ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "headers", "sent"),
    [
        ("http://a/", {}, {"Host": "a", "Accept": "application/json", "Accept-Encoding": "identity"}),
        ("http://a:80/", {}, {"Host": "a"}),
        ("https://A:8443/", {}, {"Host": "a:8443"}),
        ("http://[::1]:8080/", {}, {"Host": "[::1]:8080"}),
        ("http://bücher.example/", {}, {"Host": "xn--bcher-kva.example"}),
        ("http://a/", {"host": "b", "ACCEPT": "text/plain"}, {"Host": "b", "Accept": "text/plain"}),
        ("http://me@a/", {"Authorization": "Bearer x"}, {"Authorization": "Basic bWU6"}),
        ("http://m%40e:p%3aw@a/", {}, {"Authorization": "Basic bUBlOnA6dw=="}),
    ],
)
def test_headers_that_are_sent(url: str, headers: dict[str, str], sent: dict[str, str]) -> None:
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=b"pong")

    client = FusionExecutor(url, ExecutorOptions(headers=headers), connect=answering(handler))
    client.ping()
    client.close()
    for name, value in sent.items():
        assert seen[0].headers.get_list(name) == [value]


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
def test_headers_that_would_belie_the_body_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"header '{name}' follows from each request; remove it"):
        ServerClient("http://a/", {name: "5"})


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/ä", "/a HTTP/1.1\r\n\r\nGET /b"])
def test_a_path_cannot_become_another_request(path: str) -> None:
    client = ServerClient("http://a/", {}, connect=answering(lambda request: httpx2.Response(200)))
    with pytest.raises(EndpointError, match="cannot be sent"):
        client.get(path, within_s=1.0, at_most=100)
    client.close()


# -- TLS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A server with a certificate of its own for 127.0.0.1; its port, and the file of the certificate."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=a server"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as wrapped:
                while wrapped.recv(100):
                    wrapped.sendall(GOOD)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1], cert
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


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
def test_a_certificate_must_be_trusted_and_the_hosts_own(
    tls_port: tuple[int, Path], monkeypatch: pytest.MonkeyPatch, host: str, trusted: bool, says: str
) -> None:
    port, cert = tls_port
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    until_s = time.monotonic() + PATIENCE_S
    with contextlib.closing(Connections(connector(host, port, tls=True), time.monotonic)) as connections:
        if says:
            with pytest.raises(NoAnswer, match=says):
                connections.exchange(b"request", until_s=until_s, at_most=100)
        else:
            for _ in range(2):
                assert connections.exchange(b"request", until_s=until_s, at_most=100).content == b"hi"


@pytest.mark.parametrize("status", [401, 403, 407, 500])
def test_a_refused_token_is_told_once_a_minute(status: int, caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    answer = b"HTTP/1.1 %d No\r\nConnection: close\r\nContent-Length: 15\r\n\r\nnot the-secret\x1b" % status
    client = ServerClient(
        "http://user:pass@a/?q=1",
        {"Authorization": "Bearer the-secret"},
        connect=lambda left_s: Scripted([answer]),  # type: ignore[arg-type, return-value]
        clock=lambda: now[0],
    )
    for now[0] in (0.0, 59.0, 60.0):
        with pytest.raises(EndpointError, match=f"answered {status}"):
            client.get("/", within_s=1, at_most=100)
    client.close()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (2 if status != 500 else 0)
    for line in lines:
        assert line.startswith(f"http://a/ answered {status}: not ***")
        assert line.endswith("correct the headers of the endpoint in the config")
        assert "secret" not in line
        assert line.isprintable()
