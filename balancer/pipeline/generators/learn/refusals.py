"""Learning from refusals: which rules hold, which do not, and how far values go. Pure.

Decides by elimination. A rule that a valid input breaks is no rule. A refused input breaks at least one requirement: if
there is only one suspect, it is that one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from balancer.pipeline.generators.learn.bounds import Range
from balancer.pipeline.generators.learn.knowledge import Knowledge, gathered, ranges_apart
from balancer.pipeline.generators.learn.rules import Rule, holds
from balancer.pipeline.generators.learn.template import Instance
from balancer.problem import Problem

__all__ = ["Refusal", "learn_from_refusals"]

_MOST_BYTES = 30_000  # bytes of one input that is read
_MOST_VALID = 40  # valid inputs that are read, the smallest
_SURE = 0.98
_UNEXPLAINED = 3  # refusals of a style without a reason, after which it is not used
_OVERRULED = 3  # refusals outside the valid values, after which a bound that was read is no longer trusted

# Suspects of a refusal: a rule, or values of a field above or below those known to be valid.
Suspect = Rule | tuple[int, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that a validator refuses, and the style or change that made it."""

    data: bytes
    style: str


def learn_from_refusals(
    problem: Problem, knowledge: Knowledge, valid: Sequence[bytes], refused: Sequence[Refusal], good: Iterable[str]
) -> Knowledge:
    """Return the new knowledge; `good` are the styles of valid inputs."""
    accepted = [found for data in sorted(valid, key=len)[:_MOST_VALID] if (found := _read(knowledge, data)) is not None]
    rejected = [(found, each) for each in refused if (found := _read(knowledge, each.data)) is not None]
    if not rejected and not accepted:
        return knowledge
    merged = gathered(problem, knowledge.nodes, (*knowledge.instances, *accepted))
    beliefs = {rule: max(share, knowledge.beliefs.get(rule, 0.0)) for rule, share in merged.beliefs.items()}
    ranges = dict(knowledge.ranges)
    seen = {number: ranges_apart(tokens) for number, tokens in _columns((*knowledge.instances, *accepted)).items()}
    unexplained: Counter[str] = Counter()
    over: dict[tuple[int, str], list[int]] = {}
    blamed: Counter[Rule] = Counter()
    for instance, each in rejected:
        suspects = _suspects(instance, beliefs, ranges, seen)
        if not suspects:
            unexplained[each.style] += 1
        for one in suspects:
            share = 1 / len(suspects)
            if isinstance(one, Rule):
                blamed[one] += 1
                certain = share == 1
                beliefs[one] = max(beliefs[one], _SURE) if certain else 1 - (1 - beliefs[one]) * (1 - share)
            elif share == 1 or ranges[one[0]].sure is False:
                over.setdefault(one, []).append(_extreme(instance, *one))
    for (number, side), values in over.items():
        ranges[number] = _narrowed(ranges[number], seen[number], side, values)
    shunned = {style for style, count in unexplained.items() if count >= _UNEXPLAINED} - set(good)
    kept = {rule: share for rule, share in beliefs.items() if rule in knowledge.beliefs or blamed[rule] > 1}
    return replace(
        knowledge,
        facts=replace(knowledge.facts, relations=merged.facts.relations),
        ranges=_widened(ranges, seen),
        edges=merged.edges or knowledge.edges,
        beliefs=kept,
        shunned=frozenset(shunned),
    )


def _read(knowledge: Knowledge, data: bytes) -> Instance | None:
    return knowledge.read(data) if len(data) <= _MOST_BYTES else None


def _columns(instances: Iterable[Instance]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for instance in instances:
        for (number, _), tokens in instance.items():
            found.setdefault(number, []).extend(tokens)
    return found


def _suspects(
    instance: Instance,
    beliefs: Mapping[Rule, float],
    ranges: Mapping[int, Range],
    seen: Mapping[int, tuple[int, int]],
) -> list[Suspect]:
    """Return the possible reasons for a refusal. Bounds that were read count only if there is no other."""
    found: list[Suspect] = [rule for rule in beliefs if not holds(rule, instance)]
    sure: list[Suspect] = []
    for number, tokens in _columns((instance,)).items():
        low, high = ranges_apart(tokens)
        least, most = seen.get(number, (low, high))
        if high > most:
            (found if not ranges[number].sure else sure).append((number, "high"))
        if low < least:
            (sure if ranges[number].lowest else found).append((number, "low"))
    return found or sure


def _extreme(instance: Instance, number: int, side: str) -> int:
    low, high = ranges_apart(_columns((instance,))[number])
    return high if side == "high" else low


def _narrowed(found: Range, seen: tuple[int, int], side: str, values: Sequence[int]) -> Range:
    """Return a range without the refused values."""
    least, most = seen
    if side == "high":
        if found.sure and len(values) < _OVERRULED:
            return found
        kept = tuple(high for high in found.highs if most <= high < min(values))
        return replace(found, highs=kept or (max(most, found.low),))
    if found.lowest and len(values) < _OVERRULED:
        return found
    return replace(found, low=min(max(found.low, max(values) + 1), least), lowest=True)


def _widened(ranges: Mapping[int, Range], seen: Mapping[int, tuple[int, int]]) -> dict[int, Range]:
    """Return ranges that include all values known to be valid."""
    found = {}
    for number, one in ranges.items():
        least, most = seen.get(number, (one.low, max(one.highs)))
        highs = tuple(dict.fromkeys(max(high, most) for high in one.highs))
        found[number] = replace(one, low=min(one.low, least), highs=highs)
    return found
