"""Requests for one endpoint by its name: they wait for it, and go nowhere else."""

from typing import Any

import pytest

from balancer import Endpoint, NoEndpoint, Pool
from balancer.cluster.protocol.messages import error_of, facts_of

_STRATEGIES = ["first", "random", "round_robin", "p2c", "rendezvous", "jiq", "least_in_flight", "prequal"]


def _pool(groups: str = "000", **pooled: Any) -> Pool:
    endpoints = [
        Endpoint(f"http://{name}/", name=name, group=int(group)) for name, group in zip("abc", groups, strict=True)
    ]
    return Pool(endpoints, **{"seed": 1} | pooled)


@pytest.mark.parametrize("strategy", _STRATEGIES)
def test_a_request_for_one_endpoint_gets_that_one_whatever_its_group(strategy):
    with _pool("012", strategy=strategy) as pool:
        for name in "cab" * 2:
            with pool.lease(timeout=0, only=name) as lease:
                assert lease.endpoint.name == name


def test_an_endpoint_that_is_not_in_service_is_told_at_once():
    with _pool() as pool:
        pool.remove("b")
        with pytest.raises(NoEndpoint, match=r"^'b', where alone the request may go, is not in service") as told:
            pool.acquire(only="b")
        assert told.value.only == "b"
        again = error_of(*facts_of(told.value))
        assert isinstance(again, NoEndpoint)
        assert (again.only, "not in service or cannot serve it" in str(again)) == ("b", True)
