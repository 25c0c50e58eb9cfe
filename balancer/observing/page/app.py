"""Routes of the page: HTML, state, events, metrics for Prometheus, and drain and restore.

Besides, the pool is read every ten seconds for the history.
"""

import asyncio
import base64
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from balancer.errors import BalancerError
from balancer.observing.page.admin import AdminRefusal, PageAdmin
from balancer.observing.page.drawer import Drawers
from balancer.observing.page.guard import PageGuard, shows_token
from balancer.observing.page.pool_tables import PoolTables, Tables, changes, rows_as_lists

__all__ = ["Feed", "PageAnswers", "Scrape", "keep_history"]

_log = logging.getLogger("balancer.page")

_MOST_READERS: Final = 64
_FOLDER: Final = Path(__file__).parent
_LONGEST_BODY: Final = 4096
_LONGEST_NAME: Final = 100
_Look = tuple[float, Tables]


class Feed:
    """Sends the tables to all readers: first all of them, then changes. Make it within the event loop.

    The pool is read only while there are readers, once for all of them. A reader that is too slow misses looks, and
    then gets their changes together. With one reader too many, the stream of the first one ends; a browser comes back
    after two seconds.

    Args:
        look: returns the time in seconds, and the tables; called in a thread.
        every_s: seconds between two looks.
    """

    def __init__(self, look: Callable[[], _Look], every_s: float = 1.0) -> None:
        self._look = look
        self._every_s = every_s
        self._readers: list[asyncio.Future[None]] = []  # each is done when its stream must end
        self._task: asyncio.Task[None] | None = None
        self._next: asyncio.Future[_Look | None] = asyncio.get_running_loop().create_future()
        self._told: tuple[Tables | None, Tables, bytes] | None = None

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield server-sent events until the feed is closed, or 64 readers have come after this one."""
        me, before = asyncio.get_running_loop().create_future(), None
        self._readers.append(me)
        while len(self._readers) > _MOST_READERS:
            self._readers.pop(0).set_result(None)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._go_on())
        try:
            yield b"retry: 2000\n\n"
            while True:
                news = self._next
                await asyncio.wait((me, news), return_when=asyncio.FIRST_COMPLETED)
                if me.done() or (look := news.result()) is None:
                    return
                yield self._event(before, *look)
                before = look[1]
        finally:
            self._readers = [each for each in self._readers if each is not me]

    def close(self) -> None:
        """End the streams of all readers."""
        if not self._next.done():
            self._next.set_result(None)

    async def _go_on(self) -> None:
        while self._readers and not self._next.done():
            try:
                look = await asyncio.to_thread(self._look)
            except Exception:
                _log.warning("the page could not read the pool", exc_info=True)
            else:
                if not self._next.done():
                    self._next.set_result(look)
                    self._next = asyncio.get_running_loop().create_future()
            await asyncio.sleep(self._every_s)

    def _event(self, before: Tables | None, at_s: float, tables: Tables) -> bytes:
        if self._told is None or self._told[0] is not before or self._told[1] is not tables:  # else as for others
            told = {"at_s": at_s, "all": before is None, "tables": changes(before or {}, tables)}
            self._told = before, tables, b"data: " + _as_json(told) + b"\n\n"
        return self._told[2]


def _as_json(told: Any) -> bytes:
    """Return `told` as JSON. One text with half of a character (a surrogate) must not cost the whole answer."""
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


class _Told(JSONResponse):
    """What the page tells of a pool, as JSON."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return _as_json(content)


async def keep_history(tables: PoolTables, drawers: Drawers, every_s: float) -> None:
    """Add the pool to the history every so many seconds, until cancelled. Let drawers that nobody reads be closed."""
    while True:
        try:
            await asyncio.to_thread(tables.sample)
            await asyncio.to_thread(drawers.beat)
        except Exception:
            _log.warning("the page could not read the pool", exc_info=True)
        await asyncio.sleep(every_s)


