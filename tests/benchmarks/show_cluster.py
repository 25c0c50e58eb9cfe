"""What is lost, and for how long, when a member or the server of a cluster is killed or stopped while processes work.

    python -m tests.benchmarks.show_cluster [--rounds N]

Eight processes with two threads each lease and work for 10 ms, on four slots; each checks that nobody else uses the
slot that it leased (`tests.cluster.worker`). A process is killed by signal 9 or stopped; the server is killed and
started again at once; or the network is cut between four of the processes and the server, which are in two namespaces
then. At the end all slots must be there.
"""

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from balancer import Pool
from tests.benchmarks.harness import Row, beside, options, show
from tests.cluster.cut import Cable, CannotCut
from tests.cluster.serving import Command
from tests.cluster.worker import CAPACITY

TTL_S = 3.0
SLOTS = 2 * CAPACITY
_CONFIG = f'[[endpoints]]\nurl = "http://10.0.0.{{1..2}}/"\ncapacity = {CAPACITY}\n'
_MEMBER = """
import sys, time
from balancer import Pool
from tests.cluster.worker import be_elsewhere
if sys.argv[2] == "elsewhere":
    be_elsewhere()
pool = Pool.connect(sys.argv[1], within_s=60.0)
leases = [pool.acquire() for _ in range(int(sys.argv[3]))]
print("has all", flush=True)
time.sleep(600)
"""
_TAKES_ALL = """
import sys
import balancer
with balancer.Pool.connect(sys.argv[1], within_s=60.0) as pool:
    leases = []
    try:
        for _ in range(int(sys.argv[2])):
            leases.append(pool.acquire(float(sys.argv[3])))
    finally:
        print(len(leases))
        for lease in leases:
            lease.release()
"""
Harm = Callable[[Command, list["subprocess.Popen[bytes]"]], Command]


def until_all_are_back(url: str, where: str, stop: signal.Signals) -> float:
    """Return how long after the death of a member of all slots another one has them all, in seconds."""
    command = [sys.executable, "-c", _MEMBER, url, where, str(SLOTS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, Pool.connect(url) as pool:
        assert process.stdout is not None
        process.stdout.readline()
        got: list[float] = []

        def take() -> None:
            with pool.lease():
                got.append(time.monotonic())
                while len(got) < SLOTS:
                    time.sleep(0.001)

        with beside([take] * SLOTS):
            time.sleep(0.3)
            began_s = time.monotonic()
            process.send_signal(stop)
        process.kill()
    return max(got) - began_s


def done_at(folder: Path, pid: int | str = "*") -> list[float]:
    """Return when something was done, by this process or by all."""
    done: list[float] = []
    for file in folder.glob(f"done.{pid}.*"):
        done += (float(line.split()[0]) for line in file.read_text().splitlines())
    return sorted(done)


def longest_gap(folder: Path, since_s: float) -> float:
    """Return the longest time in which nobody did anything, from that instant on."""
    times = [at_s for at_s in done_at(folder) if at_s >= since_s - 1.0]
    return max((b - a for a, b in pairwise(times)), default=float("inf"))


def begun(crews: Sequence[list[str]], folder: Path) -> list["subprocess.Popen[bytes]"]:
    """Start processes, and wait until all of their threads have worked for two seconds."""
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE) for command in crews]
    while len(list(folder.glob("done.*"))) < 2 * len(workers):
        time.sleep(0.1)
    time.sleep(2.0)
    return workers


def ended(workers: Sequence["subprocess.Popen[bytes]"]) -> None:
    """Let the processes work for two TTL more, and end them."""
    time.sleep(2 * TTL_S)
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    for worker in workers:
        worker.wait()


def came_of(folder: Path, since_s: float, takes: Sequence[str], slots: int = SLOTS) -> tuple[str, int, int]:
    """Return the longest gap, how many slots were given out too often, and how many are missing."""
    found = int(subprocess.run(takes, capture_output=True, text=True, check=False).stdout or 0)
    return f"{longest_gap(folder, since_s):.2f} s", len(list(folder.glob("too-many.*"))), slots - found


def _worker(server: Command, folder: Path) -> list[str]:
    return [sys.executable, "-m", "tests.cluster.worker", server.url, str(folder)]


def taking_all(server: Command, slots: int = SLOTS) -> list[str]:
    """Return a command that takes all slots at once, and prints how many it got."""
    return [sys.executable, "-c", _TAKES_ALL, server.url, str(slots), str(2 * TTL_S)]


