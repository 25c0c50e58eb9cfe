"""Threads, tasks of two asyncio loops and tasks of trio do anything to one pool, until so many leases were asked for.

Or until a time has come. Endpoints come and go meanwhile, and the strategy changes.

Decides what each of them does next, by its own random numbers, and writes down what must never be: a lease that two
have, an endpoint with more leases than it has slots.
"""

import asyncio
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import trio

from balancer import (
    BalancerError,
    Endpoint,
    EndpointError,
    HealthSettings,
    Lease,
    LimitSettings,
    Outcome,
    Pool,
    RetrySettings,
)
from tests.patience import PATIENCE_S
from tests.tasks.libraries import Threads
from tests.threads.crew import crew

MOST = 8  # slots that an endpoint ever has
_FEW = ("least_in_flight", "fifo", "weighted_health", "p2c")
KNOWN = {
    *("in time", "cancelled", "AcquireTimeout", "EndpointError", "NoEndpoint", "forgotten", "hedged call"),
    "hedged call, in a task",
    "DeadlinePassed",  # on a busy machine a lease may come when five seconds are nearly over
    *(f"{way}{where}" for way in ("plain", "block", "acquire", "call") for where in ("", ", in a task")),
}
"""How what is asked for may end."""
_NONE_SERVED = {"AcquireTimeout", "NoEndpoint", "cancelled"}
_SPECS = [Endpoint(f"e{number}") for number in range(1, 6)]
_HOLDS_S = (0.0, 0.0001, 0.001)
_WAITS_S = (0.0, 0.0005, 5.0)


@dataclass
class Mixed:
    """What came of it.

    Attributes:
        ends: how often what was asked for ended how.
        served: how often it ended after a lease, by the kind of caller: threads, asyncio, trio.
        changes: of endpoints and of the strategy, by the method of the pool.
        violations: what must never be, in words.
        most_inside: leases at once that were seen.
        took_s: seconds.
        memory_mb: of the process, when a tenth was done and at the end.
    """

    ends: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    most_inside: int = 0
    took_s: float = 0.0
    memory_mb: list[float] = field(default_factory=list)


def ruled_pool(seed: int, endpoints: int = 6) -> Pool:
    """Return a pool with health, AIMD limits and cooldowns of milliseconds."""
    health = HealthSettings(cooldown_s=0.005, max_cooldown_s=0.02, slow_start_s=0.01)
    return Pool(
        [Endpoint(f"e{number}", capacity=4) for number in range(endpoints)],
        health=health,
        limits=LimitSettings(kind="aimd"),
        retries=RetrySettings(base_s=0.0, budget_ratio=1.0),
        seed=seed,
    )


