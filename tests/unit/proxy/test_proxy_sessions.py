"""Sessions behind the proxy: what lives on one server is found there, with OpenAI's own client too."""

import asyncio
import json

import openai

from balancer.transports.clients import openai_http
from tests.unit.proxy.harness import Server, answering, run, setting, until
from tests.unit.transports.file_servers import FileServer


def _serving(files):
    async def behave(_, asked, __, writer):
        method, target, _ = asked.line.split()
        status, said = files.answer(method, target, asked.body)
        body = json.dumps(said).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body[:30])
        await writer.drain()
        writer.write(body[30:])
        await writer.drain()

    return Server(behave)


async def _found(port):
    """Return how many of twelve files and twelve runs OpenAI's client finds again."""
    found = 0
    http = openai_http().AsyncClient()  # its own would be made with arguments that an httpx of today refuses
    url = f"http://127.0.0.1:{port}/v1"
    async with openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, http_client=http) as client:
        for _ in range(12):
            file = await client.files.create(file=("a.jsonl", b"{}"), purpose="batch")
            run = await client.post("/threads/runs", body={"assistant_id": "a"}, cast_to=object)
            polls = (client.get(f"/threads/{run['thread_id']}/runs/{run['id']}", cast_to=object),)
            for ask in (client.files.retrieve(file.id), *polls):
                try:
                    await ask
                    found += 1
                except openai.NotFoundError:
                    pass
    return found


def test_files_and_runs_are_found_with_openais_client_and_not_without_sessions():
    async def test(proxied, least, most):
        files = [FileServer(name) for name in "abc"]
        async with setting(*map(_serving, files), proxied=proxied, strategy="random") as made:
            assert least <= await _found(made.port) <= most
        assert all(each.seen for each in files)

    run(test({"sessions": {}}, 24, 24))
    run(test({}, 0, 14))


def test_a_server_that_was_removed_is_told_with_a_404_or_left_by_choice():
    async def test(elsewhere):
        files = [FileServer("a"), FileServer("b")]
        proxied = {"sessions": {"elsewhere": elsewhere}}
        async with setting(*map(_serving, files), proxied=proxied) as made:
            told = json.loads((await made.post(b"", "/v1/files")).body)
            at = 0 if files[0].seen else 1
            made.pool.drain(made.pool.endpoints()[at].name)
            gone = await made.get(f"/v1/files/{told['id']}")
            error = json.loads(gone.body)["error"]
            asked = len(files[1 - at].seen)
            assert (gone.status, error["type"], asked) == (
                404,
                "not_found" if elsewhere else "session_gone",
                len(elsewhere),
            )
            if not elsewhere:
                assert error["message"].startswith("the server of this session is gone")
                assert gone.headers["x-should-retry"] == "false"

    run(test([]))
    run(test(["gone"]))


async def test_a_request_waits_for_the_server_of_its_session_while_another_is_free():
    files = [FileServer("a"), FileServer("b")]
    async with setting(*map(_serving, files), capacity=1, proxied={"sessions": {}}) as made:
        told = json.loads((await made.post(b"", "/v1/files")).body)
        mine = made.pool.endpoints()[0 if files[0].seen else 1].name
        await until(lambda: made.out() == 0)
        with made.pool.lease(only=mine):
            asks = asyncio.create_task(made.get(f"/v1/files/{told['id']}"))
            await until(lambda: made.pool.stats().waiting == 1)
        assert (await asks).status == 200


async def test_a_session_of_a_server_is_kept_by_its_header():
    named = b"HTTP/1.1 200 OK\r\nMcp-Session-Id: s-1\r\nContent-Length: 2\r\n\r\nok"

    servers = [Server(answering(named)) for _ in range(3)]
    async with setting(*servers, proxied={"sessions": {"header": "Mcp-Session-Id"}}) as made:
        await made.get("/mcp")
        for _ in range(5):
            await made.post(b"{}", "/mcp", "Mcp-Session-Id: s-1\r\n")
        assert sorted(len(server.asked) for server in servers) == [0, 0, 6]


async def test_the_proxy_makes_keys_of_blocks_for_the_strategy_prefix():
    def talk(user, turns):
        said = [{"role": "user", "content": f"{user} " * 100}] * turns
        return json.dumps({"model": "m", "messages": said}).encode()

    servers = [Server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) for _ in range(2)]
    proxied = {"prompt_key": True, "prompt_block": 100}
    async with setting(*servers, strategy="prefix", proxied=proxied) as made:
        for turns in (2, 3, 4):
            for user in ("me", "you"):
                await made.post(talk(user, turns), "/v1/chat/completions", "Content-Type: application/json\r\n")
        assert [len({asked.body[40:60] for asked in server.asked}) for server in servers] == [1, 1]
