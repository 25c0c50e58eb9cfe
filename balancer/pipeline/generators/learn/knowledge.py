"""Everything that is known about a problem's inputs, gathered once for all proposals.

It puts together what `infer`, `facts`, `hints` and `bounds` find out. It must not choose values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from balancer.pipeline.generators.learn.bounds import Range, find_ranges
from balancer.pipeline.generators.learn.connected import is_connected
from balancer.pipeline.generators.learn.facts import Facts, TokenKind, observe
from balancer.pipeline.generators.learn.hints import Hints, mine
from balancer.pipeline.generators.learn.infer import infer
from balancer.pipeline.generators.learn.template import (
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
from balancer.problem import Problem

__all__ = ["EdgeTable", "Knowledge", "Load", "knowledge_of"]

# The template is searched for in the smallest inputs: so many at most, and so many bytes in all, as they are
# read hundreds of times.
_SEARCHED_INPUTS, _SEARCHED_BYTES = 8, 4000
_OBSERVED_BYTES = 2**20  # of inputs that facts are gathered from
_END_MARKS = frozenset({"0", "-1", "#", "*", ".", "$", "end", "END", "quit", "exit"})


@dataclass(frozen=True, slots=True)
class EdgeTable:
    """Two columns of repeated lines that look like the edges of a graph.

    Args:
        left, right: the columns.
        bound: what tells the number of nodes; nodes are `low` to that.
        rows: the field that counts the edges, or None.
        simple: no edge was seen twice, nor a loop.
        connected: every graph seen is in one piece.
    """

    left: int
    right: int
    bound: Count
    low: int
    rows: Count | None
    simple: bool
    connected: bool


@dataclass(frozen=True, slots=True)
class Load:
    """What one more of a counted thing adds: tokens of `fields`, as often as all of `around` tell.

    Args:
        least: the least number that can be told: 1 if there are n - 1 of the thing, or if it counts letters.
        letters_only: it adds a letter to each word, not a token.
    """

    fields: tuple[int, ...]
    around: tuple[int, ...]
    least: int = 0
    letters_only: bool = False


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known about a problem's inputs.

    Args:
        nodes: the template.
        instances: the known inputs, read with it.
        sizes: fields that tell how many or how long, or that others are bounded by.
        blocks: those of them that tell how often several lines are repeated: test cases.
        loads: for each of `sizes`, what it makes longer.
        names: for people.
        ending: the line that ends every input, such as "0 0", if there is one; the template does not have it.
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
    ending: str | None


def knowledge_of(problem: Problem) -> Knowledge | None:
    """Gather what a problem's known inputs tell; None if they share no template."""
    texts = [known.data for known in sorted(problem.data, key=lambda known: len(known.data))]
    inputs = [lines for lines in map(tokenize, texts) if lines is not None]
    ending = _ending(inputs)
    if ending is not None:
        ended = [lines[:-1] for lines in inputs]
        nodes = _template(ended)
        if nodes is not None and any(isinstance(node, Repeat) and node.count is None for node in nodes):
            return _gathered(problem, nodes, ended, ending)
    nodes = _template(inputs)
    return None if nodes is None else _gathered(problem, nodes, inputs, None)


def _ending(inputs: Sequence[Sequence[list[str]]]) -> str | None:
    """Return the last line of all inputs if it is the same one, and looks like a mark of the end."""
    lasts = {" ".join(lines[-1]) for lines in inputs if lines}
    last = lasts.pop() if len(lasts) == 1 and len(inputs) > 1 else ""
    return last if last and all(token in _END_MARKS for token in last.split()) else None


def _gathered(
    problem: Problem, nodes: tuple[Node, ...], inputs: Sequence[Sequence[list[str]]], ending: str | None
) -> Knowledge:
    instances = tuple(_read_all(nodes, inputs))
    facts = observe(nodes, instances)
    hints = mine(problem.input_validators)
    loads: dict[int, list[Load]] = {}
    for number, load in (*_loads(nodes, ()), *_word_loads(nodes, facts, ())):
        loads.setdefault(number, []).append(load)
    bounds = {fact.bound.field for fact in facts.fields.values() if fact.bound and fact.bound.field is not None}
    return Knowledge(
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
        ending=ending,
    )


def _template(inputs: Sequence[Sequence[list[str]]]) -> tuple[Node, ...] | None:
    """Return the template of the smallest inputs, or of some of them if others are odd ones out."""
    sizes = accumulate(map(_size, inputs))
    small = [lines for lines, size in zip(inputs, sizes, strict=True) if size <= _SEARCHED_BYTES] or list(inputs[:1])
    for chosen in _choices(small[:_SEARCHED_INPUTS]):
        nodes = infer(chosen)
        if nodes is not None and list(fields_of(nodes)):
            return nodes
    return None


