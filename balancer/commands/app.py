"""The `balancer` command line: its options, exit codes and error lines.

Decides what is said on the terminal and with which exit code: 0 done, 2 something to put right first,
3 the config is right and the endpoints are not (a run judged nothing, an endpoint does not answer a check), 130 stopped
by ctrl-C, 143 by SIGTERM. It must not know how anything is done; plugins add commands of their own.
"""

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from rich.console import Console
from typer.main import get_command

from balancer.commands.completion import result_folders, strategy_names, toml_files, without_clutter
from balancer.commands.output import JsonOption, print_json, wants_json
from balancer.commands.stopping import raising_stopped
from balancer.commands.strategies import print_strategies, strategies_data
from balancer.errors import BalancerError, CommandStopped, ConfigError
from balancer.plugins.extras import require
from balancer.plugins.registry import Registry, default_registry
from balancer.settings.config import Config, load_config, load_usable_part

if TYPE_CHECKING:
    from balancer.pipeline.results.run_result import RunResult
    from balancer.pipeline.running.remote import Engine

__all__ = ["main", "make_app"]

_NAME = "balancer"
_DONE: Final = 0
_WRONG: Final = 2
_NOTHING_JUDGED: Final = 3
_UNREACHED: Final = 3
_STOPPED: Final = 128  # and the signal's number, as shells count

ConfigArgument = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", help="A TOML config file.", show_default=False, autocompletion=toml_files),
]
ResultsArgument = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="A results folder.", show_default=False, autocompletion=result_folders),
]
StrategyOption = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        help="Use this strategy, with default options.",
        autocompletion=strategy_names,
    ),
]


PageOption = Annotated[
    int | None,
    typer.Option(
        "--page", metavar="PORT", min=0, max=65535, help="Serve a page that shows it while it works; 0: a free port."
    ),
]
PoolOption = Annotated[
    str | None,
    typer.Option("--pool", metavar="URL", help="Share the pool that is served there: balancer://host:port."),
]
TokenOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="With the token of that server; else BALANCER_SERVE_TOKEN."),
]
CaOption = Annotated[
    Path | None, typer.Option("--ca", metavar="FILE", help="PEM file that vouches for that server, for TLS.")
]

# As balancer.observing.traces.importers has it, which is not imported to say so.
_NGINX: Final = "$msec $status $request_time $upstream_addr $upstream_response_time"


