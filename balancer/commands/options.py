"""Options that several commands have: a config, what takes the place of something in it, and how mistakes are told."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from balancer.commands.completion import result_folders, strategy_names, toml_files
from balancer.commands.output import print_json, wants_json
from balancer.errors import BalancerError, ConfigError
from balancer.settings.config import Config

__all__ = [
    "CaOption",
    "ConfigArgument",
    "PageOption",
    "PoolOption",
    "ResultsArgument",
    "StrategyOption",
    "TokenOption",
    "complain",
    "over_pool",
    "print_errors",
    "redacted",
    "with_options",
]

_WRONG: Final = 2

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


def over_pool(config: Config, url: str | None, token_file: Path | None, ca: Path | None) -> Config:
    """Return `config` over the pool that is served at `url`. Raises ConfigError, for a mistake in what is given."""
    given = {"connect": url, "token_file": token_file and str(token_file), "ca": ca and str(ca)}
    said = {key: value for key, value in given.items() if value is not None}
    if said and url is None and config.pool.connect is None:
        raise ConfigError("--token-file and --ca are for a pool that is served; give --pool as well")
    if said:
        from balancer.commands.sharing import check_sharing

        check_sharing(url, config.pool.connect, token_file, ca)
    return config.model_copy(update={"pool": config.pool.model_copy(update=said)}) if said else config


def with_options(config: Config, strategy: str | None, results: Path | None) -> Config:
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
def redacted(config: Config) -> Iterator[None]:
    """Say what is wrong without what `config` has from the environment, and exit."""
    try:
        yield
    except (BalancerError, OSError) as error:
        complain(config.redact(str(error)))


def complain(error: str) -> NoReturn:
    """Say what is wrong, as the command line wants it, and exit."""
    if wants_json():
        print_json({}, errors=error.splitlines())
    else:
        print_errors(error.splitlines())
    sys.exit(_WRONG)


def print_errors(lines: Iterable[str]) -> None:
    """Print each line as an error of the program."""
    for line in lines:
        print(f"balancer: {line}", file=sys.stderr)
