"""The nouns of leasing: an endpoint, the outcome of a call to it, and the lease in between.

Decides what counts as the endpoint's fault when a call raises. Must not know pools, strategies,
clocks or threads: a lease knows only the lender it goes back to.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any, NoReturn, Protocol, Self

from balancer.client_errors import BUSY_STATUSES, retry_after_s, said_nothing, says_spent, status_of
from balancer.errors import CannotTell, EndpointError, EndpointOverloaded, LeaseError, PoolForked, QuotaSpent
from balancer.load import Load
from balancer.values.headers import Headers
from balancer.values.numbers import checked, finite_seconds, positive, whole
from balancer.values.urls import checked_url, has_credentials, host_of, identity_of

__all__ = ["Endpoint", "Hint", "Lease", "LeaseTerms", "Lender", "Outcome", "hint_of", "may_go_elsewhere", "outcome_of"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server (or local slot) that does the work.

    Args:
        url: where it is. Any scheme; a plain name will do.
        name: what it is called in a pool, where names differ: two names make two endpoints of one URL, for example one
            for each key. By default its URL.
        capacity: how many leases may be out at once (>= 1).
        weight: its share of the work relative to the others (> 0, finite).
        labels: what it offers; a request for labels is served only by endpoints that have them all.
        host: the machine it runs on; by default the host part of `url`.
        headers: what to send with each call, e.g. a key; for the caller to read from `lease.endpoint.headers`. Nothing
            that is printed, logged or written of an endpoint has their values in it.
        group: its failover group (>= 0); a higher one is used only when the lower ones cannot serve.
        quota: the name of the pool's quota that its calls count for, which endpoints of one key share; None: its own,
            if the pool has one for each endpoint, or none.

    Raises:
        ValueError: a field is out of range.
    """

    url: str
    _: KW_ONLY
    name: str = None  # type: ignore[assignment]  # a text once it is made
    capacity: int = 1
    weight: float = 1.0
    labels: frozenset[str] = frozenset()
    host: str | None = None
    headers: Mapping[str, str] = field(default=Headers(), repr=False)
    group: int = 0
    quota: str | None = None

    def __post_init__(self) -> None:
        try:
            checked_url(self.url)
        except ValueError as error:
            secret = isinstance(self.url, str) and has_credentials(self.url)
            raise ValueError(f"endpoint url{'' if secret else f' is {self.url!r}'}: {error}") from None
        if self.name is None:
            object.__setattr__(self, "name", self.url)
        elif not isinstance(self.name, str) or not self.name.strip():
            raise ValueError(f"endpoint {self.url}: name is {self.name!r}; it must be a non-empty string, or None")
        checked(f"endpoint {self.url}: capacity", self.capacity, whole)
        checked(f"endpoint {self.url}: weight", self.weight, positive)
        if not isinstance(self.headers, Headers):
            try:
                object.__setattr__(self, "headers", Headers(self.headers))
            except ValueError as error:
                raise ValueError(f"endpoint {self.url}: {error}") from None
        object.__setattr__(self, "labels", _checked_labels(self.url, self.labels))
        checked(f"endpoint {self.url}: group", self.group, partial(whole, least=0))
        if self.quota is not None and not (isinstance(self.quota, str) and self.quota.strip()):
            raise ValueError(f"endpoint {self.url}: quota is {self.quota!r}; it must be the name of a quota, or None")
        if self.host is None:
            object.__setattr__(self, "host", host_of(self.url))

    @classmethod
    def of(cls, given: "Endpoint | str") -> "Endpoint":
        """Return `given` if it is an endpoint, and the endpoint of this URL if it is a string. Raises TypeError."""
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            return cls(given)
        raise TypeError(f"found {given!r}; an endpoint is an Endpoint(...) or its URL, a string")

    @property
    def identity(self) -> str:
        """What tells it apart in a pool: its name, the same for "http://h:1" and "http://h:1/"."""
        return identity_of(self.name)


def _checked_labels(url: str, labels: Any) -> frozenset[str]:
    several = isinstance(labels, Iterable) and not isinstance(labels, str)
    given = frozenset(labels if several else (None,))
    if not all(isinstance(label, str) for label in given):
        raise ValueError(f"endpoint {url}: labels is {labels!r}; it must be a set of strings")
    return given


class Outcome(Enum):
    """How a lease ended, as far as the endpoint is concerned."""

    SUCCESS = "success"
    FAILURE = "failure"  # the endpoint's fault
    OVERLOAD = "overload"  # it said, or showed, that it is busy
    IGNORED = "ignored"  # says nothing about the endpoint


def outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome that a call which raised `error` (None: it did not) says about the endpoint.

    Transport errors, time-outs and `EndpointError` are failures; `EndpointOverloaded` is an overload, and `CannotTell`
    is ignored. Of the errors that HTTP clients raise for a status, 429 and 503 are overloads and the other ones from
    500 on failures; but one that says that the account has nothing left (`insufficient_quota`) is held against nobody:
    see `Hint.spent`. Any other exception is the caller's own and is ignored.
    """
    if error is None:
        return Outcome.SUCCESS
    if isinstance(error, CannotTell | QuotaSpent) or says_spent(error):
        return Outcome.IGNORED
    if isinstance(error, EndpointOverloaded):
        return Outcome.OVERLOAD
    if isinstance(error, EndpointError | ConnectionError | TimeoutError):
        return Outcome.FAILURE
    status = status_of(error)
    if status is not None:
        return Outcome.OVERLOAD if status in BUSY_STATUSES else Outcome.FAILURE if status >= 500 else Outcome.IGNORED
    return Outcome.FAILURE if said_nothing(error) else Outcome.IGNORED


def may_go_elsewhere(error: BaseException) -> bool:
    """Return whether a call that raised `error` may be tried on another endpoint: all but what is the caller's own."""
    told = outcome_of(error)
    return isinstance(error, EndpointError) or told in (Outcome.FAILURE, Outcome.OVERLOAD) or says_spent(error)


@dataclass(frozen=True, slots=True)
class Hint:
    """What a call says about the endpoint beyond its outcome.

    Args:
        retry_after_s: the endpoint asked to be left alone for so long, in seconds; None: it did not.
        timed_out: the call took too long, which a limit takes for a sign of overload.
        spent: whoever pays for the endpoint has nothing left, so no call there can succeed: it is taken out of service,
            with those of the same quota, until it is added again.
    """

    retry_after_s: float | None = None
    timed_out: bool = False
    spent: bool = False


def hint_of(error: BaseException) -> Hint | None:
    """Return what `error` says about the endpoint beyond its outcome, if anything."""
    if isinstance(error, QuotaSpent) or says_spent(error):
        return Hint(spent=True)
    asked_s = error.retry_after_s if isinstance(error, EndpointOverloaded) else retry_after_s(error)
    if isinstance(asked_s, int | float):  # a text is a header that nobody has read
        return Hint(retry_after_s=asked_s)
    causes = (error, error.__cause__)
    late = any(isinstance(cause, TimeoutError) or type(cause).__name__.endswith("Timeout") for cause in causes)
    return Hint(timed_out=True) if late else None


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """What a lease is taken on, beyond what it may use.

    Args:
        holder: whose it is; a text to show.
        ttl_s: after so many seconds (> 0) its pool ends it.
        leak_after_s: after so many seconds (> 0) it counts as forgotten, which is told, and changes nothing.

    Raises:
        ValueError: a number is out of range.
        TypeError: `holder` is no text.
    """

    holder: str = ""
    ttl_s: float = math.inf
    leak_after_s: float = math.inf

    def __post_init__(self) -> None:
        if not isinstance(self.holder, str):
            raise TypeError(f"holder is {self.holder!r}; it takes a text, e.g. 'sample 7'")
        for name, seconds in (("ttl_s", self.ttl_s), ("leak_after_s", self.leak_after_s)):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
                raise ValueError(f"{name} is {seconds!r}; it must be a number of seconds > 0, or None for no end")

    @property
    def timed(self) -> bool:
        """True if something is due at some time."""
        return self.ttl_s < math.inf or self.leak_after_s < math.inf


_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class Lender(Protocol):
    """Whoever grants leases and takes them back."""

    def release(self, lease: "Lease", outcome: Outcome) -> None:
        """Take `lease` back; raise `LeaseError` if it is not out."""
        ...

    def used(self, lease: "Lease", tokens: int) -> None:
        """Learn how many tokens the call of `lease` has used so far; raise `LeaseError` if it is not out."""
        ...

    def told(self, lease: "Lease", load: Load) -> None:
        """Learn what the endpoint of `lease` said of its load; raise `LeaseError` if it is not out."""
        ...


