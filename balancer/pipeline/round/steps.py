"""Steps of a round: check inputs, generate outputs, validate solutions; and the check of a problem's own data.

Each step reads from the store what is done, and does the rest. So a later session continues after a crash, with the
same result. What a step chooses depends on the order of the cases, never on the speed of threads.

Own data check: judges the accepted submissions on the problem's own data, before the rounds. Those that fail are left
out and named, so that they contest no case. A failure in a package means that the submission is too slow here, uses a
language that has changed, or is wrong. Data sets also call wrong programs right. A failure of the infrastructure does
not count. The check also decides whether the problem probably has several right outputs.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial

from balancer.judging.compare import Flags, compare, parse_flags
from balancer.pipeline.results.problem_log import ProposalBatch, StoredCase, StoredVerdict
from balancer.pipeline.results.run_result import NOT_ALL_RUN, CaseState, RunStage
from balancer.pipeline.round.sample import Sample
from balancer.problem import FEWEST_AGREEING, Submission, Verdict
from balancer.program import Status

__all__ = [
    "CHOSEN",
    "OwnDataVerdict",
    "add_own",
    "agreed",
    "ask_everybody",
    "generate_test_outputs",
    "judge_on",
    "killers_of",
    "settle_own_data",
    "settle_own_tests",
    "surviving",
    "validate_inputs",
    "validate_solutions",
]

CHOSEN = (CaseState.VALID, CaseState.CONTESTED, CaseState.READY, CaseState.UNJUDGED)
_LAST = 10**9  # place after all rounds
_STOPS = (Verdict.TIME_LIMIT, Verdict.JUDGE_ERROR)  # the one costs the whole limit, the other a case
_SLOW_ENOUGH = 3  # cases with such an end
_AT_ONCE = 4  # cases between two counts of these
_SCALED, _MARGIN = 4.0, 1.5  # a time limit is at most so many times its own, and so many times what accepted ones take
_FAIL_OWN = "right solutions fail its own tests"
_PRECISE = 3  # own cases that tell how near to the answers an accepted submission is
_PARTS = (2, 20, 200)  # of the tolerance
_FEW = 1 / 3  # from this share of wrong outputs on, several outputs are probably right


# -- inputs --------------------------------------------------------------------------------------------


def validate_inputs(sample: Sample, number: int, *, own: bool = False, most: int | None = None) -> None:
    """Check the inputs of round `number`: the problem's own, then others until `most` of them are valid.

    With `own`, only the problem's own. Others are checked in batches as large as the number still wanted. So the first
    valid ones of the list are used, wherever an earlier session stopped.
    """
    most = sample.settings.max_inputs if most is None else most
    while not sample.late and (batch := _next_batch(sample, number, most, own=own)):
        sample.plan(_ahead(sample, number, most), "checking inputs of")
        sample.in_threads(sample.settings.output_generation_workers, lambda case: _validate(sample, case), batch)


def _proposed(sample: Sample, number: int) -> list[StoredCase]:
    return [case for case in sample.log.cases(CaseState.PROPOSED) if case.round == number]


def _next_batch(sample: Sample, number: int, most: int, *, own: bool) -> list[StoredCase]:
    proposed = _proposed(sample, number)
    first = [case for case in proposed if case.sample]
    # Lost inputs keep their place, so that the next session tries them and chooses the same inputs.
    # And if all endpoints are down, no more are tried in vain.
    return first if first or own else proposed[: max(0, most - _chosen(sample, number))]


def _chosen(sample: Sample, number: int) -> int:
    """Return the number of inputs in this round beyond the problem's own."""
    return sample.log.count_made_up(number, *CHOSEN)


def _ahead(sample: Sample, number: int, most: int) -> int:
    """Return the units of work ahead if all inputs to be checked are valid, with later batches."""
    problem, log = sample.problem, sample.log
    proposed = _proposed(sample, number)
    own = sum(case.sample for case in proposed)
    made_up = max(0, min(most - _chosen(sample, number), len(proposed) - own))
    known = len(log.cases(CaseState.VALID))
    return own + made_up + (known + own + made_up) * len(problem.submissions)


