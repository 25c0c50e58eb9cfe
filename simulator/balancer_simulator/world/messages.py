"""Message network: delays, losses, and a receiver that handles one message after the other.

A message without delay arrives at once, in order.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import numpy as np
from simpy import Environment

from balancer_simulator.world.calendar import after
from balancer_simulator.world.streams import endless

__all__ = ["MessageNetwork", "MessageQueue"]

T = TypeVar("T")


class MessageNetwork:
    """Carries messages, each along one of several ways; those of one way stay in order.

    Args:
        env: virtual time.
        delays: seconds of each message; None: none.
        loss: share of messages that are lost.
        rng: draws the lost ones.
    """

    def __init__(
        self, env: Environment, *, delays: Iterator[float] | None, loss: float, rng: np.random.Generator
    ) -> None:
        self._env = env
        self._delays = delays
        self._loss = loss
        self._chances = endless(rng.random)
        self._last_s: dict[object, float] = {}
        self._here: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._hands_out = False
        self.sent = self.lost = 0

    def send(self, way: object, arrive: Callable[..., None], *message: object) -> None:
        """Call `arrive(*message)` when the message arrives; never if it is lost."""
        self.sent += 1
        if self._loss and next(self._chances) < self._loss:
            self.lost += 1
            return
        if self._delays is None:
            self.hand_out(arrive, *message)
            return
        now = self._env.now
        there_s = self._last_s[way] = max(self._last_s.get(way, 0.0), now + next(self._delays))
        after(self._env, there_s - now, lambda there: self.hand_out(arrive, *there), message)

    def hand_out(self, arrive: Callable[..., None], *message: object) -> None:
        """Call `arrive(*message)` after the deliveries under way, never within them."""
        self._here.append((arrive, message))
        if self._hands_out:
            return
        self._hands_out = True
        try:
            while self._here:
                act, what = self._here.popleft()
                act(*what)
        finally:
            self._hands_out = False


class MessageQueue(Generic[T]):
    """A receiver that handles one message after the other, in order of arrival, each in a fixed time.

    Args:
        env: virtual time.
        each_s: for one message.
        serve: called with a message, and the seconds from its arrival until now.

    Attributes:
        served: number of messages so far.
    """

    def __init__(self, env: Environment, each_s: float, serve: Callable[[T, float], None]) -> None:
        self._env = env
        self._each_s = each_s
        self._serve = serve
        self._line: deque[tuple[T, float]] = deque()
        self._life = 0
        self.served = 0

    @property
    def busy_s(self) -> float:
        """Seconds of work on the messages that are done."""
        return self.served * self._each_s

    def arrive(self, message: T) -> None:
        """Add `message` to the queue."""
        if not self._each_s:
            self.served += 1
            self._serve(message, 0.0)
            return
        self._line.append((message, self._env.now))
        if len(self._line) == 1:
            after(self._env, self._each_s, self._done, self._life)

    def clear(self) -> None:
        """Drop all waiting messages, and the one under way."""
        self._line.clear()
        self._life += 1

    def _done(self, life: int) -> None:
        if life != self._life:
            return
        message, came_s = self._line.popleft()
        if self._line:
            after(self._env, self._each_s, self._done, life)
        self.served += 1
        self._serve(message, self._env.now - came_s)
