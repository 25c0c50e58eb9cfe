"""From what the store holds to the `RunResult` that reports are made from. Reads, decides nothing."""

from collections import Counter
from collections.abc import Iterable, Sequence

from balancer.core.metrics import PoolStats
from balancer.pipeline.results.records import (
    CaseResult,
    CaseState,
    Disagreement,
    ProblemResult,
    RunResult,
    SubmissionResult,
)
from balancer.pipeline.results.store import Store, StoredCase, StoredVerdict
from balancer.problem import Problem, Submission, Verdict

__all__ = ["collect"]

_UNUSED = (CaseState.INVALID, CaseState.PROPOSED, CaseState.SPARE)


def collect(store: Store, problems: Sequence[Problem]) -> RunResult:
    """Return what is known of `problems`, and the figures of the last session that ran programs."""
    spans_of = {session.id: store.spans(session.id) for session in store.sessions()}
    worked = [session for session in store.sessions() if spans_of[session.id]]  # also one that was killed
    ended = [session for session in store.sessions() if session.pool is not None]
    last = next((session for session in reversed(ended) if spans_of[session.id]), ended[-1])
    spans = spans_of[last.id]
    found = tuple(_problem_result(store, problem) for problem in problems)
    return RunResult(
        problems=found,
        pool=PoolStats.from_dict(last.pool or {}),
        slots=last.slots,
        makespan_s=max((s.ended_s for s in spans), default=0.0) - min((s.started_s for s in spans), default=0.0),
        spans=tuple(spans),
        strategy=last.strategy,
        complete=ended[-1].complete and any(problem.judged for problem in found),
        sessions=len(worked) or 1,
    )


def _problem_result(store: Store, problem: Problem) -> ProblemResult:
    cases = store.cases(problem.id)
    verdicts = store.verdicts(problem.id)
    left_out = store.left_out(problem.id)
    used = [submission for submission in problem.submissions if submission.name not in left_out]
    reasons = _why_unjudged(cases, verdicts.values())
    return ProblemResult(
        id=problem.id,
        name=problem.name,
        cases=tuple(
            CaseResult(case.id, case.origin, case.sample, case.state, len(case.data))
            for case in cases
            if case.state not in _UNUSED
        ),
        submissions=tuple(_submission_result(submission, cases, verdicts) for submission in used),
        disagreements=tuple(
            Disagreement(case.id, case.origin, submission.name, stored.verdict, stored.note)
            for case in cases
            if case.state is CaseState.CONTESTED
            for submission in used
            if submission.accepted and (stored := verdicts.get((submission.name, case.id))) and stored.verdict.kills
        ),
        invalid=sum(case.state is CaseState.INVALID for case in cases),
        left_out={**problem.left_out, **left_out},
        notes=(
            *store.rounds.notes(problem.id),
            *store.rounds.why_put_off(problem.id),
            *(f"unjudged, {times} x: {reason}" for reason, times in list(reasons.items())[:1]),
            *(
                f"its own input {case.origin.detail} is not used: {case.note}"
                for case in cases
                if case.sample and case.state is CaseState.INVALID
            ),
        ),
        reasons=reasons,
    )


def _why_unjudged(cases: Sequence[StoredCase], verdicts: Iterable[StoredVerdict]) -> dict[str, int]:
    """Return the reasons why something is unjudged and how often each, the most frequent first."""
    reasons = Counter(case.note for case in cases if case.state is CaseState.UNJUDGED and case.note)
    reasons.update(stored.note for stored in verdicts if stored.verdict is Verdict.UNJUDGED)
    return dict(reasons.most_common())


def _submission_result(
    submission: Submission, cases: Sequence[StoredCase], verdicts: dict[tuple[str, int], StoredVerdict]
) -> SubmissionResult:
    ready = [case.id for case in cases if case.state is CaseState.READY]
    stored = {case: verdicts[submission.name, case] for case in ready if (submission.name, case) in verdicts}
    return SubmissionResult(
        name=submission.name,
        accepted=submission.accepted,
        expected=submission.expected,
        verdicts={case: stored[case].verdict for case in stored},
        times_s={case: stored[case].time_s for case in stored},
    )
