"""Options that several commands share, with their completion, their error lines and their JSON output."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer

from balancer.errors import BalancerError, ConfigError
from balancer.plugins.registry import default_registry
from balancer.reporting.files import json_text
from balancer.settings.config import Config

__all__ = [
    "CaOption",
    "ConfigArgument",
    "JsonOption",
    "PageOption",
    "PoolOption",
    "ResultsArgument",
    "StrategyOption",
    "TokenOption",
    "complain",
    "over_pool",
    "print_errors",
    "print_json",
    "redacted",
    "result_folders",
    "strategy_names",
    "toml_files",
    "wants_json",
    "with_options",
    "without_clutter",
]

_HIDDEN = ("install_completion", "show_completion")
_WRONG: Final = 2
_OPTION = "--json"

JsonOption = Annotated[
    bool, typer.Option(_OPTION, help="Print one JSON document on standard output. All else goes to standard error.")
]


def strategy_names(incomplete: str) -> list[str]:
    """Return the names of strategies that begin with `incomplete`."""
    return [name for name in sorted(default_registry().strategies) if name.startswith(incomplete)]


def toml_files(incomplete: str) -> list[str]:
    """Return the paths of TOML files and of folders that begin with `incomplete`."""
    return _paths(incomplete, ".toml")


def result_folders(incomplete: str) -> list[str]:
    """Return the paths of folders that begin with `incomplete`."""
    return _paths(incomplete, None)


def _paths(incomplete: str, suffix: str | None) -> list[str]:
    folder, _, begun = incomplete.rpartition("/")
    where = Path(folder or ("/" if incomplete.startswith("/") else "."))
    try:
        entries = sorted(entry for entry in where.iterdir() if entry.name.startswith(begun))
    except OSError:
        return []
    shown = incomplete[: len(incomplete) - len(begun)]
    return [
        f"{shown}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if (entry.is_dir() or entry.suffix == suffix) and (begun or not entry.name.startswith("."))
    ]


def without_clutter(command: Any) -> Any:
    """Return `command`, with the two completion options hidden in its help."""
    for option in command.params:
        if option.name in _HIDDEN:
            option.hidden = True
    return command


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
    typer.Option("--page", metavar="PORT", min=0, max=65535, help="Serve a page that shows the pool. 0: a free port."),
]
PoolOption = Annotated[
    str | None,
    typer.Option("--pool", metavar="URL", help="Use the pool served at this URL: balancer://host:port."),
]
TokenOption = Annotated[
    Path | None,
    typer.Option("--token-file", metavar="FILE", help="File with that server's token. Default: BALANCER_SERVE_TOKEN."),
]
CaOption = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="PEM file with the certificate that signed that server's, for TLS."),
]


def over_pool(config: Config, url: str | None, token_file: Path | None, ca: Path | None) -> Config:
    """Return `config` with the pool that is served at `url`. Raises ConfigError if an option is wrong."""
    given = {"connect": url, "token_file": token_file and str(token_file), "ca": ca and str(ca)}
    said = {key: value for key, value in given.items() if value is not None}
    if said and url is None and config.pool.connect is None:
        raise ConfigError("--token-file and --ca need a served pool; give --pool as well")
    if said:
        from balancer.commands.sharing import check_sharing

        check_sharing(url, config.pool.connect, token_file, ca)
    return config.model_copy(update={"pool": config.pool.model_copy(update=said)}) if said else config


def with_options(config: Config, strategy: str | None, results: Path | None) -> Config:
    """Return `config` with the strategy and results folder of the command line. Raises ConfigError."""
    if strategy is not None and config.pool.connect is not None:
        raise ConfigError(f"--strategy {strategy}: the server of the pool decides it; change its config")
    if strategy is not None:
        config = config.model_copy(
            update={"pool": config.pool.model_copy(update={"strategy": strategy, "options": {}})}
        )
    if results is not None and config.pipeline is not None:
        pipeline = config.pipeline.model_copy(update={"results": str(results)})
        config = config.model_copy(update={"pipeline": pipeline})
    return config


@contextmanager
def redacted(config: Config) -> Iterator[None]:
    """Print an error of the block without values from the environment, and exit with code 2."""
    try:
        yield
    except (BalancerError, OSError) as error:
        complain(config.redact(str(error)))


def complain(error: str) -> NoReturn:
    """Print `error`, as JSON if the command line has `--json`, and exit with code 2."""
    if wants_json():
        print_json({}, errors=error.splitlines())
    else:
        print_errors(error.splitlines())
    sys.exit(_WRONG)


def print_errors(lines: Iterable[str]) -> None:
    """Print each line on standard error, after `balancer: `."""
    for line in lines:
        print(f"balancer: {line}", file=sys.stderr)


def wants_json() -> bool:
    """Return whether the command line has `--json`, even if the rest of it is wrong."""
    return _OPTION in sys.argv[1:]


def print_json(
    found: Mapping[str, Any], *, errors: Iterable[str] = (), redact: Callable[[str], str] | None = None
) -> None:
    """Print `found` as one JSON document, with `errors`.

    Args:
        errors: a line for each error; empty if there was none.
        redact: applied to every text in the document.
    """
    document = {**found, "errors": list(errors)}
    print(json_text(_redacted(document, redact) if redact else document), end="")


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): _redacted(item, redact) for key, item in value.items()}
    return [_redacted(item, redact) for item in value] if isinstance(value, list | tuple) else value
