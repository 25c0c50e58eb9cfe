"""Steps of a hill climb: from one large input to another like it, with a list reordered or a part drawn anew.

Decides what a step is. Pure: it knows neither programs nor times.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from balancer.pipeline.generators.draw.fill import Fill, TooLarge
from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.series import ordered
from balancer.pipeline.generators.draw.styles import MOST, Size, Style
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Instance, Slot
from balancer.pipeline.generators.write.build import build

__all__ = ["Step", "Steps"]

Drawn = tuple[str, bytes]  # what it is, for people, and the input

_WHERE = (Where.FULL, Where.HIGH, Where.LOW, Where.TINY, Where.LOG, Where.EDGE, Where.SEEN)


@dataclass(frozen=True, slots=True)
class Step:
    """An input, and how one came to it: the kind of step, and what was done, for people."""

    kind: str
    detail: str
    data: bytes


class Steps:
    """Steps from one input to another. Those that have led to valid inputs are taken more often.

    Args:
        found: what is known of the problem's inputs.
        rng: for everything.
    """

    def __init__(self, found: Knowledge, rng: random.Random) -> None:
        self._found = found
        self._rng = rng
        self._yield = {name: [2.0, 2.0] for name in _STEPS}

    def take(self, data: bytes, others: Sequence[bytes], count: int) -> list[Step]:
        """Return up to `count` inputs that are a step away from `data`; `others` may lend it a part."""
        instance = self._found.read(data)
        made: list[Step] = []
        for _ in range(3 * count if instance else 0):
            assert instance is not None
            (name,) = self._rng.choices(
                list(_STEPS), [max(valid / tried, 0.05) for valid, tried in self._yield.values()]
            )
            drawn = _STEPS[name](self._found, instance, others, self._rng)
            if drawn is not None and drawn[1] != data:
                made.append(Step(name, *drawn))
            if len(made) == count:
                break
        return made

    def heard(self, step: Step, *, valid: bool) -> None:
        """Hear what came of a step."""
        counted = self._yield.get(step.kind)
        if counted is not None:
            counted[0] += valid
            counted[1] += 1


def _arranged(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Put a list into another order, or make it of other values that it has."""
    slots = [slot for slot, tokens in instance.items() if len(tokens) > 1]
    if not slots:
        return None
    slot = rng.choice(slots)
    name = rng.choice(list(_ORDERS))
    tokens = [str(token) for token in _ORDERS[name](sorted(instance[slot], key=_key), rng)]
    return _built(found, {**instance, slot: tokens}, f"list {found.names[slot[0]]} {name}", _style("", rng), rng)


