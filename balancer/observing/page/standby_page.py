"""Page of a server that stands by: who serves, and that this one is alive but not ready."""

import socket
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Final

from balancer.observing.page.serving import Page, listener_at
from balancer.plugins.extras import require

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["open_standby_page"]

_HTML: Final = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>{name}: standing by</title></head><body><h1>{name}</h1><p>{why}</p></body></html>
"""
_POLICY: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def open_standby_page(host: str, port: int, why: Callable[[], str], name: str) -> tuple[Page, int]:
    """Serve the page of a server that stands by, and return it with its port.

    Args:
        host, port: where to listen; port 0: a free one.
        why: returns in words why it does not serve, and who does.
        name: of the pool.

    Raises:
        ConfigError: it cannot listen there.
        MissingExtra: the extra `page` is not installed.
    """
    require("page", "the page of a server that stands by")
    listener: socket.socket = listener_at(host, port)

    async def run(page: Page) -> None:
        from starlette.applications import Starlette
        from starlette.middleware import Middleware
        from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse
        from starlette.routing import Route

        from balancer.observing.page.guard import PageGuard, allowed_hosts
        from balancer.observing.page.http_server import serve_until

        async def alive(_: "Request") -> "Response":
            return PlainTextResponse("ok\n")

        async def ready(_: "Request") -> "Response":
            return PlainTextResponse(f"{why()}\n", 503)

        async def shown(_: "Request") -> "Response":
            return HTMLResponse(_HTML.format(name=escape(name), why=escape(why())), 503)

        async def other(_: "Request") -> "Response":
            return JSONResponse({"error": why()}, 503)

        routes = [
            Route("/", shown),
            *(Route(path, alive) for path in ("/livez", "/healthz")),
            Route("/readyz", ready),
            Route("/{path:path}", other, methods=["GET", "POST"]),
        ]
        guard = Middleware(PageGuard, hosts=allowed_hosts(host), policy=_POLICY)
        await serve_until(Starlette(routes=routes, middleware=[guard]), listener, page.began, lambda: None)

    return Page(listener, run, bool), listener.getsockname()[1]