def _validate(sample: Sample, case: StoredCase) -> None:
    if sample.late:
        return
    state, note = sample.validators.check(case)
    if state is CaseState.UNJUDGED and sample.late:
        return
    sample.log.set_case(case.id, state, note)
    sample.progress.advance(sample.problem.id)


# -- expected outputs ----------------------------------------------------------------------------------


def generate_test_outputs(sample: Sample) -> None:
    """Give every valid case its expected output, and mark cases that the accepted submissions agree on as ready.

    The output is the reference solution's, unless the package has one. Then the reference solution must agree with it.
    With a time budget the quickest so far is the reference solution.
    A case on which too few agree is contested: reported, not used.
    """
    problem, workers = sample.problem, sample.settings.output_generation_workers
    sample.time_jury()
    reference = _reference(sample)
    if reference is None:
        return
    valid = sample.log.cases(CaseState.VALID)
    sample.plan(len(valid) * len(problem.submissions), "finding the answers of")
    verdicts = sample.log.verdicts()
    todo = [case for case in valid if _needs_answer(verdicts, reference, case)]
    jury = sample.jury
    others = [submission for submission in jury if submission is not reference]
    _ask_jury(sample, reference, others, todo)
    answered = _answered(sample, reference, others)
    own = [case for case in answered if case.sample]
    judge_on(sample, sample.usable(accepted=True), own, RunStage.AGREE, workers)
    judge_on(sample, others, [case for case in answered if not case.sample], RunStage.AGREE, workers)
    if sample.jury != jury and not sample.late:  # one of them does not compile, and another one has not run
        generate_test_outputs(sample)
        return
    _conclude(sample)
    if _were_lies(sample, reference):
        generate_test_outputs(sample)


def _ask_jury(sample: Sample, reference: Submission, others: list[Submission], cases: list[StoredCase]) -> None:
    """Run the reference solution on the cases, and others on those made-up ones that have an answer by then.

    So no slot waits for the last answer. What is still missing is for the steps that follow.
    """
    known = {case.id: threading.Event() for case in cases}
    answered: dict[int, StoredCase] = {}

    def act(run: tuple[Submission, StoredCase]) -> None:
        submission, case = run
        if submission is reference:
            try:
                told = _answer(sample, reference, case)
                if told is not None:
                    answered[case.id] = told
            finally:
                known[case.id].set()
            return
        known[case.id].wait()  # not for long: all runs of the reference solution begin before the first of another one
        if case.id in answered and not sample.late:
            sample.judge(submission, answered[case.id], RunStage.AGREE)

    made_up = [case for case in cases if not case.sample]
    verdicts = sample.log.verdicts(made_up)
    agree = [(each, case) for case in made_up for each in others if _undecided(_verdict(verdicts, each, case))]
    workers = sample.settings.output_generation_workers
    sample.in_threads(workers, act, [*((reference, case) for case in cases), *agree])


def _answered(sample: Sample, reference: Submission, others: list[Submission]) -> list[StoredCase]:
    """Return the cases with an answer. Where the reference solution is too slow, another accepted one gives it."""
    found: list[StoredCase] = []
    slow: list[StoredCase] = []
    for submission in (reference, *others):
        if submission is not reference and slow:
            workers = sample.settings.output_generation_workers
            sample.in_threads(workers, partial(_answer, sample, submission), slow)
        verdicts = sample.log.verdicts()
        valid = sample.log.cases(CaseState.VALID)
        left = valid if submission is reference else [case for case in valid if case.id in {each.id for each in slow}]
        found += [case for case in left if _verdict(verdicts, submission, case) is Verdict.ACCEPTED]
        slow = [case for case in left if not case.sample and _verdict(verdicts, submission, case) is Verdict.TIME_LIMIT]
        if not slow:
            break
    return found


