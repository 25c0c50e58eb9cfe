"""Endpoint, Outcome, Lease, and whose fault an exception is."""

import errno
import http.client
import math
import socket
import ssl
import urllib.error
from email.message import Message
from typing import Any

import httpx2
import pytest

from balancer import Pool
from balancer.endpoint import Endpoint, Outcome, judged, outcome_of
from balancer.errors import AcquireTimeout, CannotTell, EndpointError, EndpointOverloaded

# -- Endpoint --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://10.0.0.1:8080/", "10.0.0.1"),
        ("https://user@Example.COM/path", "example.com"),
        ("http://[::1]:80/", "::1"),
        ("local://1", "1"),
        ("just a name", "just a name"),
        ("http://[broken/", "http://[broken/"),
        ("http://", "http://"),
    ],
)
def test_the_host_is_that_of_the_url_unless_given(url, host):
    assert Endpoint(url).host == host
    assert Endpoint(url, host="other").host == "other"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("url", wrong) for wrong in ("", "  ", None, 5)),
        *(("capacity", wrong) for wrong in (0, 1.5)),
        *(("weight", wrong) for wrong in (0, math.inf)),
        *(("labels", wrong) for wrong in ("isolated", 5, [1])),
    ],
)
def test_a_field_out_of_range_is_one_line_that_shows_it(field, value):
    fields = {"url": "http://a/", field: value}
    with pytest.raises(ValueError, match=field) as caught:
        Endpoint(**fields)
    assert repr(value) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["url", "name", "host", "quota", "labels"])
def test_half_of_a_character_is_refused(field):
    """No page, file or network could hold it."""
    given: dict[str, Any] = {"url": "http://h/", field: "\ud800" if field != "labels" else {"a", "\ud800"}}
    with pytest.raises(ValueError, match=rf"{field} has half of a character \(a surrogate pair\), which is no text"):
        Endpoint(**given)
    assert Endpoint("http://h/", name="\U0001f600 h\u00e9").name == "\U0001f600 h\u00e9"


def test_an_endpoint_is_a_value():
    endpoint = Endpoint("a", labels=["y", "x", "y"])
    assert endpoint.labels == {"x", "y"}
    assert endpoint == Endpoint("a", labels=frozenset("xy"))
    assert len({endpoint, Endpoint("a", labels=frozenset("xy"))}) == 1
    with pytest.raises(AttributeError):
        endpoint.capacity = 2


# -- whose fault -----------------------------------------------------------------------------------


def known_as(*names: str) -> Exception:
    """Return an exception whose classes go by these dotted names, the root first, as a library's would."""
    kind: type[Exception] = OSError
    for name in names:
        module, _, qualname = name.rpartition(".")
        kind = type(qualname, (kind,), {"__module__": module})
    return kind()


_IGNORED, _OVERLOAD, _FAILURE = Outcome.IGNORED, Outcome.OVERLOAD, Outcome.FAILURE
STATUSES = {404: _IGNORED, 429: _OVERLOAD, 500: _FAILURE, 502: _FAILURE, 503: _OVERLOAD}


def raised_for(status: int, retry_after: str = "7", date: str | None = None) -> list[Exception]:
    """Return what clients raise for a status: two that are installed, and three by their names."""
    headers = Message()
    headers["Retry-After"] = retry_after
    if date is not None:
        headers["Date"] = date
    response = httpx2.Response(status, headers=dict(headers), request=httpx2.Request("GET", "http://a/"))
    with pytest.raises(httpx2.HTTPStatusError) as caught:
        response.raise_for_status()
    others = [
        known_as("requests.exceptions.RequestException", "requests.exceptions.HTTPError"),
        known_as("openai.APIError", "openai.APIStatusError"),
        known_as("aiohttp.client_exceptions.ClientError", "aiohttp.client_exceptions.ClientResponseError"),
    ]
    vars(others[0]).update(response=response)
    vars(others[1]).update(response=response, status_code=status)
    vars(others[2]).update(status=status, headers=headers)
    return [caught.value, urllib.error.HTTPError("http://a/", status, "", headers, None), *others]


