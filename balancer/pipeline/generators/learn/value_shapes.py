"""Value shapes: what the arguments of a called function look like, from samples, type hints and the statement. Pure.

Decides which ranges, lengths and letters are tried, and what is kept because all samples have it. A row has no
validator, so nothing is tried that neither a sample nor the statement shows: an input that breaks a rule would blame
wrong programs for nothing.
"""

import ast
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise, permutations
from typing import Any, Literal

from balancer.judging.calls import called_source
from balancer.pipeline.generators.learn.statement import compared, plain
from balancer.problem import Problem

__all__ = ["Arguments", "ValueShape", "arguments_of", "read_arguments"]

Kind = Literal["int", "float", "str", "bool", "null", "list", "dict", "any"]

_MOST = 20  # samples that are looked at
_WIDER = 10  # a number that no statement bounds may be so many times the largest one seen
_LARGE = 2000  # length of lists that no statement bounds
_SURE = 3  # lists with two items or more that must have an order, before it is a rule


@dataclass(frozen=True, slots=True)
class ValueShape:
    """The shape of a value.

    Attributes:
        kind: of the value; "any": one of `options`.
        low, high: bounds of a number, or of the length of a text or a list.
        letters: of a text.
        item: of a list, or of the values of an object.
        keys: of an object.
        distinct, rising: whether the items of each list differ, or never decrease.
        even: whether the items of a list have the same length.
        options: the shapes of which the value has one.
    """

    kind: Kind
    low: float = 0
    high: float = 0
    letters: str = ""
    item: "ValueShape | None" = None
    keys: tuple[str, ...] = ()
    distinct: bool = False
    rising: bool = False
    even: bool = False
    options: "tuple[ValueShape, ...]" = ()


@dataclass(frozen=True, slots=True)
class Arguments:
    """What is known of the arguments.

    Attributes:
        shapes: of each.
        samples: known arguments.
        alike: pairs of arguments of the same length.
        sizes: (number, list): the number is the length of the list.
        within: (number, list): the number is at most the length of the list.
    """

    shapes: tuple[ValueShape, ...]
    samples: tuple[list[Any], ...]
    alike: tuple[tuple[int, int], ...]
    sizes: tuple[tuple[int, int], ...]
    within: tuple[tuple[int, int], ...]


def read_arguments(data: bytes) -> list[Any] | None:
    """Return the arguments in an input; None if it is none."""
    try:
        return [json.loads(line) for line in data.split(b"\n") if line.strip()]
    except (ValueError, RecursionError):
        return None


def arguments_of(problem: Problem) -> Arguments | None:
    """Return what is known of the arguments of a problem's function; None if its samples do not agree in number."""
    read = [read_arguments(known.data) for known in problem.data[:_MOST]]
    samples = [args for args in read if args is not None]
    if not samples or len({len(args) for args in samples}) != 1:
        return None
    count = len(samples[0])
    sources = (called_source(each.program) for each in problem.accepted)
    parameters = next(filter(None, (_parameters(problem, source) for source in sources)), [])
    told = list(_told_bounds(problem.statement))
    shapes = []
    for number in range(count):
        shape = _shape([args[number] for args in samples])
        name, hint = parameters[number] if number < len(parameters) else ("", "")
        shapes.append(_bounded(_hinted(shape, hint), name, told, problem.statement))
    return Arguments(tuple(shapes), tuple(samples), *_relations(shapes, samples))


# -- from samples --------------------------------------------------------------------------------------


def _shape(values: Sequence[Any]) -> ValueShape:
    """Return the shape that all of some values have."""
    kinds = {_kind(value) for value in values}
    if kinds == {"int", "float"}:
        kinds = {"float"}
    if len(kinds) != 1:
        parts = [[value for value in values if _kind(value) == kind] for kind in sorted(kinds)]
        return ValueShape("any", options=tuple(_shape(part) for part in parts))
    kind = kinds.pop()
    if kind in ("int", "float"):
        return _number(kind, values)
    if kind == "str":
        low, high = _lengths(values)
        return ValueShape("str", low, high, "".join(sorted({letter for value in values for letter in value})))
    if kind == "dict":
        keys = tuple(sorted({key for value in values for key in value}))
        items = [each for value in values for each in value.values()]
        return ValueShape("dict", *_lengths(values), item=_shape(items) if items else None, keys=keys)
    return _list(values) if kind == "list" else ValueShape(kind)


def _kind(value: Any) -> Kind:
    names: dict[type, Kind] = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "dict"}
    return names.get(type(value), "null")


def _number(kind: Kind, values: Sequence[float]) -> ValueShape:
    low, high = min(values), max(values)
    return ValueShape(kind, min(low, 1) if low > 0 else low, high)


def _lengths(values: Sequence[Any]) -> tuple[int, int]:
    """Return the least and the greatest length; one that all of several values have is kept."""
    low, high = min(map(len, values)), max(map(len, values))
    return (low, high) if low == high and len(values) > 1 else (min(low, 1), high)


