"""A tally tells mean and most exactly, and quantiles to 2.2%, however many values there were and however merged."""

import numpy as np
import pytest
from balancer_simulator.run.histogram import CensoredHistogram
from hypothesis import given
from hypothesis import strategies as st

from balancer.core.metrics import WaitHistogram

_WITHIN = 2 ** (1 / 32)  # one bucket


def tally_of(values: list[float]) -> CensoredHistogram:
    tally = CensoredHistogram()
    for number, value in enumerate(values):
        tally.add(value)
        if number % 7 == 0:
            tally.settle()
    return tally


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), min_size=1), st.sampled_from((0.5, 0.9, 0.99, 1.0)))
def test_quantiles_are_within_a_bucket_and_the_rest_is_exact(values, q):
    tally = tally_of(values)
    truth = float(np.quantile(values, q, method="inverted_cdf"))
    assert tally.count == len(values)
    assert tally.most == max(values)
    assert tally.mean == pytest.approx(np.mean(values), rel=1e-9)
    assert truth / _WITHIN <= tally.quantile(q) * (1 + 1e-9)
    assert tally.quantile(q) <= truth * _WITHIN * (1 + 1e-9)


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), min_size=1))
def test_a_pool_and_a_simulation_say_the_same_of_the_same_waits(values):
    waits, tally = WaitHistogram(), tally_of(values)
    for value in values:
        waits.add(value)
    told = waits.summary(len(values))
    assert (told.max, told.mean) == (tally.most, pytest.approx(tally.mean))
    for q, quantile in ((0.5, told.p50), (0.9, told.p90), (0.99, told.p99)):
        assert quantile == pytest.approx(tally.quantile(q), rel=_WITHIN - 1)


def test_the_tail_falls_from_all_that_are_above_0_to_none():
    values, larger = tally_of([0.0, 0.0, 1.0, 2.0, 4.0, 4.0, 8.0, 8.0]).tail()
    assert larger.tolist() == [6 / 8, 5 / 8, 4 / 8, 2 / 8, 0.0]
    assert values[0] == 0.0
    assert [low <= value <= low * _WITHIN for low, value in zip([1, 2, 4, 8], values[1:], strict=True)] == [True] * 4
