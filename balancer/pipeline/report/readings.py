"""What a person reads in a report: survivors and contested cases, with their sources and inputs.

The only module of the report that asks the store for its problems, beside `export`. Decides how much of them is shown.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from itertools import islice

from balancer.pipeline.generators.draw.largest import SHORTFALL
from balancer.pipeline.results.run_result import (
    CaseState,
    ContestedReading,
    NearCase,
    ProblemResult,
    RunResult,
    SurvivorReading,
)
from balancer.pipeline.results.store import Store

__all__ = ["with_readings"]

_MOST = 30
_MOST_OF_A_PROBLEM = 5
_NEAREST = 3
_MOST_SOURCE = 4000  # characters
_MOST_TEXT = 600  # characters of an input or an answer


def with_readings(store: Store, result: RunResult) -> RunResult:
    """Return the result with some of its survivors and contested cases, to be read."""
    problems = result.problems
    return replace(
        result,
        readings=tuple(islice((each for problem in problems for each in _survivors(store, problem)), _MOST)),
        contested=tuple(islice((each for problem in problems for each in _contested(store, problem)), _MOST)),
    )


def _survivors(store: Store, problem: ProblemResult) -> Iterator[SurvivorReading]:
    survivors = {each.name: each for each in problem.survivors}
    programs = [each for each in store.problems.surviving(problem.id) if each.name in survivors]
    if not programs:
        return
    tally = store.problems.tally(problem.id)
    rejects = _rejects(problem)
    chosen = sorted(rejects, key=lambda case: (-len(rejects[case]), case))[:_NEAREST]
    nearest = _as_read(store, problem, chosen)
    largest = max(problem.ready, key=lambda case: case.size)
    for program in programs[:_MOST_OF_A_PROBLEM]:
        times_s = survivors[program.name].times_s
        slowest = max(times_s, key=lambda case: times_s[case], default=largest.id)
        inputs: defaultdict[int, list[str]] = defaultdict(list)
        for case, what in ((largest.id, "largest"), (slowest, "slowest"), *((each, "nearest") for each in chosen)):
            inputs[case].append(what)
        yield SurvivorReading(
            problem.id,
            program.name,
            program.language,
            _cut(program.source, _MOST_SOURCE),
            nearest,
            passed=len(problem.ready),
            replaced=sum(case.state is CaseState.REPLACED for case in problem.cases),
            slowest_s=times_s.get(slowest, 0.0),
            limit_s=tally.limit_s if tally else 0.0,
            largest=largest.size,
            shortfall=next((line for line in problem.notes if line.startswith(SHORTFALL)), ""),
            inputs=tuple((", ".join(what), case) for case, what in inputs.items()),
        )


def _contested(store: Store, problem: ProblemResult) -> Iterator[ContestedReading]:
    chosen = [case.id for case in problem.cases if case.state is CaseState.CONTESTED][:_MOST_OF_A_PROBLEM]
    if not chosen:
        return
    verdicts = store.of(problem.id).verdicts()
    disputed = {each.submission for each in problem.disagreements}
    voices = {each.name for each in problem.accepted} | disputed
    for case in _as_read(store, problem, chosen):
        said = (each for (name, number), each in verdicts.items() if number == case.id and name in voices)
        says = ((each.submission, each.note or each.verdict.value.replace("_", " ")) for each in said)
        yield ContestedReading(problem.id, case, tuple(says))


def _as_read(store: Store, problem: ProblemResult, chosen: Collection[int]) -> tuple[NearCase, ...]:
    """Return these cases of a problem, as far as a reader sees them, in this order."""
    if not chosen:
        return ()
    rejects = _rejects(problem)
    stored = {case.id: case for case in store.of(problem.id).cases() if case.id in chosen}
    return tuple(
        NearCase(
            case, stored[case].origin, _text(stored[case].data), _text(stored[case].answer or b""), tuple(rejects[case])
        )
        for case in chosen
    )


def _rejects(problem: ProblemResult) -> Mapping[int, list[str]]:
    """Return the wrong submissions that each case rejects."""
    rejects: defaultdict[int, list[str]] = defaultdict(list)
    for submission in problem.wrong:
        for case in submission.killed_by(problem.ready):
            rejects[case].append(submission.name)
    return rejects


def _text(data: bytes) -> str:
    return _cut(data[: _MOST_TEXT * 4].decode(errors="replace"), _MOST_TEXT)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\n... (cut)"
