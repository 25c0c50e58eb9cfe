"""A proxy, scripted servers behind it and raw clients before it, in one event loop."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from balancer import Endpoint, Pool
from balancer.proxy.app import ProxyServer
from balancer.settings.proxy import ProxySettings
from tests.patience import PATIENCE_S

__all__ = ["Answer", "Asked", "Client", "Server", "Setting", "answering", "gated", "run", "setting", "until"]

new_loop = asyncio.new_event_loop

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class Asked:
    """A request as a server got it."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def __getitem__(self, name):
        (value,) = [value for key, value in self.headers if key.lower() == name.lower()]
        return value

    def __contains__(self, name):
        return any(key.lower() == name.lower() for key, _ in self.headers)


async def _head_of(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    return lines[0], [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:-2])]


async def _body_of(reader, found):
    if found.get("transfer-encoding") == "chunked":
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n"
        trailers = []
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            trailers.append(line.decode().strip())
        return body, trailers
    return await reader.readexactly(int(found.get("content-length", 0))), []


Behaviour = Callable[["Server", Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """A server that reads whole requests, and lets its behaviour answer.

    Attributes:
        asked: the requests that it has read.
        connections: how many it has accepted.
        open: how many of these are open.
    """

    def __init__(self, behave, *, reads_body=True):
        self.behave = behave
        self.asked = []
        self.connections = self.open = self.port = 0
        self._reads_body = reads_body
        self._server = None
        self._tasks = set()

    async def start(self, **options):
        """Listen."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20, **options)
        self.port = self._server.sockets[0].getsockname()[1]

    async def end(self):
        """End all."""
        assert self._server is not None
        self._server.close()
        await _turns()  # whoever was accepted last is served, so that its connection is known
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.open += 1
        try:
            while True:
                line, headers = await _head_of(reader)
                asked = Asked(line, headers)
                if self._reads_body:
                    asked.body, _ = await _body_of(reader, {name.lower(): value for name, value in headers})
                self.asked.append(asked)
                await self.behave(self, asked, reader, writer)
                if writer.transport.is_closing():
                    return
        except asyncio.CancelledError:
            writer.transport.abort()  # though it has something to send
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self._tasks.discard(task)
            with suppress(RuntimeError):
                writer.close()


def answering(*answers, ends=False):
    """Return a behaviour that answers with these, the last one again and again. `ends`: and closes."""
    left = list(answers)

    async def behave(_, asked, __, writer):
        writer.write(left.pop(0) if len(left) > 1 else left[0])
        await writer.drain()
        if ends:
            writer.close()

    return behave


def gated(gate):
    """Return a behaviour that answers once `gate` is open."""

    async def behave(*asked):
        await gate.wait()
        await answering(OK)(*asked)

    return behave


@dataclass
class Answer:
    """An answer as a client got it.

    Attributes:
        whole: False: the connection ended before the end of the answer.
    """

    status: int
    headers: dict[str, str]
    body: bytes = b""
    trailers: list[str] = field(default_factory=list)
    whole: bool = True


class Client:
    """A connection to the proxy."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer

    async def send(self, data):
        """Send bytes."""
        self.writer.write(data)
        await self.writer.drain()

    async def head(self):
        """Read the head of an answer."""
        line, headers = await _head_of(self.reader)
        return Answer(int(line.split()[1]), {name.lower(): value for name, value in headers})

    async def answer(self, *, bodiless=False):
        """Read an answer."""
        answer = await self.head()
        if bodiless or answer.status in (204, 304) or answer.status < 200:
            return answer
        try:
            if "content-length" in answer.headers or "transfer-encoding" in answer.headers:
                answer.body, answer.trailers = await _body_of(self.reader, answer.headers)
            else:
                answer.body = await self.reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            answer.whole = False
        return answer

    async def ask(self, data, *, bodiless=False):
        """Send a request and read its answer."""
        await self.send(data)
        return await self.answer(bodiless=bodiless)

    async def is_closed(self):
        """Return whether nothing but the end comes."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    def close(self):
        """Close at once."""
        self.writer.transport.abort()


@dataclass
class Setting:
    """A proxy over servers."""

    pool: Pool
    proxy: ProxyServer
    port: int
    servers: Sequence[Server]
    clients: list[Client] = field(default_factory=list)

    async def client(self, **options):
        """Connect."""
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port, limit=2**22, **options))
        self.clients.append(client)
        return client

    async def ask(self, data, *, bodiless=False):
        """Ask by a connection of its own."""
        client = await self.client()
        try:
            return await client.ask(data, bodiless=bodiless)
        finally:
            client.close()

    async def get(self, path="/", headers=""):
        """Ask for a path."""
        return await self.ask(f"GET {path} HTTP/1.1\r\nHost: proxy\r\n{headers}\r\n".encode())

    async def post(self, body, path="/", headers=""):
        """Send a body."""
        head = f"POST {path} HTTP/1.1\r\nHost: proxy\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        return await self.ask(head.encode() + body)

    def out(self):
        """Return how many slots are out."""
        return sum(each.in_flight for each in self.pool.stats().endpoints)


@asynccontextmanager
async def setting(
    *servers,
    path="/",
    capacity=4,
    routes=None,
    tls=None,
    labels=(),
    headers=None,
    quota=None,
    scheme="http",
    server_tls=None,
    dead=0,
    proxied=None,
    limits=None,
    **pooled,
):
    """Start all, and stop all at the end. `dead`: the first endpoint is one that refuses connections."""
    for server in servers:
        await server.start(**({"ssl": server_tls} if server_tls else {}))
    ports = [*([1] * dead), *(server.port for server in servers)]
    endpoints = [
        Endpoint(
            f"{scheme}://127.0.0.1:{port}{path}",
            capacity=capacity,
            labels=labels[number] if labels else frozenset(),
            headers=headers or {},
            quota=quota,
        )
        for number, port in enumerate(ports)
    ]
    with Pool(endpoints, **{"seed": 1, "strategy": "round_robin"} | pooled) as pool:
        proxy = ProxyServer(pool, ProxySettings(**(proxied or {})), routes=routes, limits=limits)
        port = await proxy.listen(tls=tls)
        made = Setting(pool, proxy, port, servers)
        try:
            yield made
        finally:
            for client in made.clients:
                client.close()
            await proxy.stop(0)
            for server in servers:
                await server.end()


def run(test):
    """Run a test in a loop of its own."""

    async def within():
        async with asyncio.timeout(PATIENCE_S):
            try:
                await test
            finally:
                await _turns()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(within())


async def _turns():
    """Let the loop go round: a connection that is closed has its socket closed in a later turn."""
    for _ in range(5):
        await asyncio.sleep(0)


async def until(holds):
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.001)
