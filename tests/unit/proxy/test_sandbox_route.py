"""The route `sandbox` of a proxy, from its config to the sockets: one of four servers dies, and no answer is lost."""

import asyncio
import json
from contextlib import asynccontextmanager

from balancer.opening.pool import Pool
from balancer.plugins.registry import default_registry
from balancer.proxy.app import ProxyServer
from balancer.sandbox.run_code import About, CommandResult, CommandStatus, RunCodeAnswer, RunStatus
from balancer.settings.config import load_config
from tests.unit.proxy.harness import Server, Setting

JSON = "Content-Type: application/json\r\n"


def _said(content):
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode()
    )


class Sandbox(Server):
    """A server like `balancer sandbox`, whose programs double their input. It dies with its `last` request."""

    def __init__(self, last=10**9):
        self._left = last
        super().__init__(self._behave)

    async def _behave(self, _, asked, __, writer):
        if "/run_code" not in asked.line:
            writer.write(_said(About(languages=["python"]).model_dump_json()))
            return
        self._left -= 1
        if self._left <= 0:
            assert self._server is not None
            self._server.close()
            writer.transport.abort()
            return
        run_asked = json.loads(asked.body)
        printed = "pong" if "pong" in run_asked["code"] else f"{2 * int(run_asked['stdin'])}\n"
        ran = CommandResult(
            status=CommandStatus.FINISHED, execution_time=0.01, return_code=0, stdout=printed, stderr="", cpu_time=0.01
        )
        writer.write(_said(RunCodeAnswer(status=RunStatus.SUCCESS, run_result=ran).model_dump_json()))


@asynccontextmanager
async def sandboxes(folder, *servers):
    """Start servers, and a proxy of a config in front of them."""
    for server in servers:
        await server.start()
    file = folder / "sandboxes.toml"
    endpoints = (f'[[endpoints]]\nurl = "http://127.0.0.1:{server.port}/"\ncapacity = 2\n' for server in servers)
    file.write_text('[proxy]\nroutes = ["sandbox"]\nkept_bytes = 100_000\n' + "".join(endpoints), encoding="utf-8")
    config, registry = load_config(file), default_registry()
    with Pool.from_config(config, registry=registry) as pool:
        plugin = registry.find("sandbox", registry.routes, "route")
        routes, close = plugin.make(pool, config, registry)
        proxy = ProxyServer(pool, config.proxy, routes=routes)
        made = Setting(pool, proxy, await proxy.listen(), servers)
        try:
            yield made
        finally:
            for client in made.clients:
                client.close()
            await proxy.stop(0)
            await asyncio.to_thread(close)
            for server in servers:
                await server.end()


def _asked(number):
    asked = {"code": "double", "language": "python", "stdin": str(number), "run_timeout": 10}
    return json.dumps(asked).encode()


async def test_one_of_four_dies_and_no_answer_is_lost(tmp_path):
    async with sandboxes(tmp_path, Sandbox(), Sandbox(last=4), Sandbox(), Sandbox()) as at:
        found = {}

        async def ask(numbers):
            client = await at.client()
            for number in numbers:
                head = f"POST /run_code HTTP/1.1\r\nHost: a\r\n{JSON}Content-Length: {len(_asked(number))}\r\n\r\n"
                answer = await client.ask(head.encode() + _asked(number))
                assert answer.status == 200, answer.body
                found[number] = json.loads(answer.body)["run_result"]["stdout"]

        await asyncio.gather(*(ask(range(first, 48, 6)) for first in range(6)))
        assert found == {number: f"{2 * number}\n" for number in range(48)}
        assert at.out() == 0


async def test_what_is_refused_and_what_is_passed_on(tmp_path):
    async with sandboxes(tmp_path, Sandbox()) as at:
        refused = await at.post(b'{"code": "x", "language": "lean"}', "/run_code", JSON)
        assert (refused.status, refused.headers["content-type"]) == (422, "application/json")
        assert json.loads(refused.body)["detail"].startswith("language 'lean' is not known")
        assert (await at.post(_asked(1) + b" " * 400_000, "/run_code", JSON)).status == 413
        assert (await at.post(_asked(1), "/run_code")).status == 415
        assert json.loads((await at.get("/v1/ping")).body) == "pong"
        assert b"balancer sandbox" in (await at.get("/elsewhere")).body  # from the server itself
