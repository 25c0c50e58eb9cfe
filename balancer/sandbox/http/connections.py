"""Connections to one HTTP/1.1 server: kept between requests; each exchange has a deadline and a limit on the answer.

The timeouts of HTTP clients start anew with every byte. So a server that sends its headers or its body in drips can
hold a caller for ever. Here every operation of a socket gets the time left until an instant.

httptools, with the parser of Node.js, reads the answers. There are no proxies, redirects or retries. The system
resolves host names with its own timeouts. If a host has several addresses, each may take the remaining time.
"""

import select
import socket
import ssl
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

__all__ = ["Connect", "Connections", "NoAnswer", "Received", "connector"]

# uvicorn, which serves most sandboxes, closes idle connections after 5 s. They are dropped before that, or a
# request would now and then meet a closing connection.
_IDLE_S = 3.0
_PIECE_BYTES = 2**16
_HEAD_BYTES = 2**16

_Left = Callable[[], float]
Connect = Callable[[_Left], socket.socket]
"""Returns a new connection. Its argument returns the seconds that are left, or raises TimeoutError. Raises OSError."""


class NoAnswer(Exception):
    """There is no answer that can be used. The text says why, and may quote the server."""


@dataclass(frozen=True, slots=True)
class Received:
    """An answer: its status, its headers by their names in lower case, and its body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Connections:
    """Sends requests to one server, each on a connection of its own while it lasts. Thread-safe.

    Args:
        connect: makes a connection.
        clock: in seconds; deadlines are its instants.
    """

    def __init__(self, connect: Connect, clock: Callable[[], float]) -> None:
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: deque[tuple[float, socket.socket]] = deque()  # since when; the last one was used last
        self._closed = False

    def exchange(self, request: bytes, *, until_s: float, at_most: int) -> Received:
        """Send `request` and return the answer, whose body has at most `at_most` bytes.

        Raises:
            TimeoutError: it is not complete at the instant `until_s`.
            NoAnswer: there is none, or it is too long, compressed, or no HTTP.
        """

        def left_s() -> float:
            left = until_s - self._clock()
            if left <= 0:  # zero would mean "do not block", and a negative timeout is an error
                raise TimeoutError
            return left

        connection = self._kept() or self._made(left_s)
        incoming = _Incoming(at_most)
        try:
            _send(connection, request, left_s)
            while not incoming.is_whole:
                connection.settimeout(left_s())
                incoming.feed(connection.recv(_PIECE_BYTES))
        except BaseException as error:
            connection.close()
            incoming.pieces.clear()  # the error refers to this frame
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                raise NoAnswer(f"RemoteProtocolError: {error}") from error
            raise
        finally:
            incoming.end()
        if incoming.keeps:
            self._keep(connection)
        else:
            connection.close()
        return Received(incoming.status, incoming.headers, b"".join(incoming.pieces))

    def _made(self, left_s: _Left) -> socket.socket:
        try:
            return self._connect(left_s)
        except TimeoutError:
            raise
        except OSError as error:
            raise NoAnswer(f"ConnectError: {error}") from error

    def _kept(self) -> socket.socket | None:
        """Return an idle connection that the server has not closed; None if there is none."""
        while True:
            fresh_s = self._clock() - _IDLE_S
            with self._lock:
                if self._closed:
                    raise NoAnswer("the executor is closed")
                while self._idle and self._idle[0][0] < fresh_s:
                    self._idle.popleft()[1].close()
                if not self._idle:
                    return None
                connection = self._idle.pop()[1]
            if not _is_readable(connection):
                return connection
            connection.close()  # its end, or an answer to no request

    def _keep(self, connection: socket.socket) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append((self._clock(), connection))
                return
        connection.close()

    def close(self) -> None:
        """Close the idle connections, and the others when their exchange ends. May be called twice."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop()[1].close()


class _Incoming:
    """An answer while it arrives. The parser calls the methods `on_...`."""

    def __init__(self, at_most: int) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.is_whole = False
        self.keeps = False  # whether the connection can be used again
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)  # RFC 9112, 2.2
        self._at_most = at_most
        self._bytes = 0  # of the body
        self._beside = 0  # bytes that are none of the body's, since its last one

    def feed(self, data: bytes) -> None:
        """Take the next bytes; none: the connection has ended. Raises NoAnswer."""
        if not data:
            self._connection_ended()
            return
        before = self._bytes
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.keeps = False
            if not self.is_whole:  # else the server has sent more than an answer
                raise NoAnswer(f"RemoteProtocolError: {error}") from None
        self._beside = 0 if self._bytes > before else self._beside + len(data)
        if self.headers.get("content-encoding", "identity") != "identity":
            raise NoAnswer("sent a compressed answer, which was not requested")
        if self._bytes > self._at_most:
            raise NoAnswer(f"answered with more than {self._at_most} bytes")
        if self._beside > _HEAD_BYTES:
            raise NoAnswer(f"RemoteProtocolError: more than {_HEAD_BYTES} bytes of headers")

    def end(self) -> None:
        """Drop the parser, which refers to this object: else neither would be freed at once."""
        del self._parser

    def _connection_ended(self) -> None:
        framed = "content-length" in self.headers or "transfer-encoding" in self.headers
        if not self.status or framed:
            raise NoAnswer("RemoteProtocolError: the server closed the connection before the end of its answer")
        self.is_whole = True

    def on_message_begin(self) -> None:
        if self.is_whole:
            raise NoAnswer("a second answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # else it comes after the body
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self._bytes += len(piece)

    def on_message_complete(self) -> None:
        if self.status < 200:  # the answer comes later
            self.status = 0
            self.headers.clear()
        else:
            self.is_whole = True
            self.keeps = self._parser.should_keep_alive()


def _send(connection: socket.socket, request: bytes, left_s: _Left) -> None:
    view = memoryview(request)
    try:
        for start in range(0, len(view), _PIECE_BYTES):
            connection.settimeout(left_s())
            connection.sendall(view[start : start + _PIECE_BYTES])
    except ConnectionError:
        pass  # the server may have answered before it had all of the request


def _is_readable(connection: socket.socket) -> bool:
    if sys.platform != "win32":  # `select` takes no socket whose number is above 1023, but on Windows
        poll = select.poll()
        poll.register(connection, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([connection], [], [], 0)[0])


def connector(host: str, port: int, *, tls: bool) -> Connect:
    """Return what connects to `host`. With `tls`, the certificate must be one that the system trusts."""
    context = _tls_context() if tls else None

    def connect(left_s: _Left) -> socket.socket:
        connection = socket.create_connection((host, port), left_s())
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is None:
                return connection
            connection.settimeout(left_s())
            return context.wrap_socket(connection, server_hostname=host)
        except BaseException:
            connection.close()
            raise

    return connect


def _tls_context() -> ssl.SSLContext:
    if sys.platform in ("darwin", "win32"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    return context
