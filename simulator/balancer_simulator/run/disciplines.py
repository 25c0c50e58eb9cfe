"""Client disciplines: how callers use the pool, and the baselines that the pool replaces.

Decides what a task does to get an endpoint and when it gives it back. All three work on the production core. It
must not know how long a call takes, nor what a task is for.
"""

from dataclasses import replace
from functools import partial
from math import inf
from typing import Final, Protocol

from simpy import Environment

from balancer.core import Core, Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import BalancerError, NoEndpoint, TooManyWaiters
from balancer.load import Load
from balancer.strategy import ANY, Request
from balancer_simulator.run.record import ClusterRecord
from balancer_simulator.run.ticker import Ticker
from balancer_simulator.world.calendar import after
from balancer_simulator.world.task import Task, Worker

__all__ = ["BASELINES", "AlwaysFirst", "Discipline", "LeaseListener", "LeasePerCall", "OldGlobalQueue"]

_SUCCESS: Final = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class LeaseListener(Protocol):
    """Told what became of a task that asked."""

    def start(self, task: Task, lease: Lease, now: float) -> None:
        """Begin the call: `lease` is granted."""
        ...

    def refuse(self, task: Task, error: BalancerError) -> None:
        """Give up: there is no endpoint for `task`."""
        ...


class Discipline(Protocol):
    """What a task does to get an endpoint."""

    def enlist(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as the pool is to know it."""
        ...

    def begin(self) -> None:
        """Hear that the run begins: those endpoints are there that are there from the start."""
        ...

    def core_of(self, task: Task) -> Core:
        """Return the core that `task` leases from, or what stands for it."""
        ...

    def changed(self) -> None:
        """Hear that somebody has joined, left or changed."""
        ...

    def ask(self, task: Task) -> None:
        """Get an endpoint for `task`; `LeaseListener.start` or `LeaseListener.refuse` is called, now or later."""
        ...

    def done(self, task: Task, outcome: Outcome, now: float) -> None:
        """Hear that the call of `task` has ended."""
        ...

    def done_by_rules(self, task: Task, outcome: Outcome, now: float) -> None:
        """Hear the same, where the pool has rules."""
        ...

    def told(self, task: Task, load: Load, now: float) -> None:
        """Hear what the endpoint of `task` says of its load."""
        ...

    def record(self) -> ClusterRecord | None:
        """Return what came of the house, if there is one."""
        ...


class LeasePerCall:
    """One lease a call, as the pool is meant to be used."""

    def __init__(self, env: Environment, core: Core, client: LeaseListener) -> None:
        self._env = env
        self._core = core
        self._start, self._refuse = client.start, client.refuse
        self._ticker = Ticker(env, core)

    def enlist(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as it is."""
        return endpoint

    def begin(self) -> None:
        """Do nothing: the pool is ready."""

    def core_of(self, task: Task) -> Core:
        """Return the only core."""
        return self._core

    def changed(self) -> None:
        """See to what is due next for those who wait."""
        self._ticker.arm()

    def ask(self, task: Task) -> None:
        """Take a free slot, or wait for one."""
        now = task.asked_s
        lease = self._core.acquire(task.request, now)
        if lease is None:
            self._wait(task, now)
        else:
            self._start(task, lease, now)

    def done(self, task: Task, outcome: Outcome, now: float) -> None:
        """Give the slot back; whoever waited for it is served."""
        for waiter in self._core.release(task.lease, outcome, now):
            waiter.wake()

    def done_by_rules(self, task: Task, outcome: Outcome, now: float) -> None:
        """Do as `done` does, where what an endpoint did may have consequences later."""
        used = task.demand.used_tokens
        if used is not None and outcome is _SUCCESS:
            for waiter in self._core.used(task.lease, used, now):
                waiter.wake()
        self.done(task, outcome, now)
        self._ticker.arm()

    def told(self, task: Task, load: Load, now: float) -> None:
        """Let the core hear of the load."""
        self._core.told(task.lease, load, now)

    def record(self) -> None:
        """Return nothing: there is no house."""
        return

    def _wait(self, task: Task, now: float) -> None:
        timeout_s = task.demand.timeout_s if task.course is None else task.within_s
        try:
            wake = partial(self._woken, task)
            waiter = self._core.wait(task.request, now, now + timeout_s, task.demand.priority, wake)
        except (NoEndpoint, TooManyWaiters) as error:
            self._refuse(task, error)
            return
        task.waiter = waiter
        if waiter.lease is not None:  # its claim was older than that of one for whom slots were kept
            self._woken(task)
            return
        if self._core.due_s < inf:
            self._ticker.arm()
        if timeout_s < inf:
            after(self._env, timeout_s, self._expire, waiter)
        if task.looks is not None:
            self._look_later((task.looks, waiter))

    def _look_later(self, retry: tuple[RetryPolls, Waiter]) -> None:
        looks, waiter = retry
        if looks.at_s < waiter.deadline_s:
            after(self._env, looks.at_s - self._env.now, self._look, retry)

    def _look(self, retry: tuple[RetryPolls, Waiter]) -> None:
        """Let a retry that still waits look again, at its place in the queue."""
        looks, waiter = retry
        if waiter.ended:
            return
        for other in looks.look(self._core, waiter, self._env.now):
            other.wake()
        self._ticker.arm()
        if not waiter.ended:
            self._look_later(retry)

    def _woken(self, task: Task) -> None:
        waiter: Waiter = task.waiter
        task.waiter = None  # each knows the other, and nobody else knows them: a cycle is costly to find
        if waiter.lease is not None:
            self._start(task, waiter.lease, waiter.lease.granted_s)
        elif waiter.error is not None:
            self._refuse(task, waiter.error)

    def _expire(self, waiter: Waiter) -> None:
        if not waiter.ended:
            others = self._core.cancel(waiter, self._env.now, timed_out=True)
            waiter.wake()
            for other in others:
                other.wake()
            self._ticker.arm()


class AlwaysFirst(LeasePerCall):
    """The design without a pool: every part numbers its own workers, and worker k calls endpoint k.

    So every part starts with the first endpoint. Requests of an open workload come from nobody in particular: each is
    a part of its own, with one worker. What a task asks for (labels) is not looked at; a retry goes to the same.
    """

    def __init__(self, env: Environment, core: Core, client: LeaseListener) -> None:
        super().__init__(env, core, client)
        self._requests: list[Request] = []

    def enlist(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with a label that is its own, and without what that design has not."""
        endpoint = replace(endpoint, group=0, quota=None)
        label = f"only {endpoint.name}"
        request = Request(frozenset({label}))
        if request not in self._requests:
            self._requests.append(request)
        return replace(endpoint, labels=endpoint.labels | {label})

    def ask(self, task: Task) -> None:
        """Wait for the endpoint of this number."""
        index = task.worker.index if task.worker else 0
        task.request = self._requests[index % len(self._requests)]
        super().ask(task)


class OldGlobalQueue(LeasePerCall):
    """The design this pool replaces: one queue of endpoints, polled, and kept for as long as there is work.

    A worker asks for 0.1 s, sleeps 0.1 s, and asks again. It keeps what it got until its own work has been used up
    for a second. It knows no labels and no exclusions, so a retry goes to the same endpoint.
    """

    POLL_S: Final = 0.1
    LINGER_S: Final = 1.0

    def enlist(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint without what that design has not."""
        return replace(endpoint, group=0, quota=None)

    def ask(self, task: Task) -> None:
        """Use the endpoint that the worker has, or begin to poll for one."""
        worker = task.worker
        if worker is not None and worker.lease is not None:
            worker.turn += 1  # it lingers no more
            self._start(task, worker.lease, self._env.now)
        else:
            self._listen(task)

    def done(self, task: Task, outcome: Outcome, now: float) -> None:
        """Keep the endpoint for a while; whoever is nobody in particular has no more work, and gives it back."""
        worker = task.worker
        if worker is None:
            self._give_back(task.lease)
            return
        worker.lease = task.lease
        worker.turn += 1
        after(self._env, self.LINGER_S, self._linger, (worker, worker.turn))

    def _linger(self, kept: tuple[Worker, int]) -> None:
        worker, turn = kept
        if worker.turn == turn and worker.lease is not None:
            lease, worker.lease = worker.lease, None
            self._give_back(lease)

    def _give_back(self, lease: Lease) -> None:
        for waiter in self._core.release(lease, Outcome.SUCCESS, self._env.now):
            waiter.wake()

    def _listen(self, task: Task) -> None:
        now = self._env.now
        lease = self._core.acquire(ANY, now)
        if lease is not None:
            self._start(task, lease, now)
            return
        try:
            task.waiter = self._core.wait(ANY, now, now + self.POLL_S, 0, partial(self._woken, task))
        except (NoEndpoint, TooManyWaiters) as error:
            self._refuse(task, error)
            return
        after(self._env, self.POLL_S, self._expire, task.waiter)

    def _woken(self, task: Task) -> None:
        waiter: Waiter = task.waiter
        task.waiter = None
        if waiter.lease is not None:
            self._start(task, waiter.lease, self._env.now)
        elif self._env.now - task.asked_s >= task.demand.timeout_s and waiter.error is not None:
            self._refuse(task, waiter.error)
        else:
            after(self._env, self.POLL_S, self._listen, task)


BASELINES: Final[dict[str, type[LeasePerCall]]] = {
    "always_first": AlwaysFirst,
    "old_global_queue": OldGlobalQueue,
}
"""Designs that the pool replaces, by the name that scenarios call them; all over one `fifo` queue of slots."""
