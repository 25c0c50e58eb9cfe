"""Cluster of processes in virtual time: members, a coordinator, and messages between them.

A shell in virtual time around the owner and the holders of production: it carries what they say, rings when something
is due, and does nothing of its own. Decides where the time goes that a lease took: the network, the owner's queue and
work, or the wait for a slot. It must not know how long calls take.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Final, cast

from simpy import Environment

from balancer.cluster.protocol import ClusterMember, ClusterTimes, Coordinator, CoordinatorRecord
from balancer.cluster.protocol.messages import (
    CoordinatorFrame,
    FromCoordinator,
    FromMember,
    LeaseRequested,
    LeasesGranted,
    MemberFrame,
    MemberId,
    RequestRefused,
)
from balancer.core import Core, Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Endpoint, Lease, Lender, Outcome
from balancer.errors import LeaseError
from balancer.load import Load
from balancer_simulator.run.disciplines import LeaseListener
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import ClusterRecord
from balancer_simulator.scenario.cluster import ClusterModel
from balancer_simulator.world.calendar import after
from balancer_simulator.world.messages import MessageNetwork, MessageQueue
from balancer_simulator.world.sources import durations
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task

__all__ = ["ClusteredLeasePerCall"]

_SUCCESS: Final = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class _Process:
    """One process: its holder, and where its asks are.

    Attributes:
        who, holder: its.
        armed_s: when it rings.
        asks: how many it has made; an ask's number is that, as the holder counts them.
        ways: of the asks that are not answered, by number.
    """

    __slots__ = ("armed_s", "asks", "holder", "ways", "who")

    def __init__(self, who: MemberId, holder: ClusterMember) -> None:
        self.who = who
        self.holder = holder
        self.armed_s = inf
        self.asks = 0
        self.ways: dict[int, _PendingAsk] = {}


class _PendingAsk:
    """Where an ask is, and what took how long."""

    __slots__ = ("granted_s", "heard_s", "network_s", "number", "owner_s", "task")

    def __init__(self, number: int, task: Task) -> None:
        self.number = number
        self.task = task
        self.heard_s = self.granted_s = inf
        self.network_s = self.owner_s = 0.0


class ClusteredLeasePerCall:
    """One lease a call, as in a pool that is connected to a server.

    Args:
        env: virtual time.
        core: with the endpoints that there are, when it begins.
        again: makes a core for an owner that begins anew.
        client: told what became of a task.
        house: who is where.
        streams: the replication's.
        counts_from_s: leases of tasks that came before are not counted.
    """

    def __init__(
        self,
        env: Environment,
        core: Core,
        again: Callable[[], Core],
        client: LeaseListener,
        house: ClusterModel,
        streams: Streams,
        counts_from_s: float,
    ) -> None:
        self._env = env
        self._core = core
        self._again = again
        self._start, self._refuse = client.start, client.refuse
        self._house = house
        self._times = ClusterTimes(house.ttl_s)
        self._counts_from_s = counts_from_s
        delays = durations(house.network, streams.numbers(Purpose.CLUSTER, 0)) if house.network else None
        self._post = MessageNetwork(env, delays=delays, loss=house.loss, rng=streams.numbers(Purpose.CLUSTER, 1))
        self._desk = MessageQueue[tuple[_Process, FromMember]](env, house.owner_s, self._heard)
        self._owner: Coordinator | None = None
        self._record = CoordinatorRecord(0, house.ttl_s, frozenset())
        self._owner_armed_s = inf
        self._seats: list[_Process] = []
        self._by_who: dict[MemberId, _Process] = {}
        self._waits: dict[Waiter, tuple[_Process, _PendingAsk]] = {}
        self._network, self._owners, self._slots = CensoredHistogram(), CensoredHistogram(), CensoredHistogram()
        self._leases = self._from_stock = self._lost = 0
        self._before = (0, 0.0)
        self._carries_at_once = False

    # -- the run -----------------------------------------------------------------------------------

    def enlist(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as it is."""
        return endpoint

    def changed(self) -> None:
        """Do nothing: a scenario with a house has no changes."""

    def begin(self) -> None:
        """Let everybody in, at once; from then on messages take their time."""
        self._carries_at_once = True
        self._begin_owner()
        for number in range(self._house.holders):
            who = MemberId(f"process {number}", "1")
            lender = cast(Lender, self)  # its leases are given back by `done`
            holder = ClusterMember(who, lender=lender, block=self._house.block, times=self._times, now=self._env.now)
            seat = _Process(who, holder)
            self._seats.append(seat)
            self._by_who[who] = seat
            self._flush(seat)
        self._carries_at_once = False
        if self._counts_from_s:
            after(self._env, self._counts_from_s, ClusteredLeasePerCall._end_warmup, self)
        for outage in self._house.outages:
            after(self._env, outage.at_s, self._end_owner, outage.for_s)

    def record(self) -> ClusterRecord:
        """Return what came of it."""
        messages, busy_s = self._before
        return ClusterRecord(
            network_wait=self._network,
            owner_wait=self._owners,
            slot_wait=self._slots,
            leases=self._leases,
            from_stock=self._from_stock,
            lost_leases=self._lost,
            messages=self._desk.served - messages,
            busy_s=self._desk.busy_s - busy_s,
        )

    def _end_warmup(self) -> None:
        self._before = self._desk.served, self._desk.busy_s

    # -- callers -----------------------------------------------------------------------------------

    def core_of(self, task: Task) -> Core:
        """Return what stands for the core where this task is: to a shell a holder is one."""
        return cast(Core, self._seat_of(task).holder)

    def ask(self, task: Task) -> None:
        """Take a lease that is here already, or have the holder ask for one."""
        seat, now = self._seat_of(task), task.asked_s
        lease = seat.holder.acquire(task.request, now)
        if lease is not None:
            self._count(task, 0.0, 0.0, 0.0)
            self._from_stock += task.arrived_s >= self._counts_from_s
            self._start(task, lease, now)
            return
        timeout_s = task.demand.timeout_s if task.course is None else task.within_s
        waiter = seat.holder.wait(task.request, now, now + timeout_s, task.demand.priority, lambda: self._woken(task))
        task.waiter = waiter
        seat.asks += 1
        way = seat.ways[seat.asks] = _PendingAsk(seat.asks, task)
        self._waits[waiter] = seat, way
        if timeout_s < inf:
            after(self._env, timeout_s, self._expire, (seat, waiter))
        if task.looks is not None:
            self._look_later((seat, task.looks, waiter))
        self._flush(seat)

    def done(self, task: Task, outcome: Outcome, now: float) -> None:
        """Give the lease back, unless it was lost meanwhile: the owner has given its slot to others."""
        seat = self._seat_of(task)
        try:
            seat.holder.release(task.lease, outcome, now)
        except LeaseError:
            self._lost += now >= self._counts_from_s
        self._flush(seat)

    def done_by_rules(self, task: Task, outcome: Outcome, now: float) -> None:
        """Do as `done` does, and tell what the call took of a quota."""
        used = task.demand.used_tokens
        if used is not None and outcome is _SUCCESS and not task.lease.ended:
            self._seat_of(task).holder.used(task.lease, used, now)
        self.done(task, outcome, now)

    def told(self, task: Task, load: Load, now: float) -> None:
        """Tell what the endpoint of `task` has said of its load; it is sent with the end of the lease."""
        if not task.lease.ended:
            self._seat_of(task).holder.told(task.lease, load, now)

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Nobody does: a simulated lease is given back by its discipline."""
        raise AssertionError("a simulated lease is given back by its discipline")

    def _seat_of(self, task: Task) -> _Process:
        number = task.worker.index if task.worker is not None else task.number
        return self._seats[number % len(self._seats)]

    def _woken(self, task: Task) -> None:
        waiter: Waiter = task.waiter
        task.waiter = None
        seat, way = self._waits.pop(waiter)
        seat.ways.pop(way.number, None)
        now = self._env.now
        if waiter.lease is None:
            assert waiter.error is not None, "a wait ends with a lease or an error"
            self._refuse(task, waiter.error)
            return
        if way.granted_s < inf:
            way.network_s += now - way.granted_s
        waited_s = now - task.asked_s
        self._count(task, way.network_s, way.owner_s, max(0.0, waited_s - way.network_s - way.owner_s))
        self._start(task, waiter.lease, now)

    def _count(self, task: Task, network_s: float, owner_s: float, slot_s: float) -> None:
        if task.arrived_s >= self._counts_from_s:
            self._leases += 1
            self._network.add(network_s)
            self._owners.add(owner_s)
            self._slots.add(slot_s)
            if not self._leases % 4096:
                for tally in (self._network, self._owners, self._slots):
                    tally.settle()

    def _expire(self, waiting: tuple[_Process, Waiter]) -> None:
        seat, waiter = waiting
        if not waiter.ended:
            seat.holder.cancel(waiter, self._env.now, timed_out=True)
            waiter.wake()
            self._flush(seat)

    def _look_later(self, retry: tuple[_Process, RetryPolls, Waiter]) -> None:
        _, looks, waiter = retry
        if looks.at_s < waiter.deadline_s:
            after(self._env, looks.at_s - self._env.now, self._look, retry)

    def _look(self, retry: tuple[_Process, RetryPolls, Waiter]) -> None:
        """Let a retry that still waits look again, at its place in the queue."""
        seat, looks, waiter = retry
        if waiter.ended:
            return
        looks.look(cast(Core, seat.holder), waiter, self._env.now)
        self._flush(seat)
        self._look_later(retry)

    # -- holders -----------------------------------------------------------------------------------

    def _flush(self, seat: _Process) -> None:
        """Send what a holder has to say, and see to it that it rings when something is due."""
        now = self._env.now
        for message in seat.holder.take_out(now):
            self._send(seat, self._arrived, seat, message)
        due_s = seat.holder.due_s
        if due_s < seat.armed_s:
            seat.armed_s = due_s
            after(self._env, max(0.0, due_s - now), self._ring, (seat, due_s))

    def _ring(self, ringing: tuple[_Process, float]) -> None:
        seat, due_s = ringing
        if due_s != seat.armed_s:
            return  # an earlier one was armed since
        seat.armed_s = inf
        seat.holder.tick(self._env.now)
        self._flush(seat)

    def _told(self, seat: _Process, message: FromCoordinator) -> None:
        served: Sequence[Waiter] = seat.holder.receive(message, self._env.now)
        for waiter in served:
            waiter.wake()
        self._flush(seat)

    def _send(self, way: object, arrive: Callable[..., None], *message: object) -> None:
        if self._carries_at_once:
            self._post.hand_out(arrive, *message)
        else:
            self._post.send(way, arrive, *message)

    # -- the owner ---------------------------------------------------------------------------------

    def _arrived(self, seat: _Process, message: FromMember) -> None:
        if self._owner is None:
            return  # nobody listens
        if self._carries_at_once:
            self._heard((seat, message), 0.0)
        else:
            self._desk.arrive((seat, message))

    def _heard(self, sent: tuple[_Process, FromMember], took_s: float) -> None:
        assert self._owner is not None, "what it had in hand went with it"
        seat, message = sent
        now = self._env.now
        if isinstance(message, MemberFrame):
            for word in message.words:
                way = seat.ways.get(word.number) if isinstance(word, LeaseRequested) else None
                if way is not None and way.heard_s == inf:
                    way.heard_s = now
                    way.owner_s = took_s
                    way.network_s = max(0.0, now - took_s - way.task.asked_s)
        self._owner.receive(message, now)
        self._let_owner_speak()

    def _let_owner_speak(self) -> None:
        owner, now = self._owner, self._env.now
        assert owner is not None, "it just heard something"
        for who, message in owner.take_out(now):
            seat = self._by_who[who]
            if isinstance(message, CoordinatorFrame):
                self._note_grants(seat, message, now)
            self._send(who, self._told, seat, message)
        self._record = owner.record
        if owner.due_s < self._owner_armed_s:
            self._owner_armed_s = owner.due_s
            after(self._env, max(0.0, owner.due_s - now), self._ring_owner, (owner, owner.due_s))

    def _note_grants(self, seat: _Process, reply: CoordinatorFrame, now: float) -> None:
        for word in reply.words:
            way = seat.ways.get(word.number) if isinstance(word, LeasesGranted | RequestRefused) else None
            if way is not None and way.granted_s == inf:
                way.granted_s = now

    def _ring_owner(self, ringing: tuple[Coordinator, float]) -> None:
        owner, due_s = ringing
        if owner is not self._owner or due_s != self._owner_armed_s:
            return
        self._owner_armed_s = inf
        if self._env.now >= owner.due_s:
            owner.tick(self._env.now)
        self._post.hand_out(self._let_owner_speak)

    def _begin_owner(self) -> None:
        epoch = self._record.epoch + 1
        self._owner = Coordinator(self._core, epoch=epoch, times=self._times, last=self._record, now=self._env.now)
        self._owner_armed_s = inf
        self._let_owner_speak()

    def _end_owner(self, for_s: float) -> None:
        """Let the owner die with all that it knew but its record, and another begin later."""
        self._owner = None
        self._desk.clear()
        after(self._env, for_s, ClusteredLeasePerCall._follow_owner, self)

    def _follow_owner(self) -> None:
        endpoints = [account.endpoint for account in self._core.ledger.accounts()]
        self._core = self._again()
        for endpoint in endpoints:
            self._core.add(endpoint, self._env.now)
        self._begin_owner()
