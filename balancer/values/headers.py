"""The headers of an endpoint: a mapping that never shows its values.

It checks that each header can be sent. Any value may be secret, so an error names the header and does not quote its
value.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from balancer.errors import ConfigError

__all__ = ["Headers", "checked_headers", "secrets_of", "token_mistake"]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")  # RFC 9110, without its obsolete parts
_SHORTEST = 16  # characters of a token: a shorter one could be guessed


class Headers(Mapping[str, str]):
    """Names and values, read-only. Its repr has the names only; a copy or a pickle has the values too.

    Args:
        given: names and values, both strings.

    Raises:
        ValueError: a header cannot be sent.
    """

    __slots__ = ("_values",)

    def __init__(self, given: Any = ()) -> None:
        if not isinstance(given, Mapping) and given != ():
            raise ValueError('headers takes a mapping of names to texts, e.g. {"Authorization": "Bearer ..."}')
        self._values: dict[str, str] = dict(given)
        for name, value in self._values.items():
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not a header name; allowed are letters, digits and hyphens")
            if not isinstance(value, str) or not _VALUE.fullmatch(value):
                raise ValueError(f"header {name!r} has a value that cannot be sent; it must be a text of plain ASCII")

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __hash__(self) -> int:
        return hash(frozenset(self._values.items()))

    def __repr__(self) -> str:
        return f"<headers {', '.join(self._values)}; values are not shown>" if self._values else "<no headers>"


def checked_headers(headers: Mapping[str, str], url: str) -> dict[str, str]:
    """Return the `headers` of the endpoint `url` if they can be sent. Raises ConfigError."""
    try:
        return dict(Headers(headers))
    except ValueError as error:
        raise ConfigError(f"endpoint {url}: {error}") from None


def secrets_of(headers: Mapping[str, str]) -> list[str]:
    """Return the values, and the part after the scheme ("Bearer ", "Basic ") of each."""
    return [text for value in headers.values() for text in (value, value.partition(" ")[2].strip()) if text]


def token_mistake(token: str) -> str:
    """Return why clients cannot have this token, in words that do not quote it; "": they can."""
    if len(token) >= _SHORTEST and token.isascii() and token.isprintable() and " " not in token:
        return ""
    return (
        f"the token has {len(token)} characters; it must be at least {_SHORTEST} printable ASCII characters without "
        "spaces, as `openssl rand -hex 16` makes them"
    )
