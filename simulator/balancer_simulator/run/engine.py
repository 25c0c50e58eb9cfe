"""One run: a scenario, a policy and a replication in, a record out.

Decides nothing about balancing: that is the production core's and the strategy's business. It is a shell like the
threaded pool: it makes one call at a time to the core, says what time it is, and does what comes of it. There is
no process per customer: every event calls a function.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import numpy as np
from simpy import Environment

from balancer.core import Core
from balancer.core.budget import RetryBudget
from balancer.endpoint import Lease, Outcome
from balancer.errors import BalancerError, StrategyError
from balancer.load import Load
from balancer.plugins.registry import Registry, default_registry
from balancer.strategy import Strategy
from balancer_simulator.run.attempts import AttemptRunner
from balancer_simulator.run.clustered import ClusteredLeasePerCall
from balancer_simulator.run.disciplines import BASELINES, Discipline, LeasePerCall
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.run.membership import Membership
from balancer_simulator.run.record import CallSpan, EndpointRecord, KindRecord, Record, ServerRecord, Timeline
from balancer_simulator.scenario.policy import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.slots import slot_seconds, slots_of
from balancer_simulator.scenario.workload import Batch, Closed, Tasks
from balancer_simulator.world.batch import BatchSource, bound_of, works_of
from balancer_simulator.world.calendar import after, run_to
from balancer_simulator.world.fleet import Fleet
from balancer_simulator.world.server import CallEnded
from balancer_simulator.world.sources import ClosedSource, OpenSource, TaskSource
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task

__all__ = ["Observer", "Simulation", "simulate_once"]

Observer = Callable[[Task, Lease], None]
"""Told of every grant, as it is made."""

_BINS: Final = 120  # of a timeline
_SETTLE_EVERY: Final = 4096  # requests: the tallies keep the values of so many, and no more
_SUCCESS: Final = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find
_FAILURES: Final = (Outcome.FAILURE, Outcome.OVERLOAD)


def simulate_once(
    scenario: Scenario,
    policy: Policy,
    replication: int = 0,
    *,
    registry: Registry | None = None,
    spans: int = 0,
    observer: Observer | None = None,
    looks: int = 0,
) -> Record:
    """Run `scenario` once under `policy`.

    Args:
        replication: its number; it decides the random numbers together with the scenario's seed.
        registry: where strategies are looked up; default: all that are installed.
        spans: how many calls to keep, the first ones.
        observer: told of every grant.
        looks: how often to look how many requests are under way, evenly spaced; 0: never.

    Raises:
        ConfigError: there is no such strategy, or an option is wrong.
    """
    return Simulation(scenario, policy, replication, registry or default_registry(), spans, observer, looks).record()


def _has_rules(scenario: Scenario) -> bool:
    return bool(scenario.health or scenario.limits or scenario.host_caps or scenario.is_gated)


def _core_of(scenario: Scenario, strategy: Strategy, streams: Streams, now: float, *, by_rules: bool) -> Core:
    """Return the core; what the pool replaces has no rules."""
    return Core(
        (),
        strategy,
        lender=_Lender(),
        max_waiters=scenario.max_waiters,
        health=scenario.health if by_rules else None,
        limits=scenario.limits if by_rules else None,
        host_caps=scenario.host_caps if by_rules else {},
        quotas=scenario.quotas if by_rules else {},
        spill_after_s=scenario.spill_after_s,
        rng=streams.choices(Purpose.HEALTH),
        now=now,
    )


class _Lender:
    """Whom the core's leases belong to. They are given back through the core: nobody releases a lease by itself."""

    def release(self, lease: Lease, outcome: Outcome) -> None:
        raise AssertionError("a simulated lease is given back by its discipline")

    def used(self, lease: Lease, tokens: int) -> None:
        raise AssertionError("what is said of a simulated lease is said to the core")

    def told(self, lease: Lease, load: Load) -> None:
        raise AssertionError("what is said of a simulated lease is said to the core")


