"""URLs of endpoints: which are valid, which ones are the same endpoint, and ranges in them.

A plain name such as "gpu-1" is as good as a URL, and any scheme will do. "http://10.0.0.{1..4}:{8080..8083}/" stands
for sixteen URLs.
"""

import re
from functools import lru_cache
from itertools import product
from typing import Final
from urllib.parse import urlsplit

__all__ = ["checked_server_url", "checked_url", "expand_range", "has_credentials", "host_of", "identity_of"]

_MOST_PORT: Final = 65535
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_RANGE = re.compile(r"\{\d+\.\.\d+\}")
_UNSENDABLE = re.compile(r"[\s\x00-\x1f\x7f]")
_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#\[\]]+):\d+(/.*)?")
_KNOWN_BY_HEART: Final = 16_384  # cached names, so that the exclusions of a retry need no parsing
_RANGES_BY_HEART: Final = 16  # each may stand for thousands of names
_BRACES = re.compile(r"\{([^{}]*)\}")
_BOUNDS = re.compile(r"(\d+)\.\.(\d+)")
_AFTER_AUTHORITY = re.compile(r"[/?#]")
_MOST = 10_000


def checked_url(url: object) -> str:
    """Return `url`, a URL or a plain name, if it is valid for an endpoint.

    Raises:
        ValueError: it is not. The message says why and what to write, and does not quote a password.
    """
    if not isinstance(url, str) or not url.strip():
        raise ValueError("it must be a non-empty string")
    if _password_in(url):
        raise ValueError("it has a password, which every log would show; give it in headers instead")
    if _RANGE.search(url):
        raise ValueError(
            "a range is expanded in config files only; in Python write one endpoint for each URL: "
            "[Endpoint(url) for url in expand_range(...)], with expand_range from balancer"
        )
    scheme, found, rest = url.partition("://")
    if found and _UNSENDABLE.search(url):
        raise ValueError("it has white space or a control character in it, which no URL may have; take it out")
    if not found:
        if _HOST_AND_PORT.fullmatch(url):
            raise ValueError(f"it has a port and no scheme; write {'http://' + url!r}")
        return url
    port = _port_in(rest, strict=_default_port(scheme) is not None)
    if port is not None and not (port.isascii() and port.isdecimal() and 1 <= int(port[:9]) <= _MOST_PORT):
        raise ValueError(f"its port is {port!r}; a port is a whole number from 1 to {_MOST_PORT}")
    return url


def checked_server_url(url: str) -> str:
    """Return `url` if it is valid in a file: by `checked_url`, and with a scheme that has something after it.

    Raises:
        ValueError: it is not valid, and why.
    """
    scheme, found, rest = checked_url(url).partition("://")
    if not found or not scheme or not rest.strip("/ "):
        raise ValueError('it must look like "http://host:port/" or "local://name"')
    return url


def has_credentials(url: str) -> bool:
    """Return whether `url` has a user, perhaps with a password. Then no message should quote it."""
    return "@" in _authority(url.partition("://")[2] or url)


def identity_of(name: str) -> str:
    """Return the identity of a name or URL: equal for two that are the same endpoint.

    For http and https URLs, the case of scheme and host, the default port and a final slash do not matter.
    "judge0+http" counts as http. Other texts are taken as they are.

    Raises:
        TypeError: `name` is not a string.
    """
    if not isinstance(name, str):
        raise TypeError(f"found {name!r}; an endpoint is named by a string, its name or its URL")
    return _canonical(name) if "://" in name else name


def host_of(url: str) -> str:
    """Return the host part of `url`, or all of it if it has none."""
    try:
        return urlsplit(url).hostname or url
    except ValueError:  # e.g. an unclosed "[": any text is a valid name
        return url


@lru_cache(_KNOWN_BY_HEART)
def _canonical(url: str) -> str:
    scheme, _, rest = url.partition("://")
    default = _default_port(scheme)
    if default is None:
        return url
    authority = _authority(rest)
    path = rest[len(authority) :]
    user, at, place = authority.rpartition("@")
    place = place.lower().removesuffix(f":{default}").removesuffix(":")
    if "?" not in path and "#" not in path:
        path = path.removesuffix("/")
    return f"{scheme.lower()}://{user}{at}{place}{path}"


def _default_port(scheme: str) -> int | None:
    """Return the port of an http or https scheme, also of one such as "judge0+http"; None for any other."""
    return _DEFAULT_PORTS.get(scheme.lower().rpartition("+")[2])


def _authority(rest: str) -> str:
    """Return the part of what follows "://" that names the server."""
    return _AFTER_AUTHORITY.split(rest, maxsplit=1)[0]


def _password_in(url: str) -> bool:
    user, at, _ = _authority(url.partition("://")[2] or url).rpartition("@")
    return bool(at) and ":" in user


def _port_in(rest: str, *, strict: bool) -> str | None:
    """Return the port as it is written, or None. Unless `strict`, only digits are a port."""
    place = _authority(rest).rpartition("@")[2]
    if "[" in place and "]" not in place:  # any text is a valid name
        return None
    after_host = place.rpartition("]")[2]
    _, found, port = after_host.partition(":")
    if not found or not port:
        return None
    return port if strict or port.isdecimal() else None


def expand_range(name: str) -> list[str]:
    """Return the names that `name` stands for. The last range counts fastest.

    "{08..10}" keeps the width of its first bound: 08, 09, 10.

    Raises:
        ValueError: a range is malformed or runs backwards, or the name stands for more than 10 000.
    """
    return list(_expanded(name))


@lru_cache(_RANGES_BY_HEART)
def _expanded(name: str) -> tuple[str, ...]:
    parts = _BRACES.split(name)  # text, content of braces, text, and so on
    fixed, ranges = parts[::2], parts[1::2]
    if "{" in "".join(fixed) or "}" in "".join(fixed):
        raise ValueError(f"{name!r} has an unpaired brace; a range is written {{1..4}}")
    choices = [_numbers(text, name) for text in ranges]
    size = 1
    for numbers in choices:
        size *= len(numbers)
    if size > _MOST:
        raise ValueError(f"{name!r} stands for {size} names; at most {_MOST} are allowed")
    return tuple(
        "".join(part for pair in zip(fixed, (*chosen, ""), strict=True) for part in pair)
        for chosen in product(*choices)
    )


def _numbers(text: str, name: str) -> list[str]:
    match = _BOUNDS.fullmatch(text)
    if match is None:
        raise ValueError(f"{name!r} has the range {{{text}}}; a range is two whole numbers, such as {{1..4}}")
    low, high = int(match[1]), int(match[2])
    if low > high:
        raise ValueError(f"{name!r} has the range {{{text}}}, which runs backwards; write {{{high}..{low}}}")
    if high - low >= _MOST:
        raise ValueError(f"{name!r} has the range {{{text}}} of {high - low + 1} numbers; at most {_MOST} are allowed")
    width = len(match[1]) if match[1].startswith("0") else 0
    return [str(number).zfill(width) for number in range(low, high + 1)]
