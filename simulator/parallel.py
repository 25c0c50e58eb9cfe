"""Runs replications, over several processes if asked, and hands them back in the order they were asked for.

Decides where a replication runs, never what comes out: that depends on the scenario, the policy and the
replication's number alone. It must not know what is done with the records.
"""

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from balancer.plugins import Registry
from simulator.engine import simulate_once
from simulator.record import Record
from simulator.scenario import Policy, Scenario

__all__ = ["Order", "run_orders"]


@dataclass(frozen=True, slots=True)
class Order:
    """One run to be made; `spans` is how many calls to keep."""

    scenario: Scenario
    policy: Policy
    replication: int
    spans: int = 0


def run_orders(
    orders: Sequence[Order], *, jobs: int, registry: Registry | None, advance: Callable[[], None]
) -> list[Record]:
    """Return the record of each order, in order.

    Args:
        jobs: processes; 1: this one. Others see only strategies that are installed, so `registry` needs 1.
        advance: called whenever a run has ended.

    Raises:
        ValueError: `jobs` is less than 1, or more than 1 with a registry of your own.
    """
    if jobs < 1:
        raise ValueError(f"jobs is {jobs}; it must be >= 1")
    if jobs > 1 and registry is not None:
        raise ValueError(f"jobs is {jobs}, but other processes do not know a registry of your own; use jobs=1")
    if min(jobs, len(orders)) > 1:
        return _in_processes(orders, min(jobs, len(orders)), advance)
    records = []
    for order in orders:
        records.append(_run(order, registry))
        advance()
    return records


def _run(order: Order, registry: Registry | None = None) -> Record:
    return simulate_once(order.scenario, order.policy, order.replication, registry=registry, spans=order.spans)


def _in_processes(orders: Sequence[Order], jobs: int, advance: Callable[[], None]) -> list[Record]:
    # "spawn": a fork would copy whatever threads the caller has in the middle of what they do.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_ignore_interrupts) as executor:
        try:
            futures = [executor.submit(_run, order) for order in orders]
            for future in as_completed(futures):
                future.result()
                advance()
        except BaseException:  # ctrl-C, or a run that failed: the others are of no use any more
            executor.shutdown(wait=False, cancel_futures=True)
            for process in multiprocessing.active_children():
                process.terminate()
            raise
    return [future.result() for future in futures]


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl-C goes to all; the parent decides
