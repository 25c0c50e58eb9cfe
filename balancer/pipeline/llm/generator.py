"""Generator `llm`: a language model proposes inputs, sees their results, and proposes others.

Decides what a model is shown, and how its answer becomes inputs. Its programs run in the sandbox, one run for each
input.
"""

import random
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from balancer.judging.calls import called_source
from balancer.pipeline.llm.answer import ModelAnswer, ModelProgram
from balancer.pipeline.llm.asker import Asker, Prompts
from balancer.pipeline.llm.client import NotAnswered
from balancer.pipeline.proposing import Feedback, ProgramRole, PutOff, Toolbox, UnusedInput, ended
from balancer.problem import Origin, Problem, Proposal
from balancer.program import Program, Status

__all__ = ["ModelGenerator"]

_MOST_SHOWN = 2000  # characters of an input, an output or a note in a question
_MOST_SOURCE = 6000  # characters of a program in a question
_MOST_SURVIVORS = 6
_MOST_UNUSED = 20  # inputs of a kind
_MOST_INPUT = 8 * 2**20  # bytes of an input that a program prints
_MOST_FAILURES = 3  # in a row; the rest of a program's commands are not tried then
_WAITING = "waiting for the model about"
_SUFFIXES = {"python": "py", "cpp": "cpp"}


