"""Tasks, with their workers and their kinds of requests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

import numpy as np

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease
from balancer.strategy import Request
from balancer_simulator.world.calendar import Entry

__all__ = ["Demand", "ServesCalls", "Task", "Worker"]


class ServesCalls(Protocol):
    """The server of a call, as a task sees it."""

    def begin(self, task: "Task", now: float) -> None:
        """Begin the call of `task`."""
        ...

    def finish(self, task: "Task", now: float, failed: bool) -> None:
        """Free the slots of the call of `task`."""
        ...

    def leave_behind(self, task: "Task", now: float) -> None:
        """Record that nobody waits for the call of `task` any more, although it goes on."""
        ...

    def forget(self, task: "Task", now: float) -> None:
        """Record that a call which was left behind is over."""
        ...


@dataclass(frozen=True, slots=True)
class Demand:
    """A kind of request, ready for use.

    Attributes:
        name: of the kind.
        request: to the pool.
        priority: as in a pool.
        timeout_s: how long it waits for an endpoint; inf: for ever.
        used_tokens: tokens of a quota that its answer reports; None: it reports none.
        again: draws the work of a further call, if that does not belong to the request.
    """

    name: str
    request: Request
    priority: int
    timeout_s: float
    used_tokens: int | None = None
    again: Callable[[np.random.Generator], float] | None = field(default=None, compare=False)


class Worker:
    """A thread of the simulated pipeline.

    Attributes:
        part: its group, e.g. a sample; for charts.
        index: its number within the part.
        lease, turn: for disciplines that keep an endpoint.
        calls: calls it made so far.
    """

    __slots__ = ("calls", "index", "lease", "part", "turn")

    def __init__(self, part: str, index: int) -> None:
        self.part = part
        self.index = index
        self.lease: Lease | None = None
        self.turn = 0
        self.calls = 0


class Task(Entry):
    """One request, until it has its answer or is lost; as an entry of the calendar it is the end of its call.

    Attributes:
        number: in the order in which tasks were made.
        work_s: seconds of work at speed 1.
        demand, request: its kind, and the request of the present attempt: a retry goes elsewhere.
        plan: of its call, once something has failed or is slow; see `balancer.core.attempt_plan`.
        failed_at: where it failed last.
        within_s: how long a retry waits for an endpoint.
        polls: those of a retry, while it waits.
        worker: that makes the request; None: none.
        arrived_s, asked_s: when it came, and when the present attempt asked for an endpoint; once it has one, when its
            call began.
        attempt_asked_s: of a call that is kept as a span: when its attempt asked.
        attempt: calls begun so far.
        asks: it asks for an endpoint, or waits for one.
        lease, server, waiter: of the present attempt.
        rival: of a call that is made twice: the other one, while it is under way.
        leader: of the second one: the task that it is made for.
        beaten: the other one was faster; nobody waits for the end of this one.
    """

    lease: Lease
    server: ServesCalls
    attempt = 0
    asks = True
    plan: AttemptPlan | None = None
    failed_at = ""
    within_s = inf
    polls: RetryPolls | None = None
    rival: "Task | None" = None
    leader: "Task | None" = None
    beaten = False
    attempt_asked_s = 0.0
    waiter: Any = None

    def __init__(self, number: int, work_s: float, demand: Demand, worker: Worker | None, now: float) -> None:
        self.number = number
        self.work_s = work_s
        self.demand = demand
        self.request = demand.request
        self.worker = worker
        self.arrived_s = self.asked_s = now
