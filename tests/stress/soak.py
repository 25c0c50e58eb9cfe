"""Soak: everything at once for as long as it is told, and what must never be: a slot given twice, lost or leaked.

    python -m tests.stress.soak [--seconds 3600] [--short] [--seed N] [--folder FOLDER]

Three pools are used at the same time, while their endpoints come and go and their strategies change. Threads, two loops
of asyncio and trio do anything to the first one; every minute they stop, and nothing may be out. Clients of HTTP share
the second one, whose servers commit every fault (`tests.stress.faulty`). Processes share the third one over `balancer
serve` (`tests.stress.shared`). A line is printed every ten seconds, and a table at the end. It ends with 1 if anything
was seen that must never be.
"""

import ctypes
import gc
import logging
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import linear_regression
from tempfile import TemporaryDirectory

from tests.benchmarks.harness import options, show
from tests.faults.proxy import FAULTS
from tests.patience import PATIENCE_S
from tests.registered import NAMES
from tests.stress.faulty import FaultyCalls, FaultyServers, faulty_servers
from tests.stress.invariants import LeaseEvents, limits_of, seen_at_rest
from tests.stress.shared import SharedCalls
from tests.tasks.mixed import KNOWN, memory_mb, mixed, ruled_pool

__all__ = ["Soak", "main"]

_SHORT_S = 10.0
_ROUND_S = 60.0
_TELL_S = 10.0
_TICK_S = 0.1
_EARLY_S = 600.0  # by then all is loaded that will be
_LEAST_S = 60.0  # over which a slope says anything
_STUCK_S = 300.0  # no caller holds a lease for longer than some seconds
_CHANGES = ("add", "drain", "remove", "update", "pinged", "set_strategy")
_OVER_SERVE = ("add", "drain", "update", "set_strategy", "kill -9")
_CALLERS = (
    *("any way, threads", "any way, asyncio", "any way, trio"),
    *("httpx2, a thread", "requests, a thread", "Pool.call, hedged", "httpx2, asyncio", "httpx2, trio"),
    *("over serve, threads", "over serve, asyncio", "over serve, trio"),
)
_ARENA_MAX = -8  # of malloc.h: M_ARENA_MAX
_MAIN = "this process"


