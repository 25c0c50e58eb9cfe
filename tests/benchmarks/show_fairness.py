"""One holder with many calls beside ten with few: their waits, first come first served and with fair shares.

    python -m tests.benchmarks.show_fairness [--short]

All calls of the many are in the queue before the few come. In a pool, each call is a thread. Over a server, each holder
is a process that names itself. Jain's index is over the slot-seconds of all holders, from when all wait until the first
of the few has all it asked for: 1 if they had the same, 0.09 if one of eleven had everything.

At last: the widest gap between the services of two holders that wait all the time, beside its bound, around every
strategy (see `balancer.testing.backlog`).
"""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean, quantiles
from typing import Any, Literal, NamedTuple

from balancer_simulator import Scenario, simulate_once
from balancer_simulator.scenario.fields import Policy

from balancer import Endpoint, Pool
from balancer.core.metrics import jain_index
from balancer.testing.backlog import check_shares
from tests.benchmarks.harness import options, show
from tests.cluster.serving import Command
from tests.registered import MAKERS, NAMES

HEAVY = "heavy"
LIGHT = [f"light {number}" for number in range(1, 11)]
NOBODY = "nobody"  # has all slots until all wait
FEW = 10
SLOTS = 32
CALL_S = 0.02
HELD_S = 1.0
Fairness = Literal["holder"] | None


class Had(NamedTuple):
    """One call: whose; when the first slot came free, and it got its lease and ended, in seconds."""

    holder: str
    begun_s: float
    granted_s: float
    ended_s: float


def in_threads(pool_of: Callable[[str], Pool], hold: Pool, many: int, *, waiting: Callable[[], int]) -> list[Had]:
    """Return the calls of a thread each. `hold` keeps all slots until all wait."""
    had: list[Had] = []
    begun: list[float] = []

    def call(pool: Pool, holder: str) -> None:
        with pool.lease(holder=holder if pool is hold else ""):
            granted_s = time.monotonic()
            time.sleep(CALL_S)
        had.append(Had(holder, begun[0], granted_s, time.monotonic()))

    before = threading.stack_size(256 * 1024)
    held = [hold.acquire(holder=NOBODY, timeout=60.0) for _ in range(SLOTS)]
    threads: list[threading.Thread] = []
    for holder, calls in ((HEAVY, many), *((name, FEW) for name in LIGHT)):
        pool = pool_of(holder)
        fresh = [threading.Thread(target=call, args=(pool, holder)) for _ in range(calls)]
        for thread in fresh:
            thread.start()
        threads += fresh
        while waiting() < len(threads):
            time.sleep(0.05)
        time.sleep(0.2 + calls / 5000)  # until a server has heard of all of them
    threading.stack_size(before)
    begun.append(time.monotonic())
    for lease in held:
        lease.release()
    for thread in threads:
        thread.join()
    return had


def in_a_pool(fairness: Fairness, many: int) -> list[Had]:
    """Return the calls of the threads of one process."""
    with Pool([Endpoint("http://a/", capacity=SLOTS)], fairness=fairness) as pool:
        return in_threads(lambda holder: pool, pool, many, waiting=lambda: pool.engine.core.waiting)


def over_serve(fairness: Fairness, many: int) -> list[Had]:
    """Return the calls of eleven members of a server; they name no holder, so each member is one."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        config = folder / "pool.toml"
        fair = f'[pool]\nfairness = "{fairness}"\n' if fairness else ""
        config.write_text(f'{fair}[[endpoints]]\nurl = "http://a/"\ncapacity = {SLOTS}\n', encoding="utf-8")
        server = Command(config, ttl_s=60.0)
        stack.callback(server.kill)
        pools = {name: stack.enter_context(Pool.connect(server.url, name=name)) for name in (HEAVY, *LIGHT)}
        hold = stack.enter_context(Pool.connect(server.url, name=NOBODY))
        return in_threads(
            pools.__getitem__, hold, many, waiting=lambda: sum(pool.engine.core.waiting for pool in pools.values())
        )


def simulated(fairness: Fairness, many: int) -> list[Had]:
    """Return the calls of a simulation; their times are exponential."""
    names = [NOBODY, HEAVY, *LIGHT]
    calls: list[int] = [0] * SLOTS + [1] * many + [number for number in range(2, len(names)) for _ in range(FEW)]
    kinds: list[dict[str, Any]] = [{"name": name, "holder": name} for name in names]
    kinds[0] |= {"work": {"kind": "deterministic", "mean_s": HELD_S}}
    scenario = Scenario.model_validate(
        {
            "workload": {"kind": "arrivals", "at_s": [0.0] * len(calls), "kinds": calls},
            "work": {"kind": "exponential", "mean_s": CALL_S},
            "endpoints": [{"url": "http://a/", "capacity": SLOTS}],
            "requests": {"kinds": kinds},
            "horizon_s": 1000.0 * CALL_S * len(calls) / SLOTS,
        }
    )
    record = simulate_once(scenario, Policy(strategy="fifo", fairness=fairness), spans=len(calls))
    return [Had(each.kind, HELD_S, each.started_s, each.ended_s) for each in record.spans if each.kind != NOBODY]


def jain_of(had: Sequence[Had]) -> float:
    """Return Jain's index of the slot-seconds until the first of the few has all it asked for."""
    from_s = max(call.begun_s for call in had)
    until_s = min(max(call.ended_s for call in had if call.holder == name) for name in LIGHT)
    seconds = dict.fromkeys((HEAVY, *LIGHT), 0.0)
    for call in had:
        seconds[call.holder] += max(0.0, min(call.ended_s, until_s) - max(call.granted_s, from_s))
    return jain_index(seconds.values())


def rows(places: Mapping[str, Callable[[Fairness, int], list[Had]]], many: int) -> Iterator[list[object]]:
    """Yield a row for each place and order."""
    for place, run in places.items():
        for order, fairness in (("first come", None), ("fair", "holder")):
            had = run(fairness, many)
            waits = [
                [call.granted_s - call.begun_s for call in had if (call.holder == HEAVY) is heavy]
                for heavy in (False, True)
            ]
            cells = [f"{number:.3g}" for each in waits for number in (mean(each), quantiles(each, n=100)[98])]
            yield [place, order, *cells, f"{jain_of(had):.2f}"]


def main() -> None:
    """Print both tables."""
    short = options(__doc__, "1000 calls instead of 10 000").short
    many = 1_000 if short else 10_000
    places = {"pool, threads": in_a_pool, "balancer serve": over_serve, "simulator": simulated}
    head = "where | order | few: mean wait, s | p99 | many: mean wait, s | p99 | Jain"
    show(head, rows(places, many), f"one holder with {many} calls, ten with {FEW}; {SLOTS} slots")
    worst = max(check_shares(MAKERS[name], seed=seed).part for name in NAMES for seed in range(50))
    print(f"the widest gap seen is {worst:.0%} of its bound, in 50 runs around each of {len(NAMES)} strategies")


if __name__ == "__main__":
    main()
