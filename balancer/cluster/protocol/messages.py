"""What owner and holders say to each other.

Decides nothing: these are the words. Outside a visit: `Knock` and `Greeting`, `Hello` and `Welcome`. Within one, each
side's words come in a `Letter`, numbered, so that each is heard once and in order, whatever the network does to
letters; see `balancer.cluster.protocol.link`. A letter without words is the heartbeat, and the answer to one.

A visit is (epoch, number). The owner gives the numbers and gives none twice in its epoch, so whatever was said in
another visit is known by that, however late it comes. `sent_s` is the holder's own clock: the owner repeats the
greatest that it has heard, as `heard_s`, so a holder knows when it said the last thing that has certainly arrived.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from balancer.endpoint import Endpoint, Hint, Outcome, Terms
from balancer.load import Load
from balancer.strategy import Request

__all__ = [
    "Amend",
    "Ask",
    "Bye",
    "Cancel",
    "Changed",
    "End",
    "FromHolder",
    "FromOwner",
    "Granted",
    "Greeting",
    "Hedged",
    "Held",
    "Hello",
    "Knock",
    "Letter",
    "Listed",
    "OutOfService",
    "Pinged",
    "Recall",
    "Refused",
    "Reply",
    "Retried",
    "Share",
    "Token",
    "Told",
    "Used",
    "Welcome",
    "Who",
]


class Who(NamedTuple):
    """A holder: its name, and what tells this life of it from all others of that name."""

    name: str
    incarnation: str


class Token(NamedTuple):
    """What a lease is known by everywhere: in which epoch it was granted, and as the how manieth."""

    epoch: int
    counter: int


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that a holder says it has: of the endpoint of this name, for `held_s` seconds so far.

    `tokens` is what its request reserved of a quota.
    """

    token: Token
    endpoint: str
    slots: int
    terms: Terms | None
    tokens: int | None
    held_s: float


# -- outside a visit -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Knock:
    """A holder asks to be let in."""

    who: Who
    sent_s: float


@dataclass(frozen=True, slots=True)
class Greeting:
    """The owner offers a visit."""

    epoch: int
    visit: int


@dataclass(frozen=True, slots=True)
class Hello:
    """A holder begins the visit that it was offered, and says all that it holds. What it does not name is free."""

    who: Who
    epoch: int
    visit: int
    sent_s: float
    held: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class Welcome:
    """The visit has begun. Of what the holder said it has, `kept` is still its own.

    `ttl_s` is the owner's; `block` is how many leases at most may be granted at once; the rest says what there is to
    lease, and how it is chosen.
    """

    epoch: int
    visit: int
    heard_s: float
    kept: tuple[Token, ...]
    ttl_s: float
    block: int
    strategy: str
    endpoints: tuple[Endpoint, ...]


# -- within one ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Letter:
    """Words of a holder. `number` counts letters that have words; 0: it has none. `got`: of the last one it heard."""

    who: Who
    epoch: int
    visit: int
    sent_s: float
    number: int
    got: int
    words: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """Words of the owner; as `Letter`."""

    epoch: int
    visit: int
    heard_s: float
    number: int
    got: int
    words: tuple[Any, ...]


# -- words of a holder -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ask:
    """A caller wants what `request` says; `number` is the holder's own.

    Args:
        number: grows with every ask of a holder, and is kept when an ask is made again in another visit.
        request: what is asked for, with terms, key and tokens. Its terms have no `ttl_s`: that is the holder's to keep.
        priority: as in `Pool.acquire`.
        timeout_s: how long it waits from now on; `inf`: for ever.
        waited_s: how long it has waited already.
        block: how many leases the holder would take at once: the first for this caller, the others for the next ones.
    """

    number: int
    request: Request
    priority: int
    timeout_s: float
    waited_s: float
    block: int


@dataclass(frozen=True, slots=True)
class Amend:
    """The caller wants this instead, at its place in the queue."""

    number: int
    request: Request


@dataclass(frozen=True, slots=True)
class Cancel:
    """The caller does not want it any more."""

    number: int


@dataclass(frozen=True, slots=True)
class End:
    """A lease is over: how it ended, what that says, for how many seconds it was in use, and what its call raised."""

    token: Token
    outcome: Outcome
    used_s: float
    hint: Hint | None = None
    raised: str = ""


@dataclass(frozen=True, slots=True)
class Used:
    """The call of a lease has used so many tokens of a quota so far."""

    token: Token
    tokens: int


@dataclass(frozen=True, slots=True)
class Told:
    """The endpoint of a lease has said this of its load."""

    token: Token
    load: Load


@dataclass(frozen=True, slots=True)
class Pinged:
    """An active probe of an endpoint went well, or not; see `Core.pinged`."""

    endpoint: str
    ok: bool
    conclusive: bool


@dataclass(frozen=True, slots=True)
class Retried:
    """A call that failed at `endpoint` is made again."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class Hedged:
    """A call that is slow is made a second time, at `endpoint`."""

    endpoint: str


@dataclass(frozen=True, slots=True)
class Bye:
    """The holder goes, and has nothing any more."""


# -- words of the owner ----------------------------------------------------------------------------


class Share(NamedTuple):
    """One lease of a grant: its token, the number of its endpoint as it was `Listed`, and how many slots it has."""

    token: Token
    listed: int
    slots: int


@dataclass(frozen=True, slots=True)
class Listed:
    """What the endpoint of this number is like, until the end of the visit."""

    number: int
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Granted:
    """The answer to an ask: a lease, and perhaps further ones for asks that are alike."""

    number: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The other answer to an ask: the name of an error of `balancer.errors`, and its arguments."""

    number: int
    error: str
    facts: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """What there is to lease, how it is chosen, and how many leases a grant may have, from now on; as in `Welcome`."""

    endpoints: tuple[Endpoint, ...]
    strategy: str
    block: int


@dataclass(frozen=True, slots=True)
class OutOfService:
    """These endpoints serve nobody for now, for their health."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Recall:
    """Somebody waits: give back what nobody uses."""


FromHolder: TypeAlias = Knock | Hello | Letter
FromOwner: TypeAlias = Greeting | Welcome | Reply
