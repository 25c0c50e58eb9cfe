"""Health, limits, host caps and kept slots around every registered strategy, whatever is done to the pool.

What must hold is written down in `rules_judge`, as plain counting.
"""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from balancer.core import Core, Waiter
from balancer.core.health import HealthWatch
from balancer.core.ledger import Ledger
from balancer.core.limits import Aimd, HostGroup
from balancer.core.rules import Rules as CoreRules
from balancer.errors import AcquireTimeout, StrategyError
from balancer.settings.rules import HealthSettings
from balancer.strategy import Node, Request, Strategy
from balancer.testing.conformance import maker_of
from tests.properties.rules_judge import Rules
from tests.properties.rules_walk import walk_by_rules
from tests.registered import MAKERS, NAMES
from tests.unit.ruled import Scan

_OTHERS = [MAKERS[name] for name in NAMES]
_SCAN = maker_of(Scan)
_SIZES = (1, 2, 3, 4, 5, 8)


def _walk(name: str, steps: int, seed: int, endpoints: int) -> None:
    walk_by_rules(MAKERS[name], steps, seed=seed, endpoints=endpoints, others=_OTHERS)


@pytest.mark.parametrize("name", NAMES)
def test_the_rules_hold_around_every_strategy(name: str) -> None:
    for seed, endpoints in enumerate(_SIZES):
        _walk(name, 500, seed, endpoints)


@pytest.mark.parametrize("name", NAMES)
def test_the_rules_hold_among_fifty_endpoints(name: str) -> None:
    _walk(name, 150, 1, 50)


@settings(max_examples=50, deadline=None, database=None)
@given(seed=st.integers(0, 2**32), endpoints=st.sampled_from(_SIZES))
def test_the_rules_hold_under_any_seed(seed: int, endpoints: int) -> None:
    walk_by_rules(_SCAN, 250, seed=seed, endpoints=endpoints)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_makes_the_same_walk(name: str) -> None:
    assert walk_by_rules(MAKERS[name], 600, seed=5) == walk_by_rules(MAKERS[name], 600, seed=5)


def test_a_walk_comes_through_every_state_and_every_end() -> None:
    health = HealthSettings(
        consecutive_failures=2, cooldown_s=1.0, max_ejected_share=0.7, panic_share=0.5, slow_start_s=1.0
    )
    walked = walk_by_rules(_SCAN, 3_000, seed=1, endpoints=5, rules=Rules(health, None, {"h0": 3, "*": 6}))
    assert walked.seen >= {"healthy", "ejected", "half_open", "slow_start", "resting", "panic"}
    assert set(walked.ends) == {"lease", "AcquireTimeout", "BalancerError", "NoEndpoint"}
    assert walked.ends["lease"] > 100
    assert walked.most_kept >= 2


# -- what is broken on purpose is found ----------------------------------------------------------------


class _IgnoresSlots(Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        return super().pick(Request(request.labels, request.exclude), now)


class _PicksWhoHasNoLimit(Scan):
    def pick(self, request: Request, now: float) -> Node | None:
        return super().pick(request, now) or next((n for n in self.nodes if not n.limit), None)


class _ForgetsTheEjected(Scan):
    """Drops a node of limit 0 for good."""

    def change(self, node: Node, now: float) -> None:
        if not node.limit and node in self.nodes:
            self.nodes.remove(node)

    def leave(self, node: Node, now: float) -> None:
        self.nodes = [other for other in self.nodes if other is not node]


def _fails(kind: type[Strategy] = Scan) -> bool:
    for seed in range(60):
        try:
            walk_by_rules(maker_of(kind), 400, seed=seed, endpoints=_SIZES[seed % len(_SIZES)])
        except (AssertionError, StrategyError, KeyError, ValueError):
            return True
    return False


@pytest.mark.parametrize("kind", [_IgnoresSlots, _PicksWhoHasNoLimit, _ForgetsTheEjected])
def test_a_strategy_that_does_not_heed_limits_is_found_out(kind: type[Strategy]) -> None:
    assert _fails(kind)


def _nothing(*args: object, **named: object) -> object:
    return ()


def _quit(core: Core, waiter: Waiter, now: float, *, timed_out: bool) -> tuple[()]:
    core._waiters.discard(waiter)
    waiter.error = AcquireTimeout(0.0, 0.0)
    return ()


_BREAKS: dict[str, tuple[object, str, Callable[..., object]]] = {
    "nobody is brought back": (HealthWatch, "_restrain", _nothing),
    "one more may be ejected": (HealthWatch, "_allowed", lambda self: len(self._records)),
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
    "the others of a host are not told": (CoreRules, "granted", _nothing),
    "one host is not told of a move": (CoreRules, "_change_host", _nothing),
    "nothing is kept": (Ledger, "keep", _nothing),
    "what is kept is never free again": (Ledger, "free_kept", lambda self, now: {}),
    "an urgent one gets nothing of what is kept": (Core, "_keep_anew", _nothing),
    "who gives up leaves slots kept": (Core, "cancel", _quit),
}


@pytest.mark.parametrize("name", _BREAKS)
def test_a_core_that_breaks_a_rule_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, attribute, broken = _BREAKS[name]
    monkeypatch.setattr(owner, attribute, broken)
    assert _fails()


def test_a_core_that_keeps_them_is_not() -> None:
    assert not _fails()
