"""Messages between a coordinator and its members.

Decides nothing: these are the words. Outside a session: `JoinRequest` and `SessionOffer`, `SessionStart` and
`SessionAccepted`. Within one, each side's words come in a `MemberFrame`, numbered, so that each is heard once and in
order, whatever the network does to frames; see `balancer.cluster.protocol.channel`. A frame without words is the
heartbeat, and the answer to one.

A session is (epoch, number). The coordinator gives the numbers and gives none twice in its epoch, so whatever was said
in another session is known by that, however late it comes. `sent_s` is the member's own clock: the coordinator repeats
the greatest that it has heard, as `heard_s`, so a member knows when it said the last thing that has certainly arrived.

Errors as messages: a refusal travels to another process and is raised there. Decides which errors can be told. Any
other one arrives as a `BalancerError` with its text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

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
from balancer.load import Load
from balancer.strategy import Request

__all__ = [
    "CallHedged",
    "CallRetried",
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


class MemberId(NamedTuple):
    """A member: its name, and what tells this life of it from all others of that name."""

    name: str
    incarnation: str


class LeaseToken(NamedTuple):
    """What a lease is known by everywhere: in which epoch it was granted, and as the how manieth."""

    epoch: int
    counter: int


@dataclass(frozen=True, slots=True)
class ClaimedLease:
    """A lease that a member says it has: of the endpoint of this name, for `held_s` seconds so far.

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
    """A member asks to be let in."""

    who: MemberId
    sent_s: float


@dataclass(frozen=True, slots=True)
class SessionOffer:
    """The coordinator offers a session."""

    epoch: int
    session: int


@dataclass(frozen=True, slots=True)
class SessionStart:
    """A member begins the session that it was offered, and says all that it holds. What it does not name is free."""

    who: MemberId
    epoch: int
    session: int
    sent_s: float
    held: tuple[ClaimedLease, ...]


@dataclass(frozen=True, slots=True)
class SessionAccepted:
    """The session has begun. Of what the member said it has, `kept` is still its own.

    `ttl_s` is the coordinator's; `block` is how many leases at most may be granted at once; the rest says what there is
    to lease, and how it is chosen.
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
    """Words of a member. `number` counts frames that have words; 0: it has none. `got`: of the last one it heard."""

    who: MemberId
    epoch: int
    session: int
    sent_s: float
    number: int
    got: int
    words: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class CoordinatorFrame:
    """Words of the coordinator; as `MemberFrame`."""

    epoch: int
    session: int
    heard_s: float
    number: int
    got: int
    words: tuple[Any, ...]


# -- words of a member -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LeaseRequested:
    """A caller wants what `request` says; `number` is the member's own.

    Args:
        number: grows with every ask of a member, and is kept when an ask is made again in another session.
        request: what is asked for, with terms, key and tokens. Its terms have no `ttl_s`: that is the member's to keep.
        priority: as in `Pool.acquire`.
        timeout_s: how long it waits from now on; `inf`: for ever.
        waited_s: how long it has waited already.
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
    """The caller wants this instead, at its place in the queue."""

    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class RequestCancelled:
    """The caller does not want it any more."""

    number: int


@dataclass(frozen=True, slots=True)
class LeaseEnded:
    """A lease is over: how it ended, what that says, for how many seconds it was in use, and what its call raised."""

    token: LeaseToken
    outcome: Outcome
    used_s: float
    hint: Hint | None = None
    raised: str = ""


@dataclass(frozen=True, slots=True)
class TokensUsed:
    """The call of a lease has used so many tokens of a quota so far."""

    token: LeaseToken
    tokens: int


@dataclass(frozen=True, slots=True)
class LoadReported:
    """The endpoint of a lease has said this of its load."""

    token: LeaseToken
    load: Load


@dataclass(frozen=True, slots=True)
class ProbeReported:
    """An active probe of an endpoint went well, or not; see `Core.pinged`."""

    endpoint: str
    ok: bool
    conclusive: bool


@dataclass(frozen=True, slots=True)
class CallRetried:
    """A call that failed at `endpoint` is made again."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class CallHedged:
    """A call that is slow is made a second time, at `endpoint`."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class MemberLeft:
    """The member goes, and has nothing any more."""


# -- words of the coordinator ----------------------------------------------------------------------------


class GrantedLease(NamedTuple):
    """One lease of a grant: its token, the number of its endpoint (`EndpointListed`), and how many slots it has."""

    token: LeaseToken
    listed: int
    slots: int


@dataclass(frozen=True, slots=True)
class EndpointListed:
    """What the endpoint of this number is like, until the end of the session."""

    number: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class LeasesGranted:
    """The answer to an ask: a lease, and perhaps further ones for asks that are alike."""

    number: int
    shares: tuple[GrantedLease, ...]


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """The other answer to an ask: the name of an error of `balancer.errors`, and its arguments."""

    number: int
    error: str
    facts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class PoolChanged:
    """What there is to lease, by which strategy, and how many leases a grant may have, as in `SessionAccepted`."""

    endpoints: tuple[Endpoint, ...]
    strategy: str
    block: int


@dataclass(frozen=True, slots=True)
class EndpointsOut:
    """These endpoints serve nobody for now, for their health."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class IdleRecalled:
    """Somebody waits: give back what nobody uses."""


FromMember: TypeAlias = JoinRequest | SessionStart | MemberFrame
FromCoordinator: TypeAlias = SessionOffer | SessionAccepted | CoordinatorFrame


def _told(error: StrategyError) -> tuple[Any, ...]:
    whole, name = str(error), f"strategy {error.strategy!r} "
    return error.strategy, whole.removeprefix(name)


_FACTS: dict[type[BalancerError], Callable[[Any], tuple[Any, ...]]] = {
    AcquireTimeout: lambda e: (e.waited_s, e.timeout_s, e.out, list(e.quotas)),
    QuotaExceeded: lambda e: (sorted(e.labels), sorted(e.exclude), e.endpoints, e.slots, e.tokens, e.most),
    NoEndpoint: lambda e: (sorted(e.labels), sorted(e.exclude), e.endpoints, e.slots, list(e.spent_names)),
    TooManyWaiters: lambda e: (e.waiting, e.limit),
    PoolClosed: lambda e: (),
    StrategyError: _told,
}
_KINDS = {kind.__name__: kind for kind in _FACTS}
_OF_SETS = (NoEndpoint, QuotaExceeded)  # their first two are sets


def facts_of(error: BalancerError) -> tuple[str, tuple[Any, ...]]:
    """Return the name of an error and its arguments."""
    kind = type(error)
    if kind in _FACTS:
        return kind.__name__, _FACTS[kind](error)
    return "BalancerError", (str(error),)


def error_of(name: str, facts: tuple[Any, ...]) -> BalancerError:
    """Return the error that these are the name and the arguments of."""
    kind = _KINDS.get(name, BalancerError)
    if kind in _OF_SETS:
        labels, exclude, *rest = facts
        return kind(frozenset(labels), frozenset(exclude), *rest)
    return kind(*facts)
