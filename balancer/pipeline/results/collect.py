"""Result collection: builds the `RunResult` for reports from the store. It only reads.

Decides which of many problems are shown in detail: those with the most survivors.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from balancer.core.metrics import PoolStats, WaitHistogram
from balancer.judging.calls import called_source
from balancer.pipeline.results.problem_result import (
    NOT_ALL_RUN,
    CaseResult,
    CaseState,
    Disagreement,
    ProblemResult,
    SubmissionResult,
)
from balancer.pipeline.results.problems import ProblemOutcome, Roster, RosterEntry
from balancer.pipeline.results.run_result import GeneratorYield, RunResult
from balancer.pipeline.results.store import Session, Store, StoredCase, StoredVerdict
from balancer.pipeline.results.tally import Totals, left_out_for, scores_of
from balancer.problem import Problem, Verdict
from balancer.program import Program

__all__ = ["MOST_DETAILED", "collect", "problem_result", "settle"]

MOST_DETAILED = 40  # for rows of a data set; packages are all shown in detail
_MOST_LEFT_OUT = 100

_VALID = (CaseState.VALID, CaseState.CONTESTED, CaseState.READY, CaseState.REPLACED)
_COUNTS = ("proposed", "valid", "cases", "kills", "first_kills")
_TIMES = ("asked_s", "run_s", "cpu_s")
_UNUSED = (CaseState.INVALID, CaseState.UNCHECKED, CaseState.PROPOSED, CaseState.SPARE)


def collect(store: Store, *, most: int | None = None) -> RunResult:
    """Return the result of the problems, and the figures of the last session that ran programs.

    Args:
        store: of the run.
        most: problems to show in detail; None: all.
    """
    sessions = store.sessions()
    worked = [session for session in sessions if store.leases.any_of(session.id)]  # with killed ones
    ended = [session for session in sessions if session.pool is not None]
    last = next((each for each in reversed(ended) if each in worked), None) or (ended or worked or sessions)[-1]
    work = store.leases.work(last.id)
    one_in, spans = store.leases.drawn(last.id)
    totals, brought = Totals(), dict[str, GeneratorYield]()
    for outcome in _settled(store):
        totals.add(outcome.tally)
        for each in outcome.brought:
            before = brought.get(each.generator)
            brought[each.generator] = each if before is None else before.plus(each)
    most = None if most is not None and totals.problems <= most else most  # with few problems, all keep their own order
    found = tuple(problem_result(store, roster) for roster in store.problems.rosters(most_survivors=most))
    rows_left_out, left_out_rows = store.problems.left_out_rows(_MOST_LEFT_OUT)
    return RunResult(
        problems=found,
        pool=_pool(last, sum(each.leases for each in work.endpoints.values())),
        slots=last.slots,
        makespan_s=work.ended_s - work.started_s,
        spans=tuple(spans),
        strategy=last.strategy,
        complete=bool(ended) and sessions[-1].complete and totals.counts["judged"] > 0,
        sessions=len(worked) or 1,
        one_in=one_in,
        all_problems=totals,
        work=work,
        scores=scores_of(totals.courses, store.answers.spent()),
        rows_left_out=rows_left_out,
        left_out_rows=tuple(left_out_rows),
        brought=tuple(sorted(brought.values(), key=lambda each: (-each.first_kills, -each.kills, each.generator))),
        packages_left_out=store.problems.left_out_packages(),
        verified=store.trust.found(),
        source=store.source,
    )


def settle(store: Store, problem: Problem) -> None:
    """Store the result of a problem after all its rounds.

    It is done, unless the infrastructure prevented something. The sources of the survivors are stored, for readers.
    """
    entries = tuple(RosterEntry(each.name, each.accepted, each.expected) for each in problem.submissions)
    roster = Roster(problem.id, 0, problem.name, entries, dict(problem.left_out))
    found, log = problem_result(store, roster), store.of(problem.id)
    alive = {each.name for each in found.survivors}
    store.problems.settle(
        _settled_of(store, found, _limit_s(store, problem)),
        done=not (found.unjudged or found.not_judged or log.why_put_off),
        surviving=[
            Program(each.program.language, called_source(each.program), each.name)
            for each in problem.wrong
            if each.name in alive
        ],
    )
    store.forget(problem.id)


def _limit_s(store: Store, problem: Problem) -> float:
    """Return the CPU seconds that a run of a submission had."""
    said, own = store.fingerprint, problem.time_limit_s
    named = own * float(said.get("setting time_limit_factor", 1)) if own else float(said.get("setting time_limit_s", 0))
    return store.of(problem.id).limit_s or named


def _settled(store: Store) -> Iterator[ProblemOutcome]:
    yield from store.problems.settled()
    for roster in store.problems.rosters(unsettled=True):  # those that the end of a session interrupted
        yield _settled_of(store, problem_result(store, roster))
        store.forget(roster.id)


def _settled_of(store: Store, found: ProblemResult, limit_s: float = 0.0) -> ProblemOutcome:
    return ProblemOutcome(found.tally(limit_s), _yields(store, found))


def _yields(store: Store, found: ProblemResult) -> list[GeneratorYield]:
    """Return the yield of each generator: a kill belongs to the generator of the case."""
    log = store.of(found.id)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    seconds: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    made_by = {case.id: case.origin.generator for case in log.cases()}
    own = {case.id for case in log.cases() if case.sample}
    for case in log.cases():
        mine = counts[case.origin.generator]
        mine.update(proposed=1, valid=case.state in _VALID, cases=case.state is CaseState.READY)
    for each in found.killed:
        killing = each.killed_by(found.ready)
        counts[made_by[min(killing)]]["first_kills"] += 1
        for number in killing:
            counts[made_by[number]]["kills"] += 1
    for (_, number), stored in log.verdicts().items():
        if number not in own:
            seconds[made_by[number]]["cpu_s"] += stored.time_s
    for number, ran_s in store.leases.seconds_by_case(log.problem).items():
        if number in made_by:
            seconds[made_by[number]]["run_s"] += ran_s
    for name, asked in (each for batch in log.batches() for each in batch.items()):
        seconds[name]["asked_s"] += asked.seconds
        seconds[name]["cpu_s"] += asked.cpu_s
    return [
        GeneratorYield(name, *(counts[name][each] for each in _COUNTS), *(seconds[name][each] for each in _TIMES))
        for name in sorted({*counts, *seconds})
    ]


def _pool(session: Session, leases: int) -> PoolStats:
    """Return the pool's counters at the end of a session; without details if the session was killed."""
    if session.pool is not None:
        return PoolStats.from_dict(session.pool)
    return PoolStats.of([], strategy=session.strategy, acquired=leases, timed_out=0, waiting=0, waits=WaitHistogram())


