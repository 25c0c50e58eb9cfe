"""Setup of a process that judges problems: generators, runner and judge.

Decides what is recorded of a run.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from balancer.errors import ConfigError
from balancer.hookspecs import Generator
from balancer.judging.pending import RunnerHooks, RunnerOptions, Span
from balancer.judging.runner import Runner
from balancer.judging.trust import Trust
from balancer.opening.pool import Pool
from balancer.pipeline.progress import Progress
from balancer.pipeline.proposing import EquippedGenerator
from balancer.pipeline.results.store import Store
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.shell import judge_problem
from balancer.plugins.registry import Registry
from balancer.problem import Problem
from balancer.program import Execution, Executor, Program
from balancer.settings.config import Config, on_one_machine
from balancer.settings.pipeline import PipelineSettings, VerifySettings

__all__ = ["SessionRecord", "find_generators", "judge_here", "open_runner", "settings_of"]


def settings_of(config: Config) -> PipelineSettings:
    """Return `[pipeline]`. Raises ConfigError if there is none."""
    if config.pipeline is None:
        raise config.located("[pipeline]", ConfigError('is missing; add it, with at least problems = "FOLDER"'))
    return config.pipeline


def find_generators(config: Config, registry: Registry) -> list[Generator]:
    """Return the input generators that the pipeline names. Raises ConfigError for none or unknown ones."""
    found: list[Generator] = []
    mistakes: list[str] = []
    for name in settings_of(config).generators:
        try:
            found.append(registry.find(name, registry.generators, "generator"))
        except ConfigError as error:
            mistakes += config.located("pipeline.generators", error).problems
    if not settings_of(config).generators:
        empty = ConfigError(
            f"found []: no input would be made; name at least one of {', '.join(sorted(registry.generators))}, "
            'e.g. ["data"] for the problems\' own data alone, or leave the key out for the default'
        )
        mistakes += config.located("pipeline.generators", empty).problems
    if mistakes:
        raise ConfigError(dict.fromkeys(mistakes))
    return found


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """Records the program runs of a session.

    Args:
        store: keeps them.
        session: its id in the store.
        say: is called with lines for the user.
        began_s: start of the run, by `time.monotonic`.
    """

    store: Store
    session: str
    say: Callable[[str], object]
    began_s: float

    def add_span(self, span: Span) -> None:
        """Record a lease that has ended."""
        self.store.leases.add(self.session, span, self.began_s)

    def say_compiled(self, program: Program, execution: Execution, endpoint: str) -> None:
        """Print that compiling a program took long, or that it needs an older standard."""
        took = f"compiling {program.name} took {execution.compile_s:.1f} s on {endpoint}"
        needs = f", as it needs {execution.standard}" if execution.standard else ""
        self.say(f"{took}{needs}; each endpoint compiles it once")


def open_runner(
    pool: Pool,
    executors: Mapping[str, Executor],
    settings: PipelineSettings,
    verify: VerifySettings,
    record: SessionRecord,
    trust: Trust | None = None,
) -> Runner:
    """Return the runner of a session, with its records. `trust`: the record of the endpoints, if runners share one."""
    options = RunnerOptions(
        attempts=settings.attempts,
        outage_s=settings.outage_s,
        compile_s=settings.compile_s,
        verify=None if on_one_machine(pool.endpoints()) else verify,
        trust=trust,
    )
    hooks = RunnerHooks(
        on_span=record.add_span,
        on_compile=record.say_compiled,
        say=record.say,
        verification=record.store.trust,
    )
    return Runner(pool, executors, options, hooks)


def judge_here(
    generators: Sequence[Generator | EquippedGenerator],
    settings: PipelineSettings,
    runner: Runner,
    store: Store,
    progress: Progress,
    problem: Problem,
) -> None:
    """Take a problem through its rounds, in this process."""
    sample = Sample(problem, generators, settings, runner, store, progress, settings.budget_s or None)
    with sample.threads:
        judge_problem(sample)
