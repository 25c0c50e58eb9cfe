"""What an answer says of the tokens that were used: its forms, and how little of it is kept."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from balancer.transports.reports import UsageReader, _warn_of_counts

_EVENTS = "text/event-stream; charset=utf-8"


def _read(body: bytes, kind: str = "application/json", encoding: str = "", *, at_once: int = 7) -> int | None:
    usage = UsageReader(kind, encoding)
    for at in range(0, len(body), at_once):
        usage.feed(body[at : at + at_once])
    return usage.tokens


def _stream(*events: Any, end: str = "\n") -> bytes:
    lines = [f"data: {each if isinstance(each, str) else json.dumps(each)}{end}{end}" for each in events]
    return "".join(lines).encode()


@pytest.mark.parametrize(
    ("said", "tokens"),
    [
        ({"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}, 12),
        ({"usage": {"input_tokens": 5, "output_tokens": 7}}, 12),
        ({"usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": 13}}, 13),
        ({"usage": {"input_tokens": 5}}, None),
        ({"usage": None}, None),
        ({"usage": {"total_tokens": -1}}, None),
        ({"usage": {"total_tokens": True}}, None),
        ({"usage": {"total_tokens": 10**9}}, 10**9),
        ({"usage": {"total_tokens": 10**9 + 1}}, None),
        ({"usage": {"total_tokens": 12.5}}, None),
        ({"usage": {"input_tokens": 5, "output_tokens": 7, "total_tokens": None}}, 12),
        ({"usage": {"prompt_tokens": 100, "completion_tokens": -5, "total_tokens": 95}}, None),
        ({"usage": {"input_tokens": 10**21, "output_tokens": 7, "total_tokens": 7}}, None),
        ({"usage": {"total_tokens": "12"}}, None),
        ({"content": '{"usage": {"total_tokens": 9}}'}, None),
        ({"content": [{"input": {"usage": {"total_tokens": 9}}}], "usage": {"total_tokens": 3}}, 3),
        ([{"usage": {"total_tokens": 9}}], None),
    ],
)
def test_a_whole_answer(said, tokens):
    assert _read(json.dumps(said).encode()) == tokens


def test_counts_that_cannot_be_are_told_once_in_a_process(caplog):
    _warn_of_counts.cache_clear()
    for _ in range(2):
        assert _read(_stream({"usage": {"total_tokens": -1}}, {"usage": {"total_tokens": 3}}), _EVENTS) is None
    assert [each.getMessage()[:38] for each in caplog.records] == ["the usage of an answer has a count tha"]


def test_a_stream_of_responses_says_it_when_it_is_completed():
    event = {"type": "response.completed", "response": {"usage": {"total_tokens": 44}}}
    assert _read(b"event: response.completed\n" + _stream(event), _EVENTS) == 44


def test_a_stream_of_anthropic_says_it_in_two_parts():
    first = {"type": "message_start", "message": {"usage": {"input_tokens": 25, "output_tokens": 1}}}
    last = {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 15}}
    assert _read(_stream(first, {"type": "ping"}, last), _EVENTS) == 40


_ENCODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


@pytest.mark.parametrize("encoding", _ENCODERS)
@pytest.mark.parametrize("kind", ["application/json", _EVENTS])
def test_a_body_that_is_packed_is_read(encoding, kind):
    plain = json.dumps({"text": "x" * 300_000, "usage": {"total_tokens": 6}}).encode()
    packed = _ENCODERS[encoding](b"data: " + plain + b"\n\n" if kind == _EVENTS else plain)
    assert _read(packed, kind, encoding) == 6
    assert _read(packed[:-40], kind, encoding) is None


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_other_encodings_say_nothing(encoding):
    assert _read(b'{"usage": {"total_tokens": 6}}', encoding=encoding) is None


def test_of_a_long_answer_the_end_is_read_and_no_more_is_kept():
    usage = UsageReader("application/json")
    usage.feed(b'{"data": [')
    most = 0
    for _ in range(300):
        usage.feed(b"0.123456, " * 1000)
        most = max(most, len(usage._text))
    usage.feed(rb'"\"usage\": {}"], "usage" : {"prompt_tokens": 8, "total_tokens": 8}}')
    assert most < 2**20 + 10_000
    assert usage.tokens == 8


def test_a_few_bytes_that_stand_for_many_are_not_unpacked_at_once():
    packed = gzip.compress(b"[" * 50_000_000)
    usage = UsageReader("application/json", "gzip")
    tracemalloc.start()
    try:
        usage.feed(packed)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert usage.tokens is None


@given(
    st.binary(max_size=200),
    st.sampled_from(["", "gzip", "deflate"]),
    st.sampled_from(["", _EVENTS]),
    st.integers(1, 50),
)
def test_no_body_is_an_error(body, encoding, kind, at_once):
    found = _read(b'data: {"usage":' + body, kind, encoding, at_once=at_once)
    assert found is None or found >= 0


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=5), st.integers(1, 60))
def test_it_is_the_same_however_a_stream_is_cut(counts, at_once):
    body = _stream(*({"usage": {"total_tokens": count}} for count in counts), "[DONE]")
    assert _read(body, _EVENTS, at_once=at_once) == counts[-1]
