"""Learn from validators' refusals: which rules hold after all, which do not, how far values may go.

Decides by elimination. What a valid input breaks is no rule. Of what a refused input breaks, something is one: if only
one thing is left to blame, that is it, and where the validator's own words name a range, or the kind of the rule, they
count for more. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from balancer.pipeline.generators.learn.bounds import Range
from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.holds import holds
from balancer.pipeline.generators.learn.knowledge import Knowledge, gathered, ranges_apart
from balancer.pipeline.generators.learn.refusal_text import NamedRange, named_kinds, named_ranges
from balancer.pipeline.generators.learn.rules import Rule, RuleKind
from balancer.pipeline.generators.learn.template import Instance, Mismatch, read, tokenize, whole_number
from balancer.problem import Problem

__all__ = ["Refusal", "learn_from_refusals"]

_MOST_BYTES = 30_000  # of one input that is looked at
_MOST_VALID = 40  # that are learnt from, the smallest
_SURE, _ADOPTED, _DOUBT = 0.98, 0.9, 0.05
_UNEXPLAINED = 3  # refusals of a style without a reason, after which it is left out
_OVERRULED = 3  # refusals beyond what is known to be valid, after which a bound that was read is no longer believed

# What a refused input may be blamed for: a rule, or values of a field above or below those known to be valid.
Suspect = Rule | tuple[int, str]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An input that a validator refuses: the style or change that made it, and the validator's words."""

    data: bytes
    style: str
    why: str


def learn_from_refusals(
    problem: Problem, knowledge: Knowledge, valid: Sequence[bytes], refused: Sequence[Refusal], good: Iterable[str]
) -> Knowledge:
    """Return what is known now; `good` are the styles of valid inputs."""
    accepted = [found for data in sorted(valid, key=len)[:_MOST_VALID] if (found := _read(knowledge, data)) is not None]
    rejected = [(found, each) for each in refused if (found := _read(knowledge, each.data)) is not None]
    if not rejected and not accepted:
        return knowledge
    known = [rule for rule in knowledge.beliefs if rule.kind is RuleKind.KNOWN_WORDS]
    merged = gathered(problem, knowledge.nodes, (*knowledge.instances, *accepted), knowledge.ending)
    beliefs = {rule: max(share, knowledge.beliefs.get(rule, 0.0)) for rule, share in merged.beliefs.items()}
    for rule in known:
        beliefs[rule] = 0.0 if any(not _keeps(each, rule, knowledge.facts) for each in accepted) else _DOUBT
    ranges = dict(knowledge.ranges)
    seen = {number: ranges_apart(tokens) for number, tokens in _columns((*knowledge.instances, *accepted)).items()}
    _believe_words(rejected, ranges, seen)
    unexplained: Counter[str] = Counter()
    over: dict[tuple[int, str], list[int]] = {}
    blamed: Counter[Rule] = Counter()
    for instance, each in rejected:
        suspects = _suspects(instance, knowledge.facts, beliefs, ranges, seen)
        named = [one for one in suspects if isinstance(one, Rule) and one.kind in named_kinds(each.why)]
        if not suspects:
            unexplained[each.style] += 1
        for one in named or suspects:
            share = 1 / len(named or suspects)
            if isinstance(one, Rule):
                blamed[one] += 1
                certain = share == 1
                beliefs[one] = max(beliefs[one], _SURE) if certain else 1 - (1 - beliefs[one]) * (1 - share)
            elif share == 1 or ranges[one[0]].sure is False:
                over.setdefault(one, []).append(_extreme(instance, *one))
    beliefs |= _limits(knowledge, [found for found, each in rejected if each.style in unexplained], accepted, beliefs)
    for (number, side), values in over.items():
        ranges[number] = _narrowed(ranges[number], seen[number], side, values)
    shunned = {style for style, count in unexplained.items() if count >= _UNEXPLAINED} - set(good)
    kept = {rule: share for rule, share in beliefs.items() if rule in knowledge.beliefs or blamed[rule] > 1}
    return replace(
        knowledge,
        facts=replace(_finer(knowledge.facts, merged.facts), relations=merged.facts.relations),
        ranges=_widened(ranges, seen),
        edges=merged.edges or knowledge.edges,
        beliefs=kept,
        shunned=frozenset(shunned),
    )


def _finer(facts: Facts, merged: Facts) -> Facts:
    """Tell fields of which values with more digits after the point turned out to be valid."""
    more = {number: merged.fields[number].decimals for number in facts.fields if number in merged.fields}
    fields = {
        number: replace(fact, finer=more[number]) if more.get(number, 0) > fact.decimals else fact
        for number, fact in facts.fields.items()
    }
    return replace(facts, fields=fields)