class Lease:
    """The right to a slot of an endpoint, or to several. It ends exactly once, with an outcome.

    Use it as a context manager, or call `release`. Made by a pool, never by hand: its ledger fills in a blank one, for
    a constructor in Python costs more than all that is written down of a lease.

    Attributes:
        endpoint: the endpoint as it was when the lease was granted.
        id: grows with every grant of a pool and is never reused.
        outcome: set it inside a `with` block to override what the block's end would say.
        granted_s: the pool's clock when the lease was granted.
        slots: how many slots of the endpoint it holds.
        hint: what the call says beyond its outcome; set by the end of a `with` block, or by hand.
        request: what was asked for, as a pool takes it (`balancer.strategy.Request`).
    """

    __slots__ = (
        "account",
        "charge",
        "endpoint",
        "entered",
        "fate",
        "granted_s",
        "hint",
        "id",
        "lender",
        "outcome",
        "over",
        "priority",
        "raised",
        "request",
        "server_s",
        "slots",
        "waited_s",
        "where",
    )

    id: int
    endpoint: Endpoint
    granted_s: float
    account: Any  # the ledger's own entry; None once the lease has ended
    lender: Lender
    slots: int
    outcome: Outcome | None
    hint: Hint | None
    request: Any  # a `Request`; this module knows no strategies
    entered: bool  # it is for a `with` block; only then it is set
    over: tuple[Outcome, float, int]  # how and when it ended, and after which grant (its id); set only for a trace
    waited_s: float  # set only if it was waited for while a trace is written
    priority: int  # set only if it is not 0
    server_s: float  # how long the server says that it took; set only if it does
    charge: Any  # what it takes of a quota; only where there is one it is set
    fate: str  # why it ended, if nobody gave it back; only then it is set
    raised: str  # what its call raised, in a word; set only if it did
    where: str  # where it was acquired; set only if somebody wants to know

    @property
    def terms(self) -> LeaseTerms | None:
        """Whose it is and how long it may last, if anything was said of that."""
        terms: LeaseTerms | None = self.request.terms
        return terms

    @property
    def holder(self) -> str:
        """Whose it is: what the caller said; "" if nothing."""
        terms = self.terms
        return terms.holder if terms is not None else ""

    @property
    def ended(self) -> bool:
        """True once it was given back: by its holder or, if it hedges a call, because the call is cancelled."""
        return self.account is None

    def used(self, *, tokens: int) -> None:
        """Say how many tokens the call has used so far; of a quota, these count instead of the estimate.

        Once it is given back, what was said last holds; if nothing was said, the estimate.

        Raises:
            LeaseError: it was given back already; nothing is changed.
            ValueError: `tokens` is no whole number >= 0.
        """
        self.lender.used(self, checked("tokens", tokens, partial(whole, least=0)))

    def told(self, load: Load) -> None:
        """Say what the endpoint has said of its load, e.g. in the headers of its answer; see `balancer.load`.

        Raises:
            LeaseError: it was given back already; nothing is changed.
        """
        self.lender.told(self, load)

    def took(self, server_s: float) -> None:
        """Say how long the server itself took, as it told: what is left of the call was on the way. A trace says it.

        Raises:
            LeaseError: it was given back already; nothing is changed.
            ValueError: `server_s` is no number of seconds >= 0.
        """
        seconds = checked("server_s", server_s, finite_seconds)
        if self.account is None:
            raise LeaseError(self.id, f"{self!r} has ended; what is said of a call must be said before")
        self.server_s = seconds

    def release(self, outcome: Outcome | None = None, *, tokens: int | None = None, load: Load | None = None) -> None:
        """Give the slot back. Without `outcome`, what `lease.outcome` says, else success.

        Args:
            outcome: how it ended.
            tokens: how many the call used; see `used`.
            load: what the endpoint said of its load; see `told`.

        Raises:
            LeaseError: it was given back already; nothing is changed.
        """
        if tokens is not None:
            self.used(tokens=tokens)
        if load is not None:
            self.told(load)
        self.lender.release(self, outcome or self.outcome or _SUCCESS)

    def release_after(self, error: BaseException) -> None:
        """Give the slot back after a call that raised `error`, as the end of a `with` block does.

        Raises:
            LeaseError: it was given back already; nothing is changed.
        """
        if self.hint is None:
            self.hint = hint_of(error)
        status = status_of(error)
        self.raised = type(error).__name__ if status is None else f"{type(error).__name__} {status}"
        self.lender.release(self, self.outcome or outcome_of(error))

    def __enter__(self) -> Self:
        self.entered = True
        return self

    def __aenter__(self) -> NoReturn:
        """Refuse `async with pool.lease()`, and give the slot back: it would be lost if this method were missing."""
        self.release(Outcome.IGNORED)
        raise TypeError(
            "the lease of a thread is no asynchronous context manager; write async with pool.aio.lease() as lease: ... "
            "in a task, or with pool.lease() as lease: ... in a thread"
        )

    def __aexit__(self, *error: object) -> NoReturn:
        raise AssertionError("nothing enters a lease by async with")  # but Python looks for this first

    def __await__(self) -> NoReturn:
        """Refuse `await pool.lease()`; likewise."""
        self.release(Outcome.IGNORED)
        raise TypeError(
            "a lease is not awaited, it is there; write async with pool.aio.lease() as lease: ... in a task, or with "
            "pool.lease() as lease: ... in a thread"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.lender.release(self, self.outcome or _SUCCESS)
            return
        try:
            self.release_after(error)
        except (
            LeaseError,
            PoolForked,
        ) as late:  # e.g. its time ran out: what the block raised says more, and must not be lost
            error.add_note(str(late))

    def __repr__(self) -> str:
        state = "ended" if self.account is None else "out"
        return f"<Lease {self.id} of {self.endpoint.name}, {state}>"