def _were_lies(sample: Sample, reference: Submission) -> bool:
    """Repeat the reference runs of contested cases elsewhere. Return whether an expected output was wrong."""
    found = False
    for case in sample.log.cases(CaseState.CONTESTED):
        if sample.look_again(reference, case, RunStage.REFERENCE) is not None:
            sample.log.answer_again(case.id)
            found = True
    return found


def _reference(sample: Sample) -> Submission | None:
    """Return the first accepted submission that compiles: one that ran before, or is tried on the first valid case."""
    stored = sample.log.verdicts()
    ran = {name for (name, _), each in stored.items() if not _undecided(each.verdict)}
    for submission in sample.jury:
        if submission.name in ran:
            return submission
        valid = sample.log.cases(CaseState.VALID)
        if valid and _needs_answer(sample.log.verdicts(), submission, valid[0]):
            _answer(sample, submission, valid[0])
        if submission in sample.jury:
            return submission
    return None


def _needs_answer(verdicts: dict[tuple[str, int], StoredVerdict], reference: Submission, case: StoredCase) -> bool:
    verdict = _verdict(verdicts, reference, case)
    return _undecided(verdict) or (verdict is Verdict.ACCEPTED and case.answer is None)


def _answer(sample: Sample, reference: Submission, case: StoredCase) -> StoredCase | None:
    """Run the reference solution on a case, and store its output. Return the case with its answer, or None."""
    if sample.late:
        return None
    told: StoredCase | None = None
    judgement, ran = sample.settle(reference, case, RunStage.REFERENCE)
    if ran.execution is not None and judgement.verdict is Verdict.ACCEPTED:
        answer = ran.execution.stdout if case.answer is None else case.answer
        if case.answer is None:
            sample.unconfirmed.add(reference, case, ran)
        sample.log.set_case(case.id, CaseState.VALID, "", answer)
        told = replace(case, answer=answer)
    sample.progress.advance(sample.problem.id)
    return told


def _conclude(sample: Sample) -> None:
    """Mark cases that enough accepted submissions agree on as ready, and the others as contested or unjudged."""
    everybody, jury = sample.usable(accepted=True), sample.jury
    verdicts = sample.log.verdicts()
    validated = bool(sample.validators.programs())  # else agreement tells what is valid, and two must agree
    for case in sample.log.cases(CaseState.VALID):
        found = [_verdict(verdicts, submission, case) for submission in (everybody if case.sample else jury)]
        enough = validated or len(found) - found.count(Verdict.TIME_LIMIT) >= FEWEST_AGREEING
        state = agreed(found, sample.settings.quorum, slow_abstain=enough and not case.sample)
        if sample.late and None in found and state is CaseState.UNJUDGED:
            state = CaseState.SPARE
        sample.log.set_case(case.id, state)


def agreed(found: list[Verdict | None], quorum: float, *, slow_abstain: bool = False) -> CaseState:
    """Return the state of a case.

    Args:
        found: verdicts of the accepted submissions, the reference solution's first; None: not run.
        quorum: share of them that must accept it.
        slow_abstain: whether those that meet the time limit do not count, if they are at most half of all.
    """
    if slow_abstain and 2 * found.count(Verdict.TIME_LIMIT) <= len(found):
        found = [verdict for verdict in found if verdict is not Verdict.TIME_LIMIT]
    wanted = quorum * len(found) - 1e-9
    against = sum(verdict is not None and verdict.kills for verdict in found)
    if Verdict.JUDGE_ERROR in found or (found[0] is not None and found[0].kills):
        return CaseState.CONTESTED
    if found[0] is Verdict.ACCEPTED and found.count(Verdict.ACCEPTED) >= wanted:
        return CaseState.READY
    return CaseState.CONTESTED if len(found) - against < wanted else CaseState.UNJUDGED


