"""What is given out twice or lost by three machines with a bad network, while server and processes are killed.

    python -m tests.benchmarks.show_lossy [--short] [--minutes N] [--loss PERCENT] [--delay MS] [--seed N]

Three machines as network namespaces. Between them a packet takes 50 ms each way, and one in a hundred is lost. On the
first is the server. On each of the others are four processes of two threads, which nobody can look at from the first.
They lease eight slots, and check that nobody else uses the slot that they leased (`tests.cluster.worker`). A call of
one process lasts two TTL or until its lease has ended, those of the others 10 ms. Every few seconds signal 9 kills a
process, the server, or both, and whoever was killed begins again. At the end all slots must be there.

It needs Linux, root, iproute2, util-linux and /dev/net/tun, and no `tc netem`.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.benchmarks.harness import options, show
from tests.benchmarks.show_cluster import TTL_S, came_of, done_at, taking_all
from tests.cluster.cut import CannotCut
from tests.cluster.lossy import LossyNetwork
from tests.cluster.serving import Command
from tests.cluster.worker import CAPACITY

_EACH = 4  # processes on each machine
_TOKEN = "the token of a benchmark"
_HOSTS = 4
_SLOTS = _HOSTS * CAPACITY
_CONFIG = f'[[endpoints]]\nurl = "http://10.0.0.{{1..{_HOSTS}}}/"\ncapacity = {CAPACITY}\n'
_SHORT_S, _LONG_S = 0.01, 2 * TTL_S  # a call that outlives the server is found in use if its slot is given to others
_KILLS = ("a process", "the server", "both")
_WEIGHTS = (6, 3, 1)
_PAUSE_S = (3.0, 12.0)


class _Cluster:
    """The server and the processes, on machines of their own, and whoever is killed begins again."""

    def __init__(self, network: LossyNetwork, folder: Path) -> None:
        self._network = network
        self._folder = folder
        self._config = folder / "pool.toml"
        self._config.write_text(_CONFIG)
        self._port = 0
        self.server = self._serve()
        self.workers = [self._work(number) for number in range(2 * _EACH)]

    def _serve(self) -> Command:
        here, address = self._network.sides[0], self._network.addresses[0]
        made = Command(self._config, ttl_s=TTL_S, host=address, port=self._port, token=_TOKEN, within=here)
        self._port = made.port
        return made

    def _work(self, number: int) -> "subprocess.Popen[bytes]":
        call_s = _LONG_S if number < 2 else _SHORT_S
        command = [sys.executable, "-m", "tests.cluster.worker", self.server.url, str(self._folder), str(call_s)]
        return subprocess.Popen(
            [*self._network.sides[1 + number % 2], *command, "elsewhere"],
            stdin=subprocess.PIPE,
            env={**os.environ, "BALANCER_SERVE_TOKEN": _TOKEN},
        )

    def kill(self, what: str, number: int) -> None:
        """Kill, and begin again."""
        killed = self.workers[number]
        if what != "the server":
            killed.kill()
            killed.wait()
        if what != "a process":
            self.server.kill()
            self.server = self._serve()
        if what != "the server":
            self.workers[number] = self._work(number)

    def end(self) -> tuple[str, int, int]:
        """Let all processes end; return the longest gap, how many were given out too often, and how many are lost."""
        time.sleep(2 * TTL_S)
        for worker in self.workers:
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in self.workers:
            worker.wait()
        os.environ["BALANCER_SERVE_TOKEN"] = _TOKEN
        times = done_at(self._folder)
        return came_of(self._folder, times[0], [*self._network.sides[2], *taking_all(self.server, _SLOTS)], _SLOTS)

    def close(self) -> None:
        """Leave nothing behind."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        self.server.kill()


def main() -> None:
    """Do it and print what came of it."""
    asked = options(
        __doc__,
        "a minute",
        minutes=(10.0, "how long it goes on"),
        loss=(1.0, "percent of the packets, each way"),
        delay=(50.0, "of a packet, each way, in milliseconds"),
        seed=(1, "of what is lost and killed"),
    )
    minutes = 1.0 if asked.short else asked.minutes
    rng = random.Random(asked.seed)
    kills: Counter[str] = Counter()
    try:
        network = LossyNetwork(3, asked.loss / 100, asked.delay / 1000, asked.seed)
    except CannotCut as why:
        print(f"not run: {why}")
        return
    with network, tempfile.TemporaryDirectory(prefix="balancer-cluster-") as name:
        cluster = _Cluster(network, Path(name))
        try:
            while not done_at(Path(name)):
                time.sleep(0.1)
            until_s = time.monotonic() + 60 * minutes
            while time.monotonic() < until_s:
                time.sleep(rng.uniform(*_PAUSE_S))
                (what,) = rng.choices(_KILLS, _WEIGHTS)
                cluster.kill(what, rng.randrange(len(cluster.workers)))
                kills[what] += 1
            gap, too_many, lost = cluster.end()
        finally:
            cluster.close()
        leases = len(done_at(Path(name)))
    rows = [
        ("kill -9 of " + ", ".join(f"{what}: {kills[what]}" for what in _KILLS), ""),
        ("packets lost", f"{network.lost} of {network.carried}"),
        ("leases", leases),
        ("longest gap", gap),
        ("over-issued", too_many),
        (f"slots lost, of {_SLOTS}", lost),
    ]
    title = f"Three machines, {asked.loss:g}% loss, {asked.delay:g} ms each way, {minutes:g} min; TTL {TTL_S:g} s"
    show("what | how many", rows, title)


if __name__ == "__main__":
    main()
