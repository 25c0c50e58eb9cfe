"""A coordinator, members and an unreliable network between them, in one thread and virtual time.

True time is `World.t`. Each party has a clock of its own, that begins anywhere and runs at a rate of its own. Nothing
here looks into the parties to see whether a lease may be used: a lease may be used if its member lives and the lease
has not ended, when its member has done what its own clock says is due.
"""

import errno
import random
from collections import Counter
from dataclasses import dataclass, field
from math import inf
from typing import Any

from balancer.cluster.protocol import ClusterMember, ClusterTimes, Coordinator, CoordinatorRecord
from balancer.cluster.protocol.messages import FromCoordinator, FromMember, MemberId
from balancer.cluster.tcp.codec import MessageSplitter, encoded, read_from_coordinator, read_from_member
from balancer.cluster.tcp.record_file import RecordKeeper
from balancer.core import Core, Waiter
from balancer.core.events import KINDS
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import BalancerError
from balancer.strategy import Request
from tests.registered import MAKERS

TTL_S = 10.0
# The greatest difference of rates that 0.8 TTL allows for is 1.25.
_RATES = (0.9, 1.0, 1.1)


def _sent(message: object) -> bytes:
    (body,) = MessageSplitter().feed(encoded(message))
    return body


@dataclass
class _Clock:
    offset_s: float
    rate: float

    def at(self, t: float) -> float:
        return self.offset_s + self.rate * t

    def true(self, local_s: float) -> float:
        return local_s if local_s in (inf, -inf) else (local_s - self.offset_s) / self.rate


@dataclass
class Process:
    """One life of a member, and what its callers have."""

    member: ClusterMember
    clock: _Clock
    number: int
    leases: list[Lease] = field(default_factory=list)
    waiting: dict[Waiter, float] = field(default_factory=dict)  # and until when, by its own clock

    def release(self, lease: Lease, outcome: Outcome) -> None:
        raise AssertionError("leases go back by `World.release`")

    used = told = release


