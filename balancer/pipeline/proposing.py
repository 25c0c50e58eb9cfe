"""Services of a run for generators: a toolbox, and feedback.

- `Toolbox`: run programs, bring validators. Programs run in the sandbox, never here.
- `Feedback`: the results of a round, for those who propose the next inputs. Frozen data.
"""

import random
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from balancer.errors import BalancerError
from balancer.hookspecs import Generator
from balancer.judging.verdict import compiler_error
from balancer.pipeline.results.records import Answers
from balancer.plugins.registry import Registry
from balancer.problem import Origin, Problem, Proposal, Submission
from balancer.program import Execution, Program, Status
from balancer.settings.llm import LlmSettings

__all__ = [
    "AskableAgain",
    "CaseFeedback",
    "EquippedGenerator",
    "Feedback",
    "ForSomeProblems",
    "OpenedGenerator",
    "ProgramRole",
    "PutOff",
    "RunServices",
    "Toolbox",
    "UnusedInput",
    "ValidatorFeedback",
    "ended",
]

_SHOWN = 160  # characters of a program's output

ProgramRole = Literal["validator", "checker", "generator"]


@dataclass(frozen=True, slots=True)
class CaseFeedback:
    """Effects of a case.

    Attributes:
        id, origin, data: the case.
        rejected: names of the wrong submissions that it rejects.
    """

    id: int
    origin: Origin
    data: bytes
    rejected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnusedInput:
    """An input that is no case, or not yet, and why, in one line."""

    origin: Origin
    data: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What is known of a problem after some rounds.

    Attributes:
        round: number of the next round; 1 for the second.
        cases: the cases in use, with their effects.
        failed: inputs on which the reference solution fails.
        disagreed: inputs on which too few accepted submissions agree.
        refused: inputs that a validator refuses, with its message.
        complaints: errors of generator programs and the like, a line each.
        survivors: wrong submissions that no case rejects.
    """

    round: int
    cases: tuple[CaseFeedback, ...]
    failed: tuple[UnusedInput, ...]
    disagreed: tuple[UnusedInput, ...]
    refused: tuple[UnusedInput, ...]
    complaints: tuple[str, ...]
    survivors: tuple[Submission, ...]


@dataclass(frozen=True, slots=True)
class ValidatorFeedback:
    """Results of the validators in this round, for generators that propose more in the same round.

    Attributes:
        valid: valid inputs, in the order of their proposal.
        refused: inputs that a validator refuses, with its message, in the same order.
    """

    valid: tuple[UnusedInput, ...]
    refused: tuple[UnusedInput, ...]


class Toolbox(Protocol):
    """What a run offers to generators for one problem. Thread-safe."""

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        """Run `program` on some endpoint. Return (None, why) if none could."""
        ...

    def trial(self, aid: ProgramRole, program: Program) -> str:
        """Return what is wrong with a generator's validator or checker, in one line; "" if nothing.

        A validator must accept all known inputs and refuse an empty one. A checker must accept the output of every
        accepted submission on them. It must reject an empty output, nonsense, and some answer to another input.
        """
        ...

    def use(self, aid: ProgramRole, program: Program) -> None:
        """Use a validator or checker that has passed its trial, from this round on.

        A generator program is only kept.
        """
        ...

    def used(self, aid: ProgramRole) -> Program | None:
        """Return the program in use or kept, from this round or an earlier one; None if there is none."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """The languages that some endpoint runs."""
        ...

    @property
    def many_answers(self) -> bool:
        """Whether accepted submissions disagree on the known inputs, so that a checker is wanted."""
        ...

    def now(self, what: str) -> None:
        """Say what is being done for the problem. The user sees it until the next step says something else."""
        ...

    def note(self, line: str) -> None:
        """Keep a line about the problem, for the report."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait so many seconds. Raises Stopped if the run is stopped."""
        ...


@dataclass(frozen=True, slots=True)
class RunServices:
    """What a run offers to generators before its first problem.

    Attributes:
        llm: the table `[llm]`; None if there is none.
        registry: the plugins.
        outage_s: seconds for which tries go on while nothing succeeds.
        answers: those of a model so far.
        say: prints a line now.
    """

    llm: LlmSettings | None
    registry: Registry
    outage_s: float
    answers: Answers
    say: Callable[[str], object]


@runtime_checkable
class AskableAgain(Protocol):
    """A generator that can be asked for more within a round, after the validators have answered."""

    def ask_again(
        self, problem: Problem, heard: ValidatorFeedback, rng: random.Random, budget: int
    ) -> Iterable[Proposal]:
        """Yield at most `budget` inputs that were not proposed yet. `heard.refused` shows what to avoid."""
        ...


@runtime_checkable
class ForSomeProblems(Protocol):
    """A generator that has inputs for some problems only. It has no part in the batches of others."""

    def suits(self, problem: Problem) -> bool:
        """Return whether it may have inputs for `problem`."""
        ...


class PutOff(BalancerError):
    """A generator cannot propose now, for a reason outside the problem. The next session plays the round."""


@runtime_checkable
class OpenedGenerator(Protocol):
    """A generator with a setup for the whole run: opened once, closed when the run ends."""

    def open(self, services: RunServices) -> AbstractContextManager["Generator | EquippedGenerator"]: ...


@runtime_checkable
class EquippedGenerator(Protocol):
    """A generator that needs a toolbox. One is made for each problem, for all its rounds."""

    def equip(self, toolbox: Toolbox) -> Generator:
        """Return the generator for the problem of `toolbox`."""
        ...


def ended(execution: Execution) -> str:
    """Return how a program ended, with the most useful line of its standard error, if there is one."""
    lines = [line.strip() for line in execution.stderr.decode(errors="replace").splitlines() if line.strip()]
    told = compiler_error(execution) or (lines[-1][:_SHOWN] if lines else "")
    how = f"exit code {execution.exit_code}"
    if execution.exit_code is None or execution.status is not Status.FINISHED:
        how = execution.status.value.replace("_", " ")
    return f"{how}: {told}" if told else how
