"""Errors of HTTP answers: the error for a status, and the error that the client gets.

The error for an answer is the one that the client raises for its status. `balancer.endpoint` decides what an error
counts as, and whether the request may go elsewhere.
"""

import sys
import time
from collections.abc import Sequence
from email.utils import formatdate
from types import ModuleType
from typing import Any

from balancer.endpoint import Endpoint
from balancer.errors import AcquireTimeout, BalancerError, EndpointError, NoEndpoint, PoolClosed, TooManyWaiters
from balancer.shells.driver import DeadlinePassed
from balancer.transports.forwarding import without_secrets

__all__ = [
    "HALF_SENT",
    "MOST_BYTES",
    "FinalFailure",
    "for_client",
    "last_answer",
    "pool_timeout_of",
    "redacted",
    "status_error",
    "stop_retries",
    "with_notes_of",
]

MOST_BYTES = 2**20
"""How many bytes of the body of an answer are kept if the answer is not passed on at once."""

HALF_SENT = "a part of its body was sent, which cannot be sent again"

# Clients made by Stainless retry by themselves, and number their tries. This header of an answer stops them.
_COUNTS_TRIES = "x-stainless-retry-count"
_STOPS_RETRIES = "x-should-retry"
_OPENAI = "OpenAI/Python"
_SPENT = "insufficient_quota"


class FinalFailure(Exception):
    """An attempt failed, and no further one may follow.

    Fields: `error`, the failure, and `last_word`: True if the client must not send the request again either.
    """

    def __init__(self, error: Exception, *, last_word: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.last_word = last_word


def pool_timeout_of(request: Any) -> float | None:
    """Return how many seconds the client waits for a connection, which limits the wait for a lease. None: no limit."""
    timeout = request.extensions.get("timeout") or {}
    found = timeout.get("pool")
    return float(found) if isinstance(found, int | float) and found >= 0 else None


def status_error(http: ModuleType, request: Any, answer: Any, endpoint: Endpoint) -> Exception | None:
    """Return the error that a client raises for the status of `answer`, or None."""
    if answer.status_code < 400:
        return None
    date_it(answer.headers)
    error: Exception = http.HTTPStatusError(
        f"{endpoint.name} answered {answer.status_code}", request=request, response=answer
    )
    return error


def date_it(headers: Any) -> None:
    """Add a date to an answer without one: a date in its Retry-After is compared with it."""
    if "Date" not in headers:  # RFC 9110, 6.6.1 asks for it
        headers["Date"] = formatdate(time.time(), usegmt=True)


def last_answer(error: BaseException) -> Any | None:
    """Return the answer behind `error`, which the client gets in the end; None if there was none."""
    return getattr(error, "response", None) if type(error).__name__ == "HTTPStatusError" else None


def stop_retries(answer: Any) -> None:
    """Tell a client that retries by itself not to do so."""
    answer.headers.setdefault(_STOPS_RETRIES, "false")


def redacted(error: Exception, endpoint: Endpoint) -> Exception:
    """Return `error`, or an error of its kind whose text does not contain the endpoint's headers. Never raises."""
    try:
        words = str(error)
    except Exception:  # it is not ours
        words = type(error).__name__
    shown = without_secrets(words, endpoint)
    if shown == words:
        return error
    try:
        other: Exception = type(error)(shown)
    except Exception:  # its constructor takes more than a text
        other = EndpointError(shown, endpoint=endpoint.name)
    other.__suppress_context__ = True
    return other


def for_client(http: ModuleType, request: Any, error: Exception, *, last_word: bool) -> Exception:
    """Return `error` as an error of the client's library.

    OpenAI's clients raise their own errors as they are, and retry after all others. So a `last_word` (after several
    tries, a passed deadline or a wait) becomes an error of theirs. Otherwise three tries would be nine, and a deadline
    would last three times as long.
    """
    known: Exception = error
    if isinstance(error, AcquireTimeout | TooManyWaiters):
        known = http.PoolTimeout(str(error), request=request)
    elif isinstance(error, DeadlinePassed):
        known = http.ReadTimeout(str(error), request=request)
    elif isinstance(error, NoEndpoint | PoolClosed):
        known = http.ConnectError(str(error), request=request)
    if known is not error:
        known.__cause__ = error
    if isinstance(error, BalancerError) or last_word:
        known = _openai_error(http, request, known) or known
    return with_notes_of(error, known)


def with_notes_of(error: Exception, known: Exception) -> Exception:
    """Return `known`, with the notes of `error` that it lacks: where and how often the request was tried."""
    if known is not error:
        for note in getattr(error, "__notes__", ()):
            known.add_note(note)
    return known


def _openai_error(http: ModuleType, request: Any, error: Exception) -> Exception | None:
    theirs: Any = sys.modules.get("openai")
    if theirs is None or not isinstance(error, http.TransportError):
        return None
    if _COUNTS_TRIES not in request.headers or _OPENAI not in request.headers.get("User-Agent", ""):
        return None
    spent: Sequence[str] = getattr(error.__cause__, "spent_names", ())
    only: str | None = getattr(error.__cause__, "only", None)
    if spent:
        own: Exception = _spent_error(theirs, http, request, error, spent)
    elif only is not None:
        own = _gone_error(theirs, http, request, error)
    elif isinstance(error, http.TimeoutException):
        own = _timeout_error(theirs, request, error)
    else:
        own = theirs.APIConnectionError(message=f"Connection error: {error}", request=request)
    own.__cause__ = error
    return own


def _timeout_error(theirs: Any, request: Any, error: Exception) -> Exception:
    """Return the timeout of OpenAI's client, which has a text of its own: it hides that a free slot was waited for."""
    own: Any = theirs.APITimeoutError(request=request)
    if text := str(error):
        own.message = f"Request timed out: {text}"
        own.args = (own.message,)
    timeout: Exception = own
    return timeout


def _spent_error(theirs: Any, http: ModuleType, request: Any, error: Exception, names: Sequence[str]) -> Exception:
    """Return the error that OpenAI's client raises for an account without quota, with the servers' earlier answers.

    No server was asked again, so there is no answer to pass on. Code that catches the first such error catches this one
    too.
    """
    said = {"code": _SPENT, "type": _SPENT, "message": str(error), "param": None, "endpoints": list(names)}
    answer = http.Response(429, request=request, json={"error": said})
    own: Exception = theirs.RateLimitError(str(error), response=answer, body=said)
    return own


def _gone_error(theirs: Any, http: ModuleType, request: Any, error: Exception) -> Exception:
    """Return the error that OpenAI's client raises for what is not there any more, as its server is gone."""
    said = {"code": "session_gone", "type": "session_gone", "message": str(error), "param": None}
    answer = http.Response(404, request=request, json={"error": said})
    own: Exception = theirs.NotFoundError(str(error), response=answer, body=said)
    return own
