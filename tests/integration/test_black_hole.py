"""A server that fails at once, among four: every strategy calls it seldom, and uses it again once it is well."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from balancer import Endpoint, EndpointError, Pool
from tests.registered import NAMES, few_first

_HOLE = "http://h-0/"
_CALLS = 600


class _Servers:
    """What is called: the hole fails in no time while it is down, the others answer after 5 ms."""

    def __init__(self):
        self.asked, self.down, self._turn = Counter(), True, threading.Lock()

    def __call__(self, lease):
        with self._turn:
            self.asked[lease.endpoint.name] += 1
        if self.down and lease.endpoint.name == _HOLE:
            raise EndpointError("out of order")
        time.sleep(0.005)


def _by_many(work, times):
    with ThreadPoolExecutor(8) as threads:
        return [*threads.map(lambda _: work(), range(times))]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("strategy", few_first(NAMES))
def test_a_black_hole_takes_two_percent_at_most(strategy):
    servers = _Servers()
    with Pool([Endpoint(f"http://h-{n}/", capacity=2) for n in range(4)], seed=1, strategy=strategy) as pool:
        _by_many(lambda: pool.call(servers), _CALLS)
        assert 0 < servers.asked[_HOLE] <= 0.02 * _CALLS
        assert servers.asked.total() == pool.stats().acquired
        assert not any(endpoint.in_flight for endpoint in pool.stats().endpoints)