def at_work(config: Path, port: int, hurt: Harm) -> Row:
    """Let eight processes work, do harm, and return gap, too many, and slots that are missing."""
    with tempfile.TemporaryDirectory(prefix="balancer-cluster-") as name:
        folder = Path(name)
        server = Command(config, ttl_s=TTL_S, port=port)
        workers = begun([_worker(server, folder)] * 8, folder)
        since_s = time.monotonic()
        server = hurt(server, workers)
        ended(workers)
        row = came_of(folder, since_s, taking_all(server))
        server.kill()
    return row


def cut_off(config: Path, part: float) -> Row:
    """Cut the network between four of eight processes and the server for this part of a TTL; return what came of it.

    The longest gap of all; how long after it is mended the last of the four works again; too many; slots missing.
    """
    token = os.environ["BALANCER_SERVE_TOKEN"] = "the token of a benchmark"
    with tempfile.TemporaryDirectory(prefix="balancer-cluster-") as name, Cable() as cable:
        folder = Path(name)
        server = Command(config, ttl_s=TTL_S, host=cable.address, token=token, within=cable.here)
        workers = begun(
            [[*side, *_worker(server, folder)] for side in (cable.here, cable.there) for _ in range(4)], folder
        )
        since_s = time.monotonic()
        cable.cut()
        time.sleep(part * TTL_S)
        cable.mend()
        mended_s = time.monotonic()
        ended(workers)
        first_s = [next((s for s in done_at(folder, each.pid) if s > mended_s), math.inf) for each in workers[4:]]
        gap, *others = came_of(folder, since_s, [*cable.there, *taking_all(server)])
        server.kill()
    return gap, f"{max(first_s) - mended_s:.2f} s", *others


def kill_one(server: Command, workers: list["subprocess.Popen[bytes]"]) -> Command:
    """Kill a process that works."""
    workers[0].kill()
    return server


def stop_one(server: Command, workers: list["subprocess.Popen[bytes]"]) -> Command:
    """Stop a process for longer than a TTL, and let it go on."""
    os.kill(workers[0].pid, signal.SIGSTOP)
    threading.Timer(1.3 * TTL_S, workers[0].send_signal, (signal.SIGCONT,)).start()
    return server


def main() -> None:
    """Do it all and print what came of it."""
    rounds = options(__doc__, rounds=(3, "how often a member of all slots dies")).rounds
    with tempfile.TemporaryDirectory(prefix="balancer-cluster-") as name:
        config = Path(name) / "pool.toml"
        config.write_text(_CONFIG)
        server = Command(config, ttl_s=TTL_S)
        port = server.port
        deaths = (
            ("kill -9, on the server's machine", "here", signal.SIGKILL),
            ("kill -9, elsewhere", "elsewhere", signal.SIGKILL),
            ("stopped for good (SIGSTOP)", "here", signal.SIGSTOP),
        )
        back = [
            (what, f"{max(until_all_are_back(server.url, where, stop) for _ in range(rounds)):.2f} s")
            for what, where, stop in deaths
        ]
        server.kill()
        title = f"A member of all slots dies; TTL {TTL_S:g} s, the worst of {rounds}"
        show("what happens | until another has all slots", back, title)

        def restart(server: Command, workers: list["subprocess.Popen[bytes]"]) -> Command:
            server.kill()
            return Command(config, ttl_s=TTL_S, port=port)

        harms: tuple[tuple[str, Harm], ...] = (
            ("kill -9 of a process", kill_one),
            ("a process is stopped for 1.3 TTL", stop_one),
            ("kill -9 of the server, started again at once", restart),
            ("kill -9 of a process and of the server", lambda *both: restart(kill_one(*both), both[1])),
        )
        work = [(what, *at_work(config, port, hurt)) for what, hurt in harms]
        show("what happens | longest gap | over-issued | slots lost", work, "Eight processes at work")
        try:
            cuts: list[Row] = [(f"{part:g} TTL", *cut_off(config, part)) for part in (0.5, 1.0, 2.0)]
        except CannotCut as why:
            cuts = [(f"not run: {why}",)]
    show(
        "cut for | longest gap of all | until all four work again | over-issued | slots lost",
        cuts,
        f"The network is cut between four of eight processes and the server; TTL {TTL_S:g} s",
    )


if __name__ == "__main__":
    main()
