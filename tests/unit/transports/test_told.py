"""What an answer tells the pool through a transport: an account with nothing left, tokens that were used, load."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from balancer import Endpoint, Pool, QuotaSettings
from balancer.testing import ManualClock
from balancer.transports.request_options import prompt_tokens
from tests.unit.transports.scripted import FACES, Inner, Reply, pool_of

pytestmark = pytest.mark.parametrize("face", FACES)

_SPENT = json.dumps({"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}).encode()
_OK = [Reply()]
_USED = b'{"usage": {"total_tokens": 60}}'
_TYPE = {"Content-Type": "application/json"}
_EVENTS = {"Content-Type": "text/event-stream"}


def _counted(*hosts: str, tokens: int = 1000, **settings: Any) -> tuple[Pool, list[str]]:
    quotas = {"key": QuotaSettings(tokens_per_min=tokens, estimate=100)}
    endpoints: list[Any] = [Endpoint(f"http://{host}/", name=host, quota="key") for host in hosts]
    return pool_of(*endpoints, quotas=quotas, **{"clock": ManualClock(), **settings})


def _counts(pool: Pool) -> int:
    return pool.engine.core.ledger._meters["key"].tokens


# -- nothing left --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (429, {}, (_SPENT,)),
        (429, {"Retry-After": "60"}, (_SPENT[:9], _SPENT[9:])),
        (429, {"Content-Encoding": "gzip"}, (gzip.compress(_SPENT),)),
        (403, {}, (_SPENT,)),
        (400, {}, (_SPENT,)),
        (402, {}, ()),
    ],
    ids=["429", "in pieces", "packed", "403", "400", "402"],
)
def test_an_account_with_nothing_left_is_out_and_the_request_goes_elsewhere(face, status, headers, body):
    pool, ends = pool_of("a", "b")
    inner = Inner(face.http, {"a": [Reply(status, headers, body)], "b": _OK})
    transport = face.transport(pool, inner)
    assert [face.request(transport).status_code for _ in range(2)] == [200, 200]
    assert (inner.hosts, ends) == (["a", "b", "b"], ["a ignored", "b success", "b success"])
    assert inner.bodies[0].closed


def test_where_nobody_can_pay_the_client_gets_the_servers_own_error_at_once(face):
    pool, ends = pool_of("a", "b", acquire_timeout_s=60.0)
    inner = Inner(face.http, {host: [Reply(429, body=(_SPENT,))] for host in "ab"})
    transport = face.transport(pool, inner, attempts=10)
    answer = face.request(transport)
    assert (answer.status_code, answer.content, inner.hosts) == (429, _SPENT, ["a", "b"])
    assert answer.headers["x-should-retry"] == "false", "nor by the client itself"
    assert ends == ["a ignored", "b ignored"]
    with pytest.raises(face.http.ConnectError, match="no quota left"):
        face.request(transport)


# -- tokens --------------------------------------------------------------------------------------------


def _reply(*body: Any, **headers: str) -> Reply:
    return Reply(headers={**_TYPE, **headers}, body=body)


@pytest.mark.parametrize(
    ("reply", "counts"),
    [
        (_reply(_USED[:9], _USED[9:]), 60),
        (_reply(gzip.compress(_USED), **{"Content-Encoding": "gzip"}), 60),
        (Reply(headers=_EVENTS, body=(b'data: {"usage": {"total', b'_tokens": 500}}\n\n', b"data: [DONE]\n\n")), 500),
        (_reply(b"no JSON"), 200),
        (_reply(), 200),
    ],
    ids=["whole", "packed", "events", "nothing said", "no body"],
)
def test_the_answer_settles_what_the_request_reserved(face, reply, counts):
    pool, ends = _counted("a")
    reserved: list[int] = []

    def answer(request: Any) -> Reply:
        reserved.append(_counts(pool))
        return reply

    face.request(face.transport(pool, Inner(face.http, {"a": [answer]}), tokens=200))
    assert (reserved, _counts(pool), ends) == ([200], counts, ["a success"])


_BEGUN = b'data: {"message": {"usage": {"input_tokens": 1, "output_tokens": 1}}}\n\n', b"data: {}\n\n"
_ENDED = b'data: {"usage": {"total_tokens": 60}}\n\n', b"data: [DONE]\n\n", b""


@pytest.mark.parametrize(
    ("events", "read", "counts", "outcome"),
    [(_BEGUN, 1, 200, "ignored"), (_ENDED, 2, 60, "success")],
    ids=["before its end: its estimate", "at its last event: what it said"],
)
def test_what_a_stream_that_is_closed_counts_as(face, events, read, counts, outcome):
    pool, ends = _counted("a")
    inner = Inner(face.http, {"a": [Reply(headers=_EVENTS, body=events)]})
    face.stream(face.transport(pool, inner, tokens=200), read)
    assert (_counts(pool), ends) == (counts, [f"a {outcome}"])


def test_tokens_may_be_a_function_and_without_them_the_quotas_estimate_counts(face):
    seen: list[int] = []

    def answer(request: Any) -> Reply:
        seen.append(_counts(pool))
        return _reply(b'{"usage": {"total_tokens": 0}}')

    for tokens in (None, lambda request: int(request.headers["X-Tokens"]), prompt_tokens(10)):
        pool, _ = _counted("a")
        transport = face.transport(pool, Inner(face.http, {"a": [answer]}), tokens=tokens)
        face.request(transport, headers={"X-Tokens": "7"}, json={"prompt": "12345678"})
        assert _counts(pool) == 0
    assert seen == [100, 7, 12]


# -- load ----------------------------------------------------------------------------------------------


def _load(pool: Pool) -> Any:
    return pool.engine.core.ledger.account("a").node.load


@pytest.mark.parametrize("status", [200, 404, 429])
def test_what_a_server_says_of_its_load_is_told_when_the_headers_come(face, status):
    pool, _ = pool_of("a")
    seen: list[float] = []

    def steps() -> Iterator[bytes]:
        yield b"1"
        seen.append(_load(pool).used)

    class Steps(tuple[Any, ...]):
        def __iter__(self) -> Iterator[Any]:
            return steps()

    said = Reply(status, {"Endpoint-Load-Metrics": "TEXT application_utilization=0.5"}, Steps())
    face.request(face.transport(pool, Inner(face.http, {"a": [said]}), attempts=1))
    assert seen == [0.5]
