"""Surviving programs to be read, each beside the cases that came nearest to rejecting it.

Decides what nearest means: cases that reject most of the other wrong programs of the problem; and how much is shown.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.run_result import NearCase, SurvivorReading
from balancer.pipeline.results.store import Store

__all__ = ["readings_of"]

_MOST_READ = 30
_MOST_OF_A_PROBLEM = 5
_NEAREST = 3
_MOST_SOURCE = 4000  # characters
_MOST_TEXT = 600


def readings_of(store: Store, problems: Iterable[ProblemResult]) -> tuple[SurvivorReading, ...]:
    """Return the first survivors of `problems`, with what a person needs to read them."""
    return tuple(islice((reading for problem in problems for reading in _of(store, problem)), _MOST_READ))


def _of(store: Store, problem: ProblemResult) -> Iterator[SurvivorReading]:
    survivors = {each.name for each in problem.survivors}
    programs = [each for each in store.problems.surviving(problem.id) if each.name in survivors]
    if programs:
        nearest = _nearest(store, problem)
        for program in programs[:_MOST_OF_A_PROBLEM]:
            yield SurvivorReading(
                problem.id, program.name, program.language, _cut(program.source, _MOST_SOURCE), nearest
            )


def _nearest(store: Store, problem: ProblemResult) -> tuple[NearCase, ...]:
    rejects: defaultdict[int, list[str]] = defaultdict(list)
    for submission in problem.wrong:
        for case in submission.killed_by(problem.ready):
            rejects[case].append(submission.name)
    most = Counter({case: len(names) for case, names in rejects.items()}).most_common()
    chosen = [case for case, _ in sorted(most, key=lambda each: (-each[1], each[0]))[:_NEAREST]]
    stored = {case.id: case for case in store.cases(problem.id) if case.id in chosen}
    return tuple(
        NearCase(
            case,
            stored[case].origin,
            _cut(stored[case].data[: _MOST_TEXT * 4].decode(errors="replace"), _MOST_TEXT),
            _cut((stored[case].answer or b"")[: _MOST_TEXT * 4].decode(errors="replace"), _MOST_TEXT),
            tuple(rejects[case]),
        )
        for case in chosen
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}\n... (cut)"
