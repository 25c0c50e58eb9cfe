"""One run: a scenario, a policy and a replication in, a record out.

The production core and the strategy do the balancing. This is a shell like the threaded pool: it makes one call at a
time to the core, with the time, and acts on the result. There is no process per customer: every event calls a function.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Final

from simpy import Environment, Event

from balancer.core import Core, Waiter
from balancer.core.budget import RetryBudget
from balancer.core.decisions import CallPolicy
from balancer.endpoint import Lease, Outcome
from balancer.errors import BalancerError, ConfigError, StrategyError, UnknownEndpoint
from balancer.load import Load
from balancer.plugins.registry import Registry, default_registry
from balancer.values.urls import identity_of
from balancer_simulator.run.attempts import AttemptRunner
from balancer_simulator.run.disciplines import BASELINES, LeasePerCall
from balancer_simulator.run.joined import JoinedRun, Process, ProcessCaller, told_as_it_is
from balancer_simulator.run.keyed import KeyedRequestCounts, leaves_failed
from balancer_simulator.run.measurement import Measurement
from balancer_simulator.run.record import ANSWERED, LOST, TIMED_OUT, CallSpan, Record
from balancer_simulator.run.requests import RequestCounts
from balancer_simulator.scenario.endpoints import Change
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Batch, Closed, Conversations
from balancer_simulator.world.batch import BatchSource, bound_of, works_of
from balancer_simulator.world.calendar import after
from balancer_simulator.world.conversations import ConversationSource
from balancer_simulator.world.fleet import Fleet
from balancer_simulator.world.server import CallEnded
from balancer_simulator.world.sources import ClosedSource, OpenSource, TaskSource, demand_of
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task, new_task

__all__ = ["Observer", "Simulation", "simulate_once"]

Observer = Callable[[Task, Lease], None]
"""Told of every grant, as it is made."""

_NEW_OBJECTS: Final = 100_000  # that are there before a collection during a run; some 10 MB
_SUCCESS: Final = Outcome.SUCCESS  # looked up once, because attributes of an Enum are slow
_FAILURES: Final = (Outcome.FAILURE, Outcome.OVERLOAD)


def simulate_once(
    scenario: Scenario,
    policy: Policy,
    replication: int = 0,
    *,
    registry: Registry | None = None,
    spans: int = 0,
    observer: Observer | None = None,
    requests: bool = True,
    processes: Sequence[Process] = (),
) -> Record:
    """Run `scenario` once under `policy`.

    Args:
        replication: its number; together with the scenario's seed it decides the random numbers.
        registry: where strategies are looked up; default: all that are installed.
        spans: how many of the first calls to keep.
        observer: called at every grant.
        requests: whether to keep a row for each request, see `Record.requests`: 43 bytes each.
        processes: SimPy processes of your own that join the run: each is called with a `JoinedRun` and yields events.

    Raises:
        ConfigError: there is no such strategy, or an option is wrong.
    """
    kept = _Kept(spans, observer, requests)
    with _rare_collections():
        simulation = Simulation(scenario, policy, replication, registry or default_registry(), kept)
        simulation.join(processes)
        return simulation.record()


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let the garbage collector look seldom during the block.

    A run makes next to no cycles of references. So a collection finds nothing, and takes the longer the more endpoints
    and requests there are: with ten thousand endpoints, a quarter of the time.
    """
    before = gc.get_threshold()
    if before[0]:  # 0: it is off
        gc.set_threshold(max(before[0], _NEW_OBJECTS), *before[1:])
    during = gc.get_threshold()
    try:
        yield
    finally:
        if gc.get_threshold() == during:  # else another one has changed it, perhaps a run in another thread that ended
            gc.set_threshold(*before)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What to keep of a run besides its figures: calls, grants, requests; see `simulate_once`."""

    spans: int
    observer: Observer | None
    requests: bool


class _Lender:
    """Owner of the core's leases. They are returned through the core, not by themselves."""

    def release(self, lease: Lease, outcome: Outcome) -> None:
        raise AssertionError("a simulated lease is given back by its discipline")

    def used(self, lease: Lease, tokens: int) -> None:
        raise AssertionError("what is said of a simulated lease is said to the core")

    def told(self, lease: Lease, load: Load) -> None:
        raise AssertionError("what is said of a simulated lease is said to the core")