class World:
    """Slots, a coordinator, and members.

    Args:
        rng: whatever is not said is drawn from it.
        capacities: of the endpoints.
        strategy: by name.
        block: of every member.
        observed: True if all events are recorded. Each must have a time, and the core must never need a repair.
    """

    def __init__(
        self,
        rng: random.Random,
        capacities: tuple[int, ...] = (1, 2),
        *,
        strategy: str = "least_in_flight",
        block: int = 1,
        observed: bool = False,
    ) -> None:
        self.rng = rng
        self.observed = observed
        self.t = 0.0
        self.endpoints = [Endpoint(f"http://{i}/", capacity=n) for i, n in enumerate(capacities)]
        self.strategy = strategy
        self.block = block
        self.allowed = {each.name: each.capacity for each in self.endpoints}  # in use at most, by name
        self.times = ClusterTimes(TTL_S)
        self.disk: CoordinatorRecord | None = None
        self.full = False  # the disk
        self.records: RecordKeeper
        self.coordinator: Coordinator | None = None
        self.core: Core
        self.coordinator_clock: _Clock
        self.epoch = 0
        self.processes: dict[MemberId, Process] = {}
        self.dead: dict[MemberId, float] = {}  # and when it was heard last, by true time
        self.mail: list[tuple[MemberId, FromCoordinator | FromMember, bool]] = []  # True: to the coordinator
        self.ended: Counter[Waiter] = Counter()
        self.lives = 0
        self.asked = self.granted = self.steps = 0
        self.repaired: list[float] = []  # when the core was repaired, as after an error of a strategy
        self.broken = False  # the network: what is sent is lost
        self.start_coordinator(CoordinatorRecord(0, TTL_S, frozenset()))

    # -- lives -------------------------------------------------------------------------------------

    def start_coordinator(self, last: CoordinatorRecord | None) -> None:
        """Begin a coordinator with empty books."""
        self.coordinator_clock = _Clock(self.rng.uniform(-1e4, 1e4), self.rng.choice(_RATES))
        self.epoch += 1
        now = self.coordinator_clock.at(self.t)
        strategy = MAKERS[self.strategy](random.Random(1))
        self.core = Core(self.endpoints, strategy, lender=self, now=now)  # type: ignore[arg-type]  # nobody asks it
        if self.observed:
            self.core.listen(KINDS)
            self.core.recover = self.repaired.append  # type: ignore[method-assign]
        self.coordinator = Coordinator(self.core, epoch=self.epoch, times=self.times, last=last, now=now)
        self.records = RecordKeeper(self._keep, last, TTL_S)
        self.flush()

    def kill_coordinator(self) -> None:
        self.coordinator = None

    def restart_coordinator(self, *, forgets: bool = False) -> None:
        self.kill_coordinator()
        self.start_coordinator(None if forgets else self.disk)

    def start_member(self) -> Process:
        self.lives += 1
        who = MemberId("member", str(self.lives))
        clock = _Clock(self.rng.uniform(-1e4, 1e4), self.rng.choice(_RATES))
        process = Process(None, clock, self.lives)  # type: ignore[arg-type]  # set in the next line
        now = clock.at(self.t)
        process.member = ClusterMember(who, lender=process, block=self.block, times=self.times, now=now)  # type: ignore[arg-type]
        self.processes[who] = process
        if self.observed:
            process.member.journal.wanted = KINDS
        self.flush()
        return process

    def kill_member(self, process: Process) -> None:
        who = next(who for who, other in self.processes.items() if other is process)
        del self.processes[who]
        self.dead[who] = self.t

    # -- changes -----------------------------------------------------------------------------------

    def change(self, name: str, capacity: int, *, drain: bool = False) -> None:
        """Let there be an endpoint of this name and capacity from now on; 0: none. A coordinator that lives is told."""
        fresh = Endpoint(name, capacity=capacity) if capacity else None
        before = next((each for each in self.endpoints if each.name == name), None)
        others = [each for each in self.endpoints if each.name != name]
        if fresh == before:
            return
        if fresh is None:
            self.endpoints = others
        else:
            self.endpoints = [*others, fresh]
            self.allowed[name] = max(self.allowed.get(name, 0), capacity)
        if self.coordinator is not None:
            now = self.coordinator_clock.at(self.t)
            if fresh is None:
                acts: list[Any] = [lambda: self.core.drain(name, now)] if drain else []
                acts.append(lambda: self.core.remove(name, now))
            elif before is None:
                acts = [lambda: self.core.add(fresh, now)]
            else:
                acts = [lambda: self.core.update(fresh, now)]
            self.coordinator.change(acts, now)
        self.flush()

    def use(self, strategy: str) -> None:
        """Let this strategy choose from now on."""
        self.strategy = strategy
        if self.coordinator is not None:
            now = self.coordinator_clock.at(self.t)
            chosen = MAKERS[strategy](random.Random(1))
            self.coordinator.change([lambda: self.core.set_strategy(chosen, now)], now)
        self.flush()

    # -- callers -----------------------------------------------------------------------------------

    def ask(self, process: Process, timeout_s: float = 30.0, request: Request | None = None, priority: int = 0) -> None:
        self.asked += 1
        now = process.clock.at(self.t)
        lease = process.member.acquire(request or Request(), now)
        if lease is not None:
            self.granted += 1
            process.leases.append(lease)
            return
        deadline_s = now + timeout_s
        waiter = process.member.wait(request or Request(), now, deadline_s, priority, lambda: None)
        process.waiting[waiter] = deadline_s
        self.flush()

    def release(self, process: Process, lease: Lease, outcome: Outcome = Outcome.SUCCESS) -> None:
        process.leases.remove(lease)
        if not lease.ended:
            try:
                self.hear(process, process.member.release(lease, outcome, process.clock.at(self.t)))
            except BalancerError:
                assert lease.ended, "only what is over is refused"
        self.flush()

    def cancel(self, process: Process, waiter: Waiter, *, timed_out: bool = False) -> None:
        self.hear(process, process.member.cancel(waiter, process.clock.at(self.t), timed_out=timed_out))
        del process.waiting[waiter]
        self.ended[waiter] += 1
        assert waiter.error is not None
        assert waiter.lease is None
        self.flush()

    def hear(self, process: Process, served: Any) -> None:
        for waiter in served:
            self.ended[waiter] += 1
            assert waiter in process.waiting, "a wait ends once"
            del process.waiting[waiter]
            assert (waiter.lease is None) is not (waiter.error is None), "with a lease or with an error"
            if waiter.lease is not None:
                self.granted += 1
                process.leases.append(waiter.lease)

    # -- the network -------------------------------------------------------------------------------

    def flush(self) -> None:
        """Let everybody send what they have to. The coordinator's record is kept before, or newcomers get nothing."""
        if self.coordinator is not None:
            now = self.coordinator_clock.at(self.t)
            sent = self.coordinator.take_out(now)
            if not self.records.store(self.coordinator.record, now):
                newcomers = {who for who, _ in sent if not self.records.has(who)}
                sent = [(who, message) for who, message in sent if who not in newcomers]
                for who in newcomers:
                    self.coordinator.vanished(who, now)
            if not self.broken:
                self.mail += [(who, message, False) for who, message in sent]
        for who, process in self.processes.items():
            out = process.member.take_out(process.clock.at(self.t))
            if not self.broken:
                self.mail += [(who, message, True) for message in out]

        if self.observed:
            assert not self.repaired
            for journal in (self.core.journal, *(process.member.journal for process in self.processes.values())):
                assert all(isinstance(event.at_s, float) for event in journal.happened)

    def _keep(self, record: CoordinatorRecord) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.disk = record

    def deliver(self, index: int, *, keep: bool = False) -> None:
        """Deliver one of the messages on their way; it may come again if it is kept."""
        if not self.mail:
            return
        index %= len(self.mail)
        who, message, to_coordinator = self.mail[index] if keep else self.mail.pop(index)
        self.steps += 1
        if to_coordinator:
            if self.coordinator is not None:
                self.coordinator.receive(read_from_member(_sent(message)), self.coordinator_clock.at(self.t))
                if who in self.dead:
                    self.dead[who] = self.t
        elif who in self.processes:
            process = self.processes[who]
            said = read_from_coordinator(_sent(message))
            self.hear(process, process.member.receive(said, process.clock.at(self.t)))
        self.flush()

    def lose(self, index: int) -> None:
        if self.mail:
            self.mail.pop(index % len(self.mail))

    def talk(self) -> None:
        """Deliver everything in order, until all is said."""
        for _ in range(10_000):
            if not self.mail:
                return
            self.deliver(0)
        raise AssertionError("they do not stop talking")

    # -- time --------------------------------------------------------------------------------------

    def pass_time(self, for_s: float, *, quick: bool = False) -> None:
        """Let time pass, and everybody do what is due by their own clocks; `quick`: the network is a good one."""
        end = self.t + for_s
        if quick:
            self.talk()
        for _ in range(10_000):
            due = min([self._coordinator_due(), *(self._due(process) for process in self.processes.values())])
            if due >= end:
                break
            self.t = max(self.t, due) + 1e-6
            self._tick()
            if quick:
                self.talk()
            self.check()
        else:
            raise AssertionError("something is due all the time")
        self.t = end
        self._tick()
        if quick:
            self.talk()
        self.check()

    def _coordinator_due(self) -> float:
        return inf if self.coordinator is None else self.coordinator_clock.true(self.coordinator.due_s)

    def _due(self, process: Process) -> float:
        own = [process.member.due_s, *process.waiting.values()]
        return process.clock.true(min(own))

    def _tick(self) -> None:
        if self.coordinator is not None and self._coordinator_due() <= self.t:
            self.coordinator.tick(self.coordinator_clock.at(self.t))
        for process in list(self.processes.values()):
            now = process.clock.at(self.t)
            self.hear(process, process.member.tick(now))
            for waiter, deadline_s in list(process.waiting.items()):
                if deadline_s <= now:
                    self.cancel(process, waiter, timed_out=True)
        self.flush()

    # -- what holds --------------------------------------------------------------------------------

    def usable(self) -> Counter[str]:
        """Return the slots that are in use, by endpoint, of leases that may be used now."""
        used: Counter[str] = Counter()
        for process in self.processes.values():
            process.member.tick(process.clock.at(self.t))  # what its own clock says
            for lease in process.leases:
                if not lease.ended:
                    used[lease.endpoint.name] += lease.slots
        return used

    def check(self) -> None:
        """Never more in use than there are, and what a dead member had is free after a TTL."""
        used = self.usable()
        for name in self.allowed:
            assert used[name] <= self.allowed[name], f"{name}: {used[name]} in use"
        # What is above a capacity that was made less only ends.
        if self.coordinator is not None and not self.coordinator.grace:
            out = {account.endpoint.name: account.in_flight for account in self.core.ledger.accounts()}
            now = {each.name: each.capacity for each in self.endpoints}
            for name in self.allowed:
                self.allowed[name] = max(now.get(name, 0), min(self.allowed[name], out.get(name, 0)))
        assert all(times == 1 for times in self.ended.values()), "a wait ends once"
        if self.coordinator is not None:
            for who, heard in self.dead.items():
                if who in self.coordinator._sessions:
                    longest = TTL_S / self.coordinator_clock.rate + 1e-3
                    assert self.t - heard <= longest, f"{who} died, and has leases {self.t - heard:.3f} s later"

    def settle(self) -> None:
        """Let the network be good from now on: within grace and TTL all that is lost is back, and all waits end."""
        if self.coordinator is None:
            self.restart_coordinator()
        self.broken = self.full = False
        longest = max(1 / rate for rate in _RATES)
        self.pass_time(2 * TTL_S * longest + 1, quick=True)
        held = Counter[str]()
        for process in self.processes.values():
            for lease in process.leases:
                held[lease.endpoint.name] += 0 if lease.ended else lease.slots
        self.pass_time(self.times.idle_s * longest + 1, quick=True)  # what nobody uses goes back
        held = self.usable()
        for account in self.core.ledger.accounts():
            name = account.endpoint.name
            assert account.in_flight == held[name], f"{name}: {account.in_flight} counted, {held[name]} held"
        for process in self.processes.values():
            assert set(process.member.endpoints) == set(self.endpoints), "all know what there is to lease"
            assert process.member.strategy == self.strategy
            for lease in list(process.leases):
                self.release(process, lease)
        for _ in range(1000):
            self.pass_time(1.0, quick=True)
            for process in self.processes.values():
                for lease in list(process.leases):
                    self.release(process, lease)
            if not any(process.waiting for process in self.processes.values()):
                break
        assert not any(process.waiting for process in self.processes.values()), "every wait ends"
        self.pass_time(self.times.idle_s * longest + 1, quick=True)
        assert [account.in_flight for account in self.core.ledger.accounts()] == [0] * len(self.endpoints)
