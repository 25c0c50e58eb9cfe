"""Long randomised runs: 100 000 steps a strategy against the naive model, and 128 threads doing anything.

The normal run has a short form of each; BALANCER_STRESS=1 runs them in full, with new seeds each time. A
failure names its seed.
"""

import random
import threading
import time
from collections import Counter

import pytest

from balancer import AcquireTimeout, Endpoint, NoEndpoint, Outcome, Pool
from balancer.testing.walk import random_walk
from tests.registered import MAKERS, NAMES
from tests.threads.crew import assert_nothing_lost, crew

pytestmark = [pytest.mark.stress, pytest.mark.timeout(600)]


def fresh_seed(in_full: bool) -> int:
    return random.SystemRandom().randrange(2**32) if in_full else 1


@pytest.mark.parametrize("name", NAMES)
def test_a_long_walk_agrees_with_the_model(name: str, in_full: bool) -> None:
    steps, seed = (100_000 if in_full else 5_000), fresh_seed(in_full)
    others = [MAKERS[other] for other in NAMES]
    walk = random_walk(MAKERS[name], steps, seed=seed, others=others, thorough_every=1 if in_full else 5)
    assert sum(walk.moves.values()) == steps
    assert walk.handed_off > steps / 50


@pytest.mark.parametrize("name", NAMES)
def test_128_threads_may_do_anything(name: str, in_full: bool) -> None:
    """Members come and go, labels and exclusions differ, waits end early; in the end nothing is lost."""
    run_s, seed = (15.0 if in_full else 0.8), fresh_seed(in_full)
    pool = Pool([Endpoint(f"e{n}", capacity=1 + n % 3, labels=frozenset("ab"[n % 2])) for n in range(5)], strategy=name)
    ends_s = time.monotonic() + run_s
    ends: Counter[str] = Counter()
    lock = threading.Lock()

    def work(number: int) -> None:
        rng = random.Random(seed * 1000 + number)
        mine: Counter[str] = Counter()
        while time.monotonic() < ends_s:
            mine[_change(pool, rng) if number == 0 else _lease(pool, rng)] += 1
        with lock:
            ends.update(mine)

    crew(128, work, join_s=run_s + 60)
    for stats in pool.stats().endpoints:
        if stats.state != "active":
            pool.remove(stats.url)
    stats_now = pool.stats()
    assert ends["leased"] == stats_now.acquired, f"seed {seed}"
    assert ends["late"] == stats_now.timed_out, f"seed {seed}"
    assert min(ends["leased"], ends["changed"]) > 0
    assert_nothing_lost(pool, sum(e.limit for e in stats_now.endpoints))


def _lease(pool: Pool, rng: random.Random) -> str:
    labels = rng.choice(((), (), (), ("a",), ("b",)))
    exclude = rng.choice(((), (), ("e0",), ("e1", "e2")))
    try:
        with pool.lease(
            rng.choice((0.0, 0.001, 0.01, 5.0)), labels=labels, exclude=exclude, priority=rng.randint(-1, 1)
        ) as lease:
            lease.outcome = rng.choice((None, *Outcome))
            time.sleep(rng.choice((0.0, 0.0005, 0.001)))
    except AcquireTimeout:
        return "late"
    except NoEndpoint:
        time.sleep(0.001)
        return "none"
    return "leased"


def _change(pool: Pool, rng: random.Random) -> str:
    url = f"e{rng.randrange(5)}"
    known = {stats.url: stats.state for stats in pool.stats().endpoints}
    if known.get(url) != "active":
        pool.add(Endpoint(url, capacity=rng.randint(1, 4), weight=rng.choice((0.5, 1.0, 2.0)), labels=frozenset("ab")))
    else:
        rng.choice(
            (
                lambda: pool.update(url, capacity=rng.randint(1, 4)),
                lambda: pool.update(url, weight=rng.choice((0.5, 1.0, 2.0)), labels=list(rng.choice(("a", "b", "ab")))),
                lambda: pool.drain(url),
                lambda: pool.remove(url),
                lambda: pool.set_strategy(rng.choice(NAMES)),
            )
        )()
    time.sleep(0.002)
    return "changed"
