"""Measurements of a run: servers and waiting requests, sampled from time to time, and requests under way.

The number of slots follows endpoints that join, leave or change: one that is drained or removed has none, one that has
crashed has all its own.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from simpy import Environment

from balancer_simulator.run.record import EndpointRecord, Timeline
from balancer_simulator.run.requests import RequestCounts
from balancer_simulator.scenario.distributions import Floats
from balancer_simulator.scenario.endpoints import Change
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.world.calendar import after
from balancer_simulator.world.fleet import Fleet
from balancer_simulator.world.sources import TaskSource

__all__ = ["Measurement", "Steps", "slot_seconds", "slots_of"]

_BINS: Final = 120  # of a timeline
_NUMBERS: Final = 1000  # samples of the number of requests under way

Steps = Sequence[tuple[float, int]]
"""From which instant (s) an endpoint has how many slots, in order."""


class Measurement:
    """Samples of a run.

    Args:
        env: virtual time.
        scenario: of the run.
        fleet: the servers.
        counts: the requests.
        source: has the workers, if any.

    Attributes:
        halfway: see `Record`.
        numbers: see `Record`.
    """

    def __init__(
        self, env: Environment, scenario: Scenario, fleet: Fleet, counts: RequestCounts, source: TaskSource
    ) -> None:
        self._env = env
        self._scenario = scenario
        self._servers = fleet.servers
        self._prompts = fleet.prompts
        self._stirred = fleet.stirred
        self._busy_s, self._in_flight = np.zeros(len(fleet.servers)), np.zeros(len(fleet.servers))  # at the last look
        self._hosts = fleet.hosts
        self._counts = counts
        self._source = source
        hosts = {url: server.model.endpoint(url).host or "" for url, server in fleet.servers.items() if fleet.hosts}
        self._host_of = {url: host for url, host in hosts.items() if host in fleet.hosts}
        self.halfway = (0, 0)
        self.numbers: list[int] = []
        self._before: dict[str, tuple[int, int, float]] = {}
        self._looks: list[tuple[float, float, Floats]] = []  # instant, requests that wait, slot-seconds of each server
        self._slots = slots_of(scenario)
        self._changes = list(scenario.changes)
        # Those that may have calls that wait inside, or for a share of their host.
        self._crowded = {
            url: server for url, server in fleet.servers.items() if server.model.parallel or url in self._host_of
        }
        self._bin_s = scenario.horizon_s / _BINS

    def begin(self, *, bound_s: float | None) -> None:
        """Begin to sample.

        Args:
            bound_s: the least duration of the run, which makes the bins of the timeline finer. None: unknown.
        """
        horizon_s, from_s = self._scenario.horizon_s, self._counts.from_s
        self._bin_s = min(horizon_s, bound_s or math.inf) / _BINS
        self._look()
        if from_s:
            after(self._env, from_s, Measurement._end_warmup, self)
        after(self._env, (from_s + horizon_s) / 2, Measurement._look_halfway, self)
        if not self._scenario.is_batch:
            self._count_under_way(horizon_s / _NUMBERS)

    def follow(self, change: Change) -> None:
        """Take note of a change of the pool that is not one of the scenario's."""
        self._changes.append(change)
        model = self._servers[change.url].model
        self._slots[change.url] = _steps(self._changes, change.url, model.capacity, model.from_s)

    @property
    def waiting(self) -> float:
        """Mean number of waiting requests in the second half of the time that counts."""
        middle_s = (self._counts.from_s + self._scenario.horizon_s) / 2
        found = [waiting for at_s, waiting, _ in self._looks if at_s >= middle_s]
        return sum(found) / max(1, len(found))

    def endpoints(self, end_s: float) -> tuple[EndpointRecord, ...]:
        known = _SlotSeconds(np.array([self._counts.from_s, end_s]))
        return tuple(self._endpoint(url, known, end_s) for url in self._servers)

    def crews(self) -> tuple[tuple[int, ...], ...]:
        """Return the number of calls of each worker, for each group that worked together."""
        crews: dict[str, list[int]] = {}
        for worker in self._source.workers:
            crews.setdefault(worker.part, []).append(worker.calls)
        return tuple(map(tuple, crews.values()))

    def timeline(self) -> Timeline:
        """Return what was seen at each look."""
        at_s, waiting = (np.array(found) for found in list(zip(*self._looks, strict=True))[:2])
        lasts_s = np.diff(at_s)
        known = _SlotSeconds(at_s)
        slots = np.array([np.diff(known.of(self._slots[url])) for url in self._servers])
        busy = np.diff(np.array([row for *_, row in self._looks]), axis=0).T
        in_flight, slots = ((found / lasts_s).astype(np.float32) for found in (np.maximum(busy, 0.0), slots))
        return Timeline(at_s, waiting, in_flight, slots, tuple(self._servers), self._counts.from_s)

    # -- inside ------------------------------------------------------------------------------------

    def _end_warmup(self) -> None:
        now = self._env.now
        self._before = {url: (s.calls, s.failures, s.busy_until(now)) for url, s in self._servers.items()}
        self._prompts.reset()
        for worker in self._source.workers:
            worker.calls = 0

    def _look_halfway(self) -> None:
        under_way = self._counts.unfinished
        self.halfway = (sum(self._counts.ended) + under_way, under_way)

    def _count_under_way(self, every_s: float) -> None:
        if self._env.now >= self._counts.from_s:
            self.numbers.append(len(self._counts.under_way))
        after(self._env, every_s, self._count_under_way, every_s)

    def _look(self) -> None:
        """Sample the servers, and schedule the next sample. Bins are merged, because the end of a batch is unknown."""
        now = self._env.now
        self._looks.append((now, self._waiting_now(), self._busy_until(now)))
        if len(self._looks) > 2 * _BINS:
            self._looks = self._looks[::2]
            self._bin_s *= 2
        after(self._env, self._bin_s, Measurement._look, self)

    def _waiting_now(self) -> float:
        """Return how many requests wait: for a lease, in a queue inside their server, or for a share of their host."""
        waiting = float(sum(task.asks for task in self._counts.under_way))
        on_host = dict.fromkeys(self._hosts, 0)
        for url, server in self._crowded.items():
            at_work = min(server.in_flight, server.model.parallel or server.in_flight)
            waiting += server.in_flight - at_work
            if url in self._host_of:
                on_host[self._host_of[url]] += at_work
        return waiting + sum(max(0.0, calls - self._scenario.hosts[host].cores) for host, calls in on_host.items())

    def _busy_until(self, now: float) -> Floats:
        """Return the slot-seconds of each server so far, as `SimulatedServer.busy_until` has them."""
        busy_s, in_flight = self._busy_s, self._in_flight
        for server in self._stirred:
            server.stirred = False
            busy_s[server.number] = server.busy_s
            in_flight[server.number] = server.in_flight
        self._stirred.clear()
        return busy_s + in_flight * now

    def _endpoint(self, url: str, known: "_SlotSeconds", end_s: float) -> EndpointRecord:
        server = self._servers[url]
        calls, failures, busy_s = self._before.get(url, (0, 0, 0.0))
        return EndpointRecord(
            url=url,
            capacity=server.model.capacity,
            slots_s=known.whole_of(self._slots[url]),
            weight=server.model.weight,
            calls=server.calls - calls,
            failures=server.failures - failures,
            busy_s=max(0.0, server.busy_until(end_s) - busy_s),
        )