def ask_everybody(sample: Sample) -> None:
    """Run all accepted submissions, not only the jury, on the made-up cases that kill, while there is time.

    A case with which too few of all agree is contested. Then the wrong ones that it killed run on the others.
    """
    while _contest(sample):
        validate_solutions(sample)


def _contest(sample: Sample) -> bool:
    """Run all accepted submissions on the cases that kill. Return whether a case is contested now."""
    if sample.allowed_s is None:
        return False
    jury, everybody = sample.jury, sample.usable(accepted=True)
    right = [*jury, *(each for each in everybody if each not in jury)]
    killing, contested = killers_of(sample), False
    killers = [each for each in sample.log.cases(CaseState.READY) if each.id in killing and not each.sample]
    for case in killers:
        judge_on(sample, right, [case], RunStage.AGREE, sample.settings.output_generation_workers)
        verdicts = sample.log.verdicts([case])
        found: list[Verdict | None] = [
            verdict for each in right if (verdict := _verdict(verdicts, each, case)) is not None
        ]
        state = agreed(found, sample.settings.quorum, slow_abstain=True) if found else CaseState.READY
        if state is CaseState.CONTESTED:
            sample.log.set_case(case.id, state)
            contested = True
    return contested


def killers_of(sample: Sample) -> set[int]:
    """Return the ids of the ready cases that kill a wrong submission."""
    ready = {case.id for case in sample.log.cases(CaseState.READY)}
    wrong = {submission.name for submission in sample.usable(accepted=False)}
    verdicts = sample.log.verdicts()
    return {case for (name, case), v in verdicts.items() if name in wrong and case in ready and v.verdict.kills}


# -- verdicts ------------------------------------------------------------------------------------------


def validate_solutions(sample: Sample) -> None:
    """Judge the wrong submissions on the ready cases. The accepted ones have already run on them.

    All run on the problem's own cases, and, without a time budget, on those of the first round. Later only those run
    that no earlier case has killed. One that was too slow on three cases is not run on the others.

    With a time budget, the smallest cases of a batch come first, and a case is left out if there was no time for it.

    A made-up case on which the output validator cannot judge an output is contested. A survivor of which it cannot
    judge three outputs is left out, so that it does not spoil all cases.
    """
    verdicts, parents = sample.log.verdicts(), sample.log.parents
    wrong, killed = sample.usable(accepted=False), set[str]()
    contested = [case for case in sample.log.cases(CaseState.CONTESTED) if not case.sample]
    slow = Counter(name for name, _ in _judge_errors(sample, contested)) if contested else Counter[str]()
    kills = {pair for pair, stored in verdicts.items() if stored.verdict.kills}
    timed = sample.allowed_s is not None
    groups: defaultdict[tuple[int, int], list[StoredCase]] = defaultdict(list)
    for case in sample.log.cases(CaseState.READY):
        if case.id in parents:  # a smaller case shows what it still kills of the larger one
            place = (_LAST, case.id)
        elif case.sample:
            place = (-1, 0)
        else:
            place = (case.round, case.batch if timed else 0)
        groups[place].append(case)
    for place in sorted(groups):
        cases = groups[place]
        if timed and place[0] not in (-1, _LAST):
            _judge_cheapest_first(sample, wrong, cases)
        else:
            if place == (-1, 0) or (place[0] == 0 and not timed):
                targets = wrong
            elif place[0] == _LAST:
                parent = parents[place[1]]
                targets = [each for each in wrong if each.name not in killed or (each.name, parent) in kills]
            else:
                targets = [each for each in wrong if each.name not in killed]
            sample.plan(len(cases) * len(targets), "judging the programs of")
            if place[0] == _LAST:
                _judge_wrong(sample, targets, cases)
            else:
                _judge_while_fast(sample, targets, cases, slow)
        still = {case.id for case in sample.log.cases(CaseState.READY)}
        cases = [case for case in cases if case.id in still]
        verdicts = sample.log.verdicts(cases)
        killed |= {name for (name, _), stored in verdicts.items() if stored.verdict.kills}
    _confirm_lone_kills(sample)
    if timed:
        _settle_late(sample)


