"""Health and limits in the naive model.

It works out the slots that health and an adaptive limit leave, from the outcomes of calls. The state of health comes
from the core. It shares no code with the core.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor, inf

from balancer.endpoint import Lease, Outcome
from balancer.settings.rules import HealthSettings, HolderSettings, LimitSettings, QuotaSettings

__all__ = ["OUT", "ModelHealth", "RulesInForce"]

OUT = ("ejected", "half_open")
_FIRST_STEP = 0.1
_ROUNDING = 1e-9  # three times a third may be less than one


@dataclass(frozen=True, slots=True)
class RulesInForce:
    """Rules of a pool. None, or no cap: there is no such rule.

    Args:
        health: when endpoints are ejected.
        limits: how the slots in force follow overload.
        host_caps: slots by host; "*" for each host without an entry.
        quotas: by name.
        groups: True: endpoints belong to several failover groups.
        spill_after_s: how long a group may be full before the next one is used; None: for ever.
        holders: weights and bounds of holders with fair shares; "*" for each holder without an entry.
    """

    health: HealthSettings | None = None
    limits: LimitSettings | None = None
    host_caps: Mapping[str, int] = field(default_factory=dict)
    quotas: Mapping[str, QuotaSettings] = field(default_factory=dict)
    groups: bool = False
    spill_after_s: float | None = None
    holders: Mapping[str, HolderSettings] | None = None

    @property
    def any(self) -> bool:
        """True if there is any rule at all."""
        return bool(self.health or self.limits or self.host_caps or self.gated or self.holders is not None)

    @property
    def gated(self) -> bool:
        """True if there are groups or quotas."""
        return bool(self.quotas or self.groups)


@dataclass(slots=True)
class ModelHealth:
    """Health and limit of one endpoint since it came into service.

    Attributes:
        health: its state, from the core; "" without health rules, and out of service.
        since_s: start of that state.
        exact: its adaptive limit, with the fraction; `inf`: none.
        cut_s: when the limit was last cut.
        rest_until_s: until when it last asked for a rest.
        ejections: how often it was ejected.
    """

    health: str = ""
    since_s: float = -inf
    exact: float = inf
    cut_s: float = -inf
    rest_until_s: float = -inf
    ejections: int = 0

    def see(self, health: str, now: float) -> bool:
        """Take over its state from the core; return whether it has changed."""
        if health == self.health:
            return False
        self.health, self.since_s = health, now
        self.ejections += health == "ejected"
        return True

    def most(self, capacity: int) -> int:
        """Return how many slots it has, without the cap of its host."""
        most = capacity if self.exact == inf else min(capacity, self._whole)
        if self.health in ("resting", "ejected"):
            return 0
        return min(most, 1) if self.health == "half_open" else most

    def ended(
        self, lease: Lease, outcome: Outcome, now: float, rules: RulesInForce, *, used: int, capacity: int
    ) -> None:
        """Record how a lease ended, when `used` slots were in use, its own included."""
        hint = lease.hint
        if outcome is Outcome.OVERLOAD and rules.health and hint and hint.retry_after_s:
            self.rest_until_s = max(self.rest_until_s, now + min(hint.retry_after_s, rules.health.max_cooldown_s))
        if rules.limits is None or self.exact == inf:
            return
        late = outcome is Outcome.FAILURE and hint is not None and hint.timed_out
        if (outcome is Outcome.OVERLOAD or late) and lease.granted_s > self.cut_s:
            self.exact, self.cut_s = max(1.0, self.exact / 2), now
        elif outcome is Outcome.SUCCESS and used >= self._whole:
            self.exact = min(capacity, self.exact + lease.slots / self._whole)

    def ramp(self, health: HealthSettings | None, now: float) -> tuple[float, float]:
        """Return the least and the largest share of its weight that may count."""
        if self.health != "slow_start" or health is None:
            return 1.0, 1.0
        grown = (now - self.since_s) / health.slow_start_s
        return max(_FIRST_STEP, grown - _FIRST_STEP), max(_FIRST_STEP, grown)

    def due_back_s(self, health: HealthSettings) -> float:
        """Return the latest end of its ejection or rest; `inf` if there is neither."""
        if self.health not in ("ejected", "resting"):
            return inf
        return max(self.since_s + health.max_cooldown_s, self.rest_until_s)

    @property
    def _whole(self) -> int:
        return max(1, floor(self.exact + _ROUNDING))
