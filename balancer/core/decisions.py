"""Decisions of an attempt plan, and the call policy.

A plan answers with one of five decisions: see `balancer.core.attempt_plan`. All times are in seconds from the `now`
that the shell gave.
"""

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from balancer.settings.rules import RetrySettings

__all__ = ["Ask", "CallPolicy", "Hedge", "Over", "Pause", "Run", "Why"]

_NONE = frozenset[str]()


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """The limits of one call, and all other options of an attempt plan.

    Args:
        attempts: tries at most, the first included.
        retries: pauses, and the window of a budget that never fills. None: there are no pauses.
        wait_s: how long a try waits for a lease, within the deadline; inf: until the deadline.
        deadline_s: seconds from the start for all waits, pauses and tries.
        hedge_after_s: an attempt that takes longer is made a second time, elsewhere. None: never.
        avoids: False: a retry may go to any endpoint, also where it has failed.
        shuns: names of endpoints to avoid from the start, as if they had failed.
        prefers: labels that an endpoint should have, if there is one.
        owed: how many tries come before the first pause.
        persists: True: a try that the budget refuses is made later, and one without a lease in time is a failed try.
            False: both end the call.
    """

    attempts: int = 3
    retries: RetrySettings | None = None
    wait_s: float = math.inf
    deadline_s: float = math.inf
    hedge_after_s: float | None = None
    avoids: bool = True
    shuns: frozenset[str] = field(default=_NONE)
    prefers: frozenset[str] = field(default=_NONE)
    owed: int = 1
    persists: bool = False


class Ask(NamedTuple):
    """Ask the core for a lease, and wait for it.

    Attributes:
        avoid: names of endpoints to exclude, besides those that the request excludes itself.
        labels: labels to ask for, besides those that the request asks for itself.
        within_s: how long to wait at most.
        look_s: when to call `AttemptPlan.look`, if it still waits then; inf: never.
    """

    avoid: frozenset[str]
    labels: frozenset[str]
    within_s: float
    look_s: float


class Run(NamedTuple):
    """Make the call, or let it go on.

    Attributes:
        hedge_s: when to call `AttemptPlan.slow`, if it still runs then; inf: never.
        cut_s: when its deadline passes. A shell that can end the call does so then. inf: no deadline.
        cut_blames: True if a cut counts as a failure of the endpoint.
    """

    hedge_s: float = math.inf
    cut_s: float = math.inf
    cut_blames: bool = False


class Hedge(NamedTuple):
    """Make the call a second time, at an endpoint that is not in `avoid`, if a slot is free at once."""

    avoid: frozenset[str]


class Pause(NamedTuple):
    """Do nothing for `for_s` seconds, then call `AttemptPlan.resume`."""

    for_s: float


class Why(Enum):
    """Why a call is not tried again."""

    ATTEMPTS = "its attempts are used up"
    DEADLINE = "its deadline has passed"
    BUDGET = "the retry budget is empty"
    REST = "the only endpoint that could serve it asks for a longer rest than the deadline allows"
    NO_LEASE = "no lease was granted"


class Over(NamedTuple):
    """Give up. `note` is a further reason in words, or "". Without a lease, the core's own error says why."""

    why: Why
    note: str = ""
