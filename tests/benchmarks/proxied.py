"""A proxy in front of servers that sleep, and requests that come at random: one run, and its log.

The servers and the caller live in one event loop. Both only wait, so one run takes a few percent of a core. How late
that loop woke is written down: what a busy machine adds is not of the proxy.
"""

import asyncio
import json
import math
import os
import random
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import tomllib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

__all__ = ["PLAN", "Setup", "missing_programs", "planned", "record"]

PLAN = Path(__file__).with_name("whatif.toml")
_PROGRAMS = {"haproxy": "haproxy", "nginx": "nginx"}
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_QUESTION = b"GET / HTTP/1.1\r\nHost: it\r\n\r\n"
_BEGIN_S = 2.0  # in which the proxy comes up and finds its servers


@dataclass(frozen=True)
class Setup:
    """What one run has. `servers`: their mean seconds; `question`: what differs from the base, "" for the base."""

    proxy: str
    question: str
    change: Mapping[str, Any]
    balance: str
    maxconn: int | None
    servers: Mapping[str, float]
    weights: Mapping[str, int]
    rate_per_s: float
    requests: int
    deviation: float
    slow: Mapping[str, Any]
    outage: Mapping[str, Any] | None

    @property
    def folder(self) -> str:
        """A name for its files."""
        return f"{self.proxy}-{self.question or 'base'}".replace(" ", "-")


def planned(plan: Path = PLAN) -> Iterator[Setup]:
    """Yield the base of each proxy, then its questions."""
    data = tomllib.loads(plan.read_text())
    run = data["run"]
    for proxy in _PROGRAMS:
        base = Setup(
            proxy, "", {}, data[proxy]["base"]["balance"], data[proxy]["base"].get("maxconn"), data["servers"], {},
            run["rate_per_s"], run["requests"], run["deviation"], data["slow"], data["outage"],
        )  # fmt: skip
        yield base
        for question, change in data[proxy]["questions"].items():
            yield _changed(base, question, change)


def _changed(base: Setup, question: str, change: Mapping[str, Any]) -> Setup:
    servers = {name: mean_s for name, mean_s in base.servers.items() if name != change.get("without")}
    if "more_like" in change:
        servers[f"s{len(servers) + 1}"] = servers[change["more_like"]]
    return replace(
        base, question=question, change=change, servers=servers, weights=change.get("weights", {}),
        balance=change.get("balance", base.balance), maxconn=change.get("maxconn", base.maxconn),
        rate_per_s=base.rate_per_s * change.get("load", 1.0),
        outage=base.outage if change.get("outage", True) else None,
    )  # fmt: skip


def missing_programs() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in _PROGRAMS.values() if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


# -- servers ----------------------------------------------------------------------------------------


@dataclass
class Clock:
    """When the requests began to come, and how late the loop woke, in seconds."""

    began_s: float = math.inf
    late_s: list[float] = field(default_factory=list)


class Server:
    """Answers each request after a while; is slow for a time, or down."""

    def __init__(self, name: str, setup: Setup, seed: str, clock: Clock) -> None:
        self._mean_s, self._deviation = setup.servers[name], setup.deviation
        self._slow = setup.slow if setup.slow["server"] == name else None
        self._rng = random.Random(f"{name} {seed}")
        self._clock = clock
        self.connections: set[asyncio.Transport] = set()
        self.port = 0
        self._listening: asyncio.Server | None = None

    async def up(self) -> None:
        """Listen, on the same port as before."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(lambda: Served(self), "127.0.0.1", self.port, reuse_address=True)
        self.port = self._listening.sockets[0].getsockname()[1]

    def down(self) -> None:
        """Refuse connections, and drop those that there are."""
        assert self._listening is not None
        self._listening.close()
        for connection in [*self.connections]:
            connection.abort()

    def takes_s(self, now_s: float) -> float:
        """Return how long a call takes that comes now."""
        takes_s = self._mean_s * self._rng.lognormvariate(-(self._deviation**2) / 2, self._deviation)
        if self._slow is not None and now_s >= self._clock.began_s:
            since_s = (now_s - self._clock.began_s - self._slow["first_s"]) % self._slow["every_s"]
            takes_s *= self._slow["factor"] if since_s < self._slow["lasts_s"] else 1.0
        return takes_s

    def late(self, by_s: float) -> None:
        """Note how late an answer is."""
        self._clock.late_s.append(by_s)


class Served(asyncio.Protocol):
    """One connection to a server: one request at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._got += data
        if self._got.endswith(b"\r\n\r\n"):
            self._got = b""
            loop = asyncio.get_running_loop()
            due_s = loop.time() + self._server.takes_s(loop.time())
            loop.call_at(due_s, self._answer, due_s)

    def _answer(self, due_s: float) -> None:
        self._server.late(asyncio.get_running_loop().time() - due_s)
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)


