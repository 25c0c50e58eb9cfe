"""Faults of an endpoint, as data; those of one endpoint add up.

The meaning of each fault is here; what it does to a call is in `world.fault_effects`. All instants are seconds since
the start of the run.
"""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from balancer.settings.tables import CheckedInPython

__all__ = ["CrashRepair", "FailWithin", "FastFail", "Fault", "SlowWithin", "TimedFault", "Warmup"]

Instant = Annotated[float, Field(ge=0)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(gt=0, le=1)]


class TimedFault(CheckedInPython):
    """What all faults that hold between two instants have in common."""

    from_s: Instant = 0.0
    to_s: Instant = math.inf

    @model_validator(mode="after")
    def _lasts(self) -> Self:
        if self.from_s >= self.to_s:
            raise ValueError(f"from_s is {self.from_s:g} and to_s {self.to_s:g}; from_s must be less")
        return self

    def missed(self, joins_s: float, horizon_s: float) -> str | None:
        """Return why this never happens to an endpoint that joins at `joins_s` in a run up to `horizon_s`, or None."""
        if self.from_s >= horizon_s:
            return f"from_s is {self.from_s:g}, and the run ends at horizon_s = {horizon_s:g}; begin before that"
        if self.to_s <= joins_s:
            return f"to_s is {self.to_s:g}, and the endpoint joins at from_s = {joins_s:g}; end after that"
        return None


class SlowWithin(TimedFault):
    """Calls that begin between two instants take `factor` times as long."""

    kind: Literal["slow_within"] = "slow_within"
    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 10.0


class FailWithin(TimedFault):
    """Calls that begin between two instants do their work and then fail, each with `probability`."""

    kind: Literal["fail_within"] = "fail_within"
    probability: Probability = 1.0


class FastFail(TimedFault):
    """The black hole: calls fail after `after_s`, without any work, so the endpoint is always free."""

    kind: Literal["fast_fail"] = "fast_fail"
    probability: Probability = 1.0
    after_s: Seconds = 0.01


class CrashRepair(CheckedInPython):
    """Flapping: up for a time, then down until it is repaired, again and again (both exponential).

    A crash fails all calls that are under way. While it is down, calls are refused after `refuse_s`.
    """

    kind: Literal["crash_repair"] = "crash_repair"
    mtbf_s: Positive
    mttr_s: Positive
    refuse_s: Seconds = 0.01


class Warmup(CheckedInPython):
    """Cold caches: at first calls take `factor` times as long; that falls evenly to 1 over `window_s`.

    It starts with the endpoint, and again after each repair.
    """

    kind: Literal["warmup"] = "warmup"
    window_s: Positive
    factor: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.0


Fault = Annotated[SlowWithin | FailWithin | FastFail | CrashRepair | Warmup, Field(discriminator="kind")]
