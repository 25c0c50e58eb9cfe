"""One HTTP exchange with a faulty server: how bytes, silence and resets reach the client."""

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

_LOOK_S = 0.02
_PIECE_BYTES = 2**16
_RST = struct.pack("ii", 1, 0)  # close at once, with a reset


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: its `status`, its `headers` in order, without the length, and its `body`."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(slots=True)
class Exchange:
    """One request, and its connection.

    Attributes:
        connection: to the client.
        path: of the request, with its query.
        fetch: sends the request to the target and returns its answer, or a 502 if there is none.
        other: the newest answer to another request of the same method and path; None: there is none yet.
        refuse: refuses connections for the given seconds; returns when the listener is closed.
        closing: set when the proxy ends.
        seconds: duration of "late" and "refused", and the value of `Retry-After`.
        huge_bytes: size of "huge".
        over: True if the connection must not be used any more.
    """

    connection: socket.socket
    path: str
    fetch: Callable[[], Answer]
    other: Callable[[], Answer | None]
    refuse: Callable[[float], None]
    closing: threading.Event
    seconds: float
    huge_bytes: int
    over: bool = field(default=False, init=False)

    def send(self, answer: Answer, *, length: int | None = None) -> None:
        """Send an answer; with another Content-Length, if one is given."""
        self.write(head_of(answer, len(answer.body) if length is None else length) + answer.body)

    def write(self, data: bytes) -> bool:
        """Send bytes; False if the client has gone."""
        try:
            self.connection.sendall(data)
        except OSError:
            self.over = True
            return False
        return True

    def reset(self) -> None:
        """End the connection with a reset."""
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        self.over = True

    def idle(self) -> None:
        """Send nothing and ignore all input, until the client has gone."""
        self.over = True
        self.connection.setblocking(False)
        while not self.closing.wait(_LOOK_S):
            try:
                if not self.connection.recv(_PIECE_BYTES):
                    return
            except BlockingIOError:
                continue
            except OSError:
                return


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a server.

    Attributes:
        name: in a schedule and in counts.
        says: what the client sees, in a few words.
        do: commits it on one request; returns False if it could not, and then the request is passed through.
    """

    name: str
    says: str
    do: Callable[[Exchange], bool]


def head_of(answer: Answer, length: int) -> bytes:
    """Return the head of an answer, with this Content-Length after its other headers."""
    reason = HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in answer.headers)]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode("latin-1")
