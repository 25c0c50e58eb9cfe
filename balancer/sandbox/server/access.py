"""Access control: requests from web pages are refused, and where a token is set, requests without it.

A page in somebody's browser can send requests to servers that only this machine reaches. It cannot do so without an
`Origin` or `Sec-Fetch-Site`, and not with the name of another host: a name that was made to mean this machine (DNS
rebinding) stays in `Host`. What a form can send without asking first has another content type than JSON.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from balancer.errors import ConfigError
from balancer.observing.page.guard import shows_token

__all__ = ["TOKEN_VARIABLE", "AccessMiddleware", "token_from"]

TOKEN_VARIABLE = "BALANCER_SANDBOX_TOKEN"
_SHORTEST = 16  # characters; a shorter one can be guessed
_OWN_PAGES = ("none", "same-origin")


def token_from(file: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """Return the token that clients must have, from a file or the environment; "" if there is to be none.

    Raises:
        ConfigError: the file cannot be read, or the token cannot be used.
    """
    where, text = TOKEN_VARIABLE, environment.get(TOKEN_VARIABLE)
    if file is not None:
        where = str(file)
        try:
            text = file.read_text("ascii")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
            raise ConfigError(f"cannot read the token from {where}: {reason}") from None  # it quotes what it read
    if text is None:
        return ""
    token = text.strip()
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"the token from {where} has {len(token)} characters; it must be at least {_SHORTEST} printable ASCII "
            "characters without spaces, as `openssl rand -hex 32` makes them"
        )
    return token


class AccessMiddleware:
    """Middleware that lets through who may ask, and answers the others.

    Args:
        app: the application.
        token: what must be shown, or "".
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it here."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") not in _OWN_PAGES:
            return JSONResponse({"detail": "requests from web pages are refused"}, 403)
        if self._token and not shows_token(self._token, headers):
            detail = "a token is needed: the header Authorization with Bearer and the token"
            return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Bearer"})
        return None
