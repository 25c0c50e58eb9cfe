"""Comparison of a core's figures with the naive model's, between two calls.

Every difference is an AssertionError with one line: what was found and what was expected.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import isclose

from balancer.core import Core
from balancer.core.account import OUT, stands
from balancer.core.metrics import EndpointStats, WaitHistogram, WaitStats, figures_of
from balancer.strategy import Node
from tests.referee.doubles import RecordingStrategy
from tests.referee.model import ModelEndpoint, ModelPool, ModelWaiter

__all__ = [
    "check_counters",
    "check_holders",
    "check_kept",
    "check_kinds",
    "check_share",
    "check_short",
    "check_table",
    "check_time",
    "check_told",
    "check_weights",
    "kept_before",
]

_ELSEWHERE = {"limit", "ejections", "capacity", "weight"}  # the model has these in other places
_COUNTED = [name for name, each in figures_of(EndpointStats).items() if each.at and name not in _ELSEWHERE]

Counters = tuple[list[EndpointStats], dict[str, int], WaitHistogram]


def kept_before(model: ModelPool, waiter: ModelWaiter, keepers: Mapping[str, ModelWaiter]) -> list[str]:
    """Return the names of endpoints that are kept for others before `waiter`.

    With fair shares these are all that are kept for others: who is before whom changes with time, and what is kept
    stays kept until the next hand-off.
    """
    if model.rules.holders is not None:
        return [name for name, keeper in keepers.items() if keeper is not waiter]
    return [name for name, keeper in keepers.items() if keeper.claim < waiter.claim]


def check_holders(core: Core, model: ModelPool, now: float) -> None:
    """Check the figures of holders, if they have fair shares."""
    if model.rules.holders is None:
        return
    found = {each.name: each for each in core.holders(now)}
    for name in {*found, *(name for name, holder in model.shares.items() if holder.leases)}:
        each, holder = found.get(name), model.holder(name)
        assert each is not None, f"the holder {name!r} is not listed"
        seen = each.in_flight, each.waiting, each.leases, each.calls, each.tokens
        slots = sum(slots for _, slots in model.out_of(name))
        expected = slots, model.waits_of(name), holder.leases, holder.calls, holder.tokens
        assert seen == expected, f"the figures of the holder {name!r} are {seen}, not {expected}"
        busy_s = model.busy_of(name, now)
        assert _near(each.busy_s, busy_s), f"the holder {name!r} has had {each.busy_s} slot-seconds, not {busy_s}"
        waited_s = each.wait_s.mean * each.leases
        assert _near(waited_s, holder.waited_s), f"the holder {name!r} has waited {waited_s} s, not {holder.waited_s}"


def check_counters(found: Counters, model: ModelPool, keepers: Mapping[str, ModelWaiter], now: float) -> None:
    """Check the figures of `Pool.stats`."""
    endpoints, totals, waits = found
    expected = {name: getattr(model, name) for name in totals}
    assert totals == expected, f"the totals are {totals}, not {expected}"
    _check_endpoints(endpoints, model, keepers, now)
    _check_waits(waits.summary(model.acquired), model)


def check_kinds(core: Core) -> None:
    """Check that what is counted by kind of endpoint is what a count from nothing finds."""
    found, accounts = core.ledger.kinds, core.ledger.active()
    kinds = Counter((each.kind, stands(each)) for each in accounts)
    counted = Counter({(kind, why): many for kind in found for why, many in kind.counts.items() if many})
    assert counted == kinds, f"by kind {counted} are counted, not {kinds}"
    for each in accounts:
        spec, kind = each.endpoint, each.kind
        assert kind, f"{spec.name} is of no kind"
        assert (kind.labels, kind.capacity, kind.group) == (spec.labels, spec.capacity, spec.group)
        if core.admission.any:
            is_free = each.in_flight < each.limit
            assert (each in kind.free) is is_free, f"{spec.name} is not noted as it is"
            assert each.meter is None or (each in each.meter.free) is is_free, f"{spec.name} is not noted as it is"
    out = {each.endpoint.name for each in accounts if stands(each) in OUT}
    assert found.out_of_service() == out, f"{set(found.out_of_service())} are out of service, not {out}"


def check_table(core: Core, model: ModelPool, now: float) -> None:
    """Check the rows of `Pool.leases`."""
    rows, expected = core.leases(now), model.table(now)
    found = [(row.id, row.endpoint, row.holder, row.age_s, row.slots) for row in rows]
    assert found == expected, f"the leases that are out are {found}, not {expected}"


def check_kept(
    model: ModelPool,
    heads: Sequence[ModelWaiter],
    keepers: Mapping[str, ModelWaiter],
    short: Mapping[str, ModelWaiter],
    now: float,
) -> None:
    """Check that each of `heads` who needs several slots has an endpoint kept, if one could be.

    A reach that grows with time is checked when something is due.
    """
    for waiter in heads:
        if waiter.request.slots > 1 and waiter not in keepers.values() and not model.is_full(waiter.request):
            for endpoint in model.reach(waiter.request, waiter.since_s, now):
                name = endpoint.spec.name
                could = model.ceiling(endpoint) and name not in kept_before(model, waiter, short)
                assert not could or name in keepers, f"nothing is reserved for {waiter}, although {name} could be"


def check_short(
    model: ModelPool,
    heads: Sequence[ModelWaiter],
    keepers: Mapping[str, ModelWaiter],
    short: Mapping[str, ModelWaiter],
    now: float,
) -> None:
    """Check that each of `heads` who lacks only room in a quota has a quota kept, against use by others."""
    for waiter in heads:
        late = now >= waiter.deadline_s
        if waiter.request.slots > 1 or waiter in short.values() or late or model.is_full(waiter.request):
            continue
        for endpoint in model.reach(waiter.request, waiter.since_s, now):
            name = endpoint.spec.name
            idle = model.limit(endpoint) > endpoint.in_flight and name not in kept_before(model, waiter, keepers)
            kept = name in kept_before(model, waiter, short)
            assert not idle or kept, f"no quota is reserved for {waiter}, although it lacks only that of {name}"


def check_share(model: ModelPool) -> None:
    """Check that no more endpoints are ejected than allowed, and never all."""
    health = model.rules.health
    if health is None:
        return
    out, active = model.ejected
    small = active in (2, 3) and health.max_ejected_share > 0 and out <= 1
    share_kept = out * 1000 <= round(health.max_ejected_share * 1000) * active
    assert small or share_kept, f"{out} of {active} are ejected; a share of {health.max_ejected_share} may be"
    assert out < active or not out, "all endpoints are ejected"


def check_time(model: ModelPool, now: float) -> None:
    """Check, when nothing is due, that no state lasts longer than it may."""
    over = model.over(now)
    assert not over, f"lease {over[0]} has expired, but is still out"
    health = model.rules.health
    for endpoint in model.endpoints if health else ():
        standing = endpoint.standing
        late = endpoint.state == "active" and health is not None and now > standing.due_back_s(health)
        assert not late, f"{endpoint.spec.name} is {standing.health} since {standing.since_s}; now it is {now}"


def check_told(core: Core, model: ModelPool) -> None:
    """Check that the strategy knows the state of every node, and that each node has the right slots."""
    strategy = core.ledger.strategy
    assert isinstance(strategy, RecordingStrategy), "the reference check wraps every strategy"
    stand: dict[Node, tuple[int, int, float]] = {
        account.node: (account.ceiling, account.limit, account.weight) for account in core.ledger.active()
    }
    for node, told in strategy.told.items():
        assert stand.get(node) == told, f"the strategy heard {told} of {node!r}, but the state is {stand.get(node)}"
    assert len(stand) == len(strategy.told), f"the strategy knows {len(strategy.told)} nodes of {len(stand)}"
    for endpoint in model.endpoints:
        ceiling = core.ledger.account(endpoint.spec.name).ceiling
        expected = model.ceiling(endpoint)
        assert ceiling == expected, f"{endpoint.spec.name}: the ceiling is {ceiling}, not {expected}"


def check_weights(core: Core, model: ModelPool, now: float) -> None:
    """Check, when nothing is due, that each endpoint has the right weight, which is less in slow start."""
    for endpoint in model.endpoints:
        if endpoint.state == "active":
            least, most = endpoint.standing.ramp(model.rules.health, now)
            part = core.ledger.account(endpoint.spec.name).weight / endpoint.spec.weight
            right = least - 1e-6 <= part <= most + 1e-6
            assert right, f"{endpoint.spec.name} has {part:g} of its weight, not {least:g} to {most:g}"


def _check_endpoints(
    found: Sequence[EndpointStats], model: ModelPool, keepers: Mapping[str, ModelWaiter], now: float
) -> None:
    names, expected = [stats.name for stats in found], [endpoint.spec.name for endpoint in model.endpoints]
    assert names == expected, f"the endpoints listed are {names}, not {expected}"
    leases = sum(endpoint.leases for endpoint in model.endpoints) or 1
    for stats, endpoint in zip(found, model.endpoints, strict=True):
        limit = model.limit(endpoint)
        if endpoint.spec.name in keepers:
            limit = min(limit, endpoint.in_flight)
        _check_endpoint(stats, endpoint, limit, leases, now)


def _check_endpoint(stats: EndpointStats, expected: ModelEndpoint, limit: int, leases: int, now: float) -> None:
    spec, standing = expected.spec, expected.standing
    wanted = replace(
        stats,  # what the model has no word for: reasons, and seconds, which are compared below
        **{name: getattr(expected, name) for name in _COUNTED},
        url=spec.url,
        name=spec.name,
        state=expected.state,
        limit=limit,
        share=expected.leases / leases,
        capacity=spec.capacity,
        weight=spec.weight,
        health=standing.health,
        ejections=standing.ejections,
    )
    assert stats == wanted, f"{spec.name}: {_differences(stats, wanted)}"
    is_out, back_in_s = standing.health in ("ejected", "resting"), stats.back_in_s
    assert bool(stats.why_out) is (is_out or standing.health == "half_open"), (
        f"{spec.name}: {stats.why_out!r} is why it is out"
    )
    right = back_in_s is not None and back_in_s >= 0 if is_out else back_in_s is None
    assert right, f"{spec.name}: is {standing.health!r}, and comes back in {back_in_s} s"
    for name, seconds, due_s in (
        ("busy_s", stats.busy_s, expected.busy_s(now)),
        ("out_s", stats.out_s, expected.idle_s(now)),
    ):
        assert _near(seconds, due_s), f"{spec.name}: {name} is {seconds}, not {due_s}"
        assert seconds >= 0, f"{spec.name}: {name} is {seconds}; it cannot be negative"


def _differences(stats: EndpointStats, wanted: EndpointStats) -> str:
    found, right = asdict(stats), asdict(wanted)
    return ", ".join(f"{name} is {found[name]!r}, not {right[name]!r}" for name in found if found[name] != right[name])


def _check_waits(summary: WaitStats, model: ModelPool) -> None:
    assert _near(summary.mean * model.acquired, model.waited_s), f"the mean wait is {summary.mean}"
    longest_s = model.longest_wait_s
    assert summary.max == longest_s, f"the longest wait is {summary.max}, not {longest_s}"


def _near(found: float, expected: float) -> bool:
    # Both add instants of thousands or millions of seconds, whose last bit is up to 1e-10 s:
    # a walk of 100 000 steps with a random error of that size each strays by 3e-8 s.
    return isclose(found, expected, rel_tol=1e-9, abs_tol=1e-6)