def _list(values: Sequence[list[Any]]) -> ValueShape:
    items = [each for value in values for each in value]
    shape = ValueShape("list", *_lengths(values), item=_shape(items) if items else None)
    plain = shape.item is not None and shape.item.kind in ("int", "float", "str")
    long = [value for value in values if len(value) > 1]
    if len(long) < _SURE or shape.item is None:
        return replace(shape, even=_are_even(values))
    written = [[json.dumps(each) for each in value] for value in long]
    return replace(
        shape,
        distinct=all(len(set(texts)) == len(texts) for texts in written),
        rising=plain and all(one <= other for value in long for one, other in pairwise(value)),
        even=_are_even(values),
    )


def _are_even(values: Sequence[list[Any]]) -> bool:
    sized = [value for value in values if len(value) > 1 and all(isinstance(each, list | str) for each in value)]
    return bool(sized) and all(len(set(map(len, value))) == 1 for value in sized)


_Pairs = tuple[tuple[int, int], ...]


def _relations(shapes: Sequence[ValueShape], samples: Sequence[list[Any]]) -> tuple[_Pairs, _Pairs, _Pairs]:
    if len(samples) < 2:
        return (), (), ()
    sized = [number for number, shape in enumerate(shapes) if shape.kind in ("list", "str")]
    counts = [number for number, shape in enumerate(shapes) if shape.kind == "int"]
    alike = tuple(
        (one, other) for one, other in combinations(sized, 2) if all(len(a[one]) == len(a[other]) for a in samples)
    )
    both = [pair for pair in permutations(range(len(shapes)), 2) if pair[0] in counts and pair[1] in sized]
    sizes = tuple(pair for pair in both if all(a[pair[0]] == len(a[pair[1]]) for a in samples))
    within = tuple(
        pair for pair in both if pair not in sizes and all(0 <= a[pair[0]] <= len(a[pair[1]]) for a in samples)
    )
    return alike, sizes, within


# -- from type hints -----------------------------------------------------------------------------------


def _parameters(problem: Problem, source: str) -> list[tuple[str, str]]:
    """Return name and type hint of the parameters of the function, without `self`."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    wanted = problem.function.rpartition(".")[2]
    for node in nodes:
        if isinstance(node, ast.FunctionDef) and node.name == wanted:
            found = [(arg.arg, ast.unparse(arg.annotation) if arg.annotation else "") for arg in node.args.args]
            return found[1:] if found and found[0][0] == "self" else found
    return []


_HINTED = {
    "int": ValueShape("int", 0, 9),
    "float": ValueShape("float", 0, 9),
    "str": ValueShape("str", 1, 3, "ab"),
    "bool": ValueShape("bool"),
}


def _hinted(shape: ValueShape, hint: str) -> ValueShape:
    """Return the shape with items as the hint says, where the samples have only empty lists."""
    inner = re.fullmatch(r"(?:typing\.)?(?:[Ll]ist|Sequence)\[(.*)\]", hint.strip())
    if inner is None or shape.kind != "list":
        return shape
    item = shape.item or _HINTED.get(inner[1].strip())
    return shape if item is None else replace(shape, item=_hinted(item, inner[1]))


# -- from the statement --------------------------------------------------------------------------------

_TARGET = r"(?:len\()?\|?[A-Za-z_]\w*(?:\[\w+\])*(?:\.length|\.size\(\)|\.size)?\|?\)?"
_SAME = re.compile(rf"\b([A-Za-z_]\w*)\s*==?\s*({_TARGET})")
_WORDS = re.compile(r"lower-?\s?case (?:english |latin )?letters", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Told:
    """Bounds in a statement: of values, or of lengths, `depth` levels within the parameter `name`."""

    name: str
    depth: int
    of_length: bool
    low: float
    high: float


def _told_bounds(statement: str) -> Iterator[_Told]:
    text = plain(statement)
    same = {match[1]: match[2] for match in _SAME.finditer(text)}
    for target, bound in compared(text, _TARGET).items():
        if bound.low is not None and bound.high is not None:
            for words in filter(None, (target, same.get(target))):
                of_length = any(mark in words for mark in (".length", ".size", "len(", "|"))
                name = re.sub(r"^len\(|\W.*", "", words.removeprefix("|").removeprefix("len("))
                yield _Told(name, words.count("["), of_length, bound.low, bound.high)


def _bounded(shape: ValueShape, name: str, told: Sequence[_Told], statement: str) -> ValueShape:
    """Return the shape within the bounds that the statement tells of the parameter, else with some more room."""
    return _at(shape, 0, [each for each in told if each.name == name], bool(_WORDS.search(statement)))


def _at(shape: ValueShape, depth: int, told: Sequence[_Told], lower: bool) -> ValueShape:
    sized = shape.kind in ("list", "str", "dict")
    known = next((each for each in told if each.depth == depth and each.of_length is sized), None)
    if known is not None and known.low <= shape.high and known.high >= shape.low and known.low <= known.high:
        shape = replace(shape, low=known.low, high=known.high)
    elif shape.kind == "int" and not depth:
        shape = replace(shape, high=max(shape.high * _WIDER, shape.high))
    elif shape.kind in ("list", "str") and not depth and shape.low < shape.high:
        shape = replace(shape, high=max(shape.high, _LARGE))
    if shape.kind == "str" and lower and re.fullmatch("[a-z]*", shape.letters):
        shape = replace(shape, letters="abcdefghijklmnopqrstuvwxyz")
    if shape.kind == "list" and shape.item is not None:
        shape = replace(shape, item=_at(shape.item, depth + 1, told, lower))
    return shape
