"""What a bound costs affinity: how often a key meets the endpoint that has seen it, and how busy the busiest one is.

    python -m tests.benchmarks.show_affinity

Keys are prefixes of prompts: 1000 of them, the n-th asked for as often as 1 / n**1.15. Eight endpoints with 512 slots
each; requests come at random, calls take 1 s at random, and on average 40 slots are in use at each endpoint, so that
none is ever full. An endpoint remembers every key that it has seen. Virtual time, so the figures are the same anywhere.
"""

import random
from heapq import heappop, heappush
from itertools import accumulate, count
from types import SimpleNamespace
from typing import Any

from balancer.core import Core
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.plugins.registry import default_registry
from balancer.strategy import Request
from tests.benchmarks.harness import stream

_ENDPOINTS, _SLOTS, _KEYS, _SKEW, _MEAN_LOAD = 8, 512, 1000, 1.15, 40
_CALLS = 40_000


def affinity(strategy: str, options: dict[str, Any], *, calls: int = _CALLS, seed: int = 1) -> tuple[float, float]:
    """Return the part of requests that met an endpoint that knew their key, and the busiest's load by the mean load."""
    rng, tickets = random.Random(seed), count()
    urls = [f"http://10.0.0.{number}:8000/" for number in range(1, _ENDPOINTS + 1)]
    chosen = default_registry().strategy(strategy, options, random.Random(seed))
    endpoints = [Endpoint(url, capacity=_SLOTS) for url in urls]
    core = Core(endpoints, chosen, lender=SimpleNamespace(), now=0.0)  # type: ignore[arg-type]  # gives nothing back
    weights = list(accumulate(1 / n**_SKEW for n in range(1, _KEYS + 1)))
    known: dict[str, set[str]] = {url: set() for url in urls}
    busy_s = dict.fromkeys(urls, 0.0)
    ends: list[tuple[float, int, Lease]] = []
    now, hits, asked = 0.0, 0, 0
    for key in rng.choices([f"prefix {n}" for n in range(_KEYS)], cum_weights=weights, k=calls):
        now += rng.expovariate(_MEAN_LOAD * _ENDPOINTS)
        while ends and ends[0][0] <= now:
            end_s, _, lease = heappop(ends)
            core.release(lease, Outcome.SUCCESS, end_s)
        granted = core.acquire(Request(key=key), now)
        if granted is None:  # no slot is free: it goes away
            continue
        memory = known[granted.endpoint.name]
        if asked >= calls // 10:  # the first ones fill the memories
            hits += key in memory
        asked += 1
        memory.add(key)
        call_s = rng.expovariate(1.0)
        busy_s[granted.endpoint.name] += call_s
        heappush(ends, (now + call_s, next(tickets), granted))
    return hits / (asked - calls // 10), max(busy_s.values()) / (sum(busy_s.values()) / len(busy_s))


def main() -> None:
    """Print a row for each setting."""
    settings: list[tuple[str, str, dict[str, Any]]] = [("`rendezvous`", "rendezvous", {})]
    for bound in (2.0, 1.5, 1.25, 1.1, 1.0):
        settings.append((f"`rendezvous`, `bound = {bound}`", "rendezvous", {"bound": bound}))
    settings.append(("`least_in_flight`", "least_in_flight", {}))
    found = ((label, *affinity(strategy, given)) for label, strategy, given in settings)
    stream(
        "strategy | prefix hits | busiest / mean",
        ((label, f"{hits:.1%}", f"{busiest:.2f}") for label, hits, busiest in found),
    )


if __name__ == "__main__":
    main()
