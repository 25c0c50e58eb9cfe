"""What the errors of HTTP clients say: that the endpoint did not answer, or with which status it did.

Decides which errors are known, by the names they are known by, so that nothing has to be imported to recognise them.
It must not know what follows for an endpoint.
"""

import math
from typing import Any

__all__ = ["retry_after_s", "said_nothing", "status_of"]

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


def retry_after_s(error: BaseException) -> float | None:
    """Return the seconds in the `Retry-After` of the answer that `error` was raised for; a date is not looked at."""
    if status_of(error) is None:
        return None
    headers = getattr(getattr(error, "response", error), "headers", None)
    try:
        seconds = float(headers["Retry-After"]) if headers else math.nan
    except (KeyError, TypeError, ValueError):
        return None
    return seconds if 0 <= seconds < math.inf else None


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