def _choices(inputs: list[Sequence[list[str]]]) -> Iterator[list[Sequence[list[str]]]]:
    """Yield all inputs, then all but one, the largest left out first, then half of them, and half of that."""
    yield inputs
    if len(inputs) > 2:
        yield from ([*inputs[:index], *inputs[index + 1 :]] for index in reversed(range(len(inputs))))
    while len(inputs) > 1:
        inputs = inputs[: len(inputs) // 2]
        yield inputs


def _size(lines: Sequence[list[str]]) -> int:
    return sum(len(token) + 1 for line in lines for token in line)


def _read_all(nodes: Sequence[Node], inputs: Sequence[Sequence[list[str]]]) -> Iterator[Instance]:
    """Yield the inputs that have the template, the smallest in any case, more while there is room for them."""
    read_bytes = 0
    for lines in inputs:
        if read_bytes and read_bytes + _size(lines) > _OBSERVED_BYTES:
            return
        try:
            yield read(nodes, lines).slots
        except Mismatch:
            continue
        read_bytes += _size(lines)


def _loads(nodes: Sequence[Node], around: tuple[int, ...]) -> Iterator[tuple[int, Load]]:
    for node in nodes:
        if isinstance(node, Choice):
            continue
        inside = around
        if node.count is not None and node.count.field is not None:
            fields = tuple(fields_of(node.body)) if isinstance(node, Repeat) else (node.tail or 0,)
            yield node.count.field, Load(fields, around, least=max(-node.count.plus, 0))
            inside = (*around, node.count.field)
        if isinstance(node, Repeat):
            yield from _loads(node.body, inside)


def _word_loads(nodes: Sequence[Node], facts: Facts, around: tuple[int, ...]) -> Iterator[tuple[int, Load]]:
    for node in nodes:
        if isinstance(node, Repeat):
            counted = () if node.count is None or node.count.field is None else (node.count.field,)
            yield from _word_loads(node.body, facts, (*around, *counted))
            continue
        for number in fields_of((node,)):
            length = facts.fields[number].length
            if length is not None and length.field is not None:
                yield length.field, Load((number,), around, least=1, letters_only=True)


def _blocks(nodes: Sequence[Node]) -> Iterator[int]:
    for node in nodes:
        if isinstance(node, Repeat):
            if len(node.body) > 1 and node.count is not None and node.count.field is not None:
                yield node.count.field
            yield from _blocks(node.body)


def _edges(nodes: Sequence[Node], facts: Facts, instances: Sequence[Instance]) -> Iterator[EdgeTable]:
    for node in nodes:
        if isinstance(node, Repeat):
            yield from _edges(node.body, facts, instances)
            if isinstance(node.table, Line):
                for left, right in pairwise(node.table.fields):
                    yield from _edge_table(left, right, node, facts, instances)


def _edge_table(
    left: int, right: int, node: Repeat, facts: Facts, instances: Sequence[Instance]
) -> Iterator[EdgeTable]:
    """Yield the two columns as edges, if both are bounded by the same number of nodes."""
    one, other = facts.fields[left], facts.fields[right]
    if one.kind is not TokenKind.INT or one.bound is None or one.bound != other.bound:
        return
    low = min(one.low, other.low, 1)
    graphs = list(_graphs(left, right, one.bound, low, instances))
    simple = all(len({frozenset(edge) for edge in edges}) == len(edges) for _, edges in graphs)
    loops = any(from_ == to for _, edges in graphs for from_, to in edges)
    connected = all(is_connected(size, edges) for size, edges in graphs)
    yield EdgeTable(left, right, one.bound, low, node.count, simple and not loops, connected)


def _graphs(
    left: int, right: int, bound: Count, low: int, instances: Sequence[Instance]
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield each graph seen: its number of nodes, and its edges with nodes numbered from 0."""
    for instance in instances:
        for (number, where), tokens in instance.items():
            if number == left:
                edges = [
                    (int(from_) - low, int(to) - low) for from_, to in zip(tokens, instance[right, where], strict=True)
                ]
                # The nearest block around the edges that has the bound.
                places = [(bound.field or 0, where[:depth]) for depth in range(len(where), -1, -1)]
                told = next(instance[place] for place in places if place in instance)
                yield int(told[0]) + bound.plus - low + 1, edges


def _names(nodes: Sequence[Node], counting: frozenset[int]) -> dict[int, str]:
    """Name fields as problem setters do: n and m count, a, b, c are values."""
    counts, values = iter("nmkqpr"), iter("abcdefghijuvwxyz")
    names = {}
    for number in fields_of(nodes):
        letter = next(counts if number in counting else values, None)
        names[number] = letter or f"field {number + 1}"
    return names