def _judge_while_fast(sample: Sample, wrong: list[Submission], cases: list[StoredCase], slow: Counter[str]) -> None:
    """Judge wrong submissions on the cases, each until it was too slow on `_SLOW_ENOUGH`, a few cases at a time.

    Which verdicts are left depends on the order of the cases alone: a session that lost runs may have run more.

    Args:
        slow: on how many cases each was too slow, or its output could not be judged, so far; updated.
    """
    for start in range(0, len(cases), _AT_ONCE):
        part = cases[start : start + _AT_ONCE]
        left = [each for each in wrong if slow[each.name] < _SLOW_ENOUGH]
        _judge_wrong(sample, left, part)
        names = {each.name for each in left}
        verdicts = sample.log.verdicts(part)
        found = [(each.name, case.id) for each in wrong for case in part if (each.name, case.id) in verdicts]
        slow.update(name for name, case in found if verdicts[name, case].verdict in _STOPS)
        sample.log.forget_verdicts([(name, case) for name, case in found if name not in names])


def _judge_cheapest_first(sample: Sample, wrong: list[Submission], cases: list[StoredCase]) -> None:
    """Judge the wrong submissions that survive so far on cases, the smallest first. A killed one runs on no more.

    If a case is contested, those that it killed run on the others.
    """
    spoilt: set[int] = set()
    while True:
        _judge_survivors(sample, wrong, [case for case in cases if case.id not in spoilt])
        found = _contest_spoilt(sample, cases)
        if found <= spoilt or sample.late:
            return
        spoilt |= found


def _judge_survivors(sample: Sample, wrong: list[Submission], cases: list[StoredCase]) -> None:
    alive = {each.name for each in surviving(sample)}
    odd: Counter[str] = Counter()
    verdicts = sample.log.verdicts(cases)
    runs = [
        (each, case)
        for case in sorted(cases, key=lambda case: (len(case.data), case.id))
        for each in wrong
        if each.name in alive and _undecided(_verdict(verdicts, each, case))
    ]
    sample.plan(len(runs), "judging the programs of")

    def act(run: tuple[Submission, StoredCase]) -> None:
        name = run[0].name
        if name not in alive or sample.late:
            return
        verdict = sample.judge(*run, RunStage.VALIDATE_SOLUTION)
        odd[name] += verdict is Verdict.JUDGE_ERROR
        if verdict is not None and (verdict.kills or odd[name] >= _SLOW_ENOUGH):
            alive.discard(name)

    # No barrier between cases: with one, slots wait for the slowest program. So many at once are about one case.
    sample.in_threads(min(sample.settings.solution_validation_workers, max(_AT_ONCE, len(alive))), act, runs)


def _judge_wrong(sample: Sample, wrong: list[Submission], cases: list[StoredCase]) -> None:
    """Judge wrong submissions on cases. Contest made-up ones on which an output cannot be judged."""
    judge_on(sample, wrong, cases, RunStage.VALIDATE_SOLUTION, sample.settings.solution_validation_workers)
    _contest_spoilt(sample, cases)


def _contest_spoilt(sample: Sample, cases: list[StoredCase]) -> set[int]:
    """Contest made-up cases on which an output cannot be judged, and return them. Leave out who has too many of them.

    The output may be nonsense that crashes the output validator, or show that the expected output is wrong.
    """
    made_up = {case.id for case in cases if not case.sample}
    spoilt = {case for _, case in _judge_errors(sample, cases) if case in made_up}
    for case in spoilt:
        sample.log.set_case(case, CaseState.CONTESTED)
    known = [case for case in sample.log.cases(CaseState.CONTESTED) if not case.sample]
    errors = Counter(name for name, _ in _judge_errors(sample, known)) if known else Counter[str]()
    for name in sorted(each.name for each in surviving(sample) if errors[each.name] >= _SLOW_ENOUGH) if errors else ():
        why = f"the output validator could not judge its output on {errors[name]} made-up inputs"
        sample.log.leave_out(name, why)
    return spoilt


