"""A Ray cluster of two machines, as two network namespaces: one is the head, the other one dies or is cut off.

    python -m tests.ray.nodes [--ttl S] [--cut S] [--workers N] [--calls S] [--soon] dies|coordinator-dies|is-cut

Eight actors of Ray work as in `tests.cluster.worker`, and say what came of it in a line of JSON: see `Came`. `dies`:
half of them are on the machine that dies. `coordinator-dies`: on it is the actor that hosts the pool, and nothing else.
`is-cut`: on it are that actor and half of the eight, and nothing comes through for so many seconds. With `--calls`
those of the first of the eight last so long, or until their leases have ended. Ray has its own settings, or with
`--soon` finds out within two seconds or so that a node is dead. Linux, iproute2.
"""

import argparse
import json
import math
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from balancer.errors import BalancerError
from balancer.settings.config import Config
from tests.cluster.cut import Cable
from tests.cluster.worker import CAPACITY, _work, be_elsewhere

__all__ = ["HERE", "PATIENCE_S", "THERE", "WHATS", "Came", "join", "measured", "start_nodes"]

WHATS: Final = ("dies", "coordinator-dies", "is-cut")
_CALL_S: Final = 0.01
_SLOTS: Final = 2 * CAPACITY
HERE, THERE = "10.99.0.1", "10.99.0.2"
_PORT: Final = 6379
PATIENCE_S: Final = 240.0
_NOBODY: Final = "02:00:00:00:00:99"
_ROOT = Path(__file__).parents[2]
_SOON: Final = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it.

    Attributes:
        gap_s: the longest time in which nobody of the eight did anything.
        here_gap_s: likewise, of those on the machine that went on.
        found_s: after how long Ray said that the node is dead; infinite: it did not.
        too_many: leases that found all slots of their endpoint in use.
        lost: slots that nobody could lease at the end.
        here, there: how many processes of the machine that went on, and of the other one, ended a call more than a
            second after it had died or was mended.
    """

    gap_s: float
    here_gap_s: float
    found_s: float
    too_many: int
    lost: int
    here: int
    there: int


def measured(what: str, *options: str, within_s: float = 900.0) -> Came:
    """Do it, with these options, on two machines for this alone. Raises CannotCut, RuntimeError if it fails."""
    with Cable() as cable:
        folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: the names of its sockets have at most 107 bytes
        places = {os.readlink(f"/proc/{keeper.pid}/ns/net") for keeper in cable._keepers}
        keepers = {keeper.pid for keeper in cable._keepers}
        command = [*cable.here, sys.executable, "-m", "tests.ray.nodes", *options, "--there", json.dumps(cable.there)]
        command += ["--folder", folder]
        try:
            ran = subprocess.run(
                [*command, what], stdout=subprocess.PIPE, text=True, cwd=_ROOT, check=False, timeout=within_s
            )
        finally:
            _kill_all(places, keepers)
            shutil.rmtree(folder, ignore_errors=True)
    lines = ran.stdout.splitlines()
    if ran.returncode or not lines:
        raise RuntimeError(f"tests.ray.nodes {what}: it ended with {ran.returncode}: {ran.stdout}")
    return Came(**json.loads(lines[-1]))


def _all_of(places: set[str]) -> set[int]:
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _place(pid) in places}


def _kill_all(places: set[str], but: set[int]) -> None:
    """Kill all processes of these network namespaces, until there is none."""
    until_s = time.monotonic() + PATIENCE_S
    while (alive := _all_of(places) - but) and time.monotonic() < until_s:
        for pid in alive:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _place(pid: int | str) -> str:
    """Return the network namespace of a process; "": it has died."""
    with suppress(OSError):
        if Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] not in "ZX":
            return os.readlink(f"/proc/{pid}/ns/net")
    return ""


# -- a cluster ------------------------------------------------------------------------------------------


def start_nodes(here: Sequence[str], there: Sequence[str], folder: str, *, soon: bool = False) -> None:
    """Start the head on a machine, and a node on another one. `here`, `there`: what a command begins with for them."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # of this cluster alone
    shared = ["--num-cpus", "4", "--object-store-memory", str(100 * 2**20), "--disable-usage-stats"]
    head = ["--head", "--node-ip-address", HERE, "--port", str(_PORT), "--include-dashboard", "false"]
    head += ["--temp-dir", folder, *(["--system-config", json.dumps(_SOON)] if soon else [])]
    _start(here, *head, *shared)
    _start(there, "--address", f"{HERE}:{_PORT}", "--node-ip-address", THERE, *shared)


