"""The steps of the pipeline: propose inputs, check them, generate outputs, validate solutions.

Each step asks the store what is done already and does the rest, so that a later session goes on where an
earlier one died, and comes to the same end: what a step chooses depends on the order of the cases, never
on which thread was faster. A step must not know endpoints, nor how a report looks.
"""

import random
import zlib
from collections.abc import Iterator
from itertools import islice

from balancer.hookspecs import Generator
from balancer.pipeline.judging.verdict import ACCEPT
from balancer.pipeline.results.records import CaseState, Stage
from balancer.pipeline.results.store import StoredCase, StoredVerdict
from balancer.pipeline.running.runner import ProgramRun
from balancer.pipeline.running.sample import VALIDATOR_LIMITS, Sample
from balancer.problem import Proposal, Submission, Verdict
from balancer.program import Program, Status

__all__ = ["generate_test_outputs", "judge_problem", "propose_inputs", "validate_inputs", "validate_solutions"]


_CHOSEN = (CaseState.VALID, CaseState.CONTESTED, CaseState.READY, CaseState.UNJUDGED)


def judge_problem(sample: Sample) -> None:
    """Take one problem through all steps. Raises Stopped if the runner is stopped meanwhile."""
    sample.store.reopen(sample.problem.id)
    _leave_out_unknown_languages(sample)
    propose_inputs(sample)
    validate_inputs(sample)
    generate_test_outputs(sample)
    validate_solutions(sample)
    sample.progress.finish(sample.problem.id)


def _leave_out_unknown_languages(sample: Sample) -> None:
    known = sample.runner.languages
    for submission in sample.problem.submissions:
        language = submission.program.language
        if language not in known:
            why = f"no endpoint runs {language} (they run: {', '.join(sorted(known))})"
            sample.store.leave_out(sample.problem.id, submission.name, why)


# -- inputs --------------------------------------------------------------------------------------------


def propose_inputs(sample: Sample) -> None:
    """Ask every generator for inputs and store them: the problem's own first, no input twice."""
    problem = sample.problem
    if sample.store.is_proposed(problem.id):
        return
    notes: list[str] = []
    own: dict[bytes, Proposal] = {}
    made_up: dict[bytes, Proposal] = {}
    for generator in sample.generators:
        try:
            for proposal in _proposals(sample, generator):
                (own if proposal.sample else made_up).setdefault(proposal.data, proposal)
        except Exception as error:  # a generator is a plugin: the others, and the other problems, go on
            notes.append(f"generator {generator.name!r} failed: {type(error).__name__}: {error}")
    new = [proposal for data, proposal in made_up.items() if data not in own]
    if new and not problem.input_validators:
        notes.append(f"it has no input validator, so {len(new)} proposed inputs were not used")
        new = []
    sample.store.propose(problem.id, [*own.values(), *new], notes)


def _proposals(sample: Sample, generator: Generator) -> Iterator[Proposal]:
    """Yield what `generator` proposes: all of the problem's own data, but at most `max_proposals` others."""
    problem, settings = sample.problem, sample.settings
    # One seed a problem and generator: what one proposes does not depend on how often another draws.
    rng = random.Random(zlib.crc32(f"{settings.seed}/{problem.id}/{generator.name}".encode()))
    budget = len(problem.data) + settings.max_proposals
    others = 0
    for proposal in islice(generator.propose(problem, rng, budget), budget):
        others += not proposal.sample
        if others > settings.max_proposals:
            return
        yield proposal


def validate_inputs(sample: Sample) -> None:
    """Check the problem's own inputs, then as many others as it takes to have `max_inputs` valid ones.

    They are checked in batches of as many as are still wanted, so the ones used are the first valid ones
    of the list, however far an earlier session came.
    """
    while batch := _next_batch(sample):
        sample.progress.plan(sample.problem.id, _ahead(sample))
        sample.in_threads(sample.settings.output_generation_workers, lambda case: _validate(sample, case), batch)
    for case in sample.store.cases(sample.problem.id, CaseState.PROPOSED):
        sample.store.set_case(sample.problem.id, case.id, CaseState.SPARE)


def _next_batch(sample: Sample) -> list[StoredCase]:
    proposed = sample.store.cases(sample.problem.id, CaseState.PROPOSED)
    own = [case for case in proposed if case.sample]
    # One that was lost to the infrastructure keeps its place, so that the next session, which tries it
    # again, chooses what this one would have; and when all endpoints are down no more are tried in vain.
    return own or proposed[: max(0, _wanted(sample))]


def _wanted(sample: Sample) -> int:
    """Return how many inputs are still wanted beyond the problem's own."""
    chosen = sample.store.cases(sample.problem.id, *_CHOSEN)
    return sample.settings.max_inputs - sum(not case.sample for case in chosen)


def _ahead(sample: Sample) -> int:
    """Return the units of work ahead if all inputs that will be checked are valid, those of later batches too."""
    problem, store = sample.problem, sample.store
    proposed = store.cases(problem.id, CaseState.PROPOSED)
    own = sum(case.sample for case in proposed)
    made_up = max(0, min(_wanted(sample), len(proposed) - own))
    known = len(store.cases(problem.id, CaseState.VALID))
    return own + made_up + (known + own + made_up) * len(problem.submissions)


