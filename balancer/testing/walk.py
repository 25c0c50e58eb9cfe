"""Random walk over all calls on a pool, compared with the naive model at every step.

It needs only the standard library, and is fast enough for 100 000 steps. `balancer.testing.conformance` takes many
short walks, and shortens one that fails. Each call that a walk can make stands in one table: `_CALLS`.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from balancer.endpoint import Outcome
from balancer.testing.call_sequence import Call, CallSequence, SequencePlayer, counterexample, words_of
from balancer.testing.draws import FULL_HOSTS, PAUSES_S, TIMEOUTS_S, Draws, urls_of
from balancer.testing.model_health import RulesInForce
from balancer.testing.referee import GrantRule
from balancer.testing.reference_check import StrategyFactory

__all__ = ["FULL_HOSTS", "Walk", "Walker", "random_walk", "short_walk"]

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

    @property
    def handed_off(self) -> int:
        """How many leases went to waiters."""
        return self.ends["lease"]

    @property
    def timed_out(self) -> int:
        """How many waits ended by their deadline."""
        return self.ends["AcquireTimeout"]


def random_walk(
    make: StrategyFactory,
    steps: int,
    *,
    seed: int,
    endpoints: int = 6,
    rules: RulesInForce = FULL_HOSTS,
    others: Sequence[StrategyFactory] = (),
    law: GrantRule | None = None,
    thorough_every: int = 1,
    shorten: bool = True,
) -> Walk:
    """Take `steps` random steps with the strategy that `make` makes.

    Args:
        make: makes the strategy under test.
        steps: number of calls.
        seed: of the walk and of the strategy; the same seed makes the same walk.
        endpoints: number of URLs; nearly all of them are in service nearly always.
        rules: in force; by default two hosts that are full with two leases, and no health.
        others: strategies that take over for a while, to test a live change.
        law: a further rule for each grant, see `GrantRule`.
        thorough_every: compare all counters each time after this many steps; the waiters are checked at every step.
        shorten: when it fails, look for the fewest calls that do; a second or more.

    Raises:
        AssertionError: core and model disagree, or a call failed. The message says how, and the seed. Then it has the
            fewest calls that were found, one a line, and their error.
    """
    rng = random.Random(seed)
    draws = Draws(rng, urls_of(endpoints), rules)
    start = CallSequence(tuple(map(draws.spec, draws.urls)), _MAX_WAITERS, seed, rules=rules)
    walker = Walker(SequencePlayer((make, *others), law), start, draws)
    names = [*_PLAIN, "used"] if rules.quotas else _PLAIN
    moves = rng.choices(names, [_CALLS[name].often for name in names], k=steps)
    try:
        walker.walk(moves, thorough_every)
    except Exception as error:
        shown = counterexample(walker.player, walker.taken, error) if shorten else []
        raise AssertionError("\n".join([f"seed {seed}, {endpoints} endpoints: {words_of(error)}", *shown])) from error
    reference = walker.reference
    seen = frozenset(reference.model.seen)
    return Walk(Counter(moves), tuple(reference.grants), reference.ends(), seen, reference.most_kept)


def short_walk(player: SequencePlayer, rng: random.Random, steps: int) -> "tuple[Walker, list[str]]":
    """Return a walker among at most four endpoints, and the names of the calls that it should make: about `steps`.

    Each makes only some kinds of calls: otherwise effects that take many of one kind would be rare (swarm testing).
    """
    draws = Draws(rng, urls_of(4), FULL_HOSTS)
    specs = tuple(draws.spec(url) for url in draws.urls[: draws.one_of(range(5))])
    start = CallSequence(specs, draws.one_of((None, None, 3, 0)), rng.randrange(2**16))
    kinds = draws.one_of(range(1, len(_PLAIN) + 1))
    some = ["acquire", "acquire", "release", *rng.sample(_PLAIN, kinds)]
    names = rng.choices(some, k=rng.randint(steps // 2, steps))
    if draws.one_of((True, False)):  # a closed pool does little more, so it is closed late or not at all
        names += ["close", *rng.choices(some, k=rng.randrange(6))]
    return Walker(player, start, draws), names


class Walker:
    """Takes steps: each is one call, drawn in the present state of the pool.

    Args:
        player: makes the calls.
        start: the pool.
        draws: the arguments of the calls.

    Attributes:
        player: as given.
        reference: the pool, and its model.
    """

    def __init__(self, player: SequencePlayer, start: CallSequence, draws: Draws) -> None:
        self.player = player
        self.reference = player.open(start)
        self._start = start
        self._draws = draws
        self._calls: list[Call] = []

    @property
    def taken(self) -> CallSequence:
        """The pool, and the calls so far."""
        return replace(self._start, calls=tuple(self._calls))

    def walk(self, names: Iterable[str], thorough_every: int = 1) -> None:
        """Make calls of these names, then return all leases and check that nothing was lost."""
        for step, name in enumerate(names):
            self._step(name)
            if step % thorough_every == 0:
                self.reference.check()
        self.reference.finish()

    def _step(self, name: str) -> None:
        about, which, chosen = self.player.about(self.reference, name), None, None
        if about is not None:
            if not about:
                return
            which = self._draws.index(len(about))
            chosen = about[which]
        call = Call(name, which, _CALLS[name].arguments(self._draws, chosen))
        self._calls.append(call)
        self.player.play(self.reference, call)


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
    "close": _Kind(0),
}
_PLAIN: Final = [name for name in _CALLS if name not in ("used", "close")]
