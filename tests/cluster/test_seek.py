"""A server that comes back elsewhere, with another token, and one that may not speak: as Ray's actor does both."""

import threading
import time

import pytest

from balancer import AcquireTimeout, LeaseError, NotConnected
from balancer.pool.connected import ConnectedPool
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.threads.crew import until


def test_a_server_is_found_where_it_is_by_now_with_the_token_it_has_by_now() -> None:
    place = ["", ""]
    asked: list[str] = []

    def seek() -> tuple[str, str]:
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


def test_who_waits_to_be_told_where_the_server_is_stops_in_time() -> None:
    answer = threading.Event()

    def seek() -> tuple[str, str]:
        assert answer.wait(PATIENCE_S)
        raise NotConnected("the pool", "nowhere")

    with Serving("http://a/", ttl_s=0.5) as serving:
        pool = ConnectedPool(serving.url, seek=seek)
        lease = pool.acquire(PATIENCE_S)
        serving.stop()
        until(lambda: lease.ended)
        with pytest.raises(LeaseError, match="no contact with the coordinator"):
            lease.release()
        answer.set()
        pool.close()


def test_a_server_that_may_not_speak_grants_and_renews_nothing_until_it_may() -> None:
    may = threading.Event()
    may.set()
    with Serving("http://a/", "http://b/", ttl_s=0.5, may=may.is_set) as serving:
        pool = ConnectedPool(serving.url)
        lease = pool.acquire(PATIENCE_S)
        may.clear()
        time.sleep(0.05)  # what it had begun to do
        granted = serving.pool.stats().acquired
        with pytest.raises(AcquireTimeout):
            pool.acquire(0.1)
        until(lambda: lease.ended)
        assert serving.pool.stats().acquired == granted
        may.set()
        pool.acquire(PATIENCE_S).release()
        pool.close()
