"""Access control of the page: host names, cross-site requests, and the token of its buttons.

It refuses requests of other web pages, and requests with another host name (DNS rebinding). Buttons need the token.
"""

import hmac
import ipaddress
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["PageGuard", "allowed_hosts", "shows_token"]

_OWN: Final = ("none", "same-origin")


def allowed_hosts(address: str) -> frozenset[str]:
    """Return the allowed host names for a page that listens on `address`; empty: any."""
    try:
        loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        loopback = address == "localhost"
    return (
        frozenset({"127.0.0.1", "[::1]", "localhost", f"[{address}]" if ":" in address else address})
        if loopback
        else frozenset()
    )


class PageGuard:
    """Middleware that refuses requests that must not pass, and sets security headers.

    Args:
        app: the application.
        hosts: the allowed host names; empty: any.
        policy: the Content-Security-Policy.
    """

    def __init__(self, app: ASGIApp, hosts: frozenset[str], policy: str) -> None:
        self._app = app
        self._hosts = hosts
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            return
        refusal = self._refusal(scope["path"], Headers(scope=scope))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, path: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if self._hosts and name not in self._hosts:
            return JSONResponse({"error": "this page does not serve this host name; use the URL that was printed"}, 421)
        if path != "/" and headers.get("sec-fetch-site", "none") not in _OWN:
            return JSONResponse({"error": "requests of other web pages are refused"}, 403)
        return None


def shows_token(token: str, headers: Headers) -> bool:
    """Return whether a request has the token: `Authorization: Bearer TOKEN`. The comparison takes constant time."""
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(shown.strip().encode(), token.encode())
    return bool(token) and same and scheme.lower() == "bearer"
