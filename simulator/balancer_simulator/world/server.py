"""Simulated servers: how long a call takes at an endpoint, and how it ends, by speed, faults and other calls.

Fault effects decide from the time and a random number what the faults of an endpoint do to a call that begins now.
"""

import random
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from simpy import Environment, Event, Timeout

from balancer.answers import Load
from balancer.endpoint import Hint, Outcome
from balancer_simulator.scenario.endpoints import (
    CrashRepair,
    EndpointModel,
    FailWithin,
    Fault,
    SlowSpells,
    SlowWithin,
)
from balancer_simulator.world.cache import PromptCache
from balancer_simulator.world.calendar import after
from balancer_simulator.world.host import SharedHost
from balancer_simulator.world.task import Task

__all__ = [
    "CallEnded", "FaultEffects", "FaultyServer", "ServerParts", "SimulatedServer", "SpellEffect", "load_of",
]  # fmt: skip

_CYCLES: Final = 50  # a run begins anywhere in so many mean cycles of spells: nearly as in the long run


class SpellEffect:
    """The slow spells of one endpoint. They depend on nothing that happens in the run.

    Args:
        spells: the fault.
        between_s: drawn seconds between spells.
        lasts_s: drawn seconds of each spell.
        phase: where in the course of spells the run begins, 0 to 1.
    """

    def __init__(self, spells: SlowSpells, between_s: Iterator[float], lasts_s: Iterator[float], phase: float) -> None:
        self._factor = spells.factor
        self._between_s = between_s
        self._lasts_s = lasts_s
        self._slow = False
        self._until_s = next(between_s) - phase * _CYCLES * spells.cycle_s

    def factor(self, now: float) -> float:
        """Return how many times as long work takes that begins at `now`, which never decreases."""
        while self._until_s <= now:
            self._slow = not self._slow
            self._until_s += next(self._lasts_s if self._slow else self._between_s)
        return self._factor if self._slow else 1.0


class FaultEffects:
    """The faults of one endpoint during a run.

    Attributes:
        down: number of its crashes that are not repaired yet.
    """

    def __init__(self, faults: Sequence[Fault], rng: random.Random, spells: Iterable[SpellEffect] = ()) -> None:
        self._rng = rng
        self._spells = list(spells)
        self._slow = [fault for fault in faults if isinstance(fault, SlowWithin)]
        self._fail = [fault for fault in faults if isinstance(fault, FailWithin)]
        self.crashes = [fault for fault in faults if isinstance(fault, CrashRepair)]
        self.down = 0

    def fails_after(self, now: float) -> float | None:
        """Return when a call that begins at `now` fails without work; inf: after its work; None: it does not fail."""
        if self.down:
            return min(crash.refuse_s for crash in self.crashes)
        struck = self._struck(now)
        return min(inf if fault.after_s is None else fault.after_s for fault in struck) if struck else None

    def factor(self, now: float) -> float:
        """Return how many times as long work takes that begins at `now`, which never decreases."""
        factor = 1.0
        for slow in self._slow:
            if slow.from_s <= now < slow.to_s:
                factor *= slow.factor
        for spells in self._spells:
            factor *= spells.factor(now)
        return factor

    def _struck(self, now: float) -> list[FailWithin]:
        # Each fault draws once for every call in its time, independent of the others, so that the draws stay in step.
        within = [fault for fault in self._fail if fault.from_s <= now < fault.to_s]
        return [fault for fault in within if self._rng.random() < fault.probability]


_SUCCESS: Final = Outcome.SUCCESS  # looked up once, because attributes of an Enum are slow


CallEnded = Callable[..., None]
"""Called at the end of every call, with its task, and with its outcome unless it is a success."""


class SimulatedServer:
    """An endpoint without faults, with room for all its calls: a call takes its work / speed.

    Attributes:
        number: its place among the servers of the run.
    """

    def __init__(self, env: Environment, number: int, model: EndpointModel, served: CallEnded) -> None:
        self._env = env
        self._model = model
        self._speed = model.speed
        self._served = served
        self.number = number

    def begin(self, task: Task) -> None:
        """Begin a call."""
        Timeout(self._env, task.work_s / self._speed, task).callbacks.append(self._worked)

    def _worked(self, end: Event) -> None:
        served = self._served
        task: Task = end.value  # type: ignore[assignment]  # which a timeout of SimPy does not tell
        served(task)


def load_of(model: EndpointModel, calls: int) -> Load:
    """Return the load that an answer reports, if a server has so many other calls."""
    at_once = model.parallel or model.capacity
    waiting = float(max(0, calls - at_once))
    return Load(application_utilization=min(1.0, calls / at_once), named_metrics={"num_requests_waiting": waiting})


