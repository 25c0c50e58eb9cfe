"""What a caller asks of a pool: labels, exclusions, priority, slots, key, holder, time to live, tokens.

Decides what may be asked for: each mistake is one line, made before anything is changed. It must not know what becomes
of a request.
"""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypedDict, TypeVar

from balancer.core.decisions import Ask
from balancer.endpoint import LeaseTerms
from balancer.strategy import Request
from balancer.values.numbers import checked, seconds, whole

__all__ = ["LeaseArguments", "LeaseRequest", "checked_timeout", "shows_arguments", "terms_of"]

F = TypeVar("F", bound=Callable[..., Any])

_NONE = frozenset[str]()
_NO_TERMS = LeaseTerms()
_MOST_PRIORITY = 1_000_000  # some 115 days of waiting


class LeaseArguments(TypedDict, total=False):
    """A `LeaseRequest` as keyword arguments; see `balancer.Pool.acquire`."""

    labels: Iterable[str]
    exclude: Iterable[str]
    priority: int
    slots: int
    key: str | None
    holder: str
    ttl_s: float | None
    tokens: int | None


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """What a caller asks of a pool; see `balancer.Pool.acquire`. It is checked where a `Request` is made of it."""

    labels: Iterable[str] = ()
    exclude: Iterable[str] = ()
    priority: int = 0
    slots: int = 1
    key: str | None = None
    holder: str = ""
    ttl_s: float | None = None
    tokens: int | None = None

    def avoiding(self, avoid: frozenset[str], labels: frozenset[str] = _NONE) -> "LeaseRequest":
        """Return it for another endpoint than these, with further labels."""
        if not (avoid or labels):
            return self
        return replace(self, labels=frozenset(self.labels) | labels, exclude=frozenset(self.exclude) | avoid)

    def as_asked(self, usual: Request, ask: Ask) -> Request:
        """Return what a retry asks the core for, as its attempt plan wants it."""
        return self.avoiding(ask.avoid, ask.labels).of_core(usual)

    def of_core(self, usual: Request) -> Request:
        """Return what the core is asked for; `usual` is the request of a caller who asks for nothing.

        Raises:
            TypeError, ValueError: what is asked for cannot be.
        """
        priority, labels, exclude = self.priority, self.labels, self.exclude
        if not (isinstance(priority, int) and abs(priority) <= _MOST_PRIORITY):
            raise ValueError(
                f"priority is {priority!r}; it must be a whole number from -{_MOST_PRIORITY} to {_MOST_PRIORITY}"
            )
        key, slots, holder, ttl_s, tokens = self.key, self.slots, self.holder, self.ttl_s, self.tokens
        if not (labels or exclude or key or slots != 1 or holder or ttl_s is not None or tokens is not None):
            return usual
        terms = usual.terms
        if holder or ttl_s is not None:
            pools = terms or _NO_TERMS
            terms = LeaseTerms(holder, pools.ttl_s if ttl_s is None else ttl_s, pools.leak_after_s)
        if isinstance(labels, str) or isinstance(exclude, str):
            raise TypeError(
                f"labels={labels!r}, exclude={exclude!r}: each takes a collection of strings, such as {{'a'}}"
            )
        if key is not None and not isinstance(key, str):
            raise TypeError(f"key is {key!r}; it takes a text, or None")
        if tokens is not None:
            checked("tokens", tokens, partial(whole, least=0))
        return Request(frozenset(labels), frozenset(exclude), checked("slots", slots, whole), key, terms, tokens)


def terms_of(ttl_s: float | None, leak_after_s: float | None) -> LeaseTerms | None:
    """Return the terms of a pool's leases, None for none."""
    if ttl_s is None and leak_after_s is None:
        return None
    return LeaseTerms("", math.inf if ttl_s is None else ttl_s, math.inf if leak_after_s is None else leak_after_s)


def checked_timeout(timeout: Any) -> float:
    """Return the timeout of an acquire, if it is one. Raises TypeError, ValueError."""
    return checked("timeout", timeout, seconds)


def shows_arguments(of: type = LeaseRequest) -> Callable[[F], F]:
    """Let `help` and editors show what `**asked` of a function may be: the fields of `of`, with their defaults."""

    def shows(function: F) -> F:
        shown = inspect.signature(function)
        given = [
            each for each in shown.parameters.values() if each.kind is not each.VAR_KEYWORD and each.name[0] != "_"
        ]
        fields = [each.replace(kind=each.KEYWORD_ONLY) for each in inspect.signature(of).parameters.values()]
        function.__signature__ = shown.replace(parameters=[*given, *fields])  # type: ignore[attr-defined]  # for inspect
        return function

    return shows
