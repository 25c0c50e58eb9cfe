"""The cluster protocol, case by case: each test is red when its rule is left out."""

import random

import pytest

from balancer.answers import Load
from balancer.cluster.protocol import ClusterTimes, CoordinatorRecord
from balancer.cluster.protocol.messages import (
    MemberFrame,
    SessionStart,
)
from balancer.endpoint import LeaseTerms, Outcome
from balancer.errors import LeaseError
from balancer.strategy import Request
from tests.cluster.world import TTL_S, World


def _world(*capacities, block=1):
    """Return a world whose clocks all run alike."""
    world = World(random.Random(1), capacities or (1,), block=block, observed=True)
    world.coordinator_clock.rate = 1.0
    world.restart_coordinator()
    world.coordinator_clock.rate = 1.0
    world.coordinator.tick(world.coordinator_clock.at(0.0))
    return world


def _process(world):
    process = world.start_member()
    process.clock.rate = 1.0
    world.talk()
    assert process.member.inside
    return process


def _begun(members, *capacities, block=1):
    """Return a world and so many members, which are inside."""
    world = _world(*capacities, block=block)
    return world, *(_process(world) for _ in range(members))


def _ask(world, *asked, **rest):
    world.ask(*asked, **rest)
    world.talk()


def _give_back(world, process, lease, outcome=Outcome.SUCCESS):
    world.release(process, lease, outcome)
    world.talk()


def _leased(world, process, request=None):
    before = len(process.leases)
    _ask(world, process, request=request)
    assert len(process.leases) == before + 1
    return process.leases[-1]


def _in_flight(world):
    return sum(account.in_flight for account in world.core.ledger.accounts())


def _alone(world, process, for_s):
    """Let time pass while nothing gets through, neither to `process` nor from it."""
    world.broken = True
    world.mail.clear()
    world.pass_time(for_s)
    world.broken = False


# -- leases -------------------------------------------------------------------------------------------


def test_a_lease_goes_to_another_process_and_comes_back():
    world, process = _begun(1)
    lease = _leased(world, process)
    assert lease.endpoint.url == "http://0/"
    assert _in_flight(world) == 1
    world.pass_time(3.0, quick=True)
    (owned,) = world.core.ledger.out.values()
    lease.raised = "ConnectError"
    _give_back(world, process, lease, Outcome.FAILURE)
    assert _in_flight(world) == 0
    assert owned.raised == "ConnectError"
    (row,), totals, _ = world.core.counters(world.coordinator_clock.at(world.t))
    assert (row.failures, totals["acquired"]) == (1, 1)
    assert row.busy_s == pytest.approx(3.0)


def test_all_that_a_request_has_reaches_the_coordinator():
    world, process = _begun(1, 1, 4)
    terms = LeaseTerms("sample 7", ttl_s=5.0)
    request = Request(frozenset(), frozenset({"http://0/"}), 3, "a key", terms, 70)
    lease = _leased(world, process, request)
    assert (lease.endpoint.url, lease.slots, lease.holder) == ("http://1/", 3, "sample 7")
    (owned,) = world.core.ledger.out.values()
    assert (owned.slots, owned.terms) == (3, LeaseTerms("sample 7")), "its ttl_s is kept where it is used"
    process.member.told(lease, Load(cpu_utilization=0.5), process.clock.at(world.t))
    process.member.used(lease, 9, process.clock.at(world.t))
    world.flush()
    world.talk()
    assert world.core.ledger.account("http://1/").node.load == Load(cpu_utilization=0.5)


def test_who_gives_up_and_who_waits_for_too_long_by_the_clock_of_the_process_are_counted_apart_on_both_sides():
    world, process, other = _begun(2, 1)
    _leased(world, other)
    for timed_out in (True, False, False):
        _ask(world, process)
        world.cancel(process, *process.waiting, timed_out=timed_out)
        world.talk()
    at_server = world.core.counters(world.coordinator_clock.at(world.t))[1]
    for counts in (process.member.tally.counts, at_server):
        assert (counts["timed_out"], counts["cancelled"]) == (1, 2)


def test_a_request_that_is_amended_is_served_by_what_it_asks_for_now():
    world, process, other = _begun(2, 1, 1)
    first, second = _leased(world, other), _leased(world, other)
    world.ask(process, request=Request(exclude=frozenset({first.endpoint.name})))
    world.pass_time(1.0, quick=True)
    (waiter,) = process.waiting
    amended = Request(exclude=frozenset({second.endpoint.name}))
    world.hear(process, process.member.amend(waiter, amended, process.clock.at(world.t)))
    world.flush()
    world.talk()
    _give_back(world, other, first)
    assert [lease.endpoint for lease in process.leases] == [first.endpoint]


