"""Plans of one input: how each field's values are drawn, and all sizes. The values are drawn elsewhere."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from balancer.pipeline.generators.draw.graphs import edges_wanted, nodes_wanted
from balancer.pipeline.generators.draw.styles import MOST, Style
from balancer.pipeline.generators.draw.values import How, Where
from balancer.pipeline.generators.learn.edges import EdgeTable
from balancer.pipeline.generators.learn.facts import CountedFields, ListOrder, Relation, TokenKind
from balancer.pipeline.generators.learn.knowledge import (
    Knowledge,
    bound_rule,
    distinct_rule,
    graph_rule,
    order_rule,
    tie_rule,
)
from balancer.pipeline.generators.learn.rules import Rule, RuleKind

__all__ = [
    "LONGEST_WORD",
    "MOST_TOKENS",
    "ROOM_BYTES",
    "FieldPlan",
    "Sizes",
    "decide_graph",
    "decide_ties",
    "plan_field",
]

ROOM_BYTES = 8_000_000  # bytes of one input: 10**6 numbers of seven digits
MOST_TOKENS = 1_000_000
LONGEST_WORD = 100_000  # from this length on, all words of a list together are no longer
_MOST_SHARES = 4
_FREE_TOKENS, _FREE_SHARE = 100_000, 10  # tokens in all lists that no field counts, and the part for one of them

_NEGATIVE_SHARE = 0.08  # how often values are negative, if no source excludes it
_BELOW_SHARE = 0.5  # how often negative values go lower, if no source names a least one


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """Decisions about one field, for the whole input.

    Args:
        where, how: its values are drawn.
        low, high: least and greatest value.
        bounded: whether an earlier field bounds it.
        ordered, distinct: whether its lists are sorted or distinct, as seen.
        decimals: digits after the point.
    """

    where: Where
    how: How
    low: int
    high: int
    bounded: bool
    ordered: bool
    distinct: bool
    decimals: int


def plan_field(knowledge: Knowledge, number: int, style: Style, rng: random.Random) -> FieldPlan:
    """Decide how the values of a field are drawn."""
    fact, found = knowledge.facts.fields[number], knowledge.ranges[number]
    high = rng.choices(found.highs, [1 / (1 + index) for index in range(len(found.highs))])[0]
    negative = not (found.lowest or fact.counts or fact.limits or fact.kind is TokenKind.WORD)
    share = _NEGATIVE_SHARE if found.low >= 0 else _BELOW_SHARE
    ordered = _holds(knowledge, order_rule(number, fact.order), rng)
    distinct = _holds(knowledge, distinct_rule(number), rng)
    return FieldPlan(
        where=rng.choice(style.where),
        how=rng.choice(style.how),
        low=min(found.low, -high) if negative and rng.random() < share else found.low,
        high=high,
        bounded=_holds(knowledge, bound_rule(number, found), rng),
        ordered=ordered,
        distinct=distinct or (ordered and fact.order is ListOrder.STRICTLY_UP),
        decimals=fact.decimals,
    )


def decide_ties(knowledge: Knowledge, rng: random.Random) -> list[Relation]:
    """Return the relations between fields of one line that hold here. Those seen in many lines hold more often."""
    return [relation for relation in knowledge.facts.relations if _holds(knowledge, tie_rule(relation), rng)]


def decide_graph(knowledge: Knowledge, kind: RuleKind, edges: EdgeTable, rng: random.Random) -> bool:
    """Decide whether a graph is connected, simple or acyclic, like all known ones."""
    return _holds(knowledge, graph_rule(kind, edges), rng)


def _holds(knowledge: Knowledge, rule: Rule | None, rng: random.Random) -> bool:
    return rule is not None and rng.random() < knowledge.beliefs.get(rule, 0.0)


class Sizes:
    """All sizes in one input."""

    def __init__(
        self,
        knowledge: Knowledge,
        style: Style,
        plans: Mapping[int, FieldPlan],
        connected: frozenset[EdgeTable],
        rng: random.Random,
    ) -> None:
        self._knowledge = knowledge
        self._style = style
        self._plans = plans
        self._connected = connected
        self._rng = rng
        self._free_tokens = _FREE_TOKENS
        # Things that different fields count share the room.
        # Few long words, or many of them.
        self._longest = {
            number: max(int(plan.high ** rng.choice((1.0, rng.random()))), knowledge.facts.fields[number].high)
            for number, plan in plans.items()
            if knowledge.facts.fields[number].kind is TokenKind.WORD and plan.high >= LONGEST_WORD
        }
        self._room_bytes = ROOM_BYTES // max(min(len(knowledge.loads), _MOST_SHARES), 1)

    def choose(self, number: int, known: Mapping[int, int]) -> int:
        """Return the value of a field that counts something, given the earlier ones."""
        found = self._knowledge.ranges[number]
        size = self._style.blocks if number in self._knowledge.blocks else self._style.size
        most = self._plans[number].high if size.high == MOST else max(found.highs)
        most = min(most, self._room(number, known), self.bound(number, known, MOST))
        wanted = self._rng.randint(size.low, size.high)
        for edges in self._knowledge.edges:
            if edges.bound.field == number:
                wanted = self._node_count(edges, min(wanted, most))
            if edges.rows is not None and edges.rows.field == number and edges.bound.field in known:
                wanted, most = self._edge_count(edges, wanted, most, known)
        least = 0 if wanted == 0 and not found.lowest and self._rng.random() < 0.5 else found.low
        return max(min(wanted, most), least, *(load.least for load in self._knowledge.loads.get(number, ())), 0)

    def length(self, number: int, known: Mapping[int, int]) -> int:
        """Return the length of a list that no field counts; there may be as many lists as the largest of `known`.

        Each such list takes a share of the room left, so that all together fit.
        """
        lists = max(known.values(), default=1)
        room = min(ROOM_BYTES // self.width(number), MOST_TOKENS) // max(lists, 1)
        most = max(min(room, self._free_tokens // _FREE_SHARE), 1)
        length = min(self._rng.randint(self._style.size.low, self._style.size.high), most)
        self._free_tokens -= length
        return length

    def letters(self, low: int, high: int) -> int:
        """Return the length of a single word. Programs treat it like a list."""
        return min(max(self._rng.randint(self._style.size.low, self._style.size.high), low), high)

    def bound(self, number: int, known: Mapping[int, int], default: int) -> int:
        """Return the most that an earlier field allows; `default` if there is none."""
        bound = self._knowledge.ranges[number].bound
        if bound is None or not self._plans[number].bounded or bound.field not in known:
            return default
        return max(bound.of(known), 0)

    def width(self, number: int) -> int:
        """Return about how many bytes a token takes, with a space."""
        fact, plan = self._knowledge.facts.fields[number], self._plans[number]
        if fact.length is not None:
            return 2
        small = plan.where in (Where.TINY, Where.LOW, Where.SEEN)
        high = fact.high if small else plan.high
        if fact.kind is TokenKind.WORD and not small:
            high = self._longest.get(number, high)
        return high + 1 if fact.kind is TokenKind.WORD else len(str(high)) + plan.decimals + 1

    def _node_count(self, edges: EdgeTable, wanted: int) -> int:
        """Return a number of nodes: fewer than wanted if the graph is dense and there cannot be as many edges."""
        counted = None if edges.rows is None else edges.rows.field
        rows = None if counted in (None, edges.bound.field) else self._plans[counted or 0]
        if self._style.shape is None or rows is None:
            return wanted
        fewest = nodes_wanted(self._style.shape, rows.high)
        return wanted if fewest is None or not 1 < fewest < wanted else fewest

    def _edge_count(self, edges: EdgeTable, wanted: int, most: int, known: Mapping[int, int]) -> tuple[int, int]:
        nodes = edges.bound.of(known) - edges.low + 1
        plus = 0 if edges.rows is None else edges.rows.plus
        shape = self._style.shape
        exact = None if shape is None else edges_wanted(shape, nodes)
        if exact is not None:
            wanted = exact - plus
        if edges in self._connected:
            wanted = max(wanted, nodes - 1 - plus)
        return wanted, min(most, nodes * (nodes - 1) // 2 - plus) if edges.simple else most

    def _room(self, number: int, known: Mapping[int, int]) -> int:
        """Return the largest number for which there is room, given the sizes so far."""
        return min((self._load_room(load, known) for load in self._knowledge.loads.get(number, ())), default=MOST)

    def _load_room(self, load: CountedFields, known: Mapping[int, int]) -> int:
        times = 1
        for number in load.around:
            times *= max(known.get(number, 1), 1)
        if load.letters_only:
            return self._room_bytes // times
        bytes_each = sum(self.width(number) for number in load.fields) * times
        return min(self._room_bytes // max(bytes_each, 1), 2 * MOST_TOKENS // max(len(load.fields) * times, 1))
