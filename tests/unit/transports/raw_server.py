"""A server of raw connections, and clients of each kind over a pool of such servers."""

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import httpx2
import requests

from balancer import BalancedAdapter
from tests.unit.transports.scripted import Face

LASTS_S = 60.0  # how long a drip lasts, if nobody ends it
_EVERY_S = 0.01
_RST = struct.pack("ii", 1, 0)

Behaviour = Callable[["RawServer", socket.socket], None]


class RawServer:
    """Listens on loopback and gives each connection to its behaviour.

    Attributes:
        connections: how many came.
        whole: how many requests it has read whole.
    """

    def __init__(self, behave: Behaviour, tls: ssl.SSLContext | None) -> None:
        self._behave = behave
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.stop = threading.Event()
        self.connections = self.whole = 0
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}/"
        self._threads[0].start()

    def end(self) -> None:
        """End all."""
        self.stop.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError, EOFError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            connection.settimeout(0.05)
            with connection:
                self._behave(self, connection)

    def receive(self, connection: socket.socket) -> bytes:
        """Return the next bytes. Raises EOFError when there are none, or at the end."""
        while not self.stop.is_set():
            with suppress(TimeoutError):
                data = connection.recv(2**16)
                if not data:
                    raise EOFError
                return data
        raise EOFError


@contextmanager
def raw_server(behave: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[RawServer]:
    """Run a server. `behave` gets it and each of its connections."""
    server = RawServer(behave, tls)
    try:
        yield server
    finally:
        server.end()


def receive_head(server: RawServer, connection: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a request, and what came after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += server.receive(connection)
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def receive_request(server: RawServer, connection: socket.socket) -> None:
    """Read a whole request, and count it."""
    head, body = receive_head(server, connection)
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    left = int(lengths[0]) - len(body) if lengths else 0
    while left > 0:
        left -= len(server.receive(connection))
    server.whole += 1


def drip(server: RawServer, connection: socket.socket, data: bytes) -> None:
    """Send `data` again and again, a byte at a time, until the client has gone."""
    until_s = time.monotonic() + LASTS_S
    while time.monotonic() < until_s:
        for byte in data:
            connection.sendall(bytes([byte]))
            if server.stop.wait(_EVERY_S):
                return


def reset(connection: socket.socket) -> None:
    """End a connection with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)


# -- clients -------------------------------------------------------------------------------------------

Asked = Any  # an answer that was read, or the error that was raised


def _with_httpx(face: Face, inner: bool) -> Callable[..., Asked]:
    def asked(pool: Any, options: dict[str, Any], request: dict[str, Any]) -> Asked:
        given = {"inner": face.http.HTTPTransport(verify=False)} if inner else {}
        return face.request(face.kind(pool, **given, **options), timeout=LASTS_S, **request)

    return asked


def _with_requests(pool: Any, options: dict[str, Any], request: dict[str, Any]) -> Asked:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://pool/", BalancedAdapter(pool, **options))
        return session.request(url="http://pool/x", timeout=LASTS_S, verify=False, **request)


THREADS: dict[str, Callable[..., Asked]] = {
    "httpx2": _with_httpx(Face(httpx2, later=False), inner=False),
    "httpx": _with_httpx(Face(httpx, later=False), inner=False),
    "requests": _with_requests,
}
CLIENTS: dict[str, Callable[..., Asked]] = {
    **THREADS,
    "httpx2, a given inner": _with_httpx(Face(httpx2, later=False), inner=True),
    "httpx, a given inner": _with_httpx(Face(httpx, later=False), inner=True),
    "httpx2, tasks": _with_httpx(Face(httpx2, later=True), inner=False),
    "httpx, tasks": _with_httpx(Face(httpx, later=True), inner=False),
}


def ask(client: str, pool: Any, request: dict[str, Any], **options: Any) -> Asked:
    """Return what came of a request.

    Args:
        client: a name of `CLIENTS`.
        pool: of servers.
        request: method, and data or headers if wanted.
        options: of the transport.
    """
    key = "data" if client == "requests" else "content"
    try:
        return CLIENTS[client](
            pool, options, {key if name == "data" else name: value for name, value in request.items()}
        )
    except Exception as error:
        return error