def test_who_comes_later_learns_who_is_out_of_service():
    world = _world()
    world.core.out_of_service = lambda: frozenset({"http://0/"})
    world.coordinator.tick(world.coordinator_clock.at(world.t))
    assert _process(world).member.out_of_service() == {"http://0/"}


def test_what_a_member_learns_of_endpoints_reaches_the_core(monkeypatch):
    world, process = _begun(1, 1)
    heard = []

    def pinged(name, ok, now, *, conclusive=False):
        heard.append((name, ok, now, conclusive))
        return ()

    monkeypatch.setattr(world.core, "pinged", pinged)
    monkeypatch.setattr(world.core, "hedged", lambda name, now: heard.append((name, now)))
    monkeypatch.setattr(world.core, "used", lambda lease, *facts: heard.append((lease.id, *facts)) or ())
    lease = _leased(world, process)
    now = process.clock.at(world.t)
    assert process.member.used(lease, 7, now) == ()
    assert process.member.pinged("http://0/", False, now, conclusive=True) == ()
    assert process.member.hedged("http://0/", now) == ()
    world.flush()
    world.talk()
    then = world.coordinator_clock.at(world.t)
    world.coordinator.pinged("http://0/", True, then)
    world.coordinator.pinged("http://0/", True, then, conclusive=True)
    told = (lease.id, 7, then), ("http://0/", False, then, True), ("http://0/", then)
    assert heard == [*told, ("http://0/", True, then, False), ("http://0/", True, then, True)]
    assert process.member.tally.counts["hedges"] == 1


# -- the network --------------------------------------------------------------------------------------


def test_an_old_word_changes_nothing_in_a_later_visit():
    world, process = _begun(1, 1)
    lease = _leased(world, process)
    world.release(process, lease)
    end = next(entry for entry in world.mail if entry[2])
    world.talk()
    _alone(world, process, 0.9 * TTL_S)
    world.pass_time(1.0, quick=True)
    again = _leased(world, process)
    world.mail.append(end)
    world.talk()
    assert _in_flight(world) == 1
    assert not again.ended
    _give_back(world, process, again)
    assert _in_flight(world) == 0, "nor does it take the place of a frame of this session"


def test_an_end_of_an_epoch_before_ends_nothing():
    """Two leases that are each the first of their epoch are two."""
    world, process, other = _begun(2, 1)
    lease = _leased(world, process)
    world.release(process, lease)
    end = next(message for _, message, to_coordinator in world.mail if to_coordinator)
    assert isinstance(end, MemberFrame)
    world.talk()
    world.kill_member(process)
    world.restart_coordinator(forgets=True)
    world.pass_time(TTL_S * 1.3, quick=True)
    _leased(world, other)
    now = world.coordinator_clock.at(world.t)
    session = world.coordinator._sessions[next(iter(world.processes))]
    frame = MemberFrame(
        session.member, session.epoch, session.number, session.heard_s + 1e-3, session._channel.got + 1, 0, end.words
    )
    world.coordinator.receive(frame, now)  # even if it came in the session of today
    assert _in_flight(world) == 1


# -- members that die, or are cut off ------------------------------------------------------------------


def test_what_a_dead_member_had_is_free_after_a_ttl_and_not_before():
    world, process, other = _begun(2, 1)
    world.pass_time(TTL_S / 5, quick=True)
    _leased(world, process)
    world.kill_member(process)
    _ask(world, other, 60.0)
    world.pass_time(TTL_S - 0.01, quick=True)
    assert not other.leases
    world.pass_time(0.02, quick=True)
    assert len(other.leases) == 1


def test_a_member_that_is_cut_off_stops_before_its_coordinator_gives_it_up():
    world, process, other = _begun(2, 1)
    lease = _leased(world, process)
    said = world.t
    _alone(world, process, 0.8 * TTL_S - 0.1)
    assert not lease.ended
    _alone(world, process, 0.2)
    assert lease.ended
    assert _in_flight(world) == 1, "the coordinator cannot know"
    with pytest.raises(LeaseError, match="no contact with the coordinator"):
        process.member.release(lease, Outcome.SUCCESS, process.clock.at(world.t))
    world.ask(other, 60.0)
    world.pass_time(1.0, quick=True)
    assert len(other.leases) == 1, "it says by itself that it has nothing any more"
    assert world.t < said + TTL_S
    (row,) = process.member.tally.rows(process.member.endpoints, (), frozenset(), 0.0)
    assert (row.leases, row.ignored, row.successes) == (1, 1, 0)  # nobody knows what came of it
    assert process.member.tally.totals(out=0, waiting=0)["calls"] == 0


