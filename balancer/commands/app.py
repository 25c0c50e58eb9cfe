"""The `balancer` command line: its options, exit codes and error lines.

Decides what is said on the terminal and with which exit code: 0 done, 2 something to put right first, 3 the config is
right and the endpoints are not (a run judged nothing, an endpoint does not answer a check), 130 stopped by ctrl-C, 143
by SIGTERM.
"""

import signal
import sys
from contextlib import suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from typer.main import get_command

from balancer.commands.options import (
    CaOption,
    ConfigArgument,
    JsonOption,
    PageOption,
    PoolOption,
    ResultsArgument,
    StrategyOption,
    TokenOption,
    complain,
    over_pool,
    print_errors,
    print_json,
    redacted,
    result_folders,
    wants_json,
    with_options,
    without_clutter,
)
from balancer.commands.run import run
from balancer.commands.stopping import raising_stopped
from balancer.errors import BalancerError, CommandStopped, ConfigError
from balancer.plugins.extras import require
from balancer.plugins.registry import Registry, default_registry
from balancer.settings.config import load_config, load_usable_part

if TYPE_CHECKING:
    from balancer.pipeline.results.run_result import RunResult

__all__ = ["main", "make_app"]

_NAME: Final = "balancer"
_DONE: Final = 0
_WRONG: Final = 2
_UNREACHED: Final = 3
_STOPPED: Final = 128  # and the signal's number, as shells count

# As balancer.observing.traces.importers has it, which is not imported to say so.
_NGINX: Final = "$msec $status $request_time $upstream_addr $upstream_response_time"


def make_app(registry: Registry) -> typer.Typer:
    """Return the command line with the commands of every plugin in `registry`, which is `context.obj` of each."""
    app = typer.Typer(
        help="Lease the endpoints of a pool by a strategy of your choice, and judge programs over them.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"obj": registry},
    )
    app.callback()(_options)
    for command in (run, trace, report, merge, diff, check, serve, top, strategies, init):
        app.command()(command)
    registry.add_commands(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{_NAME} {version(_NAME)}")
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


# -- commands ------------------------------------------------------------------------------------------


def trace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A trace or a record.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="WHAT", help="FILE is no trace, but of nginx, haproxy or csv."),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option("--format", metavar="FORMAT", help=f"The log_format of nginx that wrote FILE. Default: {_NGINX}"),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=NAME", help="The column of a CSV that holds a field; several."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="TRACE", help="Write FILE as a trace here; as Parquet if it ends with .parquet."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Say what is in the trace FILE, or make a trace of another program's record."""
    from balancer.commands.trace import trace_data, trace_lines

    found = trace_data(file, source=source, log_format=log_format, columns=column or (), out=out)
    if as_json:
        print_json(found)
    else:
        for line in trace_lines(found):
            print(line)


def report(folder: ResultsArgument, as_json: JsonOption = False) -> None:
    """Make the report of the run in DIR again, and its rows or cases, from what it has stored so far."""
    require("pipeline", '"balancer report"')
    from balancer.commands.results import write_again

    _print_result(*write_again(folder, _say), as_json=as_json)


def merge(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="The results of each share.", autocompletion=result_folders),
    ],
    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="Where to put them together.")],
    as_json: JsonOption = False,
) -> None:
    """Put the results of the shares of one run (run --shard) together, and report on them all."""
    require("pipeline", '"balancer merge"')
    from balancer.commands.results import put_together

    _print_result(*put_together(folders, results, _say), as_json=as_json)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _print_result(found: "RunResult", page: Path, *, as_json: bool) -> None:
    from balancer.pipeline.report import print_summary

    if as_json:
        print_json({**found.summary(), "report": str(page)})
    else:
        print_summary(found, Console(), report=page)


def diff(before: ResultsArgument, after: ResultsArgument, as_json: JsonOption = False) -> None:
    """Say what differs between two runs: problems, cases, kill rates, verdicts."""
    require("pipeline", '"balancer diff"')
    from balancer.commands.results import differ, difference_lines

    found = differ(before, after)
    if as_json:
        print_json(found.to_dict())
        return
    for line in difference_lines(found):
        Console().print(line, markup=False, highlight=False, soft_wrap=True)


