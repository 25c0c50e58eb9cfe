"""One problem, from its own data to its last round.

Decides what a round begins with and whether there is another one: while some wrong submission survives, some generator
has something to add, and `max_rounds` are not over. What killed stays, so no round kills fewer than the one before.
Each round is stored as it begins, with all its inputs: a run that was killed goes on within it, and asks nobody again.
It must not know how an input is checked or a submission judged.
"""

import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from balancer.hookspecs import Generator
from balancer.pipeline.loop.feedback import Feedback
from balancer.pipeline.loop.observed import killers_of, observed
from balancer.pipeline.loop.own_tests import Own, settle_own_tests
from balancer.pipeline.loop.shop import SampleWorkshop
from balancer.pipeline.loop.workshop import EquippedGenerator, PutOff
from balancer.pipeline.results.records import CaseState
from balancer.pipeline.running.runner import Stopped
from balancer.pipeline.running.sample import Sample
from balancer.pipeline.running.steps import generate_test_outputs, validate_inputs, validate_solutions
from balancer.problem import Proposal

__all__ = ["begin_round", "judge_problem"]


def judge_problem(sample: Sample) -> None:
    """Take one problem through all its rounds. Raises Stopped if the runner is stopped meanwhile."""
    store, problem = sample.store, sample.problem
    store.reopen(problem.id)
    _leave_out_unknown_languages(sample)
    own = settle_own_tests(sample) if problem.by_agreement else Own.SOUND
    if own is not Own.NONE:
        rounds = _Rounds(sample, many_answers=own is Own.MANY_ANSWERS)
        for number in range(sample.settings.max_rounds):
            try:
                if not rounds.begin(number):
                    break
            except PutOff as error:  # what there is, is judged; the next session goes on here
                store.rounds.put_off(problem.id, f"round {number} has not begun: {error}; run again to go on")
                validate_solutions(sample)
                break
            if own is Own.MANY_ANSWERS:  # unless the model has brought a checker, nobody can tell right from wrong
                own = settle_own_tests(sample)
                if own is not Own.SOUND:
                    break
            validate_inputs(sample, number)
            generate_test_outputs(sample)
            validate_solutions(sample)
    sample.progress.finish(problem.id)


def begin_round(sample: Sample, number: int) -> bool:
    """Give a round its inputs, if it has none yet; return False if there is to be no such round."""
    return _Rounds(sample, many_answers=False).begin(number)


def _leave_out_unknown_languages(sample: Sample) -> None:
    known = sample.runner.languages
    for submission in sample.problem.submissions:
        language = submission.program.language
        if language not in known:
            why = f"no endpoint runs {language} (they run: {', '.join(sorted(known))})"
            sample.store.leave_out(sample.problem.id, submission.name, why)


class _Rounds:
    """The rounds of one problem in this session."""

    def __init__(self, sample: Sample, *, many_answers: bool) -> None:
        self._sample = sample
        self._workshop = SampleWorkshop(sample, many_answers=many_answers)
        self._generators: Sequence[Generator] = [
            each.equip(self._workshop) if isinstance(each, EquippedGenerator) else each for each in sample.generators
        ]

    def begin(self, number: int) -> bool:
        """Give round `number` its inputs, if it has none yet; return False if there is to be no such round."""
        sample = self._sample
        if sample.store.rounds.has_begun(sample.problem.id, number):
            return True
        feedback = observed(sample, number) if number else None
        able = [each for each in self._generators if feedback is None or hasattr(each, "refine")]
        if feedback is not None and not (feedback.survivors and able):
            return False
        self._workshop.round = number
        proposals, notes = self._asked(able, feedback)
        replaced = self._replaced() if number and proposals else ()
        sample.store.rounds.begin(sample.problem.id, number, proposals, notes, replaced)
        return True

    def _asked(self, generators: Iterable[Generator], feedback: Feedback | None) -> tuple[list[Proposal], list[str]]:
        """Ask every generator: the problem's own data first, no input twice. Return the inputs, and what to note."""
        problem = self._sample.problem
        notes: list[str] = []
        known = {case.data for case in self._sample.store.cases(problem.id)}
        own: dict[bytes, Proposal] = {}
        made_up: dict[bytes, Proposal] = {}
        for generator in generators:
            try:
                for proposal in self._proposals(generator, feedback):
                    (own if proposal.sample else made_up).setdefault(proposal.data, proposal)
            except (PutOff, Stopped):
                raise
            except Exception as error:  # a generator is a plugin: the others, and the other problems, go on
                notes.append(f"generator {generator.name!r} failed: {type(error).__name__}: {error}")
        notes += self._workshop.taken_notes()
        new = [proposal for data, proposal in made_up.items() if data not in own and data not in known]
        if new and not (problem.input_validators or problem.by_agreement):
            notes.append(f"it has no input validator, so {len(new)} proposed inputs were not used")
            new = []
        return [*(proposal for data, proposal in own.items() if data not in known), *new], notes

    def _proposals(self, generator: Generator, feedback: Feedback | None) -> Iterator[Proposal]:
        """Yield what `generator` proposes: all of the problem's own data, but at most `max_proposals` others."""
        problem, settings = self._sample.problem, self._sample.settings
        # One seed a problem, generator and round: what one proposes does not depend on how often another draws.
        suffix = f"/{feedback.round}" if feedback else ""
        rng = random.Random(zlib.crc32(f"{settings.seed}/{problem.id}/{generator.name}{suffix}".encode()))
        if feedback is None:
            budget = len(problem.data) + settings.max_proposals
            made = generator.propose(problem, rng, budget)
        else:
            budget = settings.max_proposals
            made = generator.refine(problem, feedback, rng, budget)  # type: ignore[attr-defined]  # the able have it
        others = 0
        for proposal in islice(made, budget):
            others += not proposal.sample
            if others > settings.max_proposals:
                return
            yield proposal

    def _replaced(self) -> list[int]:
        """Return the cases that make room: made up, and killing nobody."""
        sample = self._sample
        killers = killers_of(sample)
        ready = sample.store.cases(sample.problem.id, CaseState.READY)
        return [case.id for case in ready if not case.sample and case.id not in killers]
