"""Service stations: where work is done, at its own pace, on shared cores, or after a queue.

A station has jobs and the ends of their work; endpoints, leases and faults are elsewhere.
"""

from abc import ABC, abstractmethod
from collections import deque
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from simpy import Environment

from balancer_simulator.world.calendar import after

__all__ = ["QueueingStation", "ServiceStation", "SharedHost", "StationJob", "Timer"]


class StationJob(ABC):
    """Some work. `dropped` is set when nobody waits for it any more."""

    __slots__ = ("dropped", "due")

    def __init__(self) -> None:
        self.dropped = False
        self.due = 0.0

    @abstractmethod
    def begun(self) -> float:
        """Return how long the work takes, in seconds. Called once, when it begins."""

    @abstractmethod
    def done(self) -> None:
        """Called when the work is done; not for a dropped job."""


class ServiceStation(Protocol):
    """A place where work is done."""

    def enter(self, job: StationJob) -> None:
        """Begin `job`, now or when there is room; `job.done()` is called when it is finished."""
        ...

    def drop(self, job: StationJob) -> None:
        """Remove `job`, which has entered and is not done; its room is free at once."""
        ...


class Timer:
    """Room for all jobs: each takes the time of its own work."""

    def __init__(self, env: Environment) -> None:
        self._env = env

    def enter(self, job: StationJob) -> None:
        """Begin `job`."""
        after(self._env, job.begun(), self._end, job)

    def drop(self, job: StationJob) -> None:
        """Remove `job`."""
        job.dropped = True

    def _end(self, job: StationJob) -> None:
        if not job.dropped:
            job.done()


class QueueingStation:
    """At most `parallel` jobs at once in the station behind it; the others wait, first come first served."""

    def __init__(self, parallel: int, behind: ServiceStation) -> None:
        self._free = parallel
        self._behind = behind
        self._queue: deque[_QueuedJob] = deque()
        self._inside: dict[StationJob, _QueuedJob] = {}

    def enter(self, job: StationJob) -> None:
        """Begin `job`, or let it wait."""
        standing = self._inside[job] = _QueuedJob(job, self)
        self._queue.append(standing)
        self._admit()

    def drop(self, job: StationJob) -> None:
        """Remove `job`, begun or waiting."""
        job.dropped = True
        standing = self._inside.pop(job)
        if standing.admitted:
            self._behind.drop(standing)
            self._free += 1
            self._admit()
        else:
            self._queue.remove(standing)

    def leave(self, standing: "_QueuedJob") -> None:
        """Let the next job in."""
        del self._inside[standing.job]
        self._free += 1
        standing.job.done()
        self._admit()

    def _admit(self) -> None:
        while self._free and self._queue:
            self._free -= 1
            standing = self._queue.popleft()
            standing.admitted = True
            self._behind.enter(standing)


class _QueuedJob(StationJob):
    """A job in the queue or past it, as the station behind it sees it."""

    __slots__ = ("admitted", "job", "queue")

    def __init__(self, job: StationJob, queue: QueueingStation) -> None:
        super().__init__()
        self.job = job
        self.queue = queue
        self.admitted = False

    def begun(self) -> float:
        return self.job.begun()

    def done(self) -> None:
        self.queue.leave(self)


class SharedHost:
    """Cores that all their jobs share evenly: with more jobs than cores, each gets a part of one.

    Processor sharing in virtual time: every job on the host makes the same progress, so the one with the least work
    left is done next. A step costs O(log jobs).
    """

    def __init__(self, env: Environment, cores: float) -> None:
        self._env = env
        self._cores = cores
        self._progress = 0.0  # seconds of work that each job has had since the host began
        self._at_s = env.now
        self._jobs: list[tuple[float, int, StationJob]] = []  # a heap by the progress at which a job is done
        self._running = 0
        self._tickets = count()
        self._alarm = 0  # number of the valid timeout; earlier ones are ignored

    def enter(self, job: StationJob) -> None:
        """Begin `job`."""
        self._advance()
        job.due = self._progress + job.begun()
        heappush(self._jobs, (job.due, next(self._tickets), job))
        self._running += 1
        self._set_alarm()

    def drop(self, job: StationJob) -> None:
        """Remove `job`."""
        self._advance()
        job.dropped = True
        self._running -= 1
        self._set_alarm()

    def _rate(self) -> float:
        return min(1.0, self._cores / self._running) if self._running else 1.0

    def _advance(self) -> None:
        now = self._env.now
        self._progress += (now - self._at_s) * self._rate()
        self._at_s = now

    def _set_alarm(self) -> None:
        while self._jobs and self._jobs[0][2].dropped:
            heappop(self._jobs)
        self._alarm += 1
        if self._jobs:
            left_s = max(0.0, self._jobs[0][0] - self._progress) / self._rate()
            after(self._env, left_s, self._ring, self._alarm)

    def _ring(self, alarm: int) -> None:
        if alarm != self._alarm:
            return
        self._advance()
        due, _, job = heappop(self._jobs)
        self._progress = max(self._progress, due)  # what rounding left over
        self._running -= 1
        self._set_alarm()
        job.done()
