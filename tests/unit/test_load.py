"""What servers say of their load: the forms of the header, and `told_load`, which goes by it."""

import random

import pytest

from balancer import Endpoint, Pool
from balancer.answers import Load, load_of
from balancer.errors import LeaseError
from balancer.plugins.registry import default_registry
from balancer.strategy import ANY, Node
from balancer.testing import ManualClock

_SAID = Load(application_utilization=0.5, cpu_utilization=0.25, named_metrics={"num_requests_waiting": 3.0})


@pytest.mark.parametrize(
    "headers",
    [
        {
            "endpoint-load-metrics": "TEXT application_utilization=0.5, cpu_utilization=0.25,"
            "named_metrics.num_requests_waiting=3"
        },
        {
            "endpoint-load-metrics": "application_utilization:0.5,cpu_utilization:0.25,"
            "named_metrics.num_requests_waiting:3.0"
        },
        {
            "endpoint-load-metrics": 'JSON {"application_utilization": 0.5, "cpu_utilization": 0.25, '
            '"named_metrics": {"num_requests_waiting": 3.0}}'
        },
        {
            "endpoint-load-metrics-json": '{"applicationUtilization": 0.5, "cpuUtilization": 0.25, '
            '"namedMetrics": {"num_requests_waiting": 3}}'
        },
    ],
    ids=["text", "native", "json", "json-header"],
)
def test_each_form_of_the_header_says_the_same(headers):
    found = load_of(headers)
    assert found == _SAID
    assert (found.used, found.waiting) == (0.5, 3.0)


@pytest.mark.parametrize(
    "text",
    ["", "TEXT", "TEXT x", "TEXT cpu_utilization=", "TEXT cpu_utilization=nan", "JSON {", "JSON []", "JSON 7",
     "BIN CTMzMzMzM9M/",
     'JSON {"cpu_utilization": true}', 'JSON {"cpu_utilization": null}', "TEXT cpu_utilization=1e999",
     "TEXT other=1", "x" * 20_000, "JSON " + "[" * 10_000],
)  # fmt: skip
def test_what_cannot_be_read_is_no_report(text):
    assert load_of({"endpoint-load-metrics": text}) is None


def test_a_report_reaches_the_strategy_with_its_age_and_is_ignored_when_it_is_old():
    clock = ManualClock()
    specs = [Endpoint("http://a/", capacity=9), Endpoint("http://b/", capacity=9)]
    pool = Pool(specs, strategy="told_load", options={"choices": 2, "stale_s": 5.0}, clock=clock)
    with pool.lease(exclude={"http://b/"}) as lease:
        lease.told(Load(application_utilization=0.9))
    held = [pool.acquire(timeout=0) for _ in range(4)]
    assert {each.endpoint.name for each in held} == {"http://b/"}  # 10 times its load
    clock.advance(5.1)
    assert {pool.acquire(timeout=0).endpoint.name for _ in range(3)} == {"http://a/"}


def test_a_report_is_for_a_lease_that_is_out():
    pool = Pool(["http://a/"])
    lease = pool.acquire()
    lease.release(load=Load(cpu_utilization=0.5))
    with pytest.raises(LeaseError):
        lease.told(Load(cpu_utilization=0.5))


def test_a_server_that_says_it_is_full_is_not_divided_by():
    strategy = default_registry().strategy("told_load", None, random.Random(0))
    node = Node(Endpoint("http://a/"))
    strategy.join(node, 0.0)
    vars(node).update(load=Load(application_utilization=7.0, named_metrics={"num_requests_waiting": -3.0}), load_s=0.0)
    assert strategy.pick(ANY, 0.0) is node
