"""Keep made-up values to the rules that are believed: sums, maxima, permutations, names declared before.

Decides, once for an input, which rules it keeps to, how large its numbers may be for that, and in which order the rules
are settled; `totals` and `lists` change the columns. It must not know in which order an input is written.
"""

import random
from collections.abc import Iterator, Mapping
from math import isqrt, log

from balancer.pipeline.generators.draw import lists, totals
from balancer.pipeline.generators.draw.context import Columns, DrawContext, Redraw, RulesConflict
from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import AGGREGATES, Rule, RuleKind

__all__ = ["KeptRules", "RulesConflict"]


class KeptRules:
    """The rules of one input.

    Args:
        knowledge: what has been learnt of inputs; a rule is kept to as often as it is believed.
        shape: of the graph that is drawn, if one is.
        rng: for what is chosen.
    """

    def __init__(self, knowledge: Knowledge, shape: Shape | None, rng: random.Random) -> None:
        self._hand = DrawContext(knowledge, shape, rng)
        kept = [rule for rule, share in knowledge.beliefs.items() if rng.random() < share]
        self._rules = sorted(kept, key=lambda rule: _TURN.get(rule.kind, len(_TURN)))
        self._narrow = rng.random() < 0.5

    def room(self, number: int, known: Mapping[int, int], most: int) -> int:
        """Return how large a number may be that tells how many, as far as sums and products limit it."""
        for rule in self._rules:
            limit = rule.value or 0
            if rule.kind is RuleKind.PRODUCT_LIMIT and number in rule.fields:
                earlier = [known[other] for other in rule.fields if other < number and other in known]
                for value in earlier:
                    limit //= max(value, 1)
                last = number == rule.fields[-1]
                most = min(most, limit if last or not self._narrow else isqrt(limit))
            elif rule.kind is RuleKind.PRODUCT_MOST:
                low = self._hand.knowledge.ranges[rule.fields[0]].low
                if low > 1 and any(
                    rule.fields[0] in load.fields for load in self._hand.knowledge.loads.get(number, ())
                ):
                    most = min(most, max(int(log(limit, low) + 1e-9), 1))
            elif rule.kind is RuleKind.SUM_LIMIT:
                most = min(most, self._room_in_sum(rule, number, most))
        return most

    def _room_in_sum(self, rule: Rule, number: int, most: int) -> int:
        limited = rule.fields[0]
        left = (rule.value or 0) - self._hand.spent.get(rule, 0)
        if limited == number:
            return max(left, self._hand.knowledge.ranges[number].low)
        counts = any(limited in load.fields for load in self._hand.knowledge.loads.get(number, ()))
        return left // max(self._hand.knowledge.ranges[limited].low, 1) if counts else most

    def settle(self, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
        """Change the columns so that the rules hold. Raises CannotObey."""
        for rule in self._rules:
            settled = _SETTLED.get(rule.kind)
            if settled is not None:
                settled(self._hand, rule, columns, known, redraw)
        self._hand.drawn.update(columns)

    def take_patches(self) -> Iterator[tuple[int, int]]:
        """Yield the patches there are, and forget them."""
        while self._hand.patches:
            yield self._hand.patches.popitem()


# In the order in which they are settled: what looks at one list only, what looks at two, what adds up at last.
_SETTLED = {
    RuleKind.MULTIPLE: lists.multiple,
    RuleKind.KNOWN_WORDS: lists.known_words,
    RuleKind.SAME_LENGTH: lists.same_length,
    RuleKind.BALANCED: lists.balanced,
    RuleKind.PARENTS: lists.parents,
    RuleKind.STARTS: lists.ends,
    RuleKind.ENDS: lists.ends,
    RuleKind.SYMMETRIC: lists.symmetric,
    RuleKind.MEMBER: lists.member,
    RuleKind.PERMUTED: lists.permuted,
    RuleKind.ROWS_DIFFER: lists.rows_differ,
    RuleKind.SUM_IS: totals.sum_is,
    RuleKind.PRODUCT_MOST: totals.product_most,
    RuleKind.SUM_LIMIT: totals.sum_limit,
    **dict.fromkeys(AGGREGATES, totals.aggregate),
}
_TURN = {kind: turn for turn, kind in enumerate(_SETTLED)}
