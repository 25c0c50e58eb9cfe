"""Routes of the page: HTML, state, events, metrics for Prometheus, and drain and restore.

Besides, the pool is read every ten seconds for the history.

The event stream sends all tables first, then changes once a second. The pool is read only while there are readers, once
for all of them. A reader that is too slow misses changes, and then gets all tables again. With one reader too many, the
stream of the first one ends; a browser comes back after two seconds.
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
from balancer.observing.page.admin import Action, AdminRefusal, ChangeLog, WhoAsks
from balancer.observing.page.drawer import Drawers
from balancer.observing.page.guard import PageGuard, shows_token
from balancer.observing.page.pool_tables import PoolTables, Tables, changes, rows_as_lists

__all__ = ["Feed", "Scrape", "build_app", "keep_history"]

_log = logging.getLogger("balancer.page")

_MOST_BEHIND: Final = 16  # frames
_MOST_READERS: Final = 64
_FOLDER: Final = Path(__file__).parent
_LONGEST_BODY: Final = 4096
_LONGEST_NAME: Final = 100
_WHO: Final = "x-balancer-user"


class Feed:
    """Sends the result of `look` to all readers. Use it within one event loop.

    Args:
        look: returns the time in seconds, and the tables; called in a thread.
        every_s: seconds between two looks.
    """

    def __init__(self, look: Callable[[], tuple[float, Tables]], every_s: float = 1.0) -> None:
        self._look = look
        self._every_s = every_s
        self._readers: dict[asyncio.Queue[bytes | None], bool] = {}  # True if the reader must get all tables
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield server-sent events until the feed is closed, or 64 readers have come after this one."""
        if len(self._readers) >= _MOST_READERS:
            first = next(iter(self._readers))
            del self._readers[first]
            _end(first)
        mine: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_BEHIND)
        self._readers[mine] = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._go_on())
        try:
            yield b"retry: 2000\n\n"
            while not self._closed and (event := await mine.get()) is not None:
                yield event
        finally:
            self._readers.pop(mine, None)

    def close(self) -> None:
        """End the streams of all readers."""
        self._closed = True
        for queue in self._readers:
            _end(queue)

    async def _go_on(self) -> None:
        before: Tables = {}
        while self._readers and not self._closed:
            try:
                at_s, tables = await asyncio.to_thread(self._look)
            except Exception:
                _log.warning("the page could not read the pool", exc_info=True)
            else:
                self._send(at_s, before, tables)
                before = tables
            await asyncio.sleep(self._every_s)

    def _send(self, at_s: float, before: Tables, tables: Tables) -> None:
        news = _event({"at_s": at_s, "tables": changes(before, tables)})
        everything = b""
        for queue, is_new in self._readers.items():
            if queue.full():  # it does not read; without the lost changes the unread ones are useless
                while not queue.empty():
                    queue.get_nowait()
                is_new = True
            if is_new:
                everything = everything or _event({"at_s": at_s, "all": True, "tables": changes({}, tables)})
            queue.put_nowait(everything if is_new else news)
            self._readers[queue] = False


def _end(queue: asyncio.Queue[bytes | None]) -> None:
    """End the stream of a reader."""
    while queue.full():
        queue.get_nowait()
    queue.put_nowait(None)


def _event(told: dict[str, Any]) -> bytes:
    return b"data: " + _as_json(told) + b"\n\n"


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


def build_app(
    tables: PoolTables,
    feed: Feed,
    *,
    actions: Mapping[str, Action],
    drawers: Drawers,
    log: ChangeLog,
    token: str,
    hosts: frozenset[str],
    scrape: Scrape | None,
) -> Starlette:
    """Return the ASGI application.

    Args:
        tables: the tables to show.
        feed: the stream for readers.
        actions: what may be changed, only for requests with `token`; for none if that is "".
        drawers: tell the details of an endpoint.
        log: gets each change.
        hosts: the allowed host names; empty: any.
        scrape: the metrics for Prometheus; None: their client is not installed.
    """
    html, policy = _page()
    answers = _Answers(html, tables, feed, token, scrape, log, drawers)
    return Starlette(
        routes=[
            Route("/", answers.page),
            Route("/state", answers.state),
            Route("/events", answers.events),
            Route("/history", answers.history),
            Route("/endpoint", answers.endpoint),
            Route("/metrics", answers.metrics),
            *(Route(path, answers.alive) for path in ("/livez", "/readyz", "/healthz")),
            *(Route(f"/{name}", partial(answers.press, act), methods=["POST"]) for name, act in actions.items()),
            *(Route(f"/admin/{name}", partial(answers.ask, act), methods=["POST"]) for name, act in actions.items()),
        ],
        middleware=[Middleware(PageGuard, hosts=hosts, policy=policy)],
    )


