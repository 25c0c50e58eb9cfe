"""Toolbox of one problem: what a generator may use of the run that it works for.

Decides which program is used from when on, and that none is tried twice. It must not know generators, nor what a trial
asks of a program.
"""

from collections.abc import Mapping

from balancer.judging.runner import ProgramRun
from balancer.pipeline.proposing.toolbox import ProgramRole
from balancer.pipeline.results.run_result import RunStage
from balancer.pipeline.round.comparer import SampleComparer
from balancer.pipeline.round.sample import Sample
from balancer.pipeline.round.trial import NOT_TRIED, Trial
from balancer.program import Execution, Limits, Program
from balancer.settings.pipeline import AimSettings

__all__ = ["SampleToolbox"]

_LIMITS = Limits(cpu_s=10.0, wall_s=30.0)
_AIMED = 0.2  # the part of the time that is left which a generator that aims may use in a round


class SampleToolbox:
    """What a run offers to the generators of one problem. See `balancer.pipeline.proposing.toolbox.Toolbox`.

    Attributes:
        round: the round that is about to begin.
        comparer: compares the problem's submissions.
    """

    def __init__(self, sample: Sample, *, many_answers: bool) -> None:
        self._sample = sample
        self._notes: list[str] = []
        self._many_answers = many_answers
        self._tried: dict[tuple[ProgramRole, Program], str] = {}
        self.round = 0
        self.comparer = SampleComparer(sample)

    @property
    def aim(self) -> AimSettings:
        """How long the generators that aim may search: not at all if no made-up inputs are wanted, and no more than a
        part of what is left of the problem's time.
        """
        settings, allowed_s = self._sample.settings, self._sample.allowed_s
        if not (settings.max_inputs and settings.max_proposals):
            return AimSettings(seconds=0.0)
        if allowed_s is None:
            return settings.aim
        left_s = max(0.0, allowed_s - self._sample.clock.spent_s)
        return settings.aim.model_copy(update={"seconds": min(settings.aim.seconds, _AIMED * left_s)})

    @property
    def languages(self) -> frozenset[str]:
        """The languages that some endpoint runs."""
        return self._sample.runner.languages

    @property
    def many_answers(self) -> bool:
        """Whether the right solutions disagree on the own tests, or did before there was a checker."""
        return self._many_answers or self.used("checker") is not None

    def run(self, program: Program, stdin: bytes = b"") -> tuple[Execution | None, str]:
        """Run `program` somewhere; None and why if no endpoint could."""
        return self._run(program, stdin, {}, _LIMITS)

    def trial(self, aid: ProgramRole, program: Program) -> str:
        """Return what is wrong with a validator or a checker, in one line; "": nothing."""
        if (aid, program) not in self._tried:
            why = Trial(self._sample, program, self._run).of(aid)
            if why.startswith(NOT_TRIED):
                return why
            self._tried[aid, program] = why
        return self._tried[aid, program]

    def use(self, aid: ProgramRole, program: Program) -> None:
        """Let the run use a program that has passed its trial, from this round on."""
        store, problem = self._sample.store, self._sample.problem.id
        if aid == "checker":
            self.note("right solutions disagree on the own tests: a checker that a generator has brought decides")
        if aid == "checker" and store.judges.kept(problem, aid) != program:
            store.adopt_checker(problem, program, self.round)
        else:
            store.judges.keep(problem, aid, program, self.round)

    def used(self, aid: ProgramRole) -> Program | None:
        """Return the program that is used, from this round or an earlier one."""
        return self._sample.store.judges.kept(self._sample.problem.id, aid)

    def note(self, line: str) -> None:
        """Tell people one line, which is kept with the problem."""
        self._notes.append(line)

    def pause(self, seconds: float) -> None:
        """Wait so many seconds; raises Stopped if the run is told to stop."""
        self._sample.runner.pause(seconds)

    def taken_notes(self) -> list[str]:
        """Return the lines since the last time."""
        notes, self._notes = self._notes, []
        return notes

    # -- inside --------------------------------------------------------------------------------------

    def _run(
        self, program: Program, stdin: bytes, files: Mapping[str, bytes], limits: Limits
    ) -> tuple[Execution | None, str]:
        problem = self._sample.problem.id
        ran = self._sample.runner.run(
            ProgramRun(program, stdin, limits, problem, RunStage.GENERATE, program.name, 0, files)
        )
        return ran.execution, ran.note