# -- caller -----------------------------------------------------------------------------------------


class Connection(asyncio.Protocol):
    """One connection to the proxy: a request, its answer, the next."""

    def __init__(self, caller: "Caller") -> None:
        self._caller = caller
        self._got = b""
        self._due_s: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, due_s: float) -> None:
        """Send a request that was due then."""
        self._due_s = due_s
        self._transport.write(_QUESTION)

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, between, body = self._got.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        if between and len(body) >= length:
            self._over(head.split(b" ", 2)[1].decode())
            if b"connection: close" in head.lower():
                self._transport.close()
            else:
                self._got = b""
                self._caller.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over("lost")
        with suppress(ValueError):
            self._caller.idle.remove(self)

    def _over(self, status: str) -> None:
        if self._due_s is not None:
            self._caller.over(status, self._due_s)
            self._due_s = None


class Caller:
    """Sends requests to the proxy when they are due, on connections that it keeps."""

    def __init__(self, port: int, setup: Setup, seed: str, clock: Clock) -> None:
        self._port, self._setup, self._clock = port, setup, clock
        self._rng = random.Random(f"arrivals {seed}")
        self.idle: deque[Connection] = deque()
        self.took_s: list[float] = []
        self.statuses: dict[str, int] = {}
        self.late_s: list[float] = []
        self._all = asyncio.Event()

    async def run(self) -> None:
        """Send all requests, and wait for their answers."""
        loop = asyncio.get_running_loop()
        due_s = self._clock.began_s = loop.time()
        asked = set()
        for _ in range(self._setup.requests):
            due_s += self._rng.expovariate(self._setup.rate_per_s)
            if (left_s := due_s - loop.time()) > 0:
                await asyncio.sleep(left_s)
            self.late_s.append(loop.time() - due_s)
            if self.idle:
                self.idle.pop().ask(due_s)
            else:
                asked.add(task := asyncio.create_task(self._ask(due_s)))
                task.add_done_callback(asked.discard)
        await asyncio.wait_for(self._all.wait(), 120)

    def over(self, status: str, due_s: float) -> None:
        """Note that a request is over."""
        self.took_s.append(asyncio.get_running_loop().time() - due_s)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if len(self.took_s) == self._setup.requests:
            self._all.set()

    async def _ask(self, due_s: float) -> None:
        try:
            _, made = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self), "127.0.0.1", self._port
            )
        except OSError:
            self.over("refused", due_s)
        else:
            made.ask(due_s)


# -- proxies ----------------------------------------------------------------------------------------


class LogFile(asyncio.DatagramProtocol):
    """Writes what HAProxy sends to syslog, as rsyslog of Debian writes it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")

    def datagram_received(self, data: bytes, addr: object) -> None:
        # <134>1 2026-11-29T02:48:25.123456+00:00 - haproxy 123 - - the message
        _, at, _, program, process, _, _, message = data.decode().rstrip("\n").split(" ", 7)
        print(f"{at} proxy {program}[{process}]: {message}", file=self._file)

    def close(self) -> None:
        """Write what is left."""
        self._file.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _haproxy(setup: Setup, ports: Mapping[str, int], port: int, log_port: int, folder: Path) -> list[str]:
    maxconn = f" maxconn {setup.maxconn}" if setup.maxconn else ""
    servers = "\n".join(
        f"    server {name} 127.0.0.1:{at} check inter 1s fall 2 rise 2{maxconn} weight {setup.weights.get(name, 1)}"
        for name, at in ports.items()
    )
    config = folder / "haproxy.cfg"
    config.write_text(f"""global
    log 127.0.0.1:{log_port} format rfc5424 local0
    nbthread 1
