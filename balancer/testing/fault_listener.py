"""Listener of a faulty server: on loopback, and closed while it refuses connections.

Decides who is let in. It must not know what is asked.
"""

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SO_REUSEADDR, SOL_SOCKET, socket

__all__ = ["FaultListener"]

_LOOK_S = 0.02
_BACKLOG = 128


class FaultListener(ThreadingHTTPServer):
    """Listens on a port of its own, and can stop for a while without losing it: who comes then is refused.

    Args:
        handler: of the requests of one connection.

    Attributes:
        port: where it listens.
        closing: set when it ends.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler, bind_and_activate=False)
        self.closing = threading.Event()
        self.socket.close()
        self._place = _bound(0)  # never listens: what connects while nobody else does is refused
        self.port: int = self._place.getsockname()[1]
        self._shut_s: float | None = None
        self._shutting, self._shut = threading.Lock(), threading.Event()
        self._thread = threading.Thread(target=self._listen, name="balancer fault proxy", daemon=True)

    def start(self) -> None:
        """Listen."""
        self._open()
        self._thread.start()

    def stop(self) -> None:
        """Listen no more, and let go of the port."""
        self.closing.set()
        self._thread.join()
        self._place.close()

    def refuse(self, seconds: float) -> None:
        """Shut the door for so long; returns once it is shut."""
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
        """End a connection: a close is enough, and a reset must not come after a polite word."""
        assert isinstance(request, socket)
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Be silent: a client that hangs up is no mistake here."""


def _bound(port: int) -> socket:
    made = socket()
    made.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    made.bind(("127.0.0.1", port))
    return made
