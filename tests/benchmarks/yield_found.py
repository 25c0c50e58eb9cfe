"""What a package's own data kills, and what made-up inputs kill of it: figures from results of the pipeline.

Decides what counts as killed by samples, by own data and by made-up inputs, and why a survivor survived. Pure; how runs
are made, and how tables look, is for others.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from balancer.judging.pending import RunStage, Span
from balancer.pipeline.generators.search.largest import SHORTFALL
from balancer.pipeline.results.problem_result import CaseResult, CaseState, ProblemResult, SubmissionResult
from balancer.pipeline.results.run_result import GeneratorYield
from balancer.problem import Verdict

__all__ = ["CAUSES", "Kill", "MadeUp", "Own", "Sum", "Survivor", "look_at_made_up", "look_at_own", "sum_of"]

NO_LARGE, CONTESTED, RELATION, CORNER, SLOW_ONLY, NOT_JUDGED = CAUSES = (
    "no large input",  # it is slow, and no valid input is within a factor of two of the largest bounds
    "contested by one",  # one accepted submission alone contests as many inputs as became cases
    "relation",  # as many inputs are refused as became cases
    "rare corner",  # enough inputs became cases, and it never differed
    "slow only",  # it is slow, and was fast enough on the large inputs that became cases
    "not judged",  # the infrastructure failed, or there was no time
)
_SLOW = ("time_limit_exceeded", "time_limit")
_SAMPLES = "samples"
_BECAME_CASES = (CaseState.READY, CaseState.REPLACED)  # those without a kill make room in each later round


@dataclass(frozen=True, slots=True)
class Own:
    """What a package's own data says.

    Attributes:
        accepted: how many of them count; `wrong`: names of those that count.
        by_samples, by_all: names of the wrong ones that data/sample kills, and that all own data kills.
        failing: accepted submission -> why it fails the package's own data.
        unjudged: verdicts that the infrastructure prevented.
    """

    accepted: int
    wrong: tuple[str, ...]
    by_samples: frozenset[str]
    by_all: frozenset[str]
    failing: Mapping[str, str]
    unjudged: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Kill:
    """The first case, by number, that kills a wrong submission: who proposed it, and when its verdict was there."""

    submission: str
    generator: str
    detail: str
    size: int
    after_s: float


@dataclass(frozen=True, slots=True)
class Survivor:
    """A wrong submission that own data kills and made-up inputs do not, and why, as far as that can be told.

    `cause` is one of `CAUSES`, `reason` has its figures.
    """

    submission: str
    reason: str
    cause: str


@dataclass(frozen=True, slots=True)
class MadeUp:
    """What made-up inputs say, where the package has its samples only.

    Attributes:
        kills: of every wrong submission that is killed, by the samples as well.
        survivors: of those that own data kills.
        accepted, kept: accepted submissions that were judged, and those that no case kills.
        cases: made-up inputs that became a case, also if a later round replaced it; `refused`: inputs that a validator
            refused.
        contested, unjudged: inputs; verdicts.
        kept_by: generator -> made-up cases of it that kill somebody.
    """

    kills: tuple[Kill, ...]
    survivors: tuple[Survivor, ...]
    accepted: int
    kept: int
    cases: int
    refused: int
    contested: int
    unjudged: int
    seconds: float
    kept_by: Mapping[str, int] = field(default_factory=dict)
    spent_s: float = 0.0  # on made-up inputs, of the budget
    cpu_s: Mapping[str, float] = field(default_factory=dict)  # of each generator: what it ran, and runs on its inputs

    def to_dict(self) -> dict[str, Any]:
        """Return it as what JSON has."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Sum:
    """The figures of a table's row, of one package or of many; `hit`: killed by own data and by made-up inputs."""

    wrong: int = 0
    by_samples: int = 0
    by_own: int = 0
    by_made_up: int = 0
    hit: int = 0
    accepted: int = 0
    kept: int = 0
    cases: int = 0
    refused: int = 0
    contested: int = 0
    unjudged: int = 0
    seconds: float = 0.0
    spent_s: float = 0.0


def look_at_own(result: ProblemResult, seconds: float) -> Own:
    """Return what a run on all own data says."""
    samples = [case for case in result.before if case.origin.detail.startswith("sample/")]
    failing = {s.name: _verdict(s, result.ready) for s in result.rejected}
    for each in result.disagreements:
        if each.verdict.kills:
            failing[each.submission] = f"{each.verdict.value} on {each.origin.detail}"
    return Own(
        accepted=len(result.accepted),
        wrong=tuple(s.name for s in result.wrong),
        by_samples=frozenset(s.name for s in result.wrong if s.killed_by(samples)),
        by_all=frozenset(s.name for s in result.killed_before),
        failing=failing,
        unjudged=result.unjudged,
        seconds=seconds,
    )


