"""A server that is a function: what executors send to it, and what it answers, without a network."""

from collections.abc import Callable

import httpx2

from balancer.sandbox.http.client import Exchange, NoAnswer, WireAnswer, WireRequest

Handler = Callable[[httpx2.Request], httpx2.Response]


def answering(handler: Handler) -> Exchange:
    """Return what exchanges requests with a server that answers as `handler` does. Its OSError is the network's."""

    def exchange(request: WireRequest) -> WireAnswer:
        try:
            asked = httpx2.Request(request.method, request.url, headers=request.headers, content=request.content)
            response = handler(asked)
        except OSError as error:
            raise NoAnswer(f"RemoteProtocolError: {error}") from None
        return WireAnswer(response.status_code, dict(response.headers), response.content)

    return exchange
