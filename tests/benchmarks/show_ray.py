"""What is lost, and for how long, when a process or the actor of a pool of Ray is killed while processes work.

    python -m tests.benchmarks.show_ray [--rounds N] [--ttl S] [--only processes|nodes]

Eight actors of Ray with two threads each lease and work for 10 ms, on four slots; each checks that nobody else uses the
slot that it leased (`tests.cluster.worker`). At the end all slots must be there. It is `show_cluster` with Ray as
carrier.
Then likewise on two machines, one of which dies or is cut off, with Ray's own settings (`tests.ray.nodes`).
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from balancer.errors import BalancerError
from balancer.settings.config import Config
from tests.benchmarks.cluster_ray import available
from tests.benchmarks.harness import Row, options, show
from tests.benchmarks.show_cluster import SLOTS, longest_gap
from tests.cluster.cut import CannotCut
from tests.cluster.worker import CAPACITY, _work
from tests.ray.machine import cluster
from tests.ray.nodes import measured

_WORKERS = 8
_LONG_S = 100.0  # longer than Ray takes to find out that a node does not answer


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
        tempfile.TemporaryDirectory(prefix="balancer-cluster-") as folder,
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


def _processes(rounds: int, ttl_s: float) -> None:
    import ray

    def kill_one(actor: Any, pids: list[int]) -> None:
        os.kill(pids[0], signal.SIGKILL)

    def kill_actor(actor: Any, pids: list[int]) -> None:
        ray.kill(actor, no_restart=False)

    def kill_both(actor: Any, pids: list[int]) -> None:
        kill_one(actor, pids)
        kill_actor(actor, pids)

    rows: list[Row] = []
    with cluster(1):
        for what, hurt in (
            ("kill -9 of a process", kill_one),
            ("the actor is killed", kill_actor),
            ("kill -9 of a process, and the actor", kill_both),
        ):
            found = [at_work(ray, f"show-{len(rows)}-{turn}", ttl_s, hurt) for turn in range(rounds)]
            gap_s, too_many, lost = map(max, zip(*found, strict=True))
            rows.append((what, f"{gap_s:.2f} s", too_many, lost))
    title = f"Eight actors at work; TTL {ttl_s:g} s, the worst of {rounds}"
    show("what happens | longest gap | over-issued | slots lost", rows, title)


def _nodes(rounds: int, ttl_s: float) -> None:
    rows: list[Row] = []
    for title, what, cut_s in (
        ("kill -9 of the node of four of the eight", "dies", 0.0),
        ("kill -9 of the node of the actor", "coordinator-dies", 0.0),
        ("the node of the actor and of four is cut off for 2 TTL", "is-cut", 2 * ttl_s),
        (f"likewise, for {_LONG_S:g} s", "is-cut", _LONG_S),
    ):
        # Two calls beyond the cable last until their lease has ended: slots that others get too soon are found in use.
        calls = ("--calls", "600") if what == "is-cut" else ()
        try:
            found = [measured(what, "--ttl", str(ttl_s), "--cut", str(cut_s), *calls) for _ in range(rounds)]
        except CannotCut as why:
            rows.append((title, f"not run: {why}"))
            continue
        worst_s = (max(getattr(each, name) for each in found) for name in ("gap_s", "here_gap_s", "found_s"))
        counts = (max(each.too_many for each in found), max(each.lost for each in found))
        rows.append((title, *(f"{each:.2f} s" for each in worst_s), *counts))
    show(
        "what happens | longest gap | on the node that stays | Ray says so after | over-issued | slots lost",
        rows,
        f"Two nodes, one of which dies or is cut off; TTL {ttl_s:g} s, the worst of {rounds}",
    )


def main() -> None:
    """Do it all and print what came of it."""
    asked = options(
        __doc__, rounds=(3, "of each"), ttl=(3.0, "of the pool, s"), only=("", '"processes" or "nodes": only these')
    )
    if why := available():
        print(f"not run: {why}")
        return
    if asked.only != "nodes":
        _processes(asked.rounds, asked.ttl)
    if asked.only != "processes":
        _nodes(asked.rounds, asked.ttl)


if __name__ == "__main__":
    main()
