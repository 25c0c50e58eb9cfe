"""The state machine of `balancer.testing` with the full referee: the fewest calls that show a mistake of the core."""

import random

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from balancer.testing.machine import URLS, StrategyMachine
from tests.referee.draws import rules_of
from tests.referee.refereed_core import RefereedCore
from tests.unit.ruled import Scan

__all__ = ["RefereedMachine"]


class RefereedMachine(StrategyMachine):
    """Any calls on a core with random rules."""

    kind = Scan

    @initialize(slots=st.lists(st.integers(1, 4), max_size=4), rules=st.integers(0, 99), seed=st.integers(0, 99))
    def begin(self, slots: list[int], rules: int, seed: int) -> None:
        """Make the pool. Its rules are drawn from a seed."""
        drawn = rules_of(random.Random(rules))
        self.open(slots, seed, RefereedCore, health=drawn.health, limits=drawn.limits, host_caps=drawn.host_caps)

    @rule(url=st.sampled_from(URLS), ok=st.booleans())
    def ping(self, url: str, ok: bool) -> None:
        """Report a ping."""
        self._settle(self._core.pinged(url, ok, self._clock()))
