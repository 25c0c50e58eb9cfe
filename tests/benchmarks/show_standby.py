"""What is given out twice, and how long nothing is granted, when the server of two that serves is killed or cut off.

    python -m tests.benchmarks.show_standby [--short] [--etcd] [--kills N] [--rounds N]

Two servers of one pool, with their claim in a Valkey, or an etcd. Four processes of two threads lease eight slots and
check that nobody else uses the slot that they leased (`tests.cluster.worker`). Calls of one process last two TTL, or
until its lease has ended; those of the others 10 ms. Harm is done to the server that serves, at a random time; then all
is mended. The gap is the longest time without a call that ended. At the end all slots must be there. It needs
`valkey-server`, or `etcd`.
"""

import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from balancer.plugins.registry import default_registry
from tests.benchmarks.bench_cluster import valkey, without_valkey
from tests.benchmarks.harness import Row, options, show
from tests.benchmarks.show_cluster import TTL_S, done_at, taking_all
from tests.cluster.relay import Relay
from tests.cluster.serving import Command
from tests.cluster.test_etcd import etcd
from tests.cluster.test_standby import free_port
from tests.cluster.worker import CAPACITY

_HOSTS, _PROCESSES = 4, 4
_SLOTS = _HOSTS * CAPACITY
_CONFIG = f'[[endpoints]]\nurl = "http://10.0.0.{{1..{_HOSTS}}}/"\ncapacity = {CAPACITY}\n'
_CUT_S = 1.5 * TTL_S
_AFTER_S = 1.5 * TTL_S  # until the next harm
_LOOK_S = 0.05


class _Side:
    """A server, what is between it and the store, and what is between it and those that lease."""

    def __init__(self, config: Path, scheme: str, store_port: int) -> None:
        self._config = config
        self._scheme = scheme
        self.to_store = Relay(store_port)
        self.server = self.begun(0)
        self.front = Relay(self.server.port)

    def begun(self, port: int) -> Command:
        claim = f"{self._scheme}://127.0.0.1:{self.to_store.port}"
        return Command(self._config, ttl_s=TTL_S, port=port, claim=claim, log=self._config.with_name("log"))

    def kill(self, number: signal.Signals) -> None:
        """End the server, and start it again at once."""
        self.server.process.send_signal(number)
        self.server.process.wait(60)
        self.server.kill()
        self.server = self.begun(self.server.port)

    def cut(self, cut: bool, *, front: bool = False) -> None:
        self.to_store.cut = cut
        self.front.cut = cut and front

    def close(self) -> None:
        self.server.process.send_signal(signal.SIGCONT)
        self.server.kill()
        self.front.close()
        self.to_store.close()


class _Pair:
    """Two servers, and processes that lease."""

    def __init__(self, folder: Path, scheme: str, port: int) -> None:
        self.folder = folder
        config = folder / "pool.toml"
        config.write_text(_CONFIG)
        self.sides = [_Side(config, scheme, port) for _ in range(2)]
        self._scheme = scheme
        self._port = port
        self._store: Any = default_registry().store(f"{scheme}://127.0.0.1:{port}", 1.0)
        self.url = "balancer://" + ",".join(f"127.0.0.1:{side.front.port}" for side in self.sides)
        command = [sys.executable, "-m", "tests.cluster.worker", self.url, str(folder)]
        self.workers = [
            subprocess.Popen([*command, str(2 * TTL_S if number == 0 else 0.01)], stdin=subprocess.PIPE)
            for number in range(_PROCESSES)
        ]

    def serving(self) -> _Side:
        """Return the side that serves; wait for one."""
        while True:
            shown = (self._store.get("balancer/pool.toml/coordinator") or "").rpartition(":")[2]
            for side in self.sides:
                if shown == str(side.server.port):
                    return side
            time.sleep(_LOOK_S)

    def forget(self) -> None:
        """Have the store forget all."""
        if self._scheme == "etcd":
            everything = json.dumps({"key": "AA==", "range_end": "AA=="}).encode()
            urllib.request.urlopen(f"http://127.0.0.1:{self._port}/v3/kv/deleterange", everything, 10).close()
            return
        with socket.create_connection(("127.0.0.1", self._port)) as store:
            store.sendall(b"FLUSHALL\r\n")
            store.recv(100)

    def gap(self, since_s: float) -> float:
        """Return the longest time without a call that ended, from that instant on; a call may end late in it."""
        times = [at_s for at_s in done_at(self.folder) if at_s >= since_s - 1.0]
        return max((b - a for a, b in pairwise([*times, time.monotonic()])), default=float("inf"))

    def end(self) -> tuple[int, int]:
        """Let all processes end; return how many slots were given out too often, and how many are lost."""
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in self.workers:
            worker.wait()
        takes = taking_all(self.sides[0].server, _SLOTS)
        takes[takes.index(self.sides[0].server.url)] = self.url
        found = int(subprocess.run(takes, capture_output=True, text=True, check=False).stdout or 0)
        return len(list(self.folder.glob("too-many.*"))), _SLOTS - found

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        for side in self.sides:
            side.close()
        self._store.close()


