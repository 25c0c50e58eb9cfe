"""Leases as they are drawn."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.results.run_result import RunStage, Span
from balancer.reporting.schedule import busy_levels, lanes, window


def _span(start_s: float, length_s: float) -> Span:
    return Span("http://a/", "p", RunStage.AGREE, "s", 0, start_s, start_s + length_s, "success")


_SPANS = st.lists(st.builds(_span, st.integers(0, 50).map(float), st.integers(0, 20).map(float)), max_size=30)


@given(_SPANS)
def test_spans_in_a_lane_do_not_overlap_and_no_lane_is_wasted(spans):
    placed = lanes(spans)
    ends_s: defaultdict[int, float] = defaultdict(float)
    for lane, span in placed:
        assert span.started_s >= ends_s[lane]
        ends_s[lane] = span.ended_s
    at_once = max((sum(o.started_s <= s.started_s < o.ended_s for o in spans) for s in spans), default=0)
    lasting = [lane for lane, span in placed if span.ended_s > span.started_s]
    assert len(placed) == len(spans)
    assert len(set(lasting)) <= max(at_once, 1)


def test_a_slot_handed_on_a_moment_early_is_one_lane():
    spans = [_span(0, 1.00001), _span(1, 1)]
    assert [lane for lane, _ in lanes(spans)] == [0, 1]
    assert [lane for lane, _ in lanes(spans, tolerance_s=0.001)] == [0, 0]


@given(_SPANS, st.integers(1, 40))
def test_all_leased_time_is_in_some_bin(spans, bins):
    within = window(spans)
    capacity = max(1, len(spans))  # so that no bin is more than full
    levels = busy_levels(spans, within, bins, capacity=capacity)
    assert len(levels) == bins
    assert all(0 <= level <= 1 for level in levels)
    leased_s = sum(s.ended_s - s.started_s for s in spans)
    assert sum(levels) * within.length_s / bins * capacity == pytest.approx(leased_s)
