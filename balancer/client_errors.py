"""Errors of HTTP clients: whether the endpoint did not answer, or how it did.

Decides which errors are known, by the names they are known by, so that nothing has to be imported to recognise them;
also which statuses say that a server is busy, which answers say that nobody pays any more, and how a `Retry-After` is
read. What follows for an endpoint is decided elsewhere.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final

__all__ = [
    "BUSY_STATUSES",
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

REFUSALS: Final = (400, 403, 429)
"""The statuses whose body may say that the account has nothing left."""

_TRANSPORT_ERRORS = frozenset(
    {
        "aiohttp.client_exceptions.ClientConnectionError",
        "aiohttp.client_exceptions.ClientPayloadError",
        "http.client.HTTPException",
        "httpx.TransportError",
        "httpx2.TransportError",
        "openai.APIConnectionError",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "requests.exceptions.ChunkedEncodingError",
        "urllib3.exceptions.HTTPError",
        "urllib.error.URLError",
    }
)
_CALLERS_OWN = frozenset({"http.client.InvalidURL"})  # though it is an HTTPException

# The error raised for a status, and the path to it.
_STATUS_ERRORS = {
    "aiohttp.client_exceptions.ClientResponseError": ("status",),
    "httpx.HTTPStatusError": ("response", "status_code"),
    "httpx2.HTTPStatusError": ("response", "status_code"),
    "openai.APIStatusError": ("status_code",),
    "requests.exceptions.HTTPError": ("response", "status_code"),
    "urllib.error.HTTPError": ("code",),
}


_PAYMENT_REQUIRED = 402
_SPENT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_LONGEST_BODY = 100_000  # an error is short; what is longer is something else
_SECONDS = re.compile(r"[0-9]+(\.[0-9]*)?")
_LONGEST_S = 1e18  # more digits would only make it infinite


def said_nothing(error: BaseException) -> bool:
    """Return whether `error` says that the endpoint did not answer as it should have: a transport error."""
    names = _names(error)
    return not names.isdisjoint(_TRANSPORT_ERRORS) and names.isdisjoint(_CALLERS_OWN)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status that `error` was raised for; None if it was not."""
    for name in _names(error) & _STATUS_ERRORS.keys():
        found: Any = error
        for part in _STATUS_ERRORS[name]:
            found = getattr(found, part, None)
        return found if isinstance(found, int) else None
    return None


def says_spent(error: BaseException) -> bool:
    """Return whether `error` is an answer that the account has nothing left, which no retry can help.

    It is looked for in what the client has read already; nothing is read for it.
    """
    status = status_of(error)
    if status is None:
        return False
    body: Any = getattr(error, "body", None)
    if body is None:
        response: Any = getattr(error, "response", None)
        if getattr(response, "_content", None) is False:  # that of requests would read it, all of it
            return is_spent(status, None)
        try:
            body = response.content
        except Exception:  # e.g. the body of a stream, which nobody has read
            body = None
    return is_spent(status, body)


def is_spent(status: int, body: object) -> bool:
    """Return whether an answer says that the account has nothing left.

    Args:
        status: of HTTP; 402 says so by itself.
        body: the answer's JSON, in bytes, as a text or decoded, as OpenAI's servers and those like them give it; None:
            not known.
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
        except ValueError:  # also bytes of no encoding
            return False
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    return isinstance(body, dict) and not _SPENT.isdisjoint(v for v in (body.get("code"), body.get("type")) if _text(v))


def _text(value: object) -> bool:
    return isinstance(value, str)


def retry_after_s(error: BaseException) -> float | None:
    """Return the seconds that the answer which `error` was raised for asks to be left alone; None if it does not."""
    if status_of(error) is None:
        return None
    headers = getattr(getattr(error, "response", error), "headers", None)
    return asked_pause_s(_header(headers, "Retry-After"), answered=_date(_header(headers, "Date")))


def asked_pause_s(retry_after: str | None, *, answered: datetime | None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), or None if it says nothing.

    Args:
        retry_after: the header: seconds, or a date.
        answered: what a date is compared with: the instant of the answer, best by the server's own clock (its `Date`
            header); None: not known, and then a date says nothing.
    """
    text = (retry_after or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), _LONGEST_S)
    until = _date(text)
    return None if until is None or answered is None else max(0.0, (until - answered).total_seconds())


def _header(headers: Any, name: str) -> str | None:
    try:
        found = headers[name]
    except (KeyError, TypeError):
        return None
    return found if isinstance(found, str) else None


def _date(text: str | None) -> datetime | None:
    from email.utils import (
        parsedate_to_datetime,  # here, because it loads sockets, which a pool without errors need not
    )

    try:
        date = parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):  # e.g. a year or a zone of twenty digits
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)  # "-0000": UTC, of unknown place


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
