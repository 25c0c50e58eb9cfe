"""What a proxy does when servers fail, are busy or slow, and when clients go away."""

import asyncio
import struct
import time

import httpx
import pytest

from balancer import Outcome, Pool
from balancer.endpoint import outcome_of
from balancer.settings.rules import QuotaSettings, RetrySettings
from tests.unit.proxy.harness import OK, Server, answering, gated, setting, until

GET = b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n"
SOON = RetrySettings(base_s=0.0, max_pause_s=0.0)


async def dies(_, __, ___, writer):
    writer.close()


async def resets(_, __, ___, writer):
    writer.get_extra_info("socket").setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
    writer.transport.abort()


def dies_after(sent):
    return answering(sent, ends=True)


async def never(_, __, reader, ___):
    await reader.read()


FAILING = {
    "closes": dies,
    "resets": resets,
    "500": answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"),
    "503": answering(b"HTTP/1.1 503 No\r\nContent-Length: 4\r\n\r\nbusy"),
    "429": answering(b"HTTP/1.1 429 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n"),
    "402": answering(b"HTTP/1.1 402 No\r\nContent-Length: 0\r\n\r\n"),
    "500 that ends early": dies_after(b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nhalf"),
    "a half head": dies_after(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "a head": dies_after(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
    "a head of chunks": dies_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "no HTTP": answering(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "two lengths": answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok"),
    "length and chunks": answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "an unknown coding": answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok"),
    "a long head": answering(b"HTTP/1.1 200 OK\r\nX: %b\r\nContent-Length: 2\r\n\r\nok" % (b"x" * 70_000)),
    "100 without end": answering(b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * 20_000),
    "nothing": never,
}


@pytest.mark.parametrize("how", FAILING)
async def test_a_failed_request_is_answered_by_another_server(how):
    bad, good = Server(FAILING[how]), Server(answering(OK))
    hangs = {"first_byte_s": 3.0} if how in ("nothing", "100 without end") else {}
    async with setting(bad, good, retries=SOON, proxied=hangs) as at:
        answer = await at.post(b"hello")
        assert (answer.status, answer.body) == (200, b"ok")
        assert [asked.body for asked in (*bad.asked, *good.asked)] == [b"hello"] * 2
        first, second = at.pool.stats().endpoints
        kind = {"503": first.overloads, "429": first.overloads, "402": 1}.get(how, first.failures)
        assert (kind, second.successes, at.out()) == (1, 1, 0)


@pytest.mark.parametrize("framing", [b"Content-Length: 50", b"Transfer-Encoding: chunked", b"Connection: close"])
@pytest.mark.parametrize("old", [False, True], ids=["HTTP/1.1", "HTTP/1.0"])
async def test_a_client_sees_that_an_answer_is_not_whole(framing, old):
    """Also a client of HTTP/1.0, for whom the end of a connection would be the end of an answer: it gets a reset."""

    told = asyncio.Event()

    async def behave(_, __, ___, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n5\r\nhello\r\n")
        await told.wait()
        await (resets if framing.endswith(b"close") else dies)(None, None, None, writer)

    async with setting(Server(behave), Server(behave)) as at:
        client = await at.client()
        await client.send(b"GET / HTTP/1.0\r\n\r\n" if old else GET)
        head = await client.head()
        assert head.status == 200
        assert await client.reader.read(1)
        told.set()
        if old and b"Length" not in framing:
            with pytest.raises(ConnectionError):
                await client.reader.read()
        else:
            rest = await client.reader.read()
            assert not rest.endswith(b"0\r\n\r\n")
            assert len(rest) < 49
        await until(lambda: at.out() == 0)
        assert [each.failures for each in at.pool.stats().endpoints] == [1, 0]  # and it went nowhere else


async def test_the_last_answer_is_passed_on_and_says_that_no_retry_helps():
    busy = b"HTTP/1.1 429 Slow\r\nRetry-After: 0\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbusy"
    async with setting(Server(answering(busy)), Server(answering(busy)), retries=SOON) as at:
        client = await at.client()
        answer = await client.ask(GET)
        assert (answer.status, answer.body, answer.headers["x-a"]) == (429, b"busy", "b")
        assert (answer.headers["x-should-retry"], answer.headers["retry-after"]) == ("false", "0")
        assert sum(len(server.asked) for server in at.servers) == 3
        assert (await client.ask(GET)).status == 429  # the connection goes on


async def test_an_answer_that_is_the_clients_own_mistake_is_passed_on_at_once():
    wrong = b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnope"
    async with setting(Server(answering(wrong)), Server(answering(wrong))) as at:
        answer = await at.get()
        assert (answer.status, answer.body, "x-should-retry" in answer.headers) == (404, b"nope", False)
        assert sum(len(server.asked) for server in at.servers) == 1
        assert at.pool.stats().endpoints[0].failures == 0


@pytest.mark.parametrize("body", [b"", b"busy", b'{"error": {"code": "insufficient_quota"}}', b"\xff{"])
async def test_answers_are_judged_as_by_the_transports(body):
    for status in (200, 301, 400, 401, 402, 403, 404, 408, 429, 499, 500, 502, 503, 504):
        answer = b"HTTP/1.1 %d X\r\nRetry-After: 7\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
        async with setting(Server(answering(answer)), proxied={"attempts": 1}) as at:
            assert (await at.get()).status == status
            row = at.pool.stats().endpoints[0]
        response = httpx.Response(
            status, request=httpx.Request("GET", "http://a/"), headers={"Retry-After": "7"}, content=body
        )
        theirs = httpx.HTTPStatusError("", request=response.request, response=response) if status >= 400 else None
        counted = {Outcome.SUCCESS: row.successes, Outcome.FAILURE: row.failures, Outcome.OVERLOAD: row.overloads}
        assert counted.get(outcome_of(theirs), row.ignored) == 1, status


async def test_a_server_that_asks_for_rest_gets_it():
    busy = Server(answering(b"HTTP/1.1 503 Busy\r\nRetry-After: 50\r\nContent-Length: 0\r\n\r\n"))
    async with setting(busy, Server(answering(OK)), retries=SOON) as at:
        for _ in range(6):
            assert (await at.get()).status == 200
        assert len(busy.asked) == 1


@pytest.mark.parametrize(
    ("resend", "head", "sent"),
    [("always", "", 2), ("unsent", "", 1), ("incomplete", "", 1), ("unsent", "Idempotency-Key: 1\r\n", 2)],
)
async def test_what_is_sent_twice_is_what_may_be(resend, head, sent):
    async with setting(Server(dies), Server(dies), retries=SOON, proxied={"resend": resend, "attempts": 2}) as at:
        answer = await at.post(b"hello", headers=head)
        assert (answer.status, answer.headers["x-should-retry"]) == (502, "false")
        assert b"closed the connection without an answer" in answer.body
        assert sum(len(server.asked) for server in at.servers) == sent
        assert (await at.get()).status == 502
        assert sum(len(server.asked) for server in at.servers) == sent + 2


async def test_a_large_body_is_sent_once():
    async def stops(_, __, reader, writer):
        await reader.readexactly(200_000)
        writer.close()

    servers = Server(stops, reads_body=False), Server(stops, reads_body=False)
    async with setting(*servers, retries=SOON, proxied={"kept_bytes": 1000}) as at:
        assert (await at.post(bytes(10_000_000))).status == 502
        assert sum(len(server.asked) for server in servers) == 1
        assert at.out() == 0


async def test_a_large_body_goes_elsewhere_if_nothing_of_it_was_sent():
    good = Server(answering(OK))
    async with setting(good, dead=1, retries=SOON, proxied={"kept_bytes": 1000}) as at:
        assert (await at.post(bytes(1_000_000))).status == 200
        assert len(good.asked[0].body) == 1_000_000


async def test_an_answer_before_the_end_of_a_large_body_is_passed_on():
    no = answering(b"HTTP/1.1 413 Too much\r\nContent-Length: 2\r\n\r\nno")
    server = Server(no, reads_body=False)
    async with setting(server, proxied={"kept_bytes": 1000}) as at:
        client = await at.client()
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n" + bytes(2_000_000))
        answer = await client.answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (413, b"no", "close")
        await until(lambda: server.open == 0)  # the rest of the body must not become a request
        assert at.out() == 0


async def test_an_idle_connection_that_its_server_closed_is_no_failure():
    async def closes(_, __, reader, writer):
        if len(server.asked) == 2:  # on a connection that was used before
            writer.close()
            return
        writer.write(OK)

    server = Server(closes)
    async with setting(server) as at:
        for _ in range(3):
            assert (await at.post(b"hello")).status == 200
        row = at.pool.stats().endpoints[0]
        assert (row.failures, row.successes, server.connections) == (0, 3, 2)


async def test_bytes_that_nobody_asked_for_are_not_the_next_answer():
    more = Server(answering(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", OK))
    async with setting(more) as at:
        assert [(await at.get()).body for _ in range(3)] == [b"ok"] * 3
        assert more.connections == 2


# -- waiting -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proxied", [{"deadline_s": 0.05}, {}])
async def test_a_deadline_ends_a_request(proxied):
    server = Server(never)
    async with setting(server, proxied=proxied) as at:
        answer = await at.get("/", "" if proxied else "Balancer-Deadline: 0.05\r\n")
        assert answer.status == 504
        assert b"deadline" in answer.body
        await until(lambda: at.out() == server.open == 0)


async def test_a_wrong_deadline_is_refused():
    async with setting(Server(answering(OK))) as at:
        for said in ("soon", "-1", "nan", ""):
            assert (await at.get("/", f"Balancer-Deadline: {said}\r\n")).status == 400
        assert "Balancer-Deadline" not in (await _asked_with(at, "Balancer-Deadline: 9\r\nBalancer-Key: a\r\n"))


async def _asked_with(at, headers):
    assert (await at.get("/", headers)).status == 200
    return at.servers[0].asked[-1]


async def test_a_server_that_falls_silent_in_its_answer_has_failed():
    begins = Server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"))
    async with setting(begins, proxied={"silent_s": 1.0}) as at:
        began_s = time.monotonic()
        assert not (await at.get()).whole
        assert time.monotonic() - began_s < 10
        assert at.pool.stats().endpoints[0].failures == 1


async def test_an_absurd_pause_is_bounded_for_the_client():
    busy = answering(b"HTTP/1.1 503 No\r\nRetry-After: 999999999\r\nContent-Length: 0\r\n\r\n")
    async with setting(Server(busy), proxied={"attempts": 1}) as at:
        assert (await at.get()).headers["retry-after"] == "3600"


async def test_requests_wait_in_the_queue_in_place_of_a_503():
    gate = asyncio.Event()
    async with setting(Server(gated(gate)), capacity=1, max_waiters=2) as at:
        asking = [asyncio.create_task(at.get()) for _ in range(3)]
        await until(lambda: at.pool.stats().waiting == 2)
        answer = await at.get()
        assert (answer.status, answer.headers["retry-after"].isdigit()) == (503, True)
        assert b"queue is full" in answer.body
        gate.set()
        assert [each.status for each in await asyncio.gather(*asking)] == [200] * 3


async def test_a_wait_that_is_too_long_is_a_503():
    gate = asyncio.Event()
    async with setting(Server(gated(gate)), capacity=1, acquire_timeout_s=0.03) as at:
        asking = asyncio.create_task(at.get())
        await until(lambda: at.out() == 1)
        answer = await at.get()
        assert (answer.status, "retry-after" in answer.headers) == (503, True)
        gate.set()
        assert (await asking).status == 200


# -- clients that go away ------------------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("when", ["waits", "is served", "reads"])
async def test_a_client_that_goes_away_frees_its_lease(when, reset):
    async def behave(_, __, reader, writer):
        if when == "reads":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nsome")
        assert await reader.read() == b""

    server = Server(behave)
    async with setting(server, capacity=1) as at:
        first = await at.client()
        await first.send(GET)
        await until(lambda: server.asked)
        gone = first
        if when == "waits":
            gone = await at.client()
            await gone.send(GET)
            await until(lambda: at.pool.stats().waiting == 1)
        if when == "reads":
            await gone.head()
        if reset:
            gone.close()
        else:
            gone.writer.close()
        await until(lambda: at.pool.stats().waiting == 0 and (when == "waits" or at.out() == 0))
        if when != "waits":
            await until(lambda: server.open == 0)
            assert at.pool.stats().endpoints[0].failures == 0


async def test_a_client_that_stops_sending_harms_no_server():
    server = Server(answering(OK))
    async with setting(server, proxied={"kept_bytes": 1000}) as at:
        client = await at.client()
        await client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + bytes(500_000))
        await until(lambda: at.out() == 1)
        client.close()
        await until(lambda: at.out() == server.open == 0)
        assert (at.pool.stats().endpoints[0].failures, server.asked) == (0, [])


async def test_a_stream_is_whole_with_its_last_event():
    async def behave(_, __, reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for event in (b'data: {"usage": {"total_tokens": 70}}\n\n', b"data: [DONE]\n\n"):
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await writer.drain()
        await reader.read()

    body = b'{"model": "m", "messages": [{"content": "Hello"}], "max_tokens": 5}'
    quotas = {"q": QuotaSettings(tokens_per_min=1000, estimate=10)}
    async with setting(Server(behave), quota="q", quotas=quotas) as at:
        client = await at.client()
        kind = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\n" + kind + body)
        await client.reader.readuntil(b"[DONE]")
        client.close()
        await until(lambda: at.out() == 0)
        assert at.pool.stats().endpoints[0].successes == 1


async def test_a_stopping_proxy_ends_what_is_under_way_and_takes_nothing_new():
    gate = asyncio.Event()
    async with setting(Server(gated(gate))) as at:
        idle, busy = await at.client(), await at.client()
        assert idle is not busy
        await busy.send(GET)
        await until(lambda: at.out() == 1)
        stopping = asyncio.create_task(at.proxy.stop(60))
        assert await idle.is_closed()
        with pytest.raises(ConnectionRefusedError):
            await at.client()
        gate.set()
        answer = await busy.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        await stopping


async def test_a_closed_pool_is_a_503():
    async with setting(Server(answering(OK))) as at:
        assert isinstance(at.pool, Pool)
        at.pool.close()
        assert (await at.get()).status == 503


async def test_a_client_that_sends_a_large_body_slowly_takes_no_time_of_its_server():
    server = Server(answering(OK))
    async with setting(server, proxied={"first_byte_s": 2.5, "kept_bytes": 0}) as at:
        client = await at.client()
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" + bytes(100000))
        for _ in range(4):
            await asyncio.sleep(0.8)  # together longer than `first_byte_s`
            await client.send(bytes(100000))
        assert (await client.answer()).status == 200
    assert len(server.asked[0].body) == 500000
