"""Fault proxy: passes HTTP requests through to a server, and commits faults by a schedule.

It decides which request meets which fault, and counts. The faults themselves are in `kinds`. It needs only the
standard library.

Its listener is on loopback, and closed while it refuses connections.
"""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from socket import SO_REUSEADDR, SOL_SOCKET, socket
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.faults.exchange import Answer, Exchange, Fault
from tests.faults.kinds import FAULTS

_LOOK_S = 0.02
_BACKLOG = 128
_TARGET_S = 300.0
_REMEMBERED = 16  # answers, for each path
_PATHS = 64
_BY_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
_NOT_PASSED = _BY_HOP | {"content-length", "host"}

Passing = Callable[[str, str], bool]


class FaultListener(ThreadingHTTPServer):
    """Listens on a port of its own. It can stop for a while and keep the port: connections are then refused.

    Args:
        handler: of the requests of one connection.

    Attributes:
        port: of the listener.
        closing: set when it ends.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler, bind_and_activate=False)
        self.closing = threading.Event()
        self.socket.close()
        self._place = _bound(0)  # never listens: connections are refused while the other socket is closed
        self.port: int = self._place.getsockname()[1]
        self._shut_s: float | None = None
        self._shutting, self._shut = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name="balancer fault proxy", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._open()
        self._thread.start()

    def stop(self) -> None:
        """Stop to listen, and free the port."""
        self.closing.set()
        self._thread.join()
        self._place.close()

    def refuse(self, seconds: float) -> None:
        """Refuse connections for `seconds`; returns as soon as the listener is closed."""
        with self._shutting:
            self._shut.clear()
            self._shut_s = seconds
            self._shut.wait(10 * _LOOK_S + seconds)

    def _open(self) -> None:
        self.socket = _bound(self.port)
        self.socket.listen(_BACKLOG)
        self.socket.settimeout(_LOOK_S)

    def _listen(self) -> None:
        while not self.closing.is_set():
            if self._shut_s is not None:
                self.socket.close()
                seconds, self._shut_s = self._shut_s, None
                self._shut.set()
                self.closing.wait(seconds)
                self._open()
            with suppress(TimeoutError):
                connection, place = self.socket.accept()
                connection.settimeout(None)
                self.process_request(connection, place)
        self.socket.close()

    def shutdown_request(self, request: object) -> None:
        """Close a connection without shutdown, so that a reset cannot follow a normal end."""
        assert isinstance(request, socket)
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: a client that disconnects is no error here."""


def _bound(port: int) -> socket:
    made = socket()
    made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made


