"""The headers that a config gives for an endpoint: which can be sent, and what in them is secret.

Every value may be a secret, so an error names a header and never shows its value.
"""

from collections.abc import Mapping

from balancer.errors import ConfigError
from balancer.values.headers import Headers

__all__ = ["checked", "secrets_of"]


def checked(headers: Mapping[str, str], url: str) -> dict[str, str]:
    """Return `headers` if they can be sent. Raises ConfigError."""
    try:
        return dict(Headers(headers))
    except ValueError as error:
        raise ConfigError(f"endpoint {url}: {error}") from None


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """Return the values, and what follows the scheme in each ("Bearer ", "Basic ")."""
    return [text for value in headers.values() for text in (value, value.partition(" ")[2].strip()) if text]
