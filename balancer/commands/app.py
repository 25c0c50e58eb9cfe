"""The `balancer` command line: commands, options, exit codes and error lines.

Exit codes: 0 done, 2 something must be corrected first, 3 the config is right and the endpoints are not (a run judged
nothing or left problems, an endpoint does not answer `check`), 130 stopped by ctrl-C, 143 stopped by SIGTERM.
"""

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from typer.main import get_command

from balancer import __version__
from balancer.commands.options import (
    CaOption,
    ConfigArgument,
    JsonOption,
    PageOption,
    PoolOption,
    ResultsArgument,
    StrategyOption,
    TokenOption,
    over_pool,
    redacted,
    with_options,
)
from balancer.commands.output import complain, print_errors, print_json
from balancer.commands.run import run
from balancer.commands.stopping import stoppable
from balancer.errors import BalancerError
from balancer.plugins.extras import require
from balancer.plugins.registry import Registry, default_registry

if TYPE_CHECKING:
    from balancer.pipeline.results.run_result import RunResult

__all__ = ["command_line", "main", "make_app"]

_NAME: Final = "balancer"
_DONE: Final = 0
_WRONG: Final = 2
_UNREACHED: Final = 3
_OF_UNIX: Final = ("fcntl", "resource")  # modules that Python has nowhere else


def make_app(registry: Registry) -> typer.Typer:
    """Return the command line with the commands of every plugin in `registry`.

    Each command has `registry` as its `context.obj`.
    """
    app = typer.Typer(
        help="Share a pool of API endpoints by a strategy that you choose, and judge programs on it.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"obj": registry},
    )
    app.callback()(_options)
    for command, group, example in (
        (init, "Pool", "balancer init --example"),
        (check, "Pool", "balancer check balancer.toml"),
        (demo, "Pool", "balancer demo --seconds 20"),
        (top, "Pool", "balancer top http://127.0.0.1:8800/"),
        (strategies, "Pool", "balancer strategies"),
        (run, "Judging", "balancer run balancer.toml --live 8800"),
        (report, "Judging", "balancer report results"),
        (merge, "Judging", "balancer merge share-1 share-2 --results all"),
        (diff, "Judging", "balancer diff results/monday results/tuesday"),
        (serve, "Servers", "balancer serve pool.toml --page 8800"),
    ):
        app.command(rich_help_panel=group, epilog=f"Example: {example}")(command)
    registry.add_commands(app)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"{_NAME} {__version__}")
        raise typer.Exit


def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


# -- commands ------------------------------------------------------------------------------------------


def report(folder: ResultsArgument, as_json: JsonOption = False) -> None:
    """Write the report of the run in DIR again, with its rows or cases, from the stored results."""
    require("pipeline", '"balancer report"')
    from balancer.commands.results import write_again

    _print_result(*write_again(folder, _say), as_json=as_json)


def merge(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="The results folder of each share."),
    ],
    results: Annotated[Path, typer.Option("--results", metavar="DIR", help="The folder for the merged results.")],
    as_json: JsonOption = False,
) -> None:
    """Merge the results of the shares of one run (run --shard) into one folder, and write its report."""
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
    """Show what differs between two runs: problems, cases, kill rates and verdicts."""
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
    offline: Annotated[bool, typer.Option("--offline", help="Do not contact the endpoints.")] = False,
    pool: PoolOption = None,
    token_file: TokenOption = None,
    ca: CaOption = None,
    as_json: JsonOption = False,
) -> None:
    """Report the mistakes of CONFIG, show what it would run, and ask each endpoint for an answer. Judges nothing."""
    from balancer.commands.check import check_config
    from balancer.settings.config import load_config

    settings = over_pool(load_config(config), pool, token_file, ca)
    if settings.pipeline is not None:
        require("pipeline", '"balancer check" of a config with [pipeline]')
    with redacted(settings):
        checked = check_config(with_options(settings, strategy, None), context.obj, offline=offline)
    errors = [*checked.mistakes, *checked.silent]
    if as_json:
        print_json(checked.data, errors=errors, redact=settings.redact)
    else:
        for line in checked.lines:
            print(line)
        if errors:
            print_errors(errors)
    raise typer.Exit(_WRONG if checked.mistakes else _UNREACHED if checked.silent else _DONE)


