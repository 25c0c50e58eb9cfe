"""Routes of the page: HTML, state, events, metrics for Prometheus, and its buttons.

Decides paths, status codes and who may press a button. It must not know how the server runs.
"""

import asyncio
import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from balancer.errors import BalancerError
from balancer.observing.page.feed import Feed, TooManyReaders
from balancer.observing.page.guard import PageGuard, shows_token
from balancer.observing.page.pool_tables import PoolTables, rows_as_lists

__all__ = ["Buttons", "Scrape", "build_app"]

_FOLDER: Final = Path(__file__).parent
_LONGEST_BODY: Final = 4096

Buttons = Mapping[str, Callable[[str], object]]
"""What a button of this name does to the endpoint of this name; it may raise BalancerError."""

Scrape = Callable[[], tuple[bytes, str]]
"""Returns the figures for Prometheus, and their content type."""


def build_app(
    tables: PoolTables, feed: Feed, *, buttons: Buttons, token: str, hosts: frozenset[str], scrape: Scrape | None
) -> Starlette:
    """Return the ASGI application.

    Args:
        tables: what there is to see.
        feed: what readers are sent.
        buttons: what may be done; only by those who show `token`, and by nobody if that is "".
        hosts: names by which it may be asked for; none: any.
        scrape: the figures for Prometheus; None: their client is not installed.
    """
    html, policy = _page()
    answers = _Answers(html, tables, feed, token, scrape)
    return Starlette(
        routes=[
            Route("/", answers.page),
            Route("/state", answers.state),
            Route("/events", answers.events),
            Route("/metrics", answers.metrics),
            *(Route(f"/{button}", partial(answers.press, act), methods=["POST"]) for button, act in buttons.items()),
        ],
        middleware=[Middleware(PageGuard, hosts=hosts, policy=policy)],
    )


class _Answers:
    """What answers which path.

    Args:
        html: the page itself.
        tables: what there is to see.
        feed: what readers are sent.
        token: what a button takes; "": there are none.
        scrape: the figures for Prometheus; None: their client is not installed.
    """

    def __init__(self, html: str, tables: PoolTables, feed: Feed, token: str, scrape: Scrape | None) -> None:
        self._html = html
        self._tables = tables
        self._feed = feed
        self._token = token
        self._scrape = scrape

    async def page(self, _: Request) -> Response:
        return HTMLResponse(self._html)

    async def state(self, _: Request) -> Response:
        at_s, tables = await asyncio.to_thread(self._tables.look, still=True)
        return JSONResponse({"at_s": at_s, **rows_as_lists(tables)})

    async def events(self, _: Request) -> Response:
        events = self._feed.follow()
        try:
            first = await anext(events)
        except TooManyReaders:
            return JSONResponse({"error": "too many read this page already"}, 503)

        async def all_of_them() -> Any:
            yield first
            async for event in events:
                yield event

        return StreamingResponse(all_of_them(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def metrics(self, _: Request) -> Response:
        if self._scrape is None:
            return JSONResponse({"error": "install the extra 'prometheus' where this page is served"}, 501)
        body, kind = await asyncio.to_thread(self._scrape)
        return Response(body, headers={"Content-Type": kind})

    async def press(self, act: Callable[[str], object], request: Request) -> Response:
        if not self._token:
            return _refused(403, "this page has no buttons; serve it with a token")
        if not shows_token(self._token, request.headers):
            return _refused(401, "the token is wrong, or there is none", {"WWW-Authenticate": "Bearer"})
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, 'send {"endpoint": ID} as application/json')
        row = await _row_in(request)
        name = self._tables.endpoint(row) if row is not None else None
        if name is None:
            return _refused(404, "there is no such endpoint")
        try:
            await asyncio.to_thread(act, name)
        except BalancerError:  # its words quote names as they are
            return _refused(409, "the endpoint is not in a state for that")
        return JSONResponse({})


async def _row_in(request: Request) -> str | None:
    """Return the row that a button was pressed in; None: it does not say."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            return None
    request._body = body
    try:
        said = await request.json()
    except ValueError:
        return None
    row = said.get("endpoint") if isinstance(said, dict) else None
    return row if isinstance(row, str) else None


def _refused(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status, headers)


@cache
def _page() -> tuple[str, str]:
    """Return the page, with all that it needs in it, and what a browser may let it do."""
    style, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    html = (_FOLDER / "page.html").read_text(encoding="utf-8")
    for mark, text in (("/*STYLE*/", style), ("/*SCRIPT*/", script)):
        html = html.replace(mark, text)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