class ModelGenerator:
    """Proposes for one problem, over all rounds.

    Args:
        asker: asks the model.
        prompts: the questions.
        toolbox: runs programs, tries validators and checkers, and keeps programs for later rounds.
    """

    name: ClassVar[str] = "llm"

    def __init__(self, asker: Asker, prompts: Prompts, toolbox: Toolbox) -> None:
        self._asker = asker
        self._prompts = prompts
        self._toolbox = toolbox

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Ask for the first inputs."""
        reference = problem.accepted[0].program
        question = self._prompts.render(
            "propose.md",
            name=problem.name,
            statement=problem.statement,
            time_limit_s=problem.time_limit_s or "?",
            examples=[{"input": _short(case.data), "output": _short(case.answer or b"")} for case in problem.data[:3]],
            reference={"language": reference.language, "source": called_source(reference)[:_MOST_SOURCE]},
            many_answers=self._toolbox.many_answers,
            most=budget,
        )
        return self._asked(problem, 0, question, budget)

    def refine(self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Ask for other inputs, with the results of earlier ones."""
        survivors = feedback.survivors[:_MOST_SURVIVORS]
        question = self._prompts.render(
            "refine.md",
            name=problem.name,
            statement=problem.statement,
            time_limit_s=problem.time_limit_s or "?",
            round=feedback.round,
            cases=[{"origin": case.origin.detail, "rejected": case.rejected} for case in feedback.cases],
            failed=_told(feedback.failed),
            disagreed=_told(feedback.disagreed),
            refused=_told(feedback.refused),
            complaints=[line[:200] for line in feedback.complaints],
            survivors=[
                {
                    "name": each.name,
                    "language": each.program.language,
                    "source": called_source(each.program)[:_MOST_SOURCE],
                }
                for each in survivors
            ],
            most=budget,
        )
        return self._asked(problem, feedback.round, question, budget)

    def _asked(self, problem: Problem, round: int, question: str, budget: int) -> Iterator[Proposal]:
        self._toolbox.now(_WAITING)
        try:
            asked = self._asker.ask(problem.id, round, question, self._objection, self._toolbox.pause)
        except NotAnswered as error:
            raise PutOff(f"llm: no server of the model answered: {error}") from None
        self._toolbox.now("making inputs for")
        for line in asked.lines:
            self._toolbox.note(f"llm: {line}")
        if asked.answer is not None:
            self._take_aids(asked.answer)
            yield from self._inputs(problem, asked.answer, round, budget)

    # -- validators and checkers ---------------------------------------------------------------------

    def _objection(self, answer: ModelAnswer) -> str:
        """Return what is wrong with the validator or the checker of an answer, for the model; "" if nothing."""
        self._toolbox.now("trying the model's programs for")
        for aid, source in self._wanted(answer):
            why = self._toolbox.trial(aid, _program(source, aid))
            if why:
                self._toolbox.now(_WAITING)
                return f"your {aid} is wrong: {why}"
        return ""

    def _wanted(self, answer: ModelAnswer) -> Iterator[tuple[ProgramRole, ModelProgram]]:
        """Yield the programs of an answer that are used.

        A checker is only used if right outputs differ: else it could only weaken the comparison.
        """
        if answer.validator is not None:
            yield "validator", answer.validator
        if answer.checker is not None and self._toolbox.many_answers:
            yield "checker", answer.checker

    def _take_aids(self, answer: ModelAnswer) -> None:
        if answer.checker is not None and not self._toolbox.many_answers:
            self._toolbox.note("llm: its checker is not used, because right solutions agree; outputs are compared")
        for aid, source in self._wanted(answer):
            program = _program(source, aid)
            why = self._toolbox.trial(aid, program)
            if why:
                self._toolbox.note(f"llm: its {aid} is not used: {why}")
            else:
                self._toolbox.use(aid, program)

    # -- inputs --------------------------------------------------------------------------------------

    def _aim(self, problem: Problem, survivor: str) -> str:
        """Return the target of an input. A name that no submission has is not trusted, and is not repeated."""
        if any(survivor == each.name for each in problem.submissions):
            return f"aimed at {survivor}"
        self._toolbox.note("llm: an input is aimed at an unknown program")
        return "aimed at no program"

    def _inputs(self, problem: Problem, answer: ModelAnswer, round: int, budget: int) -> Iterator[Proposal]:
        left = budget
        written = [(self._aim(problem, each.survivor), each.input) for each in answer.aimed]
        written += [(f"input {number}", text) for number, text in enumerate(answer.inputs, 1)]
        for detail, text in written[:left]:
            yield Proposal(text.encode("utf-8", "replace"), Origin(self.name, f"round {round}: {detail}"))
        left -= len(written)
        if answer.generator is not None:
            self._toolbox.use("generator", _program(answer.generator, "generator"))
        generator = self._toolbox.used("generator")
        if generator is not None:
            yield from self._generated(generator, answer.commands[: max(0, left)], round)

    def _generated(self, generator: Program, commands: list[str], round: int) -> Iterator[Proposal]:
        failures, again, seen = 0, 0, set[bytes]()
        for number, command in enumerate(commands):
            data, why = self._run(generator, command)
            if not why:
                failures = 0
                again += data in seen
                seen.add(data)
                yield Proposal(data, Origin(self.name, f"round {round}: {command}"))
                continue
            self._toolbox.note(f"llm: its generator fails on {command[:60]!r}: {why}")
            failures += 1
            if failures == _MOST_FAILURES and number + 1 < len(commands):
                self._toolbox.note(f"llm: {len(commands) - number - 1} more commands of its generator were not tried")
                break
        if again:
            self._toolbox.note(f"llm: its generator repeated an input for {again} of {len(commands)} commands")

    def _run(self, generator: Program, command: str) -> tuple[bytes, str]:
        try:
            arguments = tuple(shlex.split(command))
        except ValueError as error:
            return b"", f"not a command line: {error}"
        if not command.isprintable():
            return b"", "not a command line: it has a control character"
        execution, why = self._toolbox.run(replace(generator, args=arguments))
        if execution is None:
            return b"", why
        if execution.status is not Status.FINISHED or execution.exit_code != 0:
            return b"", ended(execution)
        if len(execution.stdout) > _MOST_INPUT:
            return b"", f"it printed {len(execution.stdout)} bytes; {_MOST_INPUT} are allowed"
        return execution.stdout, "" if execution.stdout.strip() else "it printed nothing"


def _told(unused: Sequence[UnusedInput]) -> list[dict[str, str]]:
    return [{"origin": each.origin.detail, "why": each.why[:200]} for each in unused[:_MOST_UNUSED]]


def _program(source: ModelProgram, name: str) -> Program:
    return Program(source.language, source.source, f"llm/{name}.{_SUFFIXES[source.language]}")


def _short(data: bytes) -> str:
    text = data[: _MOST_SHOWN + 1].decode(errors="replace")
    return text if len(data) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "\n... (cut)"