Scrape = Callable[[], tuple[bytes, str]]
"""Returns the metrics for Prometheus, and their content type."""


@dataclass(frozen=True, slots=True)
class PageAnswers:
    """The answers to requests.

    Args:
        tables: the tables to show.
        drawers: tell the details of an endpoint.
        admin: makes changes.
        token: a request for a change must have it; "": no request may change anything.
        scrape: the metrics for Prometheus; None: their client is not installed.
    """

    tables: PoolTables
    drawers: Drawers
    admin: PageAdmin
    token: str
    scrape: Scrape | None

    def app(self, feed: Feed, hosts: frozenset[str]) -> Starlette:
        """Return the ASGI application, for these host names; empty: any."""
        html, policy = _page()
        gets = {
            "/": lambda _: HTMLResponse(html),
            "/state": self._state,
            "/events": lambda _: StreamingResponse(
                feed.follow(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
            ),
            "/history": lambda _: JSONResponse(self.tables.history.told()),
            "/endpoint": self._endpoint,
            "/metrics": self._metrics,
            **dict.fromkeys(("/livez", "/readyz", "/healthz"), lambda _: PlainTextResponse("ok\n")),
        }
        return Starlette(
            routes=[
                *(Route(path, answer) for path, answer in gets.items()),
                *(
                    Route(f"/admin/{name}", partial(self._change, act), methods=["POST"])
                    for name, act in self.admin.actions.items()
                ),
            ],
            middleware=[Middleware(PageGuard, hosts=hosts, policy=policy)],
        )

    def _state(self, _: Request) -> Response:
        at_s, tables = self.tables.look(still=True)
        return _Told({"at_s": at_s, **rows_as_lists(tables)})

    def _endpoint(self, request: Request) -> Response:
        """Tell the details of the endpoint of a row."""
        name = self.tables.endpoint(request.query_params.get("id", ""))
        try:
            return _refused(404, "there is no such endpoint") if name is None else _Told(self.drawers.look(name))
        except BalancerError as error:  # it has just gone
            return _refused(404, self.admin.plain(error))

    def _metrics(self, _: Request) -> Response:
        if self.scrape is None:
            return _refused(501, "the server of this page has no extra 'observe'; install it there")
        body, kind = self.scrape()
        return Response(body, headers={"Content-Type": kind})

    async def _change(self, act: Callable[[str, str, str], str], request: Request) -> Response:
        """Do what a request with the token asks for."""
        if not self.token:
            return _refused(403, "this page has no buttons; serve it with a token")
        if not shows_token(self.token, request.headers):
            return _refused(401, "the token is wrong or missing", {"WWW-Authenticate": "Bearer"})
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, "send a table as application/json")
        address = request.client.host if request.client else "unknown"
        user = request.headers.get("x-balancer-user", "")[:_LONGEST_NAME]
        try:
            done = await asyncio.to_thread(act, await _endpoint_in(request), address, user)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except (BalancerError, ValueError) as error:
            status = (
                error.status if isinstance(error, AdminRefusal) else 409 if isinstance(error, BalancerError) else 400
            )
            return _refused(status, self.admin.plain(error))
        return JSONResponse({"done": done})


async def _endpoint_in(request: Request) -> str:
    """Return the endpoint that a request names. Raises AdminRefusal, ClientDisconnect."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            raise AdminRefusal(400, f"the body has more than {_LONGEST_BODY} bytes")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, Mapping) or said.keys() != {"endpoint"} or not isinstance(said["endpoint"], str):
        raise AdminRefusal(400, 'the body must be {"endpoint": "NAME OR ID"}')
    return str(said["endpoint"])


def _refused(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return _Told({"error": why}, status, headers)


@cache
def _page() -> tuple[str, str]:
    """Return the page, with everything it needs, and its Content-Security-Policy."""
    html, style, script = ((_FOLDER / f"page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js"))
    html = html.replace("/*STYLE*/", style).replace("/*SCRIPT*/", script)
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