def _read(knowledge: Knowledge, data: bytes) -> Instance | None:
    lines = tokenize(data) if len(data) <= _MOST_BYTES else None
    if lines is None:
        return None
    if knowledge.ending is not None:
        lines = lines[:-1]
    try:
        return read(knowledge.nodes, lines).slots
    except Mismatch:
        return None


def _columns(instances: Iterable[Instance]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for instance in instances:
        for (number, _), tokens in instance.items():
            found.setdefault(number, []).extend(tokens)
    return found


def _believe_words(
    rejected: Sequence[tuple[Instance, Refusal]], ranges: dict[int, Range], seen: Mapping[int, tuple[int, int]]
) -> None:
    """Take ranges from the words of refusals, where it is plain which field is meant."""
    for instance, each in rejected:
        for told in named_ranges(each.why):
            number = _meant(instance, told, seen)
            if number is not None:
                found = ranges[number]
                low = found.low if told.low is None else told.low
                highs = found.highs if told.high is None else (max(told.high, low),)
                ranges[number] = replace(found, low=low, highs=highs, lowest=found.lowest or told.low is not None)


def _meant(instance: Instance, told: NamedRange, seen: Mapping[int, tuple[int, int]]) -> int | None:
    """Return the only field that has one of the values outside of the range, and is never seen outside of it."""
    outside = {value for value in told.values if not _within(value, told)}
    fields = set()
    for (number, _), tokens in instance.items():
        low, high = seen.get(number, (0, 0))
        if _within(low, told) and _within(high, told) and any(token in tokens for token in map(str, outside)):
            fields.add(number)
    return fields.pop() if len(fields) == 1 else None


def _within(value: int, told: NamedRange) -> bool:
    return (told.low is None or told.low <= value) and (told.high is None or value <= told.high)


def _suspects(
    instance: Instance,
    facts: Facts,
    beliefs: Mapping[Rule, float],
    ranges: Mapping[int, Range],
    seen: Mapping[int, tuple[int, int]],
) -> list[Suspect]:
    """Return what may be wrong with a refused input; bounds that were read only if there is nothing else."""
    found: list[Suspect] = [rule for rule in beliefs if not _keeps(instance, rule, facts)]
    sure: list[Suspect] = []
    for number, tokens in _columns((instance,)).items():
        low, high = ranges_apart(tokens)
        least, most = seen.get(number, (low, high))
        if high > most:
            (found if not ranges[number].sure else sure).append((number, "high"))
        if low < least:
            (sure if ranges[number].lowest else found).append((number, "low"))
    return found or sure


def _keeps(instance: Instance, rule: Rule, facts: Facts) -> bool:
    if rule.kind is not RuleKind.KNOWN_WORDS:
        return holds(rule, instance)
    known = set(facts.fields[rule.fields[0]].seen)
    return set(_columns((instance,)).get(rule.fields[0], ())) <= known


def _limits(
    knowledge: Knowledge, refused: Sequence[Instance], accepted: Sequence[Instance], beliefs: Mapping[Rule, float]
) -> dict[Rule, float]:
    """Find a limit of a sum that parts inputs refused for no known reason from valid ones."""
    found = {}
    columns = [_columns((instance,)) for instance in (*knowledge.instances, *accepted)]
    for number, fact in knowledge.facts.fields.items():
        known = any(rule.kind is RuleKind.SUM_LIMIT and rule.fields == (number,) for rule in beliefs)
        if fact.kind is not TokenKind.INT or fact.low < 0 or known or len(refused) < _UNEXPLAINED:
            continue
        most = max(_sum(one.get(number, ())) for one in columns)
        least = min(_sum(_columns((instance,)).get(number, ())) for instance in refused)
        if most < least:
            named = [value for value in knowledge.hints.constants if most <= value < least]
            found[Rule(RuleKind.SUM_LIMIT, (number,), max(named, default=most))] = _ADOPTED
    return found


def _sum(tokens: Sequence[str]) -> int:
    return sum(whole_number(token) or 0 for token in tokens)


def _extreme(instance: Instance, number: int, side: str) -> int:
    low, high = ranges_apart(_columns((instance,))[number])
    return high if side == "high" else low


def _narrowed(found: Range, seen: tuple[int, int], side: str, values: Sequence[int]) -> Range:
    """Keep a range away from values that were refused."""
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
    """Let ranges include what is known to be valid."""
    found = {}
    for number, one in ranges.items():
        least, most = seen.get(number, (one.low, max(one.highs)))
        highs = tuple(dict.fromkeys(max(high, most) for high in one.highs))
        found[number] = replace(one, low=min(one.low, least), highs=highs)
    return found
