"""Tasks, with their workers and their kinds of requests."""

from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import Lease
from balancer.strategy import Request

__all__ = ["Demand", "Server", "Task", "Worker"]


class Server(Protocol):
    """The server of a call, as a task sees it. `number` is its place among those of the run."""

    number: int

    def begin(self, task: "Task") -> None: ...


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


@dataclass(slots=True, eq=False)
class Worker:
    """A thread of the simulated pipeline.

    Attributes:
        part: its group, e.g. a sample.
        index: its number within the part.
        lease, turn: for disciplines that keep an endpoint.
        calls: calls it made so far.
    """

    part: str
    index: int
    lease: Lease | None = None
    turn: int = 0
    calls: int = 0


@dataclass(slots=True, eq=False)
class Task:
    """One request, until it has its answer or is lost.

    Attributes:
        number: in the order in which tasks were made.
        work_s: seconds of work at speed 1.
        demand: its kind.
        worker: that makes the request; None: none.
        arrived_s, asked_s, started_s: when it came, when the present attempt asked for an endpoint, and when its call
            began; NaN for an attempt that never asked.
        request: of the present attempt: a retry goes elsewhere.
        asks: it asks for an endpoint, or waits for one.
        lease, server, waiter: of the present attempt.
        plan: of its call, once something has failed or is slow; see `balancer.core.attempt_plan`.
        failed_at: where it failed last.
        within_s: how long a retry waits for an endpoint.
        polls: those of a retry, while it waits.
        rival: of a call that is made twice: the other one, while it is under way.
        leader: of the second one: the task that it is made for.
        beaten: the other one was faster; nobody waits for the end of this one.
    """

    number: int
    work_s: float
    demand: Demand
    worker: Worker | None
    arrived_s: float
    asked_s: float
    request: Request
    asks: bool = True
    started_s: float = field(init=False)
    lease: Lease = field(init=False)
    server: Server = field(init=False)
    waiter: Any = None
    plan: AttemptPlan | None = None
    failed_at: str = ""
    within_s: float = inf
    polls: RetryPolls | None = None
    rival: "Task | None" = None
    leader: "Task | None" = None
    beaten: bool = False
