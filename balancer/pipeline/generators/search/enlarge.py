"""Larger relatives of a small input on which submissions differ: the same structure again, or others drawn around it.

Decides in which ways it grows: lists, lines, letters or test cases come several times, each many times, mirrored, or
stand among others; values become greater. Counts are kept true, and learnt relations are kept as in any drawn input.
What is valid is not known here. Pure.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from balancer.pipeline.generators.draw.fill import Fill, TooLarge
from balancer.pipeline.generators.draw.styles import Size, Style
from balancer.pipeline.generators.draw.values import Where
from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance, Slot
from balancer.pipeline.generators.search.parts import Part, PartPlace, counted_together, parts_of, places_of
from balancer.pipeline.generators.search.steps import read_with
from balancer.pipeline.generators.write.build import build

__all__ = ["larger_relatives"]

Grown = dict[Slot, Sequence[str]]
Plan = list[int | None]  # which of the old ones each of the new ones is; None: one that is drawn

_AS_SEEN = Style("as seen", Size(1, 6), (Where.SEEN, Where.TINY))
_TIMES = (2, 2, 3, 4, 5, 8, 10, 16, 30, 64, 100, 256, 1000, 3000)
_MOST_BLOCKS = 30  # times as many test cases: each of them takes its time to be written
_IN_VAIN = 60  # tries in a row that came to nothing, before it is given up


def larger_relatives(found: Knowledge, data: bytes, rng: random.Random, most: int) -> Iterator[tuple[str, bytes]]:
    """Yield larger inputs like `data`, and what was done, without end; nothing if it does not have the format.

    Args:
        found: what is known of the problem's inputs.
        data: the small one.
        rng: for everything.
        most: bytes of one.
    """
    instance = read_with(found, data) if 2 * len(data) <= most else None
    together = counted_together(parts_of(found))
    in_vain = 0
    while instance is not None and in_vain < _IN_VAIN:
        in_vain += 1
        if together and rng.random() < 0.85:
            made = _longer(found, instance, rng.choice(together), rng, most / max(len(data), 1))
        else:
            made = _greater(found, instance, rng)
        if made is None:
            continue
        try:
            larger = build(found, made[1], Fill(found, _AS_SEEN, rng))
        except TooLarge:
            continue
        if len(larger) <= most and larger != data:
            in_vain = 0
            yield f"grown, {made[0]}", larger


def _longer(
    found: Knowledge, instance: Instance, parts: Sequence[Part], rng: random.Random, room: float
) -> tuple[str, Grown] | None:
    """Make more of what one number counts, wherever that number stands for it; of what nothing counts, at one place."""
    field = parts[0].count.field if parts[0].count is not None else None
    places = [place for part in parts for place in places_of(part, instance)]
    if not places:
        return None
    name = rng.choice(list(_PLANS))
    given: Grown = dict(instance)
    room = min(room, _MOST_BLOCKS if any(place.passes() for place in places) else room)
    times = rng.choice([each for each in _TIMES if each <= max(room, 2)])
    more = rng.randrange(times) if rng.random() < 0.3 else 0
    old = new = 0
    if field is None:
        places = [rng.choice(places)]
    else:
        slot = rng.choice([slot for slot in instance if slot[0] == field])
        places = [place for place in places if place.where[: len(slot[1])] == slot[1]]
        old = int(instance[slot][0]) if instance[slot] and instance[slot][0].isdigit() else 0
        new = min(max(old, 1) * times + more, max(found.ranges[field].highs))
        if new <= old or not places:
            return None
        given[slot] = [str(new)]
    shifted = rng.random() < 0.5
    what = "letters" if all(place.part.letters for place in places) else found.names[places[0].part.fields[0]]
    others = _others(found, given, field, new, rng) if name == "among others" else {}
    for place in places:
        length = place.length(instance)
        plus = 0 if place.part.count is None else place.part.count.plus
        wanted = length * times + more if field is None else new + plus
        plan = _PLANS[name](length, wanted, rng)
        step = old if field is not None else None
        _grow(found, place, instance, given, plan, others, step if shifted else 0, rng)
    return f"{what} {name}" + (f", {found.names[field]}={new}" if field is not None else ""), given


def _grow(
    found: Knowledge,
    place: PartPlace,
    instance: Instance,
    given: Grown,
    plan: Plan,
    others: Instance,
    step: int | None,
    rng: random.Random,
) -> None:
    """Give a part at one place as many as the plan has. `step`: by which a copy's values are above those before it."""
    part, depth = place.part, place.part.depth
    if part.letters:
        for slot in place.slots:
            letters = found.ranges[slot[0]].letters or found.facts.fields[slot[0]].letters
            given[slot] = [_word(token, plan, letters, rng) for token in instance[slot]]
        return
    for slot in place.slots:
        if len(slot[1]) == depth:
            given[slot] = _list(found, slot, instance[slot], plan, others.get(slot, ()), step, rng)
        else:
            del given[slot]
    own = place.passes()
    drawn = next((each.passes() for each in places_of(part, others) if each.where == place.where), {})
    for at, index in enumerate(plan if own else ()):
        source, slots = (others, drawn.get(at, [])) if index is None else (instance, own.get(index, []))
        for number, where in slots:
            given[number, (*place.where, at, *where[depth + 1 :])] = source[number, where]


