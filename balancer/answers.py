"""What the answer of a server says about it: errors of HTTP clients, statuses, `Retry-After`, and load reports.

Errors are recognised by the names of their classes, so no client library is imported. `balancer.endpoint` decides what
they mean for an endpoint.

Load reports come in the headers of answers: ORCA, "open request cost aggregation".
The header `endpoint-load-metrics` has several forms, told apart by its first word or by the header's name:

    endpoint-load-metrics: TEXT cpu_utilization=0.3, named_metrics.kv_cache_usage_perc=0.4
    endpoint-load-metrics: JSON {"cpu_utilization": 0.3, "named_metrics": {"kv_cache_usage_perc": 0.4}}
    endpoint-load-metrics-json: {"cpu_utilization": 0.3}

vLLM sends the first two if a request has the header `endpoint-load-metrics-format: TEXT` (or JSON). A header that
cannot be read, such as one of ORCA's binary form, counts as no report, and is never an error.
"""

import errno
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

__all__ = [
    "ASK",
    "BUSY_STATUSES",
    "NO_ENTRY",
    "REFUSALS",
    "Load",
    "asked_pause_s",
    "is_spent",
    "load_of",
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
        "socket.gaierror",
        "ssl.SSLError",
        "urllib3.exceptions.HTTPError",
        "urllib.error.URLError",
    }
)
_NO_WAY_THERE = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH})  # an OSError of these has no class of its own
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
    if isinstance(error, OSError) and error.errno in _NO_WAY_THERE:
        return True
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


# -- load reports ----------------------------------------------------------------------------------

ASK: Final = "endpoint-load-metrics-format"
"""The header by which a request asks for a report, with the value "TEXT" or "JSON"."""

_LOAD_HEADER: Final = "endpoint-load-metrics"
_FORMS: Final = ((_LOAD_HEADER, ""), (f"{_LOAD_HEADER}-json", "JSON"))

_LONGEST: Final = 16_384  # characters
_NAMED: Final = "named_metrics"
_UTILIZATIONS: Final = ("kv_cache_usage_perc", "kv_cache_utilization", "gpu_cache_usage_perc")  # of vLLM, by version
_WAITING: Final = "num_requests_waiting"
_PLAIN: Final = ("application_utilization", "cpu_utilization", "mem_utilization", "rps_fractional", "eps")


@dataclass(frozen=True, slots=True)
class Load:
    """One load report of a server. A value that it does not have is None.

    Args:
        application_utilization, cpu_utilization, mem_utilization: used parts; above 1 means overused.
        rps_fractional, eps: requests and errors per second.
        named_metrics: other values, by the server's names.
    """

    application_utilization: float | None = None
    cpu_utilization: float | None = None
    mem_utilization: float | None = None
    rps_fractional: float | None = None
    eps: float | None = None
    named_metrics: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}), hash=False)

    @property
    def used(self) -> float | None:
        """The used part of the server: as it reports itself, else of its cache, else of its CPU. None if unknown."""
        if self.application_utilization is not None:
            return self.application_utilization
        for name in _UTILIZATIONS:
            if name in self.named_metrics:
                return self.named_metrics[name]
        return self.cpu_utilization

    @property
    def waiting(self) -> float | None:
        """How many requests wait in the server, or None."""
        return self.named_metrics.get(_WAITING)


def load_of(headers: Mapping[str, str]) -> Load | None:
    """Return the load that the headers of an answer report; None if there is no readable report.

    Args:
        headers: by name. Headers of HTTP clients ignore case; a plain dict needs lower case.
    """
    for name, kind in _FORMS:
        text = headers.get(name)
        if isinstance(text, str) and len(text) <= _LONGEST:
            try:
                return _report_of(text.strip(), kind)
            except (ValueError, TypeError, LookupError, RecursionError):
                return None
    return None


def _report_of(text: str, kind: str) -> Load | None:
    if not kind:
        word, _, rest = text.partition(" ")
        kind, text = (word.upper(), rest.strip()) if word.upper() in ("TEXT", "JSON") else ("TEXT", text)
    found = _of_json(text) if kind == "JSON" else _of_text(text)
    plain: dict[str, float] = {}
    named: dict[str, float] = {}
    for name, value in found:
        if not math.isfinite(value):
            raise ValueError(f"{name} is not a finite number")
        if name in _PLAIN:
            plain[name] = value
        elif name.startswith(f"{_NAMED}."):
            named[name.removeprefix(f"{_NAMED}.")] = value
    return Load(**plain, named_metrics=MappingProxyType(named)) if plain or named else None


def _of_text(text: str) -> Iterator[tuple[str, float]]:
    """Yield name and value of each pair. Envoy writes "name:value", vLLM "name=value"."""
    for pair in text.split(","):
        at = max(pair.rfind("="), pair.rfind(":"))
        if at < 0:
            raise ValueError("a pair without a value")
        yield pair[:at].strip(), float(pair[at + 1 :])


def _of_json(text: str) -> Iterator[tuple[str, float]]:
    report: Any = json.loads(text if text.startswith("{") else f"{{{text}}}")  # the standard leaves out the braces
    for name, value in report.items():
        if isinstance(value, dict):
            yield from ((f"{_camel_to_snake(name)}.{inner}", _number(each)) for inner, each in value.items())
        else:
            yield _camel_to_snake(name), _number(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _camel_to_snake(name: str) -> str:
    """Convert a field name such as cpuUtilization, which JSON may use, to the message's name."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
