"""A storm for a sandbox server: half-open connections, large bodies, programs that nobody waits for.

It runs in a process of its own, so that it takes no time of whoever measures meanwhile, until it is told to stop.
"""

import asyncio
import contextlib
import json
import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from tests.servers import RunningServer, running_server

__all__ = ["Storm", "measure"]

_AGAIN_S = 3.0  # until somebody who was turned away comes again
_PATIENCE_S = 60.0
_SPARE_FILES = 256  # open files beside the connections
_LOOP = {"code": "while True: pass", "language": "python", "run_timeout": 20, "wall_timeout": 60}
# What has been sent of a request, and no more comes: nothing, half its head, a head without its body.
_HALVES = (
    b"",
    b"POST /run_code HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-",
    b"POST /run_code HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 60000000\r\n"
    b"\r\n{",
)


@dataclass(frozen=True, slots=True)
class Storm:
    """What comes down.

    Args:
        half_open: connections that are kept open, and opened again when the server closes them.
        bodies: clients that send a body of `body_bytes` over and over.
        abandoned: endless programs that are sent, each by a client that hangs up as soon as it has.
        over_s: in how many seconds these come.
    """

    half_open: int
    bodies: int
    abandoned: int
    body_bytes: int = 60_000_000
    over_s: float = 10.0


@dataclass(slots=True)
class StormReport:
    """What became of it: connections opened in all, the statuses of the large bodies, programs that were abandoned."""

    opened: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    abandoned: int = 0


def open_files(wanted: int) -> int:
    """Raise the soft limit of open files to `wanted` if the hard one allows it; return what is allowed now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


@contextmanager
def storm_over(url: str, storm: Storm) -> Iterator[Callable[[], StormReport]]:
    """Let `storm` loose on the server at `url` for the length of a `with` block; it is there when the block begins.

    Yields what stops it and returns its report, which must be called once.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_rage, args=(url, storm, theirs), daemon=True)
    process.start()
    theirs.close()

    def stop() -> StormReport:
        ours.send("stop")
        if not ours.poll(_PATIENCE_S):
            raise TimeoutError(f"the storm did not end within {_PATIENCE_S:g} s")
        report = ours.recv()
        assert isinstance(report, StormReport)
        return report

    try:
        if not ours.poll(_PATIENCE_S) or ours.recv() != "ready":
            raise TimeoutError(f"the storm did not begin within {_PATIENCE_S:g} s")
        yield stop
    finally:
        process.terminate()
        process.join()
        ours.close()


def _rage(url: str, storm: Storm, pipe: Connection) -> None:
    allowed = open_files(storm.half_open + storm.bodies + _SPARE_FILES)
    if allowed < storm.half_open + storm.bodies + _SPARE_FILES:
        raise OSError(f"ulimit -n allows {allowed} open files, which is too few for {storm.half_open} connections")
    pipe.send(asyncio.run(_Weather(url, storm).rage(pipe)))


class _Weather:
    """All that happens at once."""

    def __init__(self, url: str, storm: Storm) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._storm = storm
        self._report = StormReport()
        self._there = 0  # half-open connections that have been opened at least once

    async def rage(self, pipe: Connection) -> StormReport:
        storm = self._storm
        body = json.dumps(
            {"code": "print(len(input()))", "language": "python", "stdin": "x" * storm.body_bytes}
        ).encode()
        tasks = [asyncio.create_task(self._half_open(_HALVES[n % len(_HALVES)])) for n in range(storm.half_open)]
        until_s = time.monotonic() + _PATIENCE_S / 2
        while self._there < storm.half_open and time.monotonic() < until_s:
            await asyncio.sleep(0.01)
        tasks += [asyncio.create_task(self._large(body)) for _ in range(storm.bodies)]
        tasks += [
            asyncio.create_task(self._abandon(n * storm.over_s / storm.abandoned)) for n in range(storm.abandoned)
        ]
        pipe.send("ready")
        await asyncio.to_thread(pipe.recv)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return self._report

    async def _half_open(self, sent: bytes) -> None:
        first = True
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(self._host, self._port)
                self._report.opened += 1
                self._there += first
                first = False
                try:
                    writer.write(sent)
                    await reader.read()  # until the server has had enough
                finally:
                    writer.close()
            await asyncio.sleep(_AGAIN_S)

    async def _large(self, body: bytes) -> None:
        while True:
            self._report.statuses[await self._send(body)] += 1
            await asyncio.sleep(_AGAIN_S)

    async def _send(self, body: bytes) -> str:
        """Send a request and return the status of its answer, or what became of it."""
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            return "no connection"
        answer = asyncio.create_task(reader.readline())  # it may come before the body has gone
        try:
            writer.write(_head(body))
            for start in range(0, len(body), 2**18):
                if answer.done():
                    break
                writer.write(body[start : start + 2**18])
                await writer.drain()
            line = await answer
            return line.split()[1].decode() if line else "closed"
        except OSError:
            return "reset"
        finally:
            answer.cancel()
            await asyncio.gather(answer, return_exceptions=True)
            writer.close()

    async def _abandon(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(self._host, self._port)
            content = json.dumps(_LOOP).encode()
            writer.write(_head(content) + content)
            await writer.drain()
            await asyncio.sleep(0.05)  # enough for it to have begun, if there is room
            writer.close()
            self._report.abandoned += 1


def _head(body: bytes) -> bytes:
    return (
        "POST /run_code HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()


# -- a server in a storm, beside a quiet one -------------------------------------------------------

_PAUSE_S = 0.2
_ASK_S = 30.0  # an answer that takes longer is none
_PROBE = {"code": "print(1)", "language": "python", "run_timeout": 10}


@dataclass(slots=True)
class Probed:
    """What became of the requests to one server. Attributes: `seconds` of each answer; `ends`, how many ended how."""

    seconds: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    def ask(self, url: str) -> None:
        """Have a program run, and note how that went: "answered", "busy", or "none" and why."""
        began_s = time.monotonic()
        end = self._end(url)
        self.seconds.append(time.monotonic() - began_s)
        self.ends[end] += 1

    @staticmethod
    def _end(url: str) -> str:
        try:
            response = httpx2.post(f"{url}run_code", json=_PROBE, timeout=_ASK_S, trust_env=False)
        except httpx2.HTTPError as error:
            return f"none ({type(error).__name__})"
        if response.status_code != 200:
            return "busy" if response.status_code in (429, 503) else f"none ({response.status_code})"
        printed = (response.json().get("run_result") or {}).get("stdout")
        return "answered" if printed == "1\n" else f"none (printed {printed!r})"


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one run. Peaks are in bytes, of the servers' own processes."""

    stormed: Probed
    quiet_peak: int
    stormed_peak: int
    report: StormReport


def measure(storm: Storm, *, seconds: float, **settings: Any) -> Measured:
    """Ask two servers with these `ServerSettings` in turn for `seconds`, one of them in `storm`."""
    quiet, stormed = Probed(), Probed()
    with running_server(**settings) as still, running_server(**settings) as shaken:
        for each in (still, shaken):
            Probed().ask(each.url)  # what is found out once, is
        with storm_over(shaken.url, storm) as stop:
            until_s = time.monotonic() + seconds
            while time.monotonic() < until_s:
                quiet.ask(still.url)
                stormed.ask(shaken.url)
                time.sleep(_PAUSE_S)
            report = stop()
        return Measured(stormed, _peak_bytes(still), _peak_bytes(shaken), report)


def _peak_bytes(server: RunningServer) -> int:
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024