def _word(token: str, plan: Plan, letters: str, rng: random.Random) -> str:
    if not token:
        return token
    drawn = letters or token
    return "".join(rng.choice(drawn) if index is None else token[index % len(token)] for index in plan)


def _list(
    found: Knowledge,
    slot: Slot,
    tokens: Sequence[str],
    plan: Plan,
    others: Sequence[str],
    step: int | None,
    rng: random.Random,
) -> list[str]:
    if not tokens:
        return []
    made = [
        (others[at] if at < len(others) else rng.choice(tokens)) if index is None else tokens[index % len(tokens)]
        for at, index in enumerate(plan)
    ]
    fact = found.facts.fields[slot[0]]
    if step == 0 or fact.kind is not TokenKind.INT or len(plan) <= len(tokens):
        return made
    values = [int(token) for token in tokens]
    high = max(found.ranges[slot[0]].highs)
    apart = step if step is not None and fact.bound is not None else max(values) - min(values) + 1
    if fact.bound is not None:
        high = max(high, max(values) + apart * (len(plan) // len(tokens)))  # the count that bounds it grows as well
    return [str(min(int(token) + apart * (at // len(tokens)), high)) for at, token in enumerate(made)]


def _others(found: Knowledge, given: Grown, field: int | None, new: int, rng: random.Random) -> Instance:
    """Draw an input with as many of what is to grow, to take from it what stands around."""
    sizes = Size(max(new, 1), max(new, 1)) if field is None else Size(1, 6)
    kept = {slot: tokens for slot, tokens in given.items() if slot[0] == field}
    try:
        drawn = build(found, kept, Fill(found, Style("around", sizes, (Where.SEEN, Where.LOW, Where.FULL)), rng))
    except TooLarge:
        return {}
    return read_with(found, drawn) or {}


def _greater(found: Knowledge, instance: Instance, rng: random.Random) -> tuple[str, Grown] | None:
    """Make the values of a list, or all values, greater by a factor or by a sum: the same pattern further up."""
    numbers = sorted(
        {
            slot[0]
            for slot, tokens in instance.items()
            if tokens and slot[0] not in found.sizes and found.facts.fields[slot[0]].kind is TokenKind.INT
        }
    )
    if not numbers:
        return None
    chosen = set(numbers) if rng.random() < 0.5 else {rng.choice(numbers)}
    highest = max(found.ranges[number].highs[0] for number in chosen)
    most = max(chain.from_iterable(map(int, instance[slot]) for slot in instance if slot[0] in chosen))
    factor, plus = rng.choice((2, 10, 1000, max(highest // max(most, 1), 1))), 0
    if rng.random() < 0.4:
        factor, plus = 1, max(rng.choice((1, highest // 2, highest - most)), 0)
    if (factor, plus) == (1, 0):
        return None
    given = {
        slot: [str(int(token) * factor + plus) for token in tokens] if slot[0] in chosen else tokens
        for slot, tokens in instance.items()
    }
    return f"values times {factor}" if plus == 0 else f"values plus {plus}", given


# -- plans: of `length` old ones, `wanted` new ones ----------------------------------------------------


def _mirrored(length: int, wanted: int, rng: random.Random) -> Plan:
    both = [*range(length), *reversed(range(length))]
    return [both[at % len(both)] for at in range(wanted)] if both else []


def _one_often(length: int, wanted: int, rng: random.Random) -> Plan:
    at = rng.randrange(length) if length else 0
    return [*range(at), *[at] * (wanted - length), *range(at, length)] if length else []


def _among_others(length: int, wanted: int, rng: random.Random) -> Plan:
    spare = max(wanted - length, 0)
    before = rng.choice((0, spare // 2, spare, rng.randint(0, spare)))
    return [*[None] * before, *range(length), *[None] * (spare - before)]


_PLANS: dict[str, Callable[[int, int, random.Random], Plan]] = {
    "again": lambda length, wanted, rng: [at % length for at in range(wanted)] if length else [],
    "each several times": lambda length, wanted, rng: [at * length // max(wanted, 1) for at in range(wanted)],
    "mirrored": _mirrored,
    "one often": _one_often,
    "among others": _among_others,
}
