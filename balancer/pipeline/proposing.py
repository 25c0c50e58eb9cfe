"""What proposes inputs may use of a run: a toolbox, feedback, and the budget of a model.

Toolbox of a generator: run programs, compare submissions, remember answers, bring validators. It decides nothing: it is
what a run promises to such a generator. Programs run in the sandbox, never here.

Feedback: what a round has shown, for those who propose the next inputs. Plain frozen data; it decides nothing.

Model budget: tokens, money and time, of a row and of the whole run. Decides before each call whether it may be made.
What a call will use is not known before, so a call sets aside what it can use at the most, and gives back the rest.
"""

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Literal, Protocol, TypeVar, runtime_checkable

from balancer.errors import BalancerError
from balancer.hookspecs import Generator
from balancer.plugins.registry import Registry
from balancer.problem import Origin, Problem, Proposal, Submission
from balancer.program import Execution, Program, Status
from balancer.settings.llm import LlmBudget, LlmPrices, LlmSettings
from balancer.settings.pipeline import AimSettings

__all__ = [
    "AnswerStore",
    "AskableAgain",
    "CaseFeedback",
    "Comparer",
    "EquippedGenerator",
    "Feedback",
    "ModelAccount",
    "NoBudget",
    "OpenedGenerator",
    "ProgramRole",
    "PutOff",
    "RunServices",
    "StoredAnswer",
    "TokenUsage",
    "Toolbox",
    "UnusedInput",
    "ValidatorFeedback",
    "ended",
]

Item = TypeVar("Item")
_SHOWN = 160  # characters of what a program printed

ProgramRole = Literal["validator", "checker", "generator"]


