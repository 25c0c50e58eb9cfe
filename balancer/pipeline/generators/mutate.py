"""Propose inputs made from the known ones: changed, and made up in the same shape.

Decides only the order: corners, small random inputs, changes and large inputs in turn, so that a small
budget has something of each. What the inputs share is gathered in `learn`; inputs that share nothing are
changed as text. Every input is proposed once, and never one that is known already.
"""

import hashlib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import ClassVar

from balancer.hookspecs import Generator, hookimpl
from balancer.pipeline.generators.draw.fill import Fill, TooLarge
from balancer.pipeline.generators.draw.styles import Size, Style, large_styles, small_styles, telling_styles
from balancer.pipeline.generators.draw.values import Where
from balancer.pipeline.generators.learn.knowledge import Knowledge, knowledge_of
from balancer.pipeline.generators.write.build import build
from balancer.pipeline.generators.write.changes import changes
from balancer.pipeline.generators.write.text import text_changes
from balancer.pipeline.loop.feedback import Feedback
from balancer.problem import Origin, Problem, Proposal

__all__ = ["MutateGenerator", "balancer_generators"]

# One round: which stream each proposal comes from. Half are small and random: they kill the most.
_ROUND = ("telling", "small", "change", "large", "small", "telling", "small", "change", "small", "large")
_LATER_ROUND = ("change", "large", "small", "change", "telling", "large")
_REPEATS = 300  # inputs in a row that were proposed already, after which there is nothing new to be had

_Made = tuple[str, bytes]


class MutateGenerator:
    """Propose changed and made-up inputs. It keeps nothing between problems."""

    name: ClassVar[str] = "mutate"

    def propose(self, problem: Problem, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` new inputs, lazily; the same ones for the same problem and state of `rng`."""
        known = [proposal.data for proposal in problem.data]
        return self._proposals(_scheduled(problem, known, rng, _ROUND), known, budget)

    def refine(self, problem: Problem, feedback: Feedback, rng: random.Random, budget: int) -> Iterable[Proposal]:
        """Yield at most `budget` further inputs, now that it is known which ones told right programs from wrong.

        Those that rejected somebody count as known inputs from here on: their shape and their ranges are learnt, too,
        and it is they that are changed. What is only slow survives small inputs, so there are more large ones.
        """
        telling = [Proposal(case.data, case.origin) for case in feedback.cases if case.rejected]
        wider = replace(problem, data=(*problem.data, *telling))
        used = [case.data for case in feedback.cases]
        used += [each.data for each in (*feedback.failed, *feedback.disagreed, *feedback.refused)]
        changed = [proposal.data for proposal in (telling or problem.data)]
        return self._proposals(_scheduled(wider, changed, rng, _LATER_ROUND), used, budget)

    def _proposals(self, made: Iterable[_Made], known: Sequence[bytes], budget: int) -> Iterable[Proposal]:
        return (Proposal(data, Origin(self.name, detail)) for detail, data in islice(_new(made, known), max(budget, 0)))


@hookimpl
def balancer_generators() -> list[Generator]:
    """Offer the one generator of this module."""
    return [MutateGenerator()]


def _new(made: Iterable[_Made], known: Sequence[bytes]) -> Iterator[_Made]:
    """Pass on each input once; stop when nothing new comes any more."""
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


def _scheduled(problem: Problem, known: Sequence[bytes], rng: random.Random, turns: Sequence[str]) -> Iterator[_Made]:
    """Yield inputs, stream by stream in turn, until all streams are dry."""
    found = knowledge_of(problem)
    if found is None:
        yield from text_changes(known, rng)
        return
    streams = {
        "telling": _styled(found, telling_styles(), rng),
        "small": _styled(found, small_styles(rng), rng),
        "change": _changed(found, rng),
        "large": _styled(found, large_styles(rng), rng),
    }
    while streams:
        for name in turns:
            if name in streams:
                made = next(streams[name], None)
                if made is None:
                    del streams[name]
                else:
                    yield made


def _styled(found: Knowledge, styles: Iterable[Style], rng: random.Random) -> Iterator[_Made]:
    for style in styles:
        fill = Fill(found, style, rng)
        try:
            data = build(found, {}, fill)
        except TooLarge:
            continue
        sizes = "".join(f" {found.names[number]}={value}" for number, value in sorted(fill.sizes.items()))
        yield style.name + sizes, data


_AS_SEEN = Style("as seen", Size(1, 6), (Where.SEEN,))


def _changed(found: Knowledge, rng: random.Random) -> Iterator[_Made]:
    for detail, given in changes(found, rng):
        try:
            yield detail, build(found, given, Fill(found, _AS_SEEN, rng))
        except TooLarge:
            continue
