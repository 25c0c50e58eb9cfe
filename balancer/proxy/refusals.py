"""Refusals, the proxy's own answers: what went wrong, as a status, as JSON in OpenAI's form, and when to try again."""

import json
import logging
import math
from http import HTTPStatus
from typing import Final

from balancer.errors import (
    AcquireTimeout,
    BalancerError,
    EndpointError,
    EndpointOverloaded,
    NoEndpoint,
    NotConnected,
    PoolClosed,
    QuotaExceeded,
    QuotaSpent,
    TooManyWaiters,
)
from balancer.shells.driver import DeadlinePassed

__all__ = ["Header", "Refusal", "refusal_for"]

_log = logging.getLogger("balancer.proxy")

Header = tuple[bytes, bytes]

_SOON_S: Final = 1
_LONGEST_S: Final = 60


class Refusal(Exception):
    """A request that is not answered by a server.

    Args:
        status: of HTTP.
        why: in words.
        kind: a word for programs; "": that of the status.
        retry_after_s: after how many seconds a client may try again; None: it should not.
        headers: further ones.
    """

    def __init__(
        self,
        status: int,
        why: str,
        kind: str = "",
        retry_after_s: float | None = None,
        headers: tuple[Header, ...] = (),
    ) -> None:
        super().__init__(why)
        self.status = status
        kind = kind or HTTPStatus(status).phrase.lower().replace(" ", "_")
        error = {"message": why, "type": kind, "code": kind, "param": None}
        self.content = json.dumps({"error": error}).encode() + b"\n"
        self.headers: list[Header] = [(b"Content-Type", b"application/json"), *headers]
        if retry_after_s is None:
            self.headers.append((b"X-Should-Retry", b"false"))  # OpenAI's clients would send it again
        else:
            wait_s = min(max(_SOON_S, math.ceil(retry_after_s)), _LONGEST_S)
            self.headers.append((b"Retry-After", b"%d" % wait_s))


def refusal_for(error: Exception) -> Refusal:
    """Return the answer for the error that a request ended with: of the pool, or of the last attempt."""
    match error:
        case Refusal():
            return error
        case QuotaExceeded():
            return Refusal(413, "the request needs more tokens than a whole quota has", "quota_exceeded")
        case NoEndpoint() if error.spent_names:
            return Refusal(429, "no account has any quota left", "insufficient_quota")
        case QuotaSpent():
            return Refusal(429, "the account has no quota left", "insufficient_quota")
        case TooManyWaiters():
            return Refusal(503, f"the queue is full: {error.waiting} requests wait already", "queue_full", _SOON_S)
        case AcquireTimeout():
            return Refusal(503, "no endpoint came free in time", "busy", _SOON_S)
        case NoEndpoint() if error.only is not None:
            why = "the server of this session is gone, and what it had with it; "
            return Refusal(404, f"{why}begin a new session, or send the file again", "session_gone")
        case NoEndpoint() if error.labels and error.endpoints:
            why = f"no endpoint in service has the labels {sorted(error.labels)}"
            return Refusal(503, why, "no_endpoint", _SOON_S)
        case NotConnected():
            return Refusal(503, "the proxy has lost the server of its pool", "no_pool", _SOON_S)
        case NoEndpoint() | PoolClosed():
            return Refusal(503, "no endpoint is in service", "no_endpoint", _SOON_S)
        case DeadlinePassed():
            return Refusal(504, "no endpoint answered before the deadline", "deadline")
        case TimeoutError():
            return Refusal(504, "no endpoint accepted a connection in time", "timeout")
        case EndpointOverloaded():
            return Refusal(503, "all endpoints are overloaded", "overloaded", error.retry_after_s or _SOON_S)
        case EndpointError():
            return Refusal(502, f"the last endpoint that was tried {error.reason}", "bad_gateway")
        case BalancerError():
            return Refusal(502, f"no endpoint could be asked: {type(error).__name__}", "bad_gateway")
    _log.error("a request could not be served", exc_info=error)
    return Refusal(500, "the proxy could not serve this request; its log says more")
