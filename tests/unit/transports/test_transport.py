"""One lease for each request, held until the body ends; elsewhere until the first byte has come, and never after."""

import gc
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest

from balancer import AsyncPool, Endpoint, HealthSettings, NoEndpoint, RetrySettings
from tests.unit.transports.scripted import FACES, Face, Inner, Reply, pool_of

pytestmark = pytest.mark.parametrize("face", FACES)

_OK = [Reply()]


def _answers(face: Face, **script: list[Any]) -> Inner:
    return Inner(face.http, script)


# -- a lease and its body ------------------------------------------------------------------------------


def test_an_answer_comes_from_a_leased_endpoint(face):
    pool, ends = pool_of("a", "b")
    inner = _answers(face, a=_OK, b=_OK)
    answer = face.request(face.transport(pool, inner), json={"x": 1})
    assert (answer.status_code, answer.content, answer.request.url.host) == (200, b"hello world", "pool")
    assert (inner.hosts, ends) == (["a"], ["a success"])
    assert inner.sent[0][1] == answer.request.content
    assert inner.bodies[0].closed


def test_a_body_that_is_closed_before_its_end_says_nothing(face):
    pool, ends = pool_of("a")
    inner = _answers(face, a=_OK)
    assert face.stream(face.transport(pool, inner), 1) == [b"hello "]
    assert (ends, inner.bodies[0].closed) == (["a ignored"], True)


@pytest.mark.parametrize(
    "reply",
    [Reply(headers={"Content-Length": "11"}), Reply(body=(b"data: {}\n\nda", b"ta: [DONE]\n\n", b"never read"))],
    ids=["all its bytes", "the last event"],
)
def test_a_body_that_is_closed_when_all_that_matters_has_come_is_a_success(face, reply):
    pool, ends = pool_of("a")
    face.stream(face.transport(pool, _answers(face, a=[reply])), 2)
    assert ends == ["a success"]


@pytest.mark.sampled(1)
def test_a_response_that_is_dropped_gives_its_lease_back(face):
    pool, ends = pool_of("a")
    transport = face.transport(pool, _answers(face, a=_OK))
    request = face.http.Request("GET", "http://pool/")
    answer = face.handle(transport, request)
    assert len(pool.leases()) == 1
    del answer
    gc.collect()
    assert (pool.leases(), ends) == ((), ["a ignored"])


# -- elsewhere -----------------------------------------------------------------------------------------


_FAILS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no connection": (lambda http: http.ConnectError("it broke"), "failure"),
    "a read that broke": (lambda http: http.ReadError("it broke"), "failure"),
    "a read that took too long": (lambda http: http.ReadTimeout("it broke"), "failure"),
    "no HTTP": (lambda http: http.RemoteProtocolError("it broke"), "failure"),
    "a write that broke": (lambda http: http.WriteError("it broke"), "failure"),
    **{f"a {status}": (lambda http, status=status: Reply(status), "overload") for status in (429, 503)},
    **{f"a {status}": (lambda http, status=status: Reply(status), "failure") for status in (500, 502)},
    "a drop before the first byte": (lambda http: Reply(body=(b"", http.ReadError("dropped"))), "failure"),
    "a drop within a refusal": (lambda http: Reply(503, body=(b"bu", http.ReadError("dropped"))), "failure"),
}


@pytest.mark.parametrize("fails", _FAILS)
def test_what_fails_before_the_first_byte_of_an_answer_is_tried_elsewhere(face, fails):
    pool, ends = pool_of("a", "b")
    made, outcome = _FAILS[fails]
    inner = _answers(face, a=[made(face.http)], b=_OK)
    answer = face.request(face.transport(pool, inner), content=b"abc")
    assert (answer.status_code, answer.content) == (200, b"hello world")
    assert [(host, body) for host, body, _ in inner.sent] == [("a", b"abc"), ("b", b"abc")]
    assert ends == [f"a {outcome}", "b success"]
    assert all(body.closed for body in inner.bodies)


@pytest.mark.parametrize(
    ("status", "outcome"), [*((status, "ignored") for status in (400, 401, 404, 408, 409, 422)), (307, "success")]
)
def test_any_other_status_is_the_clients(face, status, outcome):
    pool, ends = pool_of("a", "b")
    reply = Reply(status, {"Location": "/v2/x"})
    answer = face.request(face.transport(pool, _answers(face, a=[reply], b=_OK)))
    assert (answer.status_code, answer.content, ends) == (status, b"hello world", [f"a {outcome}"])
    assert "x-should-retry" not in answer.headers


