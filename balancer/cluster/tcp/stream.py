"""A stream to a server, over TCP or TLS, that never blocks. One thread may send while another one receives."""

import socket
import ssl
import threading
import time
from contextlib import suppress

from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.codec import MessageSplitter

__all__ = ["Stream", "connect"]

_AT_ONCE = 262_144  # bytes


class Stream:
    """A connected socket.

    Args:
        connected: does not block.
    """

    _is_layered = False

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._splitter = MessageSplitter()
        self.fileno = connected.fileno

    def send(self, data: bytes) -> int:
        """Send as many bytes as there is room for, and return how many. Raises OSError."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def receive(self) -> list[bytes]:
        """Return the bodies of the messages that have arrived.

        Raises:
            OSError: it has ended.
            WireError: these are no messages.
        """
        bodies: list[bytes] = []
        while data := self._arrived():
            bodies += self._splitter.feed(data)
            if len(data) < _AT_ONCE and not self._is_layered:
                break
        return bodies

    def _arrived(self) -> bytes:
        """Return what has arrived; b"": nothing."""
        try:
            data = self._socket.recv(_AT_ONCE)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return b""
        if not data:
            raise ConnectionResetError("the server has closed the connection")
        return data

    def shut(self) -> None:
        """End it in both directions. Who waits for bytes is told. Its file stays open: the number is no other's yet."""
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # that of TLS drops its state, which others use

    def close(self) -> None:
        """Close it. Nobody may use it any more."""
        with suppress(OSError):
            self._socket.close()


class _TlsStream(Stream):
    """The same with TLS. Its state must not be used by two threads at once."""

    _is_layered = True  # what TLS has read from the socket is not seen by who polls that

    def __init__(self, connected: ssl.SSLSocket) -> None:
        super().__init__(connected)
        self._state = threading.RLock()  # a finaliser may send while its thread receives

    def send(self, data: bytes) -> int:
        with self._state:
            return super().send(data)

    def _arrived(self) -> bytes:
        with self._state:
            return super()._arrived()


def connect(address: Address, tls: ssl.SSLContext | None, within_s: float) -> Stream:
    """Connect, with a handshake if `tls` is given. It may take longer if the host has several addresses.

    Raises:
        OSError: it cannot; TimeoutError: not in time.
    """
    until_s = time.monotonic() + within_s
    connected = socket.create_connection((address.host, address.port), timeout=within_s)
    try:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is None:
            connected.setblocking(False)
            return Stream(connected)
        connected.settimeout(max(0.001, until_s - time.monotonic()))
        secured = tls.wrap_socket(connected, server_hostname=address.host)
    except BaseException:
        connected.close()
        raise
    secured.setblocking(False)
    return _TlsStream(secured)