def check(
    context: typer.Context,
    config: ConfigArgument,
    strategy: StrategyOption = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask the endpoints whether they answer.")] = False,
    pool: PoolOption = None,
    token_file: TokenOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what CONFIG would run, and all that is wrong with it. Pings the endpoints, but runs nothing."""
    from balancer.commands.check import check_config

    settings, mistakes = load_usable_part(config)
    if settings is None:
        raise ConfigError(mistakes)
    settings = over_pool(settings, pool, token_file, ca)
    if settings.pipeline is not None and not mistakes:
        require("pipeline", '"balancer check" of a config with [pipeline]')
    with redacted(settings):
        checked = check_config(with_options(settings, strategy, None), context.obj, offline=offline or bool(mistakes))
    errors = [*mistakes, *checked.mistakes, *checked.silent]
    if as_json:
        print_json(checked.data, errors=errors, redact=settings.redact)
    elif not mistakes:
        for line in checked.lines:
            print(line)
    if errors and not as_json:
        print_errors(errors)
    raise typer.Exit(_WRONG if mistakes or checked.mistakes else _UNREACHED if checked.silent else _DONE)


def serve(
    context: typer.Context,
    config: ConfigArgument,
    host: Annotated[str, typer.Option(help="Address to listen on; beyond this machine a token is needed.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks a free one.")] = 7465,
    ttl: Annotated[
        float, typer.Option(help="Seconds after which a process that is not heard of has lost its leases.")
    ] = 10.0,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to keep who holds leases; by default CONFIG's name and .state."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token that processes must have; else BALANCER_SERVE_TOKEN, if it is set."),
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="PEM file with the certificate, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with its key.")] = None,
    page: PageOption = None,
    page_host: Annotated[
        str, typer.Option("--page-host", help="Address of the page; whoever reaches it sees the pool.")
    ] = "127.0.0.1",
) -> None:
    """Serve the pool of CONFIG to the processes that connect to it, on this machine or on others."""
    require("serve", '"balancer serve"')
    from balancer.commands import serve as serving

    if page is not None:
        require("page", '"balancer serve --page"')
    settings = load_config(config)
    with redacted(settings):
        options = serving.ServeOptions(
            host=host,
            port=port,
            state=state or config.with_name(config.name + ".state"),
            ttl_s=ttl,
            token=serving.token_of(token_file),
            tls=serving.tls_of(cert, key),
            page=None if page is None else (page_host, page),
            say=partial(print, flush=True),
            again=partial(load_config, config),
        )
        serving.serve(settings, context.obj, options)


def top(
    url: Annotated[str, typer.Argument(metavar="URL", help="The URL of a page, as it was printed.")],
    as_json: JsonOption = False,
) -> None:
    """Show the page of a pool in the terminal until ctrl-C, or with --json what it says just now."""
    from balancer.observing.page.top import show, state_of

    if as_json:
        print_json(state_of(url))
        return
    with suppress(KeyboardInterrupt):
        show(url, Console())


def strategies(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the strategies, their options and the plugins they come from."""
    from balancer.commands.strategies import print_strategies, strategies_data

    if as_json:
        print_json(strategies_data(context.obj))
    else:
        print_strategies(context.obj, Console())


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("balancer.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a config with every section and key in it, each with its default and what it is for."""
    from balancer.commands.init import write_config

    write_config(file, force=force)
    print(f"wrote {file}; change what you need, then: balancer check {file}")


# -- the program ---------------------------------------------------------------------------------------


def main() -> None:
    """Run the command line; an error of ours is a line for each problem, and exit code 2."""
    try:
        with raising_stopped():
            command = without_clutter(get_command(make_app(default_registry())))
            code = command.main(prog_name=_NAME, standalone_mode=False)
    except CommandStopped as stopped:
        _say_stopped(stopped)
        raise
    except KeyboardInterrupt as stopped:  # of a plugin's own: a signal raises `CommandStopped`
        _say_stopped(stopped)
        sys.exit(_STOPPED + signal.SIGINT)
    except (BalancerError, OSError) as error:  # OSError: e.g. the disk is full when the report is to be written
        complain(str(error))
    except typer.Abort:  # somebody did not answer a plugin's question
        sys.exit(1)
    except Exception as error:
        if not isinstance(error, typer.BadParameter.__bases__):  # a usage error: typer makes only this kind public
            raise
        complain(_usage(error))
    sys.exit(code if isinstance(code, int) else 0)


def _say_stopped(stopped: BaseException) -> None:
    """Say in a line that the command was stopped, and what became of its work."""
    said = "; ".join(["stopped", *getattr(stopped, "__notes__", ())])
    if wants_json():
        print_json({}, errors=[said])
    print_errors([said])


def _usage(error: Exception) -> str:
    """Return what is wrong with the command line, in a line; nothing if the help was shown instead."""
    words = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    where = getattr(getattr(error, "ctx", None), "command_path", _NAME)
    return f"{words.rstrip('.')} (see {where} --help)" if words else ""