defaults
    mode http
    log global
    option httplog
    option redispatch 1
    retries 3
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
frontend web
    bind 127.0.0.1:{port}
    default_backend be
backend be
    balance {setup.balance}
{servers}
""")
    return [_program("haproxy") or "haproxy", "-db", "-f", str(config)]


def _nginx(setup: Setup, ports: Mapping[str, int], port: int, folder: Path) -> list[str]:
    balance = "" if setup.balance == "round_robin" else f"{setup.balance};"
    servers = "\n".join(
        f"        server 127.0.0.1:{at} weight={setup.weights.get(name, 1)};" for name, at in ports.items()
    )
    temporary = "\n".join(
        f"    {each}_temp_path {folder / each};" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(f"""daemon off;
worker_processes 1;
error_log {folder / "error.log"};
pid {folder / "nginx.pid"};
events {{ worker_connections 1024; }}
http {{
    log_format whatif '$msec $status $request_time $upstream_addr $upstream_response_time';
    access_log {folder / "log"} whatif;
{temporary}
    upstream be {{
        {balance}
{servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        keepalive_requests 100000;
        location / {{ proxy_pass http://be; }}
    }}
}}
""")
    return [_program("nginx") or "nginx", "-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]


async def _run(setup: Setup, folder: Path, seed: str) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    clock = Clock()
    servers = {name: Server(name, setup, seed, clock) for name in setup.servers}
    for server in servers.values():
        await server.up()
    ports = {name: server.port for name, server in servers.items()}
    port = _free_port()
    transport = log = None
    if setup.proxy == "haproxy":
        transport, log = await loop.create_datagram_endpoint(lambda: LogFile(folder / "log"), ("127.0.0.1", 0))
        command = _haproxy(setup, ports, port, transport.get_extra_info("sockname")[1], folder)
    else:
        command = _nginx(setup, ports, port, folder)
    with (folder / "said").open("w") as said:
        proxy = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        await asyncio.sleep(_BEGIN_S)
        if proxy.poll() is not None:
            raise RuntimeError(f"{setup.proxy} has ended: {(folder / 'said').read_text()[-500:]}")
        caller = Caller(port, setup, seed, clock)
        if setup.outage is not None:
            dead, begins_s = servers[setup.outage["server"]], loop.time() + setup.outage["at_s"]
            loop.call_at(begins_s, dead.down)
            loop.call_at(begins_s + setup.outage["lasts_s"], lambda: waits.append(loop.create_task(dead.up())))
        waits: list[asyncio.Task[None]] = []
        cpu_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        await caller.run()
        cpu_s = sum(resource.getrusage(resource.RUSAGE_SELF)[:2]) - cpu_s
        lasted_s = loop.time() - clock.began_s
    finally:
        proxy.send_signal(signal.SIGTERM)
        proxy.wait(30)
        if transport is not None and log is not None:
            await asyncio.sleep(0.2)
            transport.close()
            log.close()
        for server in servers.values():
            server.down()
    return {
        "proxy": setup.proxy, "question": setup.question, "ports": ports, "seed": seed,
        "lasted_s": lasted_s, "cpu_share": cpu_s / lasted_s, "statuses": caller.statuses,
        "mean_s": statistics.fmean(caller.took_s), "p99_s": statistics.quantiles(caller.took_s, n=100)[98],
        "servers_late_ms": _late(clock.late_s), "caller_late_ms": _late(caller.late_s),
    }  # fmt: skip


def _late(late_s: list[float]) -> dict[str, float]:
    return {"mean": 1000 * statistics.fmean(late_s), "p99": 1000 * statistics.quantiles(late_s, n=100)[98]}


def record(setup: Setup, folder: Path, seed: str) -> dict[str, Any]:
    """Run it, and return what was measured beside the log; the log is `log` in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(OSError):  # a busy machine wakes it late otherwise, and the log would be of the machine
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    found = asyncio.run(_run(setup, folder, seed))
    (folder / "facts.json").write_text(json.dumps(found, indent=1))
    return found
