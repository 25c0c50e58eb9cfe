"""Larger inputs like a known one: the same structure several times, or other values around it.

Lists, lines, letters or test cases are repeated, mirrored or put among others, and values are scaled. Counts stay
true. Copies may be shifted: nodes get numbers of their own, and intervals do not overlap. A validator decides what is
valid. Pure.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from balancer.pipeline.generators.draw.fill import Fill, TooLarge
from balancer.pipeline.generators.draw.styles import Size, Style
from balancer.pipeline.generators.draw.values import Where
from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance, Slot
from balancer.pipeline.generators.search.parts import Part, PartPlace, counted_together, parts_of, places_of
from balancer.pipeline.generators.write.build import build

__all__ = ["enlarged", "larger_relatives"]

_Given = dict[Slot, Sequence[str]]
_Plan = list[int | None]  # for each new item the index of the old one; None: draw it
_Valid = Callable[[Sequence[bytes]], Sequence[bool | None]]

_AS_SEEN = Style("as seen", Size(1, 6), (Where.SEEN, Where.TINY))
_TIMES = (2, 2, 3, 4, 5, 8, 10, 16, 30, 64, 100, 256, 1000, 3000)
_MOST_BLOCKS = 30  # factor for test cases: each takes its time to write
_IN_VAIN = 60  # tries in a row without an input, before giving up
_DOWN = (1, 4, 30)  # divisors of the greatest size, one after the other until an input is valid
_TRIES = 8  # inputs of each size
_BYTES_IN_VAIN = 2**23  # in a row, of inputs that were refused: then no larger one is sought. Some 10 s to make
_FAILURES = 16  # inputs that could not be made, and take the time of a largest one


def larger_relatives(found: Knowledge, data: bytes, rng: random.Random, most: int) -> Iterator[tuple[str, bytes]]:
    """Yield descriptions and inputs, without end; nothing if `data` does not fit the template.

    Args:
        found: what is known of the problem's inputs.
        data: the input to enlarge.
        rng: for all random choices.
        most: bytes of an input.
    """
    instance = found.read(data) if 2 * len(data) <= most else None
    groups = counted_together(parts_of(found))
    in_vain = 0
    while instance is not None and in_vain < _IN_VAIN:
        in_vain += 1
        if groups and rng.random() < 0.85:
            times = rng.choice([each for each in _TIMES if each <= max(most // max(len(data), 1), 2)])
            made = _longer(found, instance, rng.choice(groups), rng, times, most)
        else:
            made = _greater(found, instance, rng)
        larger = None if made is None else _built(found, made[1], rng)
        if made is not None and larger is not None and len(larger) <= most and larger != data:
            in_vain = 0
            yield f"grown, {made[0]}", larger


def enlarged(found: Knowledge, data: bytes, rng: random.Random, most: int, valid: _Valid) -> tuple[str, bytes] | None:
    """Return the largest valid input that is found by raising one count after the other; None if none is larger.

    Args:
        found, data, rng, most: as above.
        valid: says which inputs are valid; None: not known.
    """
    names: list[str] = []
    best, in_vain = data, 0
    wider = _widened(found, data, rng)
    if wider is not None and wider != data and valid([wider])[0]:
        best = wider
    for group in counted_together(parts_of(found)):
        for name, larger in _raised(found, best, group, rng, most):
            in_vain += most // _FAILURES if larger is None else len(larger)
            said = False if larger is None else valid([larger])[0]
            if larger is not None and said:
                names.append(name)
                best, in_vain = larger, 0
                break
            if said is None or in_vain > _BYTES_IN_VAIN:  # None: e.g. the time is over
                return (f"grown, {'; '.join(names)}", best) if names else None
    return (f"grown, {'; '.join(names)}", best) if names else None


def _widened(found: Knowledge, data: bytes, rng: random.Random) -> bytes | None:
    """Return the input with the greatest value in each single field that counts nothing, but limits other values."""
    given = dict(found.read(data) or {})
    capping = {number for each in found.ranges.values() if each.cap is not None for _, number in each.cap.fields}
    for slot, tokens in given.items():
        fact = found.facts.fields[slot[0]]
        if len(tokens) == 1 and not fact.counts and (fact.limits or slot[0] in capping):
            given[slot] = [str(max(found.ranges[slot[0]].highs))]
    return _built(found, given, rng) if given else None


def _raised(
    found: Knowledge, data: bytes, group: Sequence[Part], rng: random.Random, most: int
) -> Iterator[tuple[str, bytes | None]]:
    """Yield inputs, longer than `data`, with one count, or list, as large as may be, then with smaller ones.

    None stands for one that could not be made.
    """
    instance = found.read(data)
    for divisor in _DOWN if instance is not None else ():
        seen = {data}
        for _ in range(_TRIES):
            assert instance is not None
            longer = _longer(found, instance, group, rng, most // max(len(data), 1), most // 2 // divisor, divisor)
            larger = None if longer is None else _built(found, longer[1], rng)
            if longer is not None and larger is not None and len(data) < len(larger) <= most and larger not in seen:
                seen.add(larger)
                yield longer[0], larger
            else:
                yield "", None


def _built(found: Knowledge, given: _Given, rng: random.Random) -> bytes | None:
    try:
        return build(found, given, Fill(found, _AS_SEEN, rng))
    except TooLarge:
        return None


def _longer(
    found: Knowledge,
    instance: Instance,
    parts: Sequence[Part],
    rng: random.Random,
    times: int,
    count: int,
    divisor: int = 0,
) -> tuple[str, _Given] | None:
    """Raise one count and enlarge everything that it counts. What no number counts grows at one place.

    Args:
        times: how many times as many there are.
        count: the most of what a number counts.
        divisor: if not 0, then the number is the greatest that is allowed, divided by this.
    """
    field = parts[0].count.field if parts[0].count is not None else None
    places = [place for part in parts for place in places_of(part, instance)]
    if not places:
        return None
    name = rng.choice(list(_PLANS))
    given: _Given = dict(instance)
    blocks = any(place.passes() for place in places)
    times = min(times // max(divisor, 1), _MOST_BLOCKS if blocks else times)
    if times < 2 and (field is None or not divisor or blocks):
        return None
    more = rng.randrange(max(times, 1)) if rng.random() < 0.3 else 0
    old = new = 0
    if field is None:
        places = [rng.choice(places)]
    else:
        slot = rng.choice([slot for slot in instance if slot[0] == field])
        places = [place for place in places if place.where[: len(slot[1])] == slot[1]]
        old = int(instance[slot][0]) if instance[slot] and instance[slot][0].isdigit() else 0
        most = min(max(found.ranges[field].highs) // max(divisor, 1), count)
        new = most if divisor and not blocks else min(max(old, 1) * times + more, most)
        if new <= old or not places:
            return None
        given[slot] = [str(new)]
    shift = _Shift.drawn(found, instance, places, old if field is not None else None, rng)
    what = "letters" if all(place.part.letters for place in places) else found.names[places[0].part.fields[0]]
    others = _others(found, given, field, new, rng) if name == "among others" else {}
    for place in places:
        length = place.length(instance)
        counted = place.part.count
        wanted = length * times + more if field is None or counted is None else counted.of({field: new})
        if place.part.letters and field is None:  # whole copies, as many as there is room for
            room = max(found.ranges[place.part.fields[0]].highs)
            wanted = wanted if wanted <= room else room - room % max(length, 1)
        plan = _PLANS[name](length, wanted, rng)
        _grow(found, place, instance, given, plan, others, shift, rng)
    return f"{what} {name}" + (f", {found.names[field]}={new}" if field is not None else ""), given


def _grow(
    found: Knowledge,
    place: PartPlace,
    instance: Instance,
    given: _Given,
    plan: _Plan,
    others: Instance,
    shift: "_Shift | None",
    rng: random.Random,
) -> None:
    """Fill the part at one place by the plan."""
    part, depth = place.part, place.part.depth
    if part.letters:
        for slot in place.slots:
            letters = found.ranges[slot[0]].letters or found.facts.fields[slot[0]].letters
            given[slot] = [_word(token, plan, letters, rng) for token in instance[slot]]
        return
    for slot in place.slots:
        if len(slot[1]) == depth:
            given[slot] = _list(found, slot, instance[slot], plan, others.get(slot, ()), shift, rng)
        else:
            del given[slot]
    own = place.passes()
    drawn = next((each.passes() for each in places_of(part, others) if each.where == place.where), {})
    for at, index in enumerate(plan if own else ()):
        source, slots = (others, drawn.get(at, [])) if index is None else (instance, own.get(index, []))
        for number, where in slots:
            given[number, (*place.where, at, *where[depth + 1 :])] = source[number, where]


def _word(token: str, plan: _Plan, letters: str, rng: random.Random) -> str:
    if not token:
        return token
    drawn = letters or token
    return "".join(rng.choice(drawn) if index is None else token[index % len(token)] for index in plan)


def _list(
    found: Knowledge,
    slot: Slot,
    tokens: Sequence[str],
    plan: _Plan,
    others: Sequence[str],
    shift: "_Shift | None",
    rng: random.Random,
) -> list[str]:
    if not tokens:
        return []
    made = [
        (others[at] if at < len(others) else rng.choice(tokens)) if index is None else tokens[index % len(tokens)]
        for at, index in enumerate(plan)
    ]
    if shift is None or found.facts.fields[slot[0]].kind is not TokenKind.INT or len(plan) <= len(tokens):
        return made
    return shift.applied(found, slot[0], tokens, made)


@dataclass(frozen=True, slots=True)
class _Extent:
    """Least and greatest value that fields have, and that they may have."""

    least: int
    most: int
    low: int
    high: int

    @classmethod
    def of(cls, found: Knowledge, columns: Mapping[int, Sequence[int]]) -> "_Extent":
        values = list(chain.from_iterable(columns.values()))
        ranges = [found.ranges[number] for number in columns]
        return cls(min(values), max(values), max(one.low for one in ranges), min(max(one.highs) for one in ranges))

    def shifts(self, copies: int) -> tuple[int, int]:
        """Return the shift of the first copy, which is negative if there is no room above, and of each further one."""
        apart = self.most - self.least + 1
        return min(0, max(self.high - self.most - apart * copies, self.low - self.least)), apart


@dataclass(frozen=True, slots=True)
class _Shift:
    """What is added to the values of each copy.

    Args:
        bounded: for fields that a count bounds, if that count grows.
        together: of all other fields, which are shifted alike, so that rows stay as they are; None: each field by
            itself.
        only: the one field that is shifted, e.g. a key; None: all.
    """

    bounded: int | None
    together: _Extent | None
    only: int | None = None

    @classmethod
    def drawn(
        cls, found: Knowledge, instance: Instance, places: Sequence[PartPlace], old: int | None, rng: random.Random
    ) -> "_Shift | None":
        if rng.random() < 0.4:
            return None
        free: dict[int, list[int]] = {}
        numbers = set()
        for slot in chain.from_iterable(place.slots for place in places):
            fact = found.facts.fields[slot[0]]
            numbers.add(slot[0])
            if fact.kind is TokenKind.INT and fact.bound is None and instance[slot]:
                free.setdefault(slot[0], []).extend(map(int, instance[slot]))
        if len(numbers) > 1 and rng.random() < 0.4:
            return cls(None, None, rng.choice(sorted(numbers)))
        return cls(old, _Extent.of(found, free) if free and rng.random() < 0.5 else None)

    def applied(self, found: Knowledge, number: int, tokens: Sequence[str], made: Sequence[str]) -> list[str]:
        """Return `made`, copies of `tokens`, with shifted values."""
        if self.only not in (None, number):
            return list(made)
        values = [int(token) for token in tokens]
        copies = len(made) // len(values)
        high = max(found.ranges[number].highs)
        extent = _Extent.of(found, {number: values})
        if self.only is not None:  # as far as there is room, then again from the start
            apart = extent.most - extent.least + 1
            room = max((high - extent.most) // apart + 1, 1)
            return [str(int(token) + apart * (at // len(values) % room)) for at, token in enumerate(made)]
        if found.facts.fields[number].bound is not None:
            first, apart = 0, extent.most - extent.least + 1 if self.bounded is None else self.bounded
            high = max(high, extent.most + apart * copies)  # the count that bounds it grows as well
        else:
            first, apart = (self.together or extent).shifts(copies)
        return [str(min(int(token) + first + apart * (at // len(values)), high)) for at, token in enumerate(made)]


def _others(found: Knowledge, given: _Given, field: int | None, new: int, rng: random.Random) -> Instance:
    """Draw an input of the new size, for values around the old ones."""
    sizes = Size(max(new, 1), max(new, 1)) if field is None else Size(1, 6)
    kept = {slot: tokens for slot, tokens in given.items() if slot[0] == field}
    try:
        drawn = build(found, kept, Fill(found, Style("around", sizes, (Where.SEEN, Where.LOW, Where.FULL)), rng))
    except TooLarge:
        return {}
    return found.read(drawn) or {}


def _greater(found: Knowledge, instance: Instance, rng: random.Random) -> tuple[str, _Given] | None:
    """Multiply the values of one list, or of all, or add to them."""
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


# -- plans: `wanted` new items from `length` old ones ---------------------------------------------------


def _mirrored(length: int, wanted: int, rng: random.Random) -> _Plan:
    both = [*range(length), *reversed(range(length))]
    return [both[at % len(both)] for at in range(wanted)] if both else []


def _one_often(length: int, wanted: int, rng: random.Random) -> _Plan:
    at = rng.randrange(length) if length else 0
    return [*range(at), *[at] * (wanted - length), *range(at, length)] if length else []


def _among_others(length: int, wanted: int, rng: random.Random) -> _Plan:
    spare = max(wanted - length, 0)
    before = rng.choice((0, spare // 2, spare, rng.randint(0, spare)))
    return [*[None] * before, *range(length), *[None] * (spare - before)]


_PLANS: dict[str, Callable[[int, int, random.Random], _Plan]] = {
    "again": lambda length, wanted, rng: [at % length for at in range(wanted)] if length else [],
    "each several times": lambda length, wanted, rng: [at * length // max(wanted, 1) for at in range(wanted)],
    "mirrored": _mirrored,
    "one often": _one_often,
    "among others": _among_others,
}
