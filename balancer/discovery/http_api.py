"""HTTP API of a source or a provider: JSON, and streams of lines, over connections that another thread may end.

Errors quote no header and no body: both may hold secrets.
"""

import json
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from balancer.client_errors import asked_pause_s
from balancer.source import SourceError

__all__ = ["HttpApi", "HttpStatus"]

_CONNECT_S: Final = 10.0
_DENIED: Final = "; the token is wrong, missing or may not read this"
_MOST: Final = 64 * 2**20  # bytes of an answer or a line
_KEEPALIVE: Final = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))

Query = Mapping[str, str | int]


class HttpStatus(SourceError):
    """The server answered with a status that is not expected.

    Fields: `status`, and `after_s`, the seconds of its Retry-After header; 0: it has none.
    """

    def __init__(self, where: str, status: int, hint: str = "", after_s: float = 0.0) -> None:
        super().__init__(f"{where} answered with status {status}{hint}")
        self.status = status
        self.after_s = after_s


class HttpApi:
    """One server. Each request has a connection of its own. For one thread; `close` is for any.

    Args:
        url: of the server: scheme, host, port, perhaps a path.
        tls: for https; None: the certificates of the system are trusted.
        headers: returns the headers of a request, e.g. with a token that is read anew. May raise SourceError.

    Raises:
        SourceError: the URL cannot be used.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None = None,
        headers: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise SourceError('the URL of the server must look like "https://host:port", without a user')
        self._host, self._port = parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
        self._where = f"{parts.scheme}://{parts.hostname}:{self._port}"
        self._path = parts.path.rstrip("/")
        self._tls = tls or ssl.create_default_context() if parts.scheme == "https" else None
        self._headers = headers
        self._open: HTTPConnection | None = None
        self._closed = False

    def get(self, path: str, query: Query, *, within_s: float) -> tuple[Mapping[str, str], Any]:
        """Return the headers, in lower case, and the JSON of an answer. Raises SourceError, HttpStatus."""
        return self.ask("GET", path, query, within_s=within_s)

    def ask(
        self, method: str, path: str, query: Query, *, within_s: float, send: Any = None, good: int = 200
    ) -> tuple[Mapping[str, str], Any]:
        """Send a request, with `send` as JSON; None: without a body. Return as `get` does; None for an empty answer.

        Raises:
            SourceError, HttpStatus: as `get` does; the status must be `good`.
        """
        with self._asked(path, query, within_s, method, send, good) as response:
            with self._told():
                body = response.read(_MOST + 1)
            if len(body) > _MOST:
                raise SourceError(f"{self._where} answered with more than {_MOST} bytes")
            try:
                return (
                    {name.lower(): value for name, value in response.headers.items()},
                    json.loads(body) if body else None,
                )
            except (ValueError, RecursionError):
                raise SourceError(f"{self._where} answered with what is not JSON") from None

    def status(self, path: str, *, within_s: float) -> int:
        """Return the status of an answer to GET, whatever it is. Raises SourceError if there is no answer."""
        try:
            with self._asked(path, {}, within_s):
                return 200
        except HttpStatus as error:
            return error.status

    @contextmanager
    def lines(self, path: str, query: Query, *, silent_s: float) -> Iterator[Iterator[Any]]:
        """Return the lines of an answer, each as JSON, while they come. The end of the answer is the end.

        `silent_s`: the longest time between two lines. Raises SourceError; HttpStatus for a status other than 200.
        """
        with self._asked(path, query, silent_s) as response:
            yield self._each(response)

    def _each(self, response: HTTPResponse) -> Iterator[Any]:
        while True:
            with self._told():
                line = response.readline(_MOST + 1)
            if not line:
                return
            if not line.endswith(b"\n") and len(line) > _MOST:
                raise SourceError(f"{self._where} answered with a line of more than {_MOST} bytes")
            if line.strip():
                try:
                    yield json.loads(line)
                except (ValueError, RecursionError):
                    raise SourceError(f"{self._where} answered with a line that is not JSON") from None

    @contextmanager
    def _asked(
        self, path: str, query: Query, within_s: float, method: str = "GET", send: Any = None, good: int = 200
    ) -> Iterator[HTTPResponse]:
        """Send a request and return its answer. Raises SourceError."""
        connection: HTTPConnection = (
            HTTPConnection(self._host, self._port, timeout=_CONNECT_S)
            if self._tls is None
            else HTTPSConnection(self._host, self._port, timeout=_CONNECT_S, context=self._tls)
        )
        target = f"{self._path}{path}" + (f"?{urlencode(query)}" if query else "")
        self._open = connection
        try:
            with self._told():
                connection.connect()
                _probe(connection.sock)
                connection.sock.settimeout(within_s)
                headers = {"Accept": "application/json", **self._headers()}
                body = None if send is None else json.dumps(send)
                if body is not None:
                    headers["Content-Type"] = "application/json"
                connection.request(method, target, body, headers)
                if self._closed:
                    raise SourceError("it is closed")
                response = connection.getresponse()
                if response.status != good:
                    hint = _DENIED if response.status in (401, 403) else ""
                    raise HttpStatus(self._where, response.status, hint, asked_pause_s(response.headers) or 0.0)
                yield response
        finally:
            self._open = None
            connection.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Raise errors of the connection as SourceError."""
        try:
            yield
        except TimeoutError:
            raise SourceError(f"{self._where} does not answer in time") from None
        except ssl.SSLCertVerificationError as error:
            raise SourceError(f"{self._where}: its certificate is not trusted: {error.verify_message}") from None
        except OSError as error:
            raise SourceError(f"{self._where}: {error.strerror or type(error).__name__}") from None
        except HTTPException as error:
            raise SourceError(f"{self._where} does not answer as a web server does: {type(error).__name__}") from None

    def close(self) -> None:
        """End the request that another thread waits for. Further ones fail."""
        self._closed = True
        connection = self._open
        if connection is not None and connection.sock is not None:
            with suppress(OSError):  # it has ended
                connection.sock.shutdown(socket.SHUT_RDWR)


def _probe(connection: socket.socket) -> None:
    """Let the system find out that the machine at the other end has vanished."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _KEEPALIVE:
        if hasattr(socket, option):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