def make_app(registry: Registry) -> typer.Typer:
    """Return the command line with the commands of every plugin in `registry`."""
    app = typer.Typer(
        help="Lease the endpoints of a pool by a strategy of your choice, and judge programs over them.",
        no_args_is_help=True,
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
        shard: Annotated[
            str | None,
            typer.Option("--shard", metavar="I/N", help="Take the Ith of N shares of the problems, e.g. 2/8."),
        ] = None,
        live: Annotated[
            int | None,
            typer.Option(
                "--live", metavar="PORT", min=0, max=65535, help="Serve a page that shows the run; 0: a free port."
            ),
        ] = None,
        pool: PoolOption = None,
        token_file: TokenOption = None,
        ca: CaOption = None,
        engine: Annotated[
            str | None,
            typer.Option("--engine", metavar="NAME", help="Have problems judged by other processes: ray."),
        ] = None,
        as_json: JsonOption = False,
    ) -> None:
        """Judge the problems of CONFIG and write a report. A run that was stopped goes on where it was."""
        require("pipeline", '"balancer run"')
        if live is not None:
            require("page", '"balancer run --live"')
        from balancer.commands.warnings import left_to_server
        from balancer.pipeline.report import write_report
        from balancer.pipeline.rows.choice import ALL, parse_shard
        from balancer.pipeline.running.run import RunOptions, run_pipeline, settings_of

        try:
            share = ALL if shard is None else parse_shard(shard)
        except ValueError as error:
            raise ConfigError(f"--shard: {error}") from None
        loaded = _shared(load_config(config), pool, token_file, ca)
        workers = None if engine is None else _engine(engine)
        if workers is not None and loaded.pool.connect is not None:
            raise ConfigError("--engine: its workers share a pool of their own; leave out --pool and pool.connect")
        settings = _with(loaded, strategy, results)
        with _redacted(settings):
            for line in left_to_server(settings):
                print(f"{_NAME}: {line}", file=sys.stderr)
            found = run_pipeline(settings, registry, Console(stderr=True), RunOptions(fresh, share, live, workers))
            report = write_report(found, Path(settings_of(settings).results))
        _tell_of_run(found, Path(settings.redact(str(report))), settings, as_json=as_json)
        raise typer.Exit(_exit_code(found))

    @app.command()
    def trace(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A trace or a record.", show_default=False)],
        source: Annotated[
            str | None,
            typer.Option("--from", metavar="WHAT", help="FILE is no trace, but of nginx, haproxy or csv."),
        ] = None,
        log_format: Annotated[
            str | None,
            typer.Option(
                "--format", metavar="FORMAT", help=f"The log_format of nginx that wrote FILE. Default: {_NGINX}"
            ),
        ] = None,
        column: Annotated[
            list[str] | None,
            typer.Option("--column", metavar="FIELD=NAME", help="The column of a CSV that holds a field; several."),
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(
                "--out", metavar="TRACE", help="Write FILE as a trace here; as Parquet if it ends with .parquet."
            ),
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

    @app.command()
    def report(folder: ResultsArgument, as_json: JsonOption = False) -> None:
        """Make the report of the run in DIR again, and its rows or cases, from what it has stored so far."""
        require("pipeline", '"balancer report"')
        from balancer.commands.results import write_again
        from balancer.pipeline.report import print_summary

        found, page = write_again(folder, lambda line: print(line, file=sys.stderr))
        if as_json:
            print_json({**found.summary(), "report": str(page)})
        else:
            print_summary(found, Console(), report=page)

    @app.command()
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
        from balancer.pipeline.report import print_summary

        found, page = put_together(folders, results, lambda line: print(line, file=sys.stderr))
        if as_json:
            print_json({**found.summary(), "report": str(page)})
        else:
            print_summary(found, Console(), report=page)

    @app.command()
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

    @app.command()
    def check(
        config: ConfigArgument,
        strategy: StrategyOption = None,
        offline: Annotated[
            bool, typer.Option("--offline", help="Do not ask the endpoints whether they answer.")
        ] = False,
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
        settings = _shared(settings, pool, token_file, ca)
        if settings.pipeline is not None and not mistakes:
            require("pipeline", '"balancer check" of a config with [pipeline]')
        with _redacted(settings):
            checked = check_config(_with(settings, strategy, None), registry, offline=offline or bool(mistakes))
        errors = [*mistakes, *checked.mistakes, *checked.silent]
        if as_json:
            print_json(checked.data, errors=errors, redact=settings.redact)
        elif not mistakes:
            for line in checked.lines:
                print(line)
        if errors and not as_json:
            _print_errors(errors)
        raise typer.Exit(_WRONG if mistakes or checked.mistakes else _UNREACHED if checked.silent else _DONE)

    @app.command()
    def serve(
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
        from balancer.commands.serve import serve as serve_pool
        from balancer.commands.serve import tls_of, token_of

        if page is not None:
            require("page", '"balancer serve --page"')

        settings = load_config(config)
        with _redacted(settings):
            serve_pool(
                settings,
                registry,
                host=host,
                port=port,
                state=state or config.with_name(config.name + ".state"),
                ttl_s=ttl,
                token=token_of(token_file),
                tls=tls_of(cert, key),
                again=lambda: load_config(config),
                say=lambda line: print(line, flush=True),
                page=None if page is None else (page_host, page),
            )

    @app.command()
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

    @app.command()
    def strategies(as_json: JsonOption = False) -> None:
        """List the strategies, their options and the plugins they come from."""
        if as_json:
            print_json(strategies_data(registry))
        else:
            print_strategies(registry, Console())

    @app.command()
    def init(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("balancer.toml"),
        force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    ) -> None:
        """Write a config with every section and key in it, each with its default and what it is for."""
        from balancer.commands.init import write_config

        write_config(file, force=force)
        print(f"wrote {file}; change what you need, then: balancer check {file}")

    registry.add_commands(app)
    return app


def _engine(name: str) -> "Engine":
    """Return what judges the problems of a run in other processes. Raises ConfigError, MissingExtra."""
    if name != "ray":
        raise ConfigError(f"--engine: found {name!r}; there is one, ray; leave it out for the threads of this process")
    require("ray", '"balancer run --engine ray"')
    from balancer.ray.engine import RayEngine

    return RayEngine()


def _tell_of_run(found: "RunResult", report: Path, settings: Config, *, as_json: bool) -> None:
    from balancer.pipeline.report import nothing_judged, print_summary

    said = ""
    if found.stopped_by:
        said = "stopped; the same command goes on from here"
    elif not found.complete:
        left, nothing = (
            "some problems are left; the same command goes on with them",
            "nothing was judged; the same command tries again",
        )
        said = left if found.judged else nothing
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


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"balancer {version('balancer')}")
        raise typer.Exit


def _shared(config: Config, url: str | None, token_file: Path | None, ca: Path | None) -> Config:
    """Return `config` over the pool that is served at `url`. Raises ConfigError, for a mistake in what is given."""
    given = {"connect": url, "token_file": token_file and str(token_file), "ca": ca and str(ca)}
    said = {key: value for key, value in given.items() if value is not None}
    if said and url is None and config.pool.connect is None:
        raise ConfigError("--token-file and --ca are for a pool that is served; give --pool as well")
    if said:
        from balancer.commands.sharing import check_sharing

        check_sharing(url, config.pool.connect, token_file, ca)
    return config.model_copy(update={"pool": config.pool.model_copy(update=said)}) if said else config


def _with(config: Config, strategy: str | None, results: Path | None) -> Config:
    """Return `config` with what the command line says instead. Raises ConfigError."""
    if strategy is not None and config.pool.connect is not None:
        raise ConfigError(f"--strategy {strategy}: the server of the pool chooses; change its config")
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
        _complain(str(error))
    except typer.Abort:  # somebody did not answer a plugin's question
        sys.exit(1)
    except Exception as error:
        if not isinstance(error, typer.BadParameter.__bases__):  # a usage error: typer makes only this kind public
            raise
        _complain(_usage(error))
    sys.exit(code if isinstance(code, int) else 0)


def _say_stopped(stopped: BaseException) -> None:
    """Say in a line that the command was stopped, and what became of its work."""
    said = "; ".join(["stopped", *getattr(stopped, "__notes__", ())])
    if wants_json():
        print_json({}, errors=[said])
    _print_errors([said])


def _usage(error: Exception) -> str:
    """Return what is wrong with the command line, in a line; nothing if the help was shown instead."""
    words = " ".join(str(getattr(error, "format_message", error.__str__)()).split())
    where = getattr(getattr(error, "ctx", None), "command_path", _NAME)
    return f"{words.rstrip('.')} (see {where} --help)" if words else ""


def _complain(error: str) -> NoReturn:
    """Say what is wrong, as the command line wants it, and exit."""
    if wants_json():
        print_json({}, errors=error.splitlines())
    else:
        _print_errors(error.splitlines())
    sys.exit(_WRONG)


def _print_errors(lines: Iterable[str]) -> None:
    for line in lines:
        print(f"{_NAME}: {line}", file=sys.stderr)
