"""How much of the calls an endpoint draws that fails at once, without health.

Four endpoints with one slot each. One fails after 10 ms, the others take 1 s. Callers never pause. Virtual time.
"""

from heapq import heappop, heappush

from balancer import Endpoint, Lease, Outcome, Pool
from balancer.testing import ManualClock

_BAD = "http://bad/"
_URLS = (_BAD, "http://one/", "http://two/", "http://three/")

_PERCENT = {
    "fifo": [25, 33, 25, 97],
    "jiq": [25, 33, 25, 97],
    "round_robin": [25, 25, 25, 97],
    "weighted_round_robin": [25, 25, 25, 97],
    "random": [26, 33, 50, 97],
    "least_in_flight": [26, 33, 50, 97],
    "p2c": [24, 34, 49, 97],
    "first": [100, 99, 98, 97],
    "weighted_health": [9, 7, 6, 97],
    "peak_ewma": [2, 1, 1, 97],
    "c3": [2, 1, 1, 97],
    "prequal": [2, 1, 1, 97],
}
"""The bad endpoint's share of all calls by 1, 2, 3 and 4 callers; under `first` it is the first one."""


def _share_of_bad(strategy: str, callers: int, leases: int = 2000) -> float:
    clock = ManualClock()
    pool = Pool([Endpoint(url) for url in _URLS], strategy=strategy, health=None, seed=1, clock=clock)
    under_way: list[tuple[float, int, Lease]] = []
    for number in range(leases):
        if len(under_way) == callers:
            end_s, _, lease = heappop(under_way)
            clock.advance(max(0, end_s - clock()))
            lease.release(Outcome.FAILURE if lease.endpoint.url == _BAD else Outcome.SUCCESS)
        lease = pool.acquire(timeout=0)
        call_s = 0.01 if lease.endpoint.url == _BAD else 1.0
        heappush(under_way, (clock() + call_s, number, lease))
    return next(endpoint.share for endpoint in pool.stats().endpoints if endpoint.url == _BAD)


def test_an_endpoint_that_fails_fast_draws_this_share():
    found = {name: [round(100 * _share_of_bad(name, callers)) for callers in (1, 2, 3, 4)] for name in _PERCENT}
    assert found == _PERCENT
