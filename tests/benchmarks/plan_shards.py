"""Plans on paper for 10 000 endpoints and 100 000 callers: where one coordinator ends, and what shards cost then.

    python -m tests.benchmarks.plan_shards [--short] [--coordinator-us US] [--picture FILE]

Three tables. One coordinator: the simulator with a cluster, so the real coordinator and members in virtual time; the
cost of a message is what `bench_cluster` found of a server's CPU ("server us"), half of it, as a lease is two messages.
Hashing: how even it spreads endpoints over shards. Shards: a model of its own, for 100 000 callers are too many for
the protocol: each shard has its slots and a queue, and callers choose one. Its first line is Erlang's formula.
"""

import hashlib
import math
import time
from bisect import bisect
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush, heapreplace
from itertools import accumulate
from pathlib import Path

import numpy as np
from balancer_simulator import ClusterModel, EndpointModel, Exponential, Poisson, Policy, Scenario, simulate_once

from tests.benchmarks.harness import Row, options, show
from tests.simulation.analytic import mmc

ENDPOINTS, PROCESSES, CALL_S = 10_000, 250, 1.0
ONE_WAY_S = 0.00025
RATES = (800, 2_000, 4_000, 8_000, 10_000)  # 800 and 8000: calls of 10 s and of 1 s on 80% of the slots
SHARDS = (4, 16, 64)
LOADS = (0.8, 0.9, 0.95, 0.98)
EVENLY, BY_SLOTS, BY_KEY, TWO = "evenly", "by slots", "by key", "by slots, a second if full"
CHOICES = (EVENLY, BY_SLOTS, BY_KEY, TWO)
_KEYS = 100_000
_SKEW = 0.6  # the n-th key has n ** -0.6 of the calls of the first


# -- hashing ----------------------------------------------------------------------------------------


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


def by_rendezvous(name: str, shards: int) -> int:
    """Return the shard of `name`: the one whose hash together with it is greatest (Thaler and Ravishankar, 1998)."""
    return max(range(shards), key=lambda shard: _hash(f"{shard} {name}"))


def by_ring(names: Sequence[str], shards: int, points: int) -> list[int]:
    """Return the shard of each name on a ring where each shard has so many points (Karger et al., 1997)."""
    ring = sorted((_hash(f"{shard} {point}"), shard) for shard in range(shards) for point in range(points))
    places = [place for place, _ in ring]
    return [ring[bisect(places, _hash(name)) % len(ring)][1] for name in names]


def slots_of(places: Sequence[int], shards: int) -> list[int]:
    """Return how many slots each shard has."""
    return np.bincount(places, minlength=shards).tolist()


# -- one coordinator ---------------------------------------------------------------------------------


def one_coordinator(rate: float, coordinator_s: float, processes: int, for_s: float) -> dict[str, float]:
    """Return the figures of one coordinator of all endpoints that grants so many leases a second."""
    scenario = Scenario(
        workload=Poisson(rate_per_s=rate),
        work=Exponential(mean_s=0.5 * CALL_S),  # so that the slots are not what ends first
        endpoints=[EndpointModel(url=f"http://{{1..{ENDPOINTS}}}/")],
        cluster=ClusterModel(
            members=processes, network={"kind": "deterministic", "mean_s": ONE_WAY_S}, coordinator_s=coordinator_s
        ),
        horizon_s=for_s,
        warmup_s=0.5 * for_s,
        health=None,
    )
    return simulate_once(scenario, Policy(strategy="least_in_flight")).metrics


# -- shards -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of shards: seconds of waits, and the part of callers who waited while another shard had a free slot."""

    wait_mean_s: float
    wait_p99_s: float
    in_vain: float
    heaviest: float  # the load of the shard that has most to do for its slots, by the means


def weights_of(choice: str, slots: Sequence[int]) -> list[float]:
    """Return the part of all calls that come to each shard first."""
    shards = len(slots)
    if choice == EVENLY:
        return [1 / shards] * shards
    if choice != BY_KEY:
        return [each / sum(slots) for each in slots]
    found = [0.0] * shards
    for key in range(_KEYS):
        found[_hash(f"key {key}") % shards] += (key + 1) ** -_SKEW
    return [each / sum(found) for each in found]


