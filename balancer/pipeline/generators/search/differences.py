"""Differential testing: runs accepted submissions and survivors on small inputs, and keeps those that differ.

A find is an input that every validator accepts, on which the accepted submissions agree, and on which a survivor, run
again alone, fails. A failure of the infrastructure is no difference.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from balancer.judging.verdict import judge_end
from balancer.pipeline.proposing import Comparer
from balancer.problem import Submission
from balancer.program import Execution, Status

__all__ = [
    "Find",
    "InputSource",
    "MadeInput",
    "SearchBatch",
    "SearchBudget",
    "confirmed",
    "finds",
    "quick_first",
]


@dataclass(frozen=True, slots=True)
class MadeInput:
    """An input that was made up.

    Attributes:
        kind: the way it was made, for the source.
        detail: for people.
        data: the input.
    """

    kind: str
    detail: str
    data: bytes


class InputSource(Protocol):
    """Source of the inputs of a search."""

    def batch(self) -> list[MadeInput]:
        """Return the next inputs, each once; empty when there are no more."""
        ...

    def heard(self, made: Sequence[MadeInput], valid: Sequence[bool | None]) -> None:
        """Receive which inputs of a batch are valid; None: not known."""
        ...

    def answered(self, answers: Sequence[tuple[MadeInput, bytes]]) -> None:
        """Receive what an accepted submission answers to the valid inputs of a batch."""
        ...


class SearchBudget:
    """What a search may still spend.

    Args:
        comparer: counts the runs.
        seconds, runs: from now on.
        clock: seconds.
    """

    def __init__(self, comparer: Comparer, seconds: float, runs: int, clock: Callable[[], float]) -> None:
        self._comparer = comparer
        self._clock = clock
        self._until_s = clock() + seconds
        self._runs = comparer.runs + runs

    @property
    def left(self) -> bool:
        """Whether there are time and runs left."""
        return self._clock() < self._until_s and self._comparer.runs < self._runs

    def turns(self, found: "Iterable[Find | None]", most: int) -> "Iterator[Find | None]":
        """Yield what is found, at most so many finds. What happens between two of them is not counted."""
        for find in found:
            most -= find is not None
            if most < 0:
                return
            began_s, runs = self._clock(), self._comparer.runs
            yield find
            self._until_s += self._clock() - began_s
            self._runs += self._comparer.runs - runs


_FIRST_PART = 25  # inputs that are run first, as long as it is not known what an input costs
_PART_S = 2.0  # CPU seconds for the inputs that are run together, by all programs
_MOST_CONFIRMED = 8  # inputs of a batch that are checked more closely
_MOST_RIGHT = 6  # accepted submissions that must agree
_QUICK = frozenset({"cpp", "c"})


@dataclass(frozen=True, slots=True)
class Find:
    """An input that separates survivors from right submissions, and their names."""

    made: MadeInput
    names: tuple[str, ...]


@dataclass(slots=True)
class SearchBatch:
    """Valid inputs of a batch.

    Attributes:
        waiting: those that were not run yet.
        answered: those that were, with the answer of an accepted submission.
    """

    waiting: list[MadeInput] = field(default_factory=list)
    answered: list[tuple[MadeInput, bytes]] = field(default_factory=list)

    def begin(self, source: InputSource, made: Sequence[MadeInput], valid: Sequence[bool | None]) -> None:
        """Take the valid inputs of a new batch, and tell the source which they are."""
        source.heard(made, valid)
        self.waiting = [each for each, says in zip(made, valid, strict=True) if says]
        self.answered = []

    def take(self, most: int) -> list[MadeInput]:
        """Remove and return the next inputs."""
        part, self.waiting = self.waiting[:most], self.waiting[most:]
        return part


def finds(
    comparer: Comparer,
    source: InputSource,
    survivors: Iterable[Submission],
    allowance: SearchBudget,
    done: Set[str] = frozenset(),
    batch: "SearchBatch | None" = None,
) -> Iterator[Find | None]:
    """Yield finds until each survivor has one, there are no more inputs, or the allowance is used up.

    Yields None after each part of a batch. `done`: names of survivors for which others have found one, up to now.
    `batch`: of an earlier search with this source, to be continued. The order of the inputs depends on no time.
    """
    left = {survivor.name: survivor for survivor in survivors}
    now, size = batch or SearchBatch(), _FIRST_PART
    while left and allowance.left and comparer.accepted:
        if not now.waiting:
            source.answered(now.answered)
            made = source.batch()
            if not made:
                return
            now.begin(source, made, comparer.valid([each.data for each in made]))
        else:
            part = now.take(size)
            answers, spent_s = _answers(comparer, quick_first(comparer.accepted)[0], part)
            now.answered += answers
            found = _all_differences(comparer, list(left.values()), answers, allowance)
            different = {name: places for name, (places, _) in found.items()}
            spent_s += sum(its_s for _, its_s in found.values())
            size = max(1, int(_PART_S * len(part) / max(spent_s, 1e-3)))
            for find in _confirmed(comparer, answers, different, left):
                for name in find.names:
                    left.pop(name, None)
                yield find
        yield None
        for name in done & left.keys():
            del left[name]


def _answers(
    comparer: Comparer, submission: Submission, part: Sequence[MadeInput]
) -> tuple[list[tuple[MadeInput, bytes]], float]:
    """Return what a submission answers to the inputs on which it does not fail, and its CPU seconds."""
    ended = comparer.answers(submission, [made.data for made in part])
    answers = [
        (made, execution.stdout)
        for made, execution in zip(part, ended, strict=True)
        if execution is not None and judge_end(execution) is None
    ]
    return answers, _seconds(ended)


def _seconds(ended: Sequence[Execution | None]) -> float:
    return sum(execution.time_s for execution in ended if execution is not None)


def _confirmed(
    comparer: Comparer,
    answered: Sequence[tuple[MadeInput, bytes]],
    different: Mapping[str, set[int]],
    left: Mapping[str, Submission],
) -> Iterator[Find]:
    for index in _most_telling(different, answered):
        made, answer = answered[index]
        suspects = [left[name] for name, places in different.items() if index in places and name in left]
        names = confirmed(comparer, made.data, answer, suspects) if suspects else ()
        if names:
            yield Find(made, names)


def quick_first(accepted: Sequence[Submission]) -> list[Submission]:
    """Return the accepted submissions, those first that start quickly: until there is a find, one is enough."""
    return sorted(accepted, key=lambda each: each.program.language not in _QUICK)


def _all_differences(
    comparer: Comparer,
    survivors: Sequence[Submission],
    answered: Sequence[tuple[MadeInput, bytes]],
    allowance: SearchBudget,
) -> dict[str, tuple[set[int], float]]:
    """Return by name what `_differences` says of the survivors, some of which run at once."""
    found: dict[str, tuple[set[int], float]] = {}

    def look(survivor: Submission) -> None:
        if allowance.left:
            found[survivor.name] = _differences(comparer, survivor, answered)

    comparer.each(look, survivors)
    return {each.name: found[each.name] for each in survivors if each.name in found}


def _differences(
    comparer: Comparer, survivor: Submission, answered: Sequence[tuple[MadeInput, bytes]]
) -> tuple[set[int], float]:
    """Return the indices of the inputs on which `survivor` would not be accepted, and its CPU seconds."""
    ended = comparer.answers(survivor, [made.data for made, _ in answered])
    unlike: list[tuple[int, Execution]] = [
        (index, execution)
        for index, (execution, (_, answer)) in enumerate(zip(ended, answered, strict=True))
        if execution is not None and not (judge_end(execution) is None and execution.stdout == answer)
    ]
    right = comparer.right([(answered[index][0].data, execution, answered[index][1]) for index, execution in unlike])
    return {index for (index, _), says in zip(unlike, right, strict=True) if says is False}, _seconds(ended)


def _most_telling(different: Mapping[str, set[int]], answered: Sequence[tuple[MadeInput, bytes]]) -> list[int]:
    """Return the indices to check more closely: those that reject many survivors first; of equals, the shortest."""
    told: dict[int, int] = {}
    for places in different.values():
        for index in places:
            told[index] = told.get(index, 0) + 1
    order = sorted(told, key=lambda index: (-told[index], len(answered[index][0].data), index))
    chosen = order[:_MOST_CONFIRMED]
    # The shortest input for each survivor is included, even if few inputs reject it.
    for places in different.values():
        chosen += sorted(places, key=lambda index: (len(answered[index][0].data), index))[:2]
    return list(dict.fromkeys(chosen))


def confirmed(comparer: Comparer, data: bytes, answer: bytes, suspects: Sequence[Submission]) -> tuple[str, ...]:
    """Return the names of `suspects` that fail on `data`, each run alone; none if accepted submissions disagree.

    Accepted ones that meet the time limit abstain, at most half of them.
    """
    others = comparer.accepted[:_MOST_RIGHT]
    late: list[Submission] = []
    against: list[Submission] = []

    def agree(other: Submission) -> None:
        if not against:
            execution = comparer.measured(other, data)
            if execution is not None and execution.status is Status.TIME_LIMIT:
                late.append(other)
            elif execution is None or comparer.right([(data, execution, answer)])[0] is not True:
                against.append(other)

    comparer.each(agree, others)
    if against or len(late) > len(others) // 2:
        return ()
    failed: set[str] = set()

    def fail(suspect: Submission) -> None:
        if _is_right(comparer, suspect, data, answer) is False:
            failed.add(suspect.name)

    comparer.each(fail, suspects)
    return tuple(each.name for each in suspects if each.name in failed)


def _is_right(comparer: Comparer, submission: Submission, data: bytes, answer: bytes) -> bool | None:
    execution = comparer.measured(submission, data)
    return None if execution is None else comparer.right([(data, execution, answer)])[0]
