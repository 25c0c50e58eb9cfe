"""Client disciplines: how callers use the pool, and the baselines without a pool.

A discipline decides how a task gets an endpoint and when it returns it. All use the production core.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from math import inf
from typing import Final

from simpy import Environment

from balancer.core import Core, Waiter
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Endpoint, Lease, Outcome
from balancer.errors import BalancerError, NoEndpoint, TooManyWaiters
from balancer.strategy import ANY, Request
from balancer_simulator.world.calendar import after
from balancer_simulator.world.task import Task, Worker

__all__ = [
    "BASELINES",
    "AlwaysFirst",
    "LeasePerCall",
    "OldGlobalQueue",
]

_SUCCESS: Final = Outcome.SUCCESS  # looked up once, because attributes of an Enum are slow
Start = Callable[[Task, Lease, float], None]
Refuse = Callable[[Task, BalancerError], None]


class LeasePerCall:
    """One lease for each call, the normal use of the pool; base class of all disciplines.

    Attributes:
        core: that leases.

    Args:
        start: begins the call of a task, whose lease is granted.
        refuse: gives a task up, for which there is no endpoint.
    """

    def __init__(self, env: Environment, core: Core, start: Start, refuse: Refuse) -> None:
        self._env = env
        self.core = core
        self._start, self._refuse = start, refuse
        self._armed_s = inf

    def enlist(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint as the pool should know it."""
        return endpoint

    def arm(self) -> None:
        """Schedule what is due next for waiters, as a pool's timer does. Call it whenever that may have changed."""
        due_s = self.core.due_s
        if due_s < self._armed_s and self.core.waiting:
            self._armed_s = due_s
            after(self._env, max(0.0, due_s - self._env.now), self._ring, due_s)

    def _ring(self, due_s: float) -> None:
        if due_s != self._armed_s:
            return  # an earlier one was scheduled since
        self._armed_s = inf
        if self._env.now >= self.core.due_s:
            self.wake(self.core.tick(self._env.now))
        else:
            self.arm()

    def wake(self, waiters: Iterable[Waiter]) -> None:
        """Tell waiters that their wait is over, and schedule what is due next."""
        for waiter in waiters:
            waiter.wake()
        self.arm()

    def ask(self, task: Task) -> None:
        """Take a free slot for `task`, or wait for one. The listener gets the result, now or later."""
        now = task.asked_s
        lease = self.core.acquire(task.request, now)
        if lease is None:
            self._wait(task, now)
        else:
            start = self._start
            start(task, lease, now)

    def done(self, task: Task, outcome: Outcome, now: float) -> None:
        """Return the slot after the call of `task` has ended, and serve its waiter. Rules may react to it later."""
        core, used = self.core, task.demand.used_tokens
        if used is not None and outcome is _SUCCESS:
            self.wake(core.used(task.lease, used, now))
        for waiter in core.release(task.lease, outcome, now):
            waiter.wake()
        if core.due_s < inf:
            self.arm()

    def _wait(self, task: Task, now: float) -> None:
        timeout_s = task.demand.timeout_s if task.plan is None else task.within_s
        try:
            waiter = self.core.wait(task.request, now, now + timeout_s, task.demand.priority, partial(self.woken, task))
        except (NoEndpoint, TooManyWaiters) as error:
            self._refuse(task, error)
            return
        task.waiter = waiter
        if waiter.lease is not None:  # its claim was older than that of a waiter for whom slots were kept
            self.woken(task)
            return
        if self.core.due_s < inf:
            self.arm()
        if timeout_s < inf:
            after(self._env, timeout_s, self._expire, waiter)
        if task.polls is not None:
            self._poll_later((task.polls, waiter))

    def _poll_later(self, retry: tuple[RetryPolls, Waiter]) -> None:
        polls, waiter = retry
        if polls.at_s < waiter.deadline_s:
            after(self._env, max(0.0, polls.at_s - self._env.now), self._poll, retry)

    def _poll(self, retry: tuple[RetryPolls, Waiter]) -> None:
        """Let a waiting retry look again, at its place in the queue."""
        polls, waiter = retry
        if waiter.ended:
            return
        self.wake(polls.look(self.core, waiter, self._env.now))
        if not waiter.ended:
            self._poll_later(retry)

    def _expire(self, waiter: Waiter) -> None:
        if not waiter.ended:
            self.wake([waiter, *self.core.cancel(waiter, self._env.now, timed_out=True)])

    def woken(self, task: Task) -> None:
        """Begin the call of `task`, or give up: its wait is over."""
        waiter: Waiter = task.waiter
        task.waiter = None  # they refer to each other, and the garbage collector is slow to find such a cycle
        lease = waiter.lease
        if lease is not None:
            start = self._start
            start(task, lease, lease.granted_s)
        elif waiter.error is not None:
            self._unserved(task, waiter.error)

    def _unserved(self, task: Task, error: BalancerError) -> None:
        self._refuse(task, error)