def _judge_errors(sample: Sample, cases: list[StoredCase]) -> list[tuple[str, int]]:
    """Return the submission and the case of each output that the output validator could not judge."""
    verdicts = sample.log.verdicts(cases)
    return [pair for pair, stored in verdicts.items() if stored.verdict is Verdict.JUDGE_ERROR]


def _settle_late(sample: Sample) -> None:
    """Mark cases that survivors did not run on, because the time was over: those that kill count, others are spare."""
    verdicts = sample.log.verdicts()
    alive = {each.name for each in surviving(sample)}
    wrong = {each.name for each in sample.usable(accepted=False)}
    killers = {case for (name, case), stored in verdicts.items() if name in wrong and stored.verdict.kills}
    for case in sample.log.cases(CaseState.READY):
        whole = case.sample or all((name, case.id) in verdicts for name in alive)
        if whole and case.note == NOT_ALL_RUN:
            sample.log.set_case(case.id, CaseState.READY)
        elif not whole and sample.late:
            state = CaseState.READY if case.id in killers else CaseState.SPARE
            sample.log.set_case(case.id, state, NOT_ALL_RUN)


def _confirm_lone_kills(sample: Sample) -> None:
    """Repeat kills by a single case elsewhere. If the result was wrong, store the right one."""
    ready = {case.id: case for case in sample.log.cases(CaseState.READY)}
    kills: defaultdict[str, list[StoredCase]] = defaultdict(list)
    for (name, case), stored in sample.log.verdicts().items():
        if stored.verdict.kills and case in ready:
            kills[name].append(ready[case])

    def look(submission: Submission) -> None:
        (case,) = kills[submission.name]
        right = sample.look_again(submission, case, RunStage.VALIDATE_SOLUTION)
        if right is not None:
            sample.settle(submission, case, RunStage.VALIDATE_SOLUTION, right)

    lone = [each for each in sample.usable(accepted=False) if len(kills[each.name]) == 1]
    sample.in_threads(sample.settings.solution_validation_workers, look, lone)


def surviving(sample: Sample) -> list[Submission]:
    """Return the wrong submissions that no ready case kills."""
    ready = {case.id for case in sample.log.cases(CaseState.READY)}
    verdicts = sample.log.verdicts()
    killed = {name for (name, case), stored in verdicts.items() if case in ready and stored.verdict.kills}
    return [submission for submission in sample.usable(accepted=False) if submission.name not in killed]


def judge_on(
    sample: Sample, submissions: list[Submission], cases: list[StoredCase], stage: RunStage, workers: int
) -> None:
    """Run each submission on each case without a judged verdict for it. The cases must have answers."""
    verdicts = sample.log.verdicts(cases)
    undecided = [
        (submission, case)
        for case in cases
        for submission in submissions
        if _undecided(_verdict(verdicts, submission, case))
    ]

    def act(pair: tuple[Submission, StoredCase]) -> None:
        if not sample.late:
            sample.judge(*pair, stage)

    sample.in_threads(workers, act, undecided)


def _verdict(
    verdicts: dict[tuple[str, int], StoredVerdict], submission: Submission, case: StoredCase
) -> Verdict | None:
    stored = verdicts.get((submission.name, case.id))
    return stored.verdict if stored else None


def _undecided(verdict: Verdict | None) -> bool:
    return verdict in (None, Verdict.UNJUDGED)


class OwnDataVerdict(Enum):
    """Result of the own data check."""

    SOUND = "sound"  # the accepted submissions that are left agree with it
    MANY_ANSWERS = "many answers"  # so many disagree that probably several outputs are right
    NONE = "none"  # no accepted submission is left


