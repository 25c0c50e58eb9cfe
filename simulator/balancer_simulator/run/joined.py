"""What a user's own SimPy process may do in a run: look, change the pool, and make requests of its own."""

from collections.abc import Callable, Generator
from typing import Any, Literal

from simpy import Environment, Event

from balancer.core import Core
from balancer_simulator.scenario.endpoints import Change
from balancer_simulator.world.calendar import after
from balancer_simulator.world.task import Worker

__all__ = ["JoinedRun", "Process", "ProcessCaller", "told_as_it_is"]


class ProcessCaller(Worker):
    """The caller of one request of a process. `over` succeeds at its end, with whether it has its answer."""

    __slots__ = ("over",)

    def __init__(self, over: Event) -> None:
        super().__init__("processes", 0)
        self.over = over


class JoinedRun:
    """A run, for a process that joins it.

    Attributes:
        env: SimPy's environment: `yield run.env.timeout(5.0)`, `run.env.process(...)`, and all else of SimPy.

    Args:
        env, core: of the run.
        change: carries out a change of the pool.
        ask: makes a request, by its work and the name of its kind; the event is its end.
    """

    def __init__(
        self, env: Environment, core: Core, change: Callable[[Change], None], ask: Callable[[float, str, Event], None]
    ) -> None:
        self.env = env
        self._core = core
        self._change = change
        self._ask = ask

    @property
    def waiting(self) -> int:
        """Number of requests that wait for an endpoint."""
        return self._core.waiting

    def in_flight(self, url: str) -> int:
        """Return the number of slots in use at an endpoint. Raises UnknownEndpoint."""
        return self._core.ledger.account(url).in_flight

    def change(self, do: Literal["add", "drain", "remove", "update"], url: str, **values: Any) -> None:
        """Change the pool now, as one of the scenario's `changes` does. Raises ValueError or UnknownEndpoint."""
        self._change(Change(at_s=self.env.now, do=do, url=url, **values))

    def request(self, work_s: float, kind: str = "") -> Event:
        """Make a request now; the event succeeds when it is over, with whether it has its answer.

        Args:
            work_s: seconds on an endpoint of speed 1.
            kind: name of one of `requests.kinds`; default: the first.
        """
        over = self.env.event()
        self._ask(work_s, kind, over)
        return over


Process = Callable[[JoinedRun], Generator[Event, Any, object]]
"""A SimPy process that joins a run: a generator function, called with the run."""


def told_as_it_is(run: JoinedRun, process: Process) -> Generator[Event, Any, None]:
    """Do as `process`; its error ends the run as it is. SimPy would make a copy, which fails for many of ours."""
    try:
        yield from process(run)
    except Exception as error:
        after(run.env, 0.0, _throw, error)


def _throw(error: Exception) -> None:
    raise error
