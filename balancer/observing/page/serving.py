"""Server of the live page, in its own thread, and the token of those who may drain and restore."""

import asyncio
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Final, Protocol, Self

from balancer.errors import ConfigError
from balancer.observing import WatchedPool
from balancer.observing.page.admin import Audit, PageAdmin, PoolAdmin
from balancer.observing.page.drawer import Drawers
from balancer.observing.page.history import EVERY_S
from balancer.observing.page.pool_tables import ListMembers, PoolTables, RecentEvents, Tables
from balancer.plugins.extras import has, require
from balancer.values.redaction import ShownNames
from balancer.values.wording import why_not_listening

__all__ = [
    "TOKEN_VARIABLE",
    "Page",
    "PageContents",
    "PageSource",
    "checked_token",
    "listener_at",
    "open_page",
    "token_of_environment",
]

_PATIENCE_S = 5.0
TOKEN_VARIABLE: Final = "BALANCER_PAGE_TOKEN"
_SHORTEST: Final = 16  # characters, so that it cannot be guessed


class PageSource(WatchedPool, PoolAdmin, Protocol):
    """The part of a pool that the page uses."""


class Page:
    """A page that is served, until `close` or the end of a `with` block.

    Attributes:
        url: its address.
    """

    def __init__(self, listener: socket.socket, run: Callable[["Page"], Any], end: Callable[[], object]) -> None:
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
        self._end = end
        self._process = os.getpid()  # a forked child has no thread to stop, and the socket belongs to the parent
        self._listener = listener
        self._stop: Callable[[], object] | None = None
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(run,), name="page", daemon=True)
        self._thread.start()
        self._begun.wait(_PATIENCE_S)

    def began(self, stop: Callable[[], object]) -> None:
        """Set the function that stops the server; called by its thread."""
        self._stop = stop
        self._begun.set()

    def hide(self, redact: Callable[[str], str]) -> None:
        """Do nothing: a page gets its redaction when it opens."""

    def close(self) -> None:
        """Stop the server. May be called twice."""
        if self._process != os.getpid():
            return
        self._end()
        if self._stop is not None:
            self._stop()
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE_S)

    def _run(self, run: Callable[["Page"], Any]) -> None:
        with self._listener:
            asyncio.run(run(self))

    def __repr__(self) -> str:
        return f"<Page {self.url}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class PageContents:
    """Additions to the page of a pool.

    Args:
        members: returns who has which leases; called under the pool's lock. None: the `holder` of each lease says it.
        extra: returns further tables.
        admin: carries out changes; None: the pool itself.
        audit: gets a line for each change; None: the logger "balancer.audit".
        name: of the pool, for the title; "": it has none.
    """

    members: ListMembers | None = None
    extra: Callable[[], Tables] | None = None
    admin: PoolAdmin | None = None
    audit: Audit | None = None
    name: str = ""


def open_page(
    pool: PageSource,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    token: str | None = None,
    redact: Callable[[str], str] | None = None,
    contents: PageContents = PageContents(),
) -> Page:
    """Serve the page of `pool`.

    Args:
        pool: the pool to show.
        host, port: where to listen; port 0 picks a free one.
        token: needed to change the pool; None: no reader may.
        redact: takes further secrets out of the names of endpoints and holders.
        contents: additions to the page.

    Raises:
        ConfigError: it cannot listen there, or the token is too short.
        MissingExtra: the extra `observe` is not installed.
    """
    require("observe", "the page of a pool", "starlette", "uvicorn")
    checked = checked_token(token)
    names = ShownNames(redact)
    events = RecentEvents(names)

    def further() -> Tables:
        own: Tables = {"page": {"": {"buttons": bool(checked), "name": names.without_secrets(contents.name)}}}
        return own if contents.extra is None else {**own, **contents.extra()}

    tables = PoolTables(pool, names, events, holders=contents.members, extra=further)
    drawers = Drawers(pool, names)
    admin = PageAdmin(contents.admin or pool, tables.endpoint, contents.audit, redact)
    scrape = _scrape_of(pool, redact) if has("observe", "prometheus_client") else None
    listener = listener_at(host, port)

    async def run(page: Page) -> None:
        from balancer.observing.page.app import Feed, PageAnswers, keep_history
        from balancer.observing.page.guard import allowed_hosts
        from balancer.observing.page.http_server import serve_until

        feed = Feed(tables.look)
        app = PageAnswers(tables, drawers, admin, checked, scrape).app(feed, allowed_hosts(host))
        history = asyncio.create_task(keep_history(tables, drawers, EVERY_S))
        try:
            await serve_until(app, listener, page.began, feed.close)
        finally:
            history.cancel()
            with suppress(asyncio.CancelledError):
                await history

    observation = pool.observe(events)

    def end() -> None:
        observation.end()
        drawers.close()

    return Page(listener, run, end)


def listener_at(host: str, port: int) -> socket.socket:
    """Return a socket that listens for a page. Raises ConfigError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"the page cannot listen on {host} port {port}: {why_not_listening(error)}") from None


def _scrape_of(pool: PageSource, redact: Callable[[str], str] | None) -> Callable[[], tuple[bytes, str]]:
    """Return what scrapes the metrics for Prometheus."""

    @cache
    def registry() -> Any:
        from prometheus_client import CollectorRegistry

        from balancer.observing.prometheus import Collector

        made = CollectorRegistry()
        made.register(Collector(pool, redact=redact))
        return made

    def scrape() -> tuple[bytes, str]:
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(registry()), CONTENT_TYPE_LATEST

    return scrape


def checked_token(token: str | None, where: str = "token") -> str:
    """Return the token, or "" for None (no buttons). Raises ConfigError, which does not quote the token."""
    if token is None:
        return ""
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{where}: the token has {len(token)} characters; it must be at least {_SHORTEST} printable ASCII "
            "characters without spaces, as `openssl rand -hex 16` makes them"
        )
    return token


def token_of_environment() -> str | None:
    """Return the token in the environment, or None. Raises ConfigError."""
    text = os.environ.get(TOKEN_VARIABLE, "").strip()
    return checked_token(text, TOKEN_VARIABLE) if text else None
