"""A plan: all that decides what happens in one short history, whoever carries it out. Data, and how to generate it.

It must not know pools or simulators, nor what comes of it.

Two rules make "the same" a plain `==`. All instants and durations are multiples of 2^-36 s below 2^12 s, and all
speeds powers of two, so that sums and quotients of them are exact. And no two of them have the same fraction, so that
two events do not fall on one instant: of two callers at the very same time the pool serves the one whose thread is
first at its lock, and only a simulator can say which that is. What follows from an event at once (the next attempt
after a failure without a pause) is no such tie; it has an order of its own.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from hypothesis import strategies as st

from balancer.settings.rules import HealthSettings, LimitSettings, QuotaSettings, RetrySettings

__all__ = [
    "MOST_ARRIVALS",
    "REFUSAL_S",
    "Arrival",
    "Change",
    "Kind",
    "Plan",
    "Rules",
    "Site",
    "gated_plans",
    "plans",
    "ruled_plans",
]

MOST_ARRIVALS = 25
REFUSAL_S = 2.0**-7  # what it takes to be refused


@dataclass(frozen=True, slots=True)
class Site:
    """An endpoint: its spec, its speed, when it joins, and the windows [from, to) in which calls begin to fail.

    Of more calls than `refuse_beyond` it refuses those that are too many, and asks for rest for `retry_after_s`.
    """

    url: str
    capacity: int
    weight: float
    labels: frozenset[str]
    speed: float
    from_s: float
    failing: tuple[tuple[float, float], ...]
    host: str | None = None
    refuse_beyond: int | None = None
    retry_after_s: float | None = None
    group: int = 0
    quota: str | None = None

    def fails(self, at_s: float) -> bool:
        """Return whether a call that begins at this instant fails, after its work."""
        return any(from_s <= at_s < to_s for from_s, to_s in self.failing)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a request asks for."""

    labels: frozenset[str]
    priority: int
    slots: int = 1
    tokens: int | None = None
    used_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request: when it comes, its work at speed 1, and which kind it is of."""

    at_s: float
    work_s: float
    kind: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to the membership of an endpoint: "add" (back), "drain", "remove" or "update"."""

    at_s: float
    do: str
    url: str
    capacity: int | None = None
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """Health, limits and caps, as a pool and a scenario take them."""

    health: HealthSettings | None = None
    limits: LimitSettings | None = None
    host_caps: dict[str, int] = field(default_factory=dict)
    quotas: dict[str, QuotaSettings] = field(default_factory=dict)
    spill_after_s: float | None = None

    def values(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole history before it happens; arrivals and changes are in order. Attributes as in a scenario."""

    sites: tuple[Site, ...]
    kinds: tuple[Kind, ...]
    arrivals: tuple[Arrival, ...]
    changes: tuple[Change, ...]
    attempts: int
    retries: RetrySettings
    timeout_s: float | None  # how long a try waits for a lease; None: for ever
    max_waiters: int | None
    horizon_s: float
    seed: int
    rules: Rules = Rules()


_TICKS_PER_S = 16
# The same for every plan, so that a shrunk plan is as free of ties as any. Multiples of 4, for a speed of 4 at most;
# below 2^-6 s, so that they never reach a tick.
_FRACTIONS = [4 * units * 2.0**-36 for units in random.Random(0).sample(range(1, 2**28), 200)]

_WHEN = st.integers(0, 6 * _TICKS_PER_S)  # short enough that most requests meet others
_WORK = st.integers(_TICKS_PER_S // 2, 4 * _TICKS_PER_S)
_TIMEOUT = st.integers(1, 6 * _TICKS_PER_S)
# Halves and quarters again, and jitter of twenty binary digits, see `Coarse`.
_RETRIES = st.builds(
    RetrySettings,
    base_s=st.sampled_from([0.0, 0.25, 0.5]),
    budget_ratio=st.sampled_from([0.25, 1.0, 10.0]),
    budget_per_s=st.sampled_from([0.0, 0.5, 10.0]),
)
_GAP = st.integers(1, 2 * _TICKS_PER_S)  # from one change to an endpoint to the next
_MORE = st.integers(0, 8 * _TICKS_PER_S)
_ONE_IN_FOUR = st.sampled_from([False, False, False, True])
_LABELS = st.sampled_from([frozenset("xy"), frozenset("x"), frozenset("y"), frozenset[str]()])
_WINDOW = st.tuples(st.integers(0, 3 * _TICKS_PER_S), st.just(math.inf) | _MORE).map(
    lambda w: (w[0] / _TICKS_PER_S, sum(w) / _TICKS_PER_S)
)
# What may be done to an endpoint in each state, and the state that it is in then.
_MOVES = {
    "active": [("drain", "draining"), ("remove", "gone"), ("update", "active"), ("update", "active")],
    "draining": [("add", "active"), ("remove", "gone"), ("update", "draining")],
    "gone": [("add", "active")],
}


class _Instants:
    """Turns ticks into seconds, each with a fraction that no other has."""

    def __init__(self) -> None:
        self._fractions = iter(_FRACTIONS)

    def __call__(self, ticks: int) -> float:
        return ticks / _TICKS_PER_S + next(self._fractions)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Generate plans in which most requests meet others, and faults and changes meet both."""
    exact = _Instants()
    sites = tuple(_site(draw, f"http://s{number}", exact) for number in range(draw(st.sampled_from([1, 1, 2, 3, 4]))))
    offered = sorted({label for site in sites for label in site.labels})
    kinds = tuple(_kind(draw, offered) for _ in range(draw(st.integers(1, 3))))
    changes = [change for site in sites for change in _changes(draw, site, exact)]
    all_there = math.ceil(max(site.from_s for site in sites) * _TICKS_PER_S)
    return Plan(
        sites=sites,
        kinds=kinds,
        arrivals=_arrivals(draw, len(kinds), exact),
        changes=tuple(sorted(changes, key=lambda change: change.at_s)),
        attempts=draw(st.sampled_from([1, 2, 3, 3, 4])),
        retries=draw(_RETRIES),
        timeout_s=exact(draw(_TIMEOUT)) if draw(_ONE_IN_FOUR) else None,
        max_waiters=draw(st.sampled_from([None, None, None, 0, 2, 4, 6])),
        # Mostly when all is over; else in the middle, with leases out and callers waiting.
        horizon_s=exact(_TICKS_PER_S * 4000 if not draw(_ONE_IN_FOUR) else max(_TICKS_PER_S, all_there) + draw(_MORE)),
        seed=draw(st.integers(0, 2**32)),
    )


# Halves and quarters, so that when time is up is a sum of few binary digits; see also `Coarse`.
_HEALTH = st.builds(
    HealthSettings,
    consecutive_failures=st.sampled_from([1, 1, 2]),
    cooldown_s=st.sampled_from([0.5, 2.0]),
    max_cooldown_s=st.just(4.0),
    slow_start_s=st.sampled_from([0.0, 2.5]),
    max_ejected_share=st.sampled_from([0.5, 1.0]),
)
_LIMITS = st.builds(LimitSettings, kind=st.just("aimd"), initial=st.integers(1, 2))


@st.composite
def ruled_plans(draw: st.DrawFn) -> Plan:
    """Generate plans with rules: endpoints are ejected, limited, share hosts, and some requests take several slots."""
    plan = draw(plans())
    sites = tuple(replace(site, host=draw(st.sampled_from(["h", "h", None]))) for site in plan.sites)
    rules = Rules(
        health=draw(_HEALTH) if not draw(_ONE_IN_FOUR) else None,
        limits=draw(_LIMITS) if draw(_ONE_IN_FOUR) else None,
        host_caps=draw(st.sampled_from([{}, {}, {"*": 2}, {"*": 4}])),
    )
    kinds = tuple(replace(kind, slots=min(draw(st.integers(1, 3)), _most_slots(plan, kind))) for kind in plan.kinds)
    return replace(plan, sites=sites, kinds=kinds, rules=rules)


@st.composite
def gated_plans(draw: st.DrawFn) -> Plan:
    """Generate plans with failover groups and quotas, some of them with rules besides."""
    plan = draw(ruled_plans() if draw(_ONE_IN_FOUR) else plans())
    key = QuotaSettings(requests_per_min=draw(st.integers(2, 8)), tokens_per_min=draw(st.integers(10, 40)))
    sites = tuple(
        replace(site, group=draw(st.sampled_from([0, 0, 1, 2])), quota=draw(st.sampled_from(["key", "own", None])))
        for site in (replace(plan.sites[0], quota="key"), *plan.sites[1:])
    )
    if all(site.quota is None for site in sites):
        sites = (replace(sites[0], quota="key"), *sites[1:])
    amounts = st.sampled_from([None, 0, 2, 5])
    kinds = tuple(replace(kind, tokens=draw(amounts), used_tokens=draw(amounts)) for kind in plan.kinds)
    spill_after_s = draw(st.sampled_from([None, 0.0, 0.375, 2.125]))
    given = {"key": key, "own": QuotaSettings(requests_per_min=draw(st.integers(1, 6)))}
    quotas = {name: quota for name, quota in given.items() if any(site.quota == name for site in sites)}
    return replace(
        plan, sites=sites, kinds=kinds, rules=replace(plan.rules, quotas=quotas, spill_after_s=spill_after_s)
    )


def _most_slots(plan: Plan, kind: Kind) -> int:
    """Return how many slots an endpoint has that will do; a scenario that asks for more is refused."""
    return max((site.capacity for site in plan.sites if kind.labels <= site.labels), default=1)


def _site(draw: st.DrawFn, url: str, exact: _Instants) -> Site:
    return Site(
        url=url,
        capacity=draw(st.sampled_from([1, 1, 1, 2, 3])),
        weight=draw(st.sampled_from([1.0, 0.5, 2.0, 3.0])),
        labels=draw(_LABELS),
        speed=draw(st.sampled_from([1.0, 0.5, 2.0])),
        from_s=exact(draw(_WHEN)) if draw(_ONE_IN_FOUR) else 0.0,
        failing=() if draw(_ONE_IN_FOUR) else (draw(_WINDOW),),
        refuse_beyond=draw(st.sampled_from([None, None, None, 1])),
        retry_after_s=draw(st.sampled_from([None, 0.5, 3.0, 100.0])),
    )


def _kind(draw: st.DrawFn, offered: list[str]) -> Kind:
    some = st.frozensets(st.sampled_from(offered)) if offered else st.just(frozenset[str]())
    return Kind(
        labels=draw(some) if draw(_ONE_IN_FOUR) else frozenset(),
        priority=draw(st.integers(-1, 1)),
    )


def _arrivals(draw: st.DrawFn, kinds: int, exact: _Instants) -> tuple[Arrival, ...]:
    one = st.tuples(_WHEN, _WORK, st.integers(0, kinds - 1))
    # Given any size, most lists would be short, and their requests would not meet.
    size = draw(st.sampled_from([1, 4, 10, 16, 20, 22, 24, MOST_ARRIVALS]))
    drawn = draw(st.lists(one, min_size=size, max_size=size))
    found = [Arrival(exact(at), exact(work), kind) for at, work, kind in drawn]
    return tuple(sorted(found, key=lambda arrival: arrival.at_s))


def _changes(draw: st.DrawFn, site: Site, exact: _Instants) -> Iterator[Change]:
    at, state = math.ceil(site.from_s * _TICKS_PER_S), "active"
    for gap, choice in draw(st.lists(st.tuples(_GAP, st.integers(0, 3)), max_size=5)):
        at += gap
        do, state = _MOVES[state][choice % len(_MOVES[state])]
        values = _update(draw) if do == "update" else {}
        yield Change(exact(at), do, site.url, **values)


def _update(draw: st.DrawFn) -> dict[str, Any]:
    capacity, weight = draw(st.sampled_from([None, 4, 1, 2])), draw(st.sampled_from([None, 0.5, 4.0]))
    return {"capacity": capacity, "weight": 2.0 if capacity is None and weight is None else weight}
