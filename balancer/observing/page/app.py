"""Routes of the page: HTML, state, history, metrics for Prometheus, and drain and restore with their audit lines."""

import base64
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, UnknownEndpoint
from balancer.observing import PoolAdmin
from balancer.observing.page.guard import PageGuard, shows_token
from balancer.observing.page.history import Drawers
from balancer.observing.page.pool_tables import PoolTables
from balancer.values.redaction import in_one_line, plain_name
from balancer.values.urls import identity_of

__all__ = ["PageAnswers"]

_AUDIT: Final = logging.getLogger("balancer.audit")
_FOLDER: Final = Path(__file__).parent
_LONGEST_BODY: Final = 4096


class _Told(JSONResponse):
    """JSON. One text with half of a character (a surrogate) must not cost the whole answer."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class PageAnswers:
    """The answers to requests.

    Args:
        tables: the tables to show.
        drawers: tell the details of an endpoint.
        admin: carries out changes.
        audit: gets a line for each change; None: the logger "balancer.audit", level INFO.
        redact: takes further secrets out of all that is said.
        token: a request for a change must have it; None: no request may change anything.
        scrape: the metrics for Prometheus; None: their client is not installed.
    """

    tables: PoolTables
    drawers: Drawers
    admin: PoolAdmin
    audit: Callable[[str], object] | None
    redact: Callable[[str], str]
    token: str | None
    scrape: Callable[[], tuple[bytes, str]] | None

    def app(self, hosts: frozenset[str]) -> Starlette:
        """Return the ASGI application, for these host names; empty: any."""
        html, policy = _page()
        gets: dict[str, Callable[[Request], Response]] = {
            "/": lambda _: HTMLResponse(html),
            "/state": lambda _: _Told(self.tables.look()),
            "/history": lambda _: JSONResponse(self.tables.history.told()),
            "/endpoint": self._details,
            "/metrics": self._metrics,
            **dict.fromkeys(("/livez", "/readyz", "/healthz"), lambda _: PlainTextResponse("ok\n")),
        }
        changes = {"drain": self._drain, "restore": self._restore}
        return Starlette(
            routes=[
                *(Route(path, answer) for path, answer in gets.items()),
                *(
                    Route(f"/admin/{name}", partial(self._change, act), methods=["POST"])
                    for name, act in changes.items()
                ),
            ],
            middleware=[Middleware(PageGuard, hosts=hosts, policy=policy)],
            exception_handlers={
                HTTPException: self._refuse,
                BalancerError: self._refuse,
                ClientDisconnect: lambda *_: Response(status_code=499),  # nobody reads it
            },
        )

    def _refuse(self, _: Request, error: Exception) -> Response:
        status = 404 if isinstance(error, UnknownEndpoint) else 409
        refused = error if isinstance(error, HTTPException) else HTTPException(status, str(error))
        return _Told({"error": in_one_line(self.redact(refused.detail), 300)}, refused.status_code, refused.headers)

    def _details(self, request: Request) -> Response:
        """Tell the details of the endpoint of a row."""
        return _Told(self.drawers.look(self.tables.endpoint(request.query_params.get("id", ""))))

    def _metrics(self, _: Request) -> Response:
        if self.scrape is None:
            raise HTTPException(501, "the server of this page has no extra 'observe'; install it there")
        body, kind = self.scrape()
        return Response(body, headers={"Content-Type": kind})

    async def _change(self, act: Callable[[Endpoint], str], request: Request) -> Response:
        """Do what a request with the token asks for, and write an audit line: when, who, what."""
        if self.token is None:
            raise HTTPException(403, "this page has no buttons; serve it with a token")
        if not shows_token(self.token, request.headers):
            raise HTTPException(401, "the token is wrong or missing", {"WWW-Authenticate": "Bearer"})
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise HTTPException(415, "send a table as application/json")
        endpoint = self._known(_endpoint_in(await request.body()))
        done = await run_in_threadpool(act, endpoint)
        user, address = request.headers.get("x-balancer-user", ""), request.client.host if request.client else "unknown"
        who = f"{in_one_line(user, 60)!r} at {address}" if user else address
        when = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        (self.audit or _AUDIT.info)(self.redact(f"audit: {when} {who}: {done}"))
        return _Told({"done": self.redact(done)})

    def _drain(self, endpoint: Endpoint) -> str:
        self.admin.drain(endpoint.name)
        return f"drained {plain_name(endpoint.name)}"

    def _restore(self, endpoint: Endpoint) -> str:
        self.admin.add(endpoint)
        return f"restored {plain_name(endpoint.name)}"

    def _known(self, said: str) -> Endpoint:
        """Return the endpoint of this name, shown name or row."""
        endpoints = self.admin.endpoints()
        found = [each for each in endpoints if identity_of(each.name) == identity_of(said)] or [
            each for each in endpoints if said in (plain_name(each.name), self.tables.row(each.name))
        ]
        if len(found) > 1:
            raise HTTPException(409, "several endpoints are shown under this name; give the id, as in /state")
        if not found:
            raise HTTPException(404, "there is no such endpoint")
        return found[0]


def _endpoint_in(body: bytes) -> str:
    """Return the endpoint that a request names."""
    try:
        said = json.loads(body) if len(body) <= _LONGEST_BODY else None
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict) or said.keys() != {"endpoint"} or not isinstance(said["endpoint"], str):
        raise HTTPException(400, 'the body must be {"endpoint": "NAME OR ID"}')
    return str(said["endpoint"])


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