def shards_run(slots: Sequence[int], load: float, choice: str, for_s: float, seed: int = 1) -> Outcome:
    """Let calls come to shards, each a queue in front of its slots, and begin with as many in use as there will be."""
    rng = np.random.default_rng(seed)
    rate = load * sum(slots) / CALL_S
    count = int(rate * for_s)
    weights = weights_of(choice, slots)
    edges = list(accumulate(weights))
    comes_s = np.cumsum(rng.exponential(1 / rate, count)).tolist()
    works_s = rng.exponential(CALL_S, count).tolist()
    firsts = np.minimum(np.searchsorted(edges, rng.random(count)), len(slots) - 1).tolist()
    seconds = np.minimum(np.searchsorted(edges, rng.random(count)), len(slots) - 1).tolist()
    free = list(slots)
    lines: list[deque[tuple[float, float]]] = [deque() for _ in slots]
    ends: list[tuple[float, int]] = [(math.inf, 0)]
    for shard, (has, weight) in enumerate(zip(slots, weights, strict=True)):
        in_use = min(has, round(load * sum(slots) * weight))
        free[shard] -= in_use
        ends += [(end_s, shard) for end_s in rng.exponential(CALL_S, in_use).tolist()]
    heapify(ends)
    all_free = sum(free)
    from_s, waits, in_vain = for_s / 4, [], 0
    for at_s, work_s, first, second in zip(comes_s, works_s, firsts, seconds, strict=True):
        while ends[0][0] <= at_s:
            end_s, shard = ends[0]
            if lines[shard]:
                came_s, next_s = lines[shard].popleft()
                heapreplace(ends, (end_s + next_s, shard))
                if came_s >= from_s:
                    waits.append(end_s - came_s)
            else:
                heappop(ends)
                free[shard] += 1
                all_free += 1
        shard = first
        if choice == TWO and not free[first]:
            fuller = len(lines[second]) / slots[second] > len(lines[first]) / slots[first]
            shard = second if free[second] or not fuller else first
        if free[shard]:
            free[shard] -= 1
            all_free -= 1
            heappush(ends, (at_s + work_s, shard))
            if at_s >= from_s:
                waits.append(0.0)
        else:
            lines[shard].append((at_s, work_s))
            in_vain += at_s >= from_s and all_free > 0
    late = [for_s - came_s for line in lines for came_s, _ in line if came_s >= from_s]
    found = np.array(waits + late)
    heaviest = max(load * sum(slots) * weight / has for weight, has in zip(weights, slots, strict=True))
    return Outcome(float(found.mean()), float(np.quantile(found, 0.99)), in_vain / len(found), heaviest)


# -- what is printed --------------------------------------------------------------------------------


def coordinators(coordinator_us: float, *, short: bool) -> dict[float, dict[str, float]]:
    """Print where one coordinator ends; return the figures by leases/s."""
    processes = 20 if short else PROCESSES
    most = 1e6 / coordinator_us
    rates = (RATES[0],) if short else sorted({*RATES, round(0.95 * most, -2)})
    found: dict[float, dict[str, float]] = {}

    def row(rate: float) -> Row:
        began_s = time.perf_counter()
        each = found[rate] = one_coordinator(rate, coordinator_us / 2e6, processes, 0.5 if short else 3.0)
        waits = ("network_wait_mean_s", "owner_wait_mean_s", "owner_wait_p99_s", "slot_wait_p99_s")
        ms = [f"{1000 * each[name]:.2f}" for name in waits]
        return f"{rate:,.0f}", f"{each['owner_busy']:.0%}", *ms, f"{time.perf_counter() - began_s:.0f} s"

    show(
        "leases/s | coordinator at work | network ms | coordinator ms, mean | p99 | slot ms, p99 | ran for",
        [row(rate) for rate in rates if rate < most],
        f"one coordinator, {ENDPOINTS:,} endpoints, {processes:,} processes, {coordinator_us:.0f} us a lease",
    )
    print(f"its end: {most:,.0f} leases/s")
    return found


