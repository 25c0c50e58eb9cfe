"""What is lost, and for how long, when a process or the actor of a pool of Ray is killed while processes work.

    python -m tests.benchmarks.show_ray [--rounds N] [--ttl S]

Eight actors of Ray with two threads each lease and work for 10 ms, on four slots; each checks that nobody else uses the
slot that it leased (`tests.house.worker`). At the end all slots must be there. It is `show_house` with Ray as carrier.
"""

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from balancer.errors import BalancerError
from balancer.settings.config import Config
from tests.benchmarks.house_ray import available, cluster
from tests.benchmarks.show_house import SLOTS, longest_gap
from tests.house.worker import CAPACITY, _work

_WORKERS = 8


class _Worker:
    """A process that works."""

    def __init__(self, name: str) -> None:
        from balancer.ray import SharedPool

        self._pool = SharedPool(name)
        self._over = threading.Event()

    def work(self, folder: str) -> int:
        """Begin, in two threads; return the number of the process."""
        crew = [threading.Thread(target=_work, args=(self._pool, Path(folder), self._over)) for _ in range(2)]
        for thread in crew:
            thread.start()
        self._crew = crew
        return os.getpid()

    def end(self) -> None:
        """Stop."""
        self._over.set()
        for thread in self._crew:
            thread.join()
        self._pool.close()


def at_work(ray: Any, name: str, ttl_s: float, hurt: Callable[[Any, list[int]], None]) -> tuple[float, int, int]:
    """Let eight processes work, do harm after two seconds; return the gap, too many, and slots that are missing."""
    from balancer.ray import SharedPool, stop

    config = Config(endpoints=[{"url": "http://10.0.0.{1..2}/", "capacity": CAPACITY}])  # type: ignore[list-item]
    with (
        tempfile.TemporaryDirectory(prefix="balancer-house-") as folder,
        SharedPool(name, config=config, ttl_s=ttl_s) as pool,
    ):
        workers = [ray.remote(_Worker).options(num_cpus=0).remote(name) for _ in range(_WORKERS)]
        pids = ray.get([worker.work.remote(folder) for worker in workers])
        time.sleep(2.0)
        since_s = time.monotonic()
        hurt(ray.get_actor(name, namespace="balancer"), pids)
        time.sleep(max(8.0, 3 * ttl_s))
        for worker in workers:
            try:
                ray.get(worker.end.remote())
            except ray.exceptions.RayActorError:
                continue  # the one that was killed
        gap_s = longest_gap(Path(folder), since_s)
        too_many = len(list(Path(folder).glob("too-many.*")))
        leases = []
        for _ in range(SLOTS):
            try:
                leases.append(pool.acquire(2 * ttl_s))
            except BalancerError:
                break
        for lease in leases:
            lease.release()
    stop(name)
    return gap_s, too_many, SLOTS - len(leases)


def main() -> None:
    """Do it all and print what came of it."""
    parser = argparse.ArgumentParser(prog="show_ray", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ttl", type=float, default=3.0)
    asked = parser.parse_args()
    if why := available():
        parser.exit(0, f"not run: {why}\n")
    table = Table(title=f"Eight actors at work; TTL {asked.ttl:g} s, the worst of {asked.rounds}")
    for heading in ("what happens", "longest gap", "over-issued", "slots lost"):
        table.add_column(heading, justify="left" if heading == "what happens" else "right")
    with cluster(1) as ray:

        def kill_one(actor: Any, pids: list[int]) -> None:
            os.kill(pids[0], signal.SIGKILL)

        def kill_actor(actor: Any, pids: list[int]) -> None:
            ray.kill(actor, no_restart=False)

        def kill_both(actor: Any, pids: list[int]) -> None:
            os.kill(pids[0], signal.SIGKILL)
            ray.kill(actor, no_restart=False)

        for number, (what, hurt) in enumerate(
            (
                ("kill -9 of a process", kill_one),
                ("the actor is killed", kill_actor),
                ("kill -9 of a process, and the actor", kill_both),
            )
        ):
            found = [at_work(ray, f"show-{number}-{turn}", asked.ttl, hurt) for turn in range(asked.rounds)]
            gap_s, too_many, lost = (max(each[part] for each in found) for part in range(3))
            table.add_row(what, f"{gap_s:.2f} s", str(too_many), str(lost))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