def test_a_retry_after_that_is_a_text_is_not_heard():
    assert judged(EndpointOverloaded("busy", retry_after_s="2")).hint is None


_WHEN = "Wed, 21 Oct 2026 07:28:{} GMT"


@pytest.mark.parametrize(
    ("retry_after", "date", "seconds"),
    [
        ("7", None, 7.0),
        ("-1", None, None),
        (_WHEN.format(30), _WHEN.format("00"), 30.0),
        (_WHEN.format(30), None, None),
        (_WHEN.format(30), "yesterday", None),
    ],
)
def test_a_retry_after_is_heard_and_a_date_by_the_servers_clock(retry_after, date, seconds):
    for error in raised_for(503, retry_after, date):
        hint = judged(error).hint
        assert (hint.retry_after_s if hint else None) == seconds


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.SUCCESS),
        (EndpointError("down"), _FAILURE),
        (EndpointOverloaded("busy"), Outcome.OVERLOAD),
        (CannotTell("its limit is lower than what was asked for"), _IGNORED),
        (ConnectionRefusedError(), _FAILURE),
        (ConnectionResetError(), _FAILURE),
        (TimeoutError(), _FAILURE),
        (http.client.RemoteDisconnected(), _FAILURE),
        (http.client.IncompleteRead(b""), _FAILURE),
        (urllib.error.URLError("no route"), _FAILURE),
        (socket.gaierror(-2, "Name or service not known"), _FAILURE),
        (ssl.SSLCertVerificationError("self-signed"), _FAILURE),
        (OSError(errno.EHOSTUNREACH, "No route to host"), _FAILURE),
        (FileNotFoundError(errno.ENOENT, "mine"), _IGNORED),
        (httpx2.ConnectError("refused"), _FAILURE),
        (httpx2.ReadTimeout("slow"), _FAILURE),
        (httpx2.RemoteProtocolError("odd"), _FAILURE),
        (known_as("requests.exceptions.RequestException", "requests.exceptions.ConnectionError"), _FAILURE),
        (known_as("requests.exceptions.Timeout", "requests.exceptions.ReadTimeout"), _FAILURE),
        (known_as("urllib3.exceptions.HTTPError", "urllib3.exceptions.ProtocolError"), _FAILURE),
        (known_as("aiohttp.client_exceptions.ClientConnectionError", "mine.Wrapped"), _FAILURE),
        (known_as("openai.APIConnectionError", "openai.APITimeoutError"), _FAILURE),
        (known_as("requests.exceptions.RequestException", "requests.exceptions.InvalidURL"), _IGNORED),
        (known_as("mine.ConnectionError"), _IGNORED),  # a name alone proves nothing
        (httpx2.InvalidURL("mine"), _IGNORED),
        (http.client.InvalidURL("mine"), _IGNORED),
        *[(error, outcome) for status, outcome in STATUSES.items() for error in raised_for(status)],
        (httpx2.TooManyRedirects("mine"), _IGNORED),
        (AcquireTimeout(1.0, 1.0), _IGNORED),  # another pool had none; this endpoint did nothing wrong
        (ValueError("mine"), _IGNORED),
        (AssertionError(), _IGNORED),
        (KeyboardInterrupt(), _IGNORED),
        (GeneratorExit(), _IGNORED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_exception_is_the_endpoints_fault_or_the_callers(error, outcome):
    assert outcome_of(error) is outcome


def test_the_outcome_of_a_lease_is_what_was_said_last_whatever_its_block_raises():
    pool = Pool(["http://a/"])

    def fail() -> None:
        with pool.lease() as lease:
            lease.outcome = Outcome.IGNORED
            raise EndpointError("down")

    with pytest.raises(EndpointError):
        fail()
    lease = pool.acquire()
    assert repr(lease) == "<Lease 2 of http://a/, out>"
    lease.outcome = Outcome.FAILURE
    lease.release(Outcome.OVERLOAD)
    assert repr(lease) == "<Lease 2 of http://a/, ended>"
    with pool.lease() as lease:
        lease.outcome = Outcome.FAILURE
    (stats,) = pool.stats().endpoints
    assert (stats.failures, stats.overloads, stats.ignored) == (1, 1, 1)
