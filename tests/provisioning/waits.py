"""Waits on an account, with and without a warm reserve, in virtual time.

`python -m tests.provisioning.waits` plays an hour for each reserve: calls of 5 s come one a second, and each minute 8
more at once. The account allows 20 sandboxes, of which one may be made in a second; that takes 1 to 4 s.
"""

import random
import sys
from functools import partial

from balancer.core.metrics import WaitHistogram
from balancer.provisioning.fleet import FleetLimits
from tests.provisioning.world import World

__all__ = ["hour", "main"]

_CALL_S, _EACH_S, _CROWD, _CROWD_EACH_S = 5.0, 1.0, 8, 60.0


def hour(warm: int, *, idle_s: float = 30.0, for_s: float = 3600.0, seed: int = 1) -> tuple[World, float]:
    """Play an hour. Return the world, and how many sandboxes existed on average."""
    limits = FleetLimits(most=20, warm=warm, idle_s=idle_s, per_s=1.0, burst=1)
    world = World(limits, create_s=lambda rng: rng.uniform(1.0, 4.0), seed=seed)
    rng = random.Random(seed)
    existing: list[int] = []

    def come() -> None:
        world.call(rng.expovariate(1.0 / _CALL_S))
        world.later(rng.expovariate(1.0 / _EACH_S), come)

    def crowd() -> None:
        for _ in range(_CROWD):
            world.call(rng.expovariate(1.0 / _CALL_S))
        world.later(_CROWD_EACH_S, crowd)

    def look() -> None:
        existing.append(len(world.exists))
        world.later(1.0, look)

    for begin in (come, partial(world.later, _CROWD_EACH_S, crowd), look):
        begin()
    world.run(for_s)
    return world, sum(existing) / len(existing)


def main() -> None:
    """Print a table."""
    print("| warm | calls | waited | mean | p50 | p90 | p99 | max | creations | exist, mean |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for warm in (0, 2, 4, 8):
        world, existing = hour(warm)
        waits = WaitHistogram()
        for wait_s in world.waits:
            waits.add(wait_s)
        told = waits.summary(len(world.waits))
        times = " | ".join(f"{each:.2f} s" for each in (told.mean, told.p50, told.p90, told.p99, told.max))
        waited = sum(wait_s > 0 for wait_s in world.waits) / len(world.waits)
        sys.stdout.write(
            f"| {warm} | {len(world.waits)} | {waited:.1%} | {times} | {len(world.asked)} | {existing:.1f} |\n"
        )


if __name__ == "__main__":
    main()
