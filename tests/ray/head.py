"""A Ray cluster of two machines whose head dies at once: what a process on the other one sees of its pool, and when.

    python -m tests.ray.head [--ttl S] [--watch S] [--actor head|other]

A driver and an actor of Ray are on the other machine. Each holds a lease, waits for another one without a limit, and
asks for one again and again with a limit. What each sees is written down with its time after the death, in seconds. The
pool's actor is on either machine. Linux, iproute2.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Final

from balancer.errors import BalancerError
from tests.cluster.cut import Cable
from tests.ray import nodes

__all__ = ["seen"]

_ROOT: Final = Path(__file__).parents[2]
_ASK_S: Final = 2.0
_LOOK_S: Final = 0.05


def seen(where: str, ttl_s: float, watch_s: float) -> dict[str, dict[str, list[Any]]]:
    """Return by process ("driver", "actor") what it saw: event -> [seconds after the death, words].

    Args:
        where: of the pool's actor: "head" or "other".
        ttl_s: of the pool.
        watch_s: for how many seconds after the death to look on.

    Raises:
        CannotCut, RuntimeError: it cannot be done here; it failed.
    """
    with Cable() as cable:
        folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short: see `nodes.measured`
        places = [os.readlink(f"/proc/{keeper.pid}/ns/net") for keeper in cable._keepers]
        keepers = {keeper.pid for keeper in cable._keepers}
        command = [sys.executable, "-m", "tests.ray.head", "--actor", where, "--ttl", str(ttl_s), "--folder"]
        driver = None
        try:
            nodes.start_nodes(cable.here, cable.there, str(folder))
            with open(folder / "driver.said", "w") as said:
                driver = subprocess.Popen(
                    [*cable.there, *command, str(folder)], cwd=_ROOT, stdout=said, stderr=subprocess.STDOUT
                )
            until_s = time.monotonic() + nodes.PATIENCE_S
            while len(list(folder.glob("*.ready"))) < 2:
                if driver.poll() is not None or time.monotonic() > until_s:
                    raise RuntimeError((folder / "driver.said").read_text()[-2000:])
                time.sleep(0.1)
            time.sleep(ttl_s)
            nodes._kill_all({places[0]}, keepers)
            died_s = time.monotonic()
            found: dict[str, dict[str, list[Any]]] = {}
            while time.monotonic() < died_s + watch_s:
                time.sleep(_LOOK_S)
                for name in ("driver", "actor"):
                    pid = int((folder / f"{name}.ready").read_text())
                    if not nodes._place(pid):
                        found.setdefault(name, {}).setdefault("ended", [round(time.monotonic() - died_s, 1), ""])
                if len(found) == 2:
                    break
            for name in ("driver", "actor"):
                for line in (folder / f"{name}.seen").read_text().splitlines():
                    at_s, event, words = json.loads(line)
                    if at_s >= died_s:
                        found.setdefault(name, {}).setdefault(event, [round(at_s - died_s, 1), words])
            return found
        finally:
            nodes._kill_all(set(places), keepers)
            if driver is not None:
                driver.wait()
            print((folder / "driver.said").read_text()[-3000:], file=sys.stderr)
            shutil.rmtree(folder, ignore_errors=True)


class _Holder:
    """A process that uses the pool and writes down what it sees."""

    def __init__(self, name: str, pool: str, folder: str) -> None:
        from balancer.ray import SharedPool

        self._pool = SharedPool(pool, within_s=nodes.PATIENCE_S)
        self._file = open(Path(folder) / f"{name}.seen", "w", buffering=1)  # noqa: SIM115  # as long as the process
        held = self._pool.acquire()
        for act in (lambda: self._until_it_ends(held), self._waits, self._asks):
            threading.Thread(target=act, daemon=True).start()
        Path(folder, f"{name}.tmp").write_text(str(os.getpid()))
        Path(folder, f"{name}.tmp").rename(Path(folder, f"{name}.ready"))

    def _write(self, event: str, words: str = "") -> None:
        self._file.write(json.dumps([time.monotonic(), event, words]) + "\n")

    def _until_it_ends(self, held: Any) -> None:
        while not held.ended:
            time.sleep(_LOOK_S)
        self._write("its lease ended")
        try:
            held.release()
        except BalancerError as error:
            self._write("release", f"{type(error).__name__}: {error}")

    def _waits(self) -> None:
        try:
            self._pool.acquire(holder="without a limit")
            self._write("the wait without a limit got a lease")
        except BaseException as error:
            self._write("the wait without a limit", f"{type(error).__name__}: {error}")

    def _asks(self) -> None:
        while True:
            asked_s = time.monotonic()
            try:
                self._pool.acquire(_ASK_S).release()
                self._write("got one")
            except BaseException as error:
                took_s = time.monotonic() - asked_s
                self._write(f"asked, {type(error).__name__}", f"after {took_s:.1f} s: {error}")
            if not self._pool.connected:
                self._write("not connected")
            time.sleep(_LOOK_S)

    def stay(self) -> None:
        """Do nothing more."""


def _drive(where: str, ttl_s: float, folder: str) -> None:
    """Be the driver, on the other machine."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here, there = nodes.join(nodes.THERE)
    pool = nodes._pool_on({"head": here, "other": there}[where], ttl_s)
    on_there = NodeAffinitySchedulingStrategy(there, soft=False)
    actor = ray.remote(_Holder).options(num_cpus=0, scheduling_strategy=on_there).remote("actor", pool.called, folder)
    ray.get(actor.stay.remote(), timeout=nodes.PATIENCE_S)
    _Holder("driver", pool.called, folder)
    while True:
        time.sleep(nodes.PATIENCE_S)


def main() -> None:
    """Do it, and print what was seen."""
    parser = argparse.ArgumentParser(prog="head", description=__doc__)
    parser.add_argument("--ttl", type=float, default=3.0, help="seconds")
    parser.add_argument("--watch", type=float, default=120.0, help="seconds")
    parser.add_argument("--actor", choices=("head", "other"), default="head", help="where the pool's actor is")
    parser.add_argument("--folder", help="of the cluster: be the driver of it")
    asked = parser.parse_args()
    if asked.folder:
        _drive(asked.actor, asked.ttl, asked.folder)
    for name, events in seen(asked.actor, asked.ttl, asked.watch).items():
        for event, (at_s, words) in sorted(events.items(), key=lambda each: each[1][0]):
            print(f"{name:7} {at_s:6.1f} s  {event}  {words}")


if __name__ == "__main__":
    main()
