"""Random walk over all calls on a pool, compared with the naive model at every step.

Each call that a walk can make stands in one table: `_CALLS`.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from balancer.core import Waiter
from balancer.endpoint import Lease, Outcome
from balancer.testing.watched import StrategyFactory
from tests.referee.draws import FULL_HOSTS, PAUSES_S, TIMEOUTS_S, Draws, urls_of
from tests.referee.model_health import RulesInForce
from tests.referee.reference_check import ReferenceCheck

__all__ = ["Walk", "random_walk"]

_MAX_WAITERS: Final = 12


@dataclass(frozen=True, slots=True)
class Walk:
    """Result of a walk.

    Attributes:
        moves: how often each move was made.
        grants: the name of every endpoint that was leased, in order.
        ends: how many waits ended in which way, by the name of the error or "lease".
        seen: states of health.
        most_kept: the most endpoints kept at once.
    """

    moves: Counter[str]
    grants: tuple[str, ...]
    ends: Counter[str]
    seen: frozenset[str]
    most_kept: int


def random_walk(
    make: StrategyFactory,
    steps: int,
    *,
    seed: int,
    endpoints: int = 6,
    rules: RulesInForce = FULL_HOSTS,
    others: Sequence[StrategyFactory] = (),
    thorough_every: int = 1,
) -> Walk:
    """Take `steps` random steps with the strategy that `make` makes, then return all leases.

    Args:
        make: makes the strategy under test.
        steps: number of calls.
        seed: of the walk and of the strategy; the same seed makes the same walk.
        endpoints: number of URLs; nearly all of them are in service nearly always.
        rules: in force; by default two hosts that are full with two leases, and no health.
        others: strategies that take over for a while, to test a live change.
        thorough_every: compare all counters each time after this many steps; the waiters are checked at every step.

    Raises:
        AssertionError: core and model disagree, or a call failed. The message says how, and the seed.
    """
    rng = random.Random(seed)
    draws = Draws(rng, urls_of(endpoints), rules, (make, *others))
    specs = [draws.spec(url) for url in draws.urls]
    reference = ReferenceCheck(make, specs, max_waiters=_MAX_WAITERS, rules=rules, seed=seed)
    names = [name for name in _CALLS if name != "used" or rules.quotas]
    moves = rng.choices(names, [_CALLS[name][0] for name in names], k=steps)
    try:
        for step, name in enumerate(moves):
            _move(reference, draws, name)
            if step % thorough_every == 0:
                reference.check()
        reference.finish()
    except Exception as error:
        raise AssertionError(f"seed {seed}, {endpoints} endpoints, {rules}: {error!r}") from error
    seen = frozenset(reference.model.seen)
    return Walk(Counter(moves), tuple(reference.grants), reference.ends(), seen, reference.most_kept)


def _move(check: ReferenceCheck, draws: Draws, name: str) -> None:
    """Make one call; nothing if its object does not exist now."""
    _, about, act = _CALLS[name]
    those = about(check) if about else (None,)
    if those:
        act(check, draws, those[draws.index(len(those))] if about else None)


_Act = Callable[[ReferenceCheck, Draws, Any], object]
_About = Callable[[ReferenceCheck], Sequence[Any]]


def _out(check: ReferenceCheck) -> Sequence[Lease]:
    return check.out


def _ended(check: ReferenceCheck) -> Sequence[Lease]:
    return check.ended


def _waiting(check: ReferenceCheck) -> Sequence[Waiter]:
    return check.waiting


def _acquire(check: ReferenceCheck, draws: Draws, _: None) -> None:
    request, timeout_s = draws.request(), draws.one_of(TIMEOUTS_S)
    check.acquire(request, timeout_s=timeout_s, priority=draws.one_of((0, 0, 0, 1, -2, 3)))


def _ping(check: ReferenceCheck, draws: Draws, _: None) -> None:
    name, ok = draws.url(), draws.one_of((True, True, False))
    check.core.pinged(name, ok, check.clock(), conclusive=draws.one_of((True, False, False)))


# How often each comes, what it is about, and the call. There are slightly more acquires than releases, so that there is
# nearly always a waiter. Most additions are refused, as the endpoint is there, so they must come more often than
# removals.
_CALLS: Final[dict[str, tuple[int, _About | None, _Act]]] = {
    "acquire": (400, None, _acquire),
    "release": (320, _out, lambda check, draws, lease: check.release(lease, **draws.ending(lease.endpoint.url))),
    "release_by_id": (20, _out, lambda check, draws, lease: check.release_by_id(lease, draws.one_of(tuple(Outcome)))),
    "release_again": (10, _ended, lambda check, _, lease: check.call("release", lease, Outcome.FAILURE)),
    "release_foreign": (10, None, lambda check, draws, _: check.release_foreign()),
    "used": (80, _out, lambda check, draws, lease: check.call("used", lease, draws.one_of((0, 1, 2, 5, 12, 30)))),
    "amend": (30, _waiting, lambda check, draws, waiter: check.call("amend", waiter, draws.request())),
    "cancel": (20, _waiting, lambda check, draws, waiter: check.cancel(waiter)),
    "pass_time": (
        110,
        None,
        lambda check, draws, _: check.pass_time(draws.one_of(PAUSES_S), late=draws.one_of((True, False, False))),
    ),
    "time_out": (60, None, lambda check, draws, _: check.time_out()),
    "ping": (20, None, _ping),
    "add": (80, None, lambda check, draws, _: check.add(draws.spec(draws.url()))),
    "update": (40, None, lambda check, draws, _: check.update(**draws.change())),
    "drain": (12, None, lambda check, draws, _: check.drain(draws.url())),
    "remove": (12, None, lambda check, draws, _: check.call("remove", draws.url())),
    "set_strategy": (2, None, lambda check, draws, _: check.call("set_strategy", draws.strategy())),
}
