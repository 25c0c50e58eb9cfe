"""Long randomised runs: 100 000 steps a strategy against the naive model, with rules and without (see
`tests.referee.referee` for what must hold), 128 threads doing anything, and ten million leases of threads and tasks.

The normal run has a short form of each; BALANCER_STRESS=1 runs them in full, with new seeds each time. A
failure names its seed.
"""

import random
import threading
import time
from collections import Counter

import pytest

from balancer import AcquireTimeout, Endpoint, NoEndpoint, Outcome, Pool
from tests.referee.draws import rules_of
from tests.referee.walk import random_walk
from tests.registered import MAKERS, NAMES, few_first
from tests.tasks.mixed import mixed, ruled_pool
from tests.threads.crew import assert_nothing_lost, crew

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1200)]

_SIZES = (1, 2, 3, 4, 5, 8)


def fresh_seed(in_full):
    return random.SystemRandom().randrange(2**32) if in_full else 1


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_a_long_walk_agrees_with_the_model(name, in_full):
    steps, seed = (100_000 if in_full else 5_000), fresh_seed(in_full)
    others = [MAKERS[other] for other in NAMES]
    walk = random_walk(MAKERS[name], steps, seed=seed, others=others, thorough_every=1 if in_full else 5)
    assert sum(walk.moves.values()) == steps
    assert walk.ends["lease"] > steps / 50


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_no_rule_is_broken_in_a_long_walk(name, in_full):
    """One walk of 100 000 steps among four endpoints; then others under other rules, and among fifty."""
    seed = fresh_seed(in_full)
    others = [MAKERS[other] for other in NAMES]

    def walk(steps, seed, endpoints):
        rules = rules_of(random.Random(seed))
        random_walk(MAKERS[name], steps, seed=seed, endpoints=endpoints, rules=rules, others=others)

    walk(100_000 if in_full else 1_000, seed, 4)
    for number in range(100 if in_full else 2):
        walk(1_000, seed + number, _SIZES[number % len(_SIZES)])
    walk(5_000 if in_full else 50, seed, 50)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_128_threads_may_do_anything(name, in_full):
    """Members come and go, labels and exclusions differ, waits end early; in the end nothing is lost."""
    run_s, seed = (15.0 if in_full else 0.8), fresh_seed(in_full)
    pool = Pool([Endpoint(f"e{n}", capacity=1 + n % 3, labels=frozenset("ab"[n % 2])) for n in range(5)], strategy=name)
    ends_s = time.monotonic() + run_s
    ends = Counter()
    lock = threading.Lock()

    def work(number):
        rng = random.Random(seed * 1000 + number)
        mine = Counter()
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


def _lease(pool, rng):
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


def _change(pool, rng):
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


def test_ten_million_leases_of_threads_and_tasks(in_full, capsys):
    """With chaos and health on. What must never be is not seen, and no memory is left behind."""
    asks, seed = (10_000_000 if in_full else 20_000), fresh_seed(in_full)
    pool, began_s = ruled_pool(seed, endpoints=16), time.process_time()
    came = mixed(pool, asks, odd=0.01, seed=seed, every_s=0.02)
    stats = pool.stats()
    with capsys.disabled():
        print(
            f"\n{asks} leases asked for, {stats.acquired} granted, {stats.ejections} ejections; {came.took_s:.0f} s, "
            f"{time.process_time() - began_s:.0f} s of CPU time; violations {len(came.violations)}, seed {seed}; "
            f"memory {' -> '.join(f'{each:.0f} MB' for each in came.memory_mb)}; {dict(came.ends)}"
        )
    assert came.violations == []
    assert came.ends.total() == asks
    assert (sum(each.in_flight for each in stats.endpoints), stats.waiting) == (0, 0)
    assert came.memory_mb[-1] - came.memory_mb[0] < 50.0
