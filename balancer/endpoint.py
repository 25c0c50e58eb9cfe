"""Endpoints and leases: `Endpoint`, `Lease`, and the `Outcome` of a call.

`judged` decides whether an exception of a call is the endpoint's fault.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Protocol, Self

from balancer.answers import BUSY_STATUSES, REFUSALS, Load, retry_after_s, said_nothing, says_spent, status_of
from balancer.errors import CannotTell, EndpointError, EndpointOverloaded, LeaseError, PoolForked, QuotaSpent
from balancer.values.headers import Headers, secrets_of
from balancer.values.numbers import checked, number, positive, whole
from balancer.values.redaction import Redaction, in_one_line, refuse_halves, with_whole_characters
from balancer.values.urls import checked_url, has_credentials, host_of, identity_of

__all__ = [
    "Blame",
    "Endpoint",
    "Hint",
    "Lease",
    "LeaseTerms",
    "Lender",
    "Outcome",
    "judged",
    "outcome_of",
]

_REASON = 120  # characters of a reason


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server (or local slot) that does the work.

    Args:
        url: the address. Any scheme, or a plain name.
        name: its name in a pool, where all names differ. With names, one URL can be several endpoints, for example one
            for each key. Default: the URL.
        capacity: how many leases may be out at once (>= 1).
        weight: its share of the work, relative to the others (> 0, finite).
        labels: what it offers. A request with labels goes only to endpoints that have them all.
        host: the machine it runs on. Default: the host part of `url`.
        headers: headers for each call, e.g. a key. The caller reads them from `lease.endpoint.headers`. Their values
            are never printed, logged or written.
        group: its failover group (>= 0). A higher group is used only when the lower ones cannot serve.
        quota: the name of the pool's quota that its calls count for. Endpoints with one key share a quota. None: none.

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
        refuse_halves("endpoint url", self.url)
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
        if self.host is not None and not (isinstance(self.host, str) and self.host.strip()):
            raise ValueError(f"endpoint {self.url}: host is {self.host!r}; it must be the name of a machine, or None")
        if self.host is None:
            object.__setattr__(self, "host", host_of(self.url))
        texts = {"name": self.name, "host": self.host or "", "quota": self.quota or "", "labels": "".join(self.labels)}
        for field_name, text in texts.items():
            refuse_halves(f"endpoint {self.url}: {field_name}", text)

    @classmethod
    def of(cls, given: "Endpoint | str") -> "Endpoint":
        """Return `given` if it is an endpoint, or a new endpoint if it is a URL. Raises TypeError."""
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            return cls(given)
        raise TypeError(f"found {given!r}; an endpoint is an Endpoint(...) or its URL, a string")

    @property
    def identity(self) -> str:
        """The normalised name, unique in a pool: "http://h:1" and "http://h:1/" are the same."""
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
    OVERLOAD = "overload"  # the endpoint said, or showed, that it is busy
    IGNORED = "ignored"  # says nothing about the endpoint


@dataclass(frozen=True, slots=True)
class Hint:
    """What a call says about the endpoint beyond its outcome.

    Args:
        retry_after_s: for how many seconds the endpoint asked for no calls. None: it did not ask.
        timed_out: the call took too long. An adaptive limit counts that as overload.
        spent: the account of the endpoint has no quota left, so no call can succeed. The pool takes the endpoint, and
            those with the same quota, out of service until they are added again.
    """

    retry_after_s: float | None = None
    timed_out: bool = False
    spent: bool = False


class Blame(NamedTuple):
    """What the exception of a call says about its endpoint.

    Attributes:
        outcome: the outcome of the call.
        elsewhere: whether the call may be tried on another endpoint. False for the caller's own errors.
        hint: what else it says; None: nothing.
        unread: True if the body of the answer, once it is read, may say that the account has no quota left.
    """

    outcome: Outcome
    elsewhere: bool
    hint: Hint | None = None
    unread: bool = False


def judged(error: BaseException) -> Blame:
    """Return what `error` says about the endpoint. This alone decides how an exception counts.

    - Failure: transport errors, timeouts, `EndpointError`, and HTTP clients' errors for a status >= 500 other than 503.
    - Overload: `EndpointOverloaded`, and errors for a status 429 or 503.
    - Ignored: `CannotTell`, errors that say that the account has no quota left (`QuotaSpent`, `insufficient_quota`; see
      `Hint.spent`), and every other exception, which is the caller's own.
    """
    if isinstance(error, QuotaSpent) or says_spent(error):
        return Blame(Outcome.IGNORED, True, Hint(spent=True))
    status = status_of(error)
    if isinstance(error, CannotTell):
        outcome = Outcome.IGNORED
    elif isinstance(error, EndpointOverloaded) or status in BUSY_STATUSES:
        outcome = Outcome.OVERLOAD
    elif isinstance(error, EndpointError | ConnectionError | TimeoutError) or (status or 0) >= 500:
        outcome = Outcome.FAILURE
    else:
        outcome = Outcome.FAILURE if status is None and said_nothing(error) else Outcome.IGNORED
    elsewhere = outcome is not Outcome.IGNORED or isinstance(error, EndpointError)
    return Blame(outcome, elsewhere, _hint_of(error), status in REFUSALS)


def outcome_of(error: BaseException | None) -> Outcome:
    """Return the outcome of a call that raised `error`, or that raised nothing (None); see `judged`."""
    return Outcome.SUCCESS if error is None else judged(error).outcome


def _hint_of(error: BaseException) -> Hint | None:
    asked_s = error.retry_after_s if isinstance(error, EndpointOverloaded) else retry_after_s(error)
    if isinstance(asked_s, int | float):  # a string is a header that was not parsed
        return Hint(retry_after_s=asked_s)
    causes = (error, error.__cause__)
    late = any(isinstance(cause, TimeoutError) or type(cause).__name__.endswith("Timeout") for cause in causes)
    return Hint(timed_out=True) if late else None


def _said_of(error: BaseException, endpoint: Endpoint) -> str:
    """Return the kind of `error`, its HTTP status, and the reason of an `EndpointError`, without secrets.

    The texts of other errors are left out: a library may quote a header or a key in them.
    """
    status = status_of(error)
    name = type(error).__name__ if status is None else f"{type(error).__name__} {status}"
    if not isinstance(error, EndpointError):
        return name
    hidden = Redaction.of((secret, "***") for secret in secrets_of(endpoint.headers))
    reason = in_one_line(hidden(str(error.reason)), _REASON)
    return f"{name}: {reason}" if reason else name


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """The holder of a lease and its time limits.

    Args:
        holder: a text that says who has the lease.
        ttl_s: the pool ends the lease after so many seconds (> 0).
        leak_after_s: after so many seconds (> 0) the lease counts as forgotten. The log says so; the lease stays out.

    Raises:
        ValueError: a number is out of range.
        TypeError: `holder` is not a string.
    """

    holder: str = ""
    ttl_s: float = math.inf
    leak_after_s: float = math.inf

    def __post_init__(self) -> None:
        if not isinstance(self.holder, str):
            raise TypeError(f"holder is {self.holder!r}; it takes a text, e.g. 'sample 7'")
        if not self.holder.isascii():  # often a name of others, e.g. of a file
            object.__setattr__(self, "holder", with_whole_characters(self.holder))
        for name, seconds in (("ttl_s", self.ttl_s), ("leak_after_s", self.leak_after_s)):
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
                raise ValueError(f"{name} is {seconds!r}; it must be a number of seconds > 0, or None for no end")

    @property
    def timed(self) -> bool:
        """True if `ttl_s` or `leak_after_s` is finite."""
        return self.ttl_s < math.inf or self.leak_after_s < math.inf


_SUCCESS = Outcome.SUCCESS  # looked up once: an attribute of an Enum is slow to find


class Lender(Protocol):
    """Grants leases and takes them back."""

    def release(self, lease: "Lease", outcome: Outcome) -> None:
        """Take `lease` back. Raises `LeaseError` if it is not out."""
        ...

    def used(self, lease: "Lease", tokens: int) -> None:
        """Record how many tokens the call of `lease` has used so far. Raises `LeaseError` if it is not out."""
        ...

    def told(self, lease: "Lease", load: Load) -> None:
        """Record the load that the endpoint of `lease` reported. Raises `LeaseError` if it is not out."""
        ...


class Lease:
    """The right to use one or more slots of an endpoint. It ends exactly once, with an outcome.

    Use it as a context manager, or call `release`. A pool makes leases; do not make one by hand. The ledger fills in a
    blank object, because a constructor in Python costs more than all other bookkeeping of a lease.

    Attributes:
        endpoint: the endpoint as it was when the lease was granted.
        id: grows with every grant of a pool and is never reused.
        outcome: set it inside a `with` block to replace the outcome that the end of the block would give.
        granted_s: the time of the grant, in seconds of the pool's clock.
        slots: how many slots of the endpoint it holds.
        hint: what the call says beyond its outcome. The end of a `with` block sets it, or the caller does.
        request: what was asked for (`balancer.strategy.Request`).
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
        "taken",
        "waited_s",
        "where",
    )

    id: int
    endpoint: Endpoint
    granted_s: float
    account: Any  # the ledger's account; None once the lease has ended
    lender: Lender
    slots: int
    outcome: Outcome | None
    hint: Hint | None
    request: Any  # a `Request`; this module does not import strategies
    entered: bool  # True for a `with` block; set only then
    taken: bool  # True once the caller of `acquire` has got it; set only then
    over: tuple[Outcome, float]  # outcome and time; set only for a trace
    waited_s: float  # set only if there was a wait and a trace is written
    priority: int  # set only if it is not 0
    server_s: float  # the server's own time for the call, if the server reports it
    charge: Any  # what it takes of a quota; set only if there is a quota
    fate: str  # why it ended, if its holder did not release it; set only then
    raised: str  # the exception of its call, in words without secrets; set only if there was one
    where: str  # file and line of the acquire; set only if the pool records them

    @property
    def terms(self) -> LeaseTerms | None:
        """The holder and the time limits, or None."""
        terms: LeaseTerms | None = self.request.terms
        return terms

    @property
    def holder(self) -> str:
        """Who has the lease, as the caller said; "" if the caller did not say."""
        terms = self.terms
        return terms.holder if terms is not None else ""

    @property
    def ended(self) -> bool:
        """True once it has ended: it was released, its `ttl_s` has passed, or it lost the race of a hedged call."""
        return self.account is None

    def used(self, *, tokens: int) -> None:
        """Set how many tokens the call has used so far. A quota counts these instead of the estimate.

        After the release, the last number counts; without one, the estimate.

        Args:
            tokens: of the request and the answer together.

        Raises:
            LeaseError: the lease has ended. Nothing is changed.
            ValueError: `tokens` is not a whole number >= 0.
        """
        checked("tokens", tokens, partial(whole, least=0))
        self.lender.used(self, tokens)

    def told(self, load: Load) -> None:
        """Set the load that the endpoint reported, e.g. in the headers of its answer; see `balancer.answers`.

        Raises:
            LeaseError: the lease has ended. Nothing is changed.
        """
        self.lender.told(self, load)

    def took(self, server_s: float) -> None:
        """Set the server's own time for the call, in seconds, as the server reports it. A trace records it.

        The rest of the call's time is the network.

        Raises:
            LeaseError: the lease has ended. Nothing is changed.
            ValueError: `server_s` is not a number of seconds >= 0.
        """
        seconds = checked("server_s", server_s, number(ge=0))
        if self.account is None:
            raise LeaseError(self.id, f"{self!r} has ended; report on a call before its lease ends")
        self.server_s = seconds

    def release(
        self,
        outcome: Outcome | None = None,
        *,
        tokens: int | None = None,
        load: Load | None = None,
    ) -> None:
        """Release the slots. Without `outcome`, the outcome is `lease.outcome`, else success.

        Args:
            outcome: how the call ended.
            tokens: how many tokens the call used; see `used`.
            load: the load that the endpoint reported; see `told`.

        Raises:
            LeaseError: the lease has ended. Nothing is changed.
            TypeError: `outcome` is not an `Outcome`; nothing is changed. Or `lease.outcome` is none: then the lease
                has ended, as neither success nor failure.
        """
        if tokens is not None:
            self.used(tokens=tokens)
        if load is not None:
            self.told(load)
        if outcome is None and self.outcome is not None:
            self._end_as_set()
        else:
            self.lender.release(self, _SUCCESS if outcome is None else outcome)

    def release_after(self, error: BaseException) -> None:
        """Release the slots after a call that raised `error`, as the end of a `with` block does.

        If `lease.outcome` is not an `Outcome`, the outcome is that of `error`, which gets a note.

        Raises:
            LeaseError: the lease has ended. Nothing is changed.
        """
        told = judged(error)
        if self.hint is None:
            self.hint = told.hint
        self.raised = _said_of(error, self.endpoint)
        known = self.outcome if isinstance(self.outcome, Outcome) else told.outcome
        self.lender.release(self, known)
        if self.outcome is not None and self.outcome is not known:
            error.add_note(self._not_an_outcome(known))

    def _end_as_set(self) -> None:
        """End with `lease.outcome`. If that is not an outcome, end as ignored, and raise TypeError."""
        known = self.outcome if isinstance(self.outcome, Outcome) else Outcome.IGNORED
        self.lender.release(self, known)
        if known is not self.outcome:
            raise TypeError(self._not_an_outcome(known))

    def _not_an_outcome(self, known: Outcome) -> str:
        wanted = f"lease.outcome is {self.outcome!r}; it takes an Outcome, e.g. Outcome.FAILURE"
        return f"{wanted}; lease {self.id} of {self.endpoint.name} has ended as {known.value!r}"

    def __enter__(self) -> Self:
        self.entered = True
        return self

    def __aenter__(self) -> NoReturn:
        """Refuse `async with pool.lease()`, and release the lease: without this method it would be lost."""
        self.release(Outcome.IGNORED)
        raise TypeError(
            "the lease of a thread is not an asynchronous context manager; write async with pool.aio.lease() as "
            "lease: ... in a task, or with pool.lease() as lease: ... in a thread"
        )

    def __aexit__(self, *error: object) -> NoReturn:
        raise AssertionError("nothing enters a lease by async with")  # Python looks for this method before `__aenter__`

    def __await__(self) -> NoReturn:
        """Refuse `await pool.lease()`, and release the lease."""
        self.release(Outcome.IGNORED)
        raise TypeError(
            "a lease cannot be awaited; write async with pool.aio.lease() as lease: ... in a task, or with "
            "pool.lease() as lease: ... in a thread"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            if self.outcome is None:
                self.lender.release(self, _SUCCESS)
            else:
                self._end_as_set()
            return
        try:
            self.release_after(error)
        except (
            LeaseError,
            PoolForked,
        ) as late:  # e.g. its `ttl_s` has passed: the error of the block says more and must not be lost
            error.add_note(str(late))

    def __repr__(self) -> str:
        state = "ended" if self.account is None else "out"
        return f"<Lease {self.id} of {self.endpoint.name}, {state}>"
