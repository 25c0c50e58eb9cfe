"""Turns of problems: all are judged, some at a time, each within its time budget, and some again.

Decides the order, how many problems are in memory (those at work, and the next one), who gets the time that others
leave, and what the next session must do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol, TypeVar

from balancer.errors import BalancerError, PackageError
from balancer.judging.runner import Runner, Stopped
from balancer.pipeline.progress import Progress
from balancer.pipeline.results.collect import settle
from balancer.pipeline.results.store import Store
from balancer.pipeline.running.problem_source import ProblemSource, SourcedProblem
from balancer.problem import Problem

__all__ = [
    "ProblemJudge",
    "ProblemTurns",
    "Spending",
    "Turn",
    "WorkersLost",
    "further_turns",
    "next_allowances",
    "work_through",
]

Item = TypeVar("Item")
Turn = tuple[Problem, float | None]  # a problem, and the seconds on made-up inputs after which it must stop

_LOOK_S = 0.2  # short waits, so that the main thread handles signals
_MOST_TURNS = 10
_LEAST_S = 1.0  # a smaller share is not worth another turn


class WorkersLost(BalancerError):
    """The workers of a problem died repeatedly. The next session judges it."""


class ProblemJudge(Protocol):
    """Judges problems, e.g. in this process.

    Attributes:
        at_once: problems judged at once.
    """

    at_once: int

    def judge(self, problem: Problem, allowed_s: float | None) -> bool:
        """Take a problem through its rounds. Return whether it is hungry: more time might kill a survivor.

        Args:
            problem: with its data.
            allowed_s: see `Sample`.

        Raises:
            Stopped: the run was stopped.
            WorkersLost: it cannot be judged now.
        """
        ...


class ProblemTurns:
    """The turns of all problems of a run in this session.

    Args:
        source: the problems.
        judge: judges them.
        store: knows the result and the time of each.
        progress: counts those that are over.
        runner: is stopped if one fails.
        budget_s: seconds for made-up inputs, of each problem; 0: no limit.
    """

    def __init__(
        self,
        source: ProblemSource,
        judge: ProblemJudge,
        store: Store,
        progress: Progress,
        runner: Runner,
        budget_s: float,
    ) -> None:
        self._source = source
        self._judge = judge
        self._store = store
        self._progress = progress
        self._runner = runner
        self._budget_s = budget_s
        self._hungry: dict[str, bool] = {}
        self._lost = False

    def take_all(self) -> bool:
        """Judge all problems. Return whether all were judged to their end."""
        complete = self._first_turns(self._source.problems())
        if complete and self._budget_s:
            complete = further_turns(
                self._budget_s, self._source.known, self._hungry, self._store,
                lambda turns: work_through(turns, self._take, self._judge.at_once, self._runner),
            )  # fmt: skip
        while complete and (again := self._store.withdraw()):  # an endpoint that lied had a part in these
            complete = self._first_turns(each for each in self._source.problems() if each.problem.id in again)
        self._store.withdraw()  # the run was stopped: the next session judges them
        return complete and not self._lost

    def _first_turns(self, problems: Iterator[SourcedProblem]) -> bool:
        return work_through(self._counted(problems), self._take_first, self._judge.at_once, self._runner)

    def _counted(self, problems: Iterator[SourcedProblem]) -> Iterator[SourcedProblem]:
        """Yield the problems, and tell the progress how many there are: rows may turn out to be left out."""
        for each in problems:
            self._progress.expect(self._source.count)
            yield each
        self._progress.expect(self._source.count)

    def _take_first(self, sourced: SourcedProblem) -> None:
        if sourced.done:
            self._progress.finish(sourced.problem.id)
        else:
            self._take((sourced.problem, self._budget_s or None))

    def _take(self, turn: Turn) -> None:
        problem, allowed_s = turn
        try:
            problem = self._source.whole(problem)
        except PackageError as error:
            self._put_off(problem, "; ".join(error.problems))
            return
        try:
            self._hungry[problem.id] = self._judge.judge(problem, allowed_s)
        except WorkersLost as error:
            self._hungry[problem.id] = False
            self._put_off(problem, str(error))
        settle(self._store, problem)

    def _put_off(self, problem: Problem, why: str) -> None:
        self._store.of(problem.id).put_off(why)
        self._progress.put_off(problem.id)
        self._progress.say(f"{problem.id} is left for the next session: {why}")
        self._lost = True


# -- time budgets ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Spending:
    """Time that a problem has spent, and whether it is hungry: more time might kill a survivor."""

    spent_s: float
    hungry: bool


def further_turns(
    budget_s: float,
    problems: Sequence[Problem],
    hungry: Mapping[str, bool],
    store: Store,
    work: Callable[[Iterator[Turn]], bool],
) -> bool:
    """Give further turns while there is time left and a hungry problem.

    Args:
        budget_s: of each problem.
        problems: all of them, after their first turn.
        hungry: by id, whether a problem's time ended too soon; `work` updates it.
        store: knows the time that each has spent.
        work: works on some of them; returns False if the run was stopped.

    Returns:
        False if the run was stopped.
    """
    for _ in range(_MOST_TURNS):
        spendings = {each.id: Spending(store.of(each.id).spent_s, hungry.get(each.id, False)) for each in problems}
        allowed = next_allowances(budget_s, spendings)
        if not allowed:
            return True
        if not work((each, allowed[each.id]) for each in problems if each.id in allowed):
            return False
    return True


def next_allowances(budget_s: float, spendings: Mapping[str, Spending]) -> dict[str, float]:
    """Return how many seconds each hungry problem may have spent after its next turn, by name.

    The rest of all budgets together is shared equally among the hungry ones. Returns nothing if the share is too small,
    or if none is hungry.
    """
    hungry = [name for name, each in spendings.items() if each.hungry]
    left_s = budget_s * len(spendings) - sum(each.spent_s for each in spendings.values())
    if not hungry or left_s / len(hungry) < _LEAST_S:
        return {}
    return {name: spendings[name].spent_s + left_s / len(hungry) for name in hungry}


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
