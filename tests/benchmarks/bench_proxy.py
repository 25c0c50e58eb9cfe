"""balancer proxy beside HAProxy and LiteLLM's proxy: what a request costs, what is lost, how many streams are held.

    python -m tests.benchmarks.bench_proxy                     # cost and losses: balancer and HAProxy
    python -m tests.benchmarks.bench_proxy --litellm PYTHON    # LiteLLM too, of the environment of that Python
    python -m tests.benchmarks.bench_proxy --streams 10000     # only the streams

Servers are one process, clients another, each proxy has one process and one thread (HAProxy: nbthread 1). Contenders
take turns. Times of a busy machine say little; the CPU of a request is that of the proxy's processes alone. Every
request is a chat completion of OpenAI's API, as LiteLLM serves nothing else.
"""

import asyncio
import json
import os
import resource
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.benchmarks.harness import ROOT, options, show

SERVERS: Final = 3
CAPACITY: Final = 8
_BODY: Final = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello " * 20}]}).encode()
_MESSAGE: Final = {"role": "assistant", "content": "Hello"}
_ANSWER: Final = json.dumps(
    {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": _MESSAGE}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }
).encode()
_WHOLE: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
    len(_ANSWER),
    _ANSWER,
)
_SLOW_S: Final = 30.0
_KEY: Final = f"sk-{secrets.token_hex(32)}"


# -- the servers: a process of their own, told by lines on standard input --------------------------------


class _Connection(asyncio.Protocol):
    """One connection to a server. It answers after the server's time, or holds a stream."""

    def __init__(self, server: "_Server") -> None:
        self._server = server
        self._buffer = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._server.open.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.open.discard(self._transport)
        self._server.streams.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        server = self._server
        if head.startswith(b"get /stream"):
            server.streams.add(self._transport)
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            self._transport.write(b"9\r\ndata: a\n\n\r\n")
            return
        if server.mode == "busy":
            self._transport.write(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
            return
        after_s = _SLOW_S if server.mode == "slow" else server.time_s
        if server.mode == "half":
            self._transport.write(_WHOLE[:150])
            asyncio.get_running_loop().call_later(0.001, self._transport.abort)
        elif after_s:
            asyncio.get_running_loop().call_later(after_s, self._write)
        else:
            self._write()

    def _write(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_WHOLE)


@dataclass
class _Server:
    mode: str = ""
    time_s: float = 0.0
    open: set[asyncio.Transport] = field(default_factory=set)
    streams: set[asyncio.Transport] = field(default_factory=set)
    listening: asyncio.Server | None = None
    port: int = 0

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self.listening = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=4096)
        self.port = self.listening.sockets[0].getsockname()[1]

    async def turn(self, mode: str) -> None:
        self.mode = mode
        if mode == "dead" and self.listening is not None:
            self.listening.close()
            for each in [*self.open]:
                each.abort()
            self.listening = None
        elif mode != "dead" and self.listening is None:
            await self.listen()


