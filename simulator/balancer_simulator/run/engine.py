"""One run: a scenario, a policy and a replication in, a record out.

The production core and the strategy do the balancing. This is a shell like the threaded pool: it makes one call at a
time to the core, with the time, and acts on the result. There is no process per customer: every event calls a function.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from math import nan
from typing import Any, Final

from simpy import Environment, Event

from balancer.answers import Load
from balancer.core import Core, Waiter
from balancer.core.budget import RetryBudget
from balancer.core.decisions import CallPolicy
from balancer.endpoint import Lease, Outcome
from balancer.errors import BalancerError, ConfigError, StrategyError, UnknownEndpoint
from balancer.plugins.registry import Registry, default_registry
from balancer.values.urls import identity_of
from balancer_simulator.run.attempts import AttemptRunner
from balancer_simulator.run.disciplines import BASELINES, LeasePerCall
from balancer_simulator.run.joined import JoinedRun, Process, ProcessCaller, told_as_it_is
from balancer_simulator.run.keyed import KeyedCallLog, leaves_failed
from balancer_simulator.run.log import CallLog
from balancer_simulator.run.record import ANSWERED, DROPPED, FAILED, LOST, REFUSED, TIMED_OUT, Record, Tally
from balancer_simulator.scenario.endpoints import Change
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.scenario.workload import Batch, Closed, Conversations
from balancer_simulator.world.batch import BatchSource
from balancer_simulator.world.calendar import after
from balancer_simulator.world.conversations import ConversationSource
from balancer_simulator.world.fleet import Fleet
from balancer_simulator.world.server import CallEnded, load_of
from balancer_simulator.world.sources import ClosedSource, OpenSource, TaskSource, demand_of
from balancer_simulator.world.streams import Purpose, Streams
from balancer_simulator.world.task import Task

__all__ = ["Observer", "Simulation", "simulate_once"]

Observer = Callable[[Task, Lease], None]
"""Told of every grant, as it is made."""

_NEW_OBJECTS: Final = 100_000  # that are there before a collection during a run; some 10 MB
_SUCCESS: Final = Outcome.SUCCESS  # looked up once, because attributes of an Enum are slow


def simulate_once(
    scenario: Scenario,
    policy: Policy | str,
    replication: int = 0,
    *,
    registry: Registry | None = None,
    observer: Observer | None = None,
    requests: bool = True,
    processes: Sequence[Process] = (),
) -> Record:
    """Run `scenario` once under `policy`.

    Args:
        policy: a strategy with its options, or the name of one.
        replication: its number; together with the scenario's seed it decides the random numbers.
        registry: where strategies are looked up; default: all that are installed.
        observer: called at every grant.
        requests: whether to keep a row for each call, for `Record.requests`: 43 bytes each.
        processes: SimPy processes of your own that join the run: each is called with a `JoinedRun` and yields events.

    Raises:
        ConfigError: there is no such strategy, or an option is wrong.
    """
    policy = Policy(strategy=policy) if isinstance(policy, str) else policy
    with _rare_collections():
        simulation = Simulation(scenario, policy, replication, registry or default_registry(), observer, keep=requests)
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


_SOURCES: Final[dict[type, Callable[..., TaskSource]]] = {
    Batch: BatchSource,
    Closed: ClosedSource,
    Conversations: ConversationSource,
}
_ENDS: Final = {Outcome.FAILURE: FAILED, Outcome.OVERLOAD: REFUSED}


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

    def __init__(
        self,
        scenario: Scenario,
        policy: Policy,
        replication: int,
        registry: Registry,
        observer: Observer | None,
        *,
        keep: bool,
    ) -> None:
        scenario = _without_rules(scenario) if policy.strategy in BASELINES else scenario
        self._scenario = scenario
        self._policy = policy
        self._replication = replication
        self._observer = observer
        self._env = Environment()
        self._streams = Streams(scenario.seed, replication)
        self._core = self._new_core(registry)
        self._keyed = KeyedCallLog(scenario, policy, self._core, keep=keep) if scenario.has_keys else None
        self._log = self._keyed or CallLog(scenario, keep=keep)
        self._arrive = self._keyed.arrive if self._keyed else self._log.under_way.add
        self._discipline = BASELINES.get(policy.strategy, LeasePerCall)(self._env, self._core, self.start, self.refuse)
        self._ask = self._discipline.ask
        self._endpoints = {url: self._discipline.enlist(m.endpoint(url)) for url, m in scenario.by_url.items()}
        self._retry_by_rules()
        fleet = Fleet(self._env, scenario, self._streams, self._call_ended())
        self._servers, self._prompts = fleet.servers, fleet.prompts
        source = _SOURCES.get(type(scenario.workload), OpenSource)
        self._source = source(self._env, scenario, scenario.workload, self._streams, self._submit)

    def _new_core(self, registry: Registry) -> Core:
        scenario, policy, streams = self._scenario, self._policy, self._streams
        name = "fifo" if policy.strategy in BASELINES else policy.strategy
        return Core(
            (),
            registry.strategy(name, policy.options, streams.choices(Purpose.STRATEGY)),
            lender=_Lender(),
            max_waiters=scenario.max_waiters,
            health=scenario.health,
            limits=scenario.limits,
            host_caps=scenario.host_caps,
            quotas=scenario.quotas,
            spill_after_s=scenario.spill_after_s,
            holders=scenario.holders if scenario.fairness else None,
            rng=streams.choices(Purpose.HEALTH),
            now=self._env.now,
        )

    def _retry_by_rules(self) -> None:
        """Set up retries and hedges."""
        retries, requests = self._scenario.retries, self._scenario.requests
        self._budget = RetryBudget(retries) if retries else None
        self._hedge_after_s = requests.hedge_after_s
        policy = CallPolicy(
            attempts=requests.attempts,
            retries=retries,
            hedge_after_s=requests.hedge_after_s,
            avoids=self._policy.strategy not in BASELINES,
        )
        self._attempts = AttemptRunner(
            self._env,
            self._discipline,
            policy,
            budget=self._budget,
            rng=self._streams.choices(Purpose.RETRIES),
            lose=self.lose,
            begin_second_call=self.begin_second_call,
            leaves_failed=leaves_failed(self._policy),
        )

    def _call_ended(self) -> CallEnded:
        """Return the function to call at the end of every call."""
        ended: CallEnded = self._served if self._hedge_after_s is None else self._served_either
        if any(model.tells_load for model in self._scenario.endpoints):
            ended = partial(self._served_and_told, ended)
        return ended

    def join(self, processes: Sequence[Process]) -> None:
        """Let the user's processes join; they begin with the run."""
        made = count(-1, -1)  # those of the workload are from 1
        kinds = {kind.name: demand_of(kind) for kind in self._scenario.requests.kinds}

        def ask(work_s: float, kind: str, over: Event) -> None:
            if kind and kind not in kinds:
                raise ConfigError(f"requests.kinds has no {kind!r}; there are {', '.join(sorted(kinds))}")
            demand = kinds[kind] if kind else next(iter(kinds.values()))
            now = self._env.now
            self._submit(Task(next(made), work_s, demand, ProcessCaller(over), now, now, demand.request))

        known = {identity_of(url): url for url in self._endpoints}

        def change(asked: Change) -> None:
            url = known.get(identity_of(asked.url))
            if url is None:
                raise UnknownEndpoint(asked.url, self._endpoints)
            asked = asked.model_copy(update={"url": url})
            self._log.follow(asked)
            self._change(asked)

        run = JoinedRun(self._env, self._core, change, ask)
        for process in processes:
            self._env.process(told_as_it_is(run, process))

    # -- the way of a task -------------------------------------------------------------------------

    def _submit(self, task: Task) -> None:
        self._arrive(task)
        self._ask(task)

    def start(self, task: Task, lease: Lease, now: float) -> None:
        """Begin the call: `lease` is granted."""
        task.lease = lease
        task.started_s = now
        task.asks = False
        task.server = server = self._servers[lease.endpoint.name]
        if task.plan is not None:
            self._attempts.granted(task, task.plan, now)
        elif self._budget is not None:
            self._budget.attempted(now)
        if task.worker is not None:
            task.worker.calls += 1
        if self._observer is not None:
            self._observer(task, lease)
        server.begin(task)
        if self._hedge_after_s is not None:
            after(self._env, self._hedge_after_s, self._attempts.slow, (task, lease))

    def _served(self, task: Task, outcome: Outcome = _SUCCESS) -> None:
        now = self._env.now
        self._discipline.done(task, outcome, now)
        if outcome is _SUCCESS:
            self._log.over(task, now, ANSWERED)
            if task.worker is not None:
                self._conclude(task, answered=True)
        else:
            self._log.note(task, now, _ENDS[outcome])
            self._attempts.failed(task, task.lease, now)

    def _served_and_told(self, served: CallEnded, task: Task, outcome: Outcome = _SUCCESS) -> None:
        """Report the server's load to the pool, and do as `served`."""
        model = self._scenario.by_url[task.lease.endpoint.name]
        if model.tells_load and not task.beaten:
            self._core.told(task.lease, load_of(model, task.lease.account.in_flight - 1), self._env.now)
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
        self._discipline.done(task, outcome, now)
        if rival is not None:
            task.rival = rival.rival = None
        if outcome is not _SUCCESS:
            self._log.note(task, now, _ENDS[outcome])
            if rival is None:
                self._attempts.failed(leader, task.lease, now)
            else:
                _follow(leader, rival)
            return
        if rival is not None:
            rival.beaten = True
            self._log.note(rival, now, DROPPED)
            self._discipline.done(rival, Outcome.IGNORED, now)
        _follow(leader, task)
        self._log.over(leader, now, ANSWERED)
        self._conclude(leader, answered=True)

    def begin_second_call(self, task: Task, lease: Lease, now: float) -> None:
        """Begin a second call of `task`. It never waited, so it is not among the waits."""
        twin = replace(task, asked_s=nan, plan=None, leader=task, rival=task)
        task.rival = twin
        if self._observer is not None:
            self._observer(twin, lease)
        if twin.worker is not None:
            twin.worker.calls += 1
        twin.lease, twin.server, twin.started_s = lease, self._servers[lease.endpoint.name], now
        twin.server.begin(twin)

    def refuse(self, task: Task, error: BalancerError) -> None:
        """Handle that there is no endpoint for `task`.

        Raises:
            StrategyError: the strategy failed, so the run would say nothing.
        """
        if isinstance(error, StrategyError):
            raise error
        self._attempts.refused(task, error)

    def lose(self, task: Task, timed_out: bool) -> None:
        """Give `task` up. `timed_out`: because it got no lease."""
        self._log.over(task, self._env.now, TIMED_OUT if timed_out else LOST)
        self._conclude(task, answered=False)

    def _conclude(self, task: Task, *, answered: bool) -> None:
        if isinstance(task.worker, ProcessCaller):
            task.worker.over.succeed(answered)
        else:
            self._source.conclude(task)

    # -- the run -----------------------------------------------------------------------------------

    def record(self) -> Record:
        """Run to the end and return the record."""
        scenario, log = self._scenario, self._log
        self._join()
        if scenario.counts_from_s:
            after(self._env, scenario.counts_from_s, Simulation._end_warmup, self)
        try:
            self._source.begin()
            self._run_to_the_end()
        except Exception as error:  # probably from the strategy, which the traceback does not name
            error.add_note(f"under {self._policy.label!r}, replication {self._replication}, at {self._env.now:g} s")
            raise
        finished = self._source.finished and not log.under_way
        end_s = log.close(self._env.now, finished=finished)
        crews: dict[str, list[int]] = {}
        for worker in self._source.workers:
            crews.setdefault(worker.part, []).append(worker.calls)
        return Record(
            **{name: getattr(log.tally, name) for name in Tally.__slots__},
            policy=self._policy.label,
            replication=self._replication,
            measured_s=max(end_s - scenario.counts_from_s, 1e-9),
            halfway=log.halfway,
            by_endpoint=log.endpoints(),
            crews=tuple(map(tuple, crews.values())),
            makespan_s=log.last_s if finished else None,
            bound_s=self._source.bound_s,
            timeline=log.timeline(),
            kinds=log.kinds,
            kept=log.kept(),
            affinity=self._keyed.affinity(self._prompts) if self._keyed else {},
        )

    def _end_warmup(self) -> None:
        self._prompts.reset()
        for worker in self._source.workers:
            worker.calls = 0

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
        self._discipline.wake(self._carry_out(change))

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


def _without_rules(scenario: Scenario) -> Scenario:
    """Return the scenario as a baseline has it: without rules, groups and quotas, and of one slot a call."""
    bare = [model.model_copy(update={"group": 0, "quota": None}) for model in scenario.endpoints]
    kinds = [kind.model_copy(update={"slots": 1}) for kind in scenario.requests.kinds]
    requests = scenario.requests.model_copy(update={"hedge_after_s": None, "kinds": kinds})
    rules: dict[str, Any] = {
        "health": None,
        "limits": None,
        "host_caps": {},
        "quotas": {},
        "fairness": None,
        "retries": None,
    }
    return scenario.model_copy(update={"endpoints": bare, "requests": requests, **rules})


def _follow(leader: Task, twin: Task) -> None:
    """Make the call of `twin`, which may be itself, the present one of `leader`."""
    leader.lease, leader.server = twin.lease, twin.server
    leader.asked_s, leader.started_s = twin.asked_s, twin.started_s