@dataclass(slots=True, eq=False)
class _ServerCall:
    """A call under way in a faulty server. `at_work`: its work has begun."""

    server: "FaultyServer"
    task: Task
    work_s: float
    fails: bool
    at_work: bool = False
    dropped: bool = False

    def done(self) -> None:
        self.server.worked(self)


@dataclass(frozen=True, slots=True)
class ServerParts:
    """Parts of a server beyond the simple one.

    Attributes:
        host: whose cores its calls share; None: each has one of its own.
        effects: its faults.
        service: seconds of each call at speed 1; None: the task's own work.
        services: the same for the calls of a kind, by its name; those of other kinds use `service`.
        network: seconds on the network; None: none.
        cache: of its prompts; None: it has none.
        call_timeout_s: after which a caller gives up; None: never.
    """

    host: SharedHost | None
    effects: FaultEffects
    service: Iterator[float] | None
    services: Mapping[str, Iterator[float]]
    network: Iterator[float] | None
    cache: PromptCache | None
    call_timeout_s: float | None


class FaultyServer(SimulatedServer):
    """An endpoint with faults, a network, a queue, or a shared host."""

    def __init__(
        self, env: Environment, number: int, model: EndpointModel, served: CallEnded, parts: ServerParts
    ) -> None:
        super().__init__(env, number, model, served)
        self._parts = parts
        self._room: float = model.parallel or inf
        self._line: deque[_ServerCall] = deque()  # that wait inside for room
        self._calls: dict[_ServerCall, None] = {}  # under way, oldest first

    def begin(self, task: Task) -> None:
        """Begin a call."""
        beyond = self._model.refuse_beyond
        if beyond is not None and len(self._calls) >= beyond:
            after(self._env, self._model.refuse_s, self._refuse, task)
            return
        parts = self._parts
        fails_s = parts.effects.fails_after(self._env.now)
        works = fails_s is None or fails_s == inf
        own = parts.services.get(task.demand.name, parts.service)
        work_s = task.work_s if own is None else next(own)
        if parts.cache is not None and works:
            work_s += parts.cache.missing(task.demand.prompt) * self._model.prefill_s
        call = _ServerCall(self, task, work_s / self._speed, fails_s is not None)
        self._calls[call] = None
        away_s = next(parts.network) if parts.network else 0.0
        if fails_s is not None and not works:
            after(self._env, fails_s, self._over, call)
        elif away_s:
            after(self._env, away_s, self._arrive, call)
        else:
            self._arrive(call)
        if parts.call_timeout_s is not None and call in self._calls:
            after(self._env, parts.call_timeout_s, self._give_up, call)

    def worked(self, call: _ServerCall) -> None:
        """End a call whose work is done, and let the next one in."""
        if call in self._calls:
            self._room += 1
            self._end(call, Outcome.FAILURE if call.fails else Outcome.SUCCESS)
            self._admit()

    def crash(self) -> None:
        """Fail everything that is under way, and lose the cache."""
        if self._parts.cache is not None:
            self._parts.cache.clear()
        for call in list(self._calls):
            if call in self._calls:  # the end of one may end another
                self._abort(call)

    def _end(self, call: _ServerCall, outcome: Outcome) -> None:
        del self._calls[call]
        self._served(call.task, outcome)

    def _arrive(self, call: _ServerCall) -> None:
        if call in self._calls:
            self._line.append(call)
            self._admit()

    def _admit(self) -> None:
        while self._line and self._room:
            self._room -= 1
            call = self._line.popleft()
            call.at_work = True
            work_s = call.work_s * self._parts.effects.factor(self._env.now)
            if self._parts.host is None:
                after(self._env, work_s, self.worked, call)
            else:
                self._parts.host.enter(call, work_s)

    def _over(self, call: _ServerCall) -> None:
        if call in self._calls:
            self._end(call, Outcome.FAILURE)

    def _refuse(self, task: Task) -> None:
        task.lease.hint = Hint(retry_after_s=self._model.retry_after_s)
        self._served(task, Outcome.OVERLOAD)

    def _give_up(self, call: _ServerCall) -> None:
        if call in self._calls:
            call.task.lease.hint = Hint(timed_out=True)
            self._abort(call)

    def _abort(self, call: _ServerCall) -> None:
        if call in self._line:
            self._line.remove(call)
        elif call.at_work:
            call.dropped = True
            if self._parts.host is not None:
                self._parts.host.drop(call)
            self._room += 1
            self._admit()
        self._end(call, Outcome.FAILURE)
