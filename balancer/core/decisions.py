"""The decisions of an attempt plan, and the policy that a call is made by. Data.

The five decisions are all that a plan ever answers: see `balancer.core.attempt_plan`. All times are in seconds from
the `now` that the shell gave. Nothing here knows pools, clocks or threads.
"""

import math
from dataclasses import dataclass, field
from enum import Enum

from balancer.settings.rules import RetrySettings

__all__ = ["Ask", "CallPolicy", "Hedge", "Over", "Pause", "Run", "Why"]

_NONE = frozenset[str]()


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How far a call may go. What differs between users of the plan is said here, and nowhere else.

    Args:
        attempts: tries at most, the first included.
        retries: pauses, and the window of a budget that never fills; None: each pause lasts `pause_s`.
        pause_s: see `retries`.
        wait_s: how long a try waits for a lease, within the deadline; inf: for as long as that allows.
        deadline_s: seconds from the beginning for all waits, pauses and tries.
        hedge_after_s: an attempt that takes longer is made a second time, elsewhere; None: never.
        avoids: False: a retry goes anywhere, as if nothing had failed.
        shuns: names of endpoints to avoid from the start, as if they had failed before.
        prefers: labels that an endpoint should have, if there is one.
        owed: how many endpoints are owed a try before the first pause.
        persists: a try that the budget refuses is late, not lost; and one that finds no lease in time is a failed try.
    """

    attempts: int = 3
    retries: RetrySettings | None = None
    pause_s: float = 0.0
    wait_s: float = math.inf
    deadline_s: float = math.inf
    hedge_after_s: float | None = None
    avoids: bool = True
    shuns: frozenset[str] = field(default=_NONE)
    prefers: frozenset[str] = field(default=_NONE)
    owed: int = 1
    persists: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the core for a lease, and wait for it.

    Attributes:
        avoid: names of endpoints to exclude, besides those that the request excludes itself.
        labels: labels to ask for, besides those that the request asks for itself.
        within_s: how long to wait at most.
        look_s: when to call `Course.look`, if it still waits then; inf: never.
    """

    avoid: frozenset[str]
    labels: frozenset[str]
    within_s: float
    look_s: float


@dataclass(frozen=True, slots=True)
class Run:
    """Make the call, or let it go on.

    Attributes:
        hedge_s: when to call `Course.slow`, if it still runs then; inf: never.
        cut_s: when its deadline has passed: a shell that can end it does so then; inf: there is none.
        cut_blames: True if it is its endpoint that has taken too long, when it is cut.
    """

    hedge_s: float = math.inf
    cut_s: float = math.inf
    cut_blames: bool = False


@dataclass(frozen=True, slots=True)
class Hedge:
    """Make the call a second time, elsewhere than at `avoid`, if a slot is free at once."""

    avoid: frozenset[str]


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for so many seconds, then call `Course.resume`."""

    for_s: float


class Why(Enum):
    """Why a call is not tried again."""

    ATTEMPTS = "its attempts are used up"
    DEADLINE = "its deadline has passed"
    BUDGET = "the retry budget is empty"
    REST = "the only endpoint that could serve asks for more rest than there is time"
    NO_LEASE = "there was no lease to be had"


@dataclass(frozen=True, slots=True)
class Over:
    """Give up. `note` says more, in words, where there is more to say; of no lease, the core's own error says it."""

    why: Why
    note: str = ""