def _validate(sample: Sample, case: StoredCase) -> None:
    state, note = CaseState.VALID, ""
    for validator in sample.problem.input_validators:
        if state is CaseState.VALID:
            state, note = _ask(sample, validator, case)
    sample.store.set_case(sample.problem.id, case.id, state, note=note)
    sample.progress.advance(sample.problem.id)


def _ask(sample: Sample, validator: Program, case: StoredCase) -> tuple[CaseState, str]:
    name = validator.name
    wanted = ProgramRun(validator, case.data, VALIDATOR_LIMITS, sample.problem.id, Stage.VALIDATE_INPUT, name, case.id)
    ran = sample.runner.run(wanted)
    if ran.execution is None:
        return CaseState.UNJUDGED, ran.note
    if ran.execution.status is Status.FINISHED and ran.execution.exit_code == ACCEPT:
        return CaseState.VALID, ""
    return CaseState.INVALID, f"{name} refuses it"


# -- expected outputs ----------------------------------------------------------------------------------


def generate_test_outputs(sample: Sample) -> None:
    """Give every valid case its expected output, and make those ready that all accepted submissions agree on.

    The output is the reference solution's, unless the package has one; the reference solution must agree
    with that too. A case on which any accepted submission disagrees is contested: reported, not used.
    """
    problem, workers = sample.problem, sample.settings.output_generation_workers
    reference = _reference(sample)
    if reference is None:
        return
    valid = sample.store.cases(problem.id, CaseState.VALID)
    sample.progress.plan(problem.id, len(valid) * len(problem.submissions))
    todo = [case for case in valid if _needs_answer(sample, reference, case)]
    sample.in_threads(workers, lambda case: _answer(sample, reference, case), todo)

    verdicts = sample.store.verdicts(problem.id)
    answered = [
        case
        for case in sample.store.cases(problem.id, CaseState.VALID)
        if _verdict(verdicts, reference, case) is Verdict.ACCEPTED
    ]
    others = [submission for submission in sample.usable(accepted=True) if submission is not reference]
    _judge_all(sample, others, answered, Stage.AGREE, workers)
    _conclude(sample)


def _reference(sample: Sample) -> Submission | None:
    """Return the first accepted submission that compiles; the first valid case is what it is tried on."""
    for submission in sample.usable(accepted=True):
        valid = sample.store.cases(sample.problem.id, CaseState.VALID)
        if valid and _needs_answer(sample, submission, valid[0]):
            _answer(sample, submission, valid[0])
        if submission in sample.usable(accepted=True):
            return submission
    return None


def _needs_answer(sample: Sample, reference: Submission, case: StoredCase) -> bool:
    verdict = _verdict(sample.store.verdicts(sample.problem.id), reference, case)
    return _undecided(verdict) or (verdict is Verdict.ACCEPTED and case.answer is None)


def _answer(sample: Sample, reference: Submission, case: StoredCase) -> None:
    execution, note = sample.execute(reference, case, Stage.REFERENCE)
    judgement = sample.settle(reference, case, execution, note, Stage.REFERENCE)
    if execution is not None and judgement.verdict is Verdict.ACCEPTED:
        answer = execution.stdout if case.answer is None else case.answer
        sample.store.set_case(sample.problem.id, case.id, CaseState.VALID, answer=answer)
    sample.progress.advance(sample.problem.id)


def _conclude(sample: Sample) -> None:
    """Make the cases that all accepted submissions agree on ready, and say why the others are not."""
    accepted = sample.usable(accepted=True)
    verdicts = sample.store.verdicts(sample.problem.id)
    for case in sample.store.cases(sample.problem.id, CaseState.VALID):
        found = {_verdict(verdicts, submission, case) for submission in accepted}
        if any(verdict is not None and verdict.kills for verdict in found):
            state = CaseState.CONTESTED
        elif found == {Verdict.ACCEPTED}:
            state = CaseState.READY
        else:
            state = CaseState.UNJUDGED
        sample.store.set_case(sample.problem.id, case.id, state)


# -- verdicts ------------------------------------------------------------------------------------------


def validate_solutions(sample: Sample) -> None:
    """Judge every wrong submission on every ready case; the accepted ones have been, to agree on it."""
    ready = sample.store.cases(sample.problem.id, CaseState.READY)
    wrong = sample.usable(accepted=False)
    sample.progress.plan(sample.problem.id, len(ready) * len(wrong))
    _judge_all(sample, wrong, ready, Stage.VALIDATE_SOLUTION, sample.settings.solution_validation_workers)


def _judge_all(
    sample: Sample, submissions: list[Submission], cases: list[StoredCase], stage: Stage, workers: int
) -> None:
    verdicts = sample.store.verdicts(sample.problem.id)
    undecided = [
        (submission, case)
        for case in cases
        for submission in submissions
        if _undecided(_verdict(verdicts, submission, case))
    ]
    sample.in_threads(workers, lambda pair: sample.judge(pair[0], pair[1], stage), undecided)


def _verdict(
    verdicts: dict[tuple[str, int], StoredVerdict], submission: Submission, case: StoredCase
) -> Verdict | None:
    stored = verdicts.get((submission.name, case.id))
    return stored.verdict if stored else None


def _undecided(verdict: Verdict | None) -> bool:
    return verdict in (None, Verdict.UNJUDGED)
