"""Find the template that all known inputs of a problem share.

A best-first search: from the first line on, guess the next node, read it in all inputs at once, and go on
with what is left. The cheapest template that reads every input to its end wins: few nodes, and counts that
have proved themselves on several different lengths. The costs are a prior over input formats, not learned;
only their order matters.

Pure. It must not know what tokens mean, except that whole numbers can count. What may come next is proposed
by `guess`.
"""

import heapq
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count as counter
from itertools import pairwise

from balancer.pipeline.generators.learn.guess import Front, next_nodes, possible_counts
from balancer.pipeline.generators.learn.template import (
    Choice,
    LineNode,
    Mismatch,
    Node,
    Repeat,
    TemplateReading,
    fields_of,
    read,
    whole_number,
)

__all__ = ["infer"]

# Nodes tried before the search gives up: in all, for what all blocks may be made of, and for one of them.
# A node takes some 50 us on inputs of a few lines, so that the worst case stays near 0.3 s. With more than
# so many lines in all inputs together, every node takes longer, and fewer are tried.
_STEPS, _BLOCK_STEPS, _ONE_BLOCK_STEPS = 3000, 4000, 1000
_LINES, _SLOWEST = 300, 100
_NODES, _BLOCK_NODES = 12, 5
_WAYS = 4  # ways to read up to the same lines that are followed up
_OFFSET_COSTS = {0: 0.0, -1: 1.0, 1: 2.0}
_HEADER = 2  # nodes before the first block: "t", or "n m" and a line more


def infer(inputs: Sequence[Sequence[list[str]]]) -> tuple[Node, ...] | None:
    """Return the template of all `inputs`, or None if there is none to be found in reasonable time."""
    if not inputs:
        return None
    slowness = min(1 + sum(map(len, inputs)) // _LINES, _SLOWEST)
    start = [Front(lines, 0, TemplateReading()) for lines in inputs]
    rated: list[tuple[float, int, tuple[Node, ...]]] = []
    for cost, order, nodes in _Search(slowness, _STEPS, _NODES).complete(start):
        while rated and rated[0][0] <= cost:  # `cost` is the least that any template to come can have
            return rated[0][2]
        heapq.heappush(rated, (_cost(nodes, inputs), order, nodes))
    return rated[0][2] if rated else None


@dataclass(frozen=True, slots=True)
class _SearchState:
    """A part of a template, where it leads in every input, and the number of the next field."""

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
    """Enumerate templates, cheap ones first."""

    def __init__(self, slowness: int, steps: int, room: int) -> None:
        self._slowness = slowness
        self._steps = steps
        self._block_steps = _BLOCK_STEPS
        self._room = room

    def complete(self, start: Sequence[Front]) -> Iterator[tuple[float, int, tuple[Node, ...]]]:
        """Yield templates that read every input to its end, with the least they cost, and a number for ties."""
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
            if ways[state.places] > _WAYS:
                continue
            yield cost, state
            if self._steps > 0 and len(state.nodes) < self._room and not state.ended:
                for further in self._extended(state, blocks):
                    heapq.heappush(queue, (cost + _node_cost(further.nodes[-1], None), next(order), further))

    def _extended(self, state: _SearchState, blocks: bool) -> Iterator[_SearchState]:
        for node in next_nodes(state.fronts, state.first):
            further = self._advance(state, node)
            if further is not None:
                yield further
        if blocks and len(state.nodes) <= _HEADER:
            for node in self._blocks(state.fronts, state.first):
                further = self._advance(state, node)
                if further is not None and further.ended:
                    yield further

    def _blocks(self, fronts: Sequence[Front], first: int) -> Iterator[Repeat]:
        """Yield blocks of several lines that may come again and again, up to the end of the input: test cases, say."""
        known: dict[tuple[int, ...], list[tuple[Node, ...]]] = {}
        if first == 0:
            yield from (Repeat(None, body) for body in self._bodies(fronts, first))
        for count, passes in possible_counts(fronts):
            inside = tuple(index for index, number in enumerate(passes) if number)
            if count.plus == 0 and inside not in known:
                known[inside] = self._bodies([fronts[index] for index in inside], first)
            yield from (Repeat(count, body) for body in known.get(inside, ()))

    def _bodies(self, start: Sequence[Front], first: int) -> list[tuple[Node, ...]]:
        """List what comes next in every input, as a block of several nodes."""
        search = _Search(self._slowness, min(_ONE_BLOCK_STEPS, self._block_steps), _BLOCK_NODES)
        states = search._states(_SearchState((), tuple(start), first), blocks=False)
        bodies = [
            state.nodes for _, state in states if len(state.nodes) > 1 and not all(map(_says_nothing, state.nodes))
        ]
        self._block_steps = max(self._block_steps - _ONE_BLOCK_STEPS, 0)
        return bodies

    def _advance(self, state: _SearchState, node: Node) -> _SearchState | None:
        if self._steps <= 0:
            return None
        self._steps -= self._slowness
        try:
            fronts = tuple(front.step(node) for front in state.fronts)
        except Mismatch:
            return None
        first = max(fields_of((node,)), default=state.first - 1) + 1
        return _SearchState((*state.nodes, node), fronts, first)


def _says_nothing(node: Node) -> bool:
    """True for a line of any length: a block of such lines only would fit anything."""
    return isinstance(node, LineNode) and not node.fields and node.count is None


_Seen = dict[int, set[int]]  # lengths that a node's count came to, by the node's identity


def _cost(nodes: tuple[Node, ...], inputs: Sequence[Sequence[list[str]]]) -> float:
    """Say how far-fetched a template is that reads all `inputs`; less is better."""
    lengths: _Seen = {}
    kinds: dict[int, set[bool]] = {}
    for lines in inputs:
        reading = read(nodes, lines)
        for node, length in reading.lengths:
            lengths.setdefault(id(node), set()).add(length)
        for (number, _), tokens in reading.slots.items():
            kinds.setdefault(number, set()).update(whole_number(token) is not None for token in tokens)
    mixed = sum(len(seen) > 1 for seen in kinds.values())
    # Counts are mostly used in the order in which they are told: n, m, then n of this and m of that.
    used = [node.count.field for node in nodes if not isinstance(node, Choice) and node.count]
    swaps = sum(later < earlier for earlier, later in pairwise(field for field in used if field is not None))
    return 1.5 * mixed + 0.05 * swaps + sum(_node_cost(node, lengths) for node in nodes)


def _node_cost(node: Node, seen: _Seen | None) -> float:
    """Rate a node by the lengths seen; by what it costs at least, if there are none yet."""
    if isinstance(node, Choice):
        return 0.8 + 0.2 * len(node.lines)
    if isinstance(node, LineNode):
        fields = 1 + 0.3 * len(node.fields)
        return fields if node.tail is None else fields + 0.3 + _count_cost(node, seen)
    return 1 + sum(_node_cost(inner, seen) for inner in node.body) + _count_cost(node, seen)


def _count_cost(node: LineNode | Repeat, seen: _Seen | None) -> float:
    """Rate a count: one that came true for several lengths is sure, one that was always 1 may be chance."""
    if node.count is None:
        return 3.0
    offset = _OFFSET_COSTS[node.count.plus] if node.count.field is not None else 0.0
    if seen is None:
        return offset
    lengths = seen.get(id(node), set())
    if max(lengths, default=0) <= 1:
        return offset + 1.5
    return offset + {1: 0.25, 2: 0.1}.get(len(lengths), 0.0)
