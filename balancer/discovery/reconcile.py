"""Reconciliation: which endpoints join a pool, change or leave it, after an answer of a source. Pure.

- What is new joins. What has other values is updated. A name that never went is never touched.
- What has vanished leaves after a grace. If it is back within the grace, nothing has happened.
- At most a share of a source's endpoints leaves within one grace. What the source names as gone leaves at once.
- What has left comes back a grace later at the earliest. So no endpoint leaves twice within a grace.
- An empty answer changes nothing. The last active endpoint of a pool never leaves.
- What somebody else does to an endpoint holds until the source has dropped its name.

Only endpoints that this source has added are changed. So a pool may have other endpoints, and several sources.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

from balancer.core.states import MembershipState
from balancer.endpoint import Endpoint
from balancer.hookspecs import SourceAnswer
from balancer.values.urls import identity_of

__all__ = ["LeavingRules", "Memory", "Plan", "reconcile"]

_LEAST_WINDOW_S: Final = 1.0  # "at once", if the grace is shorter
_ROUNDING: Final = 1e-9

States = Mapping[str, MembershipState]
"""The endpoints of a pool by identity, with those that leave."""


@dataclass(frozen=True, slots=True)
class LeavingRules:
    """When an endpoint leaves.

    Args:
        grace_s: how many seconds an endpoint must be missing (>= 0).
        share: the share of the source's endpoints that may leave within one grace (> 0, <= 1). One always may.
    """

    grace_s: float = 10.0
    share: float = 0.5

    @property
    def window_s(self) -> float:
        """The seconds in which at most the share leaves, and in which nobody who has left comes back."""
        return max(self.grace_s, _LEAST_WINDOW_S)


@dataclass(frozen=True, slots=True)
class Memory:
    """What a source and the pool have said so far. All by identity.

    Attributes:
        owned: the endpoints that this source has added, as it last described them.
        missing: since when the source has not listed one of these.
        kept_out: listed by the source, but removed from the pool by somebody else.
        left: when an endpoint left that had vanished, for those within the last window.
        away: when an endpoint left for any reason, for those within the last window.
    """

    owned: Mapping[str, Endpoint] = field(default_factory=dict)
    missing: Mapping[str, float] = field(default_factory=dict)
    kept_out: frozenset[str] = frozenset()
    left: tuple[float, ...] = ()
    away: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, in this order.

    Attributes:
        add, update: endpoints, as they will be.
        remove: identities of endpoints that get no new leases, and are forgotten when their last lease ends.
        memory: for the next call.
        due_s: when to call again, even without another answer; inf: then only.
        believed: False if the answer is empty.
        held: how many have been missing for long enough and stay, so that not too many leave at once.
    """

    add: tuple[Endpoint, ...]
    update: tuple[Endpoint, ...]
    remove: tuple[str, ...]
    memory: Memory
    due_s: float
    believed: bool = True
    held: int = 0


def reconcile(pool: States, answer: SourceAnswer, memory: Memory, now: float, rules: LeavingRules) -> Plan:
    """Return what a pool has to do after `answer`, or later, when the same answer is due again."""
    if not answer.wanted and not answer.gone:
        return Plan((), (), (), memory, inf, believed=False)
    named = frozenset(map(identity_of, answer.gone))
    wanted = {each.identity: each for each in reversed(answer.wanted) if each.identity not in named}  # the first counts
    wanted = dict(reversed(wanted.items()))
    memory = _without_what_others_removed(pool, memory, wanted, now, rules)

    joining = [each for key, each in wanted.items() if _may_join(key, pool, memory)]
    changed = [each for key, each in wanted.items() if memory.owned.get(key, each) != each]
    missing = {key: memory.missing.get(key, now) for key in memory.owned if key not in wanted}
    leaving, left, held = _leaving(pool, memory, missing, named, len(joining), now, rules)

    owned = {key: wanted.get(key, each) for key, each in memory.owned.items() if key not in leaving}
    owned |= {each.identity: each for each in joining}
    after = replace(
        memory,
        owned=owned,
        missing={key: since_s for key, since_s in missing.items() if key not in leaving},
        left=left,
        away={**memory.away, **dict.fromkeys(leaving, now)},
    )
    due_s = _due_s(after, wanted, named, now, rules)
    return Plan(tuple(joining), tuple(changed), tuple(leaving), after, due_s, held=held)


def _without_what_others_removed(
    pool: States, memory: Memory, wanted: Mapping[str, Endpoint], now: float, rules: LeavingRules
) -> Memory:
    """Return the memory as of now: what somebody else removed is no longer owned, and what is old is forgotten."""
    removed = {key for key in memory.owned if pool.get(key) in (None, MembershipState.RETIRING)}
    kept_out = (memory.kept_out | removed) & wanted.keys()
    taken_back = {key for key in kept_out if pool.get(key) is MembershipState.ACTIVE}  # somebody added it again
    return Memory(
        owned={key: each for key, each in memory.owned.items() if key not in removed}
        | {key: wanted[key] for key in taken_back},
        missing=memory.missing,
        kept_out=frozenset(kept_out - taken_back),
        left=tuple(at_s for at_s in memory.left if at_s + rules.window_s > now + _ROUNDING),
        away={key: at_s for key, at_s in memory.away.items() if at_s + rules.window_s > now + _ROUNDING},
    )


def _may_join(key: str, pool: States, memory: Memory) -> bool:
    """Return whether a listed endpoint joins. One that somebody else added, or drained, is left alone."""
    if key in memory.owned or key in memory.kept_out or key in memory.away:
        return False
    return pool.get(key) in (None, MembershipState.RETIRING)


def _leaving(
    pool: States,
    memory: Memory,
    missing: Mapping[str, float],
    named: frozenset[str],
    joining: int,
    now: float,
    rules: LeavingRules,
) -> tuple[list[str], tuple[float, ...], int]:
    """Return who leaves, when endpoints that had vanished left, and how many are held back by the share."""
    told = [key for key in missing if key in named]
    late = [key for key in missing if key not in named and now >= missing[key] + rules.grace_s - _ROUNDING]
    late.sort(key=lambda key: missing[key])
    at_most = max(1, int(rules.share * (len(memory.owned) + len(memory.left)) + _ROUNDING))
    may_leave = max(0, at_most - len(memory.left))
    active = joining + sum(state is MembershipState.ACTIVE for state in pool.values())
    leaving: list[str] = []
    for key in (*told, *late[:may_leave]):
        if pool[key] is MembershipState.ACTIVE:
            if active == 1:
                continue  # the last one stays
            active -= 1
        leaving.append(key)
    silent = sum(key not in named for key in leaving)
    return leaving, (*memory.left, *[now] * silent), max(0, len(late) - may_leave)


def _due_s(
    memory: Memory, wanted: Mapping[str, Endpoint], named: Iterable[str], now: float, rules: LeavingRules
) -> float:
    """Return when something will have changed by time alone."""
    silent = [since_s + rules.grace_s for key, since_s in memory.missing.items() if key not in named]
    first_s = min(silent, default=inf)
    if first_s <= now + _ROUNDING:  # it is held back: by the share, or as the last one, which time does not change
        first_s = min(memory.left, default=inf) + rules.window_s
        first_s = min([first_s, *(at_s for at_s in silent if at_s > now + _ROUNDING)])
    back_s = min((at_s + rules.window_s for key, at_s in memory.away.items() if key in wanted), default=inf)
    return min(first_s, back_s)
