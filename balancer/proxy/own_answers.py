"""The proxy's own answers: what went wrong, as a status, as JSON in OpenAI's form, and when to try again."""

import json
import math
from http import HTTPStatus
from typing import Final, NamedTuple

from balancer.errors import (
    AcquireTimeout,
    EndpointError,
    EndpointOverloaded,
    NoEndpoint,
    NotConnected,
    PoolClosed,
    QuotaExceeded,
    QuotaSpent,
    TooManyWaiters,
)
from balancer.proxy.heads import BadRequest, Header, answer_head, dated
from balancer.shells.driver import DeadlinePassed

__all__ = ["OwnAnswer", "answer_for"]

_LONGEST_S: Final = 60


class OwnAnswer(NamedTuple):
    """An answer of the proxy itself.

    Attributes:
        status: of HTTP.
        why: in words.
        kind: a word for programs.
        retry_after_s: after how many seconds a client may try again; None: it should not.
        headers: further ones.
    """

    status: int
    why: str
    kind: str
    retry_after_s: float | None = None
    headers: tuple[Header, ...] = ()

    @classmethod
    def to(cls, bad: BadRequest) -> "OwnAnswer":
        """Return the answer to a request that is refused."""
        kind = HTTPStatus(bad.status).phrase.lower().replace(" ", "_")
        headers = ((b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),) if bad.status == 405 else ()
        return cls(bad.status, bad.why, kind, headers=headers)

    def as_message(self) -> bytes:
        """Return all of it, after which the connection ends."""
        content = self.content()
        framing = [(b"Content-Length", b"%d" % len(content)), (b"Connection", b"close")]
        return answer_head(self.status, b"", [*self.all_headers(), dated()], framing) + content

    def content(self) -> bytes:
        """Return the body."""
        error = {"message": self.why, "type": self.kind, "code": self.kind, "param": None}
        return json.dumps({"error": error}).encode() + b"\n"

    def all_headers(self) -> list[Header]:
        """Return the headers, without those that frame the answer."""
        told = [(b"Content-Type", b"application/json"), *self.headers]
        if self.retry_after_s is not None:
            wait_s = min(max(1, math.ceil(self.retry_after_s)), _LONGEST_S)
            told.append((b"Retry-After", b"%d" % wait_s))
        else:
            told.append((b"X-Should-Retry", b"false"))  # OpenAI's clients would send it again
        return told


def answer_for(error: BaseException, wait_s: float) -> OwnAnswer:
    """Return the answer for the error that a request ended with. It names no endpoint.

    Args:
        error: of the pool, or of the last attempt.
        wait_s: when a client may try again, if the error does not say it.
    """
    if isinstance(error, QuotaExceeded):
        return OwnAnswer(413, "the request needs more tokens than a whole quota has", "quota_exceeded")
    if isinstance(error, NoEndpoint) and error.spent_names:
        return OwnAnswer(429, "no account has any quota left", "insufficient_quota")
    if isinstance(error, QuotaSpent):
        return OwnAnswer(429, "the account has no quota left", "insufficient_quota")
    if isinstance(error, TooManyWaiters):
        status, whose = (503, "the queue") if error.holder is None else (429, f"the queue of {error.holder}")
        return OwnAnswer(status, f"{whose} is full: {error.waiting} requests wait already", "queue_full", wait_s)
    if isinstance(error, AcquireTimeout):
        return OwnAnswer(503, "no endpoint came free in time", "busy", wait_s)
    if isinstance(error, NoEndpoint) and error.only is not None:
        why = "the server of this session is gone, and what it had with it; begin a new session, or send the file again"
        return OwnAnswer(404, why, "session_gone")
    if isinstance(error, NoEndpoint) and error.labels and error.endpoints:
        return OwnAnswer(503, f"no endpoint in service has the labels {sorted(error.labels)}", "no_endpoint", wait_s)
    if isinstance(error, NotConnected):
        return OwnAnswer(503, "the proxy has lost the server of its pool", "no_pool", wait_s)
    if isinstance(error, NoEndpoint | PoolClosed):
        return OwnAnswer(503, "no endpoint is in service", "no_endpoint", wait_s)
    if isinstance(error, DeadlinePassed):
        return OwnAnswer(504, "no endpoint answered before the deadline", "deadline")
    if isinstance(error, TimeoutError):
        return OwnAnswer(504, "no endpoint accepted a connection in time", "timeout")
    if isinstance(error, EndpointOverloaded):
        return OwnAnswer(503, "all endpoints are overloaded", "overloaded", error.retry_after_s or wait_s)
    if isinstance(error, EndpointError):
        return OwnAnswer(502, f"the last endpoint that was tried {error.reason}", "bad_gateway")
    return OwnAnswer(502, f"no endpoint could be asked: {type(error).__name__}", "bad_gateway")
