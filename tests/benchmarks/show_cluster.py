"""What is lost, and for how long, when a holder or the server of a house is killed or stopped while processes work.

    python -m tests.benchmarks.show_cluster [--rounds N]

Eight processes with two threads each lease and work for 10 ms, on four slots; each checks that nobody else uses the
slot that it leased (`tests.cluster.worker`). A process is killed by signal 9 or stopped; the server is killed and
started again at once; or the network is cut between four of the processes and the server, which are in two namespaces
then. At the end all slots must be there.
"""

import argparse
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from balancer import Pool
from tests.cluster.cut import Cable, CannotCut
from tests.cluster.serving import Command
from tests.cluster.worker import CAPACITY

TTL_S = 3.0
SLOTS = 2 * CAPACITY
_CONFIG = f'[[endpoints]]\nurl = "http://10.0.0.{{1..2}}/"\ncapacity = {CAPACITY}\n'
_HOLDER = """
import sys, time
import balancer.cluster.tcp.connection
if sys.argv[2] == "elsewhere":  # as if it were on another machine: nobody can look whether it lives
    balancer.cluster.tcp.connection.myself = lambda: None
from balancer import Pool
pool = Pool.connect(sys.argv[1], within_s=60.0)
leases = [pool.acquire() for _ in range(int(sys.argv[3]))]
print("has all", flush=True)
time.sleep(600)
"""


def holder(url: str, where: str) -> "subprocess.Popen[str]":
    """Start a process that has all slots and keeps them."""
    command = [sys.executable, "-c", _HOLDER, url, where, str(SLOTS)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def until_all_are_back(url: str, where: str, stop: signal.Signals) -> float:
    """Return how long after the death of a holder of all slots another one has them all, in seconds."""
    process = holder(url, where)
    with Pool.connect(url) as pool:
        got: list[float] = []

        def take() -> None:
            with pool.lease():
                got.append(time.monotonic())
                while len(got) < SLOTS:
                    time.sleep(0.001)

        crew = [threading.Thread(target=take) for _ in range(SLOTS)]
        for thread in crew:
            thread.start()
        time.sleep(0.3)
        began_s = time.monotonic()
        process.send_signal(stop)
        for thread in crew:
            thread.join()
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
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


def at_work(config: Path, port: int, hurt: Callable[[Command, list["subprocess.Popen[bytes]"]], Command]) -> list[str]:
    """Let eight processes work, do harm after two seconds, and return gap, too many, and slots that are missing."""
    with tempfile.TemporaryDirectory(prefix="balancer-house-") as name:
        folder = Path(name)
        server = Command(config, ttl_s=TTL_S, port=port)
        command = [sys.executable, "-m", "tests.cluster.worker", server.url, str(folder)]
        workers = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(8)]
        while len(list(folder.glob("done.*"))) < 16:
            time.sleep(0.1)
        time.sleep(2.0)
        since_s = time.monotonic()
        server = hurt(server, workers)
        time.sleep(2 * TTL_S)
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in workers:
            worker.wait()
        too_many = len(list(folder.glob("too-many.*")))
        gap_s = longest_gap(folder, since_s)
        with Pool.connect(server.url, within_s=60.0) as pool:
            there = 0
            leases = []
            try:
                for _ in range(SLOTS):
                    leases.append(pool.acquire(2 * TTL_S))
                    there += 1
            finally:
                for lease in leases:
                    lease.release()
        server.kill()
    return [f"{gap_s:.2f} s", str(too_many), str(SLOTS - there)]


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


def cut_off(config: Path, part: float) -> list[str]:
    """Cut the network between four of eight processes and the server for this part of a TTL; return what came of it.

    The longest gap of all; how long after it is mended the last of the four works again; too many; slots missing.
    """
    token = "the token of a benchmark"
    environment = {**os.environ, "BALANCER_SERVE_TOKEN": token}
    with tempfile.TemporaryDirectory(prefix="balancer-house-") as name, Cable() as cable:
        folder = Path(name)
        server = Command(config, ttl_s=TTL_S, host=cable.address, token=token, within=cable.here)
        command = [sys.executable, "-m", "tests.cluster.worker", server.url, str(folder)]
        here, there = (
            [subprocess.Popen([*side, *command], stdin=subprocess.PIPE, env=environment) for _ in range(4)]
            for side in (cable.here, cable.there)
        )
        while len(list(folder.glob("done.*"))) < 16:
            time.sleep(0.1)
        time.sleep(2.0)
        since_s = time.monotonic()
        cable.cut()
        time.sleep(part * TTL_S)
        cable.mend()
        mended_s = time.monotonic()
        time.sleep(2 * TTL_S)
        for worker in (*here, *there):
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in (*here, *there):
            worker.wait()
        first_s = [next((at_s for at_s in done_at(folder, each.pid) if at_s > mended_s), math.inf) for each in there]
        takes = [*cable.there, sys.executable, "-c", _TAKES_ALL, server.url, str(SLOTS), str(2 * TTL_S)]
        found = int(subprocess.run(takes, env=environment, capture_output=True, text=True, check=False).stdout or 0)
        server.kill()
        too_many = len(list(folder.glob("too-many.*")))
        gap_s = longest_gap(folder, since_s)
        return [f"{gap_s:.2f} s", f"{max(first_s) - mended_s:.2f} s", str(too_many), str(SLOTS - found)]


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
    parser = argparse.ArgumentParser(prog="show_cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    back = Table(title=f"A holder of all slots dies; TTL {TTL_S:g} s, the worst of {rounds}")
    back.add_column("what happens")
    back.add_column("until another has all slots", justify="right")
    work = Table(title="Eight processes at work")
    for heading in ("what happens", "longest gap", "over-issued", "slots lost"):
        work.add_column(heading, justify="left" if heading == "what happens" else "right")
    with tempfile.TemporaryDirectory(prefix="balancer-house-") as name:
        config = Path(name) / "pool.toml"
        config.write_text(_CONFIG)
        server = Command(config, ttl_s=TTL_S)
        port = server.port
        for what, where, stop in (
            ("kill -9, on the server's machine", "here", signal.SIGKILL),
            ("kill -9, elsewhere", "elsewhere", signal.SIGKILL),
            ("stopped for good (SIGSTOP)", "here", signal.SIGSTOP),
        ):
            times = [until_all_are_back(server.url, where, stop) for _ in range(rounds)]
            back.add_row(what, f"{max(times):.2f} s")
        server.kill()

        def restart(server: Command, workers: list["subprocess.Popen[bytes]"]) -> Command:
            server.kill()
            return Command(config, ttl_s=TTL_S, port=port)

        def restart_after_both(server: Command, workers: list["subprocess.Popen[bytes]"]) -> Command:
            workers[0].kill()
            return restart(server, workers)

        for what, hurt in (
            ("kill -9 of a process", kill_one),
            ("a process is stopped for 1.3 TTL", stop_one),
            ("kill -9 of the server, started again at once", restart),
            ("kill -9 of a process and of the server", restart_after_both),
        ):
            work.add_row(what, *at_work(config, port, hurt))
        cuts = Table(title=f"The network is cut between four of eight processes and the server; TTL {TTL_S:g} s")
        for heading in ("cut for", "longest gap of all", "until all four work again", "over-issued", "slots lost"):
            cuts.add_column(heading, justify="right")
        try:
            for part in (0.5, 1.0, 2.0):
                cuts.add_row(f"{part:g} TTL", *cut_off(config, part))
        except CannotCut as why:
            cuts.add_row(f"not run: {why}")
    Console(width=100).print(back, work, cuts)


if __name__ == "__main__":
    main()