class NoBudget(Exception):
    """The budget does not allow another call; one line says which part of it."""


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What a call used, or may use.

    Attributes:
        asked, answered: tokens of the question and of the answer.
        cost: money.
        seconds: until the answer was there.
    """

    asked: int = 0
    answered: int = 0
    cost: float = 0.0
    seconds: float = 0.0

    @property
    def tokens(self) -> int:
        """Tokens in all."""
        return self.asked + self.answered

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            self.asked + other.asked,
            self.answered + other.answered,
            self.cost + other.cost,
            self.seconds + other.seconds,
        )


class ModelAccount:
    """What has been used and set aside, of each row and of all together.

    Args:
        budget: the caps.
        prices: what tokens cost.
        before: row -> what earlier sessions of the run used for it.
    """

    def __init__(self, budget: LlmBudget, prices: LlmPrices, before: dict[str, TokenUsage] | None = None) -> None:
        self._budget = budget
        self._prices = prices
        self._changed = threading.Condition()
        self._rows: defaultdict[str, TokenUsage] = defaultdict(TokenUsage, before or {})
        self._all = sum((before or {}).values(), TokenUsage())
        self._aside: dict[int, tuple[str, TokenUsage]] = {}  # what calls under way may use at the most
        self._numbers = count()

    @contextmanager
    def reserve(self, row: str, asked: int, answered: int) -> Iterator["Reserved"]:
        """Set aside what a call may use at the most; after the block only what `Reserved.settle` was told is booked.

        A call that would fit if those under way used nothing waits until it is known what they used. A cap on seconds
        stops calls from beginning; one that has begun is let end.

        Raises:
            NoBudget: a cap does not allow it.
        """
        number, most = next(self._numbers), TokenUsage(asked, answered, self._prices.cost(asked, answered))
        with self._changed:
            while not self._fits(row, most):
                self._changed.wait()
            self._aside[number] = row, most
        reserved = Reserved(self._prices)
        try:
            yield reserved
        finally:
            with self._changed:
                del self._aside[number]
                self._rows[row] += reserved.used
                self._all += reserved.used
                self._changed.notify_all()

    def used(self, row: str | None = None) -> TokenUsage:
        """Return what `row`, or the whole run, has used; a call under way counts when it has ended."""
        with self._changed:
            return self._all if row is None else self._rows[row]

    def _fits(self, row: str, most: TokenUsage) -> bool:
        """Return whether a call fits beside those under way. Raises NoBudget if it never will."""
        others = [(of, aside) for of, aside in self._aside.values()]
        row_aside = sum((aside for of, aside in others if of == row), TokenUsage())
        all_aside = sum((aside for _, aside in others), TokenUsage())
        return self._fit("row_", self._rows[row], row_aside, most) and self._fit("", self._all, all_aside, most)

    def _fit(self, prefix: str, used: TokenUsage, aside: TokenUsage, most: TokenUsage) -> bool:
        budget, fits = self._budget, True
        for name in ("tokens", "cost"):
            cap: float | None = getattr(budget, prefix + name)
            if cap is not None:
                then = getattr(used, name) + getattr(most, name)
                if then > cap:
                    raise _no_budget(prefix + name, cap)
                fits = fits and then + getattr(aside, name) <= cap
        seconds: float | None = getattr(budget, f"{prefix}seconds")
        if seconds is not None and used.seconds >= seconds:
            raise _no_budget(f"{prefix}seconds", seconds)
        return fits


def _no_budget(name: str, cap: float) -> NoBudget:
    return NoBudget(f"[llm.budget] {name} = {cap:g} allows no further question")


class Reserved:
    """What one call has set aside. Attribute `used`: what it really used."""

    def __init__(self, prices: LlmPrices) -> None:
        self._prices = prices
        self.used = TokenUsage()

    def settle(self, asked: int, answered: int, seconds: float) -> TokenUsage:
        """Say what the call used; calls of one reservation add up."""
        self.used += TokenUsage(asked, answered, self._prices.cost(asked, answered), seconds)
        return self.used


@dataclass(frozen=True, slots=True)
class CaseFeedback:
    """What a case did.

    Attributes:
        id, origin, data: the case.
        rejected, let_live: names of the wrong submissions that it rejects, and of those that pass it.
        time_s: seconds that the slowest right solution took for it.
        survivor_s: seconds that the slowest of the wrong ones that pass it took.
    """

    id: int
    origin: Origin
    data: bytes
    rejected: tuple[str, ...]
    let_live: tuple[str, ...]
    time_s: float = 0.0
    survivor_s: float = 0.0


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
        round: the number of the round to come, 1 for the second.
        cases: those that are used, with what they did.
        failed: inputs on which the reference solution does not end well.
        disagreed: inputs on which too few right solutions agree.
        refused: inputs that a validator refuses, with its words.
        complaints: what went wrong with generator programs and the like, a line each.
        survivors: wrong submissions that no case rejects.
        limit_s: seconds that a run may take.
    """

    round: int
    cases: tuple[CaseFeedback, ...]
    failed: tuple[UnusedInput, ...]
    disagreed: tuple[UnusedInput, ...]
    refused: tuple[UnusedInput, ...]
    complaints: tuple[str, ...]
    survivors: tuple[Submission, ...]
    limit_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ValidatorFeedback:
    """What the validators have said of a round's inputs so far, for those who propose more of them in the same round.

    Attributes:
        valid: inputs that are valid, in the order in which they were proposed.
        refused: inputs that a validator refuses, with its words, likewise.
    """

    valid: tuple[UnusedInput, ...]
    refused: tuple[UnusedInput, ...]


class Comparer(Protocol):
    """Compares submissions on inputs that are thrown away afterwards. Thread-safe; the calls may raise Stopped.

    What it says is a hint, not a verdict: where many inputs share one run of a program, one may spoil the next.
    """

    @property
    def runs(self) -> int:
        """Inputs that programs were run on so far."""
        ...

    @property
    def accepted(self) -> Sequence[Submission]:
        """The right solutions that are not left out, the reference solution first."""
        ...

    @property
    def limit_s(self) -> float:
        """CPU seconds that a submission may take."""
        ...

    def answers(self, submission: Submission, inputs: Sequence[bytes]) -> list[Execution | None]:
        """Run a submission on small inputs, many at once, a second of CPU time for each; None: nothing is known."""
        ...

    def measured(self, submission: Submission, data: bytes) -> Execution | None:
        """Run a submission on one input as it would be judged, within the problem's limits."""
        ...

    def valid(self, inputs: Sequence[bytes]) -> list[bool | None]:
        """Say of each input whether all validators accept it; None: nothing is known."""
        ...

    def right(self, outputs: Sequence[tuple[bytes, Execution, bytes]]) -> list[bool | None]:
        """Say of each (input, what a submission did on it, answer) whether it would be accepted; None: not known."""
        ...

    def each(self, act: Callable[[Item], None], items: Iterable[Item]) -> None:
        """Do `act` for every item, some at a time; the first failure is raised."""
        ...