def problem_result(store: Store, roster: Roster) -> ProblemResult:
    problem, log = roster.id, store.of(roster.id)
    cases, verdicts, left_out = log.cases(), log.verdicts(), log.left_out
    used = [submission for submission in roster.submissions if submission.name not in left_out]
    unused = [
        each.accepted
        for each in roster.submissions
        if each.name in left_out and not left_out_for(left_out[each.name])  # languages are told for the whole run
    ]
    reasons = _why_unjudged(cases, verdicts.values())
    submissions = tuple(_submission_result(submission, cases, verdicts) for submission in used)
    return ProblemResult(
        id=problem,
        name=roster.name,
        cases=tuple(
            CaseResult(
                case.id, case.origin, case.sample, case.state, len(case.data), case.round, case.note == NOT_ALL_RUN
            )
            for case in cases
            if case.state not in _UNUSED
        ),
        submissions=submissions,
        disagreements=tuple(
            Disagreement(case.id, case.origin, submission.name, stored.verdict, stored.note)
            for case in cases
            if case.state is CaseState.CONTESTED
            for submission in roster.submissions
            if (stored := verdicts.get((submission.name, case.id)))
            and (
                stored.verdict is Verdict.JUDGE_ERROR
                or (submission.accepted and submission in used and stored.verdict.kills)
            )
        ),
        invalid=sum(case.state is CaseState.INVALID for case in cases),
        unchecked=sum(case.state is CaseState.UNCHECKED for case in cases),
        troubles=tuple(log.troubles),
        left_out={**roster.left_out, **left_out},
        accepted_left_out=unused.count(True),
        wrong_left_out=unused.count(False),
        notes=(
            *log.notes(),
            *([log.why_put_off] if log.why_put_off else ()),
            *(f"unjudged, {times} x: {reason}" for reason, times in list(reasons.items())[:1]),
            *(
                f"its own input {case.origin.detail} is not used: {case.note}"
                for case in cases
                if case.sample and case.state in (CaseState.INVALID, CaseState.UNCHECKED)
            ),
            *_why_unchecked(cases),
            *_judge_error_words(cases, verdicts.values()),
            *_limit_words(log.limit_s),
            *(
                f"accepted {each.name} meets the time limit on {len(each.abstained)} made-up cases on which others"
                " agree, and abstains there"
                for each in submissions
                if each.abstained
            ),
            *_not_asked_words(submissions),
        ),
        reasons=reasons,
        rounds=log.rounds,
        spent_s=log.spent_s,
    )