class Simulation:
    """State of one run."""

    # Slots: without them, a class with many attributes finds its methods slowly.
    __slots__ = (
        "_add_wait",
        "_arrive",
        "_ask",
        "_attempts",
        "_bound_s",
        "_budget",
        "_concluded",
        "_core",
        "_counts",
        "_counts_from_s",
        "_discipline",
        "_done",
        "_endpoints",
        "_env",
        "_hedge_after_s",
        "_kept",
        "_keyed",
        "_kinds",
        "_measurement",
        "_notes_more",
        "_observer",
        "_policy",
        "_prompts",
        "_replication",
        "_scenario",
        "_servers",
        "_source",
        "_spans",
        "_streams",
    )

    def __init__(self, scenario: Scenario, policy: Policy, replication: int, registry: Registry, kept: _Kept) -> None:
        self._scenario = scenario
        self._policy = policy
        self._replication = replication
        self._kept = kept
        self._observer = kept.observer
        self._spans: list[CallSpan] | None = [] if kept.spans else None
        self._env = Environment()
        self._streams = Streams(scenario.seed, replication)
        self._core = self._new_core(registry)
        self._keyed = None
        if scenario.has_keys:
            self._keyed = KeyedRequestCounts(scenario, policy, self._core, keep=kept.requests)
        self._counts = self._keyed or RequestCounts(scenario, keep=kept.requests)
        self._counts_from_s = scenario.counts_from_s
        self._arrive = self._counts.arrive
        self._add_wait = self._counts.wait.add
        self._kinds = self._counts.kinds
        self._discipline = BASELINES.get(self._policy.strategy, LeasePerCall)(self._env, self._core, self)
        self._ask = self._discipline.ask
        has_rules = bool(
            scenario.health or scenario.limits or scenario.host_caps or scenario.is_gated or self._core.shares
        )
        by_rules = has_rules and policy.strategy not in BASELINES
        self._done = self._discipline.done_by_rules if by_rules else self._discipline.done
        self._endpoints = {url: self._discipline.enlist(m.endpoint(url)) for url, m in scenario.by_url.items()}
        self._retry_by_rules()
        fleet = Fleet(self._env, scenario, self._streams, self._call_ended())
        self._servers, self._prompts = fleet.servers, fleet.prompts
        self._bound_s: float | None = None
        self._source = self._source_of(scenario, self._streams)
        self._concluded = self._source.conclude
        self._measurement = Measurement(self._env, scenario, fleet, self._counts, self._source)
        of_few = (self._kinds, kept.spans, self._observer is not None, self._budget is not None)
        self._notes_more = any(of_few)  # a part of `_note_start` is needed for every call

    def _new_core(self, registry: Registry) -> Core:
        """Return the core. For a baseline it has no rules."""
        scenario, policy, streams = self._scenario, self._policy, self._streams
        by_rules = policy.strategy not in BASELINES
        name = policy.strategy if by_rules else "fifo"
        return Core(
            (),
            registry.strategy(name, policy.options, streams.choices(Purpose.STRATEGY)),
            lender=_Lender(),
            max_waiters=scenario.max_waiters,
            health=scenario.health if by_rules else None,
            limits=scenario.limits if by_rules else None,
            host_caps=scenario.host_caps if by_rules else {},
            quotas=scenario.quotas if by_rules else {},
            spill_after_s=scenario.spill_after_s,
            rng=streams.choices(Purpose.HEALTH),
            now=self._env.now,
        )

    def _retry_by_rules(self) -> None:
        """Set up retries and hedges. A baseline has no rules for them."""
        scenario, is_baseline = self._scenario, self._policy.strategy in BASELINES
        retries = None if is_baseline else scenario.retries
        self._budget = RetryBudget(retries) if retries else None
        self._hedge_after_s = None if is_baseline else scenario.requests.hedge_after_s
        requests = scenario.requests
        policy = CallPolicy(
            attempts=requests.attempts,
            retries=retries,
            hedge_after_s=requests.hedge_after_s,
            avoids=not is_baseline,
        )
        self._attempts = AttemptRunner(
            self._env,
            self._discipline,
            policy,
            budget=self._budget,
            rng=self._streams.choices(Purpose.RETRIES),
            caller=self,
            leaves_failed=leaves_failed(self._policy),
        )

    def _call_ended(self) -> CallEnded:
        """Return the function to call at the end of every call."""
        ended: CallEnded = self._served if self._hedge_after_s is None else self._served_either
        if any(model.tells_load for model in self._scenario.endpoints):
            ended = partial(self._served_and_told, ended)
        return ended

    def _source_of(self, scenario: Scenario, streams: Streams) -> TaskSource:
        workload = scenario.workload
        if isinstance(workload, Batch):
            works, kinds = works_of(scenario, workload, streams)
            self._bound_s = bound_of(scenario, workload, works)
            return BatchSource(self._env, scenario, workload, works, kinds, streams, self._submit)
        if isinstance(workload, Conversations):
            return ConversationSource(self._env, scenario, workload, streams, self._submit)
        if isinstance(workload, Closed):
            return ClosedSource(self._env, scenario, workload, streams, self._submit)
        return OpenSource(self._env, scenario, workload, streams, self._submit)

    def join(self, processes: Sequence[Process]) -> None:
        """Let the user's processes join; they begin with the run."""
        made = count(-1, -1)  # those of the workload are from 1
        kinds = {kind.name: demand_of(kind) for kind in self._scenario.requests.kinds}

        def ask(work_s: float, kind: str, over: Event) -> None:
            if kind and kind not in kinds:
                raise ConfigError(f"requests.kinds has no {kind!r}; there are {', '.join(sorted(kinds))}")
            demand = kinds[kind] if kind else next(iter(kinds.values()))
            self._submit(new_task(next(made), work_s, demand, ProcessCaller(over), self._env.now))

        known = {identity_of(url): url for url in self._endpoints}

        def change(asked: Change) -> None:
            url = known.get(identity_of(asked.url))
            if url is None:
                raise UnknownEndpoint(asked.url, self._endpoints)
            asked = asked.model_copy(update={"url": url})
            self._measurement.follow(asked)
            self._change(asked)

        run = JoinedRun(self._env, self._core, change, ask)
        for process in processes:
            self._env.process(told_as_it_is(run, process))

    # -- the way of a task -------------------------------------------------------------------------

    def _submit(self, task: Task) -> None:
        arrive, ask = self._arrive, self._ask  # Python is slow to call an attribute that is not a method
        arrive(task)
        ask(task)

    def start(self, task: Task, lease: Lease, now: float) -> None:
        """Begin the call: `lease` is granted."""
        waited_s = now - task.asked_s
        task.waited_s += waited_s
        if task.arrived_s >= self._counts_from_s:
            add_wait = self._add_wait
            add_wait(waited_s)
        task.attempt += 1
        task.asks = False
        task.lease = lease
        task.server = server = self._servers[lease.endpoint.name]
        if self._notes_more or task.plan is not None or task.worker is not None:
            self._note_start(task, lease, now)
        task.asked_s = now
        server.begin(task, now)
        if self._hedge_after_s is not None:
            after(self._env, self._hedge_after_s, self._attempts.slow, (task, lease))

    def _note_start(self, task: Task, lease: Lease, now: float) -> None:
        """Do the work before a call begins that is needed in few runs or for few calls."""
        if self._kinds and task.arrived_s >= self._counts_from_s:
            self._kinds[task.demand.name].wait.add(now - task.asked_s)
        if task.plan is not None:
            self._attempts.granted(task, task.plan, now)
        elif self._budget is not None:
            self._budget.attempted(now)
        if task.worker is not None:
            task.worker.calls += 1
        if self._observer is not None:
            self._observer(task, lease)
        if self._spans is not None:
            task.attempt_asked_s = task.asked_s

    def _served(self, task: Task, outcome: Outcome = _SUCCESS) -> None:
        now = self._env.now
        task.server.finish(task, now, outcome is not _SUCCESS)
        if self._spans is not None:
            self._keep_span(task, outcome)
        done = self._done
        done(task, outcome, now)
        if outcome is _SUCCESS:
            self._counts.over(task, now, ANSWERED)
            if task.worker is not None:
                self._conclude(task, answered=True)
        else:
            self._attempts.failed(task, task.lease, now)

    def _served_and_told(self, served: CallEnded, task: Task, outcome: Outcome = _SUCCESS) -> None:
        """Report the server's load to the pool, and do as `served`."""
        server = self._servers[task.lease.endpoint.name]
        if server.model.tells_load and not task.beaten:
            self._discipline.told(task, server.load(), self._env.now)
        served(task, outcome)

    def _served_either(self, task: Task, outcome: Outcome = _SUCCESS) -> None:
        """Do as `_served`, if a call may be one of two: the first success counts, as for `Pool.call`.

        The loser returns its slot at once and continues at its endpoint, because a caller cannot stop a program.
        """
        if task.beaten:
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
            self._done(rival, Outcome.IGNORED, now)
        leader.lease, leader.server = task.lease, task.server  # those of the answer
        self._counts.over(leader, now, ANSWERED)
        self._conclude(leader, answered=True)

    def begin_second_call(self, task: Task, lease: Lease, now: float) -> None:
        """Begin a second call of `task`. It never waited, so it is not among the waits."""
        twin = new_task(task.number, task.work_s, task.demand, task.worker, task.arrived_s)
        twin.leader, twin.rival, task.rival = task, task, twin
        if self._observer is not None:
            self._observer(twin, lease)
        if twin.worker is not None:
            twin.worker.calls += 1
        twin.lease, twin.server = lease, self._servers[lease.endpoint.name]
        twin.asked_s = twin.attempt_asked_s = now
        twin.server.begin(twin, now)

    def refuse(self, task: Task, error: BalancerError) -> None:
        """Handle that there is no endpoint for `task`.

        Raises:
            StrategyError: the strategy failed, so the run would say nothing.
        """
        if isinstance(error, StrategyError):
            raise error
        self._attempts.refused(task, error)

    def lose(self, task: Task, *, timed_out: bool) -> None:
        """Give `task` up. `timed_out`: because it got no lease."""
        self._counts.over(task, self._env.now, TIMED_OUT if timed_out else LOST)
        self._conclude(task, answered=False)

    def _conclude(self, task: Task, *, answered: bool) -> None:
        if isinstance(task.worker, ProcessCaller):
            task.worker.over.succeed(answered)
        else:
            self._concluded(task)

    def _keep_span(self, task: Task, outcome: Outcome) -> None:
        if self._spans is not None and len(self._spans) < self._kept.spans:
            part = task.worker.part if task.worker else "requests"
            url, ok = task.lease.endpoint.name, outcome not in _FAILURES
            now, refused = self._env.now, outcome is Outcome.OVERLOAD
            self._spans.append(
                CallSpan(task.number, part, task.demand.name, url, task.asked_s, now, ok, task.attempt_asked_s, refused)
            )

    # -- the run -----------------------------------------------------------------------------------

    def record(self) -> Record:
        """Run to the end and return the record."""
        scenario, counts, measured = self._scenario, self._counts, self._measurement
        self._join()
        measured.begin(bound_s=self._bound_s)
        try:
            self._discipline.begin()
            self._source.begin()
            self._run_to_the_end()
        except Exception as error:  # probably from the strategy, which the traceback does not name
            error.add_note(f"under {self._policy.label!r}, replication {self._replication}, at {self._env.now:g} s")
            raise
        counts.leave_open(self._env.now)
        finished = self._source.finished and not counts.under_way
        completed, lost, timed_out = counts.ended
        numbers = tuple(measured.numbers)
        end_s = counts.last_s if scenario.is_batch and finished else scenario.horizon_s
        return Record(
            policy=self._policy.label,
            replication=self._replication,
            measured_s=max(end_s - self._counts_from_s, 1e-9),
            completed=completed,
            lost=lost,
            timed_out=timed_out,
            unfinished=counts.unfinished,
            halfway=measured.halfway,
            waiting=measured.waiting,
            wait=counts.wait,
            sojourn=counts.sojourn,
            by_endpoint=measured.endpoints(end_s),
            crews=measured.crews(),
            makespan_s=counts.last_s if finished else None,
            bound_s=self._bound_s,
            timeline=measured.timeline(),
            kinds=counts.of_kinds(numbers),
            spans=tuple(self._spans or ()),
            numbers=numbers,
            kept=counts.kept(self._servers),
            affinity=self._keyed.affinity(self._prompts) if self._keyed is not None else None,
        )

    def _run_to_the_end(self) -> None:
        env, horizon_s = self._env, self._scenario.horizon_s
        if not self._scenario.is_batch:
            env.run(until=horizon_s)
            return
        while not self._source.finished and env.peek() <= horizon_s:
            env.step()

    def _join(self) -> None:
        """Add the endpoints that exist from the start, and schedule the others and the changes."""
        for url, model in self._scenario.by_url.items():
            if model.from_s:
                after(self._env, model.from_s, self._change, Change(at_s=model.from_s, do="add", url=url))
            else:
                self._core.add(self._endpoints[url], self._env.now)
        for change in self._scenario.changes:
            after(self._env, change.at_s, self._change, change)

    def _change(self, change: Change) -> None:
        for waiter in self._carry_out(change):
            waiter.wake()
        self._discipline.changed()

    def _carry_out(self, change: Change) -> Sequence[Waiter]:
        now, url = self._env.now, change.url
        match change.do:
            case "add":
                return self._core.add(self._endpoints[url], now)
            case "drain":
                return self._core.drain(url, now)
            case "remove":
                return self._core.remove(url, now)
            case "update":
                values = {"capacity": change.capacity, "weight": change.weight}
                given = {name: value for name, value in values.items() if value is not None}
                self._endpoints[url] = replace(self._endpoints[url], **given)  # type: ignore[arg-type]  # by Change
                return self._core.update(self._endpoints[url], now)
