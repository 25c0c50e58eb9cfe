"""What a bound costs affinity: how often a key meets the endpoint that has seen it, and how busy the busiest one is.

    python -m tests.benchmarks.show_affinity [--trace FILE]

Keys are prefixes of prompts: 1000 of them, the n-th asked for as often as 1 / n**1.15. Eight endpoints with 512 slots
each; requests come at random, calls take 1 s at random, and on average 40 slots are in use at each endpoint, so that
none is ever full. An endpoint remembers every key that it has seen. Virtual time, so the figures are the same anywhere.

Then conversations, made up: each has one of 40 system prompts of 8 blocks, the n-th as often as 1 / n, and some ten
turns that add 1 to 6 blocks each. An endpoint's cache keeps the 6000 blocks used last. The part of the blocks that are
there is what a server need not compute. With `rendezvous` the key is the first 8 or 9 blocks, as of `prompt_key()`.
`--trace`: real ones, e.g. conversation_trace.jsonl of https://github.com/kvcache-ai/Mooncake (FAST25-release/traces).
"""

import json
import random
from collections.abc import Callable, Iterable, Iterator
from heapq import heappop, heappush
from itertools import accumulate, count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from balancer.core import Core
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.plugins.registry import default_registry
from balancer.strategy import Request
from tests.benchmarks.harness import options, stream

_ENDPOINTS, _SLOTS, _KEYS, _SKEW, _MEAN_LOAD = 8, 512, 1000, 1.15, 40
_CALLS = 40_000
_SYSTEMS, _TALKS, _TURNS_S, _CACHED = 40, 1500, 200.0, 6000
_CACHED_OF_A_TRACE = 3000  # blocks of 512 tokens
_BLOCK_S, _TOKEN_S = 0.05, 0.02  # to compute a block of a prompt, and a token of an answer


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


class Turn(NamedTuple):
    """A prompt: when it comes, its blocks, and the seconds of its answer beside those of blocks that are not cached."""

    at_s: float
    blocks: list[str]
    answer_s: float


def made_up(turns: int = 40_000, seed: int = 1) -> Iterator[Turn]:
    """Yield the turns of made-up conversations."""
    rng = random.Random(seed)
    weights = list(accumulate(1 / n for n in range(1, _SYSTEMS + 1)))
    begun: list[list[str]] = []
    now = 0.0
    for turn in range(turns):
        now += rng.expovariate(_TURNS_S)
        if len(begun) < _TALKS or rng.random() < 1 / 6:
            system = rng.choices(range(_SYSTEMS), cum_weights=weights)[0]
            begun.append([f"s{system}.{block}" for block in range(8)])
        talk = begun[rng.randrange(len(begun))]
        talk += [f"t{turn}.{block}" for block in range(rng.randint(1, 6))]
        if len(talk) > 50 or len(begun) > _TALKS:
            begun.remove(talk)
        yield Turn(now, list(talk), rng.expovariate(1.0) * 0.2)


def published(path: Path) -> Iterator[Turn]:
    """Yield the turns of a trace in the form that Mooncake's authors publish: blocks of 512 tokens by their hashes."""
    for line in path.read_text().splitlines():
        row = json.loads(line)
        yield Turn(row["timestamp"] / 1000, [str(each) for each in row["hash_ids"]], row["output_length"] * _TOKEN_S)


