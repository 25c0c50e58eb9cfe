"""Messages between a coordinator and its members.

Outside a session: `JoinRequest` and `SessionOffer`, `SessionStart` and `SessionAccepted`. Within one, the words of each
side come in numbered frames, so that each word is received once and in order; see `balancer.cluster.protocol.channel`.
A frame without words is the heartbeat, and the answer to one.

A session is (epoch, number). The coordinator uses each number once in its epoch. So messages of another session are
recognised, however late they come. `sent_s` is the member's own clock. The coordinator returns the greatest that it has
received, as `heard_s`. So a member knows when it sent the last message that has certainly arrived.

A refusal carries an error, which is raised in the other process. Errors that this module does not know arrive as a
`BalancerError` with their text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from balancer.answers import Load
from balancer.endpoint import Endpoint, Hint, LeaseTerms, Outcome
from balancer.errors import (
    AcquireTimeout,
    BalancerError,
    NoEndpoint,
    PoolClosed,
    QuotaExceeded,
    StrategyError,
    TooManyWaiters,
)
from balancer.strategy import Request

__all__ = [
    "MOST_WAITING",
    "CallCounted",
    "ClaimedLease",
    "CoordinatorFrame",
    "EndpointListed",
    "EndpointsOut",
    "FromCoordinator",
    "FromMember",
    "GrantedLease",
    "IdleRecalled",
    "JoinRequest",
    "LeaseEnded",
    "LeaseRequested",
    "LeaseToken",
    "LeasesGranted",
    "LoadReported",
    "MemberFrame",
    "MemberId",
    "MemberLeft",
    "PoolChanged",
    "ProbeReported",
    "RequestAmended",
    "RequestCancelled",
    "RequestRefused",
    "SessionAccepted",
    "SessionOffer",
    "SessionStart",
    "TokensUsed",
    "error_of",
    "facts_of",
]


MOST_WAITING: Final = 10_000
"""So many callers of one member may wait. More would cost the coordinator time that the other members need."""


class MemberId(NamedTuple):
    """A member: its name, and an id that is unique for each start."""

    name: str
    incarnation: str


class LeaseToken(NamedTuple):
    """The id of a lease in the cluster: the epoch and the number of its grant."""

    epoch: int
    counter: int


@dataclass(frozen=True, slots=True)
class ClaimedLease:
    """A lease that a member reports: of the endpoint with this name, held for `held_s` seconds so far.

    `tokens` is what its request reserved of a quota.
    """

    token: LeaseToken
    endpoint: str
    slots: int
    terms: LeaseTerms | None
    tokens: int | None
    held_s: float


# -- outside a session -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JoinRequest:
    """A member asks to join."""

    who: MemberId
    sent_s: float


@dataclass(frozen=True, slots=True)
class SessionOffer:
    """The coordinator offers a session."""

    epoch: int
    session: int


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A member begins the offered session, and reports all leases that it holds. All others are free."""

    who: MemberId
    epoch: int
    session: int
    sent_s: float
    held: tuple[ClaimedLease, ...]


@dataclass(frozen=True, slots=True)
class SessionAccepted:
    """The session has begun. Of the reported leases, the member keeps `kept`.

    `ttl_s` is the coordinator's TTL. `block` is the most leases of one grant. The rest is the offer: endpoints, and the
    strategy.
    """

    epoch: int
    session: int
    heard_s: float
    kept: tuple[LeaseToken, ...]
    ttl_s: float
    block: int
    strategy: str
    endpoints: tuple[Endpoint, ...]


# -- within one ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemberFrame:
    """Words of a member. `number` counts frames with words; 0: no words. `got`: the last number that it received."""

    who: MemberId
    epoch: int
    session: int
    sent_s: float
    number: int
    got: int
    words: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class CoordinatorFrame:
    """Words of the coordinator, as in `MemberFrame`."""

    epoch: int
    session: int
    heard_s: float
    number: int
    got: int
    words: tuple[Any, ...]


# -- words of a member -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaseRequested:
    """A caller of a member asks for a lease.

    Args:
        number: the member's number of the request. It grows, and is kept when the request is repeated in another
            session.
        request: what is asked for, with terms, key and tokens. Its terms have no `ttl_s`: the member keeps that itself.
        priority: as in `Pool.acquire`.
        timeout_s: how many seconds it waits from now on; inf: for ever.
        waited_s: how many seconds it has waited already.
        block: how many leases the member would take at once: the first for this caller, the others for the next ones.
    """

    number: int
    request: Request
    priority: int
    timeout_s: float
    waited_s: float
    block: int


