"""A whole run of the pipeline: from a config to a report, in threads, stoppable, resumable.

It puts the parts of a run together, and ends cleanly when a person stops it. A shell: judging a program and
choosing an endpoint are done by others.
"""

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

from rich.console import Console

from balancer.errors import ConfigError, PackageError
from balancer.hookspecs import Generator
from balancer.judging.runner import Runner, Stopped
from balancer.observing.page.serving import open_page, token_of_environment
from balancer.pipeline.progress.progress import Progress
from balancer.pipeline.proposing.toolbox import OpenedGenerator
from balancer.pipeline.results.answers import Answers
from balancer.pipeline.results.collect import settle
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store
from balancer.pipeline.results.transfer import part_of, take_back
from balancer.pipeline.round.rounds import judge_problem
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.rows.choice import ALL, Shard
from balancer.pipeline.running.conclude import conclude
from balancer.pipeline.running.forecast import USUAL, EndForecaster
from balancer.pipeline.running.languages import languages_in, lines_on_missing
from balancer.pipeline.running.problem_source import SourcedProblem, find_problems, open_problem_source
from balancer.pipeline.running.remote import Engine, RemoteTask, RemoteWorkers
from balancer.pipeline.running.setting_up import find_generators, runner_of, settings_of
from balancer.pipeline.running.turns import further_turns
from balancer.pipeline.running.worker_pool import work_through
from balancer.plugins.registry import Registry
from balancer.pool.pool import Pool
from balancer.problem import Problem
from balancer.program import Executor
from balancer.sandbox.executors import executor_maker, languages_of, make_executors
from balancer.sandbox.live import LiveExecutors
from balancer.sandbox.pings import pings_of
from balancer.settings.config import Config
from balancer.settings.llm import LlmSettings
from balancer.settings.pipeline import PipelineSettings
from balancer.shells.prober import Prober

__all__ = ["find_generators", "run_pipeline", "settings_of", "slots_of"]

FORETOLD_AT = USUAL


def run_pipeline(
    config: Config,
    registry: Registry,
    console: Console,
    *,
    fresh: bool = False,
    share: Shard = ALL,
    live: int | None = None,
    engine: Engine | None = None,
    forecast: bool = True,
) -> RunResult:
    """Judge the problems of `config` over one pool, and return what was found.

    A run that was stopped or killed goes on where it was; one that is complete runs nothing. If it is
    stopped by a signal the result says `complete=False`, and which signal it was.

    Args:
        config: must have a `pipeline`.
        registry: the plugins.
        console: for progress.
        fresh: forget the run in the results folder and start over.
        share: the rows of the data set, or the packages, that this machine takes.
        live: the port of a page that shows the run, 0 for a free one; None: there is none.
        engine: brings up workers that judge the problems; None: the threads of this process do.
        forecast: whether the run says now and then when it will be over, if a plugin can tell.

    Raises:
        ConfigError, PackageError: something must be put right first; nothing was run.
        BalancerError: the run cannot go on, e.g. because the disk is full; what was judged is kept.
    """
    settings = settings_of(config)
    found = find_problems(settings)  # first of all: if none can be read, no folder of results is left behind
    found_generators = find_generators(config, registry)
    if engine is not None:
        _refuse_what_is_not_shared(config, found_generators)
    results = Path(settings.results)
    with ExitStack() as stack:
        away = stack.enter_context(engine.open(config)) if engine is not None else None
        pool = stack.enter_context(Pool.from_config(config, registry=registry)) if away is None else away.pool
        store = stack.enter_context(Store(results, fresh=fresh))
        executors = _executors(pool, config, registry, results / "compiled", stack)
        languages = languages_of(executors, languages_in(found.packages.read, settings.python))
        services = _Services(config.llm, registry, store.answers, console)
        # Last of all that may refuse: a run that never began must not claim the folder.
        for line in lines_on_missing(found.packages.read, languages):
            services.say(line)
        intake = open_problem_source(settings, found, languages, store, services.say, share)
        served = config.pool.connect is not None  # then the pings are the server's
        slots = sum(endpoint.capacity for endpoint in pool.endpoints()) if served else slots_of(config)
        session = store.begin_session(pool.stats().strategy, slots)
        if away is None and not served:  # else the leases are others' to trace
            stack.enter_context(pool.trace(store.trace))
        began_s, began_at_s = time.monotonic(), time.time()
        runner = runner_of(pool, executors, config, store, session, services.say, began_s)
        if not served and config.health and config.health.ping != "off":
            pings = pings_of(executors, config.health.ping)
            every_s, conclusive = config.health.ping_every_s, config.health.conclusive
            stack.enter_context(Prober(pool, pings, every_s=every_s, conclusive=conclusive))
        generators = [
            stack.enter_context(each.open(services)) if isinstance(each, OpenedGenerator) else each
            for each in found_generators
        ]
        progress = stack.enter_context(Progress(console, intake.count, unit=intake.unit, streamed=intake.rows))
        if live is not None:
            progress.watched = True
            token = token_of_environment()
            page = open_page(pool, port=live, token=token, redact=config.redact, extra=progress.tables)
            progress.say(f"page at {stack.enter_context(page).url}")
        for problem in intake.known:
            progress.plan(problem.id, _guess(problem, settings))
        forecasters = registry.forecasters.values() if forecast else ()
        forecasting = None
        # Elsewhere the trace is not this process's to write; and what has a budget of time ends when that is over.
        if forecasters and settings.predict and away is None and not served and not settings.budget_s:
            for name, units in store.leases.done_before(session).items():
                progress.done_before(name, units)
            forecasting = EndForecaster(
                pool, next(iter(forecasters)).item, progress, at_once=settings.sample_level_workers, folder=results,
                began_s=began_s, keep=lambda made: store.keep_predictions(session, made), times=FORETOLD_AT,
            )  # fmt: skip
            stack.enter_context(forecasting)

        def act(taken: SourcedProblem) -> None:
            problem = taken.problem
            if taken.done:
                progress.finish(problem.id)
                return
            judge((problem, settings.budget_s or None))

        def judge(turn: tuple[Problem, float | None]) -> None:
            problem, allowed_s = turn
            try:
                problem = intake.whole(problem)
            except PackageError as error:
                put_off(problem, "; ".join(error.problems))
                return
            if away is None:
                sample = Sample(problem, generators, settings, runner, store, progress, allowed_s)
                hungry[problem.id] = judge_problem(sample)
            else:
                hungry[problem.id] = judge_away(away, problem, allowed_s)
            settle(store, problem)

        def judge_away(away: RemoteWorkers, problem: Problem, allowed_s: float | None) -> bool:
            sent = RemoteTask(problem, allowed_s, part_of(store, problem.id), began_at_s)
            came = away.judge(sent, progress.hear, lambda: runner.stopping)
            if isinstance(came, str):
                put_off(problem, came)
                return False
            take_back(store, problem.id, came.part, session)
            if came.stopped:
                raise Stopped
            progress.finish(problem.id)
            return came.hungry

        def put_off(problem: Problem, why: str) -> None:
            store.rounds.put_off(problem.id, why)
            progress.say(f"{problem.id} is left for the next session: {why}")
            lost.append(problem.id)

        hungry: dict[str, bool] = {}
        lost: list[str] = []
        workers = settings.sample_level_workers if away is None else max(settings.sample_level_workers, away.at_once)
        with _stop_on_signal(runner, progress) as told:
            complete = work_through(intake.problems, act, workers, runner)
            if complete and settings.budget_s:
                complete = further_turns(
                    settings.budget_s, intake.known, hungry, store,
                    lambda turns: work_through(turns, judge, workers, runner),
                )  # fmt: skip
            while complete and (again := store.withdraw()):  # an endpoint that lied had a part in these
                met = open_problem_source(settings, found, languages, store, _say_nothing, share).problems
                problems = (taken for taken in met if taken.problem.id in again)
                complete = work_through(problems, act, workers, runner)
        store.withdraw()  # the run was stopped: the next session judges them
        complete = complete and not lost
        if complete and forecasting is not None:
            forecasting.over()
        stats = pool.stats().to_dict() if away is None else away.stats()
        store.end_session(session, stats, complete=complete)
        return replace(conclude(store, results, services.say), stopped_by=told.signal)