def evenness() -> dict[int, list[int]]:
    """Print how evenly hashing spreads endpoints; return the slots of each shard by rendezvous, by number of shards."""
    names = [f"http://10.{i >> 16}.{i >> 8 & 255}.{i & 255}/" for i in range(ENDPOINTS)]
    rows: list[Row] = []
    found = {}
    for shards in SHARDS:
        ways = {"rendezvous": [[by_rendezvous(name, n) for name in names] for n in (shards, shards + 1)]}
        for points in (1, 100):
            ways[f"a ring, {points} a shard"] = [by_ring(names, n, points) for n in (shards, shards + 1)]
        found[shards] = slots_of(ways["rendezvous"][0], shards)
        for way, (now, more) in ways.items():
            slots = slots_of(now, shards)
            moved = sum(a != b for a, b in zip(now, more, strict=True)) / ENDPOINTS
            counts = (f"{each:,.0f}" for each in (min(slots), ENDPOINTS / shards, max(slots)))
            rows.append((way, shards, *counts, f"{moved:.1%}"))
    show("how | shards | least | mean | most | moved by one more", rows, f"{ENDPOINTS:,} endpoints, by hash")
    return found


def shards_compared(slots: dict[int, list[int]], *, short: bool) -> dict[tuple[int, str, float], Outcome]:
    """Print what shards cost; return that, by their number, the choice and the load."""
    loads = LOADS[:2] if short else LOADS
    one = [mmc(ENDPOINTS, load, CALL_S).wait_quantile_s(0.99) for load in loads]
    rows: list[Row] = [("one coordinator, by Erlang's formula", *(f"{1000 * wait_s:.0f}" for wait_s in one))]
    found = {}
    for shards in SHARDS[:1] if short else SHARDS:
        for choice in CHOICES:
            cells = []
            for load in loads:
                each = found[shards, choice, load] = shards_run(slots[shards], load, choice, 2.0 if short else 60.0)
                grows = each.heaviest >= 1 and choice != TWO
                cells.append("grows" if grows else f"{1000 * each.wait_p99_s:,.0f} ({each.in_vain:.1%})")
            rows.append((f"{shards}, {choice}", *cells))
    title = f"calls of {CALL_S:g} s on {ENDPOINTS:,} slots: p99 of waits, ms (who waited while another shard had room)"
    show(" | ".join(["shards, and how callers choose", *(f"load {load:.0%}" for load in loads)]), rows, title)
    return found


def picture(
    path: Path, one: dict[float, dict[str, float]], found: dict[tuple[int, str, float], Outcome], coordinator_us: float
) -> None:
    """Draw where one coordinator ends, and what shards cost."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import PercentFormatter, ScalarFormatter

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    rates = sorted(one)
    line = [1000 * one[rate]["owner_wait_p99_s"] for rate in rates]
    left.plot(rates, line, marker="o", label="in the coordinator's line and in its hand, p99")
    left.plot(rates, [1000 * one[rate]["network_wait_mean_s"] for rate in rates], label="network, both ways")
    left.axvline(
        1e6 / coordinator_us, color="grey", linestyle=":", label=f"the end: {1e6 / coordinator_us:,.0f} leases/s"
    )
    left.set(
        xlabel="leases a second",
        ylabel="ms of a lease's wait",
        title="One coordinator of 10 000 endpoints",
        ylim=(0, None),
    )
    for choice in CHOICES:
        stable = [load for load in LOADS if found[16, choice, load].heaviest < 1 or choice == TWO]
        waits = [1000 * found[16, choice, load].wait_p99_s for load in stable]
        beyond = "" if stable[-1] == LOADS[-1] else f", grows from {LOADS[len(stable)]:.0%} on"
        right.plot(stable, waits, marker="o", label=f"callers choose {choice}{beyond}")
    right.set(xlabel="load of all slots", ylabel="ms of wait, p99", title="10 000 slots in 16 shards, calls of 1 s")
    right.set_xticks(LOADS)
    right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    right.set_yscale("symlog", linthresh=10.0)
    right.set_ylim(-1, 1000)
    right.yaxis.set_major_formatter(ScalarFormatter())
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), frameon=False)
    figure.savefig(path, dpi=100)


def main() -> None:
    """Plan and print."""
    asked = options(
        __doc__,
        "a few seconds, to see that it works",
        coordinator_us=(80.0, "CPU of a server for a lease, from bench_cluster"),
        picture=(Path, "where to draw it"),
    )
    one = coordinators(asked.coordinator_us, short=asked.short)
    found = shards_compared(evenness(), short=asked.short)
    if asked.picture and not asked.short:
        picture(asked.picture, one, found, asked.coordinator_us)


if __name__ == "__main__":
    main()
