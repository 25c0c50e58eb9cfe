"""Rules around every strategy, in the long run: see tests/properties/rules_judge for what must hold.

The normal run has a short form; BALANCER_STRESS=1 runs it in full, with new seeds each time. A failure names its seed.
"""

import random

import pytest

from tests.properties.rules_walk import walk_by_rules
from tests.registered import MAKERS, NAMES

pytestmark = [pytest.mark.stress, pytest.mark.timeout(1200)]

_SIZES = (1, 2, 3, 4, 5, 8)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_drifts_in_a_long_walk(name: str, in_full: bool) -> None:
    """One walk of 100 000 steps among four endpoints; then others under other rules, and among fifty."""
    seed = random.SystemRandom().randrange(2**32) if in_full else 1
    others = [MAKERS[other] for other in NAMES]
    walk_by_rules(MAKERS[name], 100_000 if in_full else 1_000, seed=seed, endpoints=4, others=others)
    for number in range(100 if in_full else 2):
        walk_by_rules(MAKERS[name], 1_000, seed=seed + number, endpoints=_SIZES[number % len(_SIZES)], others=others)
    walk_by_rules(MAKERS[name], 5_000 if in_full else 50, seed=seed, endpoints=50, others=others)
