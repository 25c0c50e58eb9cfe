"""`balancer run`: judge the problems of a config. What it prints, and its exit code."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from balancer.commands.options import (
    CaOption,
    ConfigArgument,
    JsonOption,
    PoolOption,
    StrategyOption,
    TokenOption,
    over_pool,
    redacted,
    with_options,
)
from balancer.commands.output import print_errors, print_json
from balancer.errors import ConfigError
from balancer.plugins.extras import require

if TYPE_CHECKING:
    from balancer.pipeline.results.run_result import RunResult
    from balancer.pipeline.running.remote import RemoteEngine
    from balancer.settings.config import Config

__all__ = ["run", "tell_of_run"]

_DONE: Final = 0
_NOTHING_JUDGED: Final = 3
_STOPPED: Final = 128  # plus the number of the signal, as in a shell


def run(
    context: typer.Context,
    config: ConfigArgument,
    strategy: StrategyOption = None,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="DIR", help="Write the results here, not where CONFIG says.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete an earlier run in that folder first.")] = False,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", help="Judge only the Ith of N shares of the problems, e.g. 2/8."),
    ] = None,
    live: Annotated[
        int | None,
        typer.Option(
            "--live", metavar="PORT", min=0, max=65535, help="Serve a page that shows the run. 0: a free port."
        ),
    ] = None,
    pool: PoolOption = None,
    token_file: TokenOption = None,
    ca: CaOption = None,
    engine: Annotated[
        str | None,
        typer.Option("--engine", metavar="NAME", help="Judge the problems in other processes. Only: ray."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the problems of CONFIG and write a report. The same command resumes a run that was stopped."""
    require("pipeline", '"balancer run"')
    if live is not None:
        require("observe", '"balancer run --live"', "starlette", "uvicorn")
    from balancer.commands.policies import left_to_server
    from balancer.pipeline.report import write_report
    from balancer.pipeline.rows.read import ALL, parse_shard
    from balancer.pipeline.running.run import RunOptions, run_pipeline, settings_of
    from balancer.settings.config import load_config

    try:
        share = ALL if shard is None else parse_shard(shard)
    except ValueError as error:
        raise ConfigError(f"--shard: {error}") from None
    loaded = over_pool(load_config(config), pool, token_file, ca)
    workers = _engine(engine, loaded)
    settings = with_options(loaded, strategy, results)
    console = Console(stderr=True)
    with redacted(settings):
        print_errors(left_to_server(settings))
        found = run_pipeline(settings, context.obj, console, RunOptions(fresh, share, live, workers))
        report = write_report(found, Path(settings_of(settings).results))
    tell_of_run(found, Path(settings.redact(str(report))), settings, as_json=as_json)
    raise typer.Exit(_exit_code(found))


def _engine(name: str | None, config: "Config") -> "RemoteEngine | None":
    """Return the engine that judges problems in other processes, if one is wanted. Raises ConfigError, MissingExtra."""
    if name is not None and config.discovery:
        advice = "leave out --engine, or share a pool: balancer serve, and --pool"
        raise config.located("discovery", ConfigError(f"only one process can follow sources; {advice}"))
    if name is None:
        return None
    if name != "ray":
        raise ConfigError(f"--engine: found {name!r}; allowed is ray; leave it out for the threads of this process")
    if config.pool.connect is not None:
        raise ConfigError("--engine: its workers share their own pool; leave out --pool and pool.connect")
    from balancer.ray.engine import ray_workers

    return ray_workers


def tell_of_run(found: "RunResult", report: Path, settings: "Config", *, as_json: bool) -> None:
    """Print the result of a run, and how to resume it if it is not complete."""
    from balancer.pipeline.report import nothing_judged, print_summary

    said = ""
    if found.stopped_by:
        said = "stopped; the same command goes on from here"
    elif not found.complete:
        said = "some problems are left; the same command goes on with them"
        if why := nothing_judged(found):
            said = f"{why}; the same command tries again"
            if not found.reasons:
                said = f"{why} To run it again does not help before this is mended."
    if as_json:
        errors = [nothing_judged(found) or said] if said else []
        print_json({**found.summary(), "report": str(report)}, errors=errors, redact=settings.redact)
        return
    console = Console()
    print_summary(found, console, report=report)
    if said:
        console.print(said, markup=False)


def _exit_code(found: "RunResult") -> int:
    if found.complete:
        return _DONE
    return _STOPPED + found.stopped_by if found.stopped_by else _NOTHING_JUDGED
