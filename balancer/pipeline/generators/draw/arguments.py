"""Arguments of a called function: edges, changed samples, small and large random ones, as JSON, one a line.

Decides their kinds and their order. All are drawn from the shapes that `learn.value_shapes` knows.
"""

import copy
import json
import random
import string
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

from balancer.pipeline.generators.learn.value_shapes import Arguments, ValueShape, arguments_of, read_arguments
from balancer.problem import Problem

__all__ = ["ArgumentDrawer", "drawn_arguments", "written"]

_MOST_ITEMS = 200_000  # items of an input
_ROUND = ("edge", "small", "change", "large", "change", "small")
_SIZES = {"small": 5, "middle": 30}  # most items of a list
_TRIES = 5  # to draw items again that must differ
_NEAR = 4  # small numbers are so near to a bound
_LARGEST = (200, 2000, 20_000, _MOST_ITEMS)  # sizes of large inputs, in turn

Pick = Callable[[ValueShape, int], Any]


def drawn_arguments(problem: Problem, known: Sequence[bytes], rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield inputs without end, of several kinds in turn, with a detail for people; none if nothing is known.

    Args:
        problem: its samples, hints and statement are learnt from.
        known: inputs that are changed.
        rng: for all random choices.
    """
    found = arguments_of(problem)
    if found is None:
        return
    drawer = ArgumentDrawer(found, known, rng)
    edges = drawer.edges()
    for number in count():
        for kind in _ROUND:
            made = next(edges, None) if kind == "edge" else drawer.of_kind(kind, number)
            if made is not None:
                yield made


class ArgumentDrawer:
    """Draws arguments.

    Args:
        found: what is known of them.
        known: inputs that are changed.
        rng: for all random choices.
    """

    def __init__(self, found: Arguments, known: Sequence[bytes], rng: random.Random) -> None:
        self._found = found
        self._rng = rng
        count = len(found.shapes)
        read = [args for args in map(read_arguments, known) if args is not None and len(args) == count]
        self._bases = read or list(found.samples)

    def of_kind(self, kind: str, number: int) -> tuple[str, bytes]:
        """Return an input of a kind: "change", "small", "middle" or "large"; `number` counts them."""
        if kind == "change":
            return "changed arguments", written(self._found, self._changed())
        if kind == "large":
            size = _LARGEST[number % len(_LARGEST)]
            way = self._rng.choice((self._wide, self._wide, self._high, self._equal()))
            return f"large arguments, {size}", written(self._found, self._all(way, size))
        size = _SIZES[kind]
        way = self._rng.choice((self._near, self._near, self._wide, self._equal()))
        return f"{kind} arguments", written(self._found, self._all(way, self._rng.randint(1, size)))

    def edges(self) -> Iterator[tuple[str, bytes]]:
        """Yield the least and the greatest of all arguments, then of each one beside a sample."""
        for name, way, size in (("least", self._low, 1), ("greatest", self._high, _SIZES["middle"])):
            yield f"{name} arguments", written(self._found, self._all(way, size))
        for number, shape in enumerate(self._found.shapes):
            for name, way, size in (("least", self._low, 0), ("greatest", self._high, _SIZES["middle"])):
                args = copy.deepcopy(self._rng.choice(self._found.samples))
                args[number] = self._drawn(shape, way, size)
                yield f"argument {number + 1} {name}", written(self._found, args)

    # -- ways to draw a number -----------------------------------------------------------------------

    def _low(self, shape: ValueShape, size: int) -> float:
        return shape.low

    def _high(self, shape: ValueShape, size: int) -> float:
        return shape.high

    def _wide(self, shape: ValueShape, size: int) -> float:
        return self._between(shape, shape.low, shape.high)

    def _near(self, shape: ValueShape, size: int) -> float:
        start = 0 if shape.low <= 0 <= shape.high else shape.low
        return self._between(shape, max(shape.low, start - _NEAR), min(shape.high, start + _NEAR))

    def _equal(self) -> Pick:
        share = self._rng.random()
        return lambda shape, size: self._between(shape, *(2 * [shape.low + share * (shape.high - shape.low)]))

    def _between(self, shape: ValueShape, low: float, high: float) -> float:
        if shape.kind == "float":
            return min(max(round(self._rng.uniform(low, high), 2), low), high)
        return self._rng.randint(int(low), max(int(low), int(high)))

    # -- values --------------------------------------------------------------------------------------

    def _all(self, way: Pick, size: int) -> list[Any]:
        return [self._drawn(shape, way, size) for shape in self._found.shapes]

    def _drawn(self, shape: ValueShape, way: Pick, size: int, length: int | None = None) -> Any:
        """Return a value of a shape; a list has about `size` items, `length` if that is given."""
        if shape.kind in ("int", "float"):
            return way(shape, size)
        if shape.kind == "bool":
            return self._rng.random() < 0.5
        if shape.kind == "any":
            return self._drawn(self._rng.choice(shape.options), way, size)
        if shape.kind == "str":
            letters = shape.letters or string.ascii_lowercase
            few = letters[: self._rng.choice((1, 2, len(letters)))]
            return "".join(self._rng.choices(few, k=self._length(shape, size) if length is None else length))
        if shape.kind == "dict":
            keys = self._rng.sample(shape.keys, min(len(shape.keys), self._length(shape, size)))
            return {key: self._item(shape, way, size) for key in keys}
        if shape.kind == "list":
            return self._list(shape, way, size, self._length(shape, size) if length is None else length)
        return None

    def _list(self, shape: ValueShape, way: Pick, size: int, length: int) -> list[Any]:
        nested = shape.item is not None and shape.item.kind in ("list", "str", "dict")
        inner = max(1, size // max(length, 1)) if size > _SIZES["middle"] else size
        each = None
        if nested and shape.even and shape.item is not None:
            each = self._length(shape.item, inner)
        items = self._kept(shape, [self._item(shape, way, inner, each) for _ in range(length)])
        for _ in range(_TRIES):
            if len(items) >= length:  # some were drawn twice
                break
            more = [self._item(shape, self._wide, inner, each) for _ in range(length - len(items))]
            items = self._kept(shape, items + more)
        return items

    def _item(self, shape: ValueShape, way: Pick, size: int, length: int | None = None) -> Any:
        return None if shape.item is None else self._drawn(shape.item, way, size, length)

    def _length(self, shape: ValueShape, size: int) -> int:
        if shape.kind in ("list", "dict") and shape.item is None and not shape.keys:
            return 0
        nested = shape.item is not None and shape.item.kind in ("list", "str")
        wanted = size if not nested or size <= _SIZES["middle"] else int(size**0.5)
        return int(max(shape.low, min(shape.high, wanted)))

    def _kept(self, shape: ValueShape, items: list[Any]) -> list[Any]:
        """Return the items as all samples have them: each once, or in order."""
        if shape.distinct:
            items = list({json.dumps(each): each for each in items}.values())
        return sorted(items) if shape.rising else items

    # -- changes -------------------------------------------------------------------------------------

    def _changed(self) -> list[Any]:
        args = copy.deepcopy(self._rng.choice(self._bases))
        for _ in range(self._rng.choice((1, 1, 2, 3))):
            number = self._rng.randrange(len(args)) if args else 0
            if args:
                args[number] = self._change(self._found.shapes[number], args[number])
        return args

    def _change(self, shape: ValueShape, value: Any) -> Any:
        """Return a value that differs a little."""
        rng = self._rng
        if isinstance(value, bool) or shape.kind in ("bool", "any", "null", "dict"):
            return self._drawn(shape, self._near, _SIZES["small"])
        if isinstance(value, int | float):
            ways = (value + 1, value - 1, self._wide(shape, 0), self._near(shape, 0), shape.low, shape.high)
            return min(max(rng.choice(ways), shape.low), shape.high)
        if isinstance(value, str):
            return "".join(self._rearranged(shape, list(value), lambda: rng.choice(shape.letters or "a")))
        if isinstance(value, list) and shape.item is not None:
            item, at = shape.item, rng.randrange(len(value)) if value and rng.random() < 0.5 else None
            even = len(value[0]) if shape.even and value and isinstance(value[0], list | str) else None
            changed = (
                self._rearranged(shape, value, lambda: self._drawn(item, self._near, _SIZES["small"], even))
                if at is None
                else [*value[:at], self._change(item, value[at]), *value[at + 1 :]]
            )
            changed = self._kept(shape, changed)
            return changed if shape.low <= len(changed) <= shape.high else value
        return value

    def _rearranged(self, shape: ValueShape, items: list[Any], new: Callable[[], Any]) -> list[Any]:
        """Return the items with one less, one more, a copy of another one, or in another order."""
        rng = self._rng
        at = rng.randrange(len(items)) if items else 0
        way = rng.randrange(4)
        if way == 0 and len(items) > shape.low:
            return items[:at] + items[at + 1 :]
        if way == 1 and len(items) < shape.high:
            return [*items[:at], new(), *items[at:]]
        if way == 2 and items:
            return [*items[:at], copy.deepcopy(rng.choice(items)), *items[at + 1 :]]
        return items[::-1] if rng.random() < 0.5 else rng.sample(items, len(items))


def written(found: Arguments, args: list[Any]) -> bytes:
    """Return an input with these arguments, changed so that they are related as in all samples."""
    for one, other in found.alike:
        length = min(len(args[one]), len(args[other]))
        args[one], args[other] = args[one][:length], args[other][:length]
    for number, of in found.sizes:
        args[number] = len(args[of])
    for number, of in found.within:
        args[number] = min(args[number], len(args[of]))
    return "".join(f"{json.dumps(each)}\n" for each in args).encode()