@contextmanager
def _at_work(scheme: str) -> Iterator[_Pair]:
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="balancer-standby-"))
        if scheme == "etcd":
            port = free_port()
            stack.enter_context(etcd(Path(folder), port))
        else:
            port, _ = stack.enter_context(valkey())
        pair = _Pair(Path(folder), scheme, port)
        stack.callback(pair.close)
        while len(list(pair.folder.glob("done.*"))) < 2 * _PROCESSES or not done_at(pair.folder):
            time.sleep(_LOOK_S)
        yield pair


Harm = Callable[[_Pair], None]


def _kill(pair: _Pair) -> None:
    pair.serving().kill(signal.SIGKILL)


def _end(pair: _Pair) -> None:
    pair.serving().kill(signal.SIGTERM)


def _stop(pair: _Pair) -> None:
    side = pair.serving()
    os.kill(side.server.process.pid, signal.SIGSTOP)
    time.sleep(_CUT_S)
    os.kill(side.server.process.pid, signal.SIGCONT)


def _cut_from_store(pair: _Pair) -> None:
    side = pair.serving()
    side.cut(True)
    time.sleep(_CUT_S)
    side.cut(False)


def _cut_from_all(pair: _Pair) -> None:
    side = pair.serving()
    side.cut(True, front=True)
    time.sleep(_CUT_S)
    side.cut(False)


def _slow(share: float) -> Harm:
    def harm(pair: _Pair) -> None:
        for side in pair.sides:
            side.to_store.delay_s = share * TTL_S / 2  # each way
        time.sleep(_CUT_S)
        for side in pair.sides:
            side.to_store.delay_s = 0.0

    return harm


def _forget(pair: _Pair) -> None:
    pair.forget()


_HARMS: tuple[tuple[str, Harm], ...] = (
    ("kill -9", _kill),
    ("SIGTERM, as for an update", _end),
    ("stopped for 1.5 TTL (SIGSTOP)", _stop),
    ("cut off from the store for 1.5 TTL", _cut_from_store),
    ("cut off from store and processes for 1.5 TTL", _cut_from_all),
    ("a store that answers after 0.03 TTL", _slow(0.03)),
    ("a store that answers after 0.5 TTL, for 1.5 TTL", _slow(0.5)),
    ("the store forgets all", _forget),
)


def main() -> None:
    """Do it all and print what came of it."""
    asked = options(
        __doc__,
        "three kills, one of each other harm",
        kills=(20, "how often the server that serves is killed"),
        rounds=(3, "how often each other harm is done"),
        etcd=(False, "with an etcd in place of a Valkey"),
    )
    scheme = "etcd" if asked.etcd else "valkey"
    missing = "" if shutil.which("etcd") else "etcd not found"
    if why := missing if asked.etcd else without_valkey():
        print(f"not run: {why}")
        return
    rng = random.Random(1)
    rows: list[Row] = []
    with _at_work(scheme) as pair:
        for what, harm in _HARMS:
            rounds = (3 if asked.short else asked.kills) if harm is _kill else 1 if asked.short else asked.rounds
            gaps: list[float] = []
            for _ in range(rounds):
                time.sleep(rng.uniform(0, 0.3 * TTL_S))
                pair.serving()
                since_s = time.monotonic()
                harm(pair)
                time.sleep(_AFTER_S)
                gaps.append(pair.gap(since_s))
                print(f"{what}: {gaps[-1]:.2f} s", file=sys.stderr, flush=True)
            over = len(list(pair.folder.glob("too-many.*")))
            rows.append((what, len(gaps), f"{statistics.median(gaps):.2f} s", f"{max(gaps):.2f} s", over))
        leases = len(done_at(pair.folder))
        over, lost = pair.end()
    kept = "an etcd" if asked.etcd else "a Valkey"
    title = f"Two servers and {kept}, {_PROCESSES} processes at work, {_SLOTS} slots, TTL {TTL_S:g} s, {leases} leases"
    show("what happens | how often | median gap | longest gap | over-issued so far", rows, title)
    load = os.getloadavg()[0]
    print(f"{leases} leases; over-issued: {over}; slots lost, of {_SLOTS}: {lost}; load at the end: {load:.0f}")


if __name__ == "__main__":
    main()
