"""The client of a server: which answers are faults, which mean that it is busy, and what of its words is shown."""

import httpx2
import pytest

from balancer.errors import ConfigError, EndpointError, EndpointOverloaded
from balancer.sandbox.http.client import AnswerModel, ServerClient
from tests.unit.sandbox.answering import Handler, answering

URL = "http://10.0.0.1:8080/api/"
TOKEN = "s3cr3t-0123456789abcdef"
SECRET = f"Bearer {TOKEN}"


class Said(AnswerModel):
    """An answer with one number."""

    value: float


def client(handler: Handler, url: str = URL, **headers: str) -> ServerClient:
    return ServerClient(url, headers or {"Authorization": SECRET}, exchange=answering(handler))


def fails(handler: Handler) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        client(handler).post("/x", {}, Said, within_s=1.0, at_most=1000)
    error = caught.value
    assert error.endpoint == URL
    assert "\n" not in str(error)
    assert "s3c" not in str(error).lower()  # nor a part, where the text is cut
    return error


def test_requests():
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"value": 0.5, "more": 1})

    assert client(handler).post("/x", {"a": "ä"}, Said, within_s=1.0, at_most=1000) == Said(value=0.5)
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "http://10.0.0.1:8080/api/x")
    assert request.content == '{"a": "ä"}'.encode()
    sent = {"Authorization": SECRET, "Content-Type": "application/json", "Accept-Encoding": "identity"}
    assert sent.items() <= {name: request.headers[name] for name in sent}.items()


@pytest.mark.parametrize(
    ("content", "where"),
    [(each, "body") for each in (b"", b"{", b"<html>busy</html>", b"null", b"[]", b'{"value": "\xff"}')]
    + [(each, "value") for each in (b"{}", b'{"value": "fast"}', b'{"value": NaN}', b'{"value": Infinity}')]
    + [(b'{"value": "%b"}' % TOKEN.encode(), "value")],
)
def test_malformed_answers(content, where):
    assert f"the answer is malformed: {where}: " in fails(lambda request: httpx2.Response(200, content=content)).reason


@pytest.mark.parametrize("status", [201, 307, 404, 413, 500])
def test_statuses_that_are_faults(status):
    error = fails(lambda request: httpx2.Response(status, json={"detail": "a\nb"}))
    assert not isinstance(error, EndpointOverloaded)
    assert f"answered {status}" in error.reason


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "retry_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({}, None),
        # By the server's own clock, which is an age away from that of this machine.
        ({"Retry-After": "Thu, 01 Jan 2015 12:00:30 GMT", "Date": "Thu, 01 Jan 2015 12:00:00 GMT"}, 30.0),
    ],
)
def test_busy_servers(status, header, retry_s):
    error = fails(lambda request: httpx2.Response(status, headers=header))
    assert isinstance(error, EndpointOverloaded)
    assert error.retry_after_s == retry_s


@pytest.mark.parametrize("status", [401, 429, 500])
@pytest.mark.parametrize("quote", ["you sent {}", "x" * 190 + "{}", "{}" * 50, '["{}"]', "you sent\n{}\n"])
@pytest.mark.parametrize("quoted", [SECRET, TOKEN, TOKEN.upper(), f"Bearer  \n {TOKEN}"])
def test_headers_that_a_server_quotes_are_not_quoted(status, quote, quoted):
    error = fails(lambda request: httpx2.Response(status, text=quote.format(*[quoted] * 50)))
    assert f"answered {status}: " in error.reason
    assert "***" in error.reason


def test_transport_errors_that_quote_a_header_are_not_quoted():
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise OSError(f"illegal record: bytearray(b'{SECRET}')")

    error = fails(handler)
    assert error.reason == "RemoteProtocolError: illegal record: bytearray(b'***')"
    assert error.__suppress_context__


@pytest.mark.parametrize("url", ["http://", "ftp://x/", "http://[::1", "x", "http://a:b/"])
def test_urls_that_cannot_be_used(url):
    with pytest.raises(ConfigError, match="endpoint url is"):
        client(lambda request: httpx2.Response(200), url)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("X-Key", value, "header 'X-Key'") for value in ("s3cr3t\r\nX: y", "s3cr3té", " s3cr3t", "")]
    + [(name, "5", f"header '{name}' follows from each request") for name in ("Content-Length", "transfer-encoding")],
)
def test_headers_that_cannot_be_sent(name, value, says):
    with pytest.raises(ConfigError, match=says) as caught:
        client(lambda request: httpx2.Response(200), **{name: value})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "headers", "sent"),
    [
        ("http://a/", {"X": "1"}, {"Host": "a", "Accept": "application/json", "Accept-Encoding": "identity"}),
        ("https://A:8443/", {"X": "1"}, {"Host": "a:8443"}),
        ("http://[::1]:8080/", {"X": "1"}, {"Host": "[::1]:8080"}),
        ("http://bücher.example/", {"X": "1"}, {"Host": "xn--bcher-kva.example"}),
        ("http://a/", {"host": "b", "ACCEPT": "text/plain"}, {"Host": "b", "Accept": "text/plain"}),
        ("http://m%40e:p%3aw@a/", {"X": "1"}, {"Authorization": "Basic bUBlOnA6dw=="}),
    ],
)
def test_headers_that_are_sent(url, headers, sent):
    seen: list[httpx2.Request] = []
    client(lambda request: (seen.append(request), httpx2.Response(200))[1], url, **headers).get(
        "/", within_s=1.0, at_most=9
    )
    assert sent == {name: ", ".join(seen[0].headers.get_list(name)) for name in sent}


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/ä", "/a HTTP/1.1\r\n\r\nGET /b"])
def test_paths_cannot_become_another_request(path):
    with pytest.raises(EndpointError, match="cannot be sent"):
        client(lambda request: httpx2.Response(200)).get(path, within_s=1.0, at_most=100)


@pytest.mark.parametrize("status", [401, 403, 407, 500])
def test_refused_tokens_are_told_once_a_minute(status, caplog):
    now = [0.0]
    refused = ServerClient(
        "http://user:pass@a/?q=1",
        {"Authorization": "Bearer the-secret"},
        exchange=answering(lambda request: httpx2.Response(status, content=b"not the-secret\x1b")),
        clock=lambda: now[0],
    )
    for now[0] in (0.0, 59.0, 60.0):
        with pytest.raises(EndpointError, match=f"answered {status}"):
            refused.get("/", within_s=1, at_most=100)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (2 if status != 500 else 0)
    for line in lines:
        assert line.startswith(f"http://a/ answered {status}: not ***")
        assert line.endswith("correct the headers of the endpoint in the config")
        assert "secret" not in line
        assert line.isprintable()
