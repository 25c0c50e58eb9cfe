"""What settings of health cost and save under patterns of failure.

    python -m tests.simulation.failure_patterns      # half a minute; prints the table

Three sound endpoints and a bad one, a slot each; calls of 0.3 s; callers that never pause: 12, or fewer than slots.
"""

from collections.abc import Sequence
from statistics import fmean

from balancer_simulator import Closed, EndpointModel, Policy, Requests, Scenario, simulate_once
from balancer_simulator.scenario.distributions import Deterministic
from balancer_simulator.scenario.endpoints import CrashRepair, FailWithin, Fault

from balancer.settings.rules import HealthSettings, RetrySettings

__all__ = ["PATTERNS", "cost"]

HORIZON_S, CALL_S, SOUND = 600.0, 0.3, 3


def _flaps(up_s: float, down_s: float) -> list[Fault]:
    spells, at_s = [], up_s
    while at_s < HORIZON_S:
        spells.append(FailWithin(from_s=at_s, to_s=at_s + down_s, after_s=0.01))
        at_s += up_s + down_s
    return [*spells]


PATTERNS: dict[str, tuple[list[Fault], float]] = {
    "up 2 s, down 1 s": (_flaps(2.0, 1.0), 2 / 3),
    "up 4 s, down 2 s": (_flaps(4.0, 2.0), 2 / 3),
    "up 8 s, down 4 s": (_flaps(8.0, 4.0), 2 / 3),
    "up 60 s, down 15 s": (_flaps(60.0, 15.0), 4 / 5),
    "up 120 s, down 60 s": (_flaps(120.0, 60.0), 2 / 3),
    "crashes, 60 s and 15 s on average": ([CrashRepair(mtbf_s=60.0, mttr_s=15.0)], 4 / 5),
    "down for 300 s, once": ([FailWithin(from_s=100.0, to_s=400.0, after_s=0.01)], 1 / 2),
    "dead, fails in 10 ms": ([FailWithin(after_s=0.01)], 0.0),
    "dead, each call hangs for 5 s": ([FailWithin(after_s=5.0)], 0.0),
    "fails 60% of its calls in 10 ms": ([FailWithin(probability=0.6, after_s=0.01)], 0.0),
    "fails 60% of its calls, slowly": ([FailWithin(probability=0.6)], 0.0),
    "fails 90% of its calls in 10 ms": ([FailWithin(probability=0.9, after_s=0.01)], 0.0),
}
"""What is wrong with the bad endpoint, and the part of the time that counts as up in the bound."""


def cost(
    pattern: str, health: HealthSettings | None, *, callers: int = 12, seeds: Sequence[int] = (1, 2, 3)
) -> tuple[float, float]:
    """Return the time by the bound, and the part of all calls that fail."""
    faults, up = PATTERNS[pattern]
    scenario = Scenario(
        workload=Closed(workers=callers),
        work=Deterministic(mean_s=CALL_S),
        endpoints=[
            EndpointModel(url=f"http://sound-{{1..{SOUND}}}/"),
            EndpointModel(url="http://bad/", faults=faults),
        ],
        requests=Requests(attempts=5),
        retries=RetrySettings(budget_ratio=10.0),
        horizon_s=HORIZON_S,
        health=health,
    )
    records = [simulate_once(scenario.changed(seed=seed), Policy(strategy="least_in_flight")) for seed in seeds]
    bound = (SOUND + up) * HORIZON_S / CALL_S
    return fmean(bound / r.completed for r in records), fmean(r.metrics["failed_calls"] for r in records)


def main() -> None:
    """Print the table."""
    tried = {"default": HealthSettings(), "off": None}
    print("| the bad endpoint | time by the bound | lost | lost, 3 callers | lost without health |")
    print("|---|---|---|---|---|")
    for pattern in PATTERNS:
        took, lost = cost(pattern, tried["default"])
        (_, calm), (_, off) = cost(pattern, tried["default"], callers=3), cost(pattern, tried["off"])
        print(f"| {pattern} | {took:.2f} | {lost:.1%} | {calm:.1%} | {off:.1%} |", flush=True)


if __name__ == "__main__":
    main()
