"""Errors of HTTP answers: what an answer says of the endpoint, and which error of its own a client gets.

Decides which error stands for an answer: that which the client raises for its status. What an error counts as, and
whether a request may go elsewhere after it, is decided where all errors are (`balancer.endpoint`). It must not know how
an answer is read.
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
]

MOST_BYTES = 2**20
"""So much is kept of the body of an answer that is not handed on at once."""

HALF_SENT = "the request's body was begun and cannot be sent again"

# Clients that Stainless has made retry by themselves, and number their tries; this header of an answer stops them.
_COUNTS_TRIES = "x-stainless-retry-count"
_STOPS_RETRIES = "x-should-retry"
_OPENAI = "OpenAI/Python"
_SPENT = "insufficient_quota"


class FinalFailure(Exception):
    """An attempt failed, and no other one may follow. Field: `error`, what it failed with."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


def pool_timeout_of(request: Any) -> float | None:
    """Return how long the client waits for a connection, in seconds: so long a lease is waited for. None: no limit."""
    timeout = request.extensions.get("timeout") or {}
    found = timeout.get("pool")
    return float(found) if isinstance(found, int | float) and found >= 0 else None


def status_error(http: ModuleType, request: Any, answer: Any, endpoint: Endpoint) -> Exception | None:
    """Return the error that a client raises for the status of `answer`; None: for none."""
    if answer.status_code < 400:
        return None
    date_it(answer.headers)
    error: Exception = http.HTTPStatusError(
        f"{endpoint.name} answered {answer.status_code}", request=request, response=answer
    )
    return error


def date_it(headers: Any) -> None:
    """Let an answer say when it came, if it does not: a date in its Retry-After is compared with that."""
    if "Date" not in headers:  # what RFC 9110, 6.6.1 asks for
        headers["Date"] = formatdate(time.time(), usegmt=True)


def last_answer(error: BaseException) -> Any | None:
    """Return the answer that `error` stands for, which its client gets after all; None: there was none."""
    return getattr(error, "response", None) if type(error).__name__ == "HTTPStatusError" else None


def stop_retries(answer: Any) -> None:
    """Tell a client that retries by itself that this was done already."""
    answer.headers.setdefault(_STOPS_RETRIES, "false")


def redacted(error: Exception, endpoint: Endpoint) -> Exception:
    """Return `error`, or one of its kind in whose words the endpoint's headers are not to be seen."""
    words = str(error)
    shown = without_secrets(words, endpoint)
    if shown == words:
        return error
    try:
        other: Exception = type(error)(shown)
    except TypeError:  # it takes more than words
        other = EndpointError(shown, endpoint=endpoint.name)
    other.__suppress_context__ = True
    return other


def for_client(http: ModuleType, request: Any, error: Exception, *, last_word: bool) -> Exception:
    """Return `error` as the client knows errors: what the pool said, in the client's words.

    OpenAI's clients raise their own errors as they are, and try again after all others. So what is the `last_word`,
    because it was tried several times or its deadline has passed, or was waited for, is an error of theirs: else three
    tries would be nine, and a deadline three.
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
    return known


def _openai_error(http: ModuleType, request: Any, error: Exception) -> Exception | None:
    theirs: Any = sys.modules.get("openai")
    if theirs is None or not isinstance(error, http.TransportError):
        return None
    if _COUNTS_TRIES not in request.headers or _OPENAI not in request.headers.get("User-Agent", ""):
        return None
    spent: Sequence[str] = getattr(error.__cause__, "spent_names", ())
    if spent:
        own: Exception = _spent_error(theirs, http, request, error, spent)
    elif isinstance(error, http.TimeoutException):
        own = theirs.APITimeoutError(request=request)
    else:
        own = theirs.APIConnectionError(message=f"Connection error: {error}", request=request)
    own.__cause__ = error
    return own


def _spent_error(theirs: Any, http: ModuleType, request: Any, error: Exception, names: Sequence[str]) -> Exception:
    """Return what OpenAI's client raises for an account with nothing left: what the servers had answered before.

    None of them was asked again, so there is no answer to hand on; who catches the first such error catches this one.
    """
    said = {"code": _SPENT, "type": _SPENT, "message": str(error), "param": None, "endpoints": list(names)}
    answer = http.Response(429, request=request, json={"error": said})
    own: Exception = theirs.RateLimitError(str(error), response=answer, body=said)
    return own
