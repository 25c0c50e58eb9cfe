"""Properties of the cluster protocol, whatever the network does and whoever dies: never over-issued, nothing lost.

Plans of steps are drawn by Hypothesis, so that a failure comes down to a few of them; long lives are drawn by a seed.
"""

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.endpoint import LeaseTerms, Outcome
from balancer.strategy import Request
from tests.cluster.world import World
from tests.registered import NAMES

_IN_FULL = os.environ.get("BALANCER_STRESS") == "1"

_WHICH = st.integers(0, 50)
_STEPS = st.one_of(
    st.tuples(
        st.sampled_from(["ask", "ask", "release", "release", "cancel", "amend", "deliver", "copy", "lose"]), _WHICH
    ),
    st.tuples(st.sampled_from(["deliver"]), _WHICH),
    st.tuples(st.sampled_from(["talk", "talk", "kill member", "start member"]), _WHICH),
    st.tuples(
        st.sampled_from(["restart coordinator", "coordinator forgets", "kill coordinator", "cut", "mend"]), _WHICH
    ),
    st.tuples(st.sampled_from(["add", "remove", "resize", "strategy", "disk is full", "disk has room"]), _WHICH),
    st.tuples(st.just("leap"), _WHICH),
    st.tuples(st.just("wait"), st.sampled_from([1, 5, 19, 20, 39, 41, 45])),  # quarters of a second
)

_REQUESTS = (
    Request(),
    Request(),
    Request(slots=2),
    Request(exclude=frozenset({"http://0/"})),
    Request(only="http://0/"),
    Request(terms=LeaseTerms("somebody", ttl_s=4.0)),
)


def step(world, name, which):
    """Take one step of a plan; `which` says of what, or for how long."""
    processes = list(world.processes.values())
    process = processes[which % len(processes)] if processes else None
    if name == "deliver":
        world.deliver(which)
    elif name == "copy":
        world.deliver(which, keep=True)
    elif name == "lose":
        world.lose(which)
    elif name == "talk":
        world.talk()
    elif name == "wait":
        world.pass_time(which / 4)
    elif name == "start member":
        if len(processes) < 4:
            world.start_member()
    elif name == "restart coordinator":
        world.restart_coordinator()
    elif name == "coordinator forgets":
        world.restart_coordinator(forgets=True)
    elif name == "kill coordinator":
        world.kill_coordinator()
    elif name == "add":
        world.change(f"http://{which % 3}/", 1 + which % 2)
    elif name == "remove":
        if len(world.endpoints) > 1:
            world.change(world.endpoints[which % len(world.endpoints)].name, 0, drain=which % 2 == 0)
    elif name == "resize":
        world.change(world.endpoints[which % len(world.endpoints)].name, 1 + which % 3)
    elif name == "strategy":
        world.use(NAMES[which % len(NAMES)])
    elif name in ("cut", "mend"):
        world.broken = name == "cut"
    elif name in ("disk is full", "disk has room"):
        world.full = name == "disk is full"
    elif process is None:
        return
    elif name == "ask":
        world.ask(process, (0.0, 3.0, 30.0)[which % 3], _REQUESTS[which % len(_REQUESTS)], priority=which % 2)
    elif name == "release":
        if process.leases:
            lease = process.leases[which % len(process.leases)]
            world.release(process, lease, (Outcome.SUCCESS, Outcome.FAILURE)[which % 2])
    elif name == "cancel":
        if process.waiting:
            world.cancel(process, list(process.waiting)[which % len(process.waiting)])
    elif name == "amend":
        if process.waiting:
            waiter, request = list(process.waiting)[which % len(process.waiting)], _REQUESTS[which % len(_REQUESTS)]
            world.hear(process, process.member.amend(waiter, request, process.clock.at(world.t)))
            world.flush()
    elif name == "kill member":
        world.kill_member(process)
    elif name == "leap":
        process.clock.offset_s += 3600.0 * process.clock.rate  # its clock leaps ahead, as after a suspend
    world.check()


@settings(max_examples=3000 if _IN_FULL else 25)
@given(st.integers(0, 1000), st.sampled_from([1, 3]), st.lists(_STEPS, max_size=60))
def test_never_more_out_than_slots_nothing_lost_and_every_wait_ends_once(seed, block, plan):
    world = World(random.Random(seed), block=block)
    world.start_member()
    world.start_member()
    world.talk()
    for name, which in plan:
        step(world, name, which)
    world.settle()


_WEIGHTS = {
    "ask": 20, "release": 16, "cancel": 1, "amend": 2, "deliver": 40, "copy": 3, "lose": 1, "talk": 12, "wait": 8,
    "start member": 0.5, "kill member": 0.3, "restart coordinator": 0.3, "coordinator forgets": 0.05,
    "kill coordinator": 0.1, "cut": 0.15, "mend": 0.8, "add": 0.6, "remove": 0.4, "resize": 0.5, "strategy": 0.3,
    "disk is full": 0.2, "disk has room": 1, "leap": 0.3,
}  # fmt: skip
_WAITS = [1, 1, 1, 1, 1, 1, 2, 2, 4, 8, 20, 41]  # quarters of a second; a TTL is 40
_FIRST = [0, 0, 0, 0, 0, 0, 1, 2, 3, 20]  # which frame comes next: mostly the oldest


def life(seed, steps, *, strategy="least_in_flight", block=1):
    """Let a world live for so many steps."""
    rng = random.Random(seed)
    world = World(rng, (1, 2, 3), strategy=strategy, block=block)
    for _ in range(3):
        world.start_member()
    names = list(_WEIGHTS)
    for name in rng.choices(names, list(_WEIGHTS.values()), k=steps):
        which = {"wait": _WAITS, "deliver": _FIRST, "copy": _FIRST}.get(name, range(50))
        step(world, name, rng.choice(which))
        if world.coordinator is None and rng.random() < 0.1:
            world.restart_coordinator()
    world.settle()
    return world


@pytest.mark.parametrize("block", [1, 4])
def test_so_it_stays_in_long_lives(block):
    seeds = range(400) if _IN_FULL else range(2)
    worlds = [life(seed, 400, block=block) for seed in seeds]
    assert sum(world.granted for world in worlds) > 15 * len(worlds)


@pytest.mark.parametrize("strategy", NAMES)
def test_so_it_does_around_every_strategy(strategy):
    life(7, 150, strategy=strategy, block=2)
