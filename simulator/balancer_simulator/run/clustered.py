"""Cluster of processes in virtual time: members, a coordinator, and messages between them.

A shell around the production coordinator and members: it carries their messages, and calls them when something is due.
It splits the wait for a lease into network, coordinator (queue and work), and wait for a slot.
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
from balancer.endpoint import Lease, Lender, Outcome
from balancer.errors import LeaseError
from balancer.load import Load
from balancer_simulator.run.disciplines import LeaseListener, LeasePerCall
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.record import ClusterRecord
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.calendar import after
from balancer_simulator.world.messages import MessageNetwork, MessageQueue
from balancer_simulator.world.sources import durations
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task

__all__ = ["ClusteredLeasePerCall"]

_SUCCESS: Final = Outcome.SUCCESS  # looked up once, because attributes of an Enum are slow


class _Process:
    """One process: its member of the cluster, and its asks.

    Attributes:
        who, member: of this process.
        armed_s: when it next calls the member.
        asked: number of asks so far; the number of an ask is the same in the member.
        asks: open asks, by number.
    """

    __slots__ = ("armed_s", "asked", "asks", "member", "who")

    def __init__(self, who: MemberId, member: ClusterMember) -> None:
        self.who = who
        self.member = member
        self.armed_s = inf
        self.asked = 0
        self.asks: dict[int, _PendingAsk] = {}


class _PendingAsk:
    """State of an ask, with the time of each step."""

    __slots__ = ("coordinator_s", "granted_s", "heard_s", "network_s", "number", "task")

    def __init__(self, number: int, task: Task) -> None:
        self.number = number
        self.task = task
        self.heard_s = self.granted_s = inf
        self.network_s = self.coordinator_s = 0.0


class ClusteredLeasePerCall(LeasePerCall):
    """One lease for each call, as in a pool that is connected to a server.

    Args:
        env: virtual time.
        core: with the endpoints at the begin.
        again: makes a core for a coordinator that starts again.
        client: receives the results of tasks.
        scenario: has the cluster, and the instant from which leases count.
        streams: of the replication.
    """

    def __init__(
        self,
        env: Environment,
        core: Core,
        again: Callable[[], Core],
        client: LeaseListener,
        scenario: Scenario,
        streams: Streams,
    ) -> None:
        super().__init__(env, core, client)
        assert scenario.cluster is not None, "without one all callers are in one process"
        self._again = again
        self._model = model = scenario.cluster
        self._times = ClusterTimes(model.ttl_s)
        self._counts_from_s = scenario.counts_from_s
        delays = durations(model.network, streams.numbers(Purpose.CLUSTER, 0)) if model.network else None
        self._network = MessageNetwork(env, delays=delays, loss=model.loss, rng=streams.numbers(Purpose.CLUSTER, 1))
        self._queue = MessageQueue[tuple[_Process, FromMember]](env, model.coordinator_s, self._heard)
        self._coordinator: Coordinator | None = None
        self._record = CoordinatorRecord(0, model.ttl_s, frozenset())
        self._coordinator_armed_s = inf
        self._processes: list[_Process] = []
        self._by_id: dict[MemberId, _Process] = {}
        self._waits: dict[Waiter, tuple[_Process, _PendingAsk]] = {}
        self._network_waits, self._coordinator_waits, self._slot_waits = (CensoredHistogram() for _ in range(3))
        self._leases = self._from_stock = self._lost = 0
        self._before = (0, 0.0)
        self._carries_at_once = False

    # -- the run -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Connect all members at once. From then on messages take time."""
        self._carries_at_once = True
        self._begin_coordinator()
        for number in range(self._model.members):
            who = MemberId(f"process {number}", "1")
            lender = cast(Lender, self)  # `done` returns its leases
            member = ClusterMember(who, lender=lender, block=self._model.block, times=self._times, now=self._env.now)
            process = _Process(who, member)
            self._processes.append(process)
            self._by_id[who] = process
            self._flush(process)
        self._carries_at_once = False
        if self._counts_from_s:
            after(self._env, self._counts_from_s, ClusteredLeasePerCall._end_warmup, self)
        for outage in self._model.outages:
            after(self._env, outage.at_s, self._end_coordinator, outage.for_s)

    def record(self) -> ClusterRecord:
        """Return the record of the cluster."""
        messages, busy_s = self._before
        return ClusterRecord(
            network_wait=self._network_waits,
            owner_wait=self._coordinator_waits,
            slot_wait=self._slot_waits,
            leases=self._leases,
            from_stock=self._from_stock,
            lost_leases=self._lost,
            messages=self._queue.served - messages,
            busy_s=self._queue.busy_s - busy_s,
        )

    def _end_warmup(self) -> None:
        self._before = self._queue.served, self._queue.busy_s

    # -- callers -----------------------------------------------------------------------------------

    def core_of(self, task: Task) -> Core:
        """Return the core where this task is: a member has the interface of a core."""
        return cast(Core, self._process_of(task).member)

    def ask(self, task: Task) -> None:
        """Take a lease that is here already, or let the member ask for one."""
        process, now = self._process_of(task), task.asked_s
        lease = process.member.acquire(task.request, now)
        if lease is not None:
            self._count(task, 0.0, 0.0, 0.0)
            self._from_stock += task.arrived_s >= self._counts_from_s
            self._start(task, lease, now)
            return
        timeout_s = task.demand.timeout_s if task.plan is None else task.within_s
        task.asker = self
        waiter = process.member.wait(task.request, now, now + timeout_s, task.demand.priority, task.wake)
        task.waiter = waiter
        process.asked += 1
        pending = process.asks[process.asked] = _PendingAsk(process.asked, task)
        self._waits[waiter] = process, pending
        self._watch(task, waiter, timeout_s)
        self._flush(process)

    def done(self, task: Task, outcome: Outcome, now: float) -> None:
        """Return the lease, unless it was lost meanwhile: then the coordinator has granted its slot again."""
        process = self._process_of(task)
        try:
            process.member.release(task.lease, outcome, now)
        except LeaseError:
            self._lost += now >= self._counts_from_s
        self._flush(process)

    def done_by_rules(self, task: Task, outcome: Outcome, now: float) -> None:
        """Do as `done`, and report the tokens that the call used."""
        used = task.demand.used_tokens
        if used is not None and outcome is _SUCCESS and not task.lease.ended:
            self._process_of(task).member.used(task.lease, used, now)
        self.done(task, outcome, now)

    def told(self, task: Task, load: Load, now: float) -> None:
        """Record the load that the endpoint of `task` reported; it is sent with the end of the lease."""
        if not task.lease.ended:
            self._process_of(task).member.told(task.lease, load, now)

    def release(self, lease: Lease, outcome: Outcome) -> None:
        """Never called: the discipline returns simulated leases."""
        raise AssertionError("a simulated lease is given back by its discipline")

    def _process_of(self, task: Task) -> _Process:
        number = task.worker.index if task.worker is not None else task.number
        return self._processes[number % len(self._processes)]

    def woken(self, task: Task) -> None:
        """Begin the call of `task`, or give up: its wait is over."""
        waiter: Waiter = task.waiter
        task.waiter = None
        process, pending = self._waits.pop(waiter)
        process.asks.pop(pending.number, None)
        now = self._env.now
        if waiter.lease is None:
            assert waiter.error is not None, "a wait ends with a lease or an error"
            self._refuse(task, waiter.error)
            return
        if pending.granted_s < inf:
            pending.network_s += now - pending.granted_s
        waited_s = now - task.asked_s
        self._count(
            task,
            pending.network_s,
            pending.coordinator_s,
            max(0.0, waited_s - pending.network_s - pending.coordinator_s),
        )
        self._start(task, waiter.lease, now)

    def _count(self, task: Task, network_s: float, coordinator_s: float, slot_s: float) -> None:
        if task.arrived_s >= self._counts_from_s:
            self._leases += 1
            self._network_waits.add(network_s)
            self._coordinator_waits.add(coordinator_s)
            self._slot_waits.add(slot_s)
            if not self._leases % 4096:
                for waits in (self._network_waits, self._coordinator_waits, self._slot_waits):
                    waits.settle()

    def _moved(self, task: Task) -> None:
        self._flush(self._process_of(task))

    # -- members -----------------------------------------------------------------------------------

    def _flush(self, process: _Process) -> None:
        """Send the messages of a member, and schedule its next due instant."""
        now = self._env.now
        for message in process.member.take_out(now):
            self._send(process, self._arrived, process, message)
        due_s = process.member.due_s
        if due_s < process.armed_s:
            process.armed_s = due_s
            after(self._env, max(0.0, due_s - now), self._ring, (process, due_s))

    def _ring(self, ringing: tuple[_Process, float]) -> None:
        process, due_s = ringing
        if due_s != process.armed_s:
            return  # an earlier one was scheduled since
        process.armed_s = inf
        process.member.tick(self._env.now)
        self._flush(process)

    def _told(self, process: _Process, message: FromCoordinator) -> None:
        served: Sequence[Waiter] = process.member.receive(message, self._env.now)
        for waiter in served:
            waiter.wake()
        self._flush(process)

    def _send(self, way: object, arrive: Callable[..., None], *message: object) -> None:
        if self._carries_at_once:
            self._network.hand_out(arrive, *message)
        else:
            self._network.send(way, arrive, *message)

    # -- the coordinator ---------------------------------------------------------------------------

    def _arrived(self, process: _Process, message: FromMember) -> None:
        if self._coordinator is None:
            return  # there is no coordinator now
        if self._carries_at_once:
            self._heard((process, message), 0.0)
        else:
            self._queue.arrive((process, message))

    def _heard(self, sent: tuple[_Process, FromMember], took_s: float) -> None:
        assert self._coordinator is not None, "what it had in hand went with it"
        process, message = sent
        now = self._env.now
        if isinstance(message, MemberFrame):
            for word in message.words:
                pending = process.asks.get(word.number) if isinstance(word, LeaseRequested) else None
                if pending is not None and pending.heard_s == inf:
                    pending.heard_s = now
                    pending.coordinator_s = took_s
                    pending.network_s = max(0.0, now - took_s - pending.task.asked_s)
        self._coordinator.receive(message, now)
        self._let_coordinator_speak()

    def _let_coordinator_speak(self) -> None:
        coordinator, now = self._coordinator, self._env.now
        assert coordinator is not None, "it just heard something"
        for who, message in coordinator.take_out(now):
            process = self._by_id[who]
            if isinstance(message, CoordinatorFrame):
                self._note_grants(process, message, now)
            self._send(who, self._told, process, message)
        self._record = coordinator.record
        if coordinator.due_s < self._coordinator_armed_s:
            self._coordinator_armed_s = coordinator.due_s
            after(
                self._env, max(0.0, coordinator.due_s - now), self._ring_coordinator, (coordinator, coordinator.due_s)
            )

    def _note_grants(self, process: _Process, reply: CoordinatorFrame, now: float) -> None:
        for word in reply.words:
            pending = process.asks.get(word.number) if isinstance(word, LeasesGranted | RequestRefused) else None
            if pending is not None and pending.granted_s == inf:
                pending.granted_s = now

    def _ring_coordinator(self, ringing: tuple[Coordinator, float]) -> None:
        coordinator, due_s = ringing
        if coordinator is not self._coordinator or due_s != self._coordinator_armed_s:
            return
        self._coordinator_armed_s = inf
        if self._env.now >= coordinator.due_s:
            coordinator.tick(self._env.now)
        self._network.hand_out(self._let_coordinator_speak)

    def _begin_coordinator(self) -> None:
        epoch = self._record.epoch + 1
        self._coordinator = Coordinator(
            self._core, epoch=epoch, times=self._times, last=self._record, now=self._env.now
        )
        self._coordinator_armed_s = inf
        self._let_coordinator_speak()

    def _end_coordinator(self, for_s: float) -> None:
        """Kill the coordinator, which loses all except its record, and start another one later."""
        self._coordinator = None
        self._queue.clear()
        after(self._env, for_s, ClusteredLeasePerCall._begin_next_coordinator, self)

    def _begin_next_coordinator(self) -> None:
        endpoints = [account.endpoint for account in self._core.ledger.accounts()]
        self._core = self._again()
        for endpoint in endpoints:
            self._core.add(endpoint, self._env.now)
        self._begin_coordinator()
