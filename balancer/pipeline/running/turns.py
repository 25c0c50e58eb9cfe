"""Turns of problems: all are judged, some at a time, each within its time budget.

Decides the order, how many problems are in memory (those at work, and the next one), and what the next session must do.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeVar

from balancer.errors import BalancerError, PackageError
from balancer.judging.runner import Runner, Stopped
from balancer.pipeline.progress import Progress
from balancer.pipeline.results.run_result import settle
from balancer.pipeline.results.store import Store
from balancer.pipeline.running.problem_source import ProblemSource
from balancer.problem import Problem

__all__ = ["ProblemTurns", "WorkersLost", "work_through"]

Item = TypeVar("Item")

_LOOK_S = 0.2  # short waits, so that the main thread handles signals


class WorkersLost(BalancerError):
    """The workers of a problem died repeatedly. The next session judges it."""


@dataclass(slots=True)
class ProblemTurns:
    """The turns of all problems of a run in this session.

    Args:
        source: the problems.
        judge: takes a problem, which has its data, through its rounds. Raises Stopped, or WorkersLost: not now.
        at_once: problems judged at once.
        store: knows the result and the time of each.
        progress: counts those that are over.
        runner: is stopped if one fails.
    """

    source: ProblemSource
    judge: Callable[[Problem], object]
    at_once: int
    store: Store
    progress: Progress
    runner: Runner
    lost: bool = field(default=False, init=False)

    def take_all(self) -> bool:
        """Judge all problems. Return whether all were judged to their end."""
        complete = self._judge_all(self.source.problems())
        while complete and (again := self.store.withdraw()):  # an endpoint that lied had a part in these
            complete = self._judge_all(each for each in self.source.problems() if each[0].id in again)
        self.store.withdraw()  # the run was stopped: the next session judges them
        return complete and not self.lost

    def _judge_all(self, problems: Iterator[tuple[Problem, bool]]) -> bool:
        return work_through(self._counted(problems), self._take, self.at_once, self.runner)

    def _counted(self, problems: Iterator[tuple[Problem, bool]]) -> Iterator[tuple[Problem, bool]]:
        """Yield the problems, and tell the progress how many there are: rows may turn out to be left out."""
        for each in problems:
            self.progress.expect(self.source.count)
            yield each
        self.progress.expect(self.source.count)

    def _take(self, sourced: tuple[Problem, bool]) -> None:
        problem, done = sourced
        if done:
            self.progress.finish(problem.id)
            return
        try:
            problem = self.source.whole(problem)
        except PackageError as error:
            self._put_off(problem, "; ".join(error.problems))
            return
        try:
            self.judge(problem)
        except WorkersLost as error:
            self._put_off(problem, str(error))
        settle(self.store, problem)

    def _put_off(self, problem: Problem, why: str) -> None:
        self.store.of(problem.id).put_off(why)
        self.progress.put_off(problem.id)
        self.progress.say(f"{problem.id} is left for the next session: {why}")
        self.lost = True


# -- many at once --------------------------------------------------------------------------------------


def work_through(items: Iterator[Item], act: Callable[[Item], None], workers: int, runner: Runner) -> bool:
    """Call `act` for every item, `workers` at a time, in threads. Return False if the run was stopped.

    The first error stops the others, and is raised.
    """
    threads = ThreadPoolExecutor(workers, thread_name_prefix="sample")
    busy: set[Future[None]] = set()
    errors: list[BaseException] = []
    all_taken = False
    try:
        for item in items:
            while len(busy) >= workers and not (errors or runner.stopping):
                busy = _ended(busy, errors)
            if errors or runner.stopping:
                break
            busy.add(threads.submit(act, item))
        else:
            all_taken = True
        while busy and not errors:
            busy = _ended(busy, errors)
    except BaseException as error:
        errors.insert(0, error)
    if any(not isinstance(error, Stopped) for error in errors):
        runner.stop()
    threads.shutdown(wait=True, cancel_futures=True)
    errors += [why for each in busy if not each.cancelled() and (why := each.exception())]
    for why in errors:
        if not isinstance(why, Stopped):
            raise why
    return all_taken and not errors


def _ended(busy: set[Future[None]], errors: list[BaseException]) -> set[Future[None]]:
    """Wait briefly for some to end. Add their errors to `errors`, and return those still running."""
    done, rest = wait(busy, timeout=_LOOK_S, return_when=FIRST_COMPLETED)
    errors += [error for each in done if (error := each.exception())]
    return rest
