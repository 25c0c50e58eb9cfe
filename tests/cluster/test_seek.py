"""A server that comes back elsewhere, with another token, and one that may not speak: as Ray's actor does both."""

import threading

import pytest

from balancer import AcquireTimeout, BalancerError, NotConnected, Pool
from balancer.opening.connected import ConnectedPool
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.threads.crew import until


def test_a_server_is_found_where_it_is_by_now_with_the_token_it_has_by_now():
    place = ["", ""]
    asked = []

    def seek():
        asked.append(threading.current_thread().name)
        if len(asked) < 3:
            raise NotConnected("the pool", "it is not up yet")
        return place[0], place[1]

    with Serving("http://a/", ttl_s=60.0, token="the first token, long") as first:
        pool = ConnectedPool(first.url, token="the first token, long", seek=seek)
        lease = pool.acquire(PATIENCE_S)
        assert asked == [], "who is connected does not ask"
        first.stop()
        with Serving("http://a/", ttl_s=60.0, last=first.records[-1], token="the second token, long") as second:
            place[:] = [second.url, "the second token, long"]
            until(lambda: len(second.pool.leases()) == 1)
            assert not lease.ended
            lease.release()
            pool.acquire(PATIENCE_S).release()
            assert set(asked) == {"balancer-seek"}, "asked by a thread of its own"
            pool.close()


def test_a_server_that_cannot_confirm_its_claim_says_why_and_not_that_capacity_is_short():
    may = threading.Event()
    may.set()
    why = "it grants nothing: Ray's control store cannot be reached: RpcError: unavailable"
    with Serving("http://a/", ttl_s=60.0, may=may.is_set, why_not=lambda: why) as serving:
        pool = Pool.connect(serving.url, within_s=PATIENCE_S)
        lease = pool.acquire(PATIENCE_S)
        may.clear()
        with pytest.raises(AcquireTimeout) as caught:
            pool.acquire(0.1)
        assert caught.value.apart
        assert caught.value.why_apart == why
        assert str(caught.value).endswith(f"there is no contact with the server of the pool: {why}")
        with pytest.raises(NotConnected, match="RpcError: unavailable"):
            Pool.connect(serving.url, within_s=PATIENCE_S)
        assert not lease.ended, "leases last as long as they would without contact"
        may.set()
        lease.release()
        pool.acquire(PATIENCE_S).release()
        pool.close()


def test_a_server_that_cannot_confirm_its_claim_changes_nothing_and_says_why():
    may = threading.Event()
    may.set()
    with Serving("http://a/", ttl_s=60.0, may=may.is_set, why_not=lambda: "the store is away") as serving:
        made = serving.changes()
        made.add("http://b/")
        may.clear()
        with pytest.raises(BalancerError, match="nothing is changed: the store is away"):
            made.add("http://c/")
        assert [each.url for each in made.endpoints()] == ["http://a/", "http://b/"]
