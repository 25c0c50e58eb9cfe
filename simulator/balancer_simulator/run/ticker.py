"""Timer of the core in virtual time.

It calls `Core.tick` at the instant that the core has named, and schedules nothing while nobody waits.
"""

import math

from simpy import Environment

from balancer.core import Core
from balancer_simulator.world.calendar import after

__all__ = ["Ticker"]


class Ticker:
    """Calls `tick` when something is due for those who wait."""

    def __init__(self, env: Environment, core: Core) -> None:
        self._env = env
        self._core = core
        self._armed_s = math.inf

    def arm(self) -> None:
        """See to it that what is due next is done in time; to be called whenever that may have changed."""
        due_s = self._core.due_s
        if due_s < self._armed_s and self._core.waiting:
            self._armed_s = due_s
            after(self._env, max(0.0, due_s - self._env.now), self._ring, due_s)

    def _ring(self, due_s: float) -> None:
        if due_s != self._armed_s:
            return  # an earlier one was armed since
        self._armed_s = math.inf
        if self._env.now >= self._core.due_s:
            for waiter in self._core.tick(self._env.now):
                waiter.wake()
        self.arm()
