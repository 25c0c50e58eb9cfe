"""Server of the live page, in its own thread, and the token of those who may drain and restore."""

import asyncio
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from balancer.errors import ConfigError
from balancer.observing import PoolAdmin, WatchedPool
from balancer.observing.page.history import EVERY_S, Drawers
from balancer.observing.page.pool_tables import Extra, ListMembers, PoolTables, RecentEvents, Tables
from balancer.plugins.extras import has, require
from balancer.values.headers import token_mistake
from balancer.values.redaction import ShownNames
from balancer.values.wording import why_not_listening

if TYPE_CHECKING:
    from balancer.observing.page.connections import HttpServer

__all__ = [
    "TOKEN_VARIABLE",
    "Page",
    "PageContents",
    "PageSource",
    "open_page",
    "token_of_environment",
]

_log = logging.getLogger("balancer.page")

_PATIENCE_S = 5.0
TOKEN_VARIABLE: Final = "BALANCER_PAGE_TOKEN"
_MOST_CONNECTIONS: Final = 256  # the most files that the page takes from the process
_TIMES: Final = (10.0, 10.0, 20.0)  # limits of each, see `HttpConnections`


class PageSource(WatchedPool, PoolAdmin, Protocol):
    """The part of a pool that the page uses."""


class Page:
    """A page that is served, until `close` or the end of a `with` block.

    Attributes:
        url: its address.
    """

    def __init__(
        self,
        listener: socket.socket,
        server: "HttpServer",
        beats: Iterable[Callable[[], object]],
        ends: Iterable[Callable[[], object]],
    ) -> None:
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
        self._listener = listener
        self._server = server
        self._beats = beats
        self._ends = ends
        self._process = os.getpid()  # a forked child has no thread to stop, and the socket belongs to the parent
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="page", daemon=True)
        self._thread.start()

    def hide(self, redact: Callable[[str], str]) -> None:
        """Do nothing: a page gets its redaction when it opens."""

    def close(self) -> None:
        """Stop the server. May be called twice."""
        if self._process != os.getpid():
            return
        for end in self._ends:
            end()
        self._server.should_exit = True
        if self._thread is not threading.current_thread():
            self._thread.join(_PATIENCE_S)

    async def _serve(self) -> None:
        beating = asyncio.create_task(self._beat())
        with self._listener:
            await self._server.serve(sockets=[self._listener])
        beating.cancel()

    async def _beat(self) -> None:
        """Add the pool to the history again and again. Let drawers that nobody reads be closed."""
        while True:
            try:
                for beat in self._beats:
                    await asyncio.to_thread(beat)
            except Exception:
                _log.warning("the page could not read the pool", exc_info=True)
            await asyncio.sleep(EVERY_S)

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
    extra: Extra = dict
    admin: PoolAdmin | None = None
    audit: Callable[[str], object] | None = None
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
    import uvicorn

    from balancer.observing.page.app import PageAnswers
    from balancer.observing.page.connections import HttpConnections, HttpServer, WatchedConnection
    from balancer.observing.page.guard import allowed_hosts

    if token is not None and (mistake := token_mistake(token)):
        raise ConfigError(f"token: {mistake}")
    names = ShownNames(redact)
    events = RecentEvents(names)
    about = {"buttons": token is not None, "name": names.without_secrets(contents.name)}

    def further() -> Tables:
        return {"page": about, **contents.extra()}

    tables = PoolTables(pool, names, events, holders=contents.members, extra=further)
    drawers = Drawers(pool, names)
    scrape = None
    if has("observe", "prometheus_client"):
        from balancer.observing.prometheus import Collector, scrape_of

        scrape = scrape_of(Collector(pool, redact=redact))
    admin = contents.admin or pool
    answers = PageAnswers(tables, drawers, admin, contents.audit, redact or str, token, scrape)
    connections = HttpConnections(_MOST_CONNECTIONS, _TIMES)
    config = uvicorn.Config(
        answers.app(allowed_hosts(host)),
        http=partial(WatchedConnection, connections),  # type: ignore[arg-type]  # called like the class
        log_config=None,  # logging belongs to the program, which may use uvicorn too
        lifespan="off",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    listener = _listener_at(host, port)
    observation = pool.observe(events)
    return Page(listener, HttpServer(config), (tables.sample, drawers.beat), (observation.end, drawers.close))


def _listener_at(host: str, port: int) -> socket.socket:
    """Return a socket that listens for a page. Raises ConfigError."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"the page cannot listen on {host} port {port}: {why_not_listening(error)}") from None


def token_of_environment() -> str | None:
    """Return the token in the environment, or None. Raises ConfigError."""
    token = os.environ.get(TOKEN_VARIABLE, "").strip() or None
    if token is not None and (mistake := token_mistake(token)):
        raise ConfigError(f"{TOKEN_VARIABLE}: {mistake}")
    return token