class Soak:
    """What is under way, and what came of it.

    Args:
        seconds: how long.
        seed: of all that is drawn.
        calls, servers, shared: of the second and the third pool.
    """

    def __init__(
        self, seconds: float, seed: int, calls: FaultyCalls, servers: FaultyServers, shared: SharedCalls
    ) -> None:
        self.seconds, self.seed = seconds, seed
        self.pool = ruled_pool(seed)
        self.calls, self.shared = calls, shared
        self.served: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.changes: Counter[str] = Counter()
        self.violations: list[str] = []
        self.memory: list[tuple[float, Mapping[str, float]]] = []
        self.faults: Counter[str] = Counter()
        self.longest_pause_s = 0.0
        self.rounds = 0
        self._servers = servers
        self._pids: dict[str, int | str] = {_MAIN: "self", **shared.pids, "the faulty servers": servers.pid}
        self._began_s = time.monotonic()

    def run(self) -> None:
        """Let threads and loops do anything to the first pool, in rounds; look at it after each.

        It goes on for longer on a machine that is so busy that not everything has happened by then.
        """
        with self._telling():
            while (left_s := self._began_s + self.seconds - time.monotonic()) > 0 or self.missing():
                if left_s < -PATIENCE_S:
                    break
                try:
                    self._round(min(_ROUND_S, self.seconds / 3, max(left_s, 3.0)))
                except AssertionError as error:  # threads or loops that do not end
                    self.violations.append(f"lost: {error}")
                    break
        self.violations += [f"never happened: {each}" for each in self.missing()]

    def missing(self) -> list[str]:
        """Return what has not happened yet."""
        served = self.served + self.calls.served + self.shared.served()
        found = [f"a lease of {caller}" for caller in _CALLERS if not served[caller]]
        found += [f"fault {name}" for name in FAULTS if not self.faults[name]]
        for changes in (self.changes, self.calls.changes):
            found += [kind for kind in _CHANGES if not changes[kind]]
        return found + [kind for kind in _OVER_SERVE if not self.shared.changes[kind]]

    def _round(self, seconds: float) -> None:
        pool, self.rounds = self.pool, self.rounds + 1
        heard = LeaseEvents(limits_of(pool)) if self.rounds % 2 else None  # a pool that nobody observes is another one
        watching = pool.observe(heard) if heard else None
        came = mixed(
            pool,
            sys.maxsize,
            odd=0.3,
            seed=self.seed + self.rounds,
            threads=3,
            tasks=6,
            every_s=0.02,
            until_s=time.monotonic() + seconds,
            strategies=NAMES,
        )
        if watching:
            watching.end()
        found = [*came.violations, *(heard.at_rest() if heard else ()), *seen_at_rest(pool)]
        found += [f"a caller met {end}" for end in came.ends if end not in KNOWN]
        self.violations += [f"round {self.rounds}: {each}" for each in found]
        self.served.update({f"any way, {caller}": number for caller, number in came.served.items()})
        self.ends.update(came.ends)
        self.changes.update(came.changes)

    # -- while it lasts ----------------------------------------------------------------------------

    @contextmanager
    def _telling(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._tell, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._look()

    def _tell(self, over: threading.Event) -> None:
        next_s = self._began_s + _TELL_S
        while True:
            before_s = time.monotonic()
            if over.wait(_TICK_S):
                return
            now_s = time.monotonic()
            self.longest_pause_s = max(self.longest_pause_s, now_s - before_s - _TICK_S)
            if now_s >= next_s:
                next_s += _TELL_S
                self._look()
                print(self._line(now_s - self._began_s), flush=True)

    def _look(self) -> None:
        """Measure memory, count faults, and see that nothing is out for too long."""
        self.memory.append(
            (time.monotonic() - self._began_s, {name: memory_mb(pid) for name, pid in self._pids.items()})
        )
        self.faults = self._servers.met()
        self.shared.look()
        for pool in (self.pool, self.calls.pool):
            self.violations += [f"leaked: {row}" for row in pool.leases() if row.age_s > _STUCK_S]

    def _line(self, at_s: float) -> str:
        leases = sum(pool.stats().acquired for pool in (self.pool, self.calls.pool)) + self.shared.served().total()
        left_s = max(0.0, self.seconds - at_s)
        changes = _sum(self.changes, self.calls.changes, self.shared.changes)
        memory = ", ".join(f"{mb:.0f}" for mb in self.memory[-1][1].values())
        return (
            f"{at_s:.0f} s, {left_s / 60:.1f} min left: {leases} leases, {self.faults.total()} faults, "
            f"{changes.total()} changes, violations {len(self.all_violations())}, memory {memory} MB"
        )

    def all_violations(self) -> list[str]:
        """Return what must never be, of all three pools."""
        return [*self.violations, *self.calls.violations, *self.shared.violations]

    # -- in the end --------------------------------------------------------------------------------

    def show(self) -> None:
        """Print what came of it."""
        found = self.all_violations()
        shared = self.shared.served()
        served = self.served + self.calls.served + shared
        show("caller | calls served", [(caller, served[caller]) for caller in _CALLERS])
        total = self.pool.stats().acquired + self.calls.pool.stats().acquired + shared.total()
        show(
            "in all | number",
            [
                ("leases granted", total),
                ("faults met", f"{self.faults.total()}, {len(+self.faults)} of {len(FAULTS)} kinds"),
                ("processes killed", self.shared.changes["kill -9"]),
                ("longest pause of this process, s", f"{self.longest_pause_s:.2f}"),
                ("violations", len(found)),
            ],
        )
        pools = self.changes, self.calls.changes, self.shared.changes
        show(
            "change | any way | faulty servers | over serve",
            [(kind, *(each[kind] for each in pools)) for kind in _CHANGES],
        )
        show("fault | met", [(name, self.faults[name]) for name in FAULTS])
        self._show_memory()
        for each in found[:50]:
            print(each)

    def _show_memory(self) -> None:
        early_s = _EARLY_S if self.seconds >= 2 * _EARLY_S else self.seconds / 3
        later = [(at_s, mb) for at_s, mb in self.memory if at_s >= early_s] or self.memory
        rows = []
        for name in self._pids:
            times, sizes = [at_s for at_s, _ in later], [mb[name] for _, mb in later]
            told = times[-1] - times[0] >= _LEAST_S
            slope = f"{linear_regression(times, sizes).slope * 3600:+.1f}" if told else "too short to tell"
            rows.append((name, f"{sizes[0]:.1f}", f"{sizes[-1]:.1f}", slope))
        show(f"memory, MB | at {later[0][0]:.0f} s | at {later[-1][0]:.0f} s | slope between, MB/h", rows)


def _sum(*counters: Counter[str]) -> Counter[str]:
    return Counter(name for each in counters for name in each.elements() if name)


def _alone() -> None:
    """Have malloc keep one heap, also in processes that follow; end as by ctrl-C when told to.

    By default glibc keeps one for each few threads. Large bodies that threads read in turn leave holes in all of them,
    and memory grows for an hour though nothing is kept.
    """
    os.environ["MALLOC_ARENA_MAX"] = "1"
    with suppress(AttributeError, OSError):  # another library
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def main() -> None:
    asked = options(
        __doc__,
        f"{_SHORT_S:g} s",
        seconds=(3600.0, "how long"),
        seed=(random.SystemRandom().randrange(2**16), "of all that is drawn"),
        folder=("", "an empty one where it writes; else a temporary one"),
    )
    seconds = _SHORT_S if asked.short else asked.seconds
    print(
        f"soak of {seconds:g} s, seed {asked.seed}; memory is that of this process, the server, a process over it,",
        end=" ",
    )
    print("and the faulty servers", flush=True)
    _alone()
    logging.disable()  # each ejection is a line
    with ExitStack() as outer:
        folder = Path(asked.folder or outer.enter_context(TemporaryDirectory(prefix="balancer-soak-")))
        with ExitStack() as stack:
            servers = stack.enter_context(faulty_servers())
            shared = stack.enter_context(SharedCalls(folder, asked.seed))
            calls = FaultyCalls(servers.urls, asked.seed)
            heard = LeaseEvents(limits_of(calls.pool))
            calls.pool.observe(heard)  # before anybody has a lease
            stack.enter_context(calls)
            soak = Soak(seconds, asked.seed, calls, servers, shared)
            soak.run()
        gc.collect()
        soak.violations += [f"faulty servers: {each}" for each in (*heard.at_rest(), *seen_at_rest(calls.pool))]
        soak.show()
    sys.exit(bool(soak.all_violations()))


if __name__ == "__main__":
    main()
