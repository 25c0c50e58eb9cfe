"""Versions of languages: the one that an endpoint's URL chooses, "?cpp=105&python=109", else the newest.

Decides how both are read. It must not know what a version is to a server.
"""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, urlsplit

from balancer.errors import ConfigError

__all__ = ["newest", "versions_in"]


def versions_in(url: str, known: frozenset[str]) -> dict[str, str]:
    """Return the version that `url` chooses for each language.

    Args:
        url: of the endpoint.
        known: the languages that can be chosen for.

    Raises:
        ConfigError: it names something else.
    """
    chosen = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
    for name, version in chosen.items():
        if name not in known or not version:
            able = ", ".join(sorted(known))
            raise ConfigError(
                f"endpoint url is {url!r}: its query has {name!r}; it must name versions of languages, as in "
                f'"?cpp=VERSION"; languages are {able}'
            )
    return chosen


def newest(versions: Iterable[str]) -> str:
    """Return the highest of `versions`, numbers with dots; others count only where there is no such. "": there is none.

    A version with a suffix, e.g. "3.10.0-alpha.7", is not released.
    """
    return max(versions, key=_order, default="")


def _order(version: str) -> tuple[bool, list[int]]:
    return re.fullmatch(r"[\d.]+", version) is not None, [int(part) for part in re.findall(r"\d+", version)]