def _executors(pool: Pool, config: Config, registry: Registry, cache: Path, stack: ExitStack) -> Mapping[str, Executor]:
    """Return what runs programs on each endpoint, by its name, until `stack` is closed."""
    if config.pool.connect is None:
        made = make_executors(config, registry, cache)
        for executor in made.values():
            stack.callback(executor.close)
        return made
    live = LiveExecutors(pool, frozenset(), executor_maker(registry, cache, config))  # a server's may come and go
    stack.callback(live.close)
    return live


@dataclass(frozen=True, slots=True)
class _Services:
    """What the run offers to its generators before the first problem. See `RunServices`."""

    llm: LlmSettings | None
    registry: Registry
    answers: Answers
    console: Console

    def say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=not self.console.is_terminal)


def _refuse_what_is_not_shared(config: Config, generators: Sequence[Generator]) -> None:
    """Raise ConfigError for generators that count for a whole run, in one process, what it may spend."""
    opened = [each.name for each in generators if isinstance(each, OpenedGenerator)]
    if opened:
        line = f"{', '.join(opened)} keeps its budget in one process; leave it out, or run without --engine"
        raise config.located("pipeline.generators", ConfigError(line))


def _guess(problem: Problem, settings: PipelineSettings) -> int:
    """Guess how many programs `problem` takes, for the time left, until its inputs are known."""
    made_up = settings.max_inputs if problem.input_validators or problem.by_agreement else 0
    cases = len(problem.data) + made_up
    return cases * (1 + len(problem.submissions))


def slots_of(config: Config) -> int:
    """Return how many slots may be in use at once: the capacities on each host, or its cap where that is less."""
    capacities: dict[str | None, int] = defaultdict(int)
    for endpoint in config.pool_endpoints:
        capacities[endpoint.host] += endpoint.capacity
    caps = {
        host: config.host_caps.get(host or "", config.host_caps.get("*", slots)) for host, slots in capacities.items()
    }
    return sum(min(slots, caps[host]) for host, slots in capacities.items())


def _say_nothing(line: str) -> None:
    """Everything was said as the run began."""


@dataclass(slots=True)
class _Told:
    """Which signal told a run to stop; 0: none."""

    signal: int = 0


@contextmanager
def _stop_on_signal(runner: Runner, progress: Progress) -> Iterator[_Told]:
    """Stop cleanly at the first SIGINT or SIGTERM; at the second, die at once: the store bears it."""
    told = _Told()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return

    def stop(number: int, frame: FrameType | None) -> None:
        told.signal = number
        for each in signals:
            signal.signal(each, signal.SIG_DFL)
        progress.say("stopping: programs that run are let end; once more to stop at once")
        runner.stop()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, stop) for each in signals}
    try:
        yield told
    finally:
        for each in signals:
            signal.signal(each, before[each])
