"""Names that are listed before they are used: which columns have only values of an earlier list. Pure.

A list of names has no name twice. Numbers count only if the list has gaps; others are places or bounded values.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.template import Choice, Instance, LineNode, Node, Repeat

__all__ = ["before", "named_before", "uses_of"]

_FEWEST = 6  # letters of all used names together, or numbers, that are hardly chance
_GAPS = 3  # numbers are names if the list has so many times fewer than there are between its ends


def before(number: int, where: tuple[int, ...], instance: Instance) -> Sequence[str]:
    """Return the tokens of an earlier field, from the nearest block around `where` that has it.

    Raises StopIteration.
    """
    places = [(number, where[:depth]) for depth in range(len(where), -1, -1)]
    return next(instance[place] for place in places if place in instance)


def uses_of(names: int, number: int, instance: Instance) -> Iterator[tuple[Sequence[str], frozenset[str]]]:
    """Yield the tokens of a field at each place, with the set of the names before it: the same set for the same list.

    Raises KeyError.
    """
    last: Sequence[str] = ()
    listed: frozenset[str] = frozenset()
    for (field, where), tokens in instance.items():
        if field == number:
            try:
                found = before(names, where, instance)
            except StopIteration as error:
                raise KeyError(names) from error
            if found is not last:
                last, listed = found, frozenset(found)
            yield tokens, listed


def named_before(nodes: Sequence[Node], facts: Facts, instances: Sequence[Instance]) -> dict[int, int]:
    """Return field -> the list whose values it has, the first of them."""
    parts = list(_parts(nodes))
    found: dict[int, int] = {}
    for place, (fields, _) in enumerate(parts):
        for number in fields:
            lists = [other for others, is_list in parts[:place] if is_list for other in others]
            named = [each for each in lists if _is_named(number, each, facts, instances)]
            if named:
                found[number] = found.get(named[0], named[0])
    return found


def _parts(nodes: Sequence[Node]) -> Iterator[tuple[Sequence[int], bool]]:
    """Yield fields that stand together, and whether they are lists, in the order of the input."""
    for node in nodes:
        if isinstance(node, LineNode):
            yield node.fields, False
            yield (() if node.tail is None else (node.tail,)), True
        elif isinstance(node, Repeat) and isinstance(node.table, LineNode):
            yield node.table.fields, True
        elif not isinstance(node, Choice) and not isinstance(node.table, Choice):
            yield from _parts(node.body)


def _is_named(number: int, other: int, facts: Facts, instances: Sequence[Instance]) -> bool:
    """Return whether all values of a field are in an earlier list, which has no value twice."""
    kind = facts.fields[number].kind
    if kind is TokenKind.FLOAT or kind is not facts.fields[other].kind:
        return False
    if not all(len(set(tokens)) == len(tokens) for tokens in _lists(other, instances).values()):
        return False
    uses = 0
    gapped: frozenset[str] = frozenset()
    try:
        for tokens, names in chain.from_iterable(uses_of(other, number, each) for each in instances):
            if not names.issuperset(tokens):
                return False
            if kind is TokenKind.INT and names is not gapped and not _has_gaps(names):
                return False
            gapped = names
            uses += sum(map(len, tokens)) if kind is TokenKind.WORD else len(tokens)
    except KeyError:
        return False
    return uses >= _FEWEST


def _lists(number: int, instances: Sequence[Instance]) -> Mapping[tuple[int, tuple[int, ...]], Sequence[str]]:
    return {
        (at, where): tokens
        for at, instance in enumerate(instances)
        for (field, where), tokens in instance.items()
        if field == number
    }


def _has_gaps(names: frozenset[str]) -> bool:
    values = list(map(int, names))
    return bool(values) and max(values) - min(values) >= _GAPS * len(values)
