"""Arguments of acquire and call, checked before anything is changed.

Decides what is allowed. It must not know what becomes of it.
"""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial, update_wrapper
from types import FunctionType
from typing import Any, TypedDict, TypeVar, cast

from balancer.core.decisions import Ask
from balancer.endpoint import Endpoint, LeaseTerms
from balancer.strategy import Request
from balancer.values.numbers import checked, seconds, whole

__all__ = [
    "Wanted",
    "any_whole",
    "asked_for",
    "checked_timeout",
    "each_of",
    "shows_what_may_be_asked",
    "terms_of",
    "wanting",
    "with_defaults",
]

F = TypeVar("F", bound=Callable[..., Any])

_MOST_PRIORITY = 1_000_000  # some 115 days of waiting


class Wanted(TypedDict, total=False):
    """What an acquire may ask for; see `balancer.Pool.acquire`."""

    labels: Iterable[str]
    exclude: Iterable[str]
    priority: int
    slots: int
    key: str | None
    holder: str
    ttl_s: float | None
    tokens: int | None


def each_of(endpoints: Iterable[Endpoint | str]) -> list[Endpoint]:
    """Return the endpoints that a list of them, or of their URLs, stands for."""
    if isinstance(endpoints, str | Endpoint):
        raise TypeError(f"endpoints is {endpoints!r}, one alone; give a list of them: [{endpoints!r}]")
    if not isinstance(endpoints, Iterable):
        raise TypeError(f"endpoints is {endpoints!r}; give a list of endpoints or of their URLs")
    return [Endpoint.of(each) for each in endpoints]


def terms_of(holder: str, ttl_s: float | None, leak_after_s: float | None) -> LeaseTerms | None:
    """Return the terms of a lease, None for none."""
    if not holder and ttl_s is None and leak_after_s is None:
        return None
    return LeaseTerms(holder, math.inf if ttl_s is None else ttl_s, math.inf if leak_after_s is None else leak_after_s)


def asked_for(
    usual: Request,
    /,
    *,
    labels: Iterable[str] = (),
    exclude: Iterable[str] = (),
    priority: int = 0,
    slots: int = 1,
    key: str | None = None,
    holder: str = "",
    ttl_s: float | None = None,
    tokens: int | None = None,
) -> tuple[Request, int]:
    """Return the request and the priority of an acquire; `usual` is the request of one that asks for nothing."""
    _check_priority(priority)
    if not (labels or exclude or key or slots != 1 or holder or ttl_s is not None or tokens is not None):
        return usual, priority
    terms = usual.terms
    if holder or ttl_s is not None:
        pools = terms or LeaseTerms()
        terms = replace(pools, holder=holder, ttl_s=pools.ttl_s if ttl_s is None else ttl_s)
    return _request_of(labels, exclude, slots, key, terms, tokens), priority


def wanting(
    usual: Request,
    *,
    labels: Iterable[str],
    exclude: Iterable[str],
    slots: int,
    key: str | None,
    holder: str,
    ttl_s: float | None,
    tokens: int | None,
) -> Callable[[Ask], Request]:
    """Return what a retry asks for, given what its course says and what its call asks for anyway."""
    had, shunned = frozenset(labels), frozenset(exclude)

    def wanted(ask: Ask) -> Request:
        more, less = had | ask.labels, shunned | ask.avoid
        asked = Wanted(labels=more, exclude=less, slots=slots, key=key, holder=holder, ttl_s=ttl_s, tokens=tokens)
        return asked_for(usual, **asked)[0]

    return wanted


def checked_timeout(timeout: Any) -> float:
    """Return the timeout of an acquire, if it is one. Raises TypeError, ValueError."""
    return checked("timeout", timeout, seconds)


def shows_what_may_be_asked(function: F) -> F:
    """Let `help` and editors show what `**asked` may be: the names of `Wanted`, with their defaults."""
    shown = inspect.signature(function)
    hidden = [each for each in shown.parameters.values() if each.kind is each.VAR_KEYWORD or each.name[0] == "_"]
    given = [each for each in shown.parameters.values() if each not in hidden]
    named = [each for each in inspect.signature(asked_for).parameters.values() if each.kind is each.KEYWORD_ONLY]
    function.__signature__ = shown.replace(parameters=[*given, *named])  # type: ignore[attr-defined]  # inspect reads it
    return function


def with_defaults(function: F, *defaults: object) -> F:
    """Return `function` with these defaults for what is given by position: the same code, and called as quickly."""
    made = cast(FunctionType, function)
    other = FunctionType(made.__code__, made.__globals__, made.__name__, defaults, made.__closure__)
    return cast(F, update_wrapper(other, function))


def _request_of(
    labels: Iterable[str],
    exclude: Iterable[str],
    slots: int,
    key: str | None,
    terms: LeaseTerms | None,
    tokens: int | None,
) -> Request:
    """Return what an acquire asks for."""
    if isinstance(labels, str) or isinstance(exclude, str):
        raise TypeError(f"labels={labels!r}, exclude={exclude!r}: each takes a collection of strings, such as {{'a'}}")
    if key is not None and not isinstance(key, str):
        raise TypeError(f"key is {key!r}; it takes a text, or None")
    if tokens is not None:
        checked("tokens", tokens, partial(whole, least=0))
    return Request(frozenset(labels), frozenset(exclude), checked("slots", slots, whole), key, terms, tokens)


def _check_priority(priority: int) -> None:
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
