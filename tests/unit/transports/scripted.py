"""A transport that answers by a script, and clients over it: for threads and tasks, of httpx2 and httpx."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from balancer import Endpoint, Pool, RetrySettings
from balancer.core.events import Ended
from balancer.transports.httpx_transports import AsyncBalancedTransport, BalancedTransport

Step = Any  # a piece of a body, or an error to raise in its place


@dataclass
class Reply:
    """An answer. `body`: its pieces; an exception among them is raised there."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: tuple[Step, ...] = (b"hello ", b"world")


class Body:
    """The body of a reply, which knows whether it was closed."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self._steps = steps
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for step in self._steps:
            if isinstance(step, BaseException):
                raise step
            yield step

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self:
            await asyncio.sleep(0)
            yield step

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


@dataclass
class Inner:
    """Answers by what is scripted for the host of a request, each answer once, the last one for ever."""

    http: ModuleType
    script: dict[str, list[Any]]
    sent: list[Any] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)

    def handle_request(self, request: Any) -> Any:
        request_body = b"".join(request.stream) if hasattr(request.stream, "__iter__") else None
        return self._answer(request, request_body)

    async def handle_async_request(self, request: Any) -> Any:
        await asyncio.sleep(0)
        body = b"".join([piece async for piece in request.stream])
        return self._answer(request, body)

    def _answer(self, request: Any, body: bytes | None) -> Any:
        self.sent.append((request.url.host, body, request))
        replies = self.script[request.url.host]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Callable):  # type: ignore[arg-type]
            reply = reply(request)
        if isinstance(reply, BaseException):
            raise reply
        made = type("Stream", (Body, self.http.SyncByteStream, self.http.AsyncByteStream), {})(reply.body)
        self.bodies.append(made)
        return self.http.Response(reply.status, headers=reply.headers, stream=made)

    def close(self) -> None:
        """Close nothing."""

    async def aclose(self) -> None:
        """Close nothing."""

    @property
    def hosts(self) -> list[str]:
        return [host for host, _, _ in self.sent]


class Outcomes:
    """An observer: how each lease ended, and where."""

    def __init__(self) -> None:
        self.ends: list[str] = []

    def __call__(self, event: Any) -> None:
        if isinstance(event, Ended):
            self.ends.append(f"{event.endpoint} {event.outcome.value}")


@dataclass
class Face:
    """A client of one kind."""

    http: ModuleType
    later: bool

    def request(self, transport: Any, method: str = "POST", **request: Any) -> Any:
        """Return the answer, read."""
        return self.run(transport, lambda client: client.request(method, "http://pool/v1/x", **request))

    def stream(self, transport: Any, pieces: int | None = None, **request: Any) -> list[bytes]:
        """Return the first pieces of the answer, or all; it is closed then."""
        if not self.later:
            with self.http.Client(transport=transport) as client, client.stream("POST", "http://pool/v1/x") as answer:
                taken = answer.iter_raw()
                return list(taken) if pieces is None else [next(taken) for _ in range(pieces)]

        async def take() -> list[bytes]:
            async with (
                self.http.AsyncClient(transport=transport) as client,
                client.stream("POST", "http://pool/v1/x") as answer,
            ):
                found = answer.aiter_raw()
                if pieces is None:
                    return [piece async for piece in found]
                taken = [await anext(found) for _ in range(pieces)]
                await found.aclose()
                return taken

        return asyncio.run(take())

    def run(self, transport: Any, act: Callable[[Any], Any]) -> Any:
        """Return what `act` does with a client."""
        if not self.later:
            with self.http.Client(transport=transport) as client:
                return act(client)

        async def do() -> Any:
            async with self.http.AsyncClient(transport=transport) as client:
                return await act(client)

        return asyncio.run(do())

    def handle(self, transport: Any, request: Any) -> Any:
        """Return the transport's answer to a request, unread."""
        if not self.later:
            return transport.handle_request(request)
        return asyncio.run(transport.handle_async_request(request))

    def close(self, answer: Any) -> None:
        """Close an answer."""
        if self.later:
            asyncio.run(answer.stream.aclose())
        else:
            answer.stream.close()

    def content(self, pieces: Callable[[], Iterator[bytes]]) -> Any:
        """Return a body that can be sent once."""
        if not self.later:
            return pieces()

        async def later() -> AsyncIterator[bytes]:
            for piece in pieces():
                yield piece

        return later()

    def transport(self, pool: Pool, inner: Inner, **settings: Any) -> Any:
        """Return the transport of this kind."""
        return self.kind(pool, inner=inner, **settings)

    @property
    def kind(self) -> Any:
        """The class of its transports."""
        return AsyncBalancedTransport if self.later else BalancedTransport


FACES = [
    pytest.param(Face(http, later), id=f"{http.__name__} {'tasks' if later else 'threads'}")
    for http in (httpx2, httpx)
    for later in (False, True)
]


def pool_of(*hosts: str, **settings: Any) -> tuple[Pool, list[str]]:
    """Return a pool that prefers its first endpoint and does not pause, and the list of how its leases ended."""
    outcomes = Outcomes()
    endpoints = [host if isinstance(host, Endpoint) else Endpoint(f"http://{host}/", name=host) for host in hosts]
    given = {"strategy": "first", "retries": RetrySettings(base_s=0), "health": None, **settings}
    return Pool(endpoints, observers=[outcomes], **given), outcomes.ends
