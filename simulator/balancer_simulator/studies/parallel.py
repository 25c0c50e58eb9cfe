"""Parallel runs: replications over several processes, records in order.

Decides where a replication runs, never what comes out: that depends on the scenario, the policy and the
replication's number alone. It must not know what is done with the records.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from balancer.plugins.registry import Registry
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.policy import Policy
from balancer_simulator.scenario.scenario import Scenario
from balancer_simulator.studies.processes import map_in_processes

__all__ = ["Order", "run_each", "run_orders"]

_MOST_A_CORE: Final = 4  # processes; more would only take memory


@dataclass(frozen=True, slots=True)
class Order:
    """One run to be made; `spans` is how many calls to keep, `looks` how often to look how many are under way."""

    scenario: Scenario
    policy: Policy
    replication: int
    spans: int = 0
    looks: int = 0


def run_orders(
    orders: Sequence[Order],
    *,
    jobs: int = 1,
    registry: Registry | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Record]:
    """Return the record of each order, in order.

    They are run replication by replication, so that what has been run is soon a sample of all there is: the slow
    policies and the high loads would else come last, and the time that is left would be taken for too short.

    Args:
        jobs: processes, of which no more than four a core are used; 1: this one. Others see only strategies that are
            installed, so `registry` needs 1.
        advance: called whenever a run has ended.

    Raises:
        ValueError: `jobs` is less than 1, or more than 1 with a registry of your own.
        BalancerError: a process came to an end before its run did.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; it must be >= 1")
    if jobs > 1 and registry is not None:
        raise ValueError(f"jobs is {jobs}, but other processes do not know a registry of your own; use jobs=1")
    jobs = min(jobs, len(orders), _MOST_A_CORE * (os.cpu_count() or 1))
    turns = sorted(range(len(orders)), key=lambda number: orders[number].replication)
    found: dict[int, Record] = {}
    if jobs > 1:
        with closing(map_in_processes([orders[number] for number in turns], _run, processes=jobs)) as answers:
            for turn, record in answers:
                found[turns[turn]] = record
                advance()
    else:
        for number in turns:
            found[number] = _run(orders[number], registry)
            advance()
    return [found[number] for number in range(len(orders))]


def run_each(scenarios: Sequence[Scenario], policy: Policy, *, jobs: int = 1) -> list[Record]:
    """Return the record of one run of each scenario; the n-th is the n-th replication, so that chance differs."""
    return run_orders([Order(scenario, policy, number) for number, scenario in enumerate(scenarios)], jobs=jobs)


def _run(order: Order, registry: Registry | None = None) -> Record:
    return simulate_once(
        order.scenario, order.policy, order.replication, registry=registry, spans=order.spans, looks=order.looks
    )
