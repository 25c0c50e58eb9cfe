"""Filling of one input: values that keep to the known facts and rules.

Also lays out the two columns that are the edges of a graph: decides their shape, and when given edges stay.
"""

import random
from collections.abc import Iterator, Mapping, Sequence

from balancer.pipeline.generators.draw import repair
from balancer.pipeline.generators.draw.graphs import Shape, draw_edges, without_cycles
from balancer.pipeline.generators.draw.repair import KeptRules, RulesConflict
from balancer.pipeline.generators.draw.sizes import (
    LONGEST_WORD,
    MOST_TOKENS,
    ROOM_BYTES,
    FieldPlan,
    Sizes,
    decide_graph,
    decide_ties,
    plan_field,
)
from balancer.pipeline.generators.draw.styles import Style
from balancer.pipeline.generators.draw.values import (
    DrawLimits,
    How,
    Where,
    decimal,
    draw_decimals,
    draw_numbers,
    draw_words,
)
from balancer.pipeline.generators.learn.edges import EdgeTable, is_connected
from balancer.pipeline.generators.learn.facts import Fact, TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import RuleKind
from balancer.pipeline.generators.learn.template import Count, whole_number

__all__ = ["Columns", "Fill", "GraphLayout", "TooLarge"]

Columns = dict[int, list[str]]
_LONGEST_RANGE = 2**62  # the largest that random.sample can draw from
_LONG = 50  # lines from which one keyword may be much more frequent
_RAREST = 3e-4  # the least share of a keyword: a few in 10**4 lines


