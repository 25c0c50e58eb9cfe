"""Shared hosts: cores that the work of several endpoints shares.

A host has jobs and the ends of their work; endpoints, leases and faults are elsewhere.
"""

from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from simpy import Environment

from balancer_simulator.world.calendar import after

__all__ = ["HostJob", "SharedHost"]


class HostJob(Protocol):
    """Some work. `dropped`: nobody waits for it any more. `done` is called at its end, unless it is dropped."""

    dropped: bool

    def done(self) -> None: ...


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
        self._jobs: list[tuple[float, int, HostJob]] = []  # a heap by the progress at which a job is done
        self._running = 0
        self._tickets = count()
        self._alarm = 0  # number of the valid timeout; earlier ones are ignored

    def enter(self, job: HostJob, work_s: float) -> None:
        """Begin `job`, which takes `work_s` on a core of its own."""
        self._advance()
        heappush(self._jobs, (self._progress + work_s, next(self._tickets), job))
        self._running += 1
        self._set_alarm()

    def drop(self, job: HostJob) -> None:
        """Remove `job`, which is not done; its part of the cores is free at once."""
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