def test_contact_counts_from_when_something_was_said_that_was_heard_and_not_from_when_the_answer_came():
    world, process = _begun(1, 1)
    lease = _leased(world, process)
    world.pass_time(TTL_S / 5 + 0.01)  # a heartbeat is under way
    said = world.t
    while any(to_coordinator for _, _, to_coordinator in world.mail):
        world.deliver(next(i for i, entry in enumerate(world.mail) if entry[2]))
    answers = [entry for entry in world.mail if not entry[2]]
    world.mail.clear()
    world.broken = True
    world.pass_time(0.5 * TTL_S)
    world.mail = answers
    world.talk()
    world.mail.clear()
    world.pass_time(said + 0.8 * TTL_S - 0.2 - world.t)
    assert not lease.ended
    world.pass_time(0.4)
    assert lease.ended


def test_a_grant_that_comes_after_the_fence_is_not_used():
    world, process = _begun(1, 1)
    world.ask(process, 60.0)
    world.deliver(0)
    (answer,) = [message for _, message, to_coordinator in world.mail if not to_coordinator]
    now = process.clock.at(world.t) + 0.81 * TTL_S  # before anybody has called tick
    assert not process.member.receive(answer, now)
    assert not process.member.out


def test_a_heartbeat_that_comes_twice_keeps_nothing_alive():
    world, process = _begun(1, 1)
    _leased(world, process)
    world.pass_time(TTL_S / 5 + 0.01)
    (beat,) = [entry for entry in world.mail if entry[2]]
    world.talk()
    world.kill_member(process)
    world.pass_time(0.9 * TTL_S)
    world.mail.append(beat)
    world.talk()
    world.pass_time(0.11 * TTL_S)
    assert _in_flight(world) == 0


def test_what_a_member_does_not_claim_at_hello_is_free():
    """A grant that was lost with its session is nobody's."""
    world, process = _begun(1, 1)
    world.ask(process)
    world.deliver(0)
    (waiter,) = process.waiting
    world.cancel(process, waiter)
    world.mail.clear()
    world.coordinator._to_offer[next(iter(world.processes))] = None  # asked late
    world.flush()
    assert _in_flight(world) == 1
    world.talk()
    assert _in_flight(world) == 0
    assert process.member.inside


def test_a_hello_of_a_visit_that_is_over_does_not_begin_it_again():
    world = _world(1)
    process = world.start_member()
    world.deliver(0)
    world.deliver(0)
    (hello,) = [entry for entry in world.mail if isinstance(entry[1], SessionStart)]
    world.talk()
    lease = _leased(world, process)
    who = next(iter(world.processes))
    world.coordinator.vanished(who, world.coordinator_clock.at(world.t))  # by mistake
    world.mail.append(hello)
    world.talk()
    world.pass_time(TTL_S / 4, quick=True)
    assert lease.ended, "the coordinator has it no more, so its member must not think so"


# -- coordinators that die ----------------------------------------------------------------------------------


def _states(world):
    return {each.endpoint.name: each.state.value for each in world.core.ledger.accounts()}


def test_what_was_drained_stays_drained_after_a_restart_until_it_is_added_back():
    world, process = _begun(1, 1, 1)
    drained = world.endpoints[0]

    def change(act, *given):
        now = world.coordinator_clock.at(world.t)
        world.coordinator.change([lambda: getattr(world.core, act)(*given, now)], now)
        world.flush()
        world.talk()

    change("drain", "http://0/")
    for _ in range(2):
        world.restart_coordinator()
        assert _states(world) == {"http://0/": "draining", "http://1/": "active"}
        world.pass_time(TTL_S / 4, quick=True)
    assert _leased(world, process).endpoint.name == "http://1/"
    world.endpoints.remove(drained)
    for _ in range(2):  # of a source that does not list it yet
        world.restart_coordinator()
        assert world.disk.drained == {"http://0/"}
    change("add", drained)
    assert _states(world)["http://0/"] == "draining"
    change("add", drained)  # somebody restores it
    assert world.disk.drained == frozenset()
    world.endpoints.append(drained)
    world.restart_coordinator()
    assert set(_states(world).values()) == {"active"}


def test_the_grace_ends_late_if_one_is_dead_or_if_it_is_not_known_who_there_was():
    for forgets in (False, True):
        world = _world(1)
        process, dead = _process(world), _process(world)
        world.kill_member(dead)
        world.restart_coordinator(forgets=forgets)
        world.coordinator_clock.rate = 1.0
        world.ask(process, 60.0)
        world.pass_time(TTL_S - 0.1, quick=True)
        assert not process.leases
        world.pass_time(0.2, quick=True)
        assert len(process.leases) == 1