def _start(side: Sequence[str], *words: str) -> None:
    place = _place(side[side.index("--target") + 1] if side else "self")
    before = _all_of({place})
    command = [*side, sys.executable, "-m", "ray.scripts.scripts", "start", *words]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    until_s = time.monotonic() + PATIENCE_S
    while True:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if ran.returncode == 0:
            return
        if time.monotonic() > until_s:
            raise RuntimeError(f"ray start: {ran.stdout}{ran.stderr}")
        # It waits for 30 s, which is too little on a machine that is busy. What it has begun goes.
        _kill_all({place}, before)


def join(address: str) -> tuple[str, str]:
    """Be a driver on the machine of this address; return the ids of both nodes once they are there."""
    import ray

    ray.init(address=f"{HERE}:{_PORT}", _node_ip_address=address, log_to_driver=False, logging_level="ERROR")
    until_s = time.monotonic() + PATIENCE_S
    while len(ids := {each["NodeManagerAddress"]: each["NodeID"] for each in ray.nodes() if each["Alive"]}) < 2:
        if time.monotonic() > until_s:
            raise RuntimeError(f"the nodes that came are {sorted(ids)}")
        time.sleep(0.1)
    return ids[HERE], ids[THERE]


# -- on the first machine -------------------------------------------------------------------------------


class _Nodes:
    """A Ray cluster: a node on this machine, and one on the other one."""

    def __init__(self, there: Sequence[str], folder: str, soon: bool) -> None:
        target = there[there.index("--target") + 1]
        self._there = there
        self._keeper, self._place = int(target), _place(target)
        start_nodes([], there, folder, soon=soon)
        self.here, self.there = join(HERE)

    def die(self) -> None:
        """Kill all there is on the other machine."""
        _kill_all({self._place}, {self._keeper})

    def cut(self) -> None:
        """Let nothing through: what is sent goes to nobody, and no error comes of it."""
        for side, device, address in (([], "near", THERE), (self._there, "far", HERE)):
            words = ["ip", "neigh", "replace", address, "lladdr", _NOBODY, "nud", "permanent", "dev", device]
            subprocess.run([*side, *words], check=True)

    def mend(self) -> None:
        """Let all through again."""
        for side, device, address in (([], "near", THERE), (self._there, "far", HERE)):
            subprocess.run([*side, "ip", "neigh", "del", address, "dev", device], check=True)

    def lives(self) -> bool:
        """Return whether Ray says that the other node lives."""
        import ray

        return any(each["Alive"] for each in ray.nodes() if each["NodeID"] == self.there)


class _Worker:
    """A process that works. On another machine than the pool's nobody can look whether it lives."""

    def __init__(self, name: str, elsewhere: bool) -> None:
        from balancer.ray import SharedPool

        if elsewhere:
            be_elsewhere()
        self._pool = SharedPool(name, within_s=PATIENCE_S)
        self._over = threading.Event()

    def work(self, folder: str, call_s: float) -> int:
        """Begin, in two threads; return the number of the process."""
        given = self._pool, Path(folder), self._over, call_s
        crew = [threading.Thread(target=_work, args=given) for _ in range(2)]
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


def _pool_on(node: str, ttl_s: float) -> Any:
    """Return a pool whose actor is on that node. Ray places it by chance, so it is made until it is there."""
    import ray

    from balancer.ray import SharedPool, stop

    config = Config(endpoints=[{"url": "http://10.0.0.{1..2}/", "capacity": CAPACITY}])  # type: ignore[list-item]
    for turn in range(40):
        pool = SharedPool(f"nodes-{turn}", config=config, ttl_s=ttl_s, within_s=PATIENCE_S)
        actor = ray.get_actor(pool.called, namespace="balancer")
        here = "127.0.0.1" in ray.get(actor.where.remote(node), timeout=PATIENCE_S).url
        if here:
            return pool
        pool.close()
        stop(pool.called)
    raise RuntimeError("40 times Ray placed the actor on the other node")


def _done(folder: Path, pids: Sequence[int]) -> list[float]:
    files = [file for pid in pids for file in folder.glob(f"done.{pid}.*")]
    return sorted(float(line.split()[0]) for file in files for line in file.read_text().splitlines() if " " in line)