def memory_mb(pid: int | str = "self") -> float:
    """Return how much memory this process, or another one, has in use; 0 where nobody says."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
    return 0.0


class _Scene:
    """What all that take part share.

    Args:
        pool: theirs.
        asks: how many leases are asked for in all.
        odd: the share of what is asked for in another way than by a plain block.
        seed: of all that is drawn.
        until_s: when nobody asks any more, by the monotonic clock.
        strategies: those that come in turn.
    """

    def __init__(self, pool: Pool, asks: int, odd: float, seed: int, until_s: float, strategies: Sequence[str]) -> None:
        self.pool = pool
        self.asks = asks
        self.odd = odd
        self.seed = seed
        self.until_s = until_s
        self.strategies = strategies
        self.forgets = False
        self.mixed = Mixed()
        self.over = threading.Event()
        self._inside: dict[int, str] = {}
        self._numbers = count()
        self._lock = threading.Lock()

    def more(self) -> bool:
        """Return whether there is another one to be asked for."""
        if time.monotonic() >= self.until_s:
            return False
        return next(self._numbers) < self.asks  # one at a time, for it is a call of C's

    def done(self) -> int:
        """Return how many have been asked for, about."""
        return int(repr(self._numbers)[6:-1])

    def enter(self, lease: Lease) -> None:
        """Be in a block."""
        if lease.id in self._inside or lease.ended:
            self.mixed.violations.append(f"{lease} is had twice, or has ended")
        self._inside[lease.id] = lease.endpoint.name

    def leave(self, lease: Lease) -> None:
        """Be out of it again, before the lease ends."""
        del self._inside[lease.id]

    def look(self) -> None:
        """See whether there are too many anywhere."""
        inside = Counter(list(self._inside.values()))
        self.mixed.most_inside = max(self.mixed.most_inside, inside.total())
        self.mixed.violations += [f"{n} leases at {name}" for name, n in inside.items() if n > MOST]

    def add(self, caller: str, ends: Counter[str]) -> None:
        with self._lock:
            self.mixed.ends.update(ends)
            self.mixed.served[caller] += sum(number for end, number in ends.items() if end not in _NONE_SERVED)


def mixed(
    pool: Pool,
    asks: int,
    *,
    odd: float,
    seed: int,
    threads: int = 6,
    tasks: int = 16,
    every_s: float = 0.002,
    until_s: float = math.inf,
    strategies: Sequence[str] = _FEW,
    forgets: bool = False,
) -> Mixed:
    """Ask `pool` for leases in every way, from `threads` threads, and as many `tasks` in each of three loops.

    `forgets`: some threads drop a lease without a release.
    """
    scene = _Scene(pool, asks, odd, seed, until_s, strategies)
    scene.forgets = forgets
    began_s = time.monotonic()
    watch = threading.Thread(target=_watch, args=(scene, every_s), daemon=True)
    watch.start()

    def work(number: int) -> None:
        if number < threads:
            face = Threads.face(pool)
            Threads.run(lambda: _caller(scene, "threads", face, Threads.sleep, None, number))
        elif number < threads + 2:
            asyncio.run(_asyncio_loop(scene, number, tasks))
        else:
            trio.run(_trio_loop, scene, number, tasks)

    try:
        crew(threads + 3, work, join_s=PATIENCE_S * 4)
    finally:
        scene.over.set()
    watch.join(PATIENCE_S)
    scene.mixed.took_s = time.monotonic() - began_s
    scene.mixed.memory_mb.append(memory_mb())
    return scene.mixed


def _watch(scene: _Scene, every_s: float) -> None:
    """Look, and change the pool under the hands of the others."""
    rng = random.Random(scene.seed)
    while not scene.over.wait(every_s):
        scene.look()
        if not scene.mixed.memory_mb and scene.done() > scene.asks / 10:
            scene.mixed.memory_mb.append(memory_mb())
        try:
            scene.mixed.changes[changed(scene.pool, rng, _SPECS, scene.strategies)] += 1
        except BalancerError:  # it is there already, or not there
            continue
        except Exception as error:
            scene.mixed.violations.append(f"a change raised {error!r}")


def changed(pool: Pool, rng: random.Random, specs: Sequence[Endpoint], strategies: Sequence[str]) -> str:
    """Change the pool in one way or another, or not at all: then return "".

    `specs` are the endpoints that come and go. One that never does is to be had always.
    """
    spec = rng.choice(specs)
    match rng.randrange(12):
        case 0:
            pool.drain(spec.name)
            return "drain"
        case 1:
            pool.remove(spec.name)
            return "remove"
        case 2 | 3 | 4:
            pool.add(replace(spec, capacity=rng.randint(1, MOST)))
            return "add"
        case 5:
            pool.update(spec.name, capacity=rng.randint(1, MOST), weight=rng.choice((0.5, 1.0, 2.0)))
            return "update"
        case 6:
            pool.pinged(spec.name, rng.random() < 0.5)
            return "pinged"
        case 7:
            pool.set_strategy(rng.choice(strategies))
            return "set_strategy"
    return ""


def _outcome(rng: random.Random) -> Outcome | None:
    return rng.choice((None, None, None, *Outcome))


Sleep = Callable[[float], Awaitable[object]]


async def _asyncio_loop(scene: _Scene, number: int, tasks: int) -> None:
    def in_time(seconds: float) -> asyncio.Timeout:
        return asyncio.timeout(seconds)

    each = partial(_caller, scene, "asyncio", scene.pool.aio, asyncio.sleep, in_time)
    await asyncio.gather(*(each(number * 100 + task) for task in range(tasks)))


class InTime:
    """`trio.fail_after`, that `async with` can enter."""

    def __init__(self, seconds: float) -> None:
        self._block = trio.fail_after(seconds)

    async def __aenter__(self) -> None:
        self._block.__enter__()

    async def __aexit__(self, *error: object) -> bool | None:
        return self._block.__exit__(*error)  # type: ignore[arg-type]


async def _trio_loop(scene: _Scene, number: int, tasks: int) -> None:
    async with trio.open_nursery() as nursery:
        for each in range(tasks):
            nursery.start_soon(_caller, scene, "trio", scene.pool.aio, trio.sleep, InTime, number * 100 + each)


# -- what a thread or a task does ------------------------------------------------------------------


async def _caller(
    scene: _Scene, caller: str, face: Any, sleep: Sleep, in_time: Callable[[float], Any] | None, number: int
) -> None:
    """Ask again and again. `in_time`: cancels what is in its block when the time is up; a thread has none."""
    rng, ends = random.Random(scene.seed * 1000 + number), Counter[str]()
    draw, odd, where = rng.random, scene.odd, ", in a task" if in_time else ""
    while scene.more():
        try:
            if draw() >= odd:
                async with face.lease() as lease:
                    scene.enter(lease)
                    scene.leave(lease)
                ends[f"plain{where}"] += 1
                if in_time and draw() < 0.02:
                    await sleep(0)  # a loop is shared
            elif in_time and draw() < 0.3:
                async with in_time(rng.choice(_HOLDS_S)):  # cancelled wherever it is then
                    await _oddly(scene, face, rng, sleep)
                ends["in time"] += 1
            elif not in_time and scene.forgets and draw() < 0.2:
                await face.forget()
                ends["forgotten"] += 1
            else:
                ends[await _oddly(scene, face, rng, sleep) + where] += 1
        except (TimeoutError, trio.TooSlowError):
            ends["cancelled"] += 1
        except AssertionError as error:
            scene.mixed.violations.append(str(error))
        except Exception as error:
            ends[type(error).__name__] += 1
    scene.add(caller, ends)


async def _oddly(scene: _Scene, face: Any, rng: random.Random, sleep: Sleep) -> str:
    async def hold(lease: Lease) -> None:
        scene.enter(lease)
        try:
            await sleep(rng.choice(_HOLDS_S))
        finally:
            scene.leave(lease)

    way = rng.choice(("block", "acquire", "call", "hedged call"))
    if way == "block":
        asked = {"priority": rng.randint(-1, 1), "slots": rng.choice((1, 1, 2))}
        async with face.lease(rng.choice(_WAITS_S), **asked) as lease:
            await hold(lease)
            lease.outcome = _outcome(rng)
    elif way == "acquire":
        lease = await face.acquire(5.0)
        try:
            await hold(lease)
        finally:
            lease.release(_outcome(rng))
    else:

        async def fn(lease: Lease) -> None:
            if way == "call":
                await hold(lease)
            else:  # a loser goes on when its lease has ended
                await sleep(rng.choice(_HOLDS_S))
            if rng.random() < 0.3:
                raise EndpointError("down")

        await face.call(fn, deadline_s=5.0, hedge_after_s=0.0005 if way == "hedged call" else None)
    return way
