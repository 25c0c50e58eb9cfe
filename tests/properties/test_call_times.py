"""What `peak_ewma`, `c3` and `prequal` make of how calls end: who is preferred, who is tried again, and when.

What they have in common is tested here, for each of them; what sets them apart, in a file of its own.
"""

from typing import Any

import pytest

from balancer.endpoint import Endpoint, Outcome
from tests.properties.chances import assert_follows, evenly
from tests.properties.driven import Driven

_KINDS = ("peak_ewma", "c3", "prequal")
_FOUR = "abcd"

each = pytest.mark.parametrize("name", _KINDS)


def driven(name: str, urls: str = _FOUR, *, capacity: int = 8, seed: int = 1, **options: Any) -> Driven:
    return Driven(name, [Endpoint(url, capacity=capacity) for url in urls], options=options, seed=seed)


# -- speed -----------------------------------------------------------------------------------------


# -- who is not known ------------------------------------------------------------------------------


# -- failures --------------------------------------------------------------------------------------


@each
@pytest.mark.parametrize("kind", [Outcome.FAILURE, Outcome.OVERLOAD])
@pytest.mark.parametrize("callers", [1, 2, 4, 8])
def test_a_black_hole_among_four_gets_next_to_nothing(name, callers, kind):
    """It fails in 10 ms where the others take 1 s, from the first call on; each has 8 slots.

    It is tried again after 10 s x ln 100 = 46 s, by `prequal` after 10 s where another is hot, out of as many calls a
    second as there are callers.
    """
    pool = driven(name)
    urls = pool.calls(
        4000,
        callers=callers,
        took_s=lambda url: 0.01 if url == "a" else 1.0,
        outcome=lambda url: kind if url == "a" else Outcome.SUCCESS,
    )
    assert urls[:200].count("a") <= 10
    assert urls.count("a") / 4000 < (0.04 if callers < 8 else 0.02)


# -- ties, and a clock that stands still -----------------------------------------------------------


@each
@pytest.mark.parametrize("choices", [2, 100])
def test_the_first_choice_of_a_new_pool_is_unbiased(name, choices):
    firsts = [driven(name, seed=seed, choices=choices).take() for seed in range(2000)]
    assert_follows(firsts, evenly(_FOUR))


# -- the definition, the long way ------------------------------------------------------------------