class _OfKind:
    """Counts the requests of one kind."""

    def __init__(self) -> None:
        self.wait, self.sojourn = CensoredHistogram(), CensoredHistogram()
        self.completed = self.lost = self.timed_out = 0

    def record(self, name: str) -> KindRecord:
        return KindRecord(name, self.completed, self.lost, self.timed_out, self.wait, self.sojourn)


class Simulation:
    """What is under way in one run."""

    # Slots: a class of more than 30 attributes finds its methods slowly without them.
    __slots__ = (
        "_ask",
        "_attempts",
        "_before",
        "_bin_s",
        "_bound_s",
        "_budget",
        "_completed",
        "_concluded",
        "_core",
        "_counts_from_s",
        "_discipline",
        "_done",
        "_draws_again",
        "_early",
        "_env",
        "_halfway",
        "_hedge_after_s",
        "_host_of",
        "_hosts",
        "_kinds",
        "_last_s",
        "_looks",
        "_looks_wanted",
        "_lost",
        "_membership",
        "_most_spans",
        "_notes_more",
        "_observer",
        "_policy",
        "_populations",
        "_replication",
        "_scenario",
        "_servers",
        "_slots",
        "_sojourn",
        "_source",
        "_spans",
        "_streams",
        "_timed_out",
        "_under_way",
        "_wait",
        "_waiting",
        "_worked_before",
    )

    def __init__(
        self,
        scenario: Scenario,
        policy: Policy,
        replication: int,
        registry: Registry,
        spans: int,
        observer: Observer | None,
        looks: int,
    ) -> None:
        self._scenario = scenario
        self._policy = policy
        self._replication = replication
        self._observer = observer
        self._spans: list[CallSpan] | None = [] if spans else None
        self._most_spans = spans
        self._env = env = Environment()
        self._streams = streams = Streams(scenario.seed, replication)
        baseline = BASELINES.get(policy.strategy)
        self._core = self._new_core(streams, registry)
        self._discipline = self._discipline_of(baseline, streams, registry)
        self._ask = self._discipline.ask
        self._done = self._discipline.done_by_rules if _has_rules(scenario) else self._discipline.done
        retries = None if baseline else scenario.retries
        self._budget = RetryBudget(retries) if retries else None
        self._hedge_after_s = None if baseline else scenario.requests.hedge_after_s
        self._attempts = AttemptRunner(
            env,
            self._discipline.core_of,
            self._ask,
            scenario.requests,
            retries=retries,
            budget=self._budget,
            rng=streams.choices(Purpose.RETRIES),
            avoids=scenario.requests.exclude_failed and baseline is None,
            caller=self,
        )
        served = self._served if self._hedge_after_s is None else self._served_either
        if any(model.tells_load for model in scenario.endpoints):
            served = partial(self._served_and_told, served)
        cluster = Fleet(env, scenario, streams, served)
        self._servers = cluster.servers
        self._hosts = cluster.hosts
        hosts = {url: s.model.endpoint(url).host or "" for url, s in self._servers.items()} if self._hosts else {}
        self._host_of = {url: host for url, host in hosts.items() if host in self._hosts}
        self._draws_again = scenario.requests.work_again == "drawn"
        self._membership = Membership(env, self._core, scenario, self._discipline)
        self._bound_s: float | None = None
        self._source = self._source_of(scenario, streams)
        self._concluded = self._source.conclude
        self._counts_from_s = scenario.counts_from_s
        self._wait, self._sojourn = CensoredHistogram(), CensoredHistogram()
        kinds = scenario.requests.kinds
        self._kinds = {kind.name: _OfKind() for kind in kinds} if len(kinds) > 1 else {}
        of_few = (self._kinds, spans, self._draws_again, observer is not None, self._budget is not None)
        self._notes_more = any(of_few)  # some of what `_note_start` does is to be done for every call
        self._completed = self._lost = self._timed_out = 0
        self._under_way: set[Task] = set()  # those that count
        self._early: set[Task] = set()  # those that do not, unless they wait to the end
        self._halfway = (0, 0)
        self._waiting: list[float] = []  # how many waited, whenever that was looked at in the second half
        self._last_s = 0.0
        self._before: dict[str, tuple[int, int, float]] = {}
        self._worked_before: dict[str, float] = {}
        self._looks_wanted = looks
        self._populations: list[int] = []
        self._looks: list[tuple[float, list[float]]] = []
        self._slots = slots_of(scenario)
        self._bin_s = min(scenario.horizon_s, self._bound_s or math.inf) / _BINS

    def _new_core(self, streams: Streams, registry: Registry) -> Core:
        policy = self._policy
        is_baseline = policy.strategy in BASELINES
        name = "fifo" if is_baseline else policy.strategy
        strategy = registry.strategy(name, policy.options, streams.choices(Purpose.STRATEGY))
        return _core_of(self._scenario, strategy, streams, self._env.now, by_rules=not is_baseline)

    def _discipline_of(self, baseline: type[LeasePerCall] | None, streams: Streams, registry: Registry) -> Discipline:
        """Return how callers use the pool; what the pool replaces has no house."""
        house = self._scenario.house
        if house is None or baseline is not None:
            return (baseline or LeasePerCall)(self._env, self._core, self)
        again = partial(self._new_core, streams, registry)
        return ClusteredLeasePerCall(self._env, self._core, again, self, house, streams, self._scenario.counts_from_s)

    def _source_of(self, scenario: Scenario, streams: Streams) -> TaskSource:
        workload = scenario.workload
        if isinstance(workload, Batch | Tasks):
            works, kinds = works_of(scenario, workload, streams)
            batch = workload.batch if isinstance(workload, Tasks) else workload
            self._bound_s = bound_of(scenario, batch, works)
            return BatchSource(self._env, scenario, batch, works, kinds, streams, self._submit)
        if isinstance(workload, Closed):
            return ClosedSource(self._env, scenario, workload, streams, self._submit)
        return OpenSource(self._env, scenario, workload, streams, self._submit)

    # -- the way of a task -------------------------------------------------------------------------

    def _submit(self, task: Task) -> None:
        if task.arrived_s >= self._counts_from_s:
            self._under_way.add(task)
        else:
            self._early.add(task)
        self._ask(task)

    def start(self, task: Task, lease: Lease, now: float) -> None:
        """Begin the call: `lease` is granted."""
        if task.arrived_s >= self._counts_from_s:
            self._wait.add(now - task.asked_s)
        task.attempt += 1
        task.asks = False
        task.lease = lease
        task.server = server = self._servers[lease.endpoint.name]
        if self._notes_more or task.course is not None or task.worker is not None:
            self._note_start(task, lease, now)
        task.asked_s = now
        server.begin(task, now)
        if self._hedge_after_s is not None:
            after(self._env, self._hedge_after_s, self._attempts.slow, (task, lease))

    def _note_start(self, task: Task, lease: Lease, now: float) -> None:
        """Do what has to be done before a call begins, in few runs or for few calls."""
        if self._kinds and task.arrived_s >= self._counts_from_s:
            self._kinds[task.demand.name].wait.add(now - task.asked_s)
        if task.course is not None:
            self._attempts.granted(task, task.course, now)
        elif self._budget is not None:
            self._budget.attempted(now)
        if task.worker is not None:
            task.worker.calls += 1
        if self._observer is not None:
            self._observer(task, lease)
        if self._spans is not None:
            task.attempt_asked_s = task.asked_s
        if self._draws_again and task.attempt > 1:
            task.work_s = self._drawn_again(task, task.attempt)

    def _served(self, task: Task, outcome: Outcome = _SUCCESS) -> None:
        now = self._env.now
        task.server.finish(task, now, outcome is not _SUCCESS)
        if self._spans is not None:
            self._keep_span(task, outcome)
        self._done(task, outcome, now)
        if outcome is _SUCCESS:
            self._succeed(task, now)
        else:
            self._attempts.failed(task, task.lease, now)

    def _served_and_told(self, served: CallEnded, task: Task, outcome: Outcome = _SUCCESS) -> None:
        """Let the pool hear what the answer says of the server's load, and do what `served` does."""
        server = self._servers[task.lease.endpoint.name]
        if server.model.tells_load and not task.beaten:
            self._discipline.told(task, server.load(), self._env.now)
        served(task, outcome)

    def _succeed(self, task: Task, now: float) -> None:
        if task.arrived_s >= self._counts_from_s:
            self._completed += 1
            self._under_way.remove(task)
            self._sojourn.add(now - task.arrived_s)
            if self._kinds:
                of_kind = self._kinds[task.demand.name]
                of_kind.completed += 1
                of_kind.sojourn.add(now - task.arrived_s)
            if not self._completed % _SETTLE_EVERY:
                self._settle()
        else:
            self._early.discard(task)
        self._last_s = now
        self._concluded(task)

    def _served_either(self, task: Task, outcome: Outcome = _SUCCESS) -> None:
        """Do what `_served` does, where a call may be one of two: the first success counts, as for `Pool.call`.

        The loser gives its slot back at once, and goes on at its endpoint: nobody can stop a program from outside.
        """
        if task.beaten:
            task.server.forget(task, self._env.now)
            return  # its slot was given back when the other one succeeded
        rival, leader = task.rival, task.leader or task
        if rival is None and task is leader:
            self._served(task, outcome)
            return
        now = self._env.now
        task.server.finish(task, now, outcome is not _SUCCESS)
        if self._spans is not None:
            self._keep_span(task, outcome)
        self._done(task, outcome, now)
        if rival is not None:
            task.rival = rival.rival = None
        if outcome is not _SUCCESS:
            if rival is None:
                self._attempts.failed(leader, task.lease, now)
            return
        if rival is not None:
            rival.beaten = True
            rival.server.finish(rival, now, False)
            rival.server.leave_behind(rival, now)
            self._done(rival, Outcome.IGNORED, now)
        self._succeed(leader, now)

    def begin_second_call(self, task: Task, lease: Lease, now: float) -> None:
        """Begin the call of `task` a second time. It never waited, so it is not among the waits."""
        work_s = self._drawn_again(task, -task.attempt) if self._draws_again else task.work_s
        twin = Task(self._env, task.number, work_s, task.demand, task.worker, task.arrived_s)
        twin.leader, twin.rival, task.rival = task, task, twin
        if self._observer is not None:
            self._observer(twin, lease)
        if twin.worker is not None:
            twin.worker.calls += 1
        twin.lease, twin.server = lease, self._servers[lease.endpoint.name]
        twin.asked_s = twin.attempt_asked_s = now
        twin.server.begin(twin, now)

    def _drawn_again(self, task: Task, which: int) -> float:
        """Return the work of a further call; `which` tells those of a request apart, second calls are below 0."""
        if task.demand.again is None:
            return task.work_s
        return task.demand.again(self._streams.numbers(Purpose.AGAIN, task.number, which % (1 << 32)))

    def refuse(self, task: Task, error: BalancerError) -> None:
        """Hear that there is no endpoint for `task`.

        Raises:
            StrategyError: it is the strategy that failed, and what comes of such a run would say nothing.
        """
        if isinstance(error, StrategyError):
            raise error
        self._attempts.refused(task, error)

    def lose(self, task: Task, *, timed_out: bool) -> None:
        """Give `task` up; `timed_out`: because it got no lease."""
        if task.arrived_s >= self._counts_from_s:
            self._under_way.remove(task)
            self._timed_out += timed_out
            self._lost += not timed_out
            if self._kinds:
                of_kind = self._kinds[task.demand.name]
                of_kind.timed_out += timed_out
                of_kind.lost += not timed_out
            if not (self._lost + self._timed_out) % _SETTLE_EVERY:
                self._settle()
        else:
            self._early.discard(task)
        self._last_s = self._env.now
        self._concluded(task)

    def _keep_span(self, task: Task, outcome: Outcome) -> None:
        if self._spans is not None and len(self._spans) < self._most_spans:
            part = task.worker.part if task.worker else "requests"
            url, ok = task.lease.endpoint.name, outcome not in _FAILURES
            now = self._env.now
            self._spans.append(
                CallSpan(task.number, part, task.demand.name, url, task.asked_s, now, ok, task.attempt_asked_s)
            )

    def _settle(self) -> None:
        self._wait.settle()
        self._sojourn.settle()
        for of_kind in self._kinds.values():
            of_kind.wait.settle()
            of_kind.sojourn.settle()

    # -- the run -----------------------------------------------------------------------------------

    def record(self) -> Record:
        """Run to the end and return what it came to."""
        scenario = self._scenario
        self._membership.begin()
        self._look()
        from_s = self._counts_from_s
        if from_s:
            after(self._env, from_s, Simulation._end_warmup, self)
        after(self._env, (from_s + scenario.horizon_s) / 2, Simulation._look_halfway, self)
        if self._looks_wanted:
            self._look_at_population()
        try:
            self._discipline.begin()
            self._source.begin()
            self._run_to_the_end()
        except Exception as error:  # most likely of the strategy, which the traceback does not name
            error.add_note(f"under {self._policy.label!r}, replication {self._replication}, at {self._env.now:g} s")
            raise
        self._leave_open()
        finished = self._source.finished
        end_s = self._last_s if scenario.is_batch and finished else scenario.horizon_s
        return Record(
            policy=self._policy.label,
            replication=self._replication,
            measured_s=max(end_s - from_s, 1e-9),
            completed=self._completed,
            lost=self._lost,
            timed_out=self._timed_out,
            unfinished=len(self._under_way),
            halfway=self._halfway,
            waiting=sum(self._waiting) / max(1, len(self._waiting)),
            wait=self._wait,
            sojourn=self._sojourn,
            endpoints=self._endpoints(end_s),
            crews=self._crews(),
            makespan_s=self._last_s if finished else None,
            bound_s=self._bound_s,
            timeline=self._timeline(),
            servers=self._work(end_s),
            kinds=tuple(of_kind.record(name) for name, of_kind in self._kinds.items()),
            spans=tuple(self._spans or ()),
            under_way=tuple(self._populations),
            house=self._discipline.record(),
        )

    def _run_to_the_end(self) -> None:
        env, horizon_s = self._env, self._scenario.horizon_s
        if not self._scenario.is_batch:
            run_to(env, horizon_s)
            return
        while not self._source.finished and env.peek() <= horizon_s:
            env.step()

    def _look_halfway(self) -> None:
        ended = self._completed + self._lost + self._timed_out
        self._halfway = (ended + len(self._under_way), len(self._under_way))

    def _leave_open(self) -> None:
        """Count what is under way as longer than it has been so far.

        Whoever has waited since before the warm-up was over has waited all the time that counts: it is no less a wait.
        """
        now = self._env.now
        self._settle()
        waiting = [task for task in (*self._under_way, *self._early) if task.asks]
        self._wait.leave_open(now - task.asked_s for task in waiting)
        self._sojourn.leave_open(now - task.arrived_s for task in self._under_way)
        for name, of_kind in self._kinds.items():
            mine = [task for task in self._under_way if task.demand.name == name]
            of_kind.wait.leave_open(now - task.asked_s for task in waiting if task.demand.name == name)
            of_kind.sojourn.leave_open(now - task.arrived_s for task in mine)

    def _end_warmup(self) -> None:
        now = self._env.now
        self._before = {url: (s.calls, s.failures, s.busy_until(now)) for url, s in self._servers.items()}
        self._worked_before = dict(self._worked(now))
        for worker in self._source.workers:
            worker.calls = 0

    def _endpoints(self, end_s: float) -> tuple[EndpointRecord, ...]:
        return tuple(self._endpoint(server.url, end_s) for server in self._servers.values())

    def _endpoint(self, url: str, end_s: float) -> EndpointRecord:
        server = self._servers[url]
        calls, failures, busy_s = self._before.get(url, (0, 0, 0.0))
        return EndpointRecord(
            url=url,
            capacity=server.model.capacity,
            slots_s=float(np.diff(slot_seconds(self._slots[url], np.array([self._counts_from_s, end_s])))[0]),
            weight=server.model.weight,
            calls=server.calls - calls,
            failures=server.failures - failures,
            busy_s=max(0.0, server.busy_until(end_s) - busy_s),
        )

    def _worked(self, now: float) -> Iterator[tuple[str, float]]:
        """Yield who does work, hosts first, and how much each has done."""
        for name, host in self._hosts.items():
            yield name, host.worked_until(now)
        for url, server in self._servers.items():
            if server.model.endpoint(url).host not in self._hosts:
                yield url, server.worked_until(now)

    def _work(self, end_s: float) -> tuple[ServerRecord, ...]:
        ends = np.array([self._counts_from_s, end_s])
        found = []
        for name, worked_s in self._worked(end_s):
            if name in self._hosts:
                lines_s = self._scenario.hosts[name].cores * float(ends[1] - ends[0])
            else:
                most = self._servers[name].model.parallel
                steps = [(at_s, min(slots, most or slots)) for at_s, slots in self._slots[name]]
                lines_s = float(np.diff(slot_seconds(steps, ends))[0])
            found.append(ServerRecord(name, lines_s, max(0.0, worked_s - self._worked_before.get(name, 0.0))))
        return tuple(found)

    def _look_at_population(self) -> None:
        self._populations.append(len(self._under_way))
        after(self._env, self._scenario.horizon_s / self._looks_wanted, Simulation._look_at_population, self)

    def _crews(self) -> tuple[tuple[int, ...], ...]:
        crews: dict[str, list[int]] = {}
        for worker in self._source.workers:
            crews.setdefault(worker.part, []).append(worker.calls)
        return tuple(map(tuple, crews.values()))

    # -- over time ---------------------------------------------------------------------------------

    def _look(self) -> None:
        """See how busy everybody has been so far, and look again after a while; nobody knows when a batch ends."""
        now = self._env.now
        self._looks.append((now, [server.busy_until(now) for server in self._servers.values()]))
        if len(self._looks) > 2 * _BINS:
            self._looks = self._looks[::2]
            self._bin_s *= 2
        if now >= (self._counts_from_s + self._scenario.horizon_s) / 2:
            self._waiting.append(self._waiting_now())
        after(self._env, self._bin_s, Simulation._look, self)

    def _waiting_now(self) -> float:
        """Return how many requests wait: for a lease, in a line inside their server, or for a part of their host."""
        waiting = float(sum(task.asks for task in self._under_way))
        on_host = dict.fromkeys(self._hosts, 0)
        host_of = self._host_of
        for url, server in self._servers.items():
            at_work = min(server.in_flight, server.model.parallel or server.in_flight)
            waiting += server.in_flight - at_work
            if url in host_of:
                on_host[host_of[url]] += at_work
        return waiting + sum(max(0.0, calls - self._scenario.hosts[host].cores) for host, calls in on_host.items())

    def _timeline(self) -> Timeline:
        edges_s = np.array([at_s for at_s, _ in self._looks])
        busy = np.array([row for _, row in self._looks])
        slots = np.array([slot_seconds(self._slots[url], edges_s) for url in self._servers])
        utilisation = np.diff(busy.T) / np.maximum(np.diff(slots), 1e-12)
        return Timeline(edges_s, np.clip(utilisation, 0.0, 1.0), tuple(self._servers))
