"""Settings of health, limits, quotas and retries: what `balancer.core` carries out. No library is needed.

Python code makes them; `balancer.settings.tables` makes them of the tables of a config or a scenario.
"""

import math
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Final, Literal

from balancer.settings.checked import none_or, settings
from balancer.values.numbers import number, whole

__all__ = [
    "LONG_CALLS",
    "LONG_TTL_S",
    "HealthSettings",
    "HolderSettings",
    "LimitSettings",
    "QuotaSettings",
    "RetrySettings",
]

_Seconds = Annotated[float, number(gt=0)]
_Share = Annotated[float, number(ge=0, le=1)]
_NotLess = Annotated[float, number(ge=0)]
_Count = Annotated[int, whole]
_CountOrNone = Annotated[int, partial(whole, least=0)]
_Most = Annotated[int | None, none_or(whole)]
_LEAST_RAMP_S = 0.001

LONG_CALLS: Final[Mapping[str, Any]] = {
    "consecutive_failures": 3,  # of such long calls there are few: five would take five callers hours
    "success_rate": 0.0,  # the own rate forgets within minutes, so it never has enough outcomes
    "timeouts": "ignore",  # a slow call is not a failure
    "cooldown_s": 5.0,
    "probe_s": 30.0,  # an endpoint that answers has begun by then; the call ends an hour later
}
"""The defaults of `[health]` with `preset = "long_calls"`."""

LONG_TTL_S: Final = 7200.0
"""The longest time of a lease with that preset, in seconds, unless the pool sets another."""


def _no_ramp_or_some(value: Any) -> float:
    seconds = number(ge=0)(value)
    if 0 < seconds < _LEAST_RAMP_S:
        raise ValueError(f"it must be 0 or at least {_LEAST_RAMP_S:g}")
    return seconds


@settings
class HealthSettings:
    """`[health]`: when an endpoint is taken out of service, and how it comes back.

    Two tests find the outliers: failures in a row, and the endpoint's own success rate.

    Attributes:
        consecutive_failures: so many failures in a row eject; 0: this test is off.
        success_rate: an own success rate below this ejects; 0: this test is off.
        success_volume: how many outcomes, counted with their decay, the own rate needs; it is no key.
        decay_s: after so many seconds an outcome counts 37%.
        cooldown_s: how long an ejection lasts. The first two failed probes double it, and each further one multiplies
            it by four. Five successes in a row reset it.
        max_cooldown_s: the longest cooldown; also the longest `Retry-After` that counts.
        max_ejected_share: the share of endpoints that may be ejected at once. One is always kept, and of 2 or 3
            endpoints one may be ejected whatever the share.
        slow_start_s: an endpoint that comes back starts with 10% of its weight, which grows to all of it in so many
            seconds.
        probe_s: a probe that runs for so long counts as good, whatever its end; 0: it must end first.
        timeouts: what a call that took too long counts as: "count": a failure; "ignore": nothing.
        preset: "long_calls": other defaults, for calls that last from minutes to hours: see `LONG_CALLS`.
    """

    preset: Literal["default", "long_calls"] = "default"
    consecutive_failures: _CountOrNone = 5
    success_rate: _Share = 0.5
    success_volume: ClassVar = 10.0
    decay_s: _Seconds = 30.0
    cooldown_s: _Seconds = 1.0
    max_cooldown_s: _Seconds = 300.0
    max_ejected_share: _Share = 0.5
    slow_start_s: Annotated[float, _no_ramp_or_some] = 10.0
    probe_s: _NotLess = 0.0
    timeouts: Literal["count", "ignore"] = "count"

    @classmethod
    def usual(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Fill in the defaults of the preset."""
        return {**LONG_CALLS, **given} if given.get("preset") == "long_calls" else given

    def __post_init__(self) -> None:
        if self.max_cooldown_s < self.cooldown_s:
            raise ValueError(
                f"max_cooldown_s: {self.max_cooldown_s:g} is less than cooldown_s, {self.cooldown_s:g}; raise it"
            )


@settings
class LimitSettings:
    """`[limits]`: how many slots of an endpoint are used at once, at most its capacity.

    Attributes:
        kind: "fixed": its capacity. "aimd": starts at `initial`, grows by one for each round of successes while it is
            fully used (additive increase), and is halved when the endpoint is overloaded or a call times out
            (multiplicative decrease), once for the calls that were out together.
        initial: slots at the start.
    """

    kind: Literal["fixed", "aimd"] = "fixed"
    initial: _Count = 1

    @classmethod
    def usual(cls, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Refuse what would have no effect."""
        if given.get("kind", "fixed") == "fixed" and "initial" in given:
            raise ValueError('initial without kind = "aimd": fixed limits are the capacities; set it, or leave it out')
        return given


@settings
class QuotaSettings:
    """`[quotas.NAME]`: how many calls, and tokens of calls, may begin within any minute.

    Attributes:
        requests_per_min: calls; absent: any number.
        tokens_per_min: tokens, reserved by an estimate when a call begins; absent: any number.
        estimate: tokens reserved for a call without an estimate of its own.
    """

    requests_per_min: _Most = None
    tokens_per_min: _Most = None
    estimate: _CountOrNone = 0

    def __post_init__(self) -> None:
        if self.requests_per_min is None and self.tokens_per_min is None:
            raise ValueError("a quota needs requests_per_min or tokens_per_min, or both")
        if self.estimate > (self.tokens_per_min or math.inf):
            raise ValueError(
                f"estimate: {self.estimate} is more than tokens_per_min, {self.tokens_per_min}, so no call could "
                "ever begin; lower it"
            )
        if self.estimate and self.tokens_per_min is None:
            raise ValueError("estimate without tokens_per_min has no effect; set both, or leave it out")


@settings
class HolderSettings:
    """`[holders.NAME]`: the share of a holder, and its bounds, in a pool with fair shares.

    Attributes:
        weight: its share of the slots relative to the other holders that wait, while all of them wait.
        max_leases: leases that it may have out at once; a further call waits; absent: any number.
    """

    weight: Annotated[float, number(ge=0.001, le=1000)] = 1.0
    max_leases: _Most = None


@settings
class RetrySettings:
    """`[retries]`: how often and how soon a failed call is tried again, and how many retries there may be in all.

    Attributes:
        budget_ratio: retries per first attempt.
        budget_per_s: further retries a second, so that a quiet pool may retry too.
        budget_window_s: how long an attempt and a retry count; it is no key. At every retry, the window that ends with
            it has at most `budget_ratio` x first attempts + `budget_per_s` x `budget_window_s` retries.
        base_s: mean pause before the first retry, in seconds; it doubles with each further one. 0: no pause.
        max_pause_s: the longest pause, in seconds.
    """

    budget_ratio: Annotated[float, number(ge=0, le=10)] = 0.2
    budget_per_s: _NotLess = 10.0
    budget_window_s: ClassVar = 10.0
    base_s: Annotated[float, number(ge=0, le=3600)] = 0.05
    max_pause_s: Annotated[float, number(ge=0, le=3600)] = 2.0
