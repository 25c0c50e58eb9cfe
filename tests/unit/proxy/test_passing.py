"""What a proxy passes on: heads, bodies, streams, upgrades, and who pays for a slow reader."""

import asyncio

import pytest

from balancer.proxy.client_side import ConnectionLimits
from tests.unit.proxy.harness import OK, Server, answering, gated, setting, until

GET = b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_a_request_is_passed_on_and_its_answer_comes_back():
    server = Server(answering(b"HTTP/1.1 201 Made\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nok"))
    async with setting(server, path="/v1") as at:
        answer = await at.post(b"hello", "/v1/chat?x=%20y", "X-Mine: yes\r\n")
    assert (answer.status, answer.body, answer.headers["x-a"]) == (201, b"ok", "2")
    (asked,) = server.asked
    assert asked.line == "POST /v1/chat?x=%20y HTTP/1.1"  # the version of the API stands once
    assert (asked.body, asked["Host"], asked["X-Mine"]) == (b"hello", f"127.0.0.1:{server.port}", "yes")
    assert (asked["X-Forwarded-For"], asked["X-Forwarded-Proto"]) == ("127.0.0.1", "http")
    assert asked["X-Forwarded-Host"] == "proxy"
    assert asked["Via"].startswith("1.1 balancer-")


async def test_headers_of_one_connection_are_not_passed_on():
    server = Server(
        answering(b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 0\r\n\r\n")
    )
    async with setting(server, headers={"Authorization": "Bearer of-the-server"}) as at:
        said = "Connection: close, X-Secret\r\nX-Secret: 1\r\nProxy-Authorization: a\r\nKeep-Alive: 1\r\nTE: gzip\r\n"
        said += "X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nAuthorization: Bearer of-the-client\r\n"
        answer = await at.get("/", said)
    (asked,) = server.asked
    hops = ("X-Secret", "Proxy-Authorization", "Keep-Alive", "TE", "Forwarded", "Connection", "Content-Length")
    assert not [name for name in hops if name in asked]
    assert (asked["Authorization"], asked["X-Forwarded-For"]) == ("Bearer of-the-server", "127.0.0.1")
    assert "x-hop" not in answer.headers
    assert "keep-alive" not in answer.headers
    assert answer.headers["connection"] == "close"


async def test_behind_a_proxy_that_is_trusted_its_headers_are_extended():
    server = Server(answering(OK))
    async with setting(server, proxied={"forwarded": "extend"}) as at:
        await at.get("/", "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\nVia: 1.0 other\r\n")
    assert server.asked[0]["X-Forwarded-For"] == "9.9.9.9, 127.0.0.1"
    assert server.asked[0]["X-Forwarded-Proto"] == "https"
    assert server.asked[0]["Via"].startswith("1.0 other, 1.1 balancer-")


async def test_pipelined_requests_are_answered_in_order():
    async def behave(_, asked, __, writer):
        body = asked.line.split()[1].encode() + asked.body
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    async with setting(Server(behave), Server(behave)) as at:
        client = await at.client()
        posts = (b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % number for number in range(20))
        await client.send(b"".join(posts))
        assert [(await client.answer()).body for _ in range(20)] == [b"/%dabc" % number for number in range(20)]


async def test_a_head_that_ends_while_the_request_before_it_is_served_is_no_long_one():
    gate = asyncio.Event()
    async with setting(Server(gated(gate)), limits=ConnectionLimits(head_bytes=1000)) as at:
        client = await at.client()
        await client.send(GET + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r")
        await until(lambda: at.out() == 1)
        gate.set()
        assert (await client.answer()).status == 200
        await client.send(b"\n" + bytes(20_000))
        assert (await client.answer()).status == 200


@pytest.mark.parametrize("size", [0, 10, 200_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_arrives_as_it_was_sent(size, chunked):
    server = Server(answering(OK))
    body = bytes(range(250)) * (size // 250)
    async with setting(server) as at:
        client = await at.client()
        if chunked:
            await client.send(b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            for part in range(0, len(body), 70_000):
                piece = body[part : part + 70_000]
                await client.send(b"%x;ext=1\r\n%b\r\n" % (len(piece), piece))
            await client.send(b"0\r\nX-Trailer: 1\r\n\r\n")
        else:
            await client.send(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await client.answer()).body == b"ok"
        assert await client.is_closed() if chunked else (await client.ask(GET)).body == b"ok"
    assert server.asked[0].body == body


ANSWERS = {
    "length": (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "chunks": (CHUNKED + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", b"hello"),
    "until the end": (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello"),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "after 100 and 103": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n"
        b"Content-Length: 5\r\n\r\nhello",
        b"hello",
    ),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
    "nothing": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    "empty chunks": (CHUNKED + b"0\r\n\r\n", b""),
}


@pytest.mark.parametrize("old", [False, True], ids=["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_arrives_however_its_end_is_told(name, old):
    sent, body = ANSWERS[name]

    async with setting(Server(answering(sent, ends=name in ("until the end", "HTTP/1.0")))) as at:
        for _ in range(2):
            answer = await at.ask(b"GET / HTTP/1.0\r\n\r\n" if old else GET)
            assert (answer.status, answer.body, answer.whole) == (200, body, True)
            assert not (old and "transfer-encoding" in answer.headers)
        assert at.pool.stats().endpoints[0].successes == 2


@pytest.mark.parametrize(
    ("asked", "sent", "length"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "500"),
        (b"HEAD", CHUNKED, None),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        (b"GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", "7"),
    ],
)
async def test_an_answer_without_a_body_ends_with_its_head(asked, sent, length):
    server = Server(answering(sent, OK))
    async with setting(server) as at:
        client = await at.client()
        answer = await client.ask(asked + b" / HTTP/1.1\r\nHost: a\r\n\r\n", bodiless=True)
        assert answer.headers.get("content-length") == length
        assert (await client.ask(GET)).body == b"ok"
        assert server.connections == 1


async def test_a_client_that_waits_for_100_gets_it_once():
    server = Server(answering(OK))
    async with setting(server, proxied={"body_bytes": 100}) as at:
        client = await at.client()
        head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        assert (await client.ask(head % 3)).status == 100
        assert (await client.ask(b"abc")).body == b"ok"
        assert "Expect" not in server.asked[0]
        assert (await client.ask(head % 101)).status == 413  # and not 100: the body is not wanted
        old = await at.client()
        await old.send(b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        await asyncio.sleep(0.05)
        assert (await old.ask(b"abc")).status == 200  # HTTP/1.0 has no 100


async def test_events_are_passed_on_as_they_come_and_the_lease_is_held_to_their_end():
    goes_on = asyncio.Event()

    async def behave(_, __, ___, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(3):
            writer.write(b"9\r\ndata: %d\n\n\r\n" % number)
            await goes_on.wait()
            goes_on.clear()
        writer.write(b"0\r\n\r\n")

    async with setting(Server(behave)) as at:
        client = await at.client()
        await client.send(GET)
        await client.head()
        for number in range(3):
            assert await client.reader.readexactly(14) == b"9\r\ndata: %d\n\n\r\n" % number
            assert at.out() == 1
            goes_on.set()
        assert await client.reader.readexactly(5) == b"0\r\n\r\n"
        await until(lambda: at.out() == 0)
        assert at.pool.stats().endpoints[0].successes == 1


async def _stalls(sent):
    """Wait until a number has not changed for a while: the shorter this is, the more a test lets pass."""
    last, rounds = -1, 0
    while rounds < 20:
        await asyncio.sleep(0.005)
        rounds = rounds + 1 if sent() == last else 0
        last = sent()


async def test_a_client_that_does_not_read_does_not_fill_the_memory():
    size = 48 * 2**20

    sent = 0

    async def behave(_, __, ___, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(bytes(2**16))
            sent += 2**16
            await writer.drain()

    async with setting(Server(behave)) as at:
        client = await at.client()
        client.writer.transport.pause_reading()
        await client.send(GET)
        await until(lambda: sent > 0)
        await _stalls(lambda: sent)
        assert sent < 32 * 2**20  # what the sockets of both sides hold, at most 24 MiB, and not the proxy
        client.writer.transport.resume_reading()
        got = len(await client.reader.readuntil(b"\r\n\r\n")) * 0
        while got < size:
            got += len(await client.reader.read(2**20))
        await until(lambda: at.out() == 0)


async def test_a_server_that_does_not_read_does_not_fill_the_memory():
    reads, got = asyncio.Event(), 0
    size = 48 * 2**20

    async def behave(_, __, reader, writer):
        nonlocal got
        await reads.wait()
        while got < size:
            got += len(await reader.read(2**20))
        writer.write(OK)

    server = Server(behave, reads_body=False)
    async with setting(server) as at:
        client = await at.client()
        client.writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        sent = 0

        async def send():
            nonlocal sent
            while sent < size:
                client.writer.write(bytes(2**16))
                sent += 2**16
                await client.writer.drain()

        sending = asyncio.create_task(send())
        await until(lambda: server.asked)
        await _stalls(lambda: sent)
        assert sent < 32 * 2**20
        reads.set()
        assert (await client.answer()).body == b"ok"
        await sending


# -- other protocols -----------------------------------------------------------------------------------

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: k\r\n\r\n"
)
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n"
)


async def _echo(_, __, reader, writer):
    writer.write(ACCEPTED + b"hi!")
    while said := await reader.read(1000):
        writer.write(said.upper())
    writer.close()


async def test_a_websocket_is_passed_on_and_holds_its_lease():
    server = Server(_echo)
    async with setting(server) as at:
        client = await at.client()
        await client.send(UPGRADE)
        answer = await client.head()
        assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, "a")
        assert answer.headers["upgrade"] == "websocket"
        assert (server.asked[0]["Upgrade"], server.asked[0]["Sec-WebSocket-Key"]) == ("websocket", "k")
        assert await client.reader.readexactly(3) == b"hi!"
        for word in (b"one", b"two"):
            await client.send(word)
            assert await client.reader.readexactly(3) == word.upper()
            assert at.out() == 1
        client.close()
        await until(lambda: at.out() == server.open == 0)
        assert at.pool.stats().endpoints[0].successes == 1


async def test_what_a_client_sends_before_its_upgrade_is_accepted_is_not_lost():
    async with setting(Server(_echo)) as at:
        client = await at.client()
        await client.send(UPGRADE + b"one")
        await client.send(b"two")
        assert (await client.head()).status == 101
        assert await client.reader.readexactly(9) == b"hi!ONETWO"


async def test_a_websocket_ends_for_the_client_when_its_server_ends_it():
    async def bye(_, __, reader, writer):
        writer.write(ACCEPTED)
        writer.write(await reader.read(10))
        writer.close()

    async with setting(Server(bye)) as at:
        client = await at.client()
        await client.send(UPGRADE)
        await client.head()
        await client.send(b"bye")
        assert await client.reader.read() == b"bye"
        await until(lambda: at.out() == 0)


async def test_a_refused_upgrade_is_an_answer_as_any_other():
    async with setting(Server(answering(b"HTTP/1.1 404 No\r\nContent-Length: 4\r\n\r\nnope", OK))) as at:
        client = await at.client()
        await client.send(UPGRADE + GET[:9])
        answer = await client.answer()
        assert (answer.status, answer.body) == (404, b"nope")
        assert (await client.ask(GET[9:] + GET)).body == b"ok"  # what came too early was a request
        assert (await client.answer()).body == b"ok"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("body", [b"", b"hello"])
async def test_an_upgrade_to_another_protocol_is_ignored(body, chunked):
    """Java's client asks for h2c in its first request, with a body or without."""

    server = Server(answering(OK))
    async with setting(server) as at:
        client = await at.client()
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
        head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n"  # noqa: E501
        sent = (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n" if chunked else body
        await client.send(head + framing + b"\r\n\r\n" + sent[:2])
        await client.send(sent[2:])
        assert (await client.answer()).body == b"ok"
        assert await client.is_closed() if chunked else (await client.ask(GET)).body == b"ok"
    assert server.asked[0].body == body
    assert not [name for name in ("Upgrade", "HTTP2-Settings", "Connection") if name in server.asked[0]]


@pytest.mark.parametrize("said", [b"Upgrade: h2c\r\n", b""], ids=["another", "none"])
async def test_a_server_that_switches_to_another_protocol_than_the_one_asked_for_has_failed(said):
    answer = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n" + said + b"\r\n"
    async with setting(Server(answering(answer))) as at:
        client = await at.client()
        await client.send(UPGRADE)
        assert (await client.answer()).status == 502
        await until(lambda: at.out() == 0)
        assert at.pool.stats().endpoints[0].failures >= 1


async def test_a_server_that_switches_unasked_has_failed():
    async with setting(Server(answering(ACCEPTED)), health=None) as at:
        assert (await at.get()).status == 502
        assert at.out() == 0
