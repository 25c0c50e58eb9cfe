"""Leases as they are drawn."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.results.run_result import RunStage, Span
from balancer.reporting.schedule import busy_levels, window


def _span(start_s: float, length_s: float) -> Span:
    return Span("http://a/", "p", RunStage.AGREE, "s", 0, start_s, start_s + length_s, "success")


_SPANS = st.lists(st.builds(_span, st.integers(0, 50).map(float), st.integers(0, 20).map(float)), max_size=30)


@given(_SPANS, st.integers(1, 40))
def test_all_leased_time_is_in_some_bin(spans, bins):
    within = window(spans)
    capacity = max(1, len(spans))  # so that no bin is more than full
    levels = busy_levels(spans, within, bins, capacity=capacity)
    assert len(levels) == bins
    assert all(0 <= level <= 1 for level in levels)
    leased_s = sum(s.ended_s - s.started_s for s in spans)
    assert sum(levels) * within.length_s / bins * capacity == pytest.approx(leased_s)
