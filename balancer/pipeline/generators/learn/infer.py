"""Template inference: finds the template that all known inputs of a problem share. Pure.

A best-first search. From the first line on, it guesses the next node, reads it in all inputs at once, and continues
with the rest. The cheapest template that reads all inputs wins: few nodes, and counts that fit several different
lengths. The costs are a prior over input formats, not learned. Only their order matters.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from itertools import count as counter

from balancer.pipeline.generators.learn.template import (
    Choice,
    Count,
    LineNode,
    Mismatch,
    Node,
    Repeat,
    TemplateReading,
    fields_of,
    read,
    read_nodes,
    whole_number,
)

__all__ = ["Front", "infer", "next_nodes", "possible_counts", "templates"]

_MOST_FIELDS = 8  # a longer line is a list
_MOST_KEYWORDS = 8
_LEADS = (0, 1, 2)  # fields before a list on its line: none, "n", "name n"
# Nodes tried before the search ends: in all, for all blocks together, and for one block.
# A node takes about 50 us on inputs of a few lines, so the worst case is near 0.3 s. With more lines
# than this in all inputs together, every node takes longer, and fewer are tried.
_STEPS, _BLOCK_STEPS, _ONE_BLOCK_STEPS = 3000, 4000, 1000
_LINES, _SLOWEST = 300, 100
_NODES, _BLOCK_NODES = 12, 5
_WAYS, _WHOLE_WAYS = 6, 20  # ways to reach the same lines that are continued, and to reach all ends
_OFFSET_COSTS = {0: 0.0, -1: 1.0, 1: 2.0}  # n - 1 edges of a tree, n + 1 posts of a fence
_NEARLY = 2.5  # a template that costs so much more than the cheapest one may be the right one
_HEADER = 2  # nodes before the first block: "t", or "n m" and one more line


@dataclass(frozen=True, slots=True)
class Front:
    """How far one input has been read."""

    lines: Sequence[list[str]]
    at: int
    reading: TemplateReading

    @property
    def ended(self) -> bool:
        """Whether no line is left."""
        return self.at >= len(self.lines)

    def step(self, node: Node) -> "Front":
        """Read one more node. Raises Mismatch."""
        reading = TemplateReading(values=dict(self.reading.values))
        return Front(self.lines, read_nodes((node,), self.lines, self.at, reading), reading)


def next_nodes(fronts: Sequence[Front], first: int) -> Iterator[Node]:
    """Yield nodes, with fields numbered from `first`, that may come next in every input.

    They are candidates: each must still be read. At the end of an input, there are none.
    """
    for count, rows in _counted_rows(fronts):
        yield from (Repeat(count, (table,)) for table in _tables(rows, first))
    if not any(front.ended for front in fronts):
        yield from _lines(fronts, [front.lines[front.at] for front in fronts], first)
    yield from _counted_list_rows(fronts, first)
    rest = [row for front in fronts for row in front.lines[front.at :]]
    if len(rest) > len(fronts):
        yield from (Repeat(None, (table,)) for table in _tables(rest, first))


def possible_counts(fronts: Sequence[Front]) -> Iterator[tuple[Count, list[int]]]:
    """Yield what may count the next blocks of lines, with the count in each input."""
    for count in _counts([front.reading.values for front in fronts]):
        passes = [count.of(front.reading.values) for front in fronts]
        pairs = zip(passes, fronts, strict=True)
        enough = all(0 <= number <= len(front.lines) - front.at for number, front in pairs)
        if enough and max(passes) > abs(count.plus):  # "t - 1 = 1 line" is chance
            yield count, passes


def _counts(values: Sequence[dict[int, int]], first_length: int | None = None) -> Iterator[Count]:
    """Yield what may tell a number: each field that is a whole number in every input.

    `first_length`, if known, is its value in the first input.
    """
    for plus in _OFFSET_COSTS:
        for number, value in values[0].items():
            if first_length in (None, value + plus) and all(number in known for known in values):
                yield Count(number, plus)


def _counted_rows(fronts: Sequence[Front]) -> Iterator[tuple[Count, list[list[str]]]]:
    for count, passes in possible_counts(fronts):
        rows: list[list[str]] = []
        for number, front in zip(passes, fronts, strict=True):
            rows += front.lines[front.at : front.at + number]
        yield count, rows


def _tables(rows: list[list[str]], first: int) -> Iterator[LineNode | Choice]:
    choice = _choice(rows, first)
    if choice is not None:
        yield choice
    width = len(rows[0])
    if 1 <= width <= _MOST_FIELDS and all(len(row) == width for row in rows):
        yield LineNode(tuple(range(first, first + width)))


def _choice(rows: list[list[str]], first: int) -> Choice | None:
    """Return a choice by keyword, if the rows look like commands: few first words, each with its own arguments.

    Numbers are keywords if they go from 0 or 1 on and have different arguments.
    """
    widths: dict[str, int] = {}
    for row in rows:
        if not row or widths.setdefault(row[0], len(row)) != len(row):
            return None
    same_width = len(set(widths.values())) == 1
    counts = {None if (value := whole_number(word)) is None else width - value for word, width in widths.items()}
    if len(counts) == 1 and None not in counts:  # numbers that tell the lengths of their lines
        return None
    if not 2 <= len(widths) <= _MOST_KEYWORDS or len(rows) < 2 * len(widths):
        return None
    numbers = {word for word in widths if whole_number(word) is not None}
    if (same_width and max(widths.values()) == 1) or (numbers and (same_width or not _in_turn(numbers))):
        return None
    lines = []
    number = first + 1
    for word in sorted(widths):
        lines.append((word, tuple(range(number, number + widths[word] - 1))))
        number += widths[word] - 1
    return Choice(first, tuple(lines))


def _in_turn(numbers: set[str]) -> bool:
    return any(numbers == {str(low + at) for at in range(len(numbers))} for low in (0, 1))


def _lines(fronts: Sequence[Front], lines: list[list[str]], first: int) -> Iterator[LineNode]:
    lengths = {len(line) for line in lines}
    yield from _counted_lists(fronts, lines, first)
    if len(lengths) == 1:
        only = lengths.pop()
        if only <= _MOST_FIELDS:
            yield LineNode(tuple(range(first, first + only)))
        else:
            yield LineNode((), first, Count(None, only))
    else:
        yield LineNode((), first)


def _counted_lists(fronts: Sequence[Front], lines: list[list[str]], first: int) -> Iterator[LineNode]:
    """Yield a line with a list, whose length an earlier field or a field before it on the line tells."""
    for lead in _LEADS:
        if lead > min(len(line) for line in lines):
            return
        values = [_with_lead(front, line[:lead], first) for front, line in zip(fronts, lines, strict=True)]
        for count in _counts(values, len(lines[0]) - lead):
            if all(count.of(known) == len(line) - lead for known, line in zip(values, lines, strict=True)):
                yield LineNode(tuple(range(first, first + lead)), first + lead, count)


def _with_lead(front: Front, lead: list[str], first: int) -> dict[int, int]:
    values = dict(front.reading.values)
    for index, token in enumerate(lead):
        value = whole_number(token)
        if value is not None:
            values[first + index] = value
    return values


def _counted_list_rows(fronts: Sequence[Front], first: int) -> Iterator[Repeat]:
    """Yield counted rows that are lists: a matrix, or rows that tell their own length."""
    for count, passes in possible_counts(fronts):
        inside = [front for number, front in zip(passes, fronts, strict=True) if number]
        lines = [front.lines[front.at] for front in inside]
        yield from (Repeat(count, (line,)) for line in _counted_lists(inside, lines, first))
    for count, rows in _counted_rows(fronts):
        if len({len(row) for row in rows}) > 1:
            yield Repeat(count, (LineNode((), first),))


def infer(inputs: Sequence[Sequence[list[str]]]) -> tuple[Node, ...] | None:
    """Return the likeliest template of all `inputs`; None if none is found in reasonable time."""
    return next(iter(templates(inputs)), None)


def templates(inputs: Sequence[Sequence[list[str]]]) -> list[tuple[Node, ...]]:
    """Return the likeliest template of all `inputs`, then those that are nearly as likely."""
    if not inputs:
        return []
    slowness = min(1 + sum(map(len, inputs)) // _LINES, _SLOWEST)
    start = [Front(lines, 0, TemplateReading()) for lines in inputs]
    rated: list[tuple[float, int, tuple[Node, ...]]] = []
    for cost, order, nodes in _Search(slowness, _STEPS, _NODES).complete(start):
        if rated and min(rated)[0] + _NEARLY < cost:  # `cost` is the least cost of all later templates
            break
        rated.append((_cost(nodes, inputs), order, nodes))
    return [nodes for cost, _, nodes in sorted(rated) if cost <= min(rated)[0] + _NEARLY]


@dataclass(frozen=True, slots=True)
class _SearchState:
    """A part of a template, its end in every input, and the number of the next field."""

    nodes: tuple[Node, ...]
    fronts: tuple[Front, ...]
    first: int

    @property
    def ended(self) -> bool:
        return all(front.ended for front in self.fronts)

    @property
    def places(self) -> tuple[int, ...]:
        return tuple(front.at for front in self.fronts)


class _Search:
    """Enumerates templates, cheap ones first."""

    def __init__(self, slowness: int, steps: int, room: int) -> None:
        self._slowness = slowness
        self._steps = steps
        self._block_steps = _BLOCK_STEPS
        self._block_tries = steps  # of their own: many blocks that do not fit leave the simple nodes their steps
        self._room = room

    def complete(self, start: Sequence[Front]) -> Iterator[tuple[float, int, tuple[Node, ...]]]:
        """Yield templates that read all inputs to their ends, with their least cost, and a number for ties."""
        for order, (cost, state) in enumerate(self._states(_SearchState((), tuple(start), 0), blocks=True)):
            if state.ended:
                yield cost, order, state.nodes

    def _states(self, start: _SearchState, *, blocks: bool) -> Iterator[tuple[float, _SearchState]]:
        order = counter()
        queue = [(0.0, next(order), start)]
        ways: Counter[tuple[int, ...]] = Counter()
        while queue:
            cost, _, state = heapq.heappop(queue)
            ways[state.places] += 1
            if ways[state.places] > (_WHOLE_WAYS if state.ended else _WAYS):
                continue
            yield cost, state
            if self._steps > 0 and len(state.nodes) < self._room and not state.ended:
                for further in self._extended(state, blocks):
                    heapq.heappush(queue, (cost + _node_cost(further.nodes[-1], None), next(order), further))

    def _extended(self, state: _SearchState, blocks: bool) -> Iterator[_SearchState]:
        for node in next_nodes(state.fronts, state.first):
            if self._steps <= 0:
                break
            self._steps -= self._slowness
            further = _advanced(state, node)
            if further is not None:
                yield further
        if blocks and len(state.nodes) <= _HEADER:
            for node in self._blocks(state.fronts, state.first):
                if self._block_tries <= 0:
                    break
                self._block_tries -= self._slowness
                further = _advanced(state, node)
                if further is not None and further.ended:
                    yield further

    def _blocks(self, fronts: Sequence[Front], first: int) -> Iterator[Repeat]:
        """Yield blocks of several lines that may repeat up to the end of the input, e.g. test cases."""
        known: dict[tuple[int, ...], list[tuple[Node, ...]]] = {}
        if first == 0:
            yield from (Repeat(None, body) for body in self._bodies(fronts, first))
        for count, passes in possible_counts(fronts):
            inside = tuple(index for index, number in enumerate(passes) if number)
            if count.plus == 0 and inside not in known:
                known[inside] = self._bodies([fronts[index] for index in inside], first)
            yield from (Repeat(count, body) for body in known.get(inside, ()))

    def _bodies(self, start: Sequence[Front], first: int) -> list[tuple[Node, ...]]:
        """Return the blocks of several nodes that may come next in every input."""
        search = _Search(self._slowness, min(_ONE_BLOCK_STEPS, self._block_steps), _BLOCK_NODES)
        states = search._states(_SearchState((), tuple(start), first), blocks=False)
        bodies = [
            state.nodes for _, state in states if len(state.nodes) > 1 and not all(map(_says_nothing, state.nodes))
        ]
        self._block_steps = max(self._block_steps - _ONE_BLOCK_STEPS, 0)
        return bodies


def _advanced(state: _SearchState, node: Node) -> _SearchState | None:
    """Return the state with one more node read; None if it does not fit."""
    try:
        fronts = tuple(front.step(node) for front in state.fronts)
    except Mismatch:
        return None
    first = max(fields_of((node,)), default=state.first - 1) + 1
    return _SearchState((*state.nodes, node), fronts, first)


def _says_nothing(node: Node) -> bool:
    """Return whether it is a line of any length. A block of only such lines would fit anything."""
    return isinstance(node, LineNode) and not node.fields and node.count is None


_Seen = dict[int, set[int]]  # lengths of a node's count, by the node's identity


def _cost(nodes: tuple[Node, ...], inputs: Sequence[Sequence[list[str]]]) -> float:
    """Return the cost of a template that reads all `inputs`. The lower, the more likely."""
    lengths: _Seen = {}
    kinds: dict[int, set[frozenset[str]]] = {}
    for lines in inputs:
        reading = read(nodes, lines)
        for node, length in reading.lengths:
            lengths.setdefault(id(node), set()).add(length)
        for (number, _), tokens in reading.slots.items():
            kinds.setdefault(number, set()).update(map(_kind, tokens))
    mixed = sum(map(_mixed, kinds.values()))
    # Counts are mostly used in the order of their fields: n, m, then n of this and m of that.
    used = [node.count.field for node in nodes if not isinstance(node, Choice) and node.count]
    swaps = sum(later < earlier for earlier, later in pairwise(field for field in used if field is not None))
    headless = any(
        isinstance(node, Repeat) and node.count is None for node in nodes[:1]
    )  # most inputs begin with their sizes
    return mixed + 0.05 * swaps + headless + sum(_node_cost(node, lengths) for node in nodes)


def _kind(token: str) -> frozenset[str]:
    """Return the sorts of characters in a word; none for a whole number."""
    if whole_number(token) is not None:
        return frozenset()
    sorts = (("a", str.islower), ("A", str.isupper), ("0", str.isdigit))
    return frozenset(next((sort for sort, is_one in sorts if is_one(letter)), ".") for letter in token)


def _mixed(kinds: Iterable[frozenset[str]]) -> float:
    """Return the cost of a field with tokens of these kinds: numbers and words, or words with nothing in common."""
    pairs = list(combinations(kinds, 2))
    if any(not one or not other for one, other in pairs):
        return 1.5
    return 0.5 * any(one.isdisjoint(other) for one, other in pairs)


def _node_cost(node: Node, seen: _Seen | None) -> float:
    """Return the cost of a node by the lengths seen; the least cost if there are none yet."""
    if isinstance(node, Choice):
        return 0.8 + 0.2 * len(node.lines) + 0.1 * sum(max(len(fields) - 2, 0) for _, fields in node.lines)
    if isinstance(node, LineNode):
        fields = 1 + 0.3 * len(node.fields)
        return fields if node.tail is None else fields + 0.3 + _count_cost(node, seen)
    columns = len(node.table.fields) if isinstance(node.table, LineNode) else 0
    return 1 + sum(_node_cost(inner, seen) for inner in node.body) - 0.1 * columns + _count_cost(node, seen)


def _count_cost(node: LineNode | Repeat, seen: _Seen | None) -> float:
    """Return the cost of a count: low if it was right for several lengths, high if it was always 1."""
    if node.count is None:  # the more lengths it takes, the more a count would have told
        known = set() if seen is None else seen.get(id(node), set())
        return 4.0 + (len(known) if len(known) > 1 else 0)
    offset = _OFFSET_COSTS[node.count.plus] if node.count.field is not None else 0.0
    if seen is None:
        return offset
    lengths = seen.get(id(node), set())
    if max(lengths, default=0) <= 1:
        return offset + 1.5
    return offset + {1: 0.4, 2: 0.1}.get(len(lengths), 0.0)
