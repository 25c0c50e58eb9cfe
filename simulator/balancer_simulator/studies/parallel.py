"""Parallel runs: replications over several processes, records in order.

The processes do not change the results, which depend only on the scenario, the policy and the replication's number.
"""

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Final, Self

from balancer.errors import BalancerError
from balancer.plugins.registry import Registry
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario

__all__ = ["Order", "Simulators"]

_MOST_A_CORE: Final = 4  # processes; more would only take memory
_LOOK_S: Final = 0.5  # from one look at the parent to the next
_BROKEN: Final = (
    'jobs: a process ended before its run did; in a script, put what simulates under `if __name__ == "__main__":`, '
    "because every process imports the script; or use jobs=1. Otherwise it was killed: check the memory"
)


@dataclass(frozen=True, slots=True)
class Order:
    """One run to make, and whether to keep its requests."""

    scenario: Scenario
    policy: Policy
    replication: int
    requests: bool = False


class Simulators:
    """Makes runs, in processes that stay until the end of the `with` block: the start of each takes half a second.

    Args:
        jobs: processes, at most four a core; 1: this one; None: one a core. Other processes see only installed
            strategies, so `registry` needs 1.

    Raises:
        ValueError: `jobs` is less than 1, or more than 1 with a registry of your own.
    """

    def __init__(self, jobs: int | None = 1, registry: Registry | None = None) -> None:
        cores = os.cpu_count() or 1
        jobs = cores if jobs is None else jobs
        if jobs < 1:
            raise ValueError(f"jobs is {jobs}; it must be >= 1")
        if jobs > 1 and registry is not None:
            raise ValueError(f"jobs is {jobs}, but other processes do not know a registry of your own; use jobs=1")
        self._jobs = min(jobs, _MOST_A_CORE * cores)
        self._registry = registry
        self._executor: ProcessPoolExecutor | None = None
        self._processes: list[BaseProcess] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def records(self, orders: Sequence[Order], advance: Callable[[], None] = lambda: None) -> list[Record]:
        """Return the record of each order, in order.

        They are run replication by replication, so that the runs done so far are soon a sample of all. Otherwise the
        slow policies and the high loads would come last, and the time left would be underestimated.

        Args:
            advance: called after each run.

        Raises:
            BalancerError: a process ended before its run.
        """
        turns = sorted(range(len(orders)), key=lambda number: orders[number].replication)
        found: dict[int, Record] = {}
        alone = ((turn, _run(orders[turn], self._registry)) for turn in turns)
        for turn, record in self._answers(orders, turns) if min(self._jobs, len(orders)) > 1 else alone:
            found[turn] = record
            advance()
        return [found[number] for number in range(len(orders))]

    def _answers(self, orders: Sequence[Order], turns: Sequence[int]) -> Iterator[tuple[int, Record]]:
        """Yield the number and the record of each order, from the processes."""
        if self._executor is None:
            # "spawn": a fork would copy the caller's threads in the middle of their work.
            self._executor = ProcessPoolExecutor(self._jobs, mp_context=get_context("spawn"), initializer=_begin)
        under_way: dict[Future[Record], int] = {}
        try:
            for turn in turns:
                with _signals_later():  # it may start a process
                    before = active_children()
                    under_way[self._executor.submit(_answer, orders[turn])] = turn
                    self._processes += [each for each in active_children() if each not in before]
            for future in as_completed(under_way):
                yield under_way[future], future.result()
        except BrokenProcessPool:
            self._end()
            raise BalancerError(_BROKEN) from None
        except BaseException:  # what is under way would delay the next runs
            self._end()
            raise

    def _end(self) -> None:
        """End the processes at once."""
        executor, self._executor = self._executor, None
        for process in self._processes:
            process.kill()
        self._processes.clear()
        if executor is not None:
            executor.shutdown(cancel_futures=True)


def _run(order: Order, registry: Registry | None = None) -> Record:
    return simulate_once(order.scenario, order.policy, order.replication, registry=registry, requests=order.requests)


@contextmanager
def _signals_later() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM. A process that is started meanwhile never gets them: the parent decides."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # now: it starts with the first process otherwise, and lets signals in then
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _begin() -> None:
    """Have this process end with its parent, however that ends."""
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, _end_with_parent)
        signal.setitimer(signal.ITIMER_REAL, _LOOK_S, _LOOK_S)


def _end_with_parent(number: int, frame: FrameType | None) -> None:
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


def _answer(order: Order) -> Record:
    """Return the record. An error that cannot be sent becomes one with the same text."""
    try:
        return _run(order)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            words = str(error) if isinstance(error, BalancerError) else f"{type(error).__name__}: {error}"
            raise BalancerError(words) from None
        raise