class AlwaysFirst(LeasePerCall):
    """Baseline without a pool: every part numbers its own workers, and worker k calls endpoint k.

    So every part starts with the first endpoint. Each request of an open workload is a part of its own, with one
    worker. Labels are ignored; a retry goes to the same endpoint.
    """

    def __init__(self, env: Environment, core: Core, start: Start, refuse: Refuse) -> None:
        super().__init__(env, core, start, refuse)
        self._requests: list[Request] = []

    def enlist(self, endpoint: Endpoint) -> Endpoint:
        """Return the endpoint with a label of its own."""
        label = f"only {endpoint.name}"
        request = Request(frozenset({label}))
        if request not in self._requests:
            self._requests.append(request)
        return replace(endpoint, labels=endpoint.labels | {label})

    def ask(self, task: Task) -> None:
        """Wait for the endpoint with this number."""
        index = task.worker.index if task.worker else 0
        task.request = self._requests[index % len(self._requests)]
        super().ask(task)


class OldGlobalQueue(LeasePerCall):
    """Baseline that the pool replaces: one polled queue of endpoints; an endpoint is kept while there is work.

    A worker asks for 0.1 s, sleeps 0.1 s, and asks again. It keeps its endpoint until it has had no work for a second.
    There are no labels and no exclusions, so a retry goes to the same endpoint.
    """

    POLL_S: Final = 0.1
    LINGER_S: Final = 1.0

    def ask(self, task: Task) -> None:
        """Use the worker's endpoint, or begin to poll for one."""
        worker = task.worker
        if worker is not None and worker.lease is not None:
            worker.turn += 1  # its endpoint is not returned by `_linger`
            self._start(task, worker.lease, self._env.now)
        else:
            self._listen(task)

    def done(self, task: Task, outcome: Outcome, now: float) -> None:
        """Keep the endpoint for a while. A task without a worker returns it, because it has no more work."""
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
        self.wake(self.core.release(lease, Outcome.SUCCESS, self._env.now))

    def _listen(self, task: Task) -> None:
        now = self._env.now
        lease = self.core.acquire(ANY, now)
        if lease is not None:
            self._start(task, lease, now)
            return
        try:
            task.waiter = self.core.wait(ANY, now, now + self.POLL_S, 0, partial(self.woken, task))
        except (NoEndpoint, TooManyWaiters) as error:
            self._refuse(task, error)
            return
        after(self._env, self.POLL_S, self._expire, task.waiter)

    def _unserved(self, task: Task, error: BalancerError) -> None:
        """Sleep, and ask again, until it gives up."""
        if self._env.now - task.asked_s >= task.demand.timeout_s:
            self._refuse(task, error)
        else:
            after(self._env, self.POLL_S, self._listen, task)


BASELINES: Final[dict[str, type[LeasePerCall]]] = {
    "always_first": AlwaysFirst,
    "old_global_queue": OldGlobalQueue,
}
"""Designs that the pool replaces, by the name that scenarios call them; all over one `fifo` queue of slots."""
