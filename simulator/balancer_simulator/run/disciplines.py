"""Client disciplines: how callers use the pool, and the baselines that the pool replaces.

Decides what a task does to get an endpoint and when it gives it back. All three work on the production core.
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
from balancer_simulator.world.calendar import after
from balancer_simulator.world.task import Task, Worker

__all__ = ["BASELINES", "AlwaysFirst", "LeaseListener", "LeasePerCall", "OldGlobalQueue"]

_SUCCESS: Final = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class LeaseListener(Protocol):
    """Told what became of a task that asked for an endpoint."""

    def start(self, task: Task, lease: Lease, now: float) -> None:
        """Begin the call: `lease` is granted."""
        ...

    def refuse(self, task: Task, error: BalancerError) -> None:
        """Give up: there is no endpoint for `task`."""
        ...


class Ticker:
    """Calls `Core.tick` when something is due for those who wait, as a pool's timer does; else it schedules nothing."""

    def __init__(self, env: Environment, core: Core) -> None:
        self._env = env
        self._core = core
        self._armed_s = inf

    def arm(self) -> None:
        """See to it that what is due next is done in time; to be called whenever that may have changed."""
        due_s = self._core.due_s
        if due_s < self._armed_s and self._core.waiting:
            self._armed_s = due_s
            after(self._env, max(0.0, due_s - self._env.now), self._ring, due_s)

    def _ring(self, due_s: float) -> None:
        if due_s != self._armed_s:
            return  # an earlier one was armed since
        self._armed_s = inf
        if self._env.now >= self._core.due_s:
            for waiter in self._core.tick(self._env.now):
                waiter.wake()
        self.arm()


class LeasePerCall:
    """One lease a call, as the pool is meant to be used; what all disciplines have in common."""

    def __init__(self, env: Environment, core: Core, client: LeaseListener) -> None:
        self._env = env
        self._core = core
        self._start, self._refuse = client.start, client.refuse
        self._ticker = Ticker(env, core)

    def enlist(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as the pool is to know it."""
        return endpoint

    def begin(self) -> None:
        """Hear that the run begins: those endpoints are there that are there from the start."""

    def core_of(self, task: Task) -> Core:
        """Return the core that `task` leases from, or what stands for it."""
        return self._core

    def changed(self) -> None:
        """Hear that an endpoint has joined, left or changed."""
        self._ticker.arm()

    def ask(self, task: Task) -> None:
        """Take a free slot for `task`, or wait for one; the listener hears of it, now or later."""
        now = task.asked_s
        lease = self._core.acquire(task.request, now)
        if lease is None:
            self._wait(task, now)
        else:
            self._start(task, lease, now)

    def done(self, task: Task, outcome: Outcome, now: float) -> None:
        """Give the slot back: the call of `task` has ended; whoever waited for the slot is served."""
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
        """Let the pool hear what the endpoint of `task` says of its load."""
        self._core.told(task.lease, load, now)

    def record(self) -> ClusterRecord | None:
        """Return what it cost that callers are in several processes; None if they are not."""
        return None

    def _wait(self, task: Task, now: float) -> None:
        timeout_s = task.demand.timeout_s if task.plan is None else task.within_s
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
        self._watch(task, waiter, timeout_s)

    def _watch(self, task: Task, waiter: Waiter, timeout_s: float) -> None:
        """See to it that a wait ends in time, and that a retry polls meanwhile."""
        if timeout_s < inf:
            after(self._env, timeout_s, self._expire, (task, waiter))
        if task.polls is not None:
            self._poll_later((task, task.polls, waiter))

    def _poll_later(self, retry: tuple[Task, RetryPolls, Waiter]) -> None:
        _, polls, waiter = retry
        if polls.at_s < waiter.deadline_s:
            after(self._env, polls.at_s - self._env.now, self._poll, retry)

    def _poll(self, retry: tuple[Task, RetryPolls, Waiter]) -> None:
        """Let a retry that still waits look again, at its place in the queue."""
        task, polls, waiter = retry
        if waiter.ended:
            return
        for other in polls.look(self.core_of(task), waiter, self._env.now):
            other.wake()
        self._moved(task)
        if not waiter.ended:
            self._poll_later(retry)

    def _expire(self, waiting: tuple[Task, Waiter]) -> None:
        task, waiter = waiting
        if not waiter.ended:
            others = self.core_of(task).cancel(waiter, self._env.now, timed_out=True)
            waiter.wake()
            for other in others:
                other.wake()
            self._moved(task)

    def _moved(self, task: Task) -> None:
        """See to what is due, after something has changed for those who wait where `task` is."""
        self._ticker.arm()

    def _woken(self, task: Task) -> None:
        waiter: Waiter = task.waiter
        task.waiter = None  # each knows the other, and nobody else knows them: a cycle is costly to find
        if waiter.lease is not None:
            self._start(task, waiter.lease, waiter.lease.granted_s)
        elif waiter.error is not None:
            self._refuse(task, waiter.error)


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
        after(self._env, self.POLL_S, self._expire, (task, task.waiter))

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
