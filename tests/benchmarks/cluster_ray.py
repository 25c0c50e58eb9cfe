"""What a lease costs that a pool of Ray grants, for `bench_cluster`: beside a semaphore actor that is called for each.

Each process is an actor of Ray. The semaphore actor is what people write: it counts slots, and each acquire and each
release is a call; it has no coordinator, no TTL and no strategy. `measured` has the shape of `bench_cluster.measured`.
"""

import asyncio
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Final

from balancer.settings.config import Config
from tests.benchmarks.bench_cluster import CAPACITY, CREWS, ENDPOINTS, Found, in_a_thread, in_tasks
from tests.ray.machine import cluster

__all__ = ["BLOCKS", "SEMAPHORE", "SINGLY", "available", "measured"]

SINGLY, BLOCKS, SEMAPHORE = "Ray, one by one", "Ray, in blocks", "a semaphore actor of Ray"
_BLOCK: Final = 64
_POOL: Final = "bench"


def available() -> str:
    """Return "" if Ray can be used here, else why not."""
    return "" if find_spec("ray") is not None else "Ray is not installed; make ray"


class _Semaphore:
    """Slots, counted."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(ENDPOINTS * CAPACITY)

    async def acquire(self) -> None:
        await self._free.acquire()

    async def release(self) -> None:
        self._free.release()


async def _counted_by_tasks(semaphore: Any, crew: int, for_s: float) -> list[float]:
    took: list[float] = []
    until_s = time.perf_counter() + for_s

    async def work() -> None:
        while (began_s := time.perf_counter()) < until_s:
            await semaphore.acquire.remote()
            took.append(time.perf_counter() - began_s)
            semaphore.release.remote()

    await asyncio.gather(*(work() for _ in range(crew)))
    return took


class _Client:
    """A process that leases. It has no coroutine: an actor with one has all of its methods called in an event loop."""

    def __init__(self, semaphore: Any) -> None:
        from balancer.ray import SharedPool

        self._pools = {SINGLY: SharedPool(_POOL), BLOCKS: SharedPool(_POOL, block=_BLOCK)}
        self._semaphore = semaphore

    def ready(self) -> None:
        """Answer."""

    def turn(self, name: str, crew: int, for_s: float) -> list[float]:
        """Return how long each acquire took, in seconds."""
        if name == SEMAPHORE:
            return self._counted(for_s) if crew == 1 else asyncio.run(_counted_by_tasks(self._semaphore, crew, for_s))
        pool = self._pools[name]
        return in_a_thread(pool, for_s) if crew == 1 else asyncio.run(in_tasks(pool, for_s))

    def _counted(self, for_s: float) -> list[float]:
        import ray

        took: list[float] = []
        until_s = time.perf_counter() + for_s
        while (began_s := time.perf_counter()) < until_s:
            ray.get(self._semaphore.acquire.remote())
            took.append(time.perf_counter() - began_s)
            self._semaphore.release.remote()
        return took


def measured(
    processes: int, turns: int, for_s: float, crews: Sequence[int] = CREWS
) -> dict[tuple[str, int], tuple[float, float, float]]:
    """Return leases/s of all processes, p50 and p99 of an acquire in ms, by contender and crew."""
    import ray

    from balancer.ray import SharedPool

    found: dict[tuple[str, int], Found] = {}
    with cluster(1):
        config = Config(endpoints=[{"url": f"http://10.0.0.{{1..{ENDPOINTS}}}/", "capacity": CAPACITY}])  # type: ignore[list-item]
        with SharedPool(_POOL, config=config, detached=False):
            semaphore = ray.remote(_Semaphore).options(num_cpus=0, max_concurrency=10_000).remote()
            clients = [ray.remote(_Client).options(num_cpus=0).remote(semaphore) for _ in range(processes)]
            ray.get([client.ready.remote() for client in clients])
            for _ in range(turns):
                for crew in crews:
                    for name in (SINGLY, BLOCKS, SEMAPHORE):
                        turns_of = ray.get([client.turn.remote(name, crew, for_s) for client in clients])
                        each = [took_s for turn in turns_of for took_s in turn]
                        found.setdefault((name, crew), Found()).add((1e6 * took_s for took_s in each), for_s)
    return {key: each.figures() for key, each in found.items()}
