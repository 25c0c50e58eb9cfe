"""Servers that come and go by the hundred while calls are made: no call is lost, nobody flaps."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from balancer import Endpoint, Pool
from balancer.core.events import Added, Removed
from balancer.discovery.follower import Discovery
from balancer.discovery.reconcile import LeavingRules
from balancer.hookspecs import EndpointTemplate, Source, SourceAnswer, SourceError
from balancer.testing.clock import ManualClock
from balancer.values.options import StrategyOptions

_SERVERS = 40
_KINDS = ("replaced", "replaced", "replaced by name", "resized", "blink", "empty", "broken")


class _Nothing(Source):
    name = "churn"
    Options = StrategyOptions

    def look(self):
        raise SourceError("it is told by hand")


def _calls(pool, over, down):
    """Make calls until it is over; return how many came back. None may go to a server that has left for good."""
    calls = 0
    while not (calls and over.is_set()):
        with pool.lease() as lease:
            assert lease.endpoint.name not in down
            over.wait(0.0002)
            calls += 1
    return calls


@pytest.mark.parametrize(
    ("changes", "threads", "seed"),
    [(100, 2, 1), *(pytest.param(1000, 16, seed, marks=pytest.mark.more) for seed in range(3))],
)
def test_changes_lose_no_call_and_nobody_flaps(changes, threads, seed):
    clock, rng, over = ManualClock(), random.Random(seed), threading.Event()
    joined, left, meant, down = Counter(), Counter(), set(), set()
    names = (f"http://10.0.{n // 250}.{n % 250 + 1}" for n in range(10**6))
    listed = {name: Endpoint(name, capacity=2) for name, _ in zip(names, range(_SERVERS), strict=False)}
    with Pool(clock=clock) as pool, ThreadPoolExecutor(threads) as crew, ExitStack() as stack:
        stack.callback(over.set)  # also if something fails here
        pool.observe(lambda event: joined.update([event.endpoint]), {Added})
        pool.observe(lambda event: left.update([event.endpoint]), {Removed})
        source, rules = _Nothing(None, EndpointTemplate()), LeavingRules(2.0, 0.5)
        discovery = Discovery("churn", source, rules, pool.engine.change_endpoints, clock)
        discovery.heard(SourceAnswer(tuple(listed.values())))
        calling = [crew.submit(_calls, pool, over, down) for _ in range(threads)]
        for _ in range(changes):
            kind, name, hidden, gone = rng.choice(_KINDS), rng.choice(sorted(listed)), set(), set()
            if kind.startswith("replaced"):
                meant.add(name)
                gone = {name} if kind == "replaced by name" else set()
                new = next(names)
                del listed[name]
                listed[new] = Endpoint(new, capacity=2)
            elif kind == "resized":
                listed[name] = Endpoint(name, capacity=rng.randint(1, 4))
            elif kind == "blink":
                hidden = set(rng.sample(sorted(listed), 5))
            if kind == "broken":
                discovery.failed(SourceError("no answer"))
            else:
                there = [each for name, each in listed.items() if name not in hidden and kind != "empty"]
                discovery.heard(SourceAnswer(tuple(there), frozenset(gone)))
            discovery.look_at_the_clock()
            states = {each.name: each.state for each in pool.stats().endpoints}
            down |= left.keys() - states.keys()
            assert sum(state == "active" for state in states.values()) >= _SERVERS / 2, "at most half leave at once"
            clock.advance(0.06)
        over.set()
        assert sum(each.result() for each in calling) >= threads
        discovery.close()
    assert (left.keys() <= meant, set(left.values()), set(joined.values())) == (True, {1}, {1})
    assert len(left) > changes / 20