def _limit_words(scaled_s: float | None) -> list[str]:
    """Return a line on a time limit that was scaled; none if the problem's own holds."""
    words = "its time limit is {:g} s here: accepted submissions take more than its own on its own data"
    return [] if scaled_s is None else [words.format(scaled_s)]


def _why_unchecked(cases: Sequence[StoredCase]) -> list[str]:
    """Return a line on the unchecked made-up inputs, with the most frequent reason; none if there are none."""
    why = Counter(case.note for case in cases if case.state is CaseState.UNCHECKED and not case.sample)
    return [f"{why.total()} made-up inputs are neither valid nor refused: {why.most_common(1)[0][0]}"] if why else []


def _judge_error_words(cases: Sequence[StoredCase], verdicts: Iterable[StoredVerdict]) -> list[str]:
    """Return a line on judge errors on cases that count; none if there are none."""
    ready = {case.id: case.origin.detail for case in cases if case.state is CaseState.READY}
    found = [each for each in verdicts if each.verdict is Verdict.JUDGE_ERROR and each.case in ready]
    if not found:
        return []
    first = min(found, key=lambda each: (each.case, each.submission))
    more = f"; so it is {len(found) - 1} times more" if len(found) > 1 else ""
    return [f"judge error: {first.submission} on its own {ready[first.case]}: {first.note}{more}"]


def _why_unjudged(cases: Sequence[StoredCase], verdicts: Iterable[StoredVerdict]) -> dict[str, int]:
    """Return the reasons for unjudged cases and verdicts, with their counts, the most frequent first."""
    reasons = Counter(case.note for case in cases if case.state is CaseState.UNJUDGED and case.note)
    reasons.update(stored.note for stored in verdicts if stored.verdict is Verdict.UNJUDGED)
    return dict(reasons.most_common())


def _not_asked_words(submissions: Sequence[SubmissionResult]) -> list[str]:
    killing = {case for each in submissions if not each.accepted for case, says in each.verdicts.items() if says.kills}
    left = killing & {case for each in submissions for case in each.not_asked}
    spared = sum(bool(each.not_asked) for each in submissions)
    words = "1 accepted submission" if spared == 1 else f"{spared} accepted submissions"
    line = f"{words} did not run on all made-up cases: with a time budget, a jury of some agrees on a case first"
    if left:
        line += f"; there was no time to ask all of them about {len(left)} of the cases that kill"
    return [line] if spared else []


def _submission_result(
    submission: RosterEntry, cases: Sequence[StoredCase], verdicts: dict[tuple[str, int], StoredVerdict]
) -> SubmissionResult:
    ready = {case.id: case for case in cases if case.state is CaseState.READY}
    stored = {case: verdicts[submission.name, case] for case in ready if (submission.name, case) in verdicts}
    abstained = frozenset(
        case
        for case, each in stored.items()
        if submission.accepted and each.verdict is Verdict.TIME_LIMIT and not ready[case].sample
    )
    return SubmissionResult(
        name=submission.name,
        accepted=submission.accepted,
        expected=submission.expected,
        verdicts={case: stored[case].verdict for case in stored if case not in abstained},
        times_s={case: stored[case].time_s for case in stored},
        abstained=abstained,
        not_asked=frozenset(
            number for number in ready.keys() - stored.keys() if submission.accepted and not ready[number].sample
        ),
    )
