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

import random
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from balancer_simulator import Arrivals, EndpointModel, Policy, Scenario, simulate_once
from balancer_simulator.scenario.recorded import recorded

from tests.benchmarks.harness import options, stream

_ENDPOINTS, _KEYS, _SKEW, _MEAN_LOAD = 8, 1000, 1.15, 40
_CALLS = 40_000
_SYSTEMS, _TALKS, _TURNS_S, _CACHED = 40, 1500, 200.0, 6000
_CACHED_OF_A_TRACE = 3000  # blocks of 512 tokens
_BLOCK_S, _TOKEN_S = 0.05, 0.02  # to compute a block of a prompt, and a token of an answer
_NOTHING_S = 1e-9  # a key that is not known costs no time
_BOUNDS = (2.0, 1.5, 1.25, 1.1, 1.0)


def popular(seed: int = 1) -> Arrivals:
    """Return requests with keys, some of which are popular."""
    rng = random.Random(seed)
    weights = list(accumulate(1 / n**_SKEW for n in range(1, _KEYS + 1)))
    keys = rng.choices([f"prefix {n}" for n in range(_KEYS)], cum_weights=weights, k=_CALLS)
    gaps, works = ([rng.expovariate(rate) for _ in keys] for rate in (_MEAN_LOAD * _ENDPOINTS, 1.0))
    return Arrivals(at_s=list(accumulate(gaps)), work_s=works, prompts=keys)


def made_up(turns: int = 40_000, seed: int = 1) -> Arrivals:
    """Return the turns of made-up conversations."""
    rng = random.Random(seed)
    weights = list(accumulate(1 / n for n in range(1, _SYSTEMS + 1)))
    begun: list[list[str]] = []
    now = 0.0
    rows: list[tuple[float, str, float]] = []
    for turn in range(turns):
        now += rng.expovariate(_TURNS_S)
        if len(begun) < _TALKS or rng.random() < 1 / 6:
            system = rng.choices(range(_SYSTEMS), cum_weights=weights)[0]
            begun.append([f"s{system}.{block}" for block in range(8)])
        talk = begun[rng.randrange(len(begun))]
        talk += [f"t{turn}.{block}" for block in range(rng.randint(1, 6))]
        if len(talk) > 50 or len(begun) > _TALKS:
            begun.remove(talk)
        rows.append((now, "/".join(talk), rng.expovariate(1.0) * 0.2))
    at_s, prompts, works = (list(column) for column in zip(*rows, strict=True))
    return Arrivals.model_validate({"at_s": at_s, "prompts": prompts, "work_s": works})


def figures(arrivals: Arrivals, policies: Sequence[Policy], **values: Any) -> Iterator[tuple[str, str, str, str]]:
    """Yield, for each policy: blocks that are cached, the same with one endless cache, and the busiest by the mean."""
    block = {"prefill_s": _BLOCK_S, **{key: values.pop(key) for key in ("prefill_s", "cache_blocks") if key in values}}
    servers = EndpointModel(url="http://10.0.0.{1..8}:8000/", capacity=512, **block)
    scenario = Scenario(workload=arrivals, endpoints=[servers], horizon_s=1e6, health=None, **values)
    for policy in policies:
        found = simulate_once(scenario, policy).metrics
        yield (
            policy.label,
            *(f"{found[name]:.1%}" for name in ("cached_blocks", "cached_at_best")),
            f"{found['imbalance']:.2f}",
        )


def main() -> None:
    """Print a row for each setting."""
    asked = options(__doc__, trace=("", "a published trace in place of made-up conversations"))
    rendezvous = [Policy(strategy="rendezvous")]
    rendezvous += [Policy(strategy="rendezvous", options={"bound": bound}) for bound in _BOUNDS]
    least = Policy(strategy="least_in_flight")
    keys = popular()
    warmup_s = keys.at_s[_CALLS // 10]  # the first ones fill the memories
    heading = "policy | cached | with one endless cache | busiest / mean"
    found = figures(keys, [*rendezvous, least], prefill_s=_NOTHING_S, cache_blocks=_KEYS, warmup_s=warmup_s)
    stream(heading, found)
    sizes: tuple[int, ...]
    if asked.trace:
        path = Path(asked.trace)
        turns = recorded(Arrivals(file=path.name, token_s=_TOKEN_S), path.parent)
        cached, sizes = _CACHED_OF_A_TRACE, (1, 2, 4, 8)
    else:
        turns, cached, sizes = made_up(), _CACHED, (8, 9)
    policies = [
        *(
            Policy(strategy="rendezvous", key=size, options={"bound": bound} if bound else {})
            for size in sizes for bound in (None, 1.25)
        ),
        *(Policy(strategy="prefix", options={"bound": bound}) for bound in (1.1, 1.25, 1.5, 2.0)),
        least,
    ]  # fmt: skip
    print()
    stream(heading, figures(turns, policies, cache_blocks=cached))


if __name__ == "__main__":
    main()
