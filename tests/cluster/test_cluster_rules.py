"""Rules of the shared pool that no run of a whole cluster shows: each has a mistake in tests/mutants."""

import random
from functools import partial

from balancer.cluster.protocol.granting import GrantedLeases, GrantQueue
from balancer.cluster.protocol.messages import ClaimedLease, LeasesGranted, LeaseToken, MemberId
from balancer.endpoint import Outcome
from balancer.strategy import Request
from tests.cluster.world import TTL_S, World


def _world(*capacities, block=1):
    world = World(random.Random(1), capacities, block=block)
    world.pass_time(TTL_S, quick=True)  # the grace
    return world


def _joined(world):
    process = world.start_member()
    world.talk()
    assert process.member.inside
    return process


def _granted(world):
    """Deliver all that is under way, and return how many leases each grant had."""
    found = []
    world.flush()
    while world.mail:
        words = getattr(world.mail[0][1], "words", ())
        found += [len(word.shares) for word in words if isinstance(word, LeasesGranted)]
        world.deliver(0)
    return found


def test_the_record_leaves_out_a_member_that_was_given_up():
    world = _world(1)
    process = _joined(world)
    assert len(world.disk.holders) == 1
    world.kill_member(process)
    world.pass_time(3 * TTL_S)
    assert world.disk.holders == frozenset()


def test_an_ask_that_was_withdrawn_as_its_slot_came_free_gets_no_lease():
    world = _world(1)
    process = _joined(world)
    now = partial(world.coordinator_clock.at, world.t)
    taken = world.core.acquire(Request(), now())
    world.ask(process)
    world.talk()
    world.core.release(taken, Outcome.SUCCESS, now())  # by another shell: the coordinator has not looked yet
    (waiter,) = process.waiting
    world.cancel(process, waiter)
    assert _granted(world) == []
    world.coordinator.answer_ended(now())
    assert _granted(world) == []
    assert world.core.ledger.account("http://0/").in_flight == 0


def test_a_block_has_one_lease_while_another_caller_waits():
    world = _world(4, 1, block=4)
    first, second = _joined(world), _joined(world)
    only = Request(exclude=frozenset({"http://0/"}))
    for _ in range(2):
        world.ask(first, request=only)
        world.talk()
    assert len(first.waiting) == 1
    world.ask(second)
    assert _granted(world) == [1]


def test_a_token_is_adopted_once():
    world = World(random.Random(1), (2,))
    sessions = ()
    queue = GrantQueue(world.core, 2, sessions, lambda: None)
    leases = GrantedLeases(world.core, queue, 2)
    claimed = ClaimedLease(LeaseToken(1, 1), "http://0/", 1, None, None, 0.0)
    member = MemberId("member", "1")
    assert leases.adopt(member, claimed, 0.0) is not None
    assert leases.adopt(member, claimed, 0.0) is None
