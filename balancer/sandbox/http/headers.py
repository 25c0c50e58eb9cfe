"""The headers that a config gives for an endpoint: which can be sent, and what in them is secret.

Every value may be a secret, so an error names a header and never shows its value.
"""

import re
from collections.abc import Mapping

from balancer.errors import ConfigError

__all__ = ["checked", "secrets_of"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")  # RFC 9110, without its obsolete parts


def checked(headers: Mapping[str, str], url: str) -> dict[str, str]:
    """Return `headers` if they can be sent. Raises ConfigError."""
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise ConfigError(f"endpoint {url}: {name!r} is no header name; allowed are letters, digits and hyphens")
        if not _VALUE.fullmatch(value):
            raise ConfigError(f"endpoint {url}: header {name!r} has a value that cannot be sent; plain ASCII can")
    return dict(headers)


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """Return the values, and what follows the scheme in each ("Bearer ", "Basic ")."""
    return [text for value in headers.values() for text in (value, value.partition(" ")[2].strip()) if text]
