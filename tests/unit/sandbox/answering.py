"""Connections to a server that is a function: the client reads real HTTP, from memory."""

from collections.abc import Callable, Iterable, Iterator

import httpx2

from balancer.sandbox.http.connections import Connect

Handler = Callable[[httpx2.Request], httpx2.Response]


class AnsweredConnection:
    """In the place of a socket: what is sent goes to a function, and its answer is what is received."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._sent = b""
        self._pieces: Iterator[bytes] = iter(())
        self._response: httpx2.Response | None = None

    def settimeout(self, seconds: float) -> None:
        assert seconds > 0

    def sendall(self, data: memoryview) -> None:
        self._sent += data

    def recv(self, most: int) -> bytes:
        if self._response is None:
            self._response = self._handler(_request_in(self._sent))
            self._pieces = _pieces_of(self._response)
        return next(self._pieces, b"")

    def close(self) -> None:
        if self._response is not None:
            self._response.close()


def _request_in(sent: bytes) -> httpx2.Request:
    head, _, content = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode("ascii").split("\r\n")
    method, target, version = first.split(" ")
    assert version == "HTTP/1.1"
    headers = httpx2.Headers([(name, value) for name, _, value in (line.partition(": ") for line in lines)])
    assert int(headers.get("Content-Length", 0)) == len(content)
    return httpx2.Request(method, f"http://{headers['Host']}{target}", headers=headers, content=content)


def _pieces_of(response: httpx2.Response) -> Iterator[bytes]:
    """Yield the head, and the body as it comes. The end of the connection is its end, unless it has a length."""
    headers = {name: value for name, value in response.headers.items() if name != "transfer-encoding"}
    lines = [f"HTTP/1.1 {response.status_code} Said", *(f"{name}: {value}" for name, value in headers.items())]
    yield "".join(f"{line}\r\n" for line in [*lines, "Connection: close", ""]).encode()
    assert isinstance(response.stream, Iterable)
    yield from filter(None, response.stream)


def answering(handler: Handler) -> Connect:
    """Return what connects to a server that answers as `handler` does. An OSError of `handler` is the network's."""
    return lambda left_s: AnsweredConnection(handler)  # type: ignore[return-value]
