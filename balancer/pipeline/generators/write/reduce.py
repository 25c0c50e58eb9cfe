"""Test-case reduction: inputs smaller than a given one, by the known format. Pure.

Decides which are tried, and in which order: large parts of each counted thing first, then smaller ones; nodes with
their edges; then values. If a number is the sum of others in all known inputs, it is corrected first, and then left
unchanged. The caller tests whether a smaller input has the same effect.
"""

from collections.abc import Iterator, Sequence

from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import Rule, RuleKind
from balancer.pipeline.generators.learn.template import (
    Instance,
    Slot,
    whole_number,
)
from balancer.pipeline.generators.write.build import build_given
from balancer.pipeline.generators.write.parts import Part, PartPlace, counted_together, parts_of, places_of

__all__ = ["smaller_inputs"]


Given = dict[Slot, Sequence[str]]

_BELIEVED = 0.5  # from which a sum or a similar rule is corrected
_NODES = 40  # nodes of a graph that are removed one by one
_VALUES = 60  # values of an input that are reduced one by one


def smaller_inputs(found: Knowledge, data: bytes) -> Iterator[bytes]:
    """Yield inputs that are shorter than `data`, or equally long with smaller values, each once."""
    instance = found.read(data)
    if instance is None:
        return
    told = [rule for rule, share in found.beliefs.items() if rule.kind is RuleKind.SUM and share >= _BELIEVED]
    seen = {data}
    for rules in (told, []) if told else ([],):
        for given in _all(found, instance):
            made = build_given(found, _settled(rules, given))
            if made is not None and made not in seen and _size(made) < _size(data):
                seen.add(made)
                yield made


def _size(data: bytes) -> tuple[int, int, bytes]:
    return len(data), sum(data), data


def _settled(told: Sequence[Rule], given: Given) -> Given:
    """Return `given` with sums corrected."""
    made = dict(given)
    for rule in told:
        single, several = rule.fields[0], rule.fields[-1]
        for _, where in [slot for slot in given if slot[0] == single and len(given[slot]) == 1]:
            lists = [made[slot] for slot in made if slot[0] == several and slot[1][: len(where)] == where]
            values = [whole_number(token) for tokens in lists for token in tokens]
            numbers = [value for value in values if value is not None]
            if numbers and len(numbers) == len(values):
                made[single, where] = [str(sum(numbers))]
    return made


def _all(found: Knowledge, instance: Instance) -> Iterator[Given]:
    for parts in counted_together(parts_of(found)):
        yield from _shorter(found, parts, instance)
    yield from _without_nodes(found, instance)
    yield from _lower(found, instance)


def _shorter(found: Knowledge, parts: Sequence[Part], instance: Instance) -> Iterator[Given]:
    """Take things out at all places that one number counts, or at a single place if nothing counts them."""
    field = parts[0].count.field if parts[0].count is not None else None
    places = [place for part in parts for place in places_of(part, instance)]
    if field is None:
        for each in places:
            yield from _chunks([each], instance, None, 0, 0)
        return
    for slot in [slot for slot in instance if slot[0] == field]:
        token = instance[slot][0] if instance[slot] else ""
        own = [place for place in places if place.where[: len(slot[1])] == slot[1]]
        if own and token.isascii() and token.isdigit():
            yield from _chunks(own, instance, slot, int(token), found.ranges[slot[0]].low)


def _chunks(
    places: Sequence[PartPlace], instance: Instance, counter: Slot | None, count: int, least: int
) -> Iterator[Given]:
    most = max(place.length(instance) for place in places)
    length = most if counter is None else min(most, count)
    while length >= 1:
        for start in range(0, most, length):
            taken = min(length, most - start)
            if counter is not None and count - taken < least:
                continue
            given: Given = dict(instance)
            for place in places:
                _take_out(place, instance, given, start, taken)
            if counter is not None:
                given[counter] = [str(count - taken)]
            yield given
        length //= 2


def _take_out(place: PartPlace, instance: Instance, given: Given, start: int, taken: int) -> None:
    """Take things out; from the end of a list that is shorter than another one with the same count."""
    start = max(min(start, place.length(instance) - taken), 0)
    end = start + taken
    depth = place.part.depth
    for slot in place.slots:
        tokens = instance[slot]
        if place.part.letters:
            given[slot] = [token[:start] + token[end:] for token in tokens]
        elif len(slot[1]) == depth:
            given[slot] = [*tokens[:start], *tokens[end:]]
        else:
            del given[slot]
    for at, slots in (place.passes() if not place.part.letters else {}).items():
        for number, where in slots if not start <= at < end else ():
            later = at - taken if at >= end else at
            given[number, (*place.where, later, *where[depth + 1 :])] = instance[number, where]


def _without_nodes(found: Knowledge, instance: Instance) -> Iterator[Given]:
    """Remove a node of a graph with its edges, and renumber the others."""
    for edges in found.edges:
        counter = edges.bound.field
        table = next((part for part in parts_of(found) if edges.left in part.fields and part.depth == 0), None)
        if counter is None or table is None or not instance.get((counter, ())):
            continue
        nodes = int(instance[counter, ()][0])
        lefts, rights = instance.get((edges.left, ()), ()), instance.get((edges.right, ()), ())
        for node in range(edges.low, edges.low + min(nodes, _NODES)):
            kept = [at for at, ends in enumerate(zip(lefts, rights, strict=True)) if str(node) not in ends]
            given: Given = dict(instance)
            for number in table.fields:
                tokens = [instance[number, ()][at] for at in kept]
                ends = number in (edges.left, edges.right)
                given[number, ()] = [str(int(token) - (int(token) > node)) if ends else token for token in tokens]
            given[counter, ()] = [str(nodes - 1)]
            edge_counter = table.count.field if table.count is not None else None
            if table.count is not None and edge_counter not in (None, counter):
                given[edge_counter or 0, ()] = [str(len(kept) - table.count.plus)]
            yield given


def _lower(found: Knowledge, instance: Instance) -> Iterator[Given]:
    """Make numbers smaller, all of a field or one by one, and by half; turn letters into the first one."""
    plain = [slot for slot in instance if slot[0] not in found.sizes and instance[slot]]
    numbers = sorted({slot[0] for slot in plain if found.facts.fields[slot[0]].kind is TokenKind.INT})
    for number in numbers:
        slots = [slot for slot in plain if slot[0] == number]
        low = found.ranges[number].low
        for part in (0, 2):  # the least value, and half way to it
            yield {
                **instance,
                **{
                    slot: [str(min(low + (int(token) - low) * part // 4, int(token))) for token in instance[slot]]
                    for slot in slots
                },
            }
    places = [(slot, at) for slot in plain if slot[0] in numbers for at in range(len(instance[slot]))]
    for slot, at in sorted(places, key=lambda place: -len(instance[place[0]][place[1]]))[:_VALUES]:
        tokens, low = instance[slot], found.ranges[slot[0]].low
        value = int(tokens[at])
        for lower in dict.fromkeys((low, low + (value - low) // 2, value - 1)):
            yield {**instance, slot: [*tokens[:at], str(lower), *tokens[at + 1 :]]}
    for slot in plain:
        letters = sorted(set("".join(instance[slot])))
        if found.facts.fields[slot[0]].kind is TokenKind.WORD and not found.facts.fields[slot[0]].words:
            for letter in letters[1:]:
                yield {**instance, slot: [token.replace(letter, letters[0]) for token in instance[slot]]}