def conversations(
    turns: Iterable[Turn], strategy: str, options: dict[str, Any], key_of: Callable[[list[str]], str], cached: int
) -> tuple[float, float]:
    """Return the part of all blocks of prompts that were cached, and the busiest's load by the mean load."""
    tickets = count()
    urls = [f"http://10.0.0.{number}:8000/" for number in range(1, _ENDPOINTS + 1)]
    chosen = default_registry().strategy(strategy, options, random.Random(1))
    core = Core([Endpoint(url, capacity=_SLOTS) for url in urls], chosen, lender=SimpleNamespace(), now=0.0)
    caches: dict[str, dict[str, None]] = {url: {} for url in urls}
    busy_s = dict.fromkeys(urls, 0.0)
    ends: list[tuple[float, int, Lease]] = []
    met = every = 0
    for at_s, blocks, answer_s in turns:
        while ends and ends[0][0] <= at_s:
            end_s, _, lease = heappop(ends)
            core.release(lease, Outcome.SUCCESS, end_s)
        granted = core.acquire(Request(key=key_of(blocks)), at_s)
        assert granted is not None, "no endpoint is ever full"
        cache = caches[granted.endpoint.name]
        known = next((at for at, block in enumerate(blocks) if block not in cache), len(blocks))
        met, every = met + known, every + len(blocks)
        for block in reversed(blocks):
            cache.pop(block, None)
            cache[block] = None
        while len(cache) > cached:
            del cache[next(iter(cache))]
        call_s = answer_s + (len(blocks) - known) * _BLOCK_S
        busy_s[granted.endpoint.name] += call_s
        heappush(ends, (at_s + call_s, next(tickets), granted))
    return met / every, max(busy_s.values()) / (sum(busy_s.values()) / len(busy_s))


def best_of_all(turns: Iterable[Turn]) -> float:
    """Return the part of blocks that one cache for everything would have, if it never forgot."""
    seen: set[str] = set()
    met = every = 0
    for turn in turns:
        met += next((at for at, block in enumerate(turn.blocks) if block not in seen), len(turn.blocks))
        every += len(turn.blocks)
        seen.update(turn.blocks)
    return met / every


def beginning(blocks: int) -> Callable[[list[str]], str]:
    """Return the key of a prompt whose first blocks count; a block's name tells all that is before it."""
    return lambda talk: talk[min(blocks, len(talk)) - 1]


def main() -> None:
    """Print a row for each setting."""
    asked = options(__doc__, trace=("", "a published trace in place of made-up conversations"))
    settings: list[tuple[str, str, dict[str, Any]]] = [("`rendezvous`", "rendezvous", {})]
    for bound in (2.0, 1.5, 1.25, 1.1, 1.0):
        settings.append((f"`rendezvous`, `bound = {bound}`", "rendezvous", {"bound": bound}))
    settings.append(("`least_in_flight`", "least_in_flight", {}))
    found = ((label, *affinity(strategy, given)) for label, strategy, given in settings)
    stream(
        "strategy | prefix hits | busiest / mean",
        ((label, f"{hits:.1%}", f"{busiest:.2f}") for label, hits, busiest in found),
    )
    sizes: tuple[int, ...]
    if asked.trace:
        turns, cached, sizes = list(published(Path(asked.trace))), _CACHED_OF_A_TRACE, (1, 2, 4, 8)
    else:
        turns, cached, sizes = list(made_up()), _CACHED, (8, 9)
    of_blocks: list[tuple[str, str, dict[str, Any], Callable[[list[str]], str]]] = [
        *(
            (f"`rendezvous`, {size} blocks{f', `bound = {bound}`' if bound else ''}", "rendezvous",
             {"bound": bound} if bound else {}, beginning(size))
            for size in sizes for bound in (None, 1.25)
        ),
        *((f"`prefix`, `bound = {bound}`", "prefix", {"bound": bound}, "/".join) for bound in (1.1, 1.25, 1.5, 2.0)),
        ("`least_in_flight`", "least_in_flight", {}, "/".join),
    ]  # fmt: skip
    shown = (
        (label, *conversations(turns, strategy, given, key_of, cached)) for label, strategy, given, key_of in of_blocks
    )
    stream(
        f"{len(turns)} turns; one endless cache: {best_of_all(turns):.1%} | blocks that are cached | busiest / mean",
        ((label, f"{hits:.1%}", f"{busiest:.2f}") for label, hits, busiest in shown),
    )


if __name__ == "__main__":
    main()
