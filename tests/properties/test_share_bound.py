"""Fair shares around every strategy: the bound of start-time fair queueing, and the order that the referee checks.

`tests.referee.backlog` states the bound. The referee (`tests.referee.referee`) holds all else against the naive
model: whose turn it is, bounds of holders, and the figures of each.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.referee.backlog import check_shares
from tests.referee.draws import fair_rules_of
from tests.referee.walk import random_walk
from tests.registered import MAKERS, NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_services_of_two_holders_that_wait_differ_by_no_more_than_the_bound(name, in_full):
    @settings(max_examples=200 if in_full else 6, deadline=None, database=None)
    @given(seed=st.integers(0, 2**32))
    def check(seed: int) -> None:
        check_shares(MAKERS[name], ends=400 if in_full else 100, seed=seed)

    check()


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", NAMES)
def test_shares_and_bounds_hold_around_every_strategy(name, in_full):
    for seed in range(12 if in_full else 3):
        rules = fair_rules_of(random.Random(seed))
        random_walk(MAKERS[name], 150, seed=seed, endpoints=(1, 2, 3, 5)[seed % 4], rules=rules)
