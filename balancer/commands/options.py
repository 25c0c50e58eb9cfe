"""Options that several commands share, with their completion."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from balancer.commands.output import JSON_OPTION, complain
from balancer.errors import BalancerError, ConfigError
from balancer.plugins.registry import default_registry

if TYPE_CHECKING:
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
    "over_pool",
    "redacted",
    "strategy_names",
    "text_in",
    "with_options",
]

JsonOption = Annotated[
    bool, typer.Option(JSON_OPTION, help="Print one JSON document on standard output. All else goes to standard error.")
]


def strategy_names(incomplete: str) -> list[str]:
    """Return the names of strategies that begin with `incomplete`."""
    return [name for name in sorted(default_registry().strategies) if name.startswith(incomplete)]


ConfigArgument = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", help="A TOML config file.", show_default=False),
]
ResultsArgument = Annotated[
    Path,
    typer.Argument(metavar="DIR", help="A results folder.", show_default=False),
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


def over_pool(config: "Config", url: str | None, token_file: Path | None, ca: Path | None) -> "Config":
    """Return `config` with the pool that is served at `url`. Raises ConfigError if an option is wrong."""
    given = {"connect": url, "token_file": token_file and str(token_file), "ca": ca and str(ca)}
    said = {key: value for key, value in given.items() if value is not None}
    if said and url is None and config.pool.connect is None:
        raise ConfigError("--token-file and --ca need a served pool; give --pool as well")
    if said:
        _check_sharing(url, config.pool.connect, token_file, ca)
    return config.model_copy(update={"pool": config.pool.model_copy(update=said)}) if said else config


def _check_sharing(url: str | None, connect: str | None, token_file: Path | None, ca: Path | None) -> None:
    """Check the options of a served pool; `connect`: that of the config. Raises ConfigError, which names the option."""
    if url is not None:
        from balancer.cluster.tcp.address import address_of

        try:
            address_of(url)
        except ConfigError as error:
            raise ConfigError(f"--pool: {error}") from None
    if token_file is not None:
        text_in("--token-file", token_file)
    if ca is not None:
        _check_ca(url or connect or "", ca)


def text_in(option: str, file: Path) -> str:
    """Return the text in `file`, stripped. The error names `option`. Raises ConfigError."""
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{option} {file}: {error.strerror}; give a file that can be read") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{option} {file}: is not text; give a file that holds only the token") from None


def _check_ca(url: str, file: Path) -> None:
    if url.startswith("balancer:"):
        raise ConfigError(f"--ca {file}: {url} has no TLS, so the certificate has no use; connect to balancers://")
    from balancer.opening.connected import trusting

    trusting(file, "--ca")


def with_options(config: "Config", strategy: str | None, results: Path | None) -> "Config":
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
def redacted(config: "Config") -> Iterator[None]:
    """Print an error of the block without values from the environment, and exit with code 2."""
    try:
        yield
    except (BalancerError, OSError) as error:
        complain(config.redact(str(error)))