class GraphLayout:
    """The graphs of one input.

    Args:
        knowledge: of the format.
        style: has the shape.
        connected: graphs that must be in one piece.
        sizes: of the input.
        rng: for all random choices.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        style: Style,
        connected: frozenset[EdgeTable],
        sizes: Sizes,
        rng: random.Random,
    ) -> None:
        self._knowledge = knowledge
        self._style = style
        self._connected = connected
        self._sizes = sizes
        self._rng = rng

    def graphs(self, columns: Columns, count: int, known: Mapping[int, int], *, fresh: bool) -> None:
        """Draw the edges of graphs in `columns`. Given edges are replaced only if they no longer fit.

        Raises RulesConflict.
        """
        for edges in self._knowledge.edges:
            if edges.left not in columns or edges.right not in columns or edges.bound.field not in known:
                continue
            nodes = edges.bound.of(known) - edges.low + 1
            if nodes < 0:
                raise RulesConflict
            if fresh or not self._is_kept(edges, columns, nodes):
                drawn = self._edges(edges, nodes, count)
                for number, end in ((edges.left, 0), (edges.right, 1)):
                    columns[number] = [str(edges.low + edge[end]) for edge in drawn]

    def _is_kept(self, edges: EdgeTable, columns: Columns, nodes: int) -> bool:
        """Return whether given edges are still a graph of the wanted kind."""
        pairs = list(zip(columns[edges.left], columns[edges.right], strict=True))
        numbered = [(int(left) - edges.low, int(right) - edges.low) for left, right in pairs]
        if edges in self._connected and not is_connected(nodes, numbered):
            return False
        if not decide_graph(self._knowledge, RuleKind.SIMPLE, edges, self._rng):
            return True
        return len({frozenset(pair) for pair in pairs}) == len(pairs) and all(one != other for one, other in pairs)

    def _edges(self, edges: EdgeTable, nodes: int, count: int) -> list[tuple[int, int]]:
        simple = decide_graph(self._knowledge, RuleKind.SIMPLE, edges, self._rng)
        shape = self._style.shape or Shape.RANDOM
        drawn = draw_edges(shape, nodes, count, self._rng, simple=simple, connected=edges in self._connected)
        if len(drawn) < count:
            raise RulesConflict
        if decide_graph(self._knowledge, RuleKind.ACYCLIC, edges, self._rng):
            return without_cycles(drawn, nodes, self._rng)
        return drawn


class TooLarge(Exception):
    """The input would be too large, or cannot be made."""


class Fill:
    """Values for one input in one style. All random choices use `rng`.

    Attributes:
        sizes: the chosen sizes, by field.
    """

    def __init__(self, knowledge: Knowledge, style: Style, rng: random.Random) -> None:
        self._knowledge = knowledge
        self._style = style
        self._rng = rng
        self._plans = {number: plan_field(knowledge, number, style, rng) for number in knowledge.ranges}
        self._ties = decide_ties(knowledge, rng)
        connected = frozenset(
            edges for edges in knowledge.edges if decide_graph(knowledge, RuleKind.CONNECTED, edges, rng)
        )
        self._kept_rules = KeptRules(knowledge, style.shape, rng)
        self._sizes = Sizes(knowledge, style, self._plans, connected, rng)
        self._layout = GraphLayout(knowledge, style, connected, self._sizes, rng)
        self.sizes: dict[int, int] = {}

    def length(self, number: int, values: Mapping[int, int]) -> int:
        """Return the length of a list that no field counts. `values` are the earlier single fields."""
        return self._sizes.length(number, values)

    def columns(
        self, fields: Sequence[int], given: Sequence[Sequence[str] | None], count: int, values: Mapping[int, int]
    ) -> list[list[str]]:
        """Return `count` tokens for each field; given ones come first.

        `values` are the earlier single fields. Raises TooLarge.
        """
        if count > MOST_TOKENS:
            raise TooLarge
        known = dict(values)
        columns: Columns = {}
        for number, tokens in zip(fields, given, strict=True):
            kept = [] if tokens is None else list(tokens[:count])
            drawn = kept + self._fresh(number, count - len(kept), known)
            columns[number] = drawn if tokens is None else self._refitted(number, drawn, known)
            if count == 1:
                self._learn(number, columns[number][0], known)
        try:
            self._layout.graphs(columns, count, known, fresh=all(tokens is None for tokens in given))
            self._tie(columns, known)
            self._kept_rules.settle(columns, known)
        except RulesConflict as error:
            raise TooLarge from error
        return [self._placed(number, columns[number]) for number in fields]

    def patches(self) -> Iterator[tuple[int, int]]:
        """Yield earlier single fields that must change, with their new values, once each."""
        return self._kept_rules.take_patches()

    def _learn(self, number: int, token: str, known: dict[int, int]) -> None:
        value = whole_number(token)
        if value is not None:
            known[number] = value
            if number in self._knowledge.sizes:
                self.sizes[number] = value

    def _fresh(self, number: int, count: int, known: Mapping[int, int]) -> list[str]:
        fact = self._knowledge.facts.fields[number]
        if count <= 0:
            return []
        if fact.kind is TokenKind.WORD:
            return self._words(number, count, known)
        if number in self._knowledge.sizes and count == 1:
            return [str(self._sizes.choose(number, known))]
        if fact.kind is TokenKind.FLOAT:
            return self._floats(number, count, known)
        return [str(value) for value in self._numbers(number, count, known)]

    def _limits(self, number: int, known: Mapping[int, int]) -> DrawLimits:
        fact = self._knowledge.facts.fields[number]
        low, high = self._plans[number].low, self._sizes.bound(number, known, self._plans[number].high)
        return DrawLimits(low, max(high, low), fact.low, fact.high)

    def _numbers(self, number: int, count: int, known: Mapping[int, int]) -> list[int]:
        fact, plan, limits = self._knowledge.facts.fields[number], self._plans[number], self._limits(number, known)
        if plan.distinct and limits.high - limits.low + 1 >= count:
            span = self._span(limits, count, plan, fact)
            low = limits.high + 1 - span if plan.where in (Where.HIGH, Where.TOP) else limits.low
            drawn = self._rng.sample(range(low, low + span), count)
            if plan.how in (How.SORTED, How.REVERSED, How.RAMP):
                drawn.sort(reverse=plan.how is How.REVERSED)
        else:
            drawn = draw_numbers(count, limits, plan.where, plan.how, self._rng)
        return sorted(drawn) if plan.ordered else drawn

    def _span(self, limits: DrawLimits, count: int, plan: FieldPlan, fact: Fact) -> int:
        """Return how many values distinct ones are drawn from: `count` if there are no gaps, else up to all."""
        width = min(limits.high - limits.low + 1, _LONGEST_RANGE)
        if fact.permutation or plan.how is How.RAMP or plan.where in (Where.LOW, Where.HIGH):
            return count
        return width if plan.where is not Where.TOP and self._rng.random() < 0.5 else min(width, 2 * count + 2)

    def _floats(self, number: int, count: int, known: Mapping[int, int]) -> list[str]:
        plan, limits = self._plans[number], self._limits(number, known)
        drawn = draw_decimals(count, limits, plan.decimals, plan.where, plan.how, self._rng)
        return [decimal(value, plan.decimals) for value in drawn]

    def _words(self, number: int, count: int, known: Mapping[int, int]) -> list[str]:
        fact, found, plan = self._knowledge.facts.fields[number], self._knowledge.ranges[number], self._plans[number]
        if fact.words:
            return self._rng.choices(fact.words, self._keyword_weights(len(fact.words), count), k=count)
        letters = fact.letters if plan.where is Where.SEEN else found.letters
        if count == 1 and plan.where in (Where.LOW, Where.HIGH):
            letters = letters[0] if plan.where is Where.LOW else letters[-1]
        limits = self._word_limits(number, count, known)
        words = draw_words(count, letters, limits, plan.where, plan.how, self._rng)
        return repair.distinct_words(words, letters, limits.high) if plan.distinct else words

    def _word_limits(self, number: int, count: int, known: Mapping[int, int]) -> DrawLimits:
        """Return the limits of word lengths: from an earlier field or, for a single word, from the style."""
        fact, low = self._knowledge.facts.fields[number], self._knowledge.ranges[number].low
        high = self._plans[number].high
        # Where a word may be very long, all words together are seldom allowed to be longer.
        most = max(min(high, ROOM_BYTES // count - 1, high // count if high >= LONGEST_WORD else high), low)
        if fact.length is not None and fact.length.field in known:
            exact = self._word_length(fact.length, known)
        elif count == 1:
            exact = self._sizes.letters(low, most)
        else:
            return DrawLimits(low, most, fact.low, min(fact.high, most))
        return DrawLimits(exact, exact, exact, exact)

    def _word_length(self, length: Count, known: Mapping[int, int]) -> int:
        found = length.of(known)
        if not 0 < found <= ROOM_BYTES:  # a word needs a letter
            raise TooLarge
        return found

    def _keyword_weights(self, keywords: int, count: int) -> list[float]:
        """Return weights of keywords: about equal, or in long inputs one much larger: only that makes a deep stack."""
        power = self._rng.choice((0, 1, 20, 20) if count > _LONG else (0, 0, 1))
        weights = [self._rng.random() ** power for _ in range(keywords)]
        return [weight / (max(weights) or 1.0) + _RAREST for weight in weights]

    def _tie(self, columns: Columns, known: Mapping[int, int]) -> None:
        """Put the values of each line into the order that two of its fields always had."""
        ends_of_edges = {end for edges in self._knowledge.edges for end in (edges.left, edges.right)}
        for relation in self._ties:
            left, right = relation.left, relation.right
            if len({left, right} & ends_of_edges) == 1:
                continue  # the edges are drawn as they have to be
            if left in columns and right in columns and not {left, right} & self._knowledge.sizes:
                low = self._knowledge.ranges[left].low
                ends = [each for each in self._knowledge.edges if {left, right} == {each.left, each.right}]
                high = self._sizes.bound(right, known, max(self._knowledge.ranges[right].highs))
                if ends and ends[0].bound.field in known:
                    high = ends[0].bound.of(known)
                pairs = zip(columns[left], columns[right], strict=True)
                mended = [repair.tie(int(one), int(other), relation.tie, high) for one, other in pairs]
                if any(one < low or other > high for one, other in mended) and low >= high:
                    raise TooLarge  # one value cannot differ from itself
                highest = high if ends else max(self._knowledge.ranges[left].highs)
                mended = [repair.within(pair, relation.tie, low, highest, high) for pair in mended]
                columns[left] = [str(one) for one, _ in mended]
                columns[right] = [str(other) for _, other in mended]

    def _placed(self, number: int, tokens: list[str]) -> list[str]:
        fact = self._knowledge.facts.fields[number]
        return repair.place_once(tokens, fact.once, fact.letters, self._rng) if fact.once else tokens

    def _refitted(self, number: int, tokens: list[str], known: Mapping[int, int]) -> list[str]:
        """Adapt given tokens to sizes that may have changed."""
        fact, plan = self._knowledge.facts.fields[number], self._plans[number]
        if tokens and fact.length is not None and fact.length.field in known:
            length = self._word_length(fact.length, known)
            return [repair.resize_word(token, length) for token in tokens]
        if fact.kind is not TokenKind.INT or number in self._knowledge.sizes:
            return tokens
        values = [int(token) for token in tokens]
        if fact.permutation and plan.distinct:
            return [str(value) for value in repair.ranks(values, fact.low)]
        limit = self._sizes.bound(number, known, max(values, default=0))
        values = repair.fold(values, min(fact.low, 1), limit)
        if plan.distinct:
            low, high = self._knowledge.ranges[number].low, max(self._knowledge.ranges[number].highs)
            values = repair.distinct_numbers(values, low, self._sizes.bound(number, known, high), self._rng)
        return [str(value) for value in (sorted(values) if plan.ordered else values)]
