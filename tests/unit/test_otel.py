"""A span for each attempt, a child of the call that made it, with the times and the end of its lease."""

import asyncio
import threading
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import ProxyTracerProvider, SpanKind, StatusCode

from balancer import AsyncPool, ConfigError, Endpoint, Outcome, Pool
from balancer.observing.otel import Spans
from balancer.strategy import ANY

TRACERS = TracerProvider()
EXPORTED = InMemorySpanExporter()
TRACERS.add_span_processor(SimpleSpanProcessor(EXPORTED))
TRACER = TRACERS.get_tracer("tests")


@pytest.fixture(autouse=True)
def _nothing_yet():
    EXPORTED.clear()


def attempts():
    return [span for span in EXPORTED.get_finished_spans() if span.name == "balancer.attempt"]


def said(span, name):
    assert span.attributes is not None
    return span.attributes.get(f"balancer.{name}")


def parent_of(span):
    return None if span.parent is None else span.parent.span_id


def test_a_span_says_what_became_of_a_lease():
    now = [50.0]
    pool = Pool([Endpoint("http://u@a/?key=secret", capacity=2)], clock=lambda: now[0], health=None)
    with Spans(pool, tracer_provider=TRACERS):
        with TRACER.start_as_current_span("call") as call:
            lease = pool.acquire(slots=2, holder="sample 7")
        now[0] += 3.0
        lease.release(Outcome.OVERLOAD)
    (span,) = attempts()
    assert parent_of(span) == call.get_span_context().span_id
    assert span.attributes == {
        "balancer.endpoint": "http://a/",
        "balancer.lease": lease.id,
        "balancer.slots": 2,
        "balancer.outcome": "overload",
        "balancer.holder": "sample 7",
        "balancer.waited_s": 0.0,
    }
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time == 3_000_000_000
    assert abs(span.end_time - time.time_ns()) < 60e9
    assert (span.kind, span.status.status_code) == (SpanKind.CLIENT, StatusCode.ERROR)


def test_who_waited_has_its_own_call_not_that_of_who_gave_the_slot_back():
    pool = Pool(["http://a/"], health=None)
    calls = {}

    def waits():
        with TRACER.start_as_current_span("waits") as span:
            calls["waits"] = span.get_span_context().span_id
            pool.acquire(holder="waits").release()

    with Spans(pool, tracer_provider=TRACERS):
        first = pool.acquire()
        thread = threading.Thread(target=waits)
        thread.start()
        while not pool.stats().waiting:
            pass
        with TRACER.start_as_current_span("gives back"):
            first.release()
        thread.join()
    mine, waited = sorted(attempts(), key=lambda span: said(span, "holder") is not None)
    assert parent_of(mine) is None
    assert parent_of(waited) == calls["waits"]
    assert said(waited, "waited_s")


def test_tasks_and_hedges_have_their_calls():
    async def main():
        async with AsyncPool(["http://a/", "http://b/"], strategy="first") as pool:
            spans = Spans(pool, tracer_provider=TRACERS)

            async def one(name):
                with TRACER.start_as_current_span(name) as span:
                    async with pool.lease(holder=name):
                        await asyncio.sleep(0)
                    return span.get_span_context().span_id

            found = await asyncio.gather(one("x"), one("y"), one("z"))

            async def slow(lease):
                await asyncio.sleep(10.0 if lease.endpoint.url == "http://a/" else 0)

            with TRACER.start_as_current_span("hedged") as hedged:
                await pool.call(slow, hedge_after_s=0.01)
            spans.close()
            return list(found), hedged.get_span_context().span_id

    calls, hedged = asyncio.run(main())
    parents = [parent_of(span) for span in attempts()]
    assert sorted(filter(None, parents)) == sorted([*calls, hedged, hedged])


def test_a_pool_marks_nothing_unless_it_is_asked_and_nothing_more_afterwards():
    pool = Pool(["http://a/"], health=None)
    assert pool.engine.usual is ANY
    spans = Spans(pool, tracer_provider=TRACERS)
    pool.acquire().release()
    spans.close()
    spans.close()
    pool.acquire().release()
    assert len(attempts()) == 1
    assert not spans._calls
    assert not spans._waits


def test_spans_that_would_go_nowhere_are_refused(monkeypatch):
    """The extra brings the API only: without the SDK every span would be dropped, and nobody told."""
    monkeypatch.setattr("balancer.observing.otel.get_tracer_provider", ProxyTracerProvider)
    with Pool(["http://a/"]) as pool:
        Spans(pool).close()  # a provider may be set later on
        monkeypatch.setattr("balancer.observing.otel._has_sdk", lambda: False)
        Spans(pool, tracer_provider=TRACERS).close()
        with pytest.raises(
            ConfigError, match=r"not installed, so .* pip install opentelemetry-sdk and set it \(docs/live"
        ):
            Spans(pool)
        monkeypatch.setattr("balancer.observing.otel.get_tracer_provider", lambda: TRACERS)
        Spans(pool).close()
