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
        ("url", ""),
        ("url", "  "),
        ("url", None),
        ("url", 5),
        ("capacity", 0),
        ("capacity", 1.5),
        ("weight", 0),
        ("weight", math.inf),
        ("labels", "isolated"),
        ("labels", 5),
        ("labels", [1]),
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


# -- Lease -----------------------------------------------------------------------------------------


# -- whose fault -----------------------------------------------------------------------------------


def known_as(*names: str) -> Exception:
    """Return an exception whose classes go by these dotted names, the root first, as a library's would."""
    kind: type[Exception] = OSError
    for name in names:
        module, _, qualname = name.rpartition(".")
        kind = type(qualname, (kind,), {"__module__": module})
    return kind()


STATUSES = {
    404: Outcome.IGNORED,
    429: Outcome.OVERLOAD,
    500: Outcome.FAILURE,
    502: Outcome.FAILURE,
    503: Outcome.OVERLOAD,
}


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


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [("7", 7.0), ("0", 0.0), ("1.5", 1.5), ("-1", None), ("nan", None)]
)
def test_a_retry_after_in_seconds_is_heard(retry_after, seconds):
    for error in raised_for(503, retry_after):
        hint = judged(error).hint
        assert (hint.retry_after_s if hint else None) == seconds


@pytest.mark.parametrize(
    ("date", "seconds"), [("Wed, 21 Oct 2026 07:28:00 GMT", 30.0), (None, None), ("yesterday", None)]
)
def test_a_retry_after_that_is_a_date_is_heard_by_the_servers_clock(date, seconds):
    for error in raised_for(503, "Wed, 21 Oct 2026 07:28:30 GMT", date):
        hint = judged(error).hint
        assert (hint.retry_after_s if hint else None) == seconds


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, Outcome.SUCCESS),
        (EndpointError("down"), Outcome.FAILURE),
        (EndpointOverloaded("busy"), Outcome.OVERLOAD),
        (CannotTell("its limit is lower than what was asked for"), Outcome.IGNORED),
        (ConnectionRefusedError(), Outcome.FAILURE),
        (ConnectionResetError(), Outcome.FAILURE),
        (TimeoutError(), Outcome.FAILURE),
        (http.client.RemoteDisconnected(), Outcome.FAILURE),
        (http.client.IncompleteRead(b""), Outcome.FAILURE),
        (urllib.error.URLError("no route"), Outcome.FAILURE),
        (socket.gaierror(-2, "Name or service not known"), Outcome.FAILURE),
        (ssl.SSLCertVerificationError("self-signed"), Outcome.FAILURE),
        (OSError(errno.EHOSTUNREACH, "No route to host"), Outcome.FAILURE),
        (FileNotFoundError(errno.ENOENT, "mine"), Outcome.IGNORED),
        (httpx2.ConnectError("refused"), Outcome.FAILURE),
        (httpx2.ReadTimeout("slow"), Outcome.FAILURE),
        (httpx2.RemoteProtocolError("odd"), Outcome.FAILURE),
        (known_as("requests.exceptions.RequestException", "requests.exceptions.ConnectionError"), Outcome.FAILURE),
        (known_as("requests.exceptions.Timeout", "requests.exceptions.ReadTimeout"), Outcome.FAILURE),
        (known_as("urllib3.exceptions.HTTPError", "urllib3.exceptions.ProtocolError"), Outcome.FAILURE),
        (known_as("aiohttp.client_exceptions.ClientConnectionError", "mine.Wrapped"), Outcome.FAILURE),
        (known_as("openai.APIConnectionError", "openai.APITimeoutError"), Outcome.FAILURE),
        (known_as("requests.exceptions.RequestException", "requests.exceptions.InvalidURL"), Outcome.IGNORED),
        (known_as("mine.ConnectionError"), Outcome.IGNORED),  # a name alone proves nothing
        (httpx2.InvalidURL("mine"), Outcome.IGNORED),
        (http.client.InvalidURL("mine"), Outcome.IGNORED),
        *[(error, outcome) for status, outcome in STATUSES.items() for error in raised_for(status)],
        (httpx2.TooManyRedirects("mine"), Outcome.IGNORED),
        (AcquireTimeout(1.0, 1.0), Outcome.IGNORED),  # another pool had none; this endpoint did nothing wrong
        (ValueError("mine"), Outcome.IGNORED),
        (AssertionError(), Outcome.IGNORED),
        (KeyboardInterrupt(), Outcome.IGNORED),
        (GeneratorExit(), Outcome.IGNORED),
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