def serve(
    context: typer.Context,
    config: ConfigArgument,
    host: Annotated[str, typer.Option(help="Address to listen on. Other machines need a token.")] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on. 0: a free port.")] = 7465,
    ttl: Annotated[float, typer.Option(help="A process that is silent for this many seconds loses its leases.")] = 10.0,
    state: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File that records the holders of leases. Default: CONFIG.state."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(help="File with the token that processes must send. Default: BALANCER_SERVE_TOKEN, if it is set."),
    ] = None,
    cert: Annotated[Path | None, typer.Option(help="PEM file with the certificate, for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="PEM file with the certificate's key.")] = None,
    page: PageOption = None,
    page_host: Annotated[
        str, typer.Option("--page-host", help="Address of the page. All who reach it see the pool.")
    ] = "127.0.0.1",
) -> None:
    """Serve the pool of CONFIG to other processes, on this machine or on others."""
    require("serve", '"balancer serve"', "msgspec")
    from balancer.commands import serve as serving
    from balancer.settings.config import load_config

    if page is not None:
        require("observe", '"balancer serve --page"', "starlette", "uvicorn")
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
            name=config.stem,
            say=partial(print, flush=True),
            again=partial(load_config, config),
        )
        serving.serve(settings, context.obj, options)


def top(
    url: Annotated[str, typer.Argument(metavar="URL", help="The URL of a page, as it was printed.")],
    as_json: JsonOption = False,
) -> None:
    """Show the page of a pool in the terminal until ctrl-C. With --json, print its state once."""
    from balancer.observing.page.top import show, state_of

    if as_json:
        print_json(state_of(url))
        return
    with suppress(KeyboardInterrupt):
        show(url, Console())


def demo(
    seconds: Annotated[float, typer.Option("--seconds", min=0.1, max=86400.0, help="How long it lasts.")] = 60.0,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port of the page. 0: a free port.")] = 0,
) -> None:
    """Show a pool at work in its live page. A server dies and comes back. Needs no config and no other server."""
    require("observe", '"balancer demo"', "starlette", "uvicorn")
    from balancer.commands.demo import run_demo

    run_demo(seconds, port)


def strategies(context: typer.Context, as_json: JsonOption = False) -> None:
    """List the strategies, with their options and plugins."""
    from balancer.commands.strategies import print_strategies, strategies_data

    if as_json:
        print_json(strategies_data(context.obj))
    else:
        print_strategies(context.obj, Console())


def init(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="Where to write it. Default: balancer.toml, or the folder balancer-example.",
            show_default=False,
        ),
    ] = None,
    example: Annotated[
        bool,
        typer.Option("--example", help="Write a folder with problems, rows, a scenario and configs that run at once."),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a config with every section and key, each with its default and meaning; or an example that runs at once."""
    from balancer.commands.init import write_config, write_example

    if example:
        folder = file or Path("balancer-example")
        write_example(folder, force=force)
        print(f"wrote {folder}; next: cd {folder} && balancer run balancer.toml (README.md there has more commands)")
        return
    file = file or Path("balancer.toml")
    write_config(file, force=force)
    print(f"wrote {file}; change what you need, then: balancer check {file}")


# -- the program ---------------------------------------------------------------------------------------


def main() -> None:
    """Run the command line. Each error of balancer is printed as a line, and the exit code is 2."""
    stoppable(command_line)


def command_line() -> None:
    """As `main`, for a caller that minds signals itself."""
    try:
        command = get_command(make_app(default_registry()))
        code = command.main(prog_name=_NAME, standalone_mode=False)
    except (BalancerError, OSError) as error:  # OSError: e.g. the disk is full
        complain(str(error))
    except ModuleNotFoundError as error:
        if error.name not in _OF_UNIX:
            raise
        complain(f"this command needs Linux or macOS, and this is {sys.platform}; on Windows, run it in WSL")
    except typer.Abort:  # a plugin asked a question and got no answer
        sys.exit(1)
    except Exception as error:
        if not isinstance(error, typer.BadParameter.__bases__):  # a usage error: typer exports only this class of them
            raise
        complain(_usage(error))
    sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Exception) -> str:
    """Return what is wrong with the command line, as one line; "" if the help was shown instead."""
    words = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    where = getattr(getattr(error, "ctx", None), "command_path", _NAME)
    return f"{words.rstrip('.')} (see {where} --help)" if words else ""
