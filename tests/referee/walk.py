"""Random walk over all calls on a pool, compared with the naive model at every step.

Each call that a walk can make stands in one table: `_CALLS`. `tests.referee.machine` finds the fewest calls that fail.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from balancer.endpoint import Outcome
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
        seen: states of health, and "panic".
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
    draws = Draws(rng, urls_of(endpoints), rules)
    specs = [draws.spec(url) for url in draws.urls]
    reference = ReferenceCheck(make, specs, max_waiters=_MAX_WAITERS, rules=rules, seed=seed)
    names = [name for name in _CALLS if name != "used" or rules.quotas]
    moves = rng.choices(names, [_CALLS[name].often for name in names], k=steps)
    try:
        for step, name in enumerate(moves):
            _move(reference, draws, name, (make, *others))
            if step % thorough_every == 0:
                reference.check()
        reference.finish()
    except Exception as error:
        raise AssertionError(f"seed {seed}, {endpoints} endpoints, {rules}: {error!r}") from error
    seen = frozenset(reference.model.seen)
    return Walk(Counter(moves), tuple(reference.grants), reference.ends(), seen, reference.most_kept)


def _move(reference: ReferenceCheck, draws: Draws, name: str, makers: Sequence[StrategyFactory]) -> None:
    """Make one call; nothing if its object does not exist now."""
    if name == "set_strategy":
        reference.set_strategy(makers[draws.index(len(makers))])
        return
    move, about = getattr(reference, name), _ABOUT.get(name)
    if about is None:
        move(**_CALLS[name].arguments(draws, None))
    elif those := about(reference):
        chosen = those[draws.index(len(those))]
        move(chosen, **_CALLS[name].arguments(draws, chosen))


_ABOUT: dict[str, Callable[[ReferenceCheck], Sequence[Any]]] = {
    "release": lambda reference: reference.out,
    "release_by_id": lambda reference: reference.out,
    "used": lambda reference: reference.out,
    "release_again": lambda reference: reference.ended,
    "cancel": lambda reference: reference.waiting,
    "amend": lambda reference: reference.waiting,
}


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of call: its weight in a walk, and the arguments of one about an object (a lease, a waiter)."""

    often: int
    arguments: Callable[[Draws, Any], Mapping[str, Any]] = lambda draws, about: {}


# There are slightly more acquires than releases, so that there is nearly always a waiter. Most additions are refused,
# as the endpoint is there, so they must come more often than removals.
_CALLS: Final = {
    "acquire": _Kind(
        400,
        lambda draws, _: {
            "request": draws.request(),
            "timeout_s": draws.one_of(TIMEOUTS_S),
            "priority": draws.one_of((0, 0, 0, 1, -2, 3)),
        },
    ),
    "release": _Kind(320, lambda draws, lease: draws.ending(lease.endpoint.url)),
    "release_by_id": _Kind(20, lambda draws, _: {"outcome": draws.one_of(tuple(Outcome))}),
    "release_again": _Kind(10),
    "release_foreign": _Kind(10),
    "used": _Kind(80, lambda draws, _: {"tokens": draws.one_of((0, 1, 2, 5, 12, 30))}),
    "amend": _Kind(30, lambda draws, _: {"request": draws.request()}),
    "cancel": _Kind(20),
    "pass_time": _Kind(
        110, lambda draws, _: {"seconds": draws.one_of(PAUSES_S), "late": draws.one_of((True, False, False))}
    ),
    "time_out": _Kind(60),
    "ping": _Kind(
        20,
        lambda draws, _: {
            "name": draws.url(),
            "ok": draws.one_of((True, True, False)),
            "conclusive": draws.one_of((True, False, False)),
        },
    ),
    "add": _Kind(80, lambda draws, _: {"spec": draws.spec(draws.url())}),
    "update": _Kind(40, lambda draws, _: draws.change()),
    "drain": _Kind(12, lambda draws, _: {"url": draws.url()}),
    "remove": _Kind(12, lambda draws, _: {"url": draws.url()}),
    "set_strategy": _Kind(2),
}
