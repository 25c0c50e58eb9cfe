"""Processes that share a pool over `balancer serve`, while one is killed again and again and the config changes.

Each process has threads and tasks of asyncio and trio; each sees whether its slots are used by somebody else
(`tests.cluster.worker`). The server and one of the processes live as long as it lasts.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from balancer import AcquireTimeout, BalancerError, Lease, Pool
from balancer.cluster.protocol import CoordinatorRecord
from balancer.cluster.protocol.grace import dump_record
from tests.cluster.serving import Command
from tests.cluster.worker import CAPACITY
from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S
from tests.registered import NAMES

__all__ = ["SharedCalls"]

_TTL_S = 60.0  # the machine may pause for 48 s before a process stops using its leases
_ENDPOINTS = 4
_WORK_S = 0.01
_THREADS, _TASKS = 2, 3
_CHANGES_S = 1.0
_KILL_EVERY = 8  # changes


class SharedCalls:
    """A server, and processes that lease from it.

    Args:
        folder: for the config, the log and what the processes write down.
        seed: of all that is drawn.

    Attributes:
        changes: of the config, by what changed, and processes that were killed.
        violations: what must never be, once it has ended.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.changes: Counter[str] = Counter()
        self.violations: list[str] = []
        self._folder = folder
        self._rng = random.Random(seed)
        self._there = set(range(_ENDPOINTS))
        self._strategy = NAMES[0]
        self._weights = [1.0] * _ENDPOINTS
        self._config, self._log = folder / "pool.toml", folder / "serve.log"
        self._write()
        fresh = dump_record(
            CoordinatorRecord(0, _TTL_S, frozenset())
        )  # or it waits for a TTL, as nobody knows of holders
        self._config.with_name(self._config.name + ".state").write_text(fresh, encoding="utf-8")
        self._server = Command(self._config, ttl_s=_TTL_S, log=self._log)
        threading.Thread(target=self._listen, daemon=True).start()
        self._workers = [self._worker(), self._worker()]
        self._over = threading.Event()
        self._served, self._since_s = 0, time.monotonic()
        self._thread = threading.Thread(target=self._change, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        """Read what the server says of each change: it would stop once the pipe is full, after half an hour."""
        assert self._server.process.stdout is not None
        with suppress(ValueError):  # it was closed
            for _ in self._server.process.stdout:
                pass

    @property
    def pids(self) -> dict[str, int]:
        """The processes that live as long as it lasts."""
        return {"the server": self._server.process.pid, "a process over it": self._workers[0].pid}

    def served(self) -> Counter[str]:
        """Return how many leases were taken so far, by the kind of caller."""
        found: Counter[str] = Counter()
        for file in self._folder.glob("done.*"):
            who = file.name.split(".")[2]
            found[f"over serve, {'threads' if who.isdecimal() else who}"] += _last(file)
        return found

    def look(self) -> None:
        """See that the process that is never killed goes on."""
        served, now_s = sum(map(_last, self._folder.glob(f"done.{self._workers[0].pid}.*"))), time.monotonic()
        if served > self._served:
            self._served, self._since_s = served, now_s
        elif now_s > self._since_s + PATIENCE_S:
            self.violations.append(f"lost: no lease for a process in {PATIENCE_S:.0f} s")
            self._since_s = now_s

    def __enter__(self) -> "SharedCalls":
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE_S)
        try:
            self._end()
        finally:
            for worker in self._workers:
                worker.kill()
                worker.wait(PATIENCE_S)
            self._server.kill()
        self.violations += [f"given twice: {file.name}" for file in self._folder.glob("too-many.*")]
        self.violations += [line for line in self._log.read_text(encoding="utf-8").splitlines() if "Error" in line]

    def _end(self) -> None:
        """Wait for the processes, and see that every slot is free."""
        self._there = set(range(_ENDPOINTS))
        self._reread()
        for worker in self._workers:
            assert worker.stdin is not None
            worker.stdin.close()
        for worker in self._workers:
            try:
                if worker.wait(PATIENCE_S):
                    self.violations.append(f"a process ended with status {worker.returncode}")
            except subprocess.TimeoutExpired:
                self.violations.append("lost: a process does not end")
        leases: list[Lease] = []
        with Pool.connect(self._server.url, within_s=PATIENCE_S) as pool:
            try:
                for _ in range(_ENDPOINTS * CAPACITY):
                    leases.append(pool.acquire(PATIENCE_S))
            except AcquireTimeout:
                self.violations.append(f"lost: only {len(leases)} of {_ENDPOINTS * CAPACITY} slots can be had")
            except BalancerError as error:
                self.violations.append(f"lost: {error!r}")
            for lease in leases:
                lease.release()

    def _worker(self) -> "subprocess.Popen[bytes]":
        asked = (self._server.url, self._folder, _WORK_S, _THREADS, _TASKS)
        command = [sys.executable, "-m", "tests.cluster.worker", *map(str, asked)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)

    def _change(self) -> None:
        number = 0
        while not self._over.wait(_CHANGES_S):
            number += 1
            if number % _KILL_EVERY == 0:
                _kill(self._workers[1])
                self._workers[1] = self._worker()
                self.changes["kill -9"] += 1
                continue
            which = self._rng.randrange(1, _ENDPOINTS)  # never the first one, so that there is always one to be had
            match number % 3:
                case 0:
                    self._strategy = self._rng.choice(NAMES)
                    self.changes["set_strategy"] += 1
                case 1:
                    self._weights[which] = self._rng.choice((0.5, 1.0, 2.0))
                    self.changes["update"] += 1
                case 2:
                    self.changes["drain" if which in self._there else "add"] += 1
                    self._there ^= {which}
            self._reread()

    def _reread(self) -> None:
        self._write()
        os.kill(self._server.process.pid, signal.SIGHUP)

    def _write(self) -> None:
        hosts = [
            f'[[endpoints]]\nurl = "http://10.0.0.{n}/"\ncapacity = {CAPACITY}\nweight = {self._weights[n]}\n'
            for n in sorted(self._there)
        ]
        written = self._folder / "pool.next"
        written.write_text(f'[pool]\nstrategy = "{self._strategy}"\n' + "".join(hosts), encoding="utf-8")
        written.replace(self._config)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    process.kill()
    process.wait(PATIENCE_S)
    process.stdin.close()


def _last(file: Path) -> int:
    """Return the number in the last whole line; 0: there is none."""
    with open(file, "rb") as lines:
        lines.seek(max(0, file.stat().st_size - 80))
        *whole, _ = lines.read().split(b"\n")
    return int(whole[-1].split()[1]) if whole else 0
