"""The steps of a round: check inputs, generate outputs, validate solutions.

Each step asks the store what is done already and does the rest, so that a later session goes on where an
earlier one died, and comes to the same end: what a step chooses depends on the order of the cases, never
on which thread was faster. A step must not know endpoints, who proposes inputs, nor how a report looks.
"""

from balancer.pipeline.judging.verdict import ACCEPT
from balancer.pipeline.results.records import CaseState, Stage
from balancer.pipeline.results.store import StoredCase, StoredVerdict
from balancer.pipeline.running.runner import ProgramRun
from balancer.pipeline.running.sample import VALIDATOR_LIMITS, Sample
from balancer.problem import Submission, Verdict
from balancer.program import Program, Status

__all__ = ["agreed", "generate_test_outputs", "judge_on", "validate_inputs", "validate_solutions"]


_CHOSEN = (CaseState.VALID, CaseState.CONTESTED, CaseState.READY, CaseState.UNJUDGED)


# -- inputs --------------------------------------------------------------------------------------------


def validate_inputs(sample: Sample, number: int, *, own: bool = False) -> None:
    """Check the inputs of round `number`: the problem's own, then others until there are `max_inputs` valid ones.

    With `own`, only the problem's own. The others are checked in batches of as many as are still wanted, so the ones
    used are the first valid ones of the list, however far an earlier session came.
    """
    while batch := _next_batch(sample, number, own=own):
        sample.progress.plan(sample.problem.id, _ahead(sample, number))
        sample.in_threads(sample.settings.output_generation_workers, lambda case: _validate(sample, case), batch)
    for case in () if own else _proposed(sample, number):
        sample.store.set_case(sample.problem.id, case.id, CaseState.SPARE)


def _proposed(sample: Sample, number: int) -> list[StoredCase]:
    return [case for case in sample.store.cases(sample.problem.id, CaseState.PROPOSED) if case.round == number]


def _next_batch(sample: Sample, number: int, *, own: bool) -> list[StoredCase]:
    proposed = _proposed(sample, number)
    first = [case for case in proposed if case.sample]
    # One that was lost to the infrastructure keeps its place, so that the next session, which tries it
    # again, chooses what this one would have; and when all endpoints are down no more are tried in vain.
    return first if first or own else proposed[: max(0, _wanted(sample, number))]


def _wanted(sample: Sample, number: int) -> int:
    """Return how many inputs are still wanted in this round beyond the problem's own."""
    chosen = sample.store.cases(sample.problem.id, *_CHOSEN)
    return sample.settings.max_inputs - sum(not case.sample and case.round == number for case in chosen)


def _ahead(sample: Sample, number: int) -> int:
    """Return the units of work ahead if all inputs that will be checked are valid, those of later batches too."""
    problem, store = sample.problem, sample.store
    proposed = _proposed(sample, number)
    own = sum(case.sample for case in proposed)
    made_up = max(0, min(_wanted(sample, number), len(proposed) - own))
    known = len(store.cases(problem.id, CaseState.VALID))
    return own + made_up + (known + own + made_up) * len(problem.submissions)


def _validate(sample: Sample, case: StoredCase) -> None:
    state, note = CaseState.VALID, ""
    for validator in sample.validators:
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
    words = ran.execution.stderr.decode(errors="replace").strip().splitlines()
    return CaseState.INVALID, f"{name} refuses it{': ' + words[-1][:160] if words else ''}"


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
    verdicts = sample.store.verdicts(problem.id)
    todo = [case for case in valid if _needs_answer(verdicts, reference, case)]
    sample.in_threads(workers, lambda case: _answer(sample, reference, case), todo)

    verdicts = sample.store.verdicts(problem.id)
    answered = [
        case
        for case in sample.store.cases(problem.id, CaseState.VALID)
        if _verdict(verdicts, reference, case) is Verdict.ACCEPTED
    ]
    others = [submission for submission in sample.usable(accepted=True) if submission is not reference]
    judge_on(sample, others, answered, Stage.AGREE, workers)
    _conclude(sample)


def _reference(sample: Sample) -> Submission | None:
    """Return the first accepted submission that compiles; the first valid case is what it is tried on."""
    for submission in sample.usable(accepted=True):
        valid = sample.store.cases(sample.problem.id, CaseState.VALID)
        if valid and _needs_answer(sample.store.verdicts(sample.problem.id), submission, valid[0]):
            _answer(sample, submission, valid[0])
        if submission in sample.usable(accepted=True):
            return submission
    return None


def _needs_answer(verdicts: dict[tuple[str, int], StoredVerdict], reference: Submission, case: StoredCase) -> bool:
    verdict = _verdict(verdicts, reference, case)
    return _undecided(verdict) or (verdict is Verdict.ACCEPTED and case.answer is None)


def _answer(sample: Sample, reference: Submission, case: StoredCase) -> None:
    execution, note = sample.execute(reference, case, Stage.REFERENCE)
    judgement = sample.settle(reference, case, execution, note, Stage.REFERENCE)
    if execution is not None and judgement.verdict is Verdict.ACCEPTED:
        answer = execution.stdout if case.answer is None else case.answer
        sample.store.set_case(sample.problem.id, case.id, CaseState.VALID, answer=answer)
    sample.progress.advance(sample.problem.id)


def _conclude(sample: Sample) -> None:
    """Make the cases that enough accepted submissions agree on ready, and say why the others are not."""
    accepted = sample.usable(accepted=True)
    verdicts = sample.store.verdicts(sample.problem.id)
    for case in sample.store.cases(sample.problem.id, CaseState.VALID):
        found = [_verdict(verdicts, submission, case) for submission in accepted]
        sample.store.set_case(sample.problem.id, case.id, agreed(found, sample.settings.quorum))


def agreed(found: list[Verdict | None], quorum: float) -> CaseState:
    """Return what becomes of a case.

    Args:
        found: the verdicts of the accepted submissions, the reference solution's first; None: it was not run.
        quorum: the part of them that must have accepted it.
    """
    wanted = quorum * len(found) - 1e-9
    against = sum(verdict is not None and verdict.kills for verdict in found)
    if found[0] is not None and found[0].kills:
        return CaseState.CONTESTED
    if found[0] is Verdict.ACCEPTED and found.count(Verdict.ACCEPTED) >= wanted:
        return CaseState.READY
    return CaseState.CONTESTED if len(found) - against < wanted else CaseState.UNJUDGED


# -- verdicts ------------------------------------------------------------------------------------------


def validate_solutions(sample: Sample) -> None:
    """Judge every wrong submission on every ready case; the accepted ones have been, to agree on it."""
    ready = sample.store.cases(sample.problem.id, CaseState.READY)
    wrong = sample.usable(accepted=False)
    sample.progress.plan(sample.problem.id, len(ready) * len(wrong))
    judge_on(sample, wrong, ready, Stage.VALIDATE_SOLUTION, sample.settings.solution_validation_workers)


def judge_on(
    sample: Sample, submissions: list[Submission], cases: list[StoredCase], stage: Stage, workers: int
) -> None:
    """Run each submission on each case that has no verdict for it yet; the cases must have answers."""
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
