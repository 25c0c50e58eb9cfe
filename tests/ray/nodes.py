"""A Ray cluster of two machines, as two network namespaces. One dies, with the actor that hosts the pool.

Three actors of Ray work as in `tests.cluster.worker`, on the machine that stays. The calls of one of them last until
their leases have ended. Linux, iproute2.
"""

import json
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
from tests.cluster.worker import CAPACITY, _work

_CALLS_S: Final = (600.0, 0.01, 0.01)  # of each worker
_TTL_S: Final = 60.0
_WATCH_S: Final = 8.0
_SLOTS: Final = 2 * CAPACITY
_HERE, _THERE = "10.99.0.1", "10.99.0.2"
_PORT: Final = 6379
_PATIENCE_S: Final = 240.0
_ROOT = Path(__file__).parents[2]
_SOON: Final = {  # Ray finds out within two seconds or so that a node is dead
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


@dataclass(frozen=True, slots=True)
class Came:
    """What came of it.

    Attributes:
        gap_s: the longest time in which no worker did anything.
        too_many: leases that found all slots of their endpoint in use.
        lost: slots that nobody could lease at the end.
        again: how many workers ended a call more than a second after the machine had died.
    """

    gap_s: float
    too_many: int
    lost: int
    again: int


def measured() -> Came:
    """Do it, on two machines for this alone. Raises CannotCut, RuntimeError if it fails."""
    with Cable() as cable:
        folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: the names of its sockets have at most 107 bytes
        keepers = {keeper.pid for keeper in cable._keepers}
        places = set(map(_place, keepers))
        command = [*cable.here, sys.executable, "-m", "tests.ray.nodes", json.dumps(cable.there), folder]
        try:
            ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT, check=False, timeout=900.0)
        finally:
            _kill_all(places, keepers)
            shutil.rmtree(folder, ignore_errors=True)
    lines = ran.stdout.splitlines()
    if ran.returncode or not lines:
        raise RuntimeError(f"tests.ray.nodes: it ended with {ran.returncode}: {ran.stdout}")
    return Came(**json.loads(lines[-1]))


def _all_of(places: set[str]) -> set[int]:
    return {pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _place(pid) in places}


def _kill_all(places: set[str], but: set[int]) -> None:
    """Kill all processes of these network namespaces, until there is none."""
    until_s = time.monotonic() + _PATIENCE_S
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


def _start_nodes(there: Sequence[str], folder: str) -> None:
    """Start the head on this machine, and a node on the other one. `there`: what a command begins with for that."""
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}  # of this cluster alone
    shared = ["--num-cpus", "4", "--object-store-memory", str(100 * 2**20), "--disable-usage-stats"]
    head = ["--head", "--node-ip-address", _HERE, "--port", str(_PORT), "--include-dashboard", "false"]
    _start([], *head, "--temp-dir", folder, "--system-config", json.dumps(_SOON), *shared)
    _start(there, "--address", f"{_HERE}:{_PORT}", "--node-ip-address", _THERE, *shared)


def _start(side: Sequence[str], *words: str) -> None:
    place = _place(side[side.index("--target") + 1] if side else "self")
    before = _all_of({place})
    command = [*side, sys.executable, "-m", "ray.scripts.scripts", "start", *words]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    until_s = time.monotonic() + _PATIENCE_S
    while True:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if ran.returncode == 0:
            return
        if time.monotonic() > until_s:
            raise RuntimeError(f"ray start: {ran.stdout}{ran.stderr}")
        # It waits for 30 s, which is too little on a machine that is busy. What it has begun goes.
        _kill_all({place}, before)


def _join() -> tuple[str, str]:
    """Be a driver on this machine; return the ids of both nodes once they are there."""
    import ray

    ray.init(address=f"{_HERE}:{_PORT}", _node_ip_address=_HERE, log_to_driver=False, logging_level="ERROR")
    until_s = time.monotonic() + _PATIENCE_S
    while len(ids := {each["NodeManagerAddress"]: each["NodeID"] for each in ray.nodes() if each["Alive"]}) < 2:
        if time.monotonic() > until_s:
            raise RuntimeError(f"the nodes that came are {sorted(ids)}")
        time.sleep(0.1)
    return ids[_HERE], ids[_THERE]


# -- on the first machine -------------------------------------------------------------------------------


class _Worker:
    """A process that works."""

    def __init__(self, name: str) -> None:
        from balancer.ray import SharedPool

        self._pool = SharedPool(name, within_s=_PATIENCE_S)
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


def _pool_on(node: str) -> Any:
    """Return a pool whose actor is on that node. Ray places it by chance, so it is made until it is there."""
    import ray

    from balancer.ray import SharedPool, stop

    config = Config(endpoints=[{"url": "http://10.0.0.{1..2}/", "capacity": CAPACITY}])  # type: ignore[list-item]
    for turn in range(40):
        pool = SharedPool(f"nodes-{turn}", config=config, ttl_s=_TTL_S, within_s=_PATIENCE_S)
        actor = ray.get_actor(pool.called, namespace="balancer")
        here = "127.0.0.1" in ray.get(actor.where.remote(node), timeout=_PATIENCE_S).url
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


def _at_work(there: list[str], folder: Path) -> Came:
    target = there[there.index("--target") + 1]
    _start_nodes(there, str(folder.parent))
    import ray  # only now: it reads the token from the environment
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here_id, there_id = _join()
    pool = _pool_on(there_id)
    stays = NodeAffinitySchedulingStrategy(here_id, soft=False)
    actor = ray.remote(_Worker).options(num_cpus=0, scheduling_strategy=stays)
    workers = [actor.remote(pool.called) for _ in _CALLS_S]
    begun = [worker.work.remote(str(folder), call_s) for worker, call_s in zip(workers, _CALLS_S, strict=True)]
    pids = ray.get(begun, timeout=_PATIENCE_S)
    while len(list(folder.glob("done.*"))) < 2 * len(workers):
        time.sleep(0.1)
    time.sleep(2.0)
    since_s = time.monotonic()
    _kill_all({_place(target)}, {int(target)})
    # Until they are at work again, and have been for a while.
    while (now := time.monotonic()) < since_s + _PATIENCE_S:
        again = [at_s for at_s in _done(folder, pids) if at_s > since_s + 1.0]
        if now > since_s + _WATCH_S and again and now > again[0] + _WATCH_S / 2:
            break
        time.sleep(0.2)
    over_s = time.monotonic()
    again_at = sum(any(at_s > since_s + 1.0 for at_s in _done(folder, [pid])) for pid in pids)
    for worker in workers:
        with suppress(ray.exceptions.RayError):
            ray.get(worker.end.remote(), timeout=30.0)
    leases = []
    with suppress(BalancerError):
        for _ in range(_SLOTS):
            leases.append(pool.acquire(3 * _TTL_S))
    gap_s = _gap(_done(folder, pids), since_s, over_s)
    return Came(gap_s, len(list(folder.glob("too-many.*"))), _SLOTS - len(leases), again_at)


if __name__ == "__main__":
    there, folder = sys.argv[1:]
    work = Path(folder) / "work"
    work.mkdir()
    print(json.dumps(asdict(_at_work(json.loads(there), work))), flush=True)
    os._exit(0)  # the machines are put away with all that is on them
