"""What a proxy refuses: smuggled requests, paths that lead out, heads without end, and clients that dawdle."""

import asyncio

import pytest

from balancer.proxy.client_side import ConnectionLimits
from tests.unit.proxy.harness import OK, Server, answering, setting, until

GET = b"GET / HTTP/1.1\r\nHost: proxy\r\n\r\n"
HOST = b"Host: a\r\n"
CHUNKS = b"Transfer-Encoding: chunked\r\n"

# Two servers that read these differently would see different requests: RFC 9112, 11.2, and what was published since.
SMUGGLED = {
    "length, then chunks": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 6\r\n" + CHUNKS + b"\r\n0\r\n\r\nG",
    "chunks, then length": b"POST / HTTP/1.1\r\n" + HOST + CHUNKS + b"Content-Length: 6\r\n\r\n0\r\n\r\nG",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "the same length twice": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "a list of lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\na",
    "a length with a sign": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n\r\na",
    "an empty length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: \r\n\r\na",
    "a hexadecimal length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x1\r\n\r\na",
    "an endless length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999999999999999\r\n\r\na",
    "chunks twice": b"POST / HTTP/1.1\r\n" + HOST + CHUNKS + CHUNKS + b"\r\n0\r\n\r\n",
    "chunks and more": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "more and chunks": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "nearly chunks": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "quoted chunks": b"POST / HTTP/1.1\r\n" + HOST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunks by a vertical tab": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST / HTTP/1.0\r\n" + HOST + CHUNKS + b"\r\n0\r\n\r\n",
    "a space before a colon": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded header": b"POST / HTTP/1.1\r\n" + HOST + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n" + HOST + b": y\r\n\r\n",
    "a space before a name": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a bare LF": b"GET / HTTP/1.1\n" + HOST + b"\r\n",
    "a bare LF at the end of a header": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "a bare CR": b"GET / HTTP/1.1\r\n" + HOST + b"X: y\rContent-Length: 3\r\n\r\n",
    "a NUL": b"GET / HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "a chunk that is too long": b"POST / HTTP/1.1\r\n" + HOST + CHUNKS + b"\r\n1\r\nabc\r\n0\r\n\r\n",
    "a chunk by a bare LF": b"POST / HTTP/1.1\r\n" + HOST + CHUNKS + b"\r\n1\na\r\n0\r\n\r\n",
    "a chunk with a sign": b"POST / HTTP/1.1\r\n" + HOST + CHUNKS + b"\r\n-1\r\na\r\n0\r\n\r\n",
    "a chunk as 0x1": b"POST / HTTP/1.1\r\n" + HOST + CHUNKS + b"\r\n0x1\r\na\r\n0\r\n\r\n",
    "a chunk of 2**64": b"POST / HTTP/1.1\r\n" + HOST + CHUNKS + b"\r\n10000000000000001\r\na\r\n0\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    "another URL's user": b"GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a scheme of its own": b"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    "no slash": b"GET admin HTTP/1.1\r\nHost: a\r\n\r\n",
    "a fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a space in the path": b"GET /a HTTP/1.1 b HTTP/1.1\r\nHost: a\r\n\r\n",
    "up and out": b"GET /v1/../admin HTTP/1.1\r\nHost: a\r\n\r\n",
    "up and out, escaped": b"GET /v1/%2e%2E/admin HTTP/1.1\r\nHost: a\r\n\r\n",
    "up and out, with another slash": b"GET /v1/..%5cadmin HTTP/1.1\r\nHost: a\r\n\r\n",
    "up and out, with an escaped slash": b"GET /v1/..%2fadmin HTTP/1.1\r\nHost: a\r\n\r\n",
    "up and out, escaped twice": b"GET /v1/%252e%252e/admin HTTP/1.1\r\nHost: a\r\n\r\n",
    "up and out, before a NUL": b"GET /v1/..%00/admin HTTP/1.1\r\nHost: a\r\n\r\n",
    "up and out, with a parameter": b"GET /v1/..;/admin HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT a:22 HTTP/1.1\r\nHost: a\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/2.0 as text": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "an unknown method": b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
}
PLAIN = (400, 405, 501, 505)