def settle_own_data(sample: Sample) -> OwnDataVerdict:
    """Judge every accepted submission on a package's own data with answers, and leave out those that fail.

    If none is left, that is noted, and the package is not judged.
    """
    log, problem = sample.log, sample.problem
    _check_own(sample)
    known = log.cases(CaseState.VALID, CaseState.READY, CaseState.CONTESTED)
    own = [case for case in known if case.sample and case.answer is not None]
    names = {case.id: case.origin.detail for case in own}
    failed: dict[str, StoredVerdict] = {}
    for stored in _rejections_with_margin(sample, own):
        failed.setdefault(stored.submission, stored)
    for stored in failed.values():
        _leave_out(sample, stored, "marked as accepted", f"the package's own {names[stored.case]}")
    if sample.usable(accepted=True):
        _find_imprecise(sample, own[:_PRECISE])
        return OwnDataVerdict.SOUND
    why = "no accepted submission passes the package's own data"
    if not any(submission.program.language in sample.runner.languages for submission in problem.accepted):
        why = "no endpoint can run any of its accepted submissions"
    if not log.has_begun(0):
        log.begin(0, ProposalBatch(notes=(*problem.notes, why)))
    return OwnDataVerdict.NONE


def _find_imprecise(sample: Sample, own: list[StoredCase]) -> None:
    """Find the accepted submissions whose outputs on own data are within the tolerance, but not within parts of it.

    If one of them gave the answers, others that are as far from the true answer would be rejected.
    """
    right, checker = sample.usable(accepted=True), sample.checker
    flags = parse_flags(checker.flags) if checker.program is None and not checker.values else Flags()
    if not flags.numeric or len(right) < 2:
        return
    parts = [
        replace(
            flags, relative=flags.relative and flags.relative / part, absolute=flags.absolute and flags.absolute / part
        )
        for part in _PARTS
    ]

    def look(submission: Submission) -> None:
        for case in own:
            ran = sample.execute(submission, case, RunStage.AGREE).execution
            if ran is not None and case.answer is not None:
                missed = sum(not compare(ran.stdout, case.answer, part).accepted for part in parts)
                sample.imprecise[submission.name] = max(missed, sample.imprecise.get(submission.name, 0))

    sample.in_threads(sample.settings.output_generation_workers, look, right)


def settle_own_tests(sample: Sample) -> OwnDataVerdict:
    """Judge every accepted submission of a row on its own tests, leave out those that fail, and return the result."""
    _check_own(sample)
    known = sample.log.cases()
    own = [case for case in known if case.sample and case.state is not CaseState.INVALID]
    names = {case.id: case.origin.detail for case in own}
    wrong: dict[str, StoredVerdict] = {}
    failed: dict[str, StoredVerdict] = {}  # those that fail in another way than by their output
    for stored in _rejections(sample, own):
        (wrong if stored.verdict is Verdict.WRONG_ANSWER else failed).setdefault(stored.submission, stored)
    for stored in failed.values():
        _leave_out(sample, stored, "marked as right", f"the row's test {names[stored.case]!r}")
    wrong = {name: stored for name, stored in wrong.items() if name not in failed}
    if wrong and len(wrong) >= _FEW * len(sample.usable(accepted=True)):
        _say_who_fails(sample, [*wrong.values()], names)
        return OwnDataVerdict.MANY_ANSWERS
    for stored in wrong.values():
        _leave_out(sample, stored, "marked as right", f"the row's test {names[stored.case]!r}")
    if not sample.usable(accepted=True):
        _say_who_fails(sample, [*wrong.values(), *failed.values()], names)
        return OwnDataVerdict.NONE
    sample.log.remark("", _FAIL_OWN)
    generate_test_outputs(sample)
    return OwnDataVerdict.SOUND


