"""What a lease costs with 10 000 endpoints and 1000 processes: each strategy, and the coordinator of a cluster.

    python -m tests.benchmarks.plan_costs [--short] [STRATEGY ...]

No network and no other process: CPU time of the core, and of the coordinator's pure part, for a lease from its ask to
its end. Slots are in use to 80% meanwhile, and a random one of them is given back each time. What bytes and sockets
cost the coordinator besides is in `bench_cluster`.
"""

import itertools
import math
import random
import time
from collections.abc import Callable, Sequence
from statistics import median

from balancer import Endpoint, Outcome
from balancer.cluster.protocol import ClusterMember, ClusterTimes, Coordinator, CoordinatorRecord
from balancer.cluster.protocol.messages import FromMember, MemberId
from balancer.core import Core
from balancer.plugins.registry import default_registry
from balancer.strategy import Request
from tests.benchmarks.harness import options, show, timed

ENDPOINTS = (100, 1_000, 10_000)
MEMBERS = (10, 100, 1_000)
LOAD = 0.8
_MOST_S = 2.0  # for one figure
_BATCH = 50
_PLAIN = Request()


def endpoints(count: int, capacity: int = 1) -> list[Endpoint]:
    """Return so many, all alike."""
    return [Endpoint(f"http://10.{i >> 16}.{i >> 8 & 255}.{i & 255}/", capacity=capacity) for i in range(count)]


def _core(strategy: str, count: int) -> Core:
    made = default_registry().strategy(strategy, {}, random.Random(2))
    return Core(endpoints(count), made, lender=_Nobody(), now=0.0)


def _us_of_batches(leases: int, one: Callable[[], None]) -> float:
    """Return how many microseconds of CPU `one` takes, the median of batches."""
    until_s = time.process_time() + _MOST_S
    each: list[float] = []
    while len(each) < leases // _BATCH and time.process_time() < until_s:
        each.append(timed(lambda: [one() for _ in range(_BATCH)], time.process_time) / _BATCH)
    return 1e6 * median(each)


def core_us(strategy: str, count: int, leases: int) -> float:
    """Return how many microseconds of CPU an acquire and a release take."""
    rng, core, ticks = random.Random(1), _core(strategy, count), itertools.count(1)
    out = [core.acquire(_PLAIN, next(ticks) / 1000) for _ in range(math.ceil(LOAD * count))]

    def one() -> None:
        now, at = next(ticks) / 1000, rng.randrange(len(out))
        core.release(out[at], Outcome.SUCCESS, now)
        out[at] = core.acquire(_PLAIN, now)

    return _us_of_batches(leases, one)


def queue_us(strategy: str, count: int, waiting: int, leases: int) -> float:
    """Return how many microseconds of CPU an end, which serves who waits longest, and a further wait take."""
    rng, core, ticks = random.Random(1), _core(strategy, count), itertools.count(1)
    out = [core.acquire(_PLAIN, 0.0) for _ in range(count)]
    for _ in range(waiting):
        core.wait(_PLAIN, 0.0, 1e9, 0, int)

    def one() -> None:
        now, at = next(ticks) / 1000, rng.randrange(count)
        (served,) = core.release(out[at], Outcome.SUCCESS, now)
        out[at] = served.lease
        core.wait(_PLAIN, now, 1e9, 0, int)

    return _us_of_batches(leases, one)


class _Nobody:
    """Whom leases belong to that are given back through the core or a member."""

    def release(self, lease: object, outcome: Outcome) -> None:
        raise AssertionError("not this way")

    used = told = release


def coordinator_us(strategy: str, count: int, members: int, block: int, leases: int) -> tuple[float, float]:
    """Return how many microseconds of CPU a lease costs the coordinator, and how many messages it hears for it."""
    rng = random.Random(1)
    core = _core(strategy, count)
    times = ClusterTimes(1e6)  # no heartbeats: they cost by the second, not by the lease
    coordinator = Coordinator(core, epoch=2, times=times, last=CoordinatorRecord(1, 1e6, frozenset()), now=0.0)
    cluster = {}
    for number in range(members):
        who = MemberId(f"process {number}", "1")
        cluster[who] = ClusterMember(who, lender=_Nobody(), block=block, times=times, now=0.0)
    spent_s, heard, granted = 0.0, 0, 0

    def say(messages: Sequence[FromMember]) -> None:
        nonlocal spent_s, heard
        while messages:
            began_s = time.process_time()
            for message in messages:
                coordinator.receive(message, now)
            said = coordinator.take_out(now)
            spent_s += time.process_time() - began_s
            heard += len(messages)
            messages = []
            for who, answer in said:
                served = cluster[who].receive(answer, now)
                out.extend((cluster[who], waiter.lease) for waiter in served if waiter.lease)
                messages += cluster[who].take_out(now)

    now, out = 0.0, []
    for member in cluster.values():
        say(member.take_out(now))
        say(member.take_out(now))
    crew = list(cluster.values())
    pending = int(LOAD * count)
    until_s = None
    while True:
        now += 0.001
        if len(out) >= pending:
            if until_s is None:  # it is as full as it is to be: from here on it counts
                spent_s, heard, granted, until_s = 0.0, 0, 0, time.process_time() + _MOST_S
            member, lease = out.pop(rng.randrange(len(out)))
            member.release(lease, Outcome.SUCCESS, now)
            say(member.take_out(now))
        member = rng.choice(crew)
        lease = member.acquire(_PLAIN, now)
        if lease is not None:
            out.append((member, lease))
        else:
            member.wait(_PLAIN, now, now + 1e9, 0, lambda: None)
            say(member.take_out(now))
        granted += 1
        if until_s is not None and (granted >= leases or time.process_time() > until_s):
            return 1e6 * spent_s / granted, heard / granted


def main() -> None:
    """Measure and print."""
    asked = options(
        __doc__,
        "fewer leases and sizes, to see that it works",
        strategies_=([str], "default: all that are installed"),
    )
    leases = 500 if asked.short else 20_000
    sizes = ENDPOINTS[:2] if asked.short else ENDPOINTS
    names = asked.strategies or sorted(default_registry().strategies)
    show(
        " | ".join(["strategy", *(f"{count:,}" for count in sizes)]),
        [(name, *(f"{core_us(name, count, leases):.1f}" for count in sizes)) for name in names],
        "CPU of an acquire and a release in the core, us, by endpoints",
    )
    us = queue_us("least_in_flight", sizes[-1], 9 * sizes[-1], leases)
    print(f"all {sizes[-1]:,} in use and {9 * sizes[-1]:,} waiting: {us:.1f} us to end one and to wait for another")
    rows = []
    for count, members, block in itertools.product(sizes[-2:], MEMBERS[: 2 if asked.short else 3], (1, 8)):
        us, messages = coordinator_us("least_in_flight", count, members, block, leases)
        rows.append((f"{count:,}", f"{members:,}", block, f"{us:.0f}", f"{messages:.2f}"))
    title = "CPU of the coordinator's pure part for a lease, us (and messages that it hears)"
    show("endpoints | processes | block | us a lease | messages", rows, title, words=0)


if __name__ == "__main__":
    main()