class FaultProxy:
    """A proxy on 127.0.0.1, on a port of its own, that commits faults by a schedule. Use it in a `with` block.

        with FaultProxy("http://127.0.0.1:8080/", faults=["reset", "503"], share=0.2, seed=7) as proxy:
            pool = Pool([proxy.url, "http://127.0.0.1:8081/"])
            ...
        assert proxy.done["503"] > 0

    A request is due for a fault if `on` is true, `only` accepts it, fewer than `first` had one before, and a draw
    with `seed` says so. Due requests meet the `faults` in turn; all others are passed through. The same requests
    in the same order meet the same faults. Bodies are passed on whole, not as streams. A request's body must have a
    Content-Length.

    Args:
        target_url: of the server behind it, http://. A path is put before that of requests.
        faults: names of `FAULTS`, or faults of your own.
        first: how many requests meet a fault; None: any number.
        share: of the requests that are due, from 0 to 1.
        seed: of the draws.
        only: returns whether a request may meet a fault, by its method and path (with query); None: all may.
        seconds: how late "late" is, how long "refused" refuses, what `Retry-After` asks for.
        huge_bytes: what "huge" sends before the answer.

    Attributes:
        url: of the proxy, with a slash at its end.
        done: how often each fault was committed, by name.
        passed: how many requests were passed through.
        on: set it to False to commit no faults for a while.
    """

    def __init__(
        self,
        target_url: str,
        faults: Iterable[str | Fault],
        *,
        first: int | None = None,
        share: float = 1.0,
        seed: int = 0,
        only: Passing | None = None,
        seconds: float = 1.0,
        huge_bytes: int = 2**26,
    ) -> None:
        self._target = urlsplit(target_url)
        self._faults = [fault if isinstance(fault, Fault) else FAULTS[fault] for fault in faults]
        self.seconds, self.huge_bytes = seconds, huge_bytes
        self.done: Counter[str] = Counter()
        self.passed = 0
        self.on = True
        self._left, self._share, self._random = first, share, Random(seed)
        self._only = only or (lambda method, path: True)
        self._lock = threading.Lock()
        self._due = 0
        self._answers: dict[tuple[str, str], deque[tuple[bytes, Answer]]] = {}
        self._server = FaultListener(type("Handler", (_Handler,), {"proxy": self}))
        self.closing = self._server.closing
        self.url = f"http://127.0.0.1:{self._server.port}/"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.stop()

    # -- the schedule ------------------------------------------------------------------------------

    def next_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request, and count it; None: it is passed through."""
        with self._lock:
            due = self.on and self._faults and self._left != 0 and self._only(method, path)
            if not due or self._random.random() >= self._share:
                self.passed += 1
                return None
            if self._left is not None:
                self._left -= 1
            fault = self._faults[self._due % len(self._faults)]
            self._due += 1
            self.done[fault.name] += 1
            return fault

    def could_not(self, fault: Fault) -> None:
        """Uncount `fault`: the request is passed through."""
        with self._lock:
            self.done[fault.name] -= 1
            self.passed += 1
            if self._left is not None:
                self._left += 1

    # -- the target --------------------------------------------------------------------------------

    def fetch(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Return the target's answer to a request, and remember it; a 502 if there is none."""
        connection = HTTPConnection(self._target.netloc, timeout=_TARGET_S)
        try:
            passed = {name: value for name, value in headers if name.lower() not in _NOT_PASSED}
            connection.request(method, self._target.path.rstrip("/") + path, body=body or None, headers=passed)
            got = connection.getresponse()
            kept = [each for each in got.getheaders() if each[0].lower() not in _NOT_PASSED]
            answer = Answer(got.status, kept, got.read())
        except (OSError, HTTPException) as error:
            return Answer(502, [("Content-Type", "text/plain")], f"the target does not answer: {error}".encode())
        finally:
            connection.close()
        with self._lock:
            self._answers.setdefault((method, path), deque(maxlen=_REMEMBERED)).appendleft((body, answer))
            if len(self._answers) > _PATHS:
                del self._answers[next(iter(self._answers))]
        return answer

    def other(self, method: str, path: str, body: bytes) -> Answer | None:
        """Return the newest answer to another request of the same method and path; None if there is none yet."""
        with self._lock:
            remembered = list(self._answers.get((method, path), ()))
        return next((answer for asked, answer in remembered if asked != body), None)


class _Handler(BaseHTTPRequestHandler):
    server: FaultListener
    proxy: FaultProxy  # set in a subclass for each proxy
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _any(self) -> None:
        proxy, method, path = self.proxy, self.command, self.path
        if "Transfer-Encoding" in self.headers:
            self.send_error(411)
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = list(self.headers.items())
        fetched: list[Answer] = []

        def fetch() -> Answer:
            if not fetched:
                fetched.append(proxy.fetch(method, path, headers, body))
            return fetched[0]

        met = Exchange(
            self.connection,
            path,
            fetch,
            lambda: proxy.other(method, path, body),
            self.server.refuse,
            proxy.closing,
            proxy.seconds,
            proxy.huge_bytes,
        )
        fault = proxy.next_fault(method, path)
        if fault is None or not fault.do(met):
            if fault is not None:
                proxy.could_not(fault)
            met.send(fetch())
        if met.over:
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _any  # noqa: N815 (the library's names)

    def log_message(self, format: str, *args: object) -> None:
        """Print nothing."""