def _say_who_fails(sample: Sample, failing: Sequence[StoredVerdict], names: Mapping[int, str]) -> None:
    """Note for the report why a row is not judged: which right solution fails which of its own tests, and how."""
    if not failing:
        return
    first, rounds, problem = (
        min(failing, key=lambda stored: (stored.case, stored.submission)),
        sample.log,
        sample.problem,
    )
    how = f"{first.verdict.value.replace('_', ' ')}{f': {first.note}' if first.note else ''}"
    line = f"{_FAIL_OWN}, so it is not judged: {first.submission} on {names[first.case]!r}: {how}"
    line += f"; so do {len(failing) - 1} more" if len(failing) > 1 else ""
    if sample.usable(accepted=True) or rounds.has_begun(0):
        rounds.remark(line, _FAIL_OWN)
    else:
        rounds.begin(0, ProposalBatch(notes=(*problem.notes, line)))


def _check_own(sample: Sample) -> None:
    add_own(sample)
    validate_inputs(sample, 0, own=True)


def add_own(sample: Sample) -> None:
    """Store the problem's own data as cases."""
    sample.log.add_own(sample.problem.data)


def _rejections(sample: Sample, own: list[StoredCase]) -> list[StoredVerdict]:
    """Judge all accepted submissions on their own data. Return the verdicts that reject one, by case.

    An output that the output validator cannot judge rejects its submission, if it can judge that of another one there.
    """
    judge_on(sample, sample.usable(accepted=True), own, RunStage.AGREE, sample.settings.output_generation_workers)
    right = {submission.name for submission in sample.usable(accepted=True)}
    verdicts = sample.log.verdicts(own)
    passed = {case for (name, case), each in verdicts.items() if name in right and each.verdict is Verdict.ACCEPTED}
    return sorted(
        (
            stored
            for stored in verdicts.values()
            if stored.submission in right
            and (stored.verdict.kills or (stored.verdict is Verdict.JUDGE_ERROR and stored.case in passed))
            and stored.verdict is not Verdict.COMPILE_ERROR
        ),
        key=lambda stored: (stored.case, stored.submission),
    )


def _rejections_with_margin(sample: Sample, own: list[StoredCase]) -> list[StoredVerdict]:
    """Return the verdicts on own data that reject an accepted submission, with another time limit if need be.

    Limits are for the archive's machine. One that has no margin on this machine is scaled, once: if half of the
    accepted submissions take more than half of it on a case on which one of them meets it.
    """
    rejections = _rejections(sample, own)
    limit_s = sample.limits.cpu_s
    slow = [stored for stored in rejections if stored.verdict is Verdict.TIME_LIMIT]
    if not slow or sample.log.limit_s is not None or not sample.problem.time_limit_s:
        return rejections
    right = {each.name for each in sample.usable(accepted=True)}
    late = Counter(
        each.case
        for each in sample.log.verdicts().values()
        if each.submission in right and (each.verdict is Verdict.TIME_LIMIT or each.time_s > limit_s / 2)
    )
    if not any(2 * late[stored.case] >= len(right) for stored in slow):
        return rejections
    cases, programs = {case.id: case for case in own}, {each.name: each for each in sample.problem.submissions}
    taken_s: list[float] = []

    def measure(stored: StoredVerdict) -> None:
        execution = sample.execute(
            programs[stored.submission], cases[stored.case], RunStage.AGREE, sample.limits_at(_SCALED * limit_s)
        ).execution
        if execution is not None and execution.status is Status.FINISHED:
            taken_s.append(execution.time_s)

    sample.in_threads(sample.settings.output_generation_workers, measure, slow)
    if not taken_s:
        return rejections
    scaled_s = round(min(_MARGIN * max(taken_s), _SCALED * limit_s), 1)
    sample.limit_time(max(scaled_s, limit_s))
    sample.log.forget_verdicts([(stored.submission, stored.case) for stored in slow])
    return _rejections(sample, own)


def _leave_out(sample: Sample, stored: StoredVerdict, called: str, where: str) -> None:
    why = f"{called}, but {stored.verdict.value.replace('_', ' ')} on {where}"
    sample.log.leave_out(stored.submission, f"{why}{f': {stored.note}' if stored.note else ''}")
