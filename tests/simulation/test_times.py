"""Times tell mean and most exactly, and quantiles to 2.2%, however many there were and however merged."""

import pickle

import numpy as np
import pytest
from balancer_simulator.run.times import Times
from hypothesis import example, given
from hypothesis import strategies as st

_WITHIN = 2 ** (1 / 32)  # one bucket


@given(st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), min_size=1), st.sampled_from((0.5, 0.9, 0.99, 1.0)))
def test_quantiles_are_within_a_bucket_and_the_rest_is_exact(values, q):
    times = Times.merged([Times(values[:3]), Times(values[3:])])
    truth = float(np.quantile(values, q, method="inverted_cdf"))
    assert (times.count, times.most) == (len(values), max(values))
    assert times.mean == pytest.approx(np.mean(values), rel=1e-9)
    assert truth / _WITHIN <= times.quantile(q) * (1 + 1e-9)
    assert times.quantile(q) <= truth * _WITHIN * (1 + 1e-9)


def test_the_tail_falls_from_all_that_are_above_0_to_none():
    values, larger = Times([0.0, 0.0, 1.0, 2.0, 4.0, 4.0, 8.0, 8.0]).tail()
    assert larger.tolist() == [6 / 8, 5 / 8, 4 / 8, 2 / 8, 0.0]
    assert values[0] == 0.0
    assert [low <= value <= low * _WITHIN for low, value in zip([1, 2, 4, 8], values[1:], strict=True)] == [True] * 4


# -- what is under way at the end counts as longer than so far: left out, it would make times look shorter -----------


def test_open_times_count_by_the_estimator_of_kaplan_and_meier():
    """Of 1, 2+, 4, 8+, 16 (+: open): 1 keeps its 1/5, 4 has 4/5 x 1/3, and 16 has the rest."""
    times = Times([1.0, 4.0, 16.0], [2.0, 8.0])
    assert times.mean == pytest.approx(1 / 5 + 4 * 4 / 15 + 16 * 8 / 15, rel=0.022)
    assert times.count == 3
    assert [times.quantile(q) for q in (0.2, 0.4, 0.9)] == pytest.approx([1.0, 4.0, 16.0], rel=0.022)
    assert times.tail()[1].tolist() == pytest.approx([1.0, 4 / 5, 8 / 15, 0.0])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20), st.lists(st.floats(0, 1e6), max_size=20))
@example(known=[1.1e-309], still=[1.1e-309])
@example(known=[5e-13], still=[1e-12])
def test_open_times_only_add_and_merged_or_pickled_is_the_same(known, still):
    times = Times(known, still)
    merged = Times.merged(pickle.loads(pickle.dumps(part)) for part in (Times(known), Times([], still)))
    assert (merged.mean, merged.most, merged.count) == (times.mean, times.most, len(known))
    assert merged.tail()[1].tolist() == times.tail()[1].tolist()
    assert times.mean >= np.mean([*known, *still]) * (1 - 0.023) - 1e-12  # the shortest that it tells apart
    assert times.quantile(0.5) <= times.quantile(0.9) <= times.most == max([*known, *still])
