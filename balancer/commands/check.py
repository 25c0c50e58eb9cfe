"""What a config would run: `balancer check`.

Decides what a person wants to see before a run, and finds what would fail it. Runs no program.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from balancer.errors import BalancerError, ConfigError, MissingExtra
from balancer.plugins.registry import Registry
from balancer.sandbox.executors import make_executors
from balancer.settings.config import Config, PipelineSettings
from balancer.settings.rules import HealthSettings

__all__ = ["check_config"]


def check_config(config: Config, registry: Registry, console: Console) -> None:
    """Print what `config` would run.

    Raises:
        ConfigError: with one line for everything that stands in the way.
    """
    problems: list[str] = []
    pool = config.pool
    try:
        options = registry.strategy_options(pool.strategy, pool.options)
        registry.strategy(pool.strategy, pool.options, Random(0))
        shown = _options(config, options.model_dump())
        console.print(f"strategy   {config.redact(pool.strategy)} {shown}".rstrip(), markup=False)
    except ConfigError as error:
        problems += config.located("pool", error).problems
    problems += _check_endpoints(config, registry, console)
    for line in _policies(config):
        console.print(line, markup=False, highlight=False)
    if config.pipeline is None:
        console.print("pipeline   none: the config has no [pipeline], so there is a pool only", markup=False)
    else:
        problems += _check_pipeline(config, config.pipeline, registry, console)
    if problems:
        raise ConfigError(problems)


def _options(config: Config, options: dict[str, Any]) -> str:
    """Return the strategy's options, as the file has them where it has a text: that may be from the environment."""
    written = {name: value for name, value in config.pool.options.items() if isinstance(value, str)}
    shown = {name: config.redact(written[name]) if name in written else value for name, value in options.items()}
    return config.redact(str(shown)) if shown else ""


def _check_endpoints(config: Config, registry: Registry, console: Console) -> list[str]:
    slots = sum(endpoint.capacity for endpoint in config.pool_endpoints)
    console.print(f"endpoints  {len(config.pool_endpoints)} with {slots} slots", markup=False)
    for endpoint in config.pool_endpoints:
        labels = f", labels {', '.join(map(config.redact, sorted(endpoint.labels)))}" if endpoint.labels else ""
        line = (
            f"           {config.redact(endpoint.url)} capacity {endpoint.capacity}, weight {endpoint.weight:g}{labels}"
        )
        console.print(line, markup=False, highlight=False)
    with TemporaryDirectory(prefix="balancer-check-") as cache:
        try:
            executors = make_executors(config, registry, Path(cache))
        except MissingExtra as error:  # a pool does without executors
            console.print(f"languages  unknown: {error}", markup=False, soft_wrap=True)
            return []
        except ConfigError as error:
            return [config.redact(line) for line in error.problems]
        languages = sorted(frozenset().union(*(executor.languages for executor in executors.values())))
        for executor in executors.values():
            executor.close()
    if any(entry.isolation == "rlimits" for entry in config.endpoints):
        console.print('isolation  NONE for some local endpoints: isolation = "rlimits" only limits time and memory')
    console.print(f"languages  {', '.join(languages)}", markup=False)
    return []


def _policies(config: Config) -> Iterator[str]:
    """Yield what the config says about health, limits and retries."""
    health, limits, retries = config.health, config.limits, config.retries
    if health is None:
        yield "health     off: no endpoint is taken out of service for its failures"
    else:
        tests = [f"after {health.consecutive_failures} failures in a row"] if health.consecutive_failures else []
        tests += [f"below {health.success_rate:.0%} success"] if health.success_rate else []
        tests += [f"outliers of {health.min_hosts} or more"] if health.rate_sds or health.failure_share < 1 else []
        yield f"health     ejects {', '.join(tests) or 'nobody'}"
        yield f"           for {health.cooldown_s:g} to {health.max_cooldown_s:g} s; pings: {_pings(health)}"
    yield "limits     " + (
        "fixed: the capacities"
        if limits.kind == "fixed"
        else f"aimd: from {limits.initial} slots up to the capacities, x {limits.backoff:g} when overloaded"
    )
    for host, cap in sorted(config.host_caps.items()):
        yield f"host cap   {cap} slots on {'each other host' if host == '*' else host}"
    yield (
        f"retries    {retries.budget_ratio:.0%} of the calls + {retries.budget_per_s:g}/s, over "
        f"{retries.budget_window_s:g} s; pauses from {retries.base_s:g} s, at most {retries.max_pause_s:g} s"
    )


def _pings(health: HealthSettings) -> str:
    return "off" if health.ping == "off" else f"{health.ping}, every {health.ping_every_s:g} s"


def _check_pipeline(config: Config, settings: PipelineSettings, registry: Registry, console: Console) -> list[str]:
    from balancer.pipeline.packages.read import find_packages, read_problem  # they need the extra
    from balancer.pipeline.running.run import find_generators

    lines: list[str] = []
    redact = config.redact
    try:
        find_generators(config, registry)
    except ConfigError as error:
        lines += error.problems
    found = []
    try:
        for package in find_packages(Path(settings.problems)):
            try:
                found.append(read_problem(package))
            except BalancerError as error:
                lines += redact(str(error)).splitlines()
    except BalancerError as error:
        lines += redact(str(error)).splitlines()
    accepted, wrong = sum(len(p.accepted) for p in found), sum(len(p.wrong) for p in found)
    console.print(
        f"problems   {len(found)} in {redact(settings.problems)}: {accepted} accepted, {wrong} wrong submissions",
        markup=False,
    )
    for problem in found:
        for name, why in problem.left_out.items():
            console.print(f"           {problem.id}/{name} is left out: {why}", markup=False)
    console.print(
        f"inputs     from {', '.join(map(redact, settings.generators))}: "
        f"at most {settings.max_inputs} beyond a problem's own, seed {settings.seed}",
        markup=False,
    )
    console.print(
        f"workers    {settings.sample_level_workers} samples x {settings.output_generation_workers} for outputs, "
        f"{settings.solution_validation_workers} for solutions"
    )
    console.print(f"results    {redact(settings.results)}", markup=False)
    return lines
