"""A secret in the name of a holder is shown nowhere: not on the page, in the log, in a trace, in a span."""

import json
import logging
import re
import urllib.request
from functools import partial

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from balancer import Pool
from balancer.observing.otel import Spans
from balancer.observing.page.pool_tables import MemberLeases, member_rows
from balancer.values.redaction import ShownNames
from tests.patience import PATIENCE_S
from tests.threads.crew import until

KEY = "c4n4ry-of-the-holder"
HOLDERS = [f"node {KEY}", f"http://user:{KEY}@node/", f"http://node/?key={KEY}", KEY.upper()]


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.setenv("HOLDER_KEY", KEY)
    config = tmp_path / "pool.toml"
    config.write_text('[[endpoints]]\nurl = "http://a/?key=${HOLDER_KEY}"\ncapacity = 9\n', encoding="utf-8")
    with Pool.from_config(config) as made:
        yield made


asked = partial(urllib.request.urlopen, timeout=PATIENCE_S)


def without_key(text):
    return re.sub(KEY, "***", text, flags=re.IGNORECASE)


def hides(text):
    return KEY.lower() not in text.lower()


@pytest.mark.parametrize("holder", HOLDERS)
def test_on_the_page(pool, holder):
    with pool.serve_page() as page, pool.lease(holder=holder), asked(page.url + "state") as answer:
        text = answer.read().decode()
    assert hides(text)
    assert json.loads(text)["holders"][0]["leases"] == 1


def test_of_a_member():
    shown = ShownNames(without_key).plain
    rows = member_rows([MemberLeases(f"node {KEY}", [], [3.0]), MemberLeases("node ***", [], [2.0, 1.0])], shown)
    assert {row["id"]: row["waiting"] for row in rows} == {"node ***": 1, "node *** (2)": 2}


@pytest.mark.parametrize("holder", HOLDERS)
def test_in_the_log(pool, holder, caplog):
    caplog.set_level(logging.INFO, "balancer")
    lease = pool.acquire(holder=holder, ttl_s=0.01)
    until(lambda: "expired" in caplog.text)
    assert "held by" in caplog.text
    assert hides(caplog.text)
    assert lease.ended


@pytest.mark.parametrize("holder", HOLDERS)
def test_in_a_trace(pool, holder, tmp_path):
    file = tmp_path / "trace.jsonl"
    with pool.trace(file), pool.lease(holder=holder):
        pass
    text = file.read_text(encoding="utf-8")
    assert '"task":' in text
    assert hides(text)


@pytest.mark.parametrize("holder", HOLDERS)
def test_in_a_span(pool, holder):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with Spans(pool, tracer_provider=provider, redact=without_key), pool.lease(holder=holder):
        pass
    (span,) = exporter.get_finished_spans()
    assert hides(str(span.attributes))