@pytest.mark.parametrize("how", SMUGGLED)
async def test_what_could_be_read_in_two_ways_reaches_no_server(how):
    server = Server(answering(OK))
    async with setting(server) as at:
        client = await at.client()
        answer = await client.ask(SMUGGLED[how] + GET)
        assert answer.status in PLAIN
        assert answer.headers["connection"] == "close"
        assert await client.is_closed()
    assert server.asked == []


@pytest.mark.parametrize("how", ["length, then chunks", "a bare CR", "two hosts"])
async def test_a_wrong_request_after_a_right_one_is_refused_in_its_turn(how):
    server = Server(answering(OK))
    async with setting(server) as at:
        client = await at.client()
        assert (await client.ask(GET)).status == 200
        assert (await client.ask(SMUGGLED[how])).status in PLAIN
        assert await client.is_closed()
    assert len(server.asked) == 1


async def test_an_absolute_target_is_its_path_and_its_host():
    server = Server(answering(OK))
    async with setting(server) as at:
        assert (await at.ask(b"GET http://other:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200
        assert (await at.ask(b"GET http://other HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200
    assert [asked.line for asked in server.asked] == ["GET /x?y HTTP/1.1", "GET / HTTP/1.1"]
    assert server.asked[0]["X-Forwarded-Host"] == "other:81"


async def test_dots_that_lead_nowhere_are_passed_on():
    server = Server(answering(OK))
    async with setting(server) as at:
        for path in ("/a.b", "/...", "/.well-known", "/a?x=../..", "/v1/models/gpt-3.5"):
            assert (await at.get(path)).status == 200


async def test_a_request_that_comes_back_is_a_loop():
    server = Server(answering(OK))
    async with setting(server) as at:
        await at.get()
        assert (await at.get("/", f"Via: {server.asked[0]['Via']}\r\n")).status == 508


@pytest.mark.parametrize("how", ["one header", "many headers", "the target", "the trailers", "a header's name"])
async def test_a_head_without_end_is_refused(how):
    begin, piece = {
        "one header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"x" * 1000),
        "a header's name": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"x" * 1000),
        "many headers": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: y\r\n" * 100),
        "the target": (b"GET /", b"x" * 1000),
        "the trailers": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 100),
    }[how]

    async with setting(Server(answering(OK)), limits=ConnectionLimits(head_bytes=4000, body_s=2.0)) as at:
        client = await at.client()
        sent = 0

        async def send():
            nonlocal sent
            await client.send(begin)
            while True:
                await client.send(piece)
                sent += len(piece)
                await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        assert (await client.answer()).status in (400, 408, 431)  # of trailers aiohttp may say nothing
        sending.cancel()
        assert await client.is_closed()
        client.close()
        await until(lambda: at.proxy.connections == 0)


async def test_a_body_that_is_too_large_is_refused():
    server = Server(answering(OK))
    async with setting(server, proxied={"body_bytes": 1000}) as at:
        assert (await at.post(bytes(1001))).status == 413
        chunk = b"3e8\r\n" + bytes(1000) + b"\r\n"
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await at.ask(head + chunk + chunk)).status == 413
        assert (await at.post(bytes(1000))).status == 200
    assert len(server.asked) == 1


# -- clients that dawdle -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", None),
        (b"GET / HT", 408),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", 408),
    ],
)
async def test_a_request_that_does_not_come_to_its_end_is_given_up(sent, status):
    server = Server(answering(OK))
    async with setting(server, limits=ConnectionLimits(head_s=0.5, body_s=0.5, keep_alive_s=0.5)) as at:
        client = await at.client()
        await client.send(sent)
        if status is not None:
            assert (await client.answer()).status == status
        assert await client.is_closed()
        client.close()
        await until(lambda: at.proxy.connections == 0)
        assert (at.out(), server.asked) == (0, [])


