"""The SandboxFusion client against every answer a server can think of; no sockets."""

import json
from typing import Any

import httpx2
import pytest

from balancer.errors import ConfigError, EndpointError, EndpointOverloaded
from balancer.program import Execution, Executor, ExecutorOptions, Limits, Program, Status
from balancer.sandbox.http.client import ServerClient
from balancer.sandbox.servers.fusion import FusionExecutor
from tests.unit.sandbox.answering import Handler, answering

URL = "http://10.0.0.1:8080/api/"
TOKEN = "s3cr3t-0123456789abcdef"
SECRET = f"Bearer {TOKEN}"
GOOD: dict[str, Any] = {
    "status": "Success",
    "message": "",
    "compile_result": None,
    "run_result": {"status": "Finished", "execution_time": 0.1, "return_code": 0, "stdout": "3\n", "stderr": ""},
    "executor_pod_name": None,
    "files": {},
    "something_new": 1,
}


def one_of_ours(handler: Handler) -> Handler:
    """Answer as one of our own servers when asked what it is; leave the rest to `handler`."""

    def answers(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/v1/about"):
            return httpx2.Response(200, json={"server": "balancer sandbox", "languages": ["cpp", "python"]})
        return handler(request)

    return answers


def executor(handler: Handler) -> FusionExecutor:
    options = ExecutorOptions(headers={"Authorization": SECRET})
    return FusionExecutor(URL, options, exchange=answering(one_of_ours(handler)))


def run(handler: Handler) -> Execution:
    client = executor(handler)
    try:
        return client.run(Program("python", "print(1+2)"), b"", Limits(wall_s=5.0, output_bytes=1000), {})
    finally:
        client.close()


def fails(handler: Handler) -> EndpointError:
    with pytest.raises(EndpointError) as caught:
        run(handler)
    error = caught.value
    assert error.endpoint == URL
    assert "\n" not in str(error)
    assert "s3cr3t" not in str(error)
    return error


def test_a_good_answer():
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=GOOD)

    execution = run(handler)
    assert execution == Execution(Status.FINISHED, stdout=b"3\n", exit_code=0, time_s=0.1)
    assert execution.server_s == 0.1
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", "http://10.0.0.1:8080/api/run_code")
    assert request.headers["Authorization"] == SECRET
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"
    assert json.loads(request.content)["code"] == "print(1+2)"


def test_it_is_an_executor():
    client = executor(lambda request: httpx2.Response(200))
    assert isinstance(client, Executor)
    assert {"python", "cpp"} <= client.languages
    assert "s3cr3t" not in repr(client)
    client.close()
    client.close()


def changed(**changes: Any) -> bytes:
    result = {**GOOD["run_result"], **changes}
    return json.dumps({**GOOD, "run_result": result}).encode()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "malformed: body"),
        (b"{", "malformed: body"),
        (b"<html>busy</html>", "malformed: body"),
        (b"null", "malformed: body"),
        (b"[]", "malformed: body"),
        (b"{}", "malformed: status"),
        (b'{"status": "Great"}', "malformed: status"),
        (b'{"status": "Success", "run_result": 3}', "malformed: run_result"),
        (b'{"status": "Success", "run_result": {}}', "malformed: run_result.status"),
        (changed(return_code="0"), "malformed: run_result.return_code"),
        (changed(return_code=0.5), "malformed: run_result.return_code"),
        (changed(return_code=True), "malformed: run_result.return_code"),
        (changed(stdout=3), "malformed: run_result.stdout"),
        (changed(stdout=["3"]), "malformed: run_result.stdout"),
        (changed(execution_time="fast"), "malformed: run_result.execution_time"),
        (changed(execution_time=-1), "malformed: run_result.execution_time"),
        (changed(execution_time=float("nan")), "malformed: run_result.execution_time"),
        (changed(stdout="?").replace(b'"?"', b'"\xff"'), "malformed: body"),
        (changed(stdout="?").replace(b'"?"', b'"\\ud800"'), "malformed: body"),
    ],
)
def test_malformed_answers(content, reason):
    assert reason in fails(lambda request: httpx2.Response(200, content=content)).reason


