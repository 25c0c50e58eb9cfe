"""What a process of a run sets up: its generators, and what makes its program runs.

Decides what of a run is recorded. It must not know which problems there are, nor in which order they are judged.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from balancer.errors import ConfigError
from balancer.hookspecs import Generator
from balancer.judging.options import RunnerHooks, RunnerOptions
from balancer.judging.runner import ProgramRun, Runner
from balancer.judging.suspicion import Recheck, Suspicion
from balancer.pipeline.results.run_result import Span
from balancer.pipeline.results.store import Store
from balancer.plugins.registry import Registry
from balancer.pool.pool import Pool
from balancer.program import Executor, Program
from balancer.settings.config import Config, on_one_machine
from balancer.settings.pipeline import PipelineSettings

__all__ = ["find_generators", "runner_of", "settings_of"]


def settings_of(config: Config) -> PipelineSettings:
    """Return `[pipeline]`, or raise ConfigError if there is none."""
    if config.pipeline is None:
        raise config.located("[pipeline]", ConfigError('is missing; add it, with at least problems = "FOLDER"'))
    return config.pipeline


def find_generators(config: Config, registry: Registry) -> list[Generator]:
    """Return the input generators that the pipeline names. Raises ConfigError for those that do not exist."""
    found: list[Generator] = []
    mistakes: list[str] = []
    for name in settings_of(config).generators:
        try:
            found.append(registry.find(name, registry.generators, "generator"))
        except ConfigError as error:
            mistakes += config.located("pipeline.generators", error).problems
    if mistakes:
        raise ConfigError(dict.fromkeys(mistakes))
    return found


def runner_of(
    pool: Pool,
    executors: Mapping[str, Executor],
    config: Config,
    store: Store,
    session: int,
    say: Callable[[str], object],
    began_s: float,
) -> Runner:
    """Return what makes the program runs of a session, and records them.

    Args:
        began_s: when the run began, by `time.monotonic`.
    """
    settings = settings_of(config)

    def record(span: Span) -> None:
        store.leases.add(session, replace(span, started_s=span.started_s - began_s, ended_s=span.ended_s - began_s))

    def rechecked(wanted: ProgramRun, why: Suspicion, found: Recheck) -> None:
        store.looks.add(wanted.problem, wanted.subject, wanted.case, why.value, found.value)

    def compiled(program: Program, took_s: float, endpoint: str) -> None:
        say(f"compiling {program.name} took {took_s:.1f} s on {endpoint}, as it has to once there")

    options = RunnerOptions(
        attempts=settings.attempts,
        quiet_label=settings.quiet_label,
        outage_s=settings.outage_s,
        compile_s=settings.compile_s,
        verify=None if on_one_machine(pool.endpoints()) else config.verify,
    )
    hooks = RunnerHooks(on_span=record, on_recheck=rechecked, on_compile=compiled, say=say, verification=store.trust)
    return Runner(pool, executors, options, hooks)
