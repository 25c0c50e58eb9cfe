"""Generator `mutate`: inputs made from the known ones, changed or made up in the same format.

Decides only the order: corner cases, small random inputs, changes and large inputs in turn, so that a small budget has
some of each. `learn` gathers the common format. Inputs without one are changed as text. Inputs that are arguments of a
call are drawn by their types. Every input is proposed once, and never a known one.
"""

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import ClassVar

from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.generators.draw.arguments import drawn_arguments
from balancer.pipeline.generators.draw.largest import within_refusals
from balancer.pipeline.generators.draw.styles import (
    ONE_TIME,
    large_styles,
    small_styles,
    stream_of,
    style_of,
    telling_styles,
    without,
)
from balancer.pipeline.generators.learn.knowledge import Knowledge, knowledge_of
from balancer.pipeline.generators.learn.program_constants import constants_of
from balancer.pipeline.generators.write.build import build_changed, build_styled
from balancer.pipeline.generators.write.changes import changes, set_constants, text_changes
from balancer.pipeline.proposing import Feedback, UnusedInput, ValidatorFeedback
from balancer.problem import Origin, Problem, Proposal

__all__ = ["MutateGenerator", "balancer_generators"]

# One round: the stream of each proposal. Slow programs need large inputs, early. Small and random inputs
# kill most of the others.
_ROUND = (
    *("telling", "large", "small", "change", "large", "telling"),
    *("small", "small", "large", "change"),
)
_SHARES = {
    "telling": 2,
    "large": 3,
    "small": 3,
    "change": 2,
    "constants": 1,
}  # once the validators have answered
_REPEATS = 300  # repeated inputs in a row, after which there are no new ones

_Made = tuple[str, bytes]


class MutateGenerator:
    """Propose changed and made-up inputs. It keeps no state between problems."""

    name: ClassVar[str] = "mutate"

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` new inputs, lazily. The same problem and state of `rng` give the same inputs."""
        known = [proposal.data for proposal in problem.data]
        return self._proposals(_scheduled(problem, known, rng), known, budget)

    def refine(self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` further inputs, with the feedback on the first ones.

        Inputs that rejected a submission count as known from now on: their format and ranges are learned too, and
        changes start from them.
        """
        telling = [Proposal(case.data, case.origin) for case in feedback.cases if case.rejected]
        wider = replace(problem, data=(*problem.data, *telling))
        valid = tuple(UnusedInput(case.origin, case.data, "") for case in feedback.cases)
        used = [each.data for each in (*valid, *feedback.failed, *feedback.disagreed, *feedback.refused)]
        heard = ValidatorFeedback(valid, feedback.refused)
        return self._proposals(_asked_again(wider, heard, rng), used, budget)

    def ask_again(
        self, problem: Problem, heard: ValidatorFeedback, rng: random.Random, budget: int
    ) -> Iterable[Proposal]:
        """Yield at most `budget` further inputs of the same round, with the validators' answers.

        Refused sizes are not proposed again. Streams with more valid inputs are used more often.
        """
        used = [proposal.data for proposal in problem.data]
        used += [each.data for each in (*heard.valid, *heard.refused)]
        return self._proposals(_asked_again(problem, heard, rng), used, budget)

    def _proposals(self, made: Iterable[_Made], known: Sequence[bytes], budget: int) -> Iterable[Proposal]:
        return (Proposal(data, Origin(self.name, detail)) for detail, data in islice(_new(made, known), max(budget, 0)))


@hookimpl
def balancer_generators() -> list[Generator]:
    """Return the generator of this module."""
    return [MutateGenerator()]


def _new(made: Iterable[_Made], known: Sequence[bytes]) -> Iterator[_Made]:
    """Yield each input once. Stop when no new ones come."""
    seen = {_digest(data) for data in known}
    repeats = 0
    for detail, data in made:
        digest = _digest(data)
        repeats = repeats + 1 if digest in seen else 0
        if repeats > _REPEATS:
            return
        if digest not in seen:
            seen.add(digest)
            yield detail, data


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _scheduled(problem: Problem, known: Sequence[bytes], rng: random.Random) -> Iterator[_Made]:
    """Yield inputs from all streams in turn, until all are empty."""
    if problem.function:
        yield from drawn_arguments(problem, known, rng)
        return
    found = knowledge_of(problem)
    if found is None:
        yield from text_changes(known, rng)
        return
    streams = _streams(problem, found, rng, frozenset())
    while streams:
        for name in (*_ROUND, "constants"):
            if name in streams:
                made = next(streams[name], None)
                if made is None:
                    del streams[name]
                else:
                    yield made


def _asked_again(problem: Problem, heard: ValidatorFeedback, rng: random.Random) -> Iterator[_Made]:
    if problem.function:
        yield from drawn_arguments(problem, _data_of(problem, heard), rng)
        return
    found = knowledge_of(problem, (each.data for each in heard.valid))
    if found is None:
        yield from text_changes(_data_of(problem, heard), rng)
        return
    first = knowledge_of(problem)
    if first is None or first.nodes != found.nodes:  # what was made before says nothing of styles and sizes
        heard = replace(heard, refused=())
    good = Counter(style_of(each.origin.detail) for each in heard.valid)
    bad = Counter(style_of(each.origin.detail) for each in heard.refused)
    found = within_refusals(
        found,
        [each.origin.detail for each in heard.valid],
        [(each.origin.detail, each.why) for each in heard.refused],
    )
    streams = _streams(problem, found, rng, frozenset(good))
    weights = {name: _SHARES[name] * _yield(name, good, bad) for name in streams}
    while streams:
        names = list(streams)
        name = rng.choices(names, [weights[each] for each in names])[0]
        made = next(streams[name], None)
        if made is None:
            del streams[name]
        else:
            yield made


def _data_of(problem: Problem, heard: ValidatorFeedback) -> list[bytes]:
    return [*(each.data for each in problem.data), *(each.data for each in heard.valid)]


def _yield(stream: str, good: Counter[str], bad: Counter[str]) -> float:
    """Return an estimate of a stream's share of valid inputs, from those so far. It is never 0 or 1."""
    right = sum(count for style, count in good.items() if stream_of(style) == stream)
    wrong = sum(count for style, count in bad.items() if stream_of(style) == stream)
    return (right + 1) / (right + wrong + 2)


def _streams(
    problem: Problem, found: Knowledge, rng: random.Random, done: frozenset[str]
) -> dict[str, Iterator[_Made]]:
    """Return the streams, without named styles that are `done`."""
    left_out = done & ONE_TIME
    streams = {
        "telling": build_styled(found, without(left_out, telling_styles()), rng),
        "small": build_styled(found, without(left_out, small_styles(rng)), rng),
        "change": build_changed(found, changes(found, rng), rng),
        "large": build_styled(found, without(left_out, large_styles(rng)), rng),
    }
    constants = constants_of(problem.submissions)
    if constants:
        streams["constants"] = build_changed(found, set_constants(found, constants, rng), rng)
    return streams