async def _serve() -> None:
    servers = [_Server() for _ in range(SERVERS)]
    for server in servers:
        await server.listen()
    print(*(server.port for server in servers), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        match line:
            case ["time", seconds]:
                for server in servers:
                    server.time_s = float(seconds)
            case ["turn", number, *mode]:
                await servers[int(number)].turn("".join(mode))
            case ["event"] | ["end"]:
                said = b"9\r\ndata: a\n\n\r\n" if line == ["event"] else b"0\r\n\r\n"
                for server in servers:
                    for each in [*server.streams]:
                        each.write(said)
                    if line == ["end"]:
                        server.streams.clear()
        print("done", *(len(server.streams) for server in servers), flush=True)


class Servers:
    """The process of the servers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bench_proxy", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        self.ports = [int(port) for port in self._process.stdout.readline().split()]

    def tell(self, words: str) -> str:
        """Say something, and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(words, file=self._process.stdin, flush=True)
        return self._process.stdout.readline()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


# -- the proxies -----------------------------------------------------------------------------------------


@dataclass
class Contender:
    """A proxy that runs. `path`: of a chat completion."""

    name: str
    port: int
    process: subprocess.Popen[Any] | None = None

    def cpu_s(self) -> float:
        """Return the CPU seconds of its processes."""
        return sum(_cpu_s(each) for each in _family(self.process.pid)) if self.process else 0.0

    def memory_mb(self) -> float:
        """Return the resident memory of its processes."""
        return sum(_memory_mb(each) for each in _family(self.process.pid)) if self.process else 0.0


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of all threads that a process has, to the nanosecond."""
    with suppress(OSError):
        return (
            sum(int((each / "schedstat").read_text().split()[0]) for each in Path(f"/proc/{pid}/task").iterdir()) / 1e9
        )
    return 0.0


def _memory_mb(pid: int) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
    return 0.0


def _balancer(folder: Path, ports: Sequence[int], port: int, capacity: int) -> list[str]:
    entries = "".join(f'[[endpoints]]\nurl = "http://127.0.0.1:{each}/"\ncapacity = {capacity}\n' for each in ports)
    file = folder / f"pool-{capacity}.toml"
    file.write_text(
        f'[pool]\nstrategy = "least_in_flight"\n{entries}[proxy]\nsilent_s = {_patience_s(capacity)}\nattempts = 4\n'
    )
    return [sys.executable, "-m", "balancer", "proxy", str(file), "--port", str(port)]


def _haproxy(folder: Path, ports: Sequence[int], port: int, capacity: int) -> list[str]:
    lines = "".join(
        f"  server s{each} 127.0.0.1:{each} maxconn {capacity} check inter 1s observe layer7 error-limit 5 "
        "on-error mark-down\n"
        for each in ports
    )
    file = folder / f"haproxy-{capacity}.cfg"
    file.write_text(
        f"global\n  nbthread 1\n  maxconn {_most_streams()}\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 600s\n  timeout queue 60s\n"
        f"  timeout server {_patience_s(capacity):g}s\n"
        "  retries 3\n  option redispatch 1\n  retry-on all-retryable-errors\n  option http-keep-alive\n"
        f"listen it\n  bind 127.0.0.1:{port}\n  balance leastconn\n  http-reuse always\n{lines}"
    )
    return ["haproxy", "-db", "-q", "-f", str(file)]


def _patience_s(capacity: int) -> float:
    """Return how long a server may be silent: streams may be so for long."""
    return 2.0 if capacity == CAPACITY else 600.0


def _most_streams() -> int:
    """Return how many streams a proxy can hold: each needs two files."""
    return (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200) // 2


def _litellm(python: str, folder: Path, ports: Sequence[int], port: int) -> list[str]:
    models = [
        {
            "model_name": "m",
            "litellm_params": {
                "model": "openai/m",
                "api_base": f"http://127.0.0.1:{each}/v1",
                "api_key": "none",
                "max_parallel_requests": CAPACITY,
                "timeout": 2,
            },
        }
        for each in ports
    ]
    settings = {"routing_strategy": "least-busy", "num_retries": 3, "allowed_fails": 3, "cooldown_time": 5}
    file = folder / "litellm.json"  # JSON is YAML
    file.write_text(json.dumps({"model_list": models, "router_settings": settings}))
    begin = "from litellm.proxy.proxy_cli import run_server; run_server()"
    return [python, "-c", begin, "--config", str(file), "--port", str(port), "--host", "127.0.0.1"]


@contextmanager
def contender(name: str, command: Sequence[str], port: int) -> Iterator[Contender]:
    """Run a proxy until the end of the block."""
    environment = {
        **os.environ,
        "LITELLM_LOG": "ERROR",
        "LITELLM_MASTER_KEY": _KEY,
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, env=environment, cwd=ROOT)
        try:
            until_s = time.monotonic() + 120
            while True:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if process.poll() is not None or time.monotonic() > until_s:
                    said.seek(0)
                    raise SystemExit(f"{name} did not start: {said.read().decode()[-2000:]}")
                time.sleep(0.2)
            yield Contender(name, port, process)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# -- the clients -----------------------------------------------------------------------------------------


class _Client(asyncio.Protocol):
    """One connection that asks again and again."""

    def __init__(self, load: "_Load") -> None:
        self._load = load
        self._buffer = b""
        self.done = asyncio.get_running_loop().create_future()
        self._asks = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._next()

    def _next(self) -> None:
        self._asks = self._load.take()
        if not self._asks:
            self._finish()
            return
        self._began_s = time.perf_counter()
        self._transport.write(self._load.question)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        if b"transfer-encoding: chunked" in head:
            whole = self._buffer.endswith(b"0\r\n\r\n")
        else:
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            whole = len(self._buffer) >= end + 4 + length
        if not whole:
            return
        status, self._buffer = int(head.split()[1]), b""
        self._asks = False
        self._load.ended(status, time.perf_counter() - self._began_s)
        if b"connection: close" in head:
            self._transport.close()
            self._finish()
        else:
            self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asks:
            self._load.ended(0, 0.0)
        self._finish()

    def _finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


@dataclass
class _Load:
    """So many requests, by so many connections. `at`: called when so many have ended."""

    port: int
    requests: int
    connections: int
    at: dict[int, Callable[[], object]] = field(default_factory=dict)
    times_s: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    began: int = 0

    def __post_init__(self) -> None:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {_KEY}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\n\r\n"
        self.question = head.encode() + _BODY

    def take(self) -> bool:
        self.began += 1
        return self.began <= self.requests

    def ended(self, status: int, took_s: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status:
            self.times_s.append(took_s)
        act = self.at.pop(sum(self.statuses.values()), None)
        if act is not None:
            act()

    async def run(self) -> float:
        """Send all, and return the seconds that it took."""
        began_s = time.perf_counter()
        await asyncio.gather(*(self._connection() for _ in range(self.connections)))
        return time.perf_counter() - began_s

    async def _connection(self) -> None:
        loop = asyncio.get_running_loop()
        while self.began < self.requests:
            _, client = await loop.create_connection(lambda: _Client(self), "127.0.0.1", self.port)
            await client.done
            client._transport.close()


def _run(load: _Load) -> float:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(load.run())


# -- what is measured ------------------------------------------------------------------------------------


def cost(contenders: Sequence[Contender], servers: Servers, *, requests: int, rounds: int) -> None:
    """Print requests a second, times and CPU of each contender, in turns."""
    servers.tell("time 0")
    found: dict[str, list[tuple[float, float, float, float]]] = {each.name: [] for each in contenders}
    for number in range(rounds + 1):
        for each in contenders:
            few = requests // 20 if each.name == "LiteLLM" else requests
            load, before_s = _Load(each.port, few, 16), each.cpu_s()
            took_s = _run(load)
            assert load.statuses == {200: few}, (each.name, load.statuses)
            p50, p99 = statistics.median(load.times_s), statistics.quantiles(load.times_s, n=100)[98]
            if number:  # the first round warms up
                found[each.name].append((few / took_s, p50, p99, (each.cpu_s() - before_s) / few))
    rows = []
    direct = [statistics.median(each[at] for each in found["no proxy"]) for at in range(4)]
    for name, all_rounds in found.items():
        rate, p50, p99, cpu = (statistics.median(each[at] for each in all_rounds) for at in range(4))
        added = ["", ""] if name == "no proxy" else [f"{(p50 - direct[1]) * 1e3:.2f}", f"{(p99 - direct[2]) * 1e3:.2f}"]
        rows.append([name, f"{rate:,.0f}", f"{p50 * 1e3:.2f}", f"{p99 * 1e3:.2f}", *added, f"{cpu * 1e6:.0f}"])
    heads = "proxy | requests/s | p50 ms | p99 ms | added p50 | added p99 | CPU us a request"
    show(heads, rows, f"16 connections, {requests} requests, medians of {rounds} rounds")


def losses(contenders: Sequence[Contender], servers: Servers, *, requests: int) -> None:
    """Print what each contender loses while one of three servers fails, from a third of the requests on."""
    servers.tell("time 0.01")
    rows = []
    for mode in ("dead", "half", "busy", "slow"):
        for each in contenders:
            if each.name == "no proxy":
                continue
            few = requests // 10 if each.name == "LiteLLM" else requests
            load = _Load(each.port, few, 40, at={few // 3: lambda mode=mode: servers.tell(f"turn 1 {mode}")})  # type: ignore[misc]
            took_s = _run(load)
            servers.tell("turn 1")
            lost = {status or "broken": count for status, count in sorted(load.statuses.items()) if status != 200}
            p99 = statistics.quantiles(load.times_s, n=100)[98]
            said = ", ".join(f"{count} x {status}" for status, count in lost.items()) or "0"
            rows.append([mode, each.name, few, said, f"{p99 * 1e3:.0f}", f"{took_s:.1f}"])
            time.sleep(6)  # all come back to service
    show("it is | proxy | requests | lost | p99 ms | s", rows, "one of 3 servers fails", 2)


async def _hold(port: int, streams: int, servers: Servers, each: Contender) -> list[object]:
    got = [0]

    class Reader(asyncio.Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            transport.write(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            self.events = 0
            self.whole = self.closed = False

        def data_received(self, data: bytes) -> None:
            self.events += data.count(b"data: a")
            self.whole |= data.endswith(b"0\r\n\r\n")
            got[0] += data.count(b"data: a")

        def connection_lost(self, exc: Exception | None) -> None:
            self.closed = True

    loop, before_mb = asyncio.get_running_loop(), each.memory_mb()
    readers: list[Reader] = []
    gate = asyncio.Semaphore(200)

    async def one() -> None:
        async with gate:
            with suppress(OSError):
                _, reader = await loop.create_connection(Reader, "127.0.0.1", port)
                readers.append(reader)

    await asyncio.gather(*(one() for _ in range(streams)))
    await _quiet(lambda: got[0])
    held = sum(reader.events > 0 and not reader.closed for reader in readers)
    memory, cpu_s, seen, began_s = each.memory_mb() - before_mb, each.cpu_s(), got[0], time.perf_counter()
    rounds = 5
    for _ in range(rounds):
        await asyncio.to_thread(servers.tell, "event")
        await _quiet(lambda: got[0])
    took_s, events = time.perf_counter() - began_s, got[0] - seen
    per_event = (each.cpu_s() - cpu_s) / max(1, events)
    await asyncio.to_thread(servers.tell, "end")
    await _quiet(lambda: sum(reader.whole for reader in readers))
    whole = sum(reader.whole for reader in readers)
    return [
        each.name,
        streams,
        held,
        whole,
        f"{memory * 1024 / max(1, held):.0f}",
        f"{per_event * 1e6:.0f}",
        f"{took_s:.0f}",
    ]


async def _quiet(count: Callable[[], int]) -> None:
    last, rounds = -1, 0
    while rounds < 25:
        await asyncio.sleep(0.2)
        rounds = rounds + 1 if count() == last else 0
        last = count()


def streams(contenders: Sequence[Contender], servers: Servers, *, many: int) -> None:
    """Print how many streams each contender holds at once, and what they cost."""
    import uvloop

    rows = []
    for each in contenders:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows.append(runner.run(_hold(each.port, many, servers, each)))
    show(
        "proxy | asked for | held at once | whole at the end | KiB a stream | CPU us an event | s for 5 events",
        rows,
        "streams of events",
    )


def main() -> None:
    """Measure."""
    asked = options(
        __doc__,
        "a tenth of the requests",
        serve=(False, "be the servers (used by itself)"),
        litellm=(str, "the Python of an environment with litellm[proxy]"),
        streams=(0, "how many streams to hold; 0: the costs and losses"),
        requests=(10_000, "requests a round"),
        rounds=(5, "rounds"),
        only=(str, "cost or losses"),
    )
    if asked.serve:
        import uvloop

        _raise_limit()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve())
        return
    _raise_limit()
    requests = asked.requests // 10 if asked.short else asked.requests
    with ExitStack() as owned:
        folder = Path(owned.enter_context(tempfile.TemporaryDirectory()))
        servers = Servers()
        owned.callback(servers.end)
        capacity = asked.streams or CAPACITY
        makers: dict[str, Callable[[int], list[str]]] = {
            "balancer": lambda port: _balancer(folder, servers.ports, port, capacity),
            "HAProxy": lambda port: _haproxy(folder, servers.ports, port, capacity),
        }
        if asked.litellm and not asked.streams:
            makers["LiteLLM"] = lambda port: _litellm(asked.litellm, folder, servers.ports, port)
        running = []
        for name, make in makers.items():
            port = _free_port()
            running.append(owned.enter_context(contender(name, make(port), port)))
        if asked.streams:
            streams(running, servers, many=asked.streams)
            return
        if asked.only != "losses":
            cost([Contender("no proxy", servers.ports[0]), *running], servers, requests=requests, rounds=asked.rounds)
        if asked.only != "cost":
            losses(running, servers, requests=requests // 5)


def _raise_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for most in (65_536, hard):
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, max(most, hard)))
            return


if __name__ == "__main__":
    main()