@dataclass(frozen=True, slots=True)
class _Answers:
    """The request handlers.

    Args:
        html: the page.
        tables: the tables to show.
        feed: the stream for readers.
        token: the token for buttons; "": there are none.
        scrape: the metrics for Prometheus; None: their client is not installed.
        log: gets each change.
        drawers: tell the details of an endpoint.
    """

    html: str
    tables: PoolTables
    feed: Feed
    token: str
    scrape: Scrape | None
    log: ChangeLog
    drawers: Drawers

    async def page(self, _: Request) -> Response:
        return HTMLResponse(self.html)

    async def state(self, _: Request) -> Response:
        at_s, tables = await asyncio.to_thread(self.tables.look, still=True)
        return _Told({"at_s": at_s, **rows_as_lists(tables)})

    async def events(self, _: Request) -> Response:
        headers = {"X-Accel-Buffering": "no"}
        return StreamingResponse(self.feed.follow(), media_type="text/event-stream", headers=headers)

    async def history(self, _: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(self.tables.history.told))

    async def endpoint(self, request: Request) -> Response:
        """Tell the details of the endpoint of a row."""
        name = self.tables.endpoint(request.query_params.get("id", ""))
        if name is None:
            return _refused(404, "there is no such endpoint")
        try:
            return _Told(await asyncio.to_thread(self.drawers.look, name))
        except BalancerError as error:  # it has just gone
            return _refused(404, self.log.plain(error))

    async def alive(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def metrics(self, _: Request) -> Response:
        if self.scrape is None:
            return JSONResponse({"error": "the server of this page has no extra 'observe'; install it there"}, 501)
        body, kind = await asyncio.to_thread(self.scrape)
        return Response(body, headers={"Content-Type": kind})

    async def press(self, act: Action, request: Request) -> Response:
        """Do what a button says, to the endpoint of a row."""

        def on_row(said: Mapping[str, Any]) -> str:
            row = said.get("endpoint")
            if not isinstance(row, str):
                raise AdminRefusal(400, 'the body has no text as endpoint; send {"endpoint": ID}')
            name = self.tables.endpoint(row)
            if name is None:
                raise AdminRefusal(404, "there is no such endpoint")
            return act({"endpoint": name})

        return await self.ask(on_row, request)

    async def ask(self, act: Action, request: Request) -> Response:
        """Do what a request with the token asks for, and log it."""
        if not self.token:
            return _refused(403, "this page has no buttons; serve it with a token")
        if not shows_token(self.token, request.headers):
            return _refused(401, "the token is wrong or missing", {"WWW-Authenticate": "Bearer"})
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, "send a table as application/json")
        try:
            said = await _table_in(request)
            done = await asyncio.to_thread(act, said)
        except ClientDisconnect:
            return Response(status_code=499)  # nobody reads it
        except AdminRefusal as error:
            return _refused(error.status, self.log.plain(error))
        except BalancerError as error:
            return _refused(409, self.log.plain(error))
        except ValueError as error:
            return _refused(400, self.log.plain(error))
        address = request.client.host if request.client else "unknown"
        self.log.write(WhoAsks(address, request.headers.get(_WHO, "")[:_LONGEST_NAME]), done)
        return JSONResponse({"done": self.log.shown(done)})


async def _table_in(request: Request) -> Mapping[str, Any]:
    """Return the table in a request. Raises AdminRefusal, ClientDisconnect."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LONGEST_BODY:
            raise AdminRefusal(400, f"the body has more than {_LONGEST_BODY} bytes")
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        raise AdminRefusal(400, "the body is no JSON") from None
    if not isinstance(said, dict):
        raise AdminRefusal(400, "the body is no table")
    return said


def _refused(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return _Told({"error": why}, status, headers)


@cache
def _page() -> tuple[str, str]:
    """Return the page, with everything it needs, and its Content-Security-Policy."""
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
