"""Servers of a cluster for tests: in a thread of this process, or as the command in one of its own."""

import asyncio
import os
import re
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from math import inf
from pathlib import Path
from typing import Any

from balancer import Endpoint, NotConnected, Pool
from balancer.cluster.protocol import ClusterTimes, CoordinatorRecord
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.server import PoolServer
from balancer.commands.serve import ServedChanges
from balancer.core import Core, Waiter
from tests.patience import PATIENCE_S


def made_cert(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of this machine, and its key. Needs openssl."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    return cert, key


class Serving:
    """A server in a thread, over a pool of this process that may be looked at."""

    def __init__(
        self,
        *endpoints: Endpoint | str,
        ttl_s: float = 3.0,
        token: str = "",
        tls: ssl.SSLContext | None = None,
        last: CoordinatorRecord | None = None,
        port: int = 0,
        may: Callable[[], bool] | None = None,
        why_not: Callable[[], str] | None = None,
        trouble: OSError | None = None,
        most: float = inf,
        **rules: Any,
    ) -> None:
        self._may = may
        self._why_not = why_not
        self._most = most
        self.pool = Pool([*endpoints], acquire_timeout_s=None, **rules)
        self.records: list[CoordinatorRecord] = []
        self.trouble = trouble  # raised instead of a record that is kept
        self.port = port
        self._ready = threading.Event()
        known = last or CoordinatorRecord(0, ttl_s, frozenset())
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ttl_s, token, tls, known)), daemon=True)
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        self.url = f"balancer{'s' if tls else ''}://127.0.0.1:{self.port}"

    async def _run(self, ttl_s: float, token: str, tls: ssl.SSLContext | None, last: CoordinatorRecord) -> None:
        self.server = PoolServer(
            self.pool.engine.core,
            times=ClusterTimes(ttl_s),
            last=last,
            keep=self._keep,
            token=token,
            guard=self.pool.engine.under_lock,
            may=self._may,
            why_not=self._why_not,
            most=self._most,
        )
        self.port = await self.server.listen("127.0.0.1", self.port, tls)
        self.loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        self._ready.set()
        await self._over.wait()
        await self.server.end()
        await asyncio.sleep(0)

    def _keep(self, record: CoordinatorRecord) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.records.append(record)

    def change(self, act: Callable[[Core, float], Sequence[Waiter]]) -> None:
        """Do something to the core, as a server whose config is read again."""
        done = threading.Event()

        def step() -> None:
            now = clock()
            self.server.act(lambda: self.server.coordinator.change([lambda: act(self.pool.engine.core, now)], now))
            done.set()

        self.loop.call_soon_threadsafe(step)
        assert done.wait(PATIENCE_S)

    def changes(self) -> ServedChanges:
        """Return who changes its endpoints, as its page does."""

        async def made() -> ServedChanges:
            return ServedChanges(self.server, self.pool)

        return asyncio.run_coroutine_threadsafe(made(), self.loop).result(PATIENCE_S)

    def stop(self) -> None:
        """End as a server does that is killed: nobody is told."""
        if self._thread.is_alive():
            self.loop.call_soon_threadsafe(self._over.set)
            self._thread.join(PATIENCE_S)

    def __enter__(self) -> "Serving":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
        self.pool.close()


class Command:
    """`balancer serve`, in a process of its own.

    Args:
        config: what it serves.
        ttl_s: its TTL.
        port: where it listens; 0: where it likes.
        host: likewise; others than this machine need the token that the processes know.
        token: that.
        within: what the command begins with.
        log: the file that gets its log; None: it goes where ours goes.
        tls: a certificate and its key.
    """

    def __init__(
        self,
        config: Path,
        *,
        ttl_s: float,
        port: int = 0,
        host: str = "127.0.0.1",
        token: str = "",
        within: Sequence[str] = (),
        log: Path | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        command = [*within, sys.executable, "-m", "balancer", "serve", str(config), "--ttl", str(ttl_s)]
        command += ["--port", str(port), "--host", host]
        if tls is not None:
            command += ["--cert", str(tls[0]), "--key", str(tls[1])]
        environment = {name: value for name, value in os.environ.items() if name != "BALANCER_SERVE_TOKEN"}
        if token:
            environment["BALANCER_SERVE_TOKEN"] = token
        with open(log, "a", encoding="utf-8") if log else nullcontext() as stderr:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment)
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        found = re.search(r"balancers?://[\d.]+:(\d+)", self.said)
        assert found, self.said
        self.url, self.port = found[0], int(found[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


def why_not_connected(url: str, awaited: str) -> str:
    """Return why no pool can be had at `url`. On a busy machine the reason, which `awaited` matches, may come late."""
    within_s, found = 0.3, ""
    while within_s < PATIENCE_S and not re.search(awaited, found):
        try:
            Pool.connect(url, within_s=within_s).close()
        except NotConnected as error:
            found = str(error)
        within_s *= 10
    return found
