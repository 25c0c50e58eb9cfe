"""Tasks, with their workers and their kinds of requests."""

from dataclasses import dataclass
from math import inf
from typing import Any, Protocol

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease
from balancer.strategy import Request

__all__ = ["Demand", "ServesCalls", "Task", "Worker", "new_task"]


class ServesCalls(Protocol):
    """The server of a call, as a task sees it. `number` is its place among those of the run."""

    number: int

    def begin(self, task: "Task", now: float) -> None: ...

    def finish(self, task: "Task", now: float, failed: bool) -> None:
        """Free the slots of the call of `task`."""
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
        prompt: the names of its blocks, with a slash between two; "": it has none.
        session: the name of its session; "": it has none.
    """

    name: str
    request: Request
    priority: int
    timeout_s: float
    used_tokens: int | None = None
    prompt: str = ""
    session: str = ""


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


class TaskOwner(Protocol):
    """Who asks for an endpoint for tasks, as a task sees it."""

    def woken(self, task: "Task") -> None:
        """Handle the end of the wait of `task`."""
        ...


class Task:
    """One request, until it has its answer or is lost.

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
        waited_s: how long it has waited for them.
        asks: it asks for an endpoint, or waits for one.
        lease, server, waiter: of the present attempt.
        asker: who has it wait.
        rival: of a call that is made twice: the other one, while it is under way.
        leader: of the second one: the task that it is made for.
        beaten: the other one was faster; nobody waits for the end of this one.
    """

    # Slots that are all set at once, by `new_task`: to find the value of a class is slower than to set one.
    __slots__ = (
        "arrived_s",
        "asked_s",
        "asker",
        "asks",
        "attempt",
        "attempt_asked_s",
        "beaten",
        "demand",
        "failed_at",
        "leader",
        "lease",
        "number",
        "plan",
        "polls",
        "request",
        "rival",
        "server",
        "waited_s",
        "waiter",
        "within_s",
        "work_s",
        "worker",
    )

    number: int
    work_s: float
    demand: Demand
    request: Request
    plan: AttemptPlan | None
    failed_at: str
    within_s: float
    polls: RetryPolls | None
    worker: Worker | None
    arrived_s: float
    asked_s: float
    attempt_asked_s: float
    attempt: int
    waited_s: float
    asks: bool
    lease: Lease
    server: ServesCalls
    waiter: Any
    asker: TaskOwner
    rival: "Task | None"
    leader: "Task | None"
    beaten: bool

    def wake(self) -> None:
        """Report the end of its wait. As a method it costs a waiter half of what a `partial` does."""
        self.asker.woken(self)


def new_task(number: int, work_s: float, demand: Demand, worker: Worker | None, now: float) -> Task:
    """Return a task that has just come. It fills in a blank object, as a ledger does with a lease."""
    task = Task()
    task.number = number
    task.work_s = work_s
    task.demand = demand
    task.request = demand.request
    task.worker = worker
    task.arrived_s = task.asked_s = task.attempt_asked_s = now
    task.attempt = 0
    task.waited_s = 0.0
    task.asks = True
    task.plan = task.polls = task.rival = task.leader = None
    task.failed_at = ""
    task.within_s = inf
    task.beaten = False
    return task
