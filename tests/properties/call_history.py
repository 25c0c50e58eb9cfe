"""What is known of call times, the long way: every call that ended is kept, and every figure worked out from all.

Used to hold the strategies that look at call times against their definitions, on walks over all that can happen.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from balancer.endpoint import Endpoint, Outcome
from balancer.strategy import Node, Request
from tests.properties.driven import Driven

__all__ = ["DECAY_S", "History", "Load", "hold_against"]

DECAY_S = 10.0
SHORTEST_S = 1e-4


@dataclass(frozen=True)
class End:
    """A call that ended."""

    now: float
    counted_s: float
    out: int  # when it ended, itself included
    informed: bool  # False for one that says nothing
    failed: bool


class History:
    """Every call that ended, by URL."""

    def __init__(self, failure_factor: float) -> None:
        self._failure_factor = failure_factor
        self.ends: dict[str, list[End]] = defaultdict(list)
        self.successes: list[float] = []

    def usual_s(self) -> float:
        if not self.successes:
            return 1.0
        mean = sum(self.successes[:64]) / len(self.successes[:64])
        for took_s in self.successes[64:]:
            mean += (took_s - mean) / 64
        return mean

    def add(self, node: Node, took_s: float, outcome: Outcome, now: float) -> None:
        took_s = max(took_s, SHORTEST_S)
        if outcome is Outcome.SUCCESS:
            self.successes.append(took_s)
            counted_s = took_s
        elif outcome is Outcome.IGNORED:
            counted_s = math.nan  # whatever is known
        else:
            counted_s = max(took_s, self._failure_factor * self.usual_s())
        informed = outcome is not Outcome.IGNORED
        if not informed and not self.ends[node.endpoint.url]:
            counted_s, informed = self.usual_s(), True
        failed = outcome in (Outcome.FAILURE, Outcome.OVERLOAD)
        self.ends[node.endpoint.url].append(End(now, counted_s, node.in_flight + 1, informed, failed))

    def mean_s(self, url: str, of: Callable[[End], float] = lambda end: end.counted_s) -> float:
        """Return the mean over all ends, each by exp(-age / decay); 0 if there is none."""
        total = weight = 0.0
        last = None
        for end in self.ends[url]:
            fade = math.exp((last.now - end.now) / DECAY_S) if last else 0.0
            value = of(end) if end.informed or not weight else total / weight
            total, weight, last = total * fade + value, weight * fade + 1.0, end
        return total / weight if weight else 0.0

    def peak_s(self, url: str) -> float:
        """Return the moving average that longer calls raise at once; 0 if nothing ended."""
        cost_s, last = 0.0, None
        for end in self.ends[url]:
            fade = math.exp((last.now - end.now) / DECAY_S) if last else 0.0
            value = end.counted_s if end.informed else cost_s
            cost_s, last = max(value, cost_s * fade + value * (1 - fade)), end
        return cost_s

    def expected_s(self, node: Node, known_s: float, now: float) -> float:
        """Return what a call takes where `known_s` is known: it fades while nothing is out."""
        if node.in_flight:
            return known_s or self.usual_s()
        ends = self.ends[node.endpoint.url]
        return max(SHORTEST_S, known_s * math.exp((ends[-1].now - now) / DECAY_S) if ends else 0.0)


Load = Callable[[Driven, History, Node], float]
_URLS = "abcdef"
_STEPS = 1500


def _specs(rng: random.Random) -> list[Endpoint]:
    return [Endpoint(url, capacity=rng.randint(1, 4), weight=rng.choice((0.5, 1.0, 2.0))) for url in _URLS]


def hold_against(
    strategy: str, load: Load, *, choices: int, seed: int, failure_factor: float = 100.0, **options: float
) -> None:
    """Assert on a random walk that as many as were drawn had no less load than the one chosen, itself included."""
    rng = random.Random(seed)
    options = {"choices": choices, "failure_factor": failure_factor, **options}
    pool, history = Driven(strategy, _specs(rng), options=options, seed=seed), History(failure_factor)
    out: list[tuple[str, int]] = []
    picks = 0
    for _ in range(_STEPS):
        move, url = rng.random(), rng.choice(_URLS)
        node = pool.nodes[url]
        if move < 0.4:
            request = Request(exclude=frozenset(rng.choice(("", "", "a", "bc"))), slots=rng.choice((1, 1, 1, 2)))
            loads = {u: load(pool, history, n) for u, n in pool.nodes.items() if request.fits(n)}
            slots = {u: request.takes(n) for u, n in pool.nodes.items()}
            chosen = pool.take(request)
            if chosen is not None:
                picks += len(loads) > 1
                out.append((chosen, slots[chosen]))
                beaten = sum(other >= loads[chosen] * (1 - 1e-9) for other in loads.values())
                assert beaten >= min(choices, len(loads)), f"{chosen} was chosen, and the loads were {loads}"
        elif move < 0.82 and out:
            url, taken = out.pop(rng.randrange(len(out)))
            took_s, outcome = rng.choice((0.0, 0.05, 0.1, 1.0, 20.0)), rng.choice((*[Outcome.SUCCESS] * 5, *Outcome))
            pool.give(url, took_s, outcome, slots=taken)
            history.add(pool.nodes[url], took_s, outcome, pool.now)
        elif move < 0.91:
            pool.now += rng.choice((0.0, 0.01, 0.5, 5.0, 60.0))
        elif move < 0.93:
            pool.change(url, limit=rng.choice((0, node.endpoint.capacity)))
        elif move < 0.95:
            pool.change(url, weight=rng.choice((0.1, 1.0, 2.0)))
        elif move < 0.97 and not node.in_flight:
            pool.leave(url)
            history.ends[url].clear()
            pool.join(Endpoint(url, capacity=rng.randint(1, 4)))
            pool.nodes = {u: pool.nodes[u] for u in _URLS}
        elif node.in_flight < node.limit:  # a slot is kept for one who waits for several; it ends like a lease
            pool.change(url, in_flight=node.in_flight + 1)
            out.append((url, 1))
    assert picks > _STEPS / 5, "there was hardly ever a choice"