class _SlotSeconds:
    """The slots x seconds up to some instants. Nearly all endpoints have the same slots as others."""

    def __init__(self, at_s: Floats) -> None:
        self._at_s = at_s
        self._known: dict[tuple[tuple[float, int], ...], Floats] = {}

    def of(self, steps: Steps) -> Floats:
        """Return them up to each instant."""
        key = tuple(steps)
        if key not in self._known:
            self._known[key] = slot_seconds(steps, self._at_s)
        return self._known[key]

    def whole_of(self, steps: Steps) -> float:
        """Return them from the first instant to the last."""
        found = self.of(steps)
        return float(found[-1] - found[0])


def slots_of(scenario: Scenario) -> dict[str, Steps]:
    """Return how many slots every endpoint has over time, by URL."""
    return {url: _steps(scenario.changes, url, model.capacity, model.from_s) for url, model in scenario.by_url.items()}


def _steps(changes: Sequence[Change], url: str, capacity: int, from_s: float) -> Steps:
    steps, there = [(from_s, capacity)], True
    for change in sorted((c for c in changes if c.url == url), key=lambda c: c.at_s):
        capacity = change.capacity or capacity
        there = change.do == "add" or (there and change.do == "update")
        steps.append((change.at_s, capacity if there else 0))
    return steps


def slot_seconds(steps: Steps, at_s: Floats) -> Floats:
    """Return slots x seconds up to each of some instants."""
    found = np.zeros(len(at_s))
    for (since_s, slots), (until_s, _) in pairwise([*steps, (math.inf, 0)]):
        found += slots * np.clip(at_s - since_s, 0.0, until_s - since_s)
    return found
