"""Checks of the options `--pool`, `--token-file` and `--ca`. The error names the option, not the config file."""

import ssl
from pathlib import Path

from balancer.cluster.tcp.address import address_of
from balancer.errors import ConfigError

__all__ = ["check_sharing", "text_in"]


def check_sharing(url: str | None, connect: str | None, token_file: Path | None, ca: Path | None) -> None:
    """Check the options of a served pool.

    Args:
        url: of `--pool`; None: `connect` counts.
        connect: `pool.connect` of the config.
        token_file, ca: of `--token-file` and `--ca`.

    Raises:
        ConfigError: an option cannot be used.
    """
    if url is not None:
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
    try:
        ssl.create_default_context(cafile=str(file))
    except ssl.SSLError:
        why = "holds no certificate"
    except OSError as error:
        why = str(error.strerror)
    else:
        return
    raise ConfigError(f"--ca {file}: {why}; give a PEM file with the certificate that signed the server's")
