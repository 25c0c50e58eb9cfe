"""Decide, once for an input, how each field's values are drawn, and how many of everything there are.

It must not draw the values themselves.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from balancer.pipeline.generators.draw.graphs import edges_wanted
from balancer.pipeline.generators.draw.styles import MOST, Style
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.bounds import trust
from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.knowledge import EdgeTable, Knowledge, Load
from balancer.pipeline.generators.learn.relations import Relation

__all__ = [
    "MOST_TOKENS",
    "ROOM_BYTES",
    "Mood",
    "Sizes",
    "decide_connected",
    "decide_mood",
    "decide_simple",
    "decide_ties",
]

ROOM_BYTES = 1_500_000  # of one input: what 2 * 10**5 numbers of six digits take
MOST_TOKENS = 300_000
_FREE_TOKENS, _FREE_SHARE = 100_000, 10  # in all lists that nothing counts; how much of it one may take

# How far to trust what was seen in a few inputs.
_BOUND_TRUST = 0.9
_NEGATIVE_SHARE = 0.08  # nobody said that values are not negative
_TIE_TRUST, _EDGE_TIE_TRUST = 0.85, 0.4
_SIMPLE_TRUST = 0.5
_TREE_TRUST, _TOLD_TRUST, _UNTOLD_TRUST, _UNKNOWN_TRUST = 0.95, 0.95, 0.3, 0.6


@dataclass(frozen=True, slots=True)
class Mood:
    """What was decided about one field for the whole input.

    Args:
        where, how: its values are drawn.
        low, high: least and greatest value.
        bounded: an earlier field bounds it.
        ordered, distinct: what was seen of its lists holds.
    """

    where: Where
    how: How
    low: int
    high: int
    bounded: bool
    ordered: bool
    distinct: bool


def decide_mood(knowledge: Knowledge, number: int, style: Style, rng: random.Random) -> Mood:
    """Decide how the values of a field are drawn."""
    fact, found = knowledge.facts.fields[number], knowledge.ranges[number]
    trusted = trust(fact, knowledge.hints)
    high = rng.choices(found.highs, [1 / (1 + index) for index in range(len(found.highs))])[0]
    negative = not (found.lowest or fact.counts or fact.limits or fact.kind is TokenKind.WORD)
    return Mood(
        where=rng.choice(style.where),
        how=rng.choice(style.how),
        low=-high if negative and found.low >= 0 and rng.random() < _NEGATIVE_SHARE else found.low,
        high=high,
        bounded=found.bound is not None and rng.random() < _BOUND_TRUST,
        ordered=rng.random() < trusted["order"],
        distinct=rng.random() < trusted["distinct"],
    )


def decide_ties(knowledge: Knowledge, rng: random.Random) -> list[Relation]:
    """Choose the relations between fields of one line that hold; those seen in many lines are the surer."""
    return [relation for relation in knowledge.facts.relations if rng.random() < _tie_trust(knowledge, relation)]


def _tie_trust(knowledge: Knowledge, relation: Relation) -> float:
    if any(
        edges.connected and {edges.left, edges.right} == {relation.left, relation.right} for edges in knowledge.edges
    ):
        return _EDGE_TIE_TRUST  # the smaller end of an edge is written first out of habit
    # The chance that values without any relation look like this in so many lines is 2 in 2**lines.
    return _TIE_TRUST * (1 - 2.0 ** (1 - relation.lines))


def decide_connected(knowledge: Knowledge, edges: EdgeTable, rng: random.Random) -> bool:
    """Decide whether a graph is connected, as all known ones are."""
    if not edges.connected:
        return False
    if edges.rows is not None and edges.rows.plus == -1:  # n - 1 edges: a tree
        return rng.random() < _TREE_TRUST
    return rng.random() < _told_trust(knowledge, "connected")


def decide_simple(knowledge: Knowledge, edges: EdgeTable, rng: random.Random) -> bool:
    """Decide whether a graph has no edge twice and no loop, as all known ones have none."""
    return edges.simple and rng.random() < max(_told_trust(knowledge, "distinct"), _SIMPLE_TRUST)


def _told_trust(knowledge: Knowledge, topic: str) -> float:
    if topic in knowledge.hints.mentions:
        return _TOLD_TRUST
    return _UNTOLD_TRUST if knowledge.hints.known else _UNKNOWN_TRUST


class Sizes:
    """How many of everything there are in one input."""

    def __init__(
        self,
        knowledge: Knowledge,
        style: Style,
        moods: Mapping[int, Mood],
        connected: frozenset[EdgeTable],
        rng: random.Random,
    ) -> None:
        self._knowledge = knowledge
        self._style = style
        self._moods = moods
        self._connected = connected
        self._rng = rng
        self._free_tokens = _FREE_TOKENS

    def choose(self, number: int, known: Mapping[int, int]) -> int:
        """Choose the value of a field that tells how many, given the earlier ones."""
        found = self._knowledge.ranges[number]
        size = self._style.blocks if number in self._knowledge.blocks else self._style.size
        most = self._moods[number].high if size.high == MOST else max(found.highs)
        most = min(most, self._room(number, known), self.bound(number, known, MOST))
        wanted = self._rng.randint(size.low, size.high)
        for edges in self._knowledge.edges:
            if edges.rows is not None and edges.rows.field == number and edges.bound.field in known:
                wanted, most = self._edge_count(edges, wanted, most, known)
        least = 0 if wanted == 0 and not found.lowest and self._rng.random() < 0.5 else found.low
        return max(min(wanted, most), least, *(load.least for load in self._knowledge.loads.get(number, ())), 0)

    def length(self, number: int, known: Mapping[int, int]) -> int:
        """Choose the length of a list that nothing counts; there may be as many as the largest of `known`.

        Each such list takes its share of what is left, so that all of them together stay within it.
        """
        lists = max(known.values(), default=1)
        room = min(ROOM_BYTES // self.width(number), MOST_TOKENS) // max(lists, 1)
        most = max(min(room, self._free_tokens // _FREE_SHARE), 1)
        length = min(self._rng.randint(self._style.size.low, self._style.size.high), most)
        self._free_tokens -= length
        return length

    def letters(self, low: int, high: int) -> int:
        """Choose the length of a word that stands alone: to a program it is as much a list as any."""
        return min(max(self._rng.randint(self._style.size.low, self._style.size.high), low), high)

    def bound(self, number: int, known: Mapping[int, int], default: int) -> int:
        """Return what an earlier field allows at most; `default` if there is none."""
        bound = self._knowledge.ranges[number].bound
        if bound is None or not self._moods[number].bounded or bound.field not in known:
            return default
        return max(bound.of(known), 0)

    def width(self, number: int) -> int:
        """Return about how many bytes a token takes, with the space after it."""
        fact, mood = self._knowledge.facts.fields[number], self._moods[number]
        if fact.length is not None:
            return 2
        small = mood.where in (Where.TINY, Where.LOW, Where.SEEN)
        high = fact.high if small else mood.high
        return high + 1 if fact.kind is TokenKind.WORD else len(str(high)) + fact.decimals + 1

    def _edge_count(self, edges: EdgeTable, wanted: int, most: int, known: Mapping[int, int]) -> tuple[int, int]:
        nodes = edges.bound.of(known) - edges.low + 1
        plus = 0 if edges.rows is None else edges.rows.plus
        exact = None if self._style.shape is None else edges_wanted(self._style.shape, nodes)
        if exact is not None:
            wanted = exact - plus
        if edges in self._connected:
            wanted = max(wanted, nodes - 1 - plus)
        return wanted, min(most, nodes * (nodes - 1) // 2 - plus) if edges.simple else most

    def _room(self, number: int, known: Mapping[int, int]) -> int:
        """Return how many there is room for, given the sizes that are settled."""
        return min((self._load_room(load, known) for load in self._knowledge.loads.get(number, ())), default=MOST)

    def _load_room(self, load: Load, known: Mapping[int, int]) -> int:
        times = 1
        for number in load.around:
            times *= max(known.get(number, 1), 1)
        if load.letters_only:
            return ROOM_BYTES // times
        bytes_each = sum(self.width(number) for number in load.fields) * times
        return min(ROOM_BYTES // max(bytes_each, 1), 2 * MOST_TOKENS // max(len(load.fields) * times, 1))
