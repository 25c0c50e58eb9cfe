"""The request of a caller: labels, exclusions, priority, slots, key, holder, time to live, tokens, the only endpoint.

It checks all arguments before anything is changed. Each mistake is an error of one line.
"""

import inspect
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypedDict, TypeVar

from balancer.core.decisions import Ask
from balancer.core.retry_polls import RetryPolls
from balancer.endpoint import LeaseTerms
from balancer.strategy import Request
from balancer.values.numbers import checked, seconds, whole
from balancer.values.redaction import refuse_halves, with_whole_characters

__all__ = ["LeaseArguments", "LeaseRequest", "Wanted", "asking", "not_sets", "shows_arguments", "terms_of"]

F = TypeVar("F", bound=Callable[..., Any])

_NONE = frozenset[str]()
_NUMBERS = (float, int)  # looked up by class, as this runs for every lease; a bool is neither
_NO_TERMS = LeaseTerms()
_MOST_PRIORITY = 1_000_000  # about 115 days of waiting


class Wanted(NamedTuple):
    """What a caller wants of the engine.

    Attributes:
        request: the request for the core.
        timeout: how many seconds to wait at most; None: the pool's default.
        priority: see `balancer.Pool.acquire`.
        polls: for a retry: makes its polls, given the start of its wait.
    """

    request: Request
    timeout: float | None = None
    priority: int = 0
    polls: Callable[[float], RetryPolls] | None = None


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
    only: str | None


@dataclass(frozen=True, slots=True)
class LeaseRequest:
    """The arguments of an acquire; see `balancer.Pool.acquire`. `of_core` checks them."""

    labels: Iterable[str] = ()
    exclude: Iterable[str] = ()
    priority: int = 0
    slots: int = 1
    key: str | None = None
    holder: str = ""
    ttl_s: float | None = None
    tokens: int | None = None
    only: str | None = None

    def avoiding(self, avoid: frozenset[str], labels: frozenset[str] = _NONE) -> "LeaseRequest":
        """Return a copy that also excludes `avoid` and also needs `labels`."""
        if not (avoid or labels):
            return self
        return replace(self, labels=frozenset(self.labels) | labels, exclude=frozenset(self.exclude) | avoid)

    def as_asked(self, usual: Request, ask: Ask) -> Request:
        """Return the core's request for a retry, as its attempt plan wants it."""
        return self.avoiding(ask.avoid, ask.labels).of_core(usual)

    def of_core(self, usual: Request) -> Request:
        """Return the core's request. `usual` is the request of a caller without arguments.

        Raises:
            TypeError, ValueError: an argument is wrong.
        """
        priority, labels, exclude = self.priority, self.labels, self.exclude
        if not (isinstance(priority, int) and abs(priority) <= _MOST_PRIORITY):
            raise ValueError(
                f"priority is {priority!r}; it must be a whole number from -{_MOST_PRIORITY} to {_MOST_PRIORITY}"
            )
        key, slots, holder, ttl_s, tokens = self.key, self.slots, self.holder, self.ttl_s, self.tokens
        only, timed = self.only, ttl_s is not None
        if not (labels or exclude or key or slots != 1 or holder or timed or tokens is not None or only is not None):
            return usual
        terms = usual.terms
        if holder or timed:
            pools = terms or _NO_TERMS
            terms = LeaseTerms(holder, pools.ttl_s if ttl_s is None else ttl_s, pools.leak_after_s)
        if key is not None and not isinstance(key, str):
            raise TypeError(f"key is {key!r}; it takes a text, or None")
        if key and not key.isascii():
            key = with_whole_characters(key)  # often a text of others, of which only likeness counts
        if only is not None and not isinstance(only, str):
            raise TypeError(f"only is {only!r}; it takes the name of an endpoint, or None")
        if tokens is not None:
            checked("tokens", tokens, partial(whole, least=0))
        if slots.__class__ is not int or slots < 1:
            slots = checked("slots", slots, whole)
        if isinstance(labels, str) or isinstance(exclude, str):
            raise not_sets(labels, exclude)
        try:
            request = Request(frozenset(labels), frozenset(exclude), slots, key, terms, tokens, only)
            if not "".join((only or "", *request.labels, *request.exclude)).isascii():
                _refuse_halves_in(request)
        except TypeError:
            raise not_sets(labels, exclude) from None
        return request


LeaseRequest.__init__.__qualname__ = "Pool.acquire"  # Python names it in the error for an unknown argument


def _refuse_halves_in(request: Request) -> None:
    """Raise ValueError if a text of `request` cannot be sent to a server."""
    refuse_halves("only", request.only or "")
    refuse_halves("labels", "".join(request.labels))
    refuse_halves("exclude", "".join(request.exclude))


def not_sets(labels: object, exclude: object) -> TypeError:
    """Return the error that says that one of these is not a collection of strings."""
    return TypeError(f"labels={labels!r}, exclude={exclude!r}: each takes a collection of strings, such as {{'a'}}")


def terms_of(ttl_s: float | None, leak_after_s: float | None) -> LeaseTerms | None:
    """Return the default terms of a pool's leases, or None."""
    if ttl_s is None and leak_after_s is None:
        return None
    return LeaseTerms("", math.inf if ttl_s is None else ttl_s, math.inf if leak_after_s is None else leak_after_s)


def asking(usual: Wanted, timeout: float | None, asked: LeaseArguments) -> Wanted:
    """Return what a caller wants who gives these arguments to an acquire. Raises TypeError, ValueError.

    `usual` is what a caller without arguments wants.
    """
    if timeout is not None and not (timeout.__class__ in _NUMBERS and timeout >= 0):
        timeout = checked("timeout", timeout, seconds)
    if not asked:
        return Wanted(usual.request, timeout)
    wanted = LeaseRequest(**asked)
    return Wanted(wanted.of_core(usual.request), timeout, wanted.priority)


def shows_arguments(of: type = LeaseRequest) -> Callable[[F], F]:
    """Show the fields of `of`, with defaults, as arguments of a function with `**asked`, in help and editors."""

    def shows(function: F) -> F:
        shown = inspect.signature(function)
        given = [
            each for each in shown.parameters.values() if each.kind is not each.VAR_KEYWORD and each.name[0] != "_"
        ]
        fields = [each.replace(kind=each.KEYWORD_ONLY) for each in inspect.signature(of).parameters.values()]
        function.__signature__ = shown.replace(parameters=[*given, *fields])  # type: ignore[attr-defined]  # for inspect
        return function

    return shows