def test_after_the_first_byte_the_request_goes_nowhere_else(face):
    pool, ends = pool_of("a", "b")
    inner = _answers(face, a=[Reply(body=(b"h", face.http.ReadError("dropped")))], b=_OK)
    with pytest.raises(face.http.ReadError, match="dropped"):
        face.request(face.transport(pool, inner))
    assert (inner.hosts, ends) == (["a"], ["a failure"])


def test_the_last_answer_is_handed_on_with_its_body_and_stops_retries(face):
    pool, ends = pool_of("a", "b")
    replies = {host: [Reply(503, {"Retry-After": "0"}, (b"busy ", host.encode()))] for host in "ab"}
    inner = _answers(face, **replies)
    answer = face.request(face.transport(pool, inner))
    assert (answer.status_code, answer.content) == (503, b"busy a")
    assert answer.headers["x-should-retry"] == "false"
    assert (inner.hosts, ends) == (["a", "b", "a"], ["a overload", "b overload", "a overload"])


@pytest.mark.parametrize(
    ("given_up", "retries", "options"),
    [
        ("the budget is empty", {"budget_per_s": 0.0, "budget_ratio": 0.0}, {}),
        ("the rest is longer than the deadline", {}, {"deadline_s": 5.0}),
        ("the rest is longer than the wait", {}, {"acquire_timeout_s": 0.01}),
    ],
)
def test_an_answer_stops_retries_whyever_the_pool_gives_up(face, given_up, retries, options):
    pool, ends = pool_of("a", retries=RetrySettings(base_s=0, **retries), health=HealthSettings())
    inner = _answers(face, a=[Reply(429, {"Retry-After": "50"})])
    answer = face.request(face.transport(pool, inner, **options))
    assert (answer.status_code, answer.headers.get("x-should-retry"), ends) == (429, "false", ["a overload"]), given_up


def test_the_body_of_an_answer_that_is_not_handed_on_is_bounded(face):
    pool, _ = pool_of("a")
    inner = _answers(face, a=[Reply(500, body=(*(b"x" * 2**19,) * 3, face.http.ReadError("this is not read")))])
    assert len(face.request(face.transport(pool, inner, attempts=1)).content) == 2**20


# -- bodies that cannot be sent again ------------------------------------------------------------------


def _pieces() -> Iterator[bytes]:
    yield b"a"
    yield b"bc"


def test_a_body_that_streams_is_sent_once(face):
    pool, ends = pool_of("a", "b")
    inner = _answers(face, a=[face.http.ReadError("broke")], b=_OK)
    with pytest.raises(face.http.ReadError) as told:
        face.request(face.transport(pool, inner), content=face.content(_pieces))
    assert told.value.__notes__ == [
        "it was not tried again: a part of its body was sent, which cannot be sent again",
        "the only attempt was at a",
    ]
    assert ([(host, body) for host, body, _ in inner.sent], ends) == ([("a", b"abc")], ["a failure"])


def test_a_body_that_was_not_begun_goes_elsewhere(face):
    pool, _ = pool_of("a", "b")
    inner = Unreached(face.http, {"a": [face.http.ConnectError("refused")], "b": _OK})
    answer = face.request(face.transport(pool, inner), content=face.content(_pieces))
    assert (answer.status_code, [(host, body) for host, body, _ in inner.sent]) == (200, [("b", b"abc")])


class Unreached(Inner):
    """The first host cannot be connected to, so nothing of a body is asked for."""

    def handle_request(self, request: Any) -> Any:
        if request.url.host == "a":
            raise self.script["a"][0]
        return super().handle_request(request)

    async def handle_async_request(self, request: Any) -> Any:
        if request.url.host == "a":
            raise self.script["a"][0]
        return await super().handle_async_request(request)


# -- what a server asks for ----------------------------------------------------------------------------


@pytest.mark.parametrize("asks", ["30", "a date"])
@pytest.mark.parametrize("dated", [True, False])
def test_a_retry_after_is_heard(face, asks, dated):
    now = time.time()
    headers = {"Retry-After": formatdate(now + 30, usegmt=True) if asks == "a date" else asks}
    if dated:
        headers["Date"] = formatdate(now, usegmt=True)
    pool, _ = pool_of("a", "b", health=HealthSettings())
    inner = _answers(face, a=[Reply(429, headers)], b=_OK)
    assert face.request(face.transport(pool, inner)).status_code == 200
    assert pool.out_of_service() == {"a"}, "it is left alone"
    assert face.request(face.transport(pool, inner)).status_code == 200
    assert inner.hosts == ["a", "b", "b"]