class Toolbox(Protocol):
    """What a run offers while it works on one problem. Thread-safe."""

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        """Run `program` somewhere; None and why if no endpoint could."""
        ...

    def trial(self, aid: ProgramRole, program: Program) -> str:
        """Return what is wrong with a validator or a checker of the generator's, in one line; "": nothing.

        A validator must accept all known inputs and refuse an empty one. A checker must accept what every right
        solution prints on them, and reject an empty output, one that is no answer, and some answer to another input.
        """
        ...

    def use(self, aid: ProgramRole, program: Program) -> None:
        """Let the run use a validator or a checker that has passed its trial, from this round on; keep a generator."""
        ...

    def used(self, aid: ProgramRole) -> Program | None:
        """Return the program that is used, or kept, from this round or an earlier one."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """The languages that some endpoint runs."""
        ...

    @property
    def comparer(self) -> Comparer:
        """Compares the problem's submissions."""
        ...

    @property
    def aim(self) -> AimSettings:
        """How long the generators that aim may search: `[pipeline.aim]`."""
        ...

    @property
    def many_answers(self) -> bool:
        """Whether right solutions disagree on the known inputs: then a checker is wanted."""
        ...

    def note(self, line: str) -> None:
        """Tell people one line, which is kept with the problem."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait, unless the run is told to stop: then Stopped is raised, which ends the work for now."""
        ...


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it is kept: what was said, by which model to which version of the prompts, and what it took."""

    model: str
    prompts: str
    text: str | None
    refusal: str | None
    cut: bool
    used: TokenUsage


class AnswerStore(Protocol):
    """Where answers are kept, so that a run that was killed does not pay twice."""

    def recall(self, key: str) -> StoredAnswer | None:
        """Return the answer that is kept under `key`."""
        ...

    def remember(self, key: str, row: str, round: int, attempt: int, answer: StoredAnswer) -> None:
        """Keep an answer; it is durable when this returns."""
        ...

    def used(self) -> dict[str, TokenUsage]:
        """Return what was used so far, by problem."""
        ...


class RunServices(Protocol):
    """What a run offers before its first problem."""

    @property
    def llm(self) -> LlmSettings | None:
        """The table `[llm]`, if there is one."""
        ...

    @property
    def registry(self) -> Registry:
        """The plugins."""
        ...

    @property
    def answers(self) -> AnswerStore:
        """Where answers are kept."""
        ...

    def say(self, line: str) -> None:
        """Tell people one line, now."""
        ...


@runtime_checkable
class AskableAgain(Protocol):
    """A generator that can be asked for more within a round, once the validators have answered."""

    def ask_again(
        self, problem: Problem, heard: ValidatorFeedback, rng: random.Random, budget: int
    ) -> Iterable[Proposal]:
        """Yield at most `budget` inputs that were not proposed yet; what was refused tells what to avoid."""
        ...


class PutOff(BalancerError):
    """A generator cannot propose now, for no fault of the problem's: the round is left to the next session."""


@runtime_checkable
class OpenedGenerator(Protocol):
    """A generator that sets something up for a run: it is opened once, and put away when the run ends."""

    def open(self, services: RunServices) -> AbstractContextManager["Generator | EquippedGenerator"]:
        """Return the generator for one run."""
        ...


@runtime_checkable
class EquippedGenerator(Protocol):
    """A generator that needs a toolbox: one is made of it for each problem, for all rounds."""

    def equip(self, toolbox: Toolbox) -> Generator:
        """Return the generator for the problem that `toolbox` is for."""
        ...


def ended(execution: Execution) -> str:
    """Return how a program ended, and the most telling line that it printed on standard error, if there is one."""
    lines = [line.strip() for line in execution.stderr.decode(errors="replace").splitlines() if line.strip()]
    told = lines[-1:]
    if execution.status is Status.COMPILE_ERROR:  # a compiler goes on for long about the first mistake
        told = [line for line in lines if "error" in line][:1] or told
    how = f"exit code {execution.exit_code}"
    if execution.exit_code is None or execution.status is not Status.FINISHED:
        how = execution.status.value.replace("_", " ")
    return f"{how}: {told[0][:_SHOWN]}" if told else how
