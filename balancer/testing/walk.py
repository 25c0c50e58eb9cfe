"""A long random walk over all that can be done to a pool, held against the naive model at every step.

Decides which calls come how often. It needs nothing but the standard library, and is fast enough for
100 000 steps; for a short counterexample use `balancer.testing.conformance`, which shrinks.
"""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from balancer.endpoint import Endpoint, Outcome, Terms
from balancer.strategy import ANY, Request
from balancer.testing.referee import Law
from balancer.testing.shadow import Maker, Shadow

__all__ = ["HOST_CAPS", "URLS", "Walk", "random_walk"]

URLS = tuple(f"http://10.0.0.{number}/" for number in range(1, 7))
HOST_CAPS = {"10.0.0.4": 2, "shared": 2}
_LABELS = (frozenset[str](), frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"}))
_OUTCOMES = (*[Outcome.SUCCESS] * 5, *Outcome)
_WEIGHTS = (0.25, 1.0, 1.0, 1.0, 2.0, 3.0)
_TERMS = (Terms("slow", 40.0), Terms("quick", 0.5), Terms(ttl_s=3.0), Terms("forgetful", leak_after_s=1.0))
_PAUSES_S = (0.001, 0.05, 0.5, 3.0, 40.0)


@dataclass(frozen=True, slots=True)
class Walk:
    """What a walk did: how often each move was made, and the URL of every lease in order."""

    moves: Counter[str]
    grants: tuple[str, ...]
    handed_off: int
    timed_out: int


def random_walk(
    make: Maker,
    steps: int,
    *,
    seed: int,
    others: Sequence[Maker] = (),
    law: Law | None = None,
    thorough_every: int = 1,
) -> Walk:
    """Take `steps` random steps with the strategy that `make` makes.

    Args:
        make: makes the strategy under test.
        steps: how many calls to make.
        seed: of the walk and of the strategy; the same seed makes the same walk.
        others: strategies that take over for a while, to test a live change.
        law: what more must hold of each grant, see `Law`.
        thorough_every: compare every counter at each so many steps; what a call did to the waiters
            is checked at every step.

    Raises:
        AssertionError: core and model disagree; says how.
    """
    walker = _Walker(make, seed, others, law)
    names, weights = zip(*_MOVES.items(), strict=True)
    moves: Counter[str] = Counter()
    for step, name in enumerate(walker.random.choices(names, [often for often, _ in weights], k=steps)):
        _MOVES[name][1](walker)
        moves[name] += 1
        if step % thorough_every == 0:
            walker.shadow.check()
    walker.shadow.finish()
    model = walker.shadow.model
    return Walk(moves, tuple(walker.shadow.grants), model.handed_off, model.timed_out)


class _Walker:
    """One method for each move; each draws its own arguments."""

    def __init__(self, make: Maker, seed: int, others: Sequence[Maker], law: Law | None) -> None:
        self.random = random.Random(seed)
        self._makers = (make, *others)
        specs = [self._spec(url) for url in URLS[:3]]
        self.shadow = Shadow(make, specs, max_waiters=20, host_caps=HOST_CAPS, seed=seed, law=law)

    def acquire(self) -> None:
        timeout_s = self.random.choice((0.0, 0.01, 1.0, 30.0, float("inf")))
        priority = self.random.choice((0, 0, 0, 1, -2, 3))
        self.shadow.acquire(self._request(), timeout_s=timeout_s, priority=priority)

    def release(self) -> None:
        if self.shadow.out:
            self.shadow.release(self.random.choice(self.shadow.out), self.random.choice(_OUTCOMES))

    def release_by_id(self) -> None:
        if self.shadow.out:
            self.shadow.release_by_id(self.random.choice(self.shadow.out), self.random.choice(_OUTCOMES))

    def release_wrongly(self) -> None:
        self.shadow.release_foreign()
        if self.shadow.ended:
            self.shadow.release_again(self.random.choice(self.shadow.ended[-50:]))

    def amend(self) -> None:
        if self.shadow.waiting:
            self.shadow.amend(self.random.choice(self.shadow.waiting), self._request())

    def cancel(self) -> None:
        if self.shadow.waiting:
            self.shadow.cancel(self.random.choice(self.shadow.waiting))

    def pass_time(self) -> None:
        self.shadow.pass_time(self.random.choice(_PAUSES_S))

    def time_out(self) -> None:
        self.shadow.time_out()

    def add(self) -> None:
        self.shadow.add(self._spec(self.random.choice(URLS)))

    def update_capacity(self) -> None:
        self.shadow.update(self.random.choice(URLS), capacity=self.random.randint(1, 4))

    def update_weight(self) -> None:
        self.shadow.update(self.random.choice(URLS), weight=self.random.choice(_WEIGHTS))

    def update_labels(self) -> None:
        self.shadow.update(self.random.choice(URLS), labels=self.random.choice(_LABELS))

    def drain(self) -> None:
        self.shadow.drain(self.random.choice(URLS))

    def remove(self) -> None:
        self.shadow.remove(self.random.choice(URLS))

    def set_strategy(self) -> None:
        self.shadow.set_strategy(self.random.choice(self._makers))

    def _request(self) -> Request:
        if self.random.random() < 0.6:
            return ANY
        terms = self.random.choice((None, None, *_TERMS))
        exclude = self.random.sample(URLS, self.random.randint(0, 2))
        slots, key = self.random.choice((1, 1, 1, 2, 3, 4)), self.random.choice((None, "k", "l"))
        return Request(self.random.choice(_LABELS), frozenset(exclude), slots, key, terms)

    def _spec(self, url: str) -> Endpoint:
        return Endpoint(
            url,
            capacity=self.random.randint(1, 4),
            weight=self.random.choice(_WEIGHTS),
            labels=self.random.choice(_LABELS),
            host=self.random.choice((None, None, "shared")),
        )


# How often each move comes, out of the sum of all. There are slightly more acquires than releases, so that
# somebody waits nearly always; most additions are refused, as the endpoint is there, so they must
# come more often than those that take one away.
_MOVES: dict[str, tuple[int, Callable[[_Walker], None]]] = {
    "acquire": (400, _Walker.acquire),
    "release": (310, _Walker.release),
    "release_by_id": (20, _Walker.release_by_id),
    "release_wrongly": (20, _Walker.release_wrongly),
    "amend": (30, _Walker.amend),
    "cancel": (20, _Walker.cancel),
    "pass_time": (100, _Walker.pass_time),
    "time_out": (30, _Walker.time_out),
    "add": (80, _Walker.add),
    "update_capacity": (20, _Walker.update_capacity),
    "update_weight": (10, _Walker.update_weight),
    "update_labels": (10, _Walker.update_labels),
    "drain": (15, _Walker.drain),
    "remove": (15, _Walker.remove),
    "set_strategy": (2, _Walker.set_strategy),
}