# -- a full pool ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clients_s", "pools", "transports_s", "says"),
    [
        (0.01, {}, None, r"no endpoint came free within 0\.01 s"),
        (None, {"acquire_timeout_s": 0.02}, None, r"within 0\.02 s"),
        (600.0, {"acquire_timeout_s": 0.02}, None, r"within 0\.02 s"),
        (0.02, {"acquire_timeout_s": 600.0}, None, r"within 0\.02 s"),
        (600.0, {"acquire_timeout_s": 600.0}, 0.02, r"within 0\.02 s"),
        (0.001, {"acquire_timeout_s": 0.001}, 0.03, r"within 0\.03 s"),
        (600.0, {"max_waiters": 0}, None, "max_waiters is 0"),
    ],
    ids=["the client's", "the pool's", "the pool's is less", "the client's is less", "the transport's counts",
         "even where it is more", "a queue that is full"],
)  # fmt: skip
@pytest.mark.parametrize("deadline_s", [None, 600.0], ids=["", "and a deadline"])
def test_a_full_pool_is_the_clients_own_pool_timeout_after_the_least_of_all_times_but_the_transports(
    face, clients_s, pools, transports_s, says, deadline_s
):
    pool, _ = pool_of("a", **pools)
    inner = _answers(face, a=_OK)
    transport = face.transport(pool, inner, acquire_timeout_s=transports_s, deadline_s=deadline_s)
    with pool.lease(), pytest.raises(face.http.PoolTimeout, match=says) as told:
        face.request(transport, timeout=clients_s and face.http.Timeout(5.0, pool=clients_s))
    assert told.value.request.url.host == "pool"
    assert inner.sent == []


def test_a_pool_that_serves_nobody_is_a_connect_error(face):
    pool, _ = pool_of("a")
    with pytest.raises(face.http.ConnectError, match="labels") as told:
        face.request(face.transport(pool, _answers(face, a=_OK), labels={"gpu"}))
    assert isinstance(told.value.__cause__, NoEndpoint)
    pool.close()
    with pytest.raises(face.http.ConnectError, match="closed"):
        face.request(face.transport(pool, _answers(face, a=_OK)))


# -- what it is told -----------------------------------------------------------------------------------


def test_a_request_says_what_it_asks_for(face):
    pool, _ = pool_of(Endpoint("http://a/", name="a"), Endpoint("http://b/", name="b", labels=frozenset({"gpu"})))
    holders: list[str] = []

    def look(request: Any) -> Reply:
        holders.append(pool.leases()[0].holder)
        return Reply()

    inner = _answers(face, a=_OK, b=[look])
    transport = face.transport(pool, inner, labels={"gpu"}, holder=lambda request: request.headers["X-Sample"])
    face.request(transport, headers={"X-Sample": "7"})
    assert (inner.hosts, holders) == (["b"], ["7"])


def test_secrets_of_an_endpoint_are_in_no_error(face):
    secret = "sk-0123456789abcdef"
    endpoint = Endpoint("http://a/", name="a", headers={"Authorization": f"Bearer {secret}"})
    for script in (
        [face.http.RemoteProtocolError(f"bad line {secret}")],
        [Reply(body=(b"1", face.http.ReadError(secret)))],
    ):
        pool, _ = pool_of(endpoint)
        inner = _answers(face, a=script)
        with pytest.raises(face.http.TransportError) as told:
            face.request(face.transport(pool, inner, attempts=1))
        assert inner.sent[0][2].headers["Authorization"] == f"Bearer {secret}"
        error: BaseException | None = told.value
        while error is not None:
            assert secret not in f"{error} {error!r} {getattr(error, '__notes__', '')}"
            assert secret not in str(getattr(error, "request", "") and error.request.headers.raw)
            error = None if error.__suppress_context__ else error.__context__


def test_an_endpoint_that_is_no_server_is_said(face):
    pool, ends = pool_of(Endpoint("local://here"))
    with pytest.raises(Exception, match=r"local://here.*transport sends requests to http"):
        face.request(face.transport(pool, _answers(face)))
    assert ends == ["local://here ignored"]


def test_an_async_pool_is_a_pool(face):
    pool = AsyncPool([Endpoint("http://a/", name="a")])
    assert face.request(face.transport(pool, _answers(face, a=_OK))).status_code == 200
    assert pool.pool.stats().acquired == 1
