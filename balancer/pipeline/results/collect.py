"""Result collection: builds the `RunResult` for reports from the store. It only reads.

Decides which of many problems are shown in detail: those with the most survivors.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from balancer.core.metrics import PoolStats, WaitHistogram
from balancer.judging.calls import called_source
from balancer.pipeline.results.problem_log import ProblemLog, StoredCase, StoredVerdict
from balancer.pipeline.results.problem_result import (
    NOT_ALL_RUN,
    CaseResult,
    CaseState,
    Disagreement,
    ProblemResult,
    SubmissionResult,
)
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Roster, RosterEntry, Session, Store
from balancer.pipeline.results.tally import GeneratorYield, ProblemTally, left_out_for, scores_of, totals_of
from balancer.problem import Problem, Verdict
from balancer.program import Program

__all__ = ["MOST_DETAILED", "collect", "problem_result", "settle"]

MOST_DETAILED = 40  # for rows of a data set; packages are all shown in detail
_MOST_LEFT_OUT = 100

_VALID = (CaseState.VALID, CaseState.CONTESTED, CaseState.READY, CaseState.REPLACED)
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
    totals = totals_of(_settled(store))
    most = None if most is not None and totals.problems <= most else most  # with few problems, all keep their own order
    found = tuple(problem_result(store, roster) for roster in store.problems.rosters(most_survivors=most))
    rows_left_out, left_out_rows = store.problems.left_out_rows(_MOST_LEFT_OUT)
    return RunResult(
        problems=found,
        pool=_pool(last, sum(each.leases for each in work.endpoints.values())),
        slots=last.slots,
        makespan_s=work.ended_s - work.started_s,
        strategy=last.strategy,
        complete=bool(ended) and sessions[-1].complete and totals.counts["judged"] > 0,
        sessions=len(worked) or 1,
        all_problems=totals,
        work=work,
        scores=scores_of(totals.courses, store.answers.spent()),
        rows_left_out=rows_left_out,
        left_out_rows=tuple(left_out_rows),
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
        _tally(store, found, _limit_s(store, problem)),
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


def _settled(store: Store) -> Iterator[ProblemTally]:
    yield from store.problems.settled()
    for roster in store.problems.rosters(unsettled=True):  # those that the end of a session interrupted
        yield _tally(store, problem_result(store, roster))
        store.forget(roster.id)


def _tally(store: Store, found: ProblemResult, limit_s: float = 0.0) -> ProblemTally:
    """Return the figures of a problem. A kill belongs to the generator of the case."""
    log, by = store.of(found.id), dict[str, GeneratorYield]()

    def of(generator: str) -> GeneratorYield:
        return by.setdefault(generator, GeneratorYield(generator))

    cases = {case.id: case for case in log.cases()}
    made_by = {number: case.origin.generator for number, case in cases.items()}
    for case in cases.values():
        mine = of(case.origin.generator)
        mine.proposed += 1
        mine.valid += case.state in _VALID
        mine.cases += case.state is CaseState.READY
    for each in found.killed:
        killing = each.killed_by(found.ready)
        of(made_by[min(killing)]).first_kills += 1
        for number in killing:
            of(made_by[number]).kills += 1
    for (_, number), stored in log.verdicts().items():
        of(made_by[number]).cpu_s += 0.0 if cases[number].sample else stored.time_s
    for number, ran_s in store.leases.seconds_by_case(log.problem).items():
        if number in made_by:
            of(made_by[number]).run_s += ran_s
    for name, asked in (each for batch in log.batches() for each in batch.items()):
        of(name).asked_s += asked.seconds
        of(name).cpu_s += asked.cpu_s
    return replace(found.tally(), limit_s=limit_s, brought=tuple(by[name] for name in sorted(by)))


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
    why = Counter(case.note for case in cases if case.state is CaseState.UNJUDGED and case.note)
    why.update(stored.note for stored in verdicts.values() if stored.verdict is Verdict.UNJUDGED)
    reasons = dict(why.most_common())
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
        notes=tuple(_notes(log, submissions, reasons)),
        reasons=reasons,
        rounds=log.rounds,
        spent_s=log.spent_s,
    )


def _notes(log: ProblemLog, submissions: Sequence[SubmissionResult], reasons: Mapping[str, int]) -> Iterator[str]:
    """Yield the notes for a person, one line each."""
    cases = log.cases()
    yield from log.notes()
    if log.why_put_off:
        yield log.why_put_off
    for reason, times in list(reasons.items())[:1]:
        yield f"unjudged, {times} x: {reason}"
    for case in cases:
        if case.sample and case.state in (CaseState.INVALID, CaseState.UNCHECKED):
            yield f"its own input {case.origin.detail} is not used: {case.note}"
    why = Counter(case.note for case in cases if case.state is CaseState.UNCHECKED and not case.sample)
    if why:
        yield f"{why.total()} made-up inputs are neither valid nor refused: {why.most_common(1)[0][0]}"
    ready = {case.id: case.origin.detail for case in cases if case.state is CaseState.READY}
    errors = [each for each in log.verdicts().values() if each.verdict is Verdict.JUDGE_ERROR and each.case in ready]
    if errors:
        first = min(errors, key=lambda each: (each.case, each.submission))
        more = f"; so it is {len(errors) - 1} times more" if len(errors) > 1 else ""
        yield f"judge error: {first.submission} on its own {ready[first.case]}: {first.note}{more}"
    if log.limit_s is not None:
        limit = f"its time limit is {log.limit_s:g} s here"
        yield f"{limit}: accepted submissions take more than its own on its own data"
    for each in submissions:
        if each.abstained:
            met = f"accepted {each.name} meets the time limit on {len(each.abstained)} made-up cases"
            yield f"{met} on which others agree, and abstains there"
    spared = sum(bool(each.not_asked) for each in submissions)
    if spared:
        killing = {case for each in submissions if not each.accepted for case, v in each.verdicts.items() if v.kills}
        left = killing & {case for each in submissions for case in each.not_asked}
        words = "1 accepted submission" if spared == 1 else f"{spared} accepted submissions"
        line = f"{words} did not run on all made-up cases: with a time budget, a jury of some agrees on a case first"
        late = f"; there was no time to ask all of them about {len(left)} of the cases that kill"
        yield line + (late if left else "")


def _submission_result(
    submission: RosterEntry, cases: Sequence[StoredCase], verdicts: dict[tuple[str, int], StoredVerdict]
) -> SubmissionResult:
    ready = {case.id: case for case in cases if case.state is CaseState.READY}
    stored = {case: verdicts[submission.name, case] for case in ready if (submission.name, case) in verdicts}
    accepted, made_up = submission.accepted, {number for number, case in ready.items() if not case.sample}
    abstained = {case for case, each in stored.items() if accepted and each.verdict is Verdict.TIME_LIMIT} & made_up
    return SubmissionResult(
        name=submission.name,
        accepted=accepted,
        expected=submission.expected,
        verdicts={case: each.verdict for case, each in stored.items() if case not in abstained},
        times_s={case: each.time_s for case, each in stored.items()},
        abstained=frozenset(abstained),
        not_asked=frozenset(made_up - stored.keys() if accepted else ()),
    )
