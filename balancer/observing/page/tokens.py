"""Token of the page's buttons: where it comes from, and what it must be like."""

import os
from typing import Final

from balancer.errors import ConfigError

__all__ = ["TOKEN_VARIABLE", "checked_token", "token_of_environment"]

TOKEN_VARIABLE: Final = "BALANCER_PAGE_TOKEN"
_SHORTEST: Final = 16  # characters that nobody guesses


def checked_token(token: str | None, where: str = "token") -> str:
    """Return the token, or "" for None: then there are no buttons. Raises ConfigError, which does not quote it."""
    if token is None:
        return ""
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{where}: the token has {len(token)} characters; it must be at least {_SHORTEST} printable ASCII "
            "characters without spaces, as `openssl rand -hex 16` makes them"
        )
    return token


def token_of_environment() -> str | None:
    """Return the token in the environment; None: there is none. Raises ConfigError."""
    text = os.environ.get(TOKEN_VARIABLE, "").strip()
    return checked_token(text, TOKEN_VARIABLE) if text else None