async def test_the_time_of_a_head_begins_with_its_first_byte():
    """A busy machine accepts a connection long before it reads from it."""
    async with setting(Server(answering(OK)), limits=ConnectionLimits(head_s=0.2)) as at:
        client = await at.client()
        await asyncio.sleep(0.5)
        assert (await client.ask(GET)).status == 200


async def test_a_slow_body_takes_no_slot():
    async with setting(Server(answering(OK)), capacity=1) as at:
        for _ in range(5):
            slow = await at.client()
            await slow.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        assert (await at.get()).status == 200


async def test_an_idle_connection_is_closed():
    async with setting(Server(answering(OK)), limits=ConnectionLimits(keep_alive_s=0.05)) as at:
        client = await at.client()
        assert (await client.ask(GET)).status == 200
        assert await client.is_closed()


async def test_a_client_that_never_reads_is_dropped():
    async def much(_, __, ___, writer):
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(2**16))
            await writer.drain()

    server = Server(much)
    async with setting(server, limits=ConnectionLimits(unread_s=0.1)) as at:
        client = await at.client()
        client.writer.transport.pause_reading()
        await client.send(GET)
        await until(lambda: server.asked)
        await until(lambda: at.out() == at.proxy.connections == server.open == 0)


async def test_connections_that_wait_keep_nobody_out():
    async with setting(Server(answering(OK)), proxied={"connections": 8}) as at:
        silent = []
        for _ in range(40):
            silent.append(await at.client())
            await silent[-1].send(b"GET / HT")
        client = await at.client()
        assert (await client.ask(GET)).status == 200
        assert at.proxy.connections <= 8


async def test_what_is_kept_of_bodies_is_bounded():
    gate = asyncio.Event()

    async def behave(_, __, ___, writer):
        await gate.wait()
        writer.write(OK)

    async with setting(Server(behave), capacity=1, limits=ConnectionLimits(kept_bytes=1_000_000)) as at:
        asking = [asyncio.create_task(at.post(bytes(900_000))) for _ in range(6)]
        await until(lambda: at.pool.stats().waiting == 5)
        assert at.proxy.kept_bytes < 1_000_000 + 6 * (2**16 + 2**18)
        gate.set()
        assert [each.status for each in await asyncio.gather(*asking)] == [200] * 6
        assert at.proxy.kept_bytes == 0


async def test_a_trailer_is_no_header_of_the_next_request():
    server = Server(answering(OK))
    async with setting(server) as at:
        client = await at.client()
        chunked = b"POST / HTTP/1.1\r\nHost: a\r\n" + CHUNKS + b"\r\n1\r\na\r\n0\r\nAuthorization: b\r\n\r\n"
        answer = await client.ask(chunked + GET)
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await client.is_closed()
    assert not any("Authorization" in asked for asked in server.asked)


# -- servers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "body"), [("Content-Length", b"ok"), ("Transfer-Encoding", b"2\r\nok\r\n0\r\n\r\n")])
async def test_a_space_before_the_colon_of_an_answer_hides_no_header(name, body):
    value = b"2" if name == "Content-Length" else b"chunked"
    said = b"HTTP/1.1 200 OK\r\n%b : %b\r\nConnection : X\r\n\r\n%b" % (name.encode(), value, body)
    async with setting(Server(answering(said))) as at:
        answer = await at.get()
    assert answer.headers == {"content-length": "2"}
    assert answer.body == b"ok"


@pytest.mark.parametrize("status", [b"000", b"099"])
async def test_a_status_that_is_none_is_no_answer(status):
    said = b"HTTP/1.1 " + status + b" X\r\nContent-Length: 2\r\n\r\nok"
    async with setting(Server(answering(said)), proxied={"attempts": 1}) as at:
        assert (await at.get()).status == 502
