"""Parallel runs: replications over several processes, records in order.

The processes do not change the results, which depend only on the scenario, the policy and the replication's number.

The process pool has no threads: tasks go through pipes, and children end with their parent. This side has no thread and
no lock, so that a signal may end the caller's work at any point.
"""

import multiprocessing
import os
import pickle
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any, Final, Self

from balancer.errors import BalancerError, StrategyError
from balancer.plugins.registry import Registry
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.fields import Policy
from balancer_simulator.scenario.scenario import Scenario

__all__ = ["Order", "Simulators", "WorkerProcesses", "run_each", "run_orders"]

_MOST_A_CORE: Final = 4  # processes; more would only take memory
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_LOOK_S: Final = 0.5  # from one look at the parent to the next
_BROKEN: Final = (
    'jobs: a process ended before its run did; in a script, put what simulates under `if __name__ == "__main__":`, '
    "because every process imports the script; or use jobs=1. Otherwise it was killed: check the memory"
)


@dataclass(frozen=True, slots=True)
class Order:
    """One run to make. `spans` is how many calls to keep, `looks` how often to record the number under way."""

    scenario: Scenario
    policy: Policy
    replication: int
    spans: int = 0
    looks: int = 0


class Simulators:
    """Makes runs, in processes that stay until the end of the `with` block: the start of each takes half a second.

    Args:
        jobs: processes, at most four a core; 1: this one. Other processes see only installed strategies, so `registry`
            needs 1.

    Raises:
        ValueError: `jobs` is less than 1, or more than 1 with a registry of your own.
    """

    def __init__(self, jobs: int = 1, registry: Registry | None = None) -> None:
        if jobs < 1:
            raise ValueError(f"jobs is {jobs}; it must be >= 1")
        if jobs > 1 and registry is not None:
            raise ValueError(f"jobs is {jobs}, but other processes do not know a registry of your own; use jobs=1")
        self._jobs = min(jobs, _MOST_A_CORE * (os.cpu_count() or 1))
        self._registry = registry
        self._processes = WorkerProcesses(_run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._processes.close()

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
        jobs = min(self._jobs, len(orders))
        found: dict[int, Record] = {}
        if jobs > 1:
            with closing(self._processes.map([orders[number] for number in turns], jobs)) as answers:
                for turn, record in answers:
                    found[turns[turn]] = record
                    advance()
        else:
            for number in turns:
                found[number] = _run(orders[number], self._registry)
                advance()
        return [found[number] for number in range(len(orders))]

    def run_each(self, scenarios: Sequence[Scenario], policy: Policy) -> list[Record]:
        """Return the record of one run of each scenario. The n-th is the n-th replication, with its own random
        numbers.
        """
        return self.records([Order(scenario, policy, number) for number, scenario in enumerate(scenarios)])


def run_orders(
    orders: Sequence[Order],
    *,
    jobs: int = 1,
    registry: Registry | None = None,
    advance: Callable[[], None] = lambda: None,
) -> list[Record]:
    """Return the record of each order, in order, from processes of their own; see `Simulators`."""
    with Simulators(jobs, registry) as simulators:
        return simulators.records(orders, advance)


def run_each(scenarios: Sequence[Scenario], policy: Policy, *, jobs: int = 1) -> list[Record]:
    """Return the record of one run of each scenario, see `Simulators.run_each`."""
    with Simulators(jobs) as simulators:
        return simulators.run_each(scenarios, policy)


def _run(order: Order, registry: Registry | None = None) -> Record:
    return simulate_once(
        order.scenario, order.policy, order.replication, registry=registry, spans=order.spans, looks=order.looks
    )


class WorkerProcesses:
    """Processes that work off tasks. Each is started when it is first needed, and lives until `close`.

    Args:
        do: a function of a module; its tasks, and what it returns or raises, are pickled.
    """

    def __init__(self, do: Callable[[Any], Any]) -> None:
        self._do = do
        self._alive = ExitStack()
        self._lines: list[Connection] = []

    def close(self) -> None:
        """End the processes at once."""
        self._lines.clear()
        self._alive.close()

    def map(self, tasks: Sequence[Any], processes: int) -> Generator[tuple[int, Any], None, None]:
        """Yield the number of each task and the result of `do`, as they are done; close it to stop early.

        Raises:
            BalancerError: a process ended before its task.
            Exception: raised by `do`.
        """
        ahead = iter(enumerate(tasks))
        busy: dict[Connection, int] = {}
        try:
            for place, (number, task) in enumerate(islice(ahead, processes)):
                if place == len(self._lines):
                    self._lines.append(self._alive.enter_context(_process(self._do)))
                _send(self._lines[place], task)
                busy[self._lines[place]] = number
            while busy:
                ready = wait(list(busy))
                for line in [line for line in busy if line in ready]:
                    yield busy.pop(line), _received(line)
                    for number, task in islice(ahead, 1):
                        _send(line, task)
                        busy[line] = number
        except BaseException:  # an answer that nobody has waited for would be that of a later task
            self.close()
            raise


@contextmanager
def _process(do: Callable[[Any], Any]) -> Iterator[Any]:
    """Start a process that serves the yielded pipe. It is dead at the end of the block."""
    # "spawn": a fork would copy the caller's threads in the middle of their work.
    context = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        with _signals_later():
            ours, theirs = context.Pipe()
            stack.callback(ours.close)
            process = context.Process(target=_serve, args=(theirs, do), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
            theirs.close()  # so that the pipe ends with the process
        yield ours


def _send(line: Connection, task: Any) -> None:
    try:
        line.send(task)
    except OSError:
        raise BalancerError(_BROKEN) from None


def _received(line: Connection) -> Any:
    try:
        answer = line.recv()
    except (EOFError, OSError):
        raise BalancerError(_BROKEN) from None
    if isinstance(answer, Exception):
        raise answer
    return answer


@contextmanager
def _signals_later() -> Iterator[None]:
    """Delay SIGINT and SIGTERM until the end of the block, because a half-started process could not be ended.

    A process that is started meanwhile never gets SIGINT: a terminal sends it to all, and the parent decides.
    """
    heard: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        heard.append(number)

    before = {each: handler for each in _SIGNALS if callable(handler := signal.getsignal(each))}
    try:
        for each in before:
            signal.signal(each, note)
    except ValueError:  # not the main thread, so there are no signals
        yield
        return
    try:
        with _without_interrupts():
            yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        if heard:
            signal.raise_signal(heard[0])


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Block SIGINT for this thread and for a process that it starts; not on Windows."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # now: it starts with the first process otherwise, and unblocks SIGINT then
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _serve(line: Connection, do: Callable[[Any], Any]) -> None:
    if sys.platform != "win32":
        signal.signal(signal.SIGALRM, _end_with_parent)
        signal.setitimer(signal.ITIMER_REAL, _LOOK_S, _LOOK_S)
    with suppress(EOFError, OSError):  # the parent has ended
        while True:
            line.send(_answer(do, line.recv()))


def _answer(do: Callable[[Any], Any], task: Any) -> Any:
    try:
        return do(task)
    except Exception as error:
        return _portable(error)


def _end_with_parent(number: int, frame: FrameType | None) -> None:
    """End this process at once if its parent has ended."""
    parent = parent_process()
    if parent is not None and not parent.is_alive():
        os._exit(1)


def _portable(error: Exception) -> Exception:
    """Return `error`, with its origin; or an error with the same text, if it cannot be pickled."""
    error.add_note(traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        if isinstance(error, StrategyError):  # its text says all
            return BalancerError(str(error))
        return BalancerError(f"{type(error).__name__}: {error}")
    return error
