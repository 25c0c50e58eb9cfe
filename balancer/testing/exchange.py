"""One HTTP exchange with a faulty server: how bytes, silence and resets reach the client.

Decides how bytes, silence and resets reach the client.
"""

import socket
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus

__all__ = ["Answer", "Exchange", "Fault", "head_of"]

_LOOK_S = 0.02
_PIECE_BYTES = 2**16
_RST = struct.pack("ii", 1, 0)  # close at once, and say so


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. Fields: its `status`, its `headers` but for the length, in order, and its `body`."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(slots=True)
class Exchange:
    """One request, and the connection that it came by.

    Attributes:
        connection: to the client.
        path: what is asked for, with its query.
        fetch: asks the target; its answer, or a 502 if it gives none.
        other: the newest answer to another request of the same method and path; None: there is none yet.
        refuse: lets nobody in for so many seconds; returns when the door is shut.
        closing: set when the proxy ends.
        seconds: what "late", "refused" and `Retry-After` take.
        huge_bytes: what "huge" sends.
        over: True once the connection is of no more use.
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
        """Say nothing, and heed nothing, until the client has gone."""
        self.over = True
        while not self.closing.wait(_LOOK_S):
            try:
                if not self.connection.recv(_PIECE_BYTES, socket.MSG_DONTWAIT):
                    return
            except BlockingIOError:
                continue
            except OSError:
                return


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a bad server does.

    Attributes:
        name: what it is called in a schedule and in counts.
        says: what the client meets, in a few words.
        do: does it to one request; returns False if it could not, and then the request is passed through.
    """

    name: str
    says: str
    do: Callable[[Exchange], bool]


def head_of(answer: Answer, length: int) -> bytes:
    """Return the head of an answer, with this Content-Length after its other headers."""
    reason = HTTPStatus(answer.status).phrase if answer.status in set(HTTPStatus) else "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in answer.headers)]
    return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode("latin-1")