def _redrawn(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Draw some fields that count nothing anew."""
    fields = sorted({slot[0] for slot in instance if slot[0] not in found.sizes})
    if not fields:
        return None
    chosen = set(rng.sample(fields, min(len(fields), rng.choice((1, 1, 2, len(fields))))))
    given = {slot: tokens for slot, tokens in instance.items() if slot[0] not in chosen}
    style = _style(", ".join(found.names[number] for number in sorted(chosen)) + " anew", rng)
    return _built(found, given, style.name, style, rng)


def _resized(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Set a size to the most, to half of what it was, or to twice as much: another may take the room."""
    slots = [slot for slot, tokens in instance.items() if slot[0] in found.sizes and _is_number(tokens)]
    if not slots:
        return None
    slot = rng.choice(slots)
    now, name = int(instance[slot][0]), found.names[slot[0]]
    if rng.random() < 0.3:
        given = {other: tokens for other, tokens in instance.items() if other != slot}
        return _built(found, given, f"{name} as large as may be", _style("", rng), rng)
    least = max([found.ranges[slot[0]].low, *(load.least for load in found.loads.get(slot[0], ()))])
    wanted = min(max(rng.choice((now // 2, 2 * now, now // 10, 10 * now, now + 1)), least), 10**9)
    wanted = min(wanted, max(found.ranges[slot[0]].highs))
    return _built(found, {**instance, slot: [str(wanted)]}, f"{name}: {now} -> {wanted}", _style("", rng), rng)


def _lent(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Take a field from another input."""
    other = found.read(rng.choice(others)) if others else None
    if other is None:
        return None
    number = rng.choice(sorted({slot[0] for slot in other}))
    given = {**instance, **{slot: tokens for slot, tokens in other.items() if slot[0] == number and slot in instance}}
    return _built(found, given, f"{found.names[number]} of another", _style("", rng), rng)


def _reshaped(found: Knowledge, instance: Instance, others: Sequence[bytes], rng: random.Random) -> Drawn | None:
    """Give a graph another shape."""
    if not found.edges:
        return None
    edges = rng.choice(found.edges)
    given = {slot: tokens for slot, tokens in instance.items() if slot[0] not in (edges.left, edges.right)}
    style = _style("graph anew", rng)
    assert style.shape is not None
    return _built(found, given, style.shape.value, style, rng)


def _style(name: str, rng: random.Random) -> Style:
    how, where = rng.choice(list(How)), rng.choice(_WHERE)
    shape = rng.choice(list(Shape))
    return Style(name, Size(MOST, MOST), (where,), (how,), shape, Size(1, 1))


def _built(
    found: Knowledge, given: dict[Slot, Sequence[str]], detail: str, style: Style, rng: random.Random
) -> Drawn | None:
    try:
        return detail, build(found, given, Fill(found, style, rng))
    except TooLarge:
        return None


def _is_number(tokens: Sequence[str]) -> bool:
    return len(tokens) == 1 and tokens[0].isascii() and tokens[0].isdigit()


def _key(token: str) -> tuple[int, int, str]:
    digits = token.removeprefix("-")
    number = digits.isascii() and digits.isdigit() and len(digits) < 1000
    return (0, int(token), "") if number else (1, 0, token)


_STEPS = {
    "arranged": _arranged,
    "redrawn": _redrawn,
    "resized": _resized,
    "lent": _lent,
    "reshaped": _reshaped,
}


# -- orders: of a sorted list --------------------------------------------------------------------------

_Order = Callable[[list[str], random.Random], list[str]]


def _nearly(tokens: list[str], rng: random.Random) -> list[str]:
    for _ in range(1 + len(tokens) // 1000):
        one, other = rng.randrange(len(tokens)), rng.randrange(len(tokens))
        tokens[one], tokens[other] = tokens[other], tokens[one]
    return tokens


def _blocks(tokens: list[str], rng: random.Random) -> list[str]:
    """Return sorted runs of about the square root of the length, the last run first."""
    width = max(int(len(tokens) ** 0.5), 1)
    return [token for start in reversed(range(0, len(tokens), width)) for token in tokens[start : start + width]]


_ORDERS: dict[str, _Order] = {
    "sorted": lambda tokens, rng: tokens,
    "sorted down": lambda tokens, rng: tokens[::-1],
    "shuffled": lambda tokens, rng: rng.sample(tokens, len(tokens)),
    "as organ pipes": partial(ordered, "ORGAN_PIPE"),
    "in zigzag": partial(ordered, "ZIGZAG"),
    "against quicksort": partial(ordered, "PIVOTS"),
    "nearly sorted": _nearly,
    "in runs": _blocks,
    "rotated": lambda tokens, rng: tokens[len(tokens) // 2 :] + tokens[: len(tokens) // 2],
    "all least": lambda tokens, rng: tokens[:1] * len(tokens),
    "all greatest": lambda tokens, rng: tokens[-1:] * len(tokens),
    "of two values": lambda tokens, rng: (
        rng.choices((tokens[0], tokens[-1]), k=len(tokens)) if rng.random() < 0.5 else _halves(tokens)
    ),
    "one apart": lambda tokens, rng: tokens[:1] * (len(tokens) - 1) + tokens[-1:],
}


def _halves(tokens: list[str]) -> list[str]:
    half = len(tokens) // 2
    return tokens[:1] * half + tokens[-1:] * (len(tokens) - half)
