"""Errors of HTTP clients: transport errors, statuses, used-up accounts, and `Retry-After`.

Errors are recognised by the names of their classes, so no client library is imported. `balancer.endpoint` decides what
they mean for an endpoint.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

__all__ = [
    "BUSY_STATUSES",
    "NO_ENTRY",
    "REFUSALS",
    "asked_pause_s",
    "is_spent",
    "retry_after_s",
    "said_nothing",
    "says_spent",
    "status_of",
]

BUSY_STATUSES: Final = (429, 503)
"""Too many requests; service unavailable."""

NO_ENTRY: Final = (401, 403, 407)
"""The server, or a proxy before it, wants another token."""

REFUSALS: Final = (400, 403, 429)
"""The statuses whose body may say that the account has no quota left."""

_TRANSPORT_ERRORS = frozenset(
    {
        "aiohttp.client_exceptions.ClientConnectionError",
        "aiohttp.client_exceptions.ClientPayloadError",
        "anthropic.APIConnectionError",
        "http.client.HTTPException",
        "httpx.TransportError",
        "httpx2.TransportError",
        "niquests.exceptions.ChunkedEncodingError",
        "niquests.exceptions.ConnectionError",
        "niquests.exceptions.Timeout",
        "openai.APIConnectionError",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "requests.exceptions.ChunkedEncodingError",
        "urllib3.exceptions.HTTPError",
        "urllib.error.URLError",
    }
)
_CALLERS_OWN = frozenset({"http.client.InvalidURL"})  # a mistake in a URL, though its class is an HTTPException

# The error for a status, and the path to that status.
_STATUS_ERRORS = {
    "aiohttp.client_exceptions.ClientResponseError": ("status",),
    "anthropic.APIStatusError": ("status_code",),
    "cohere.core.api_error.ApiError": ("status_code",),
    "google.genai.errors.APIError": ("code",),
    "httpx.HTTPStatusError": ("response", "status_code"),
    "httpx2.HTTPStatusError": ("response", "status_code"),
    "niquests.exceptions.HTTPError": ("response", "status_code"),
    "openai.APIStatusError": ("status_code",),
    "requests.exceptions.HTTPError": ("response", "status_code"),
    "urllib.error.HTTPError": ("code",),
}


_RPC_ERROR = "grpc.RpcError"
# The statuses of gRPC that are about the server, as those of HTTP. "Unavailable" is also what a refused connection is.
_RPC_STATUSES = {
    "UNAVAILABLE": 502,
    "DEADLINE_EXCEEDED": 504,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
}

_PAYMENT_REQUIRED = 402
_SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_LONGEST_BODY = 100_000  # a longer body is not an error
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")
_LONGEST_S = 1e18  # more digits would only make it infinite


def said_nothing(error: BaseException) -> bool:
    """Return whether `error` is a transport error: the endpoint did not answer as it should have."""
    names = _names(error)
    return not names.isdisjoint(_TRANSPORT_ERRORS) and names.isdisjoint(_CALLERS_OWN)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that `error` was raised for, or that its gRPC status is like; None: neither."""
    for name in _names(error) & _STATUS_ERRORS.keys():
        found: Any = error
        for part in _STATUS_ERRORS[name]:
            found = _read(found, part)
        return found if isinstance(found, int) else None
    return _status_of_rpc(error)


def _status_of_rpc(error: BaseException) -> int | None:
    if _RPC_ERROR not in _names(error):
        return None
    try:
        return _RPC_STATUSES.get(error.code().name)  # type: ignore[attr-defined]
    except Exception:  # its code is not known, or it is no code of theirs
        return None


def says_spent(error: BaseException) -> bool:
    """Return whether `error` is an answer that the account has no quota left. No retry can help then.

    It looks at what the client has read already, and reads nothing more.
    """
    status = status_of(error)
    if status is None:
        return False
    body = _read(error, "body")
    if body is None:
        response = _read(error, "response")
        raw = _read(response, "raw")  # of requests, which reads on if it is asked for the content before that is closed
        if raw is None or _read(raw, "closed"):
            body = _read(response, "content")  # None: e.g. the body of a stream that is not read yet
    return is_spent(status, body)


def is_spent(status: int, body: object) -> bool:
    """Return whether an answer says that the account has no quota left.

    Args:
        status: of HTTP; 402 says so by itself.
        body: the answer's JSON in the form of OpenAI's servers, as bytes, as a string or decoded; None: unknown.
    """
    if status == _PAYMENT_REQUIRED:
        return True
    if status not in REFUSALS:
        return False
    if isinstance(body, bytes | bytearray | str):
        if len(body) > _LONGEST_BODY:
            return False
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):  # also bytes that are not text
            return False
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    return isinstance(body, dict) and not _SPENT.isdisjoint(v for v in (body.get("code"), body.get("type")) if _text(v))


def _text(value: object) -> bool:
    return isinstance(value, str)


def retry_after_s(error: BaseException) -> float | None:
    """Return for how many seconds the answer behind `error` asks for no calls, or None if it does not ask."""
    if status_of(error) is None:
        return None
    answer = error if _read(error, "response") is None else _read(error, "response")
    return asked_pause_s(_read(answer, "headers"))


def asked_pause_s(headers: Any, *, received: datetime | None = None) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3), or None if it cannot be used.

    A date is compared with the `Date` header, the time of the answer by the server's own clock. This machine's clock
    may be hours off.

    Args:
        headers: of the answer.
        received: when it came, by this machine's clock; used for an answer without a `Date`. None: then a date cannot
            be used.
    """
    text = (_header(headers, "Retry-After") or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), _LONGEST_S)
    until, answered = _date(text), _date(_header(headers, "Date")) or received
    return None if until is None or answered is None else max(0.0, (until - answered).total_seconds())


def _header(headers: Any, name: str) -> str | None:
    try:
        found = headers[name]
    except Exception:  # there is none, or these are no headers
        return None
    return found if isinstance(found, str) else None


def _date(text: str | None) -> datetime | None:
    from email.utils import (
        parsedate_to_datetime,  # imported here: it loads sockets, which a pool without errors does not need
    )

    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):  # e.g. a year or a zone of twenty digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)  # "-0000": UTC, of unknown place


def _read(of: Any, name: str) -> Any:
    """Return an attribute of an error or of its answer; None if there is none, or if it raises. They are not ours."""
    try:
        return getattr(of, name, None)
    except Exception:
        return None


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
