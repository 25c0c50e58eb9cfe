"""Everything that is known about a problem's inputs, gathered once for all proposals.

It puts together what `infer`, `facts`, `hints` and `bounds` find out. It must not choose values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from balancer.pipeline.generators.bounds import Range, find_ranges
from balancer.pipeline.generators.facts import Facts, Kind, observe, tables_of
from balancer.pipeline.generators.hints import Hints, mine
from balancer.pipeline.generators.infer import infer
from balancer.pipeline.generators.template import (
    Choice,
    Count,
    Instance,
    Line,
    Mismatch,
    Node,
    Repeat,
    fields_of,
    read,
    tokenize,
)
from balancer.pipeline.model import Problem

__all__ = ["EdgeTable", "Load", "Study", "study"]

# The template is searched for in inputs that are small enough to be read hundreds of times, the smallest first.
_SEARCHED_INPUTS, _SEARCHED_BYTES = 8, 4000
_OBSERVED_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class EdgeTable:
    """Two columns of repeated lines that look like the edges of a graph.

    Args:
        left, right: the columns.
        bound: what tells the number of nodes; nodes are `low` to that.
        rows: the field that counts the edges, or None.
        simple: no edge was seen twice, nor a loop.
    """

    left: int
    right: int
    bound: Count
    low: int
    rows: Count | None
    simple: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What one more of a counted thing adds: tokens of `fields`, as often as all of `around` tell."""

    fields: tuple[int, ...]
    around: tuple[int, ...]
    letters_only: bool = False


@dataclass(frozen=True, slots=True)
class Study:
    """What is known about a problem's inputs.

    Args:
        nodes: the template.
        instances: the known inputs, read with it.
        sizes: fields that tell how many or how long, or that others are bounded by.
        blocks: those of them that tell how often several lines are repeated: test cases.
        loads: for each of `sizes`, what it makes longer.
        names: for people.
    """

    nodes: tuple[Node, ...]
    instances: tuple[Instance, ...]
    facts: Facts
    ranges: dict[int, Range]
    hints: Hints
    sizes: frozenset[int]
    blocks: frozenset[int]
    loads: dict[int, tuple[Load, ...]]
    edges: tuple[EdgeTable, ...]
    names: dict[int, str]


def study(problem: Problem) -> Study | None:
    """Study a problem's known inputs; None if they share no template."""
    texts = [known.data for known in sorted(problem.data, key=lambda known: len(known.data))]
    inputs = [lines for lines in map(tokenize, texts) if lines is not None]
    nodes = _template([lines for lines in inputs if _size(lines) <= _SEARCHED_BYTES] or inputs[:1])
    if nodes is None:
        return None
    instances = tuple(_read_all(nodes, inputs))
    facts = observe(nodes, instances)
    hints = mine(problem.input_validators)
    loads: dict[int, list[Load]] = {}
    for number, load in (*_loads(nodes, ()), *_word_loads(nodes, facts, ())):
        loads.setdefault(number, []).append(load)
    bounds = {fact.bound.field for fact in facts.fields.values() if fact.bound and fact.bound.field is not None}
    return Study(
        nodes=nodes,
        instances=instances,
        facts=facts,
        ranges=find_ranges(facts, hints),
        hints=hints,
        sizes=frozenset(loads) | bounds,
        blocks=frozenset(_blocks(nodes)),
        loads={number: tuple(found) for number, found in loads.items()},
        edges=tuple(_edges(nodes, facts, instances)),
        names=_names(nodes, frozenset(loads)),
    )


def _template(inputs: Sequence[Sequence[list[str]]]) -> tuple[Node, ...] | None:
    """Return the template of the smallest inputs; of the smallest few, or one, if some are odd ones out."""
    chosen = list(inputs[:_SEARCHED_INPUTS])
    while chosen:
        nodes = infer(chosen)
        if nodes is not None and list(fields_of(nodes)):
            return nodes
        chosen = chosen[: len(chosen) // 2]
    return None


def _size(lines: Sequence[list[str]]) -> int:
    return sum(len(token) + 1 for line in lines for token in line)


def _read_all(nodes: Sequence[Node], inputs: Sequence[Sequence[list[str]]]) -> Iterator[Instance]:
    left = _OBSERVED_BYTES
    for lines in inputs:
        left -= _size(lines)
        if left < 0:
            return
        try:
            yield read(nodes, lines).slots
        except Mismatch:
            continue


def _loads(nodes: Sequence[Node], around: tuple[int, ...]) -> Iterator[tuple[int, Load]]:
    for node in nodes:
        if isinstance(node, Choice):
            continue
        counted = None if node.count is None else node.count.field
        if isinstance(node, Repeat):
            if counted is not None:
                yield counted, Load(tuple(fields_of(node.body)), around)
            yield from _loads(node.body, around if counted is None else (*around, counted))
        elif counted is not None and node.tail is not None:
            yield counted, Load((node.tail,), around)


def _word_loads(nodes: Sequence[Node], facts: Facts, around: tuple[int, ...]) -> Iterator[tuple[int, Load]]:
    for node in nodes:
        if isinstance(node, Repeat):
            counted = () if node.count is None or node.count.field is None else (node.count.field,)
            yield from _word_loads(node.body, facts, (*around, *counted))
            continue
        for number in fields_of((node,)):
            length = facts.fields[number].length
            if length is not None and length.field is not None:
                yield length.field, Load((number,), around, letters_only=True)


def _blocks(nodes: Sequence[Node]) -> Iterator[int]:
    for node in nodes:
        if isinstance(node, Repeat):
            if len(node.body) > 1 and node.count is not None and node.count.field is not None:
                yield node.count.field
            yield from _blocks(node.body)


def _edges(nodes: Sequence[Node], facts: Facts, instances: Sequence[Instance]) -> Iterator[EdgeTable]:
    for node in nodes:
        if not isinstance(node, Repeat):
            continue
        yield from _edges(node.body, facts, instances)
        for fields in tables_of((node,)) if isinstance(node.table, Line) else ():
            for left, right in pairwise(fields):
                one, other = facts.fields[left], facts.fields[right]
                if one.kind is Kind.INT and one.bound is not None and one.bound == other.bound:
                    low = min(one.low, other.low, 1)
                    simple = _is_simple(left, right, instances)
                    yield EdgeTable(left, right, one.bound, low, node.count, simple)


def _is_simple(left: int, right: int, instances: Sequence[Instance]) -> bool:
    for instance in instances:
        for (number, where), tokens in instance.items():
            if number == left:
                edges = [frozenset(edge) for edge in zip(tokens, instance[right, where], strict=True)]
                if len(set(edges)) < len(edges) or any(len(edge) < 2 for edge in edges):
                    return False
    return True


def _names(nodes: Sequence[Node], counting: frozenset[int]) -> dict[int, str]:
    """Name fields as problem setters do: n and m count, a, b, c are values."""
    counts, values = iter("nmkqpr"), iter("abcdefghijuvwxyz")
    names = {}
    for number in fields_of(nodes):
        letter = next(counts if number in counting else values, None)
        names[number] = letter or f"field {number + 1}"
    return names