@pytest.mark.parametrize("status", [201, 204, 400, 401, 404, 413, 422, 500, 502, 504])
def test_other_statuses_are_the_servers_fault(status):
    error = fails(lambda request: httpx2.Response(status, json={"detail": "a\nb"}))
    assert not isinstance(error, EndpointOverloaded)
    assert f"answered {status}" in error.reason


@pytest.mark.parametrize("status", [401, 429, 500, 503])
@pytest.mark.parametrize("quote", ["you sent {}", "x" * 190 + "{}", "{}" * 50, '["{}"]', "you sent\n{}\n"])
@pytest.mark.parametrize("quoted", [SECRET, TOKEN, TOKEN.upper(), f"Bearer  \n {TOKEN}"])
def test_a_server_that_quotes_a_header_is_not_quoted(status, quote, quoted):
    error = fails(lambda request: httpx2.Response(status, text=quote.format(*[quoted] * 50)))
    assert f"answered {status}: " in error.reason
    assert "***" in error.reason
    assert "s3c" not in str(error).lower()  # nor a part, where the text is cut


def test_a_value_with_quotes_is_not_shown_as_json_writes_it():
    value = 'Key "s3cr3t"'

    def handler(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(500, json={"sent": request.headers["X-Key"]})

    options = ExecutorOptions(headers={"X-Key": value})
    client = FusionExecutor(URL, options, exchange=answering(handler))
    with pytest.raises(EndpointError) as caught:
        client.ping()
    client.close()
    assert caught.value.reason == 'answered 500: {"sent":"***"}'


@pytest.mark.parametrize(
    "change",
    [
        {"status": "SandboxError", "message": f"you sent {SECRET}"},
        {"status": "SandboxError", "message": "x" * 196 + TOKEN},
        {"status": "Failed", "run_result": {"status": "Error", "return_code": 1, "stderr": f"no {TOKEN}"}},
        {"files": {TOKEN: 1}},
    ],
)
def test_an_answer_that_quotes_a_header_is_not_quoted_in_errors(change):
    error = fails(lambda request: httpx2.Response(200, json=GOOD | change))
    assert "***" in error.reason
    assert "s3c" not in str(error)


def test_words_of_an_execution_are_redacted_and_the_output_is_not():
    ended = GOOD["run_result"] | {"stdout": "s3cr3t?", "stderr": f"sent {SECRET}"}
    execution = run(lambda request: httpx2.Response(200, json=GOOD | {"run_result": ended, "message": SECRET}))
    assert (execution.stdout, execution.stderr, execution.message) == (b"s3cr3t?", b"sent ***", "***")
    change = {"status": "Failed", "compile_result": ended | {"return_code": 1}, "run_result": None}
    execution = run(lambda request: httpx2.Response(200, json=GOOD | change))
    assert (execution.status, execution.stderr) == (Status.COMPILE_ERROR, b"sent ***")


def test_an_output_with_the_whole_of_a_header_is_the_servers_fault():
    ended = GOOD["run_result"] | {"stdout": f"HTTP_AUTHORIZATION={SECRET}"}
    error = fails(lambda request: httpx2.Response(200, json=GOOD | {"run_result": ended}))
    assert "the program's output has the value of a request header" in error.reason


def test_a_transport_error_that_quotes_a_header_is_not_quoted():
    def handler(request: httpx2.Request) -> httpx2.Response:
        raise OSError(f"illegal record: bytearray(b'{SECRET}')")

    error = fails(handler)
    assert error.reason == "RemoteProtocolError: illegal record: bytearray(b'***')"
    assert error.__suppress_context__


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("header", "retry_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({}, None),
        ({"Retry-After": "?"}, None),
        # By the server's own clock, which is an age away from that of this machine.
        ({"Retry-After": "Thu, 01 Jan 2015 12:00:30 GMT", "Date": "Thu, 01 Jan 2015 12:00:00 GMT"}, 30.0),
        ({"Retry-After": "Thu, 01 Jan 2115 12:00:30 GMT", "Date": "Thu, 01 Jan 2115 12:00:00 GMT"}, 30.0),
    ],
)
def test_busy_servers(status, header, retry_s):
    error = fails(lambda request: httpx2.Response(status, headers=header))
    assert isinstance(error, EndpointOverloaded)
    assert error.retry_after_s == retry_s


