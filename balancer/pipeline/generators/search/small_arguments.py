"""Small arguments of a call: random ones without end, and all of them in order. Pure.

Arguments have the shapes that `learn.value_shapes` knows, so nothing is tried that no sample and no statement shows.
"""

import random
import string
from collections.abc import Callable, Sequence
from itertools import islice, pairwise
from typing import Any

from balancer.pipeline.generators.draw.arguments import drawn_arguments, written
from balancer.pipeline.generators.draw.fill import TooLarge
from balancer.pipeline.generators.learn.value_shapes import Arguments, ValueShape
from balancer.pipeline.generators.search.differences import MadeInput
from balancer.pipeline.generators.search.small_inputs import Extent, Odometer
from balancer.problem import Problem

__all__ = ["SmallArguments", "arguments_maker"]

_AT_ONCE, _DRAWS = 250, 2000  # arguments of a batch, and draws until it is left short
_MOST_KNOWN = 300  # inputs that are changed
_KINDS = ("small", "change", "small", "middle")


class SmallArguments:
    """Small random arguments of a call, each once, and changes of known ones."""

    def __init__(self, problem: Problem, known: Sequence[bytes], near: Sequence[bytes], rng: random.Random) -> None:
        self._seen = set(known)
        self._made = drawn_arguments(problem, [*near, *known][:_MOST_KNOWN], rng, _KINDS)

    def batch(self) -> list[MadeInput]:
        """Return the next inputs."""
        found: list[MadeInput] = []
        for detail, data in islice(self._made, _DRAWS):
            if data not in self._seen:
                self._seen.add(data)
                found.append(MadeInput("arguments", detail, data))
            if len(found) == _AT_ONCE:
                break
        return found

    def heard(self, made: Sequence[MadeInput], valid: Sequence[bool | None]) -> None:
        """Nothing is learnt: a row has no validator."""

    def answered(self, answers: Sequence[tuple[MadeInput, bytes]]) -> None:
        """Nothing is learnt."""


def arguments_maker(found: Arguments) -> Callable[[Extent, Odometer], bytes]:
    """Return what makes all arguments of an extent, one after the other: see `EveryInput`."""
    return lambda extent, odometer: written(found, [_value(shape, extent, odometer) for shape in found.shapes])


def _value(shape: ValueShape, extent: Extent, odometer: Odometer) -> Any:
    """Return the value that the odometer shows. Raises TooLarge if there is none, or the shape does not allow it."""
    if shape.kind == "any":
        return _value(_picked(shape.options, odometer), extent, odometer)
    if shape.kind == "bool":
        return _picked((False, True), odometer)
    if shape.kind in ("int", "float"):
        return _picked(_numbers(shape, extent), odometer)
    if shape.kind == "null":
        return None
    least = int(shape.low)
    length = least + odometer.pick(max(0, min(extent.size, int(shape.high)) - least) + 1)
    if shape.kind == "str":
        letters = (shape.letters or string.ascii_lowercase)[: extent.width]
        return "".join(_picked(letters, odometer) for _ in range(length))
    if shape.item is None:
        return {} if shape.kind == "dict" else []
    if shape.kind == "dict":
        return {key: _value(shape.item, extent, odometer) for key in shape.keys[:length]}
    return _as_seen(shape, [_value(shape.item, extent, odometer) for _ in range(length)])


def _picked(options: Sequence[Any], odometer: Odometer) -> Any:
    return options[odometer.pick(len(options))]


def _numbers(shape: ValueShape, extent: Extent) -> list[float]:
    """Return the values of a number: the least ones from 0 on, or from the least one, and perhaps the greatest."""
    low, high, width = shape.low, shape.high, extent.width
    first = max(low, -(width // 2)) if low < 0 else low
    values = [value for value in (first + step for step in range(width)) if value <= high] or [low]
    if shape.kind == "int":
        values = [int(value) for value in values]
    return [*values, high] if extent.ends and high > values[-1] else values


def _as_seen(shape: ValueShape, items: list[Any]) -> list[Any]:
    """Return the items if they are as in all samples: different, in order, of one length. Else raise TooLarge."""
    different = not shape.distinct or all(one not in items[:place] for place, one in enumerate(items))
    in_order = not shape.rising or all(one <= other for one, other in pairwise(items))
    even = not shape.even or len({len(each) for each in items if isinstance(each, list | str)}) < 2
    if not (different and in_order and even):
        raise TooLarge
    return items
