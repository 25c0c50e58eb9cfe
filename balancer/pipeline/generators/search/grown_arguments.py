"""Grown arguments of a call: large ones, and steps from one to another, to climb to those that take long. Pure.

Texts and lists are put into another order, repeated, filled with one item, or drawn anew, within their bounds.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from balancer.pipeline.generators.draw.arguments import ArgumentDrawer, written
from balancer.pipeline.generators.learn.value_shapes import Arguments, ValueShape, read_arguments
from balancer.pipeline.generators.search.hill_climb import HillClimb, Step
from balancer.pipeline.proposing import Comparer

__all__ = ["ArgumentSteps", "climb_on_arguments"]

_STARTS = 12  # made-up arguments to start from
_MOST_BYTES = 2**20


def climb_on_arguments(found: Arguments, comparer: Comparer, known: Sequence[bytes], rng: random.Random) -> HillClimb:
    """Return the climb on a problem that is a call. Args: as for `hill_climb.climb_on`."""
    steps = ArgumentSteps(found, rng)
    return HillClimb(steps.starts(), known, steps, comparer, rng)


class ArgumentSteps:
    """Steps from some arguments to others. Args: what is known of the arguments, and what draws at random."""

    def __init__(self, found: Arguments, rng: random.Random) -> None:
        self._found = found
        self._rng = rng
        self._drawer = ArgumentDrawer(found, [], rng)

    def starts(self) -> Iterator[Step]:
        """Yield the first arguments: large ones, the largest first."""
        for number in reversed(range(_STARTS)):
            detail, data = self._drawer.of_kind("large", number)
            if len(data) <= _MOST_BYTES:
                yield Step("made up", detail, data)

    def take(self, data: bytes, others: Sequence[bytes], count: int) -> list[Step]:
        """Return up to `count` arguments one step away from `data`."""
        made = (self._step(data, others) for _ in range(count))
        return [each for each in made if each is not None and each.data != data and len(each.data) <= _MOST_BYTES]

    def heard(self, step: Step, *, valid: bool) -> None:
        """Nothing is learnt: a row has no validator."""

    def _step(self, data: bytes, others: Sequence[bytes]) -> Step | None:
        args = read_arguments(data)
        if not args or len(args) != len(self._found.shapes):
            return None
        number = self._rng.randrange(len(args))
        shape, value = self._found.shapes[number], args[number]
        if isinstance(value, list | str) and len(value) > 1 and self._rng.random() < 0.7:
            name = self._rng.choice(list(_WAYS))
            items = _WAYS[name](list(value), self._rng)
            args[number] = _within(shape, items if isinstance(value, list) else "".join(items))
        else:
            name = "anew"
            drawn = read_arguments(self._drawer.of_kind("large", self._rng.randrange(_STARTS))[1])
            lent = read_arguments(self._rng.choice(others)) if others and self._rng.random() < 0.3 else None
            source = lent if lent and len(lent) == len(args) else drawn
            args[number] = value if source is None else source[number]
        return Step(name, f"argument {number + 1} {name}", written(self._found, args))


def _within(shape: ValueShape, value: Any) -> Any:
    """Return a text or a list as all samples have it: not too long, each item once, in order."""
    value = value[: int(max(shape.high, shape.low))]
    if isinstance(value, list) and shape.distinct:
        value = list({repr(each): each for each in value}.values())
    return sorted(value) if isinstance(value, list) and shape.rising else value


def _sorted(items: list[Any], rng: random.Random) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:  # items of several kinds
        return items


_WAYS: dict[str, Callable[[list[Any], random.Random], list[Any]]] = {
    "sorted": _sorted,
    "sorted down": lambda items, rng: _sorted(items, rng)[::-1],
    "shuffled": lambda items, rng: rng.sample(items, len(items)),
    "of one item": lambda items, rng: [rng.choice(items)] * len(items),
    "of two items": lambda items, rng: rng.choices(rng.sample(items, 2), k=len(items)),
    "one apart": lambda items, rng: items[:1] * (len(items) - 1) + items[-1:],
    "twice": lambda items, rng: items * 2,
    "mirrored": lambda items, rng: items + items[::-1],
    "half": lambda items, rng: items[: len(items) // 2],
}
