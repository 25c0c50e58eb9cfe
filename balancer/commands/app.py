"""The `balancer` command.

Decides what is said on the terminal and with which exit code: 0 done, 2 something to put right first,
3 the run judged nothing, 130 stopped by ctrl-C, 143 by SIGTERM. It must not know how anything is done; plugins add
commands of their own.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from balancer.commands.stopping import CommandStopped, raising_stopped
from balancer.errors import BalancerError
from balancer.plugins.extras import require
from balancer.plugins.registry import Registry, default_registry
from balancer.settings.config import Config, load_config

if TYPE_CHECKING:
    from balancer.pipeline.results.records import RunResult

__all__ = ["main", "make_app"]

_NAME = "balancer"
_DONE: Final = 0
_NOTHING_JUDGED: Final = 3
_STOPPED: Final = 128  # and the signal's number, as shells count

ConfigArgument = Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML config file.", show_default=False)]
StrategyOption = Annotated[
    str | None, typer.Option("--strategy", metavar="NAME", help="Use this strategy, with default options.")
]


def make_app(registry: Registry) -> typer.Typer:
    """Return the command line with the commands of every plugin in `registry`."""
    app = typer.Typer(
        help="Lease the endpoints of a pool by a strategy of your choice, and judge programs over them.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        show_version: Annotated[
            bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
        ] = False,
    ) -> None:
        pass

    @app.command()
    def run(
        config: ConfigArgument,
        strategy: StrategyOption = None,
        results: Annotated[
            Path | None, typer.Option("--results", metavar="DIR", help="Write here instead of where the config says.")
        ] = None,
        fresh: Annotated[bool, typer.Option("--fresh", help="Forget an earlier run in that folder.")] = False,
    ) -> None:
        """Judge the problems of CONFIG and write a report. A run that was stopped goes on where it was."""
        require("pipeline", '"balancer run"')
        from balancer.pipeline.report import print_summary, write_report
        from balancer.pipeline.running.run import run_pipeline, settings_of

        console = Console()
        settings = _with(load_config(config), strategy, results)
        with _redacted(settings):
            found = run_pipeline(settings, registry, Console(stderr=True), fresh=fresh)
            report = write_report(found, Path(settings_of(settings).results))
        print_summary(found, console, report=Path(settings.redact(str(report))))
        if found.stopped_by:
            console.print("stopped; the same command goes on from here", markup=False)
        elif not found.complete:
            console.print("nothing was judged; the same command tries again", markup=False)
        raise typer.Exit(_exit_code(found))

    @app.command()
    def check(config: ConfigArgument, strategy: StrategyOption = None) -> None:
        """Say what CONFIG would run, and whether it can. Runs nothing."""
        from balancer.commands.check import check_config

        settings = _with(load_config(config), strategy, None)
        if settings.pipeline is not None:
            require("pipeline", '"balancer check" of a config with [pipeline]')
        with _redacted(settings):
            check_config(settings, registry, Console())

    @app.command()
    def strategies() -> None:
        """List the strategies, their options and the plugins they come from."""
        _print_strategies(registry, Console())

    registry.add_commands(app)
    return app


def _exit_code(found: "RunResult") -> int:
    if found.complete:
        return _DONE
    return _STOPPED + found.stopped_by if found.stopped_by else _NOTHING_JUDGED


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"balancer {version('balancer')}")
        raise typer.Exit


def _with(config: Config, strategy: str | None, results: Path | None) -> Config:
    """Return `config` with what the command line says instead."""
    if strategy is not None:
        config = config.model_copy(
            update={"pool": config.pool.model_copy(update={"strategy": strategy, "options": {}})}
        )
    if results is not None and config.pipeline is not None:
        pipeline = config.pipeline.model_copy(update={"results": str(results)})
        config = config.model_copy(update={"pipeline": pipeline})
    return config


@contextmanager
def _redacted(config: Config) -> Iterator[None]:
    """Say what is wrong without what `config` has from the environment, and exit."""
    try:
        yield
    except (BalancerError, OSError) as error:
        _complain(config.redact(str(error)))


def _print_strategies(registry: Registry, console: Console) -> None:
    table = Table(title="strategies", show_lines=True)
    table.add_column("strategy", no_wrap=True)
    for heading in ("what it does", "options", "plugin"):
        table.add_column(heading, overflow="fold")
    for name, registered in sorted(registry.strategies.items()):
        kind = registered.item
        options = [
            f"{option} = {field.default!r}: {field.description or ''}"
            for option, field in kind.Options.model_fields.items()
        ]
        summary = (kind.__doc__ or "").strip().splitlines()
        words = (name, summary[0] if summary else "", "\n".join(options) or "none", registered.plugin)
        table.add_row(*map(Text, words))  # a plugin's words are no markup
    console.print(table)
    for broken in registry.broken:
        console.print(str(broken), markup=False)


def main() -> None:
    """Run the command line; an error of ours is a line for each problem, and exit code 2."""
    try:
        with raising_stopped():
            code = make_app(default_registry())(prog_name=_NAME, standalone_mode=False)
    except CommandStopped as stopped:
        print(f"{_NAME}: {'; '.join(['stopped', *getattr(stopped, '__notes__', ())])}", file=sys.stderr)
        raise
    except (BalancerError, OSError) as error:  # OSError: e.g. the disk is full when the report is to be written
        _complain(str(error))
    except typer.Abort:  # somebody did not answer a plugin's question
        sys.exit(1)
    except Exception as error:
        if not isinstance(error, typer.BadParameter.__bases__):  # a usage error: typer makes only this kind public
            raise
        _complain(_usage(error))
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Exception) -> str:
    """Return what is wrong with the command line, in a line; nothing if the help was shown instead."""
    words = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    where = getattr(getattr(error, "ctx", None), "command_path", _NAME)
    return f"{words.rstrip('.')} (see {where} --help)" if words else ""


def _complain(error: str) -> NoReturn:
    for line in error.splitlines():
        print(f"{_NAME}: {line}", file=sys.stderr)
    sys.exit(2)
