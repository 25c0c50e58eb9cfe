"""What a generator may use that needs more than the problem's data: run programs, remember answers, bring validators.

Decides nothing: it is what a run promises to such a generator. Programs run in the sandbox, never here.
"""

from contextlib import AbstractContextManager
from typing import Literal, Protocol, runtime_checkable

from balancer.errors import BalancerError
from balancer.hookspecs import Generator
from balancer.pipeline.llm.budget import Used
from balancer.pipeline.llm.memory import Memory
from balancer.plugins.registry import Registry
from balancer.program import Execution, Program
from balancer.settings.llm import LlmSettings

__all__ = ["Aid", "AnswerBook", "EquippedGenerator", "OpenedGenerator", "PutOff", "RunServices", "Workshop"]

Aid = Literal["validator", "checker", "generator"]


class Workshop(Protocol):
    """What a run offers while it works on one problem. Thread-safe."""

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        """Run `program` somewhere; None and why if no endpoint could."""
        ...

    def trial(self, aid: Aid, program: Program) -> str:
        """Return what is wrong with a validator or a checker of the generator's, in one line; "": nothing.

        A validator must accept all known inputs and refuse an empty one. A checker must accept what every right
        solution prints on them, and reject an empty output, one that is no answer, and some answer to another input.
        """
        ...

    def use(self, aid: Aid, program: Program) -> None:
        """Let the run use a validator or a checker that has passed its trial, from this round on; keep a generator."""
        ...

    def used(self, aid: Aid) -> Program | None:
        """Return the program that is used, or kept, from this round or an earlier one."""
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


class AnswerBook(Memory, Protocol):
    """A memory of answers that can be added up."""

    def used(self) -> dict[str, Used]:
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
    def answers(self) -> AnswerBook:
        """Where answers are kept."""
        ...

    def say(self, line: str) -> None:
        """Tell people one line, now."""
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
    """A generator that needs a workshop: one is made of it for each problem, for all rounds."""

    def equip(self, workshop: Workshop) -> Generator:
        """Return the generator for the problem that `workshop` is for."""
        ...
