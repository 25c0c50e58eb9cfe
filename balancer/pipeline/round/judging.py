"""Judging within a round: which inputs are checked, answered and judged, in which order. Pure.

Each step looks at what is done, and asks for the rest. So a later session goes on after a crash, with the same result.
What a step chooses depends on the order of the cases, never on the speed of threads.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import islice, product

from balancer.judging.pending import RunStage
from balancer.pipeline.results.problem_log import CaseState, StoredCase
from balancer.pipeline.results.problem_result import NOT_ALL_RUN
from balancer.pipeline.round.acts import Act, ActEnd, Answer, JudgeCase, RunAgain, Validate
from balancer.pipeline.round.known import Known, undecided
from balancer.problem import FEWEST_AGREEING, Submission, Verdict

__all__ = [
    "CHOSEN",
    "Steps",
    "agreed",
    "ask_everybody",
    "generate_test_outputs",
    "judge_on",
    "validate_inputs",
    "validate_solutions",
    "work",
]

Steps = Generator[list[Act], ActEnd, None]
"""Yields acts to begin, none of them twice; is sent the events that end them, one by one, in any order."""
Work = Generator[list[Act], ActEnd, list[ActEnd]]

CHOSEN = (CaseState.VALID, CaseState.CONTESTED, CaseState.READY, CaseState.UNJUDGED)
_ODD_ENOUGH = 3  # outputs that cannot be judged, after which a submission runs on no more cases
_AT_ONCE = 4  # cases between two counts of these
_FIRST_INPUTS = 8  # made-up cases on which the wrong submissions run before the others of the jury


def work(
    known: Known,
    at_once: int,
    acts: Iterable[Act],
    then: Callable[[ActEnd], Iterable[Act] | None] = lambda event: None,
    *,
    whenever: bool = False,
) -> Work:
    """Have acts done, `at_once` at a time, and what `then` asks for after each, before the rest. Return their ends.

    An act is drawn only when there is room for it, so it may depend on what is known by then. None is drawn when the
    time is over, unless `whenever` it may be.
    """
    rest, under_way = [iter(acts)], 0  # the last one first; one inside another for each event would be as deep as many
    ends: list[ActEnd] = []
    while True:
        room = at_once - under_way if whenever or not known.clock.late else 0
        some = list(islice(_drawn(rest), room))
        under_way += len(some)
        if not under_way:
            return ends
        ends.append((yield some))
        under_way -= 1
        rest.append(iter(then(ends[-1]) or ()))


def _drawn(rest: list[Iterator[Act]]) -> Iterator[Act]:
    while rest:
        if (act := next(rest[-1], None)) is None:
            rest.pop()
        else:
            yield act


# -- inputs --------------------------------------------------------------------------------------------


def validate_inputs(known: Known, number: int, *, own: bool = False, most: int | None = None) -> Steps:
    """Check the inputs of round `number`: the problem's own, then others until `most` of them are valid.

    With `own`, only the problem's own. Others are checked in batches as large as the number still wanted. So the first
    valid ones of the list are used, wherever an earlier session stopped.
    """
    most = known.settings.max_inputs if most is None else most
    while not known.clock.late and (batch := _next_batch(known, number, most, own=own)):
        known.plan(_ahead(known, number, most), "checking inputs of")
        yield from work(known, known.settings.output_generation_workers, map(Validate, batch))


def _next_batch(known: Known, number: int, most: int, *, own: bool) -> list[StoredCase]:
    proposed = [case for case in known.log.cases(CaseState.PROPOSED) if case.round == number]
    first = [case for case in proposed if case.sample]
    if first or own:
        return first
    # Lost inputs keep their place, so that the next session tries them and chooses the same inputs.
    # And if all endpoints are down, no more are tried in vain.
    chosen = known.log.count_made_up(number, *CHOSEN)
    if known.timed and not chosen and proposed:  # a large input kills what no small one does
        largest = max(proposed, key=lambda case: len(case.data)).id
        proposed.sort(key=lambda case: case.id != largest)
    return proposed[: max(0, most - chosen)]


def _ahead(known: Known, number: int, most: int) -> int:
    """Return the units of work ahead if all inputs to be checked are valid, with later batches."""
    proposed = [case for case in known.log.cases(CaseState.PROPOSED) if case.round == number]
    own = sum(case.sample for case in proposed)
    made_up = max(0, min(most - known.log.count_made_up(number, *CHOSEN), len(proposed) - own))
    valid = len(known.log.cases(CaseState.VALID))
    return own + made_up + (valid + own + made_up) * len(known.problem.submissions)


# -- expected outputs ----------------------------------------------------------------------------------


def generate_test_outputs(known: Known) -> Steps:
    """Give every valid case its expected output, and mark cases that the accepted submissions agree on as ready.

    The output is the reference solution's, unless the package has one. Then the reference solution must agree with it.
    With a time budget the quickest so far is the reference solution.
    A case on which they disagree is contested: reported, not used.
    """
    again = True
    while again:
        known.time_jury()
        reference = yield from _reference(known)
        if reference is None:
            return
        jury = known.jury
        others = [submission for submission in jury if submission is not reference]
        valid = known.log.cases(CaseState.VALID)
        known.plan(len(valid) * len(known.problem.submissions), "finding the answers of")
        todo = [case for case in valid if _needs_answer(known, reference, case)]
        yield from _first_answers(known, reference, others, todo)
        answered = yield from _answered(known, reference, others)
        for right, sample in ((known.usable(accepted=True), True), (others, False)):
            yield from judge_on(known, right, [case for case in answered if case.sample is sample], RunStage.AGREE)
        if known.jury != jury and not known.clock.late:  # one of them does not compile, and another one has not run
            continue
        _conclude(known)
        again = yield from _were_lies(known, reference)


def _reference(known: Known) -> Generator[list[Act], ActEnd, Submission | None]:
    """Return the first accepted submission that compiles: one that ran before, or is tried on the first valid case."""
    ran = {name for (name, _), each in known.log.verdicts().items() if not undecided(each.verdict)}
    for submission in known.jury:
        if submission.name in ran:
            return submission
        valid = known.log.cases(CaseState.VALID)
        if valid and _needs_answer(known, submission, valid[0]):
            yield from work(known, 1, [Answer(submission, valid[0])])
        if submission in known.jury:
            return submission
    return None


def _needs_answer(known: Known, reference: Submission, case: StoredCase) -> bool:
    verdict = known.verdict(reference, case)
    return undecided(verdict) or (verdict is Verdict.ACCEPTED and case.answer is None)


def _first_answers(known: Known, reference: Submission, others: list[Submission], cases: list[StoredCase]) -> Steps:
    """Run the reference solution on the cases, and others on those made-up ones that have an answer by then.

    So no slot waits for the last answer. What is still missing is for the steps that follow. What kills comes first: on
    the first made-up cases of a problem with a time budget, the wrong submissions run before the others of the jury. A
    case that kills goes to the jury at once.
    """
    log, alive = known.log, {each.name for each in known.surviving()}
    judged = log.cases(CaseState.READY, CaseState.CONTESTED, CaseState.REPLACED)
    room = _FIRST_INPUTS - sum(not case.sample for case in judged) if known.timed else 0
    quick = {case.id for case in [case for case in cases if not case.sample][: max(0, room)]}
    asked, odd = set[int](), Counter[str]()

    def agree(case: StoredCase) -> Iterator[Act]:
        if case.id not in asked:
            asked.add(case.id)
            yield from (JudgeCase(*each, RunStage.AGREE) for each in known.pending(others, [case]))

    def then(event: ActEnd) -> Iterator[Act]:
        act = event.act
        assert isinstance(act, Answer | JudgeCase)
        case = log.case(act.case.id)
        if case.sample or case.answer is None:
            return
        if isinstance(act, Answer):
            for each, _ in known.pending(known.usable(accepted=False), [case]) if case.id in quick else ():
                if each.name in alive:  # by now
                    yield JudgeCase(each, case, RunStage.VALIDATE_SOLUTION)
            yield from agree(case)
        elif act.stage is RunStage.VALIDATE_SOLUTION:
            name = act.submission.name
            odd[name] += known.verdict(act.submission, case) is Verdict.JUDGE_ERROR
            if (kills := known.kills(act.submission, case)) or odd[name] >= _ODD_ENOUGH:
                alive.discard(name)
            if kills:
                yield from agree(case)

    answers = [Answer(reference, case) for case in cases]
    yield from work(known, known.settings.output_generation_workers, answers, then)


def _answered(
    known: Known, reference: Submission, others: list[Submission]
) -> Generator[list[Act], ActEnd, list[StoredCase]]:
    """Return the cases with an answer. Where the reference solution is too slow, another accepted one gives it."""
    found: list[StoredCase] = []
    slow: list[StoredCase] = []
    for submission in (reference, *others):
        if submission is not reference:
            workers = known.settings.output_generation_workers
            yield from work(known, workers, [Answer(submission, case) for case in slow])
        left = {each.id for each in slow}
        valid = [c for c in known.log.cases(CaseState.VALID) if submission is reference or c.id in left]
        found += [case for case in valid if known.verdict(submission, case) is Verdict.ACCEPTED]
        slow = [case for case in valid if not case.sample and known.verdict(submission, case) is Verdict.TIME_LIMIT]
        if not slow:
            break
    return found


def _conclude(known: Known) -> None:
    """Mark cases that the accepted submissions agree on as ready, and the others as contested or unjudged."""
    everybody, jury = known.usable(accepted=True), known.jury
    validated = bool(known.validators())  # else agreement tells what is valid, and two must agree
    for case in known.log.cases(CaseState.VALID):
        found = [known.verdict(submission, case) for submission in (everybody if case.sample else jury)]
        enough = validated or len(found) - found.count(Verdict.TIME_LIMIT) >= FEWEST_AGREEING
        state = agreed(found, slow_abstain=enough and not case.sample)
        if known.clock.late and None in found and state is CaseState.UNJUDGED:
            state = CaseState.SPARE
        known.log.set_case(case.id, state)


def _were_lies(known: Known, reference: Submission) -> Generator[list[Act], ActEnd, bool]:
    """Repeat the reference runs of contested cases elsewhere. Return whether an expected output was wrong."""
    acts = [RunAgain(reference, case, RunStage.REFERENCE) for case in known.log.cases(CaseState.CONTESTED)]
    ends = yield from work(known, 1, acts, whenever=True)
    found = [end.act.case.id for end in ends if end.changed and isinstance(end.act, RunAgain)]
    for case in found:
        known.log.answer_again(case)
    return bool(found)


def agreed(found: Sequence[Verdict | None], *, slow_abstain: bool = False) -> CaseState:
    """Return the state of a case.

    Args:
        found: verdicts of the accepted submissions; None: not run.
        slow_abstain: whether those that meet the time limit do not count, if they are at most half of all.
    """
    if slow_abstain and 2 * found.count(Verdict.TIME_LIMIT) <= len(found):
        found = [verdict for verdict in found if verdict is not Verdict.TIME_LIMIT]
    if any(verdict is not None and (verdict.kills or verdict is Verdict.JUDGE_ERROR) for verdict in found):
        return CaseState.CONTESTED
    return CaseState.READY if set(found) == {Verdict.ACCEPTED} else CaseState.UNJUDGED


def ask_everybody(known: Known) -> Steps:
    """Run all accepted submissions, not only the jury, on the made-up cases that kill, while there is time.

    A case that one of them contradicts is contested. Then the wrong ones that it killed run on the others.
    """
    contested = known.timed
    while contested:
        contested, right = False, list(dict.fromkeys((*known.jury, *known.usable(accepted=True))))
        killing = known.killers()
        for case in [each for each in known.log.cases(CaseState.READY) if each.id in killing and not each.sample]:
            yield from judge_on(known, right, [case], RunStage.AGREE)
            found = [verdict for each in right if (verdict := known.verdict(each, case)) is not None]
            if found and agreed(found, slow_abstain=True) is CaseState.CONTESTED:
                known.log.set_case(case.id, CaseState.CONTESTED)
                contested = True
        if contested:
            yield from validate_solutions(known)


# -- verdicts ------------------------------------------------------------------------------------------


def validate_solutions(known: Known) -> Steps:
    """Judge the wrong submissions on the ready cases. The accepted ones have already run on them.

    All run on the problem's own cases, and, without a time budget, on those of the first round. Later only those run
    that no earlier case has killed. One that was too slow on a case is not run on the others.

    With a time budget, the smallest cases of a batch come first, and a case is left out if there was no time for it.

    A made-up case on which the output validator cannot judge an output is contested. A survivor of which it cannot
    judge three outputs is left out, so that it does not spoil all cases.
    """
    log, timed = known.log, known.timed
    spoilt = [case for case in log.cases(CaseState.CONTESTED) if not case.sample]
    odd = Counter(name for name, _ in known.judge_errors(spoilt))
    own = [case for case in log.cases(CaseState.READY) if case.sample]
    yield from _judge_while_fast(known, known.usable(accepted=False), own, odd)
    killed = _killed_by(known, own)
    for cases in _batches(known, timed=timed):
        if timed:
            yield from _judge_cheapest_first(known, cases)
        else:
            every = not cases[0].round
            targets = [each for each in known.usable(accepted=False) if every or each.name not in killed]
            yield from _judge_while_fast(known, targets, cases, odd)
        killed |= _killed_by(known, cases)
    for small in [case for case in log.cases(CaseState.READY) if case.id in log.parents]:
        large = log.case(log.parents[small.id])  # a smaller case shows what it still kills of the larger one
        wrong = known.usable(accepted=False)
        targets = [each for each in wrong if each.name not in killed or known.kills(each, large)]
        yield from _judge_wrong(known, targets, [small])
        killed |= _killed_by(known, [small])
    yield from _confirm_lone_kills(known)
    if timed:
        _settle_late(known)


def _batches(known: Known, *, timed: bool) -> list[list[StoredCase]]:
    """Return the made-up cases of each round, and of each batch with a time budget, in their order."""
    found: dict[tuple[int, int], list[StoredCase]] = {}
    for case in known.log.cases(CaseState.READY):
        if not case.sample and case.id not in known.log.parents:
            found.setdefault((case.round, case.batch if timed else 0), []).append(case)
    return [found[place] for place in sorted(found)]


def _killed_by(known: Known, cases: list[StoredCase]) -> set[str]:
    """Return the submissions that one of the cases kills, as far as they are still ready."""
    ids = {case.id for case in cases}
    return {name for name, those in known.killed().items() if any(case.id in ids for case in those)}


def _judge_while_fast(known: Known, wrong: list[Submission], cases: list[StoredCase], odd: Counter[str]) -> Steps:
    """Judge wrong submissions on cases, a few at a time, each until it is too slow or too often cannot be judged.

    Which verdicts are left depends on the order of the cases alone: a session that lost runs may have run more.

    Args:
        odd: on how many cases the output of each could not be judged so far, or enough if it was too slow; updated.
    """
    known.plan(len(cases) * len(wrong), "judging the programs of")
    for start in range(0, len(cases), _AT_ONCE):
        part = cases[start : start + _AT_ONCE]
        left = [each for each in wrong if odd[each.name] < _ODD_ENOUGH]
        extra = [(each.name, case.id) for each in wrong if each not in left for case in part]
        yield from _judge_wrong(known, left, part)
        for each, case in product(wrong, part):
            verdict = known.verdict(each, case)
            odd[each.name] += _ODD_ENOUGH if verdict is Verdict.TIME_LIMIT else verdict is Verdict.JUDGE_ERROR
        if extra := [pair for pair in extra if known.log.verdict(*pair) is not None]:
            known.log.forget_verdicts(extra)


def _judge_cheapest_first(known: Known, cases: list[StoredCase]) -> Steps:
    """Judge the wrong submissions that survive so far on cases, the smallest first. A killed one runs on no more.

    If a case is contested, those that it killed run on the others.
    """
    spoilt: set[int] = set()
    while True:
        yield from _judge_survivors(known, [case for case in cases if case.id not in spoilt])
        found = _contest_spoilt(known, cases)
        if found <= spoilt or known.clock.late:
            return
        spoilt |= found


def _judge_survivors(known: Known, cases: list[StoredCase]) -> Steps:
    odd = Counter(name for name, _ in known.judge_errors(cases))
    alive = {each.name for each in known.surviving() if odd[each.name] < _ODD_ENOUGH}

    def acts() -> Iterator[Act]:
        for case in sorted(cases, key=lambda case: (len(case.data), case.id)):
            for each in known.usable(accepted=False):
                if each.name in alive and undecided(known.verdict(each, case)):
                    yield JudgeCase(each, case, RunStage.VALIDATE_SOLUTION)

    def then(event: ActEnd) -> None:
        assert isinstance(event.act, JudgeCase)
        submission, case = event.act.submission, event.act.case
        odd[submission.name] += known.verdict(submission, case) is Verdict.JUDGE_ERROR
        if known.kills(submission, case) or odd[submission.name] >= _ODD_ENOUGH:
            alive.discard(submission.name)

    known.plan(len(alive) * len(cases), "judging the programs of")
    # No barrier between cases: with one, slots wait for the slowest program. So many at once are about one case.
    most = min(known.settings.solution_validation_workers, max(_AT_ONCE, len(alive)))
    yield from work(known, most, acts(), then)


def _judge_wrong(known: Known, wrong: list[Submission], cases: list[StoredCase]) -> Steps:
    """Judge wrong submissions on cases. Contest made-up ones on which an output cannot be judged."""
    yield from judge_on(known, wrong, cases, RunStage.VALIDATE_SOLUTION)
    _contest_spoilt(known, cases)


def _contest_spoilt(known: Known, cases: list[StoredCase]) -> set[int]:
    """Contest made-up cases on which an output cannot be judged, and return them. Leave out who has too many of them.

    The output may be nonsense that crashes the output validator, or show that the expected output is wrong.
    """
    made_up = {case.id for case in cases if not case.sample}
    spoilt = {case for _, case in known.judge_errors(cases) if case in made_up}
    for case in sorted(spoilt):
        known.log.set_case(case, CaseState.CONTESTED)
    errors = Counter(
        name for name, _ in known.judge_errors(c for c in known.log.cases(CaseState.CONTESTED) if not c.sample)
    )
    if errors:
        for each in known.surviving():
            if errors[each.name] >= _ODD_ENOUGH:
                why = f"the output validator could not judge its output on {errors[each.name]} made-up inputs"
                known.log.leave_out(each.name, why)
    return spoilt


def _settle_late(known: Known) -> None:
    """Mark cases that survivors did not run on, because the time was over: those that kill count, others are spare."""
    alive, killers = known.surviving(), known.killers()
    for case in known.log.cases(CaseState.READY):
        whole = case.sample or all(known.verdict(each, case) is not None for each in alive)
        if whole and case.note == NOT_ALL_RUN:
            known.log.set_case(case.id, CaseState.READY)
        elif not whole and known.clock.late:
            state = CaseState.READY if case.id in killers else CaseState.SPARE
            known.log.set_case(case.id, state, NOT_ALL_RUN)


def _confirm_lone_kills(known: Known) -> Steps:
    """Repeat kills by a single case elsewhere. If the result was wrong, the right one is stored."""
    killed = known.killed()
    lone = [each for each in known.usable(accepted=False) if len(killed.get(each.name, ())) == 1]
    acts = [RunAgain(each, killed[each.name][0], RunStage.VALIDATE_SOLUTION) for each in lone]
    yield from work(known, known.settings.solution_validation_workers, acts, whenever=True)


def judge_on(known: Known, submissions: list[Submission], cases: list[StoredCase], stage: RunStage) -> Work:
    """Run each submission on each case without a judged verdict for it. The cases must have answers."""
    workers = known.settings.output_generation_workers
    if stage is RunStage.VALIDATE_SOLUTION:
        workers = known.settings.solution_validation_workers
    pending = [JudgeCase(*each, stage) for each in known.pending(submissions, cases)]
    return work(known, workers, (each for each in pending if each.submission.name not in known.log.left_out))
