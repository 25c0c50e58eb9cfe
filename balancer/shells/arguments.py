"""What callers give to a pool, checked: each mistake is one line, made before anything is changed.

Decides what is allowed. It must not know what becomes of it.
"""

import math
from collections.abc import Iterable
from typing import Any

from balancer.endpoint import Endpoint, Terms
from balancer.settings.numbers import checked, whole
from balancer.strategy import Request

__all__ = ["any_whole", "check_priority", "each_of", "request_of", "terms_of"]

_MOST_PRIORITY = 1_000_000  # some 115 days of waiting


def each_of(endpoints: Iterable[Endpoint | str]) -> list[Endpoint]:
    """Return the endpoints that a list of them, or of their URLs, stands for."""
    if isinstance(endpoints, str | Endpoint):
        raise TypeError(f"endpoints is {endpoints!r}, one alone; give a list of them: [{endpoints!r}]")
    if not isinstance(endpoints, Iterable):
        raise TypeError(f"endpoints is {endpoints!r}; give a list of endpoints or of their URLs")
    return [Endpoint.of(each) for each in endpoints]


def terms_of(holder: str, ttl_s: float | None, leak_after_s: float | None) -> Terms | None:
    """Return the terms of a lease, None for none."""
    if not holder and ttl_s is None and leak_after_s is None:
        return None
    return Terms(holder, math.inf if ttl_s is None else ttl_s, math.inf if leak_after_s is None else leak_after_s)


def request_of(
    labels: Iterable[str], exclude: Iterable[str], slots: int, key: str | None, terms: Terms | None
) -> Request:
    """Return what an acquire asks for."""
    if isinstance(labels, str) or isinstance(exclude, str):
        raise TypeError(f"labels={labels!r}, exclude={exclude!r}: each takes a collection of strings, not a string")
    if key is not None and not isinstance(key, str):
        raise TypeError(f"key is {key!r}; it takes a text, or None")
    return Request(frozenset(labels), frozenset(exclude), checked("slots", slots, whole), key, terms)


def check_priority(priority: int) -> None:
    """Refuse what is no priority."""
    if not (isinstance(priority, int) and abs(priority) <= _MOST_PRIORITY):
        raise ValueError(
            f"priority is {priority!r}; it must be a whole number from -{_MOST_PRIORITY} to {_MOST_PRIORITY}"
        )


def any_whole(seed: Any) -> int:
    """Return a seed."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError("it must be a whole number, or None")
    return seed
