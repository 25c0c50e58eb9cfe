"""Output validator check: whether a problem's own can judge at all, once it has ended oddly.

Decides when it cannot: if it does not compile, or says nothing of any known answer. Then nothing of the problem can be
judged, which is told at once. It must not know submissions.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from balancer.errors import BalancerError
from balancer.judging.judgements import VALIDATOR_LIMITS
from balancer.judging.runner import ProgramRun, Runner
from balancer.judging.verdict import checker_files, checker_odd, checker_program
from balancer.pipeline.proposing.toolbox import ended
from balancer.pipeline.results.run_result import RunStage
from balancer.pipeline.results.store import Store
from balancer.pipeline.round.checking import compile_words
from balancer.problem import Checker, Problem
from balancer.program import Execution, Status

__all__ = ["CannotJudge", "CheckerTrial"]

_PROBES = 3  # known answers that it is shown


class CannotJudge(BalancerError):
    """Nothing of a problem can be judged, for its output validator does not work."""


@dataclass(slots=True)
class CheckerTrial:
    """The trial of the output validator of one problem. Thread-safe.

    Args:
        problem: with its own data.
        runner: runs the validator.
        store: remembers what a person must know first of all.
        say: is told of it at once.
    """

    problem: Problem
    runner: Runner
    store: Store
    say: Callable[[str], object]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _works: bool = False
    _why: str = ""

    def hold(self, checker: Checker, first: Execution) -> None:
        """Try a validator whose run ended oddly, as `first` says, unless it was tried.

        Raises:
            CannotJudge: it cannot judge.
        """
        with self._lock:
            if not self._works and not self._why:
                self._why = self._wrong(checker, first)
                self._works = not self._why
                if self._why:
                    line = f"nothing can be judged: the output validator {_name(checker)}: {self._why}"
                    self.store.judges.add_trouble(self.problem.id, line)
                    self.say(f"{self.problem.id}: {line}")
            if self._why:
                raise CannotJudge(self._why)

    def _wrong(self, checker: Checker, first: Execution) -> str:
        program = checker_program(checker)
        known = [case for case in self.problem.data if case.answer is not None][:_PROBES]
        ends = [first]
        for case in known:
            assert program is not None
            assert case.answer is not None
            ran = self.runner.run_twice(
                ProgramRun(program, case.answer, VALIDATOR_LIMITS, self.problem.id, RunStage.REFERENCE, program.name, 0,
                           checker_files(case.data, case.answer), odd=checker_odd)
            )  # fmt: skip
            if ran.execution is None or not checker_odd(ran.execution):
                return ""
            ends.append(ran.execution)
        if all(end.status is Status.COMPILE_ERROR for end in ends):
            return compile_words(first)
        return f"it says nothing of any known answer that it was tried on ({len(known)}): {ended(ends[-1])}" * bool(
            known
        )


def _name(checker: Checker) -> str:
    return checker.program.name if checker.program else "-"
