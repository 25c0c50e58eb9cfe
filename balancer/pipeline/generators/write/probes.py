"""Probe how far a field may go, where nothing says it: a known input with one value made larger, once for each field.

The guesses that are left are halved each time, so that few probes find the bound among them. Numbers with decimals are
probed for how many digits they may have.
"""

import random
from collections.abc import Iterator

from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance, Slot
from balancer.pipeline.generators.write.changes import Change

__all__ = ["probes"]


_DIGITS = "123456789"


def probes(knowledge: Knowledge, rng: random.Random) -> Iterator[Change]:
    """Yield one change for each field of which the greatest or the least value is not known."""
    for number, found in knowledge.ranges.items():
        fact = knowledge.facts.fields[number]
        if fact.kind is TokenKind.FLOAT and fact.decimals < len(_DIGITS):
            place = _place(knowledge, number, rng)
            if place is not None:
                yield _more_digits(knowledge, place, number, rng)
        if fact.kind is TokenKind.FLOAT or fact.words or number in knowledge.blocks:
            continue
        place = _place(knowledge, number, rng)
        if place is None:
            continue
        higher = sorted(high for high in found.highs if high > fact.high)
        if higher and not found.sure:
            yield _probe(knowledge, place, number, higher[(len(higher) - 1) // 2], rng)
        if not found.lowest and fact.kind is TokenKind.INT:
            yield _probe(knowledge, place, number, 0 if fact.low > 0 else fact.low - 1, rng)


def _place(knowledge: Knowledge, number: int, rng: random.Random) -> tuple[Instance, Slot] | None:
    places = [
        (instance, slot) for instance in knowledge.instances for slot, tokens in instance.items() if slot[0] == number
    ]
    filled = [(instance, slot) for instance, slot in places if instance[slot]]
    return rng.choice(filled) if filled else None


def _probe(knowledge: Knowledge, place: tuple[Instance, Slot], number: int, value: int, rng: random.Random) -> Change:
    instance, slot = place
    tokens = list(instance[slot])
    at = rng.randrange(len(tokens))
    word = knowledge.facts.fields[number].kind is TokenKind.WORD
    tokens[at] = (tokens[at] * value)[:value] if word else str(value)
    return f"probe: {knowledge.names[number]} up to {value}", {**instance, slot: tokens}


def _more_digits(knowledge: Knowledge, place: tuple[Instance, Slot], number: int, rng: random.Random) -> Change:
    instance, slot = place
    tokens = list(instance[slot])
    at = rng.randrange(len(tokens))
    whole, _, rest = tokens[at].partition(".")
    tokens[at] = f"{whole}.{rest}{_DIGITS[len(rest) :]}"
    return f"probe: {knowledge.names[number]} with {len(_DIGITS)} decimals", {**instance, slot: tokens}