def test_a_redirect_is_not_followed():
    assert "redirect" in fails(lambda request: httpx2.Response(307, headers={"Location": "http://elsewhere/"})).reason


@pytest.mark.parametrize("content", [b"pong", b'"pong"', b"pong\n"])
def test_ping(content):
    client = executor(lambda request: httpx2.Response(200, content=content))
    client.ping()
    client.close()


@pytest.mark.parametrize("response", [httpx2.Response(200, content=b"<html>"), httpx2.Response(404)])
def test_ping_of_something_else(response):
    client = executor(lambda request: response)
    with pytest.raises(EndpointError):
        client.ping()
    client.close()


@pytest.mark.parametrize("url", ["http://", "ftp://x/", "http://[::1", "x", "http://a:b/"])
def test_urls_that_cannot_be_used(url):
    with pytest.raises(ConfigError, match="endpoint url is"):
        FusionExecutor(url)


@pytest.mark.parametrize("value", ["s3cr3t\r\nX: y", "s3cr3té", " s3cr3t", ""])
def test_headers_that_cannot_be_sent_are_not_quoted(value):
    with pytest.raises(ConfigError, match="header 'X-Key'") as caught:
        FusionExecutor(URL, ExecutorOptions(headers={"X-Key": value}))
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "headers", "sent"),
    [
        ("http://a/", {}, {"Host": "a", "Accept": "application/json", "Accept-Encoding": "identity"}),
        ("http://a:80/", {}, {"Host": "a"}),
        ("https://A:8443/", {}, {"Host": "a:8443"}),
        ("http://[::1]:8080/", {}, {"Host": "[::1]:8080"}),
        ("http://bücher.example/", {}, {"Host": "xn--bcher-kva.example"}),
        ("http://a/", {"host": "b", "ACCEPT": "text/plain"}, {"Host": "b", "Accept": "text/plain"}),
        ("http://me@a/", {"Authorization": "Bearer x"}, {"Authorization": "Basic bWU6"}),
        ("http://m%40e:p%3aw@a/", {}, {"Authorization": "Basic bUBlOnA6dw=="}),
    ],
)
def test_headers_that_are_sent(url, headers, sent):
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, content=b"pong")

    client = FusionExecutor(url, ExecutorOptions(headers=headers), exchange=answering(handler))
    client.ping()
    client.close()
    for name, value in sent.items():
        assert seen[0].headers.get_list(name) == [value]


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding"])
def test_headers_that_would_belie_the_body_are_refused(name):
    with pytest.raises(ConfigError, match=f"header '{name}' follows from each request; remove it"):
        ServerClient("http://a/", {name: "5"}, exchange=answering(lambda request: httpx2.Response(200)))


@pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/ä", "/a HTTP/1.1\r\n\r\nGET /b"])
def test_a_path_cannot_become_another_request(path):
    client = ServerClient("http://a/", {}, exchange=answering(lambda request: httpx2.Response(200)))
    with pytest.raises(EndpointError, match="cannot be sent"):
        client.get(path, within_s=1.0, at_most=100)


@pytest.mark.parametrize("status", [401, 403, 407, 500])
def test_a_refused_token_is_told_once_a_minute(status, caplog):
    now = [0.0]
    client = ServerClient(
        "http://user:pass@a/?q=1",
        {"Authorization": "Bearer the-secret"},
        exchange=answering(lambda request: httpx2.Response(status, content=b"not the-secret\x1b")),
        clock=lambda: now[0],
    )
    for now[0] in (0.0, 59.0, 60.0):
        with pytest.raises(EndpointError, match=f"answered {status}"):
            client.get("/", within_s=1, at_most=100)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (2 if status != 500 else 0)
    for line in lines:
        assert line.startswith(f"http://a/ answered {status}: not ***")
        assert line.endswith("correct the headers of the endpoint in the config")
        assert "secret" not in line
        assert line.isprintable()