@dataclass(frozen=True, slots=True)
class RequestAmended:
    """A waiting caller has a new request, and keeps its place in the queue."""

    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class RequestCancelled:
    """A caller does not want a lease any more, or has waited for too long by its own clock (`timed_out`)."""

    number: int
    timed_out: bool = False


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """A lease has ended: its outcome, its hint, how many seconds it was in use, and the exception of its call."""

    token: LeaseToken
    outcome: Outcome
    used_s: float
    hint: Hint | None = None
    raised: str = ""


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """The call of a lease has used so many tokens so far."""

    token: LeaseToken
    tokens: int


@dataclass(frozen=True, slots=True)
class LoadReported:
    """The endpoint of a lease has reported its load."""

    token: LeaseToken
    load: Load


@dataclass(frozen=True, slots=True)
class ProbeReported:
    """The result of a ping of an endpoint; see `Core.pinged`."""

    endpoint: str
    ok: bool
    conclusive: bool


@dataclass(frozen=True, slots=True)
class CallCounted:
    """A call that failed at `endpoint` is made again ("retries"), or a slow one a second time, there ("hedges")."""

    figure: Literal["retries", "hedges"]
    endpoint: str


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """The member leaves, and has no leases."""


# -- words of the coordinator ----------------------------------------------------------------------------


class GrantedLease(NamedTuple):
    """One lease of a grant: its token, the number of its endpoint (`EndpointListed`), and its slots."""

    token: LeaseToken
    listed: int
    slots: int


@dataclass(frozen=True, slots=True)
class EndpointListed:
    """The endpoint with this number, until the end of the session."""

    number: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class LeasesGranted:
    """The answer to a request: a lease, and perhaps further ones for equal requests."""

    number: int
    shares: tuple[GrantedLease, ...]


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The other answer to a request: the name of an error of `balancer.errors`, and its arguments."""

    number: int
    error: str
    facts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PoolChanged:
    """The offer has changed: endpoints, strategy, and the most leases of a grant, as in `SessionAccepted`."""

    endpoints: tuple[Endpoint, ...]
    strategy: str
    block: int


@dataclass(frozen=True, slots=True)
class EndpointsOut:
    """The endpoints that are out of service for now."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class IdleRecalled:
    """A caller waits: give back idle leases."""


FromMember: TypeAlias = JoinRequest | SessionStart | MemberFrame
FromCoordinator: TypeAlias = SessionOffer | SessionAccepted | CoordinatorFrame


def _told(error: StrategyError) -> tuple[Any, ...]:
    whole, name = str(error), f"strategy {error.strategy!r} "
    return error.strategy, whole.removeprefix(name)


_FACTS: dict[type[BalancerError], Callable[[Any], tuple[Any, ...]]] = {
    AcquireTimeout: lambda e: (e.waited_s, e.timeout_s, e.out, list(e.quotas)),
    QuotaExceeded: lambda e: (sorted(e.labels), sorted(e.exclude), e.endpoints, e.slots, e.tokens, e.most),
    NoEndpoint: lambda e: (sorted(e.labels), sorted(e.exclude), e.endpoints, e.slots, list(e.spent_names), e.only),
    TooManyWaiters: lambda e: (e.waiting, e.limit, e.of_one_process),
    PoolClosed: lambda e: (),
    StrategyError: _told,
}
_KINDS = {kind.__name__: kind for kind in _FACTS}
_OF_SETS = (NoEndpoint, QuotaExceeded)  # their first two arguments are sets


def facts_of(error: BalancerError) -> tuple[str, tuple[Any, ...]]:
    """Return the name of an error and its arguments."""
    kind = type(error)
    if kind in _FACTS:
        return kind.__name__, _FACTS[kind](error)
    return "BalancerError", (str(error),)


def error_of(name: str, facts: tuple[Any, ...]) -> BalancerError:
    """Return the error with this name and these arguments."""
    kind = _KINDS.get(name, BalancerError)
    if kind in _OF_SETS:
        labels, exclude, *rest = facts
        return kind(frozenset(labels), frozenset(exclude), *rest)
    return kind(*facts)
