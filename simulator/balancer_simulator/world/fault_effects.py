"""Fault effects: what the faults of an endpoint do to a call that begins now.

Decides from the time and a random number; it must not know what a call is, nor schedule anything.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from balancer_simulator.scenario.faults import CrashRepair, FailWithin, FastFail, Fault, SlowWithin, Warmup

__all__ = ["Effect", "FaultEffects"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens to a call: it takes `factor` times as long; it fails; or it fails after `quick_s`, without work."""

    factor: float = 1.0
    fails: bool = False
    quick_s: float | None = None


_FINE = Effect()


class FaultEffects:
    """The faults of one endpoint, at work.

    Attributes:
        down: how many of its crashes are not repaired yet.
        since_s: when it last came up.
    """

    def __init__(self, faults: Iterable[Fault], rng: random.Random, since_s: float) -> None:
        self._rng = rng
        self._slow: list[SlowWithin] = []
        self._warm: list[Warmup] = []
        self._quick: list[FastFail] = []
        self._fail: list[FailWithin] = []
        self.crashes: list[CrashRepair] = []
        for fault in faults:
            self._sort(fault)
        self.down = 0
        self.since_s = since_s

    def _sort(self, fault: Fault) -> None:
        match fault:
            case SlowWithin():
                self._slow.append(fault)
            case Warmup():
                self._warm.append(fault)
            case FastFail():
                self._quick.append(fault)
            case FailWithin():
                self._fail.append(fault)
            case CrashRepair():
                self.crashes.append(fault)

    def on_call(self, now: float) -> Effect:
        """Return what becomes of a call that begins at `now`."""
        if self.down:
            return Effect(fails=True, quick_s=min(crash.refuse_s for crash in self.crashes))
        for quick in self._quick:
            if quick.from_s <= now < quick.to_s and self._rng.random() < quick.probability:
                return Effect(fails=True, quick_s=quick.after_s)
        factor, fails = self._factor(now), self._fails(now)
        return Effect(factor, fails) if fails or factor != 1.0 else _FINE

    def _factor(self, now: float) -> float:
        factor = 1.0
        for slow in self._slow:
            if slow.from_s <= now < slow.to_s:
                factor *= slow.factor
        for warm in self._warm:
            left = max(0.0, 1 - (now - self.since_s) / warm.window_s)
            factor *= 1 + (warm.factor - 1) * left
        return factor

    def _fails(self, now: float) -> bool:
        # Each fault draws once for every call in its time, whatever the others say: the draws stay in step.
        struck = [self._rng.random() < fault.probability for fault in self._fail if fault.from_s <= now < fault.to_s]
        return any(struck)