def _gap(times: list[float], since_s: float, until_s: float) -> float:
    """Return the longest time without any of these instants."""
    between = [max([at_s for at_s in times if at_s < since_s], default=since_s)]
    between += [at_s for at_s in times if since_s <= at_s <= until_s] + [until_s]
    return max(b - a for a, b in pairwise(between))


def _at_work(nodes: _Nodes, asked: argparse.Namespace, folder: Path) -> Came:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    what, ttl_s, cut_s = asked.what, asked.ttl, asked.cut
    coordinator = nodes.here if what == "dies" else nodes.there
    pool = _pool_on(coordinator, ttl_s)
    on_there = 0 if what == "coordinator-dies" else asked.workers // 2
    ids = [nodes.there] * on_there + [nodes.here] * (asked.workers - on_there)
    actor = ray.remote(_Worker)
    workers = [
        actor.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(
            pool.called, node != coordinator
        )
        for node in ids
    ]
    calls_s = [asked.calls] + [_CALL_S] * (asked.workers - 1)
    begun = [worker.work.remote(str(folder), call_s) for worker, call_s in zip(workers, calls_s, strict=True)]
    pids = ray.get(begun, timeout=PATIENCE_S)
    there, here = pids[:on_there], pids[on_there:]
    while len(list(folder.glob("done.*"))) < 2 * asked.workers:
        time.sleep(0.1)
    time.sleep(2.0)
    since_s, found_s = time.monotonic(), math.inf
    if what == "is-cut":
        nodes.cut()
    else:
        nodes.die()
    mended_s = since_s
    at_least_s = since_s + max(cut_s, asked.watch)
    # Until those here are at work again, and have been for a while; and until the network is mended.
    while (now := time.monotonic()) < since_s + PATIENCE_S + cut_s:
        if what == "is-cut" and mended_s == since_s and now >= since_s + cut_s:
            nodes.mend()
            mended_s = now
            at_least_s = now + asked.watch
        if found_s == math.inf and not nodes.lives():
            found_s = now - since_s
        again = [at_s for at_s in _done(folder, here) if at_s > max(since_s, mended_s) + 1.0]
        if now > at_least_s and again and now > again[0] + asked.watch / 2:
            break
        time.sleep(0.2)
    over_s = time.monotonic()
    after_s = max(since_s, mended_s) + 1.0
    again_at = [sum(any(at_s > after_s for at_s in _done(folder, [pid])) for pid in side) for side in (here, there)]
    for worker in workers:
        with suppress(ray.exceptions.RayError):
            ray.get(worker.end.remote(), timeout=30.0)
    leases = []
    with suppress(BalancerError):
        for _ in range(_SLOTS):
            leases.append(pool.acquire(3 * ttl_s))
    return Came(
        gap_s=_gap(_done(folder, pids), since_s, over_s),
        here_gap_s=_gap(_done(folder, here), since_s, over_s),
        found_s=found_s,
        too_many=len(list(folder.glob("too-many.*"))),
        lost=_SLOTS - len(leases),
        here=again_at[0],
        there=again_at[1],
    )


def main() -> None:
    """Do it, and print what came of it."""
    parser = argparse.ArgumentParser(prog="nodes", description=__doc__)
    parser.add_argument("what", choices=WHATS)
    parser.add_argument("--ttl", type=float, default=3.0, help="seconds")
    parser.add_argument("--cut", type=float, default=0.0, help="seconds")
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--calls", type=float, default=_CALL_S, help="seconds")
    parser.add_argument("--watch", type=float, default=12.0, help="for how many seconds to look on, at least")
    parser.add_argument("--soon", action="store_true")
    parser.add_argument("--there", help="what a command begins with that is to run on the other machine")
    parser.add_argument("--folder", help="of this cluster")
    asked = parser.parse_args()
    if asked.there is None:
        print(json.dumps(asdict(measured(asked.what, *(word for word in sys.argv[1:] if word != asked.what)))))
        return
    nodes = _Nodes(json.loads(asked.there), asked.folder, asked.soon)
    work = Path(asked.folder) / "work"
    work.mkdir()
    print(json.dumps(asdict(_at_work(nodes, asked, work))), flush=True)
    os._exit(0)  # the machines are put away with all that is on them


if __name__ == "__main__":
    main()
