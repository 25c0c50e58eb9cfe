"""The interface that a call needs of a pool, and the retry budget that its calls share.

Decides nothing. It must not know how the pool chooses, nor when a call is tried again.
"""

import random
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

from balancer.core.attempt_plan import AttemptPlan
from balancer.core.budget import RetryBudget
from balancer.core.decisions import Ask
from balancer.endpoint import Lease
from balancer.settings.rules import RetrySettings
from balancer.shells.forks import notify_of_forks

__all__ = ["Leasing", "RetryContext", "SharedBudget"]


class RetryContext(Protocol):
    """What a call asks a pool, and tells it."""

    @property
    def retries(self) -> RetrySettings:
        """How retries are limited and paced."""
        ...

    @property
    def acquire_timeout_s(self) -> float:
        """How long an acquire waits unless it says otherwise, in seconds; `inf`: for ever."""
        ...

    @property
    def budget(self) -> "SharedBudget":
        """The retries that all calls over this pool share."""
        ...

    @property
    def jitter(self) -> random.Random:
        """What the pauses before retries are drawn from."""
        ...

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds; never goes back."""
        ...

    def out_of_service(self) -> frozenset[str]:
        """Return the names of the endpoints that serve nobody for a while because of their health."""
        ...

    def pinged(self, name: str, ok: bool, *, conclusive: bool = False) -> None:
        """Learn, apart from any lease, whether the endpoint answered; one that has gone does not matter."""
        ...

    def retried(self, name: str) -> None:
        """Count a call that failed at endpoint `name` and is made again."""
        ...

    def hedged(self, name: str) -> None:
        """Count a call that is slow and is made a second time, at endpoint `name`."""
        ...


class Leasing(RetryContext, Protocol):
    """What a call needs of a pool."""

    def acquire(
        self,
        timeout: float | None = None,
        *,
        labels: Iterable[str] = (),
        exclude: Iterable[str] = (),
        priority: int = 0,
        slots: int = 1,
        key: str | None = None,
        holder: str = "",
        ttl_s: float | None = None,
        tokens: int | None = None,
    ) -> Lease:
        """Take an endpoint."""
        ...

    def acquire_again(
        self,
        course: AttemptPlan,
        ask: Ask,
        *,
        labels: Iterable[str] = (),
        exclude: Iterable[str] = (),
        priority: int = 0,
        slots: int = 1,
        key: str | None = None,
        holder: str = "",
        ttl_s: float | None = None,
        tokens: int | None = None,
    ) -> Lease:
        """Take an endpoint as `course` asks, and look again as it says, at one place in the queue."""
        ...


class SharedBudget:
    """A retry budget that threads share. See `RetryBudget`.

    It reads its own clock, under its lock, so that time never goes back for it; a `now` that it is given is not used.

    Args:
        settings: ratio, rate and window.
        clock: seconds; never goes back.
    """

    def __init__(self, settings: RetrySettings, clock: Callable[[], float]) -> None:
        self._budget = RetryBudget(settings)
        self._clock = clock
        self._lock = threading.Lock()
        notify_of_forks(self)

    def forked(self, parent: int) -> None:
        """Have a lock of its own, in a forked child: another thread may have held it just then."""
        self._lock = threading.Lock()

    def attempted(self) -> None:
        """Count a first attempt."""
        with self._lock:
            self._budget.attempted(self._clock())

    def try_spend(self, now: float | None = None) -> bool:
        """Take one retry out of the budget, if there is one."""
        with self._lock:
            spent = self._budget.try_spend(self._clock())
        return spent  # noqa: RET504  # an interrupt between a call and a return in the block would leave it locked

    def wait_s(self, now: float | None = None) -> float:
        """Return in how many seconds a retry will be possible if there is no call until then; 0: now; `inf`: never."""
        with self._lock:
            left_s = self._budget.wait_s(self._clock())
        return left_s  # noqa: RET504  # see `try_spend`
