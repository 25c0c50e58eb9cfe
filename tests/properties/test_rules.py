"""Health, limits, host caps and kept slots around every registered strategy, whatever is done to the pool.

What must hold is written down in `tests.referee.referee`; the naive model behind it counts along.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from balancer.core import Core, Waiter
from balancer.core.account import Aimd, HostGroup
from balancer.core.admission import Reservations
from balancer.core.health import HealthWatch
from balancer.core.rules import Rules
from balancer.core.waiters import WaitQueue
from balancer.endpoint import Lease
from balancer.errors import AcquireTimeout
from balancer.settings.rules import HealthSettings
from balancer.strategy import Strategy
from balancer.testing.checks import maker_of
from balancer.testing.watched import StrategyFactory
from tests.referee.draws import rules_of
from tests.referee.model_health import RulesInForce
from tests.referee.walk import Walk, random_walk
from tests.registered import MAKERS, NAMES
from tests.unit.ruled import Scan

_OTHERS = [MAKERS[name] for name in NAMES]
_SCAN = maker_of(Scan)
_SIZES = (1, 2, 3, 4, 5, 8)


def _walk(make: StrategyFactory, steps: int, seed: int, endpoints: int, **others: Any) -> Walk:
    rules = rules_of(random.Random(seed))
    return random_walk(make, steps, seed=seed, endpoints=endpoints, rules=rules, **others)


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", NAMES)
def test_the_rules_hold_around_every_strategy(name):
    for seed, endpoints in enumerate(_SIZES):
        _walk(MAKERS[name], 500, seed, endpoints, others=_OTHERS)


def test_a_walk_comes_through_every_state_and_every_end():
    health = HealthSettings(consecutive_failures=2, cooldown_s=1.0, max_ejected_share=0.7, slow_start_s=1.0)
    rules = RulesInForce(health, None, {"shared": 3, "*": 6})
    walked = random_walk(_SCAN, 3_000, seed=1, endpoints=5, rules=rules)
    assert walked.seen >= {"healthy", "ejected", "half_open", "slow_start", "resting"}
    assert set(walked.ends) == {"lease", "AcquireTimeout", "BalancerError", "NoEndpoint"}
    assert walked.ends["lease"] > 100
    assert walked.most_kept >= 2


# -- what is broken on purpose is found ----------------------------------------------------------------


def _fails(kind: type[Strategy] = Scan) -> bool:
    for seed in range(60):
        try:
            _walk(maker_of(kind), 400, seed, _SIZES[seed % len(_SIZES)])
        except AssertionError:
            return True
    return False


def _nothing(*args: object, **named: object) -> object:
    return ()


def _quit(core: Core, waiter: Waiter, now: float, *, timed_out: bool) -> tuple[()]:
    core.waiters.discard(waiter)
    waiter.error = AcquireTimeout(0.0, 0.0)
    return ()


def _too_late(core: Core, lease: Lease, now: float) -> Sequence[Waiter]:
    head = core.waiters.sole_head()
    if head is None or lease.slots > 1 or core.reservations.accounts:
        return core._serve(now)
    core._grant(head, now)
    if head.lease is None:
        return core._serve(now)
    core.waiters.discard(head)
    return [head]


_SERVE = Core._serve


def _no_new_one(core: Core, now: float, *, most: int | None = None, fresh: Waiter | None = None) -> list[Waiter]:
    return [] if fresh else _SERVE(core, now, most=most)


_BREAKS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "nobody is brought back": (HealthWatch, "_restrain", _nothing),
    "one more may be ejected": (HealthWatch, "allowed", property(lambda self: self.watched)),
    "the ejected serve on": (HealthWatch, "most", lambda self, record: 99),
    "the half open take all they can": (
        HealthWatch,
        "most",
        lambda self, record: 0 if record.state.value in ("ejected", "resting") else 99,
    ),
    "a rest is not honoured": (HealthWatch, "_rest_s", lambda self, lease, outcome: 0.0),
    "time changes nothing": (HealthWatch, "tick", lambda self, now: None),
    "limits do not move": (Aimd, "ended", lambda self, *args, **named: False),
    "hosts have no cap": (HostGroup, "free", property(lambda self: 99)),
    "the others of a host are not told": (Rules, "granted", _nothing),
    "one host is not told of a move": (Rules, "_change_host", _nothing),
    "nothing is kept": (Reservations, "keep", _nothing),
    "what is kept is never free again": (Reservations, "free", lambda self, now: {}),
    "an urgent one gets nothing of what is kept": (Core, "_serve", _no_new_one),
    "who gives up leaves slots kept": (Core, "cancel", _quit),
}


@pytest.mark.parametrize("name", _BREAKS)
def test_a_core_that_breaks_a_rule_is_found_out(name, monkeypatch):
    owner, attribute, broken = _BREAKS[name]
    monkeypatch.setattr(owner, attribute, broken)
    assert _fails()


# Without rules a lease goes the shorter way, which has mistakes of its own to make.
_SHORT_BREAKS: dict[str, tuple[object, str, object]] = {
    "the newest of a queue is served": (
        WaitQueue,
        "sole_head",
        lambda self: next(iter(reversed(list(self))), None),
    ),
    "whoever comes next overtakes": (WaitQueue, "candidates", lambda self, *asked: iter(())),
    "the head is served too late": (Core, "_hand_on", _too_late),
}


def _walk_without_rules() -> None:
    for seed in range(4):
        random_walk(_SCAN, 1_000, seed=seed, rules=RulesInForce())


def test_without_rules_the_shorter_way_is_right():
    _walk_without_rules()


@pytest.mark.parametrize("name", _SHORT_BREAKS)
def test_a_core_whose_shorter_way_is_wrong_is_found_out(name, monkeypatch):
    owner, attribute, broken = _SHORT_BREAKS[name]
    monkeypatch.setattr(owner, attribute, broken)
    with pytest.raises(AssertionError):
        _walk_without_rules()