def test_the_grace_ends_when_the_last_who_has_not_told_is_known_to_be_dead():
    world, process, dead = _begun(2, 1)
    world.kill_member(dead)
    world.restart_coordinator()
    _ask(world, process)
    assert world.coordinator.grace
    (who,) = world.dead
    world.coordinator.vanished(who, world.coordinator_clock.at(world.t))
    assert not world.coordinator.grace
    world.flush()
    world.talk()
    assert len(process.leases) == 1


def test_a_coordinator_that_dies_in_its_grace_says_that_it_does_not_know_all():
    world, process, other = _begun(2, 1)
    _leased(world, process)
    world.restart_coordinator(forgets=True)
    world.mail.clear()
    assert world.disk == CoordinatorRecord(world.epoch, TTL_S, None)
    world.restart_coordinator()
    assert world.coordinator.grace
    assert world.disk is not None
    assert world.disk.holders is None
    assert other.member


def test_a_coordinator_that_dies_in_its_grace_still_knows_who_has_not_told():
    world, process = _begun(1, 1)
    _leased(world, process)
    world.restart_coordinator()
    world.mail.clear()
    world.restart_coordinator()
    assert world.coordinator.grace
    world.pass_time(TTL_S / 4, quick=True)
    assert _in_flight(world) == 1


def test_a_claim_that_comes_after_the_grace_is_refused():
    world, process = _begun(1, 1)
    lease = _leased(world, process)
    world.broken = True
    world.restart_coordinator(forgets=True)
    world.coordinator._end_grace(world.coordinator_clock.at(world.t))
    world.broken = False
    world.pass_time(TTL_S / 4, quick=True)
    assert lease.ended
    assert _in_flight(world) == 0


def test_the_grace_is_as_long_as_the_ttl_that_the_coordinator_before_promised():
    world, process, dead = _begun(2, 1)
    world.kill_member(dead)
    world.times = ClusterTimes(1.0)
    world.restart_coordinator()
    world.coordinator_clock.rate = 1.0
    world.ask(process, 60.0)
    world.pass_time(TTL_S - 0.5, quick=True)
    assert not process.leases
    world.pass_time(1.0, quick=True)
    assert len(process.leases) == 1


def test_an_epoch_is_never_used_twice():
    world = _world(1)
    world.epoch -= 1
    with pytest.raises(ValueError, match=r"epoch is 2; it must be greater than 2, the epoch of the last coordinator"):
        world.restart_coordinator()


# -- blocks -------------------------------------------------------------------------------------------


def test_a_block_is_a_members_part_of_all_slots_at_most():
    world, first, second = _begun(2, 4, 4, block=100)
    _leased(world, first)
    assert first.member.idle == 3
    assert _in_flight(world) == 4
    _leased(world, second)
    assert _in_flight(world) == 8
    sent = len(world.mail)
    world.ask(first)
    assert len(first.leases) == 2, "without a message"
    assert len(world.mail) == sent


def test_what_nobody_uses_goes_back_by_itself_or_when_somebody_waits():
    world, first, second = _begun(2, 4, block=4)
    _leased(world, first)
    assert first.member.idle == 1
    world.pass_time(1.5, quick=True)
    assert (first.member.idle, _in_flight(world)) == (0, 1)
    _leased(world, first)
    assert first.member.idle == 1
    for _ in range(2):
        _ask(world, second)
    assert len(second.leases) == 2
    assert (first.member.idle, second.member.idle) == (0, 0)


def test_a_stock_is_not_used_after_the_fence():
    world, process = _begun(1, 4, block=4)
    _leased(world, process)
    assert process.member.idle
    now = process.clock.at(world.t) + 0.81 * TTL_S  # before anybody has called tick
    assert process.member.acquire(Request(), now) is None
    assert process.member.idle == 0


# -- what is refused ----------------------------------------------------------------------------------


def test_a_grace_shorter_than_the_ttl_is_refused():
    with pytest.raises(ValueError, match=r"grace_s is 5.0; it must be at least ttl_s, 10, or left out"):
        ClusterTimes(10.0, 5.0)
    assert ClusterTimes(10.0).grace_s == 10.0


# -- a coordinator that is changed while it runs -------------------------------------------------------------


def test_all_learn_what_there_is_to_lease_from_now_on():
    world, process = _begun(1)
    world.change("http://new/", 2)
    world.use("fifo")
    world.talk()
    assert {each.name: each.capacity for each in process.member.endpoints} == {"http://0/": 1, "http://new/": 2}
    assert process.member.strategy == "fifo"
    for _ in range(3):
        _leased(world, process)


def test_a_block_that_nobody_uses_goes_back_when_something_is_changed():
    world, process = _begun(1, 4, block=4)
    _leased(world, process)
    assert process.member.idle == 3
    world.change("http://0/", 0)
    world.talk()
    assert process.member.idle == 0
    assert _in_flight(world) == 1
