"""Rules around every strategy, in the long run: see `balancer.testing.referee` for what must hold.

The normal run has a short form; BALANCER_STRESS=1 runs it in full, with new seeds each time. A failure names its seed.
"""

import random

import pytest

from balancer.testing.draws import rules_of
from balancer.testing.walk import random_walk
from tests.registered import MAKERS, NAMES, few_first

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1200)]

_SIZES = (1, 2, 3, 4, 5, 8)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_nothing_drifts_in_a_long_walk(name: str, in_full: bool) -> None:
    """One walk of 100 000 steps among four endpoints; then others under other rules, and among fifty."""
    seed = random.SystemRandom().randrange(2**32) if in_full else 1
    others = [MAKERS[other] for other in NAMES]

    def walk(steps: int, seed: int, endpoints: int) -> None:
        rules = rules_of(random.Random(seed))
        random_walk(MAKERS[name], steps, seed=seed, endpoints=endpoints, rules=rules, others=others)

    walk(100_000 if in_full else 1_000, seed, 4)
    for number in range(100 if in_full else 2):
        walk(1_000, seed + number, _SIZES[number % len(_SIZES)])
    walk(5_000 if in_full else 50, seed, 50)
