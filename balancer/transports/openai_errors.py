"""Errors of OpenAI's clients, which retry after any other error, and how a client that retries by itself is stopped.

Such a client raises its own errors as they are. So the last word of a transport (after several tries, a passed deadline
or a wait) becomes an error of it. Otherwise three tries would be nine, and a deadline would last three times as long.
"""

import sys
from types import ModuleType
from typing import Any

__all__ = ["openai_error", "stop_retries"]

# Clients made by Stainless retry by themselves, and number their tries. This header of an answer stops them.
_COUNTS_TRIES = "x-stainless-retry-count"
_STOPS_RETRIES = "x-should-retry"
_OPENAI = "OpenAI/Python"
_SPENT = "insufficient_quota"
_GONE = "session_gone"


def stop_retries(answer: Any) -> None:
    """Tell a client that retries by itself not to do so."""
    answer.headers.setdefault(_STOPS_RETRIES, "false")


def openai_error(http: ModuleType, request: Any, error: Exception) -> Any:
    """Return the error that OpenAI's client raises for `error`; None: it is not OpenAI's client, or it is no error of
    a transport.

    Args:
        http: its library.
        request: of the client.
        error: an error of that library; its cause says more.
    """
    theirs: Any = sys.modules.get("openai")
    if theirs is None or not isinstance(error, http.TransportError):
        return None
    if _COUNTS_TRIES not in request.headers or _OPENAI not in request.headers.get("User-Agent", ""):
        return None
    cause = error.__cause__
    if spent := getattr(cause, "spent_names", ()):
        # As for an account without quota, with the servers' earlier answers: no server was asked again. Code that
        # catches the first such error catches this one too.
        said = {"code": _SPENT, "type": _SPENT, "endpoints": list(spent)}
        own = _of_status(theirs.RateLimitError, http, request, error, 429, said)
    elif getattr(cause, "only", None) is not None:
        # As for what is not there any more: its server is gone.
        own = _of_status(theirs.NotFoundError, http, request, error, 404, {"code": _GONE, "type": _GONE})
    elif isinstance(error, http.TimeoutException):
        own = theirs.APITimeoutError(request=request)
        if text := str(error):  # its own text hides that a free slot was waited for
            own.message = f"Request timed out: {text}"
            own.args = (own.message,)
    else:
        own = theirs.APIConnectionError(message=f"Connection error: {error}", request=request)
    own.__cause__ = error
    return own


def _of_status(kind: Any, http: ModuleType, request: Any, error: Exception, status: int, said: dict[str, Any]) -> Any:
    body = {**said, "message": str(error), "param": None}
    return kind(str(error), response=http.Response(status, request=request, json={"error": body}), body=body)
