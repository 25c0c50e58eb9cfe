"""A key in the headers of an endpoint: the caller gets it through the lease, and nobody else anywhere."""

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback

import httpx2
import pytest
from rich.console import Console
from rich.pretty import pretty_repr

from balancer import Endpoint, NoEndpoint, Pool, UnknownEndpoint, load_config
from balancer.values.headers import Headers

_CANARY = "c4n4ry-Zq9"
_BEARER = f"Bearer {_CANARY}"


def _endpoint():
    return Endpoint("http://a/", headers={"Authorization": _BEARER, "X-Team": "judges"})


def _from_config(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text(
        '[[endpoints]]\nurl = "http://a/"\nheaders = { Authorization = "Bearer ${KEY}", "X-Team" = "judges" }'
    )
    return Pool.from_config(load_config(file, environ={"KEY": _CANARY}))


def _of_python(_):
    return Pool([_endpoint()])


@pytest.mark.parametrize("make", [_from_config, _of_python])
def test_the_caller_reads_headers_through_the_lease(make, tmp_path):
    with make(tmp_path).lease(timeout=0) as lease:
        headers = lease.endpoint.headers
        assert dict(headers) == {"Authorization": _BEARER, "X-Team": "judges"}
        assert [type(value) for value in headers.values()] == [str, str]
        assert httpx2.Request("GET", lease.endpoint.url, headers=headers).headers["authorization"] == _BEARER
        with pytest.raises(TypeError):
            headers["Authorization"] = "mine"


def test_what_is_changed_on_the_way_keeps_its_headers():
    pool = Pool([_endpoint()])
    pool.update("http://a/", capacity=2)
    with pool.lease(timeout=0) as lease:
        assert lease.endpoint.headers["Authorization"] == _BEARER


def _locals(lease):
    """Return what a traceback with the values of its variables shows."""
    endpoint, headers = lease.endpoint, lease.endpoint.headers
    try:
        raise KeyError(endpoint, headers)
    except KeyError:
        console = Console(record=True, width=200)
        with console.capture() as shown:
            console.print_exception(show_locals=True)
        return shown.get() + traceback.format_exc()


def _logged(lease):
    return logging.Formatter().format(
        logging.makeLogRecord({"msg": "%s %r %s", "args": (lease, lease.endpoint, lease.endpoint.headers)})
    )


_SHOWN = {
    "repr": lambda pool, lease: [repr(each) for each in (pool, lease, lease.endpoint, lease.endpoint.headers)],
    "str": lambda pool, lease: [str(each) for each in (pool, lease, lease.endpoint, lease.endpoint.headers)],
    "print": lambda pool, lease: pprint.pformat(lease.endpoint) + pretty_repr(lease.endpoint, expand_all=True),
    "asdict": lambda pool, lease: dataclasses.asdict(lease.endpoint),
    "astuple": lambda pool, lease: dataclasses.astuple(lease.endpoint),
    "JSON": lambda pool, lease: json.dumps(dataclasses.asdict(lease.endpoint), default=str),
    "JSON of lists": lambda pool, lease: json.dumps(dataclasses.asdict(lease.endpoint), default=list),
    "stats": lambda pool, lease: [pool.stats(), json.dumps(pool.stats().to_dict())],
    "leases": lambda pool, lease: [pool.leases(), repr(pool.leases())],
    "log": lambda pool, lease: _logged(lease),
    "traceback": lambda pool, lease: _locals(lease),
    "keys": lambda pool, lease: [*lease.endpoint.headers],
}


@pytest.mark.parametrize("how", _SHOWN)
def test_a_key_is_shown_nowhere(how):
    pool = Pool([_endpoint()])
    with pool.lease(timeout=0) as lease:
        shown = str(_SHOWN[how](pool, lease))
    assert shown
    assert _CANARY not in shown


def test_a_key_is_in_no_line_of_the_log(caplog):
    caplog.set_level(logging.DEBUG, logger="balancer")
    pool = Pool([_endpoint(), "http://b/"], strategy="first", leak_after_s=0.001)
    for _ in range(20):
        with pytest.raises(ConnectionError), pool.lease(timeout=0):
            raise ConnectionError
    assert pool.stats().ejections
    assert "http://a/" in caplog.text
    assert _CANARY not in caplog.text + str([vars(record) for record in caplog.records])


def test_a_key_is_in_no_error():
    pool = Pool([_endpoint()])
    for wrong in (
        lambda: pool.add(_endpoint()),
        lambda: Pool(_endpoint()),
        lambda: pool.drain(_endpoint()),
        lambda: pool.acquire(0, exclude={"http://a/"}),
        lambda: pool.remove("http://b/"),
        lambda: dataclasses.replace(_endpoint(), capacity=0),
    ):
        with pytest.raises((ValueError, TypeError, NoEndpoint, UnknownEndpoint)) as caught:
            wrong()
        assert _CANARY not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({"Authorization": f"{_CANARY}\r\nX: y"}, "header 'Authorization'"),
        ({"Authorization": f"{_CANARY}é"}, "header 'Authorization'"),
        ({"Authorization": _CANARY.encode()}, "header 'Authorization'"),
        ({"Authorization": ""}, "header 'Authorization'"),
        ({"X Key": _CANARY}, "'X Key' is not a header name"),
        (f"Authorization: {_CANARY}", "headers takes a mapping"),
        ([("Authorization", _CANARY)], "headers takes a mapping"),
        (None, "headers takes a mapping"),
    ],
)
def test_headers_that_cannot_be_sent_are_one_line_without_their_values(headers, says):
    with pytest.raises(ValueError, match="endpoint http://a/: ") as caught:
        Endpoint("http://a/", headers=headers)
    assert says in str(caught.value)
    assert _CANARY not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_copies_and_pickles_are_endpoints_to_call_so_they_have_the_key():
    """A worker process that is sent an endpoint is to call it. A pickle is no text for people: it is not shown."""
    endpoint = _endpoint()
    for twin in (copy.copy(endpoint), copy.deepcopy(endpoint), pickle.loads(pickle.dumps(endpoint))):
        assert twin == endpoint
        assert hash(twin) == hash(endpoint)
        assert twin.headers["Authorization"] == _BEARER
        assert _CANARY not in repr(twin)
    assert Endpoint("http://a/") != endpoint
    assert Headers({"A": "1"}) == {"A": "1"}
    assert repr(Headers()) == "<no headers>"
