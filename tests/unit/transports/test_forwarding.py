"""The request as an endpoint gets it: URLs, headers, and bodies that may be sent twice."""

import io
from types import ModuleType
from typing import Any

import httpx
import httpx2
import pytest

from balancer import BalancedTransport
from balancer.endpoint import Endpoint
from balancer.errors import ConfigError
from balancer.transports.forwarding import joined
from tests.unit.transports.scripted import Inner, Reply, pool_of

_KINDS = pytest.mark.parametrize("http", [httpx2, httpx], ids=["httpx2", "httpx"])


def _sent(http: ModuleType, request: Any, *endpoints: Endpoint, refused: bool = False) -> list[Any]:
    """Return the requests that the endpoints get. `refused`: all but the last one answer 503."""
    pool, _ = pool_of(*endpoints)
    hosts = [http.URL(each.url).host for each in endpoints]
    inner = Inner(http, {host: [Reply(503 if refused and host != hosts[-1] else 200)] for host in hosts})
    with http.Client(transport=BalancedTransport(pool, inner=inner)) as client:
        client.send(request)
    return [(body, sent) for _, body, sent in inner.sent]


@pytest.mark.parametrize(
    ("endpoint", "target", "goes_to"),
    [
        ("http://10.0.0.1:8000", "/v1/models", "http://10.0.0.1:8000/v1/models"),
        ("http://10.0.0.1:8000/", "/v1/models", "http://10.0.0.1:8000/v1/models"),
        ("http://10.0.0.1:8000/a/b", "/v1/models", "http://10.0.0.1:8000/a/b/v1/models"),
        ("http://10.0.0.1:8000/a/b/", "/", "http://10.0.0.1:8000/a/b/"),
        ("http://10.0.0.1:8000/v1", "/v1/models", "http://10.0.0.1:8000/v1/models"),
        ("https://host/openai/v1/", "/v1/models?a=1", "https://host/openai/v1/models?a=1"),
        ("https://host/api", "/api/x", "https://host/api/api/x"),
        ("https://host/x?api-version=7", "/v1/models", "https://host/x/v1/models?api-version=7"),
        ("https://host?api-version=7", "/m?a=%20b", "https://host/m?a=%20b&api-version=7"),
        ("gojudge+http://h:1/", "/run", "http://h:1/run"),
        ("HTTP://[::1]:8000/", "/v1/a%2Fb", "http://[::1]:8000/v1/a%2Fb"),
    ],
)
def test_a_path_goes_below_that_of_the_endpoint(endpoint, target, goes_to):
    assert joined(endpoint, target) == goes_to


@pytest.mark.parametrize("url", ["local://a", "gpu-1", "ftp://host/"])
def test_what_is_no_server_of_http_is_said(url):
    with pytest.raises(ConfigError, match="transport sends requests to http:// and https:// only"):
        joined(url, "/")


@_KINDS
def test_the_endpoints_headers_take_the_place_of_the_clients_and_the_clients_request_stays_as_it_is(
    http,
):
    request = http.Request("POST", "http://pool/v1/x", headers={"authorization": "Bearer mine", "X-A": "1"}, json={})
    endpoint = Endpoint("http://10.0.0.1:8000/", headers={"Authorization": "Bearer theirs", "X-B": "2"})
    ((_, sent),) = _sent(http, request, endpoint)
    assert (str(sent.url), sent.headers["Authorization"]) == ("http://10.0.0.1:8000/v1/x", "Bearer theirs")
    assert (sent.headers["Host"], sent.headers["x-a"], sent.headers["x-b"]) == ("10.0.0.1:8000", "1", "2")
    assert [name for name, _ in sent.headers.raw if name.lower() == b"authorization"] == [b"Authorization"]
    assert (request.headers["authorization"], request.headers["Host"]) == ("Bearer mine", "pool")
    assert "theirs" not in repr(vars(request))


@_KINDS
def test_each_request_has_its_own_url_though_urls_are_kept(http):
    for _ in range(2):
        for host in ("10.0.0.1", "10.0.0.2"):
            for path in ("v1/x", "v1/x?a=%20b", "v1/%C3%A9"):
                request = http.Request("GET", f"http://pool/{path}")
                ((_, sent),) = _sent(http, request, Endpoint(f"http://{host}/"))
                assert (str(sent.url), type(sent.url)) == (f"http://{host}/{path}", http.URL)
                assert sent.headers["Host"] == host
                assert str(request.url) == f"http://pool/{path}"


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


@_KINDS
@pytest.mark.parametrize(
    ("body", "twice"),
    [
        (lambda: {"content": b"abc"}, True),
        (lambda: {"json": {"a": "abc"}}, True),
        (lambda: {"data": {"a": "abc"}}, True),
        (lambda: {"files": {"a": b"abc"}}, True),
        (lambda: {"files": {"a": ("name", io.BytesIO(b"abc"))}}, True),
        (lambda: {"files": {"a": ("name", _Pipe(b"abc"))}}, False),
        (lambda: {"content": iter([b"abc"])}, False),
        (lambda: {"content": io.BytesIO(b"abc")}, False),
    ],
)
def test_bodies_that_can_be_sent_twice(http, body, twice):
    request = http.Request("POST", "http://pool/", **body())
    bodies = [sent for sent, _ in _sent(http, request, Endpoint("http://a/"), Endpoint("http://b/"), refused=True)]
    assert b"abc" in bodies[0]
    assert bodies[1:] == ([bodies[0]] if twice else [])