def _verdict(submission: SubmissionResult, cases: Iterable[CaseResult]) -> str:
    case = next(case for case in cases if submission.verdicts.get(case.id, Verdict.ACCEPTED).kills)
    return f"{submission.verdicts[case.id].value} on {case.origin.detail}"


def look_at_made_up(
    result: ProblemResult,
    own: Own,
    spans: Iterable[Span],
    limit_s: float | None,
    seconds: float,
    brought: Iterable[GeneratorYield] = (),
) -> MadeUp:
    """Return what a run on made-up inputs says.

    Args:
        result, spans, brought: of the run, whose own data were the samples.
        own: what all own data of the package say.
        limit_s: seconds that a run may take, if the package says so.
        seconds: how long it took.
    """
    cases = {case.id: case for case in result.ready}
    made = [case for case in result.cases if not case.sample and case.state in _BECAME_CASES]
    ended = {(s.subject, s.case): s.ended_s for s in spans if s.stage is RunStage.VALIDATE_SOLUTION}
    kills = []
    for submission in result.wrong:
        killing = submission.killed_by(result.ready)
        if killing:
            first = cases[min(killing)]
            after_s = min((ended[submission.name, id] for id in killing if (submission.name, id) in ended), default=0.0)
            name = _SAMPLES if first.sample else first.origin.generator
            kills.append(Kill(submission.name, name, first.origin.detail, first.size, after_s))
    killed = {kill.submission for kill in kills}
    left = [s for s in result.wrong if s.name in own.by_all - killed]
    return MadeUp(
        kills=tuple(kills),
        survivors=tuple(Survivor(s.name, _reason(s, result, made, limit_s), _cause(s, result, made)) for s in left),
        accepted=len(result.accepted_judged),
        kept=len(result.kept),
        cases=len(made),
        refused=result.invalid,
        contested=sum(case.state is CaseState.CONTESTED for case in result.cases),
        unjudged=result.unjudged,
        seconds=seconds,
        kept_by=dict(Counter(case.origin.generator for case in result.killers if not case.sample)),
        spent_s=result.spent_s,
        cpu_s={each.generator: each.cpu_s for each in brought},
    )


def _cause(s: SubmissionResult, result: ProblemResult, made: list[CaseResult]) -> str:
    """Return what is most likely why it survives: the first cause that holds."""
    if made and not s.judged_on(result.ready):
        return NOT_JUDGED
    against = Counter(each.case for each in result.disagreements if each.verdict.kills)
    by_one = [case.size for case in result.cases if not case.sample and against[case.id] == 1]
    slow, sizes = s.expected in _SLOW, [case.size for case in made]
    if slow and by_one and max(by_one) > max(sizes, default=0):
        return CONTESTED
    if slow and any(line.startswith(SHORTFALL) for line in result.notes):
        return NO_LARGE
    if len(by_one) > len(made):
        return CONTESTED
    if result.invalid > len(made):
        return RELATION
    return SLOW_ONLY if slow else CORNER


def _reason(s: SubmissionResult, result: ProblemResult, made: list[CaseResult], limit_s: float | None) -> str:
    if not made:
        contested = sum(case.state is CaseState.CONTESTED for case in result.cases)
        return f"no made-up input became a case: {result.invalid} refused, {contested} contested"
    if not s.judged_on(result.ready):
        words = ", ".join(result.reasons) or "no reason given"
        return f"not judged on every case: {words}"
    if s.expected in _SLOW:
        slowest_s = max((s.times_s.get(case.id, 0.0) for case in made), default=0.0)
        share = f"{slowest_s / limit_s:.2f} of the limit" if limit_s else f"{slowest_s:.2f} s"
        return f"expected time_limit: its slowest run took {share}, in {len(made)} cases"
    return f"never differed in {len(made)} cases"


def sum_of(found: Iterable[tuple[Own, MadeUp]]) -> Sum:
    """Return the figures of several packages together."""
    total: Counter[str] = Counter()
    seconds = spent_s = 0.0
    for own, made in found:
        killed = {kill.submission for kill in made.kills}
        total.update(
            wrong=len(own.wrong),
            by_samples=len(own.by_samples),
            by_own=len(own.by_all),
            by_made_up=len(killed),
            hit=len(killed & own.by_all),
            accepted=made.accepted,
            kept=made.kept,
            cases=made.cases,
            refused=made.refused,
            contested=made.contested,
            unjudged=made.unjudged,
        )
        seconds += made.seconds
        spent_s += made.spent_s
    return Sum(**total, seconds=seconds, spent_s=spent_s)
