"""Leases as they are drawn."""

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.pipeline.results.run_result import RunStage, Span
from balancer.reporting.schedule import blocks, busy_levels, lanes, window


def _span(start_s: float, length_s: float) -> Span:
    return Span("http://a/", "p", RunStage.AGREE, "s", 0, start_s, start_s + length_s, "success")


_SPANS = st.lists(st.builds(_span, st.integers(0, 50).map(float), st.integers(0, 20).map(float)), max_size=30)


@given(_SPANS)
def test_spans_in_a_lane_do_not_overlap_and_no_lane_is_wasted(spans: list[Span]) -> None:
    placed = lanes(spans)
    ends_s: defaultdict[int, float] = defaultdict(float)
    for lane, span in placed:
        assert span.started_s >= ends_s[lane]
        ends_s[lane] = span.ended_s
    at_once = max((sum(o.started_s <= s.started_s < o.ended_s for o in spans) for s in spans), default=0)
    lasting = [lane for lane, span in placed if span.ended_s > span.started_s]
    assert len(placed) == len(spans)
    assert len(set(lasting)) <= max(at_once, 1)


def test_a_slot_handed_on_a_moment_early_is_one_lane() -> None:
    spans = [_span(0, 1.00001), _span(1, 1)]
    assert [lane for lane, _ in lanes(spans)] == [0, 1]
    assert [lane for lane, _ in lanes(spans, tolerance_s=0.001)] == [0, 0]


@given(_SPANS, st.integers(1, 40))
def test_all_leased_time_is_in_some_bin(spans: list[Span], bins: int) -> None:
    within = window(spans)
    capacity = max(1, len(spans))  # so that no bin is more than full
    levels = busy_levels(spans, within, bins, capacity=capacity)
    assert len(levels) == bins
    assert all(0 <= level <= 1 for level in levels)
    leased_s = sum(s.ended_s - s.started_s for s in spans)
    assert sum(levels) * within.length_s / bins * capacity == pytest.approx(leased_s)


@given(_SPANS, st.floats(0, 30))
def test_blocks_last_as_long_as_their_spans_and_are_few(spans: list[Span], longest_s: float) -> None:
    lane = [span for number, span in lanes(spans) if number == 0]
    made = blocks(lane, kind=lambda span: "x", longest_s=longest_s)
    assert sum(block.spans for block in made) == len(lane)
    in_blocks_s = sum((block.end_s - block.start_s) * sum(block.parts.values()) for block in made)
    assert in_blocks_s == pytest.approx(sum(span.ended_s - span.started_s for span in lane))
    assert all(block.spans == 1 or block.end_s - block.start_s <= longest_s for block in made)
    if longest_s > 0:
        assert len(made) <= 2 * window(lane).length_s / longest_s + 2


def test_a_block_says_what_it_is_made_of() -> None:
    spans = [_span(0, 1), _span(1, 2), _span(3.5, 0.5), _span(5, 9)]
    short, alone = blocks(spans, kind=lambda span: "odd" if span.started_s % 2 == 1 else "even", longest_s=4)
    assert (short.start_s, short.end_s, short.spans, dict(short.parts)) == (0, 4, 3, {"even": 0.375, "odd": 0.5})
    assert (alone.start_s, alone.end_s, alone.spans) == (5, 14, 1)
