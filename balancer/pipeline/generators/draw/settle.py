"""Keep drawn columns to the rules that are believed: sums, parents, brackets, symmetric matrices.

Decides, once for an input, which rules it keeps to, in which order, and how a list is changed for each. It must not
know in which order an input is written.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from balancer.pipeline.generators.draw import repair
from balancer.pipeline.generators.draw.graphs import Shape
from balancer.pipeline.generators.draw.values import decimal
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.rules import Rule, RuleKind, scaled

__all__ = ["Columns", "KeptRules", "RulesConflict"]

Columns = dict[int, list[str]]


class RulesConflict(Exception):
    """The values that were drawn cannot be brought into line."""


@dataclass(slots=True)
class _DrawContext:
    """What is known, drawn and left to do for one input.

    Attributes:
        knowledge: what has been learnt of inputs.
        shape: of the graph that is drawn, if one is.
        rng: for what is chosen.
        drawn: the columns so far, by field.
        rows: of matrices that are not whole yet, by field.
        patches: new values of single fields that were written before, by field; to be taken away by the writer.
    """

    knowledge: Knowledge
    shape: Shape | None
    rng: random.Random
    drawn: Columns = field(default_factory=dict)
    rows: dict[int, list[list[str]]] = field(default_factory=dict)
    patches: dict[int, int] = field(default_factory=dict)

    def limits(self, number: int) -> tuple[int, int]:
        """Return the range of a field."""
        found = self.knowledge.ranges[number]
        return found.low, max(found.highs)


_TREES = {Shape.PATH: "path", Shape.STAR: "star", Shape.CATERPILLAR: "deep", Shape.BINARY: "binary", Shape.COMB: "comb"}


def _balanced(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Balance the brackets of each word."""
    number = rule.fields[0]
    if number in columns:
        letters = context.knowledge.facts.fields[number].letters
        columns[number] = [repair.balance(word, letters, context.rng) for word in columns[number]]


def _parents(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Make each value a number less than its place: the parents of a tree."""
    number = rule.fields[0]
    if number in columns:
        kind = "as given" if context.shape is None else _TREES.get(context.shape, "as given")
        low = min(context.knowledge.facts.fields[number].low, 1)
        values = list(map(int, columns[number]))
        columns[number] = list(map(str, repair.parents(values, rule.value or 1, low, kind, context.rng)))


def _symmetric(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Make each row of a matrix fit the rows before it."""
    number = rule.fields[0]
    if number not in columns:
        return
    tokens = columns[number]
    rows = context.rows.setdefault(number, [])
    if rows and (len(rows) >= len(rows[0]) or len(rows[0]) != len(tokens)):
        rows.clear()  # the next matrix
    for index, row in enumerate(rows):
        tokens[index] = row[len(rows)]
    if rule.value is not None and len(rows) < len(tokens):
        tokens[len(rows)] = str(rule.value)
    rows.append(tokens)


def _sum(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Make a list come to a number, its sum; or that number be what it comes to. Raises RulesConflict."""
    single, number = rule.fields
    if single > number and single in columns and context.drawn.get(number):
        columns[single] = [str(sum(map(int, context.drawn[number])))]
    if not columns.get(number):
        return
    values = list(map(int, columns[number]))
    low, high = context.limits(number)
    told = known.get(single) if single < number else None
    fitted = None if told is None else repair.fit_sum(values, told, low, high, context.rng)
    if fitted is None:
        if told is not None and single in context.knowledge.loads:
            raise RulesConflict
        fitted = repair.cap_sum(values, max(context.knowledge.ranges[single].highs), low)
        if fitted is None:
            raise RulesConflict
        if told is not None:
            context.patches[single] = sum(fitted)
    columns[number] = list(map(str, fitted))


def _sum_is(context: _DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int]) -> None:
    """Make a list come to the sum that it always has. Raises RulesConflict."""
    number = rule.fields[0]
    if not columns.get(number):
        return
    decimals = context.knowledge.facts.fields[number].decimals
    values = scaled(columns[number], decimals)
    if values is None:
        raise RulesConflict
    low, high = (bound * 10**decimals for bound in context.limits(number))
    least = max(low, 1) if low >= 0 and len(values) <= (rule.value or 0) else low
    fitted = repair.fit_sum(values, rule.value or 0, least, max(high, least), context.rng)
    if fitted is None:
        raise RulesConflict
    columns[number] = [decimal(value, decimals) for value in fitted]


# In the order in which they are settled: what looks at one list only, what looks at two, what adds up at last.
_SETTLED = {
    RuleKind.BALANCED: _balanced,
    RuleKind.PARENTS: _parents,
    RuleKind.SYMMETRIC: _symmetric,
    RuleKind.SUM_IS: _sum_is,
    RuleKind.SUM: _sum,
}


class KeptRules:
    """The rules of one input.

    Args:
        knowledge: what has been learnt of inputs; a rule is kept to as often as it is believed.
        shape: of the graph that is drawn, if one is.
        rng: for what is chosen.
    """

    def __init__(self, knowledge: Knowledge, shape: Shape | None, rng: random.Random) -> None:
        self._context = _DrawContext(knowledge, shape, rng)
        kept = [rule for rule, share in knowledge.beliefs.items() if rng.random() < share]
        turns = {kind: turn for turn, kind in enumerate(_SETTLED)}
        self._rules = sorted(kept, key=lambda rule: turns.get(rule.kind, len(turns)))

    def settle(self, columns: Columns, known: Mapping[int, int]) -> None:
        """Change the columns so that the rules hold. Raises RulesConflict."""
        for rule in self._rules:
            settled = _SETTLED.get(rule.kind)
            if settled is not None:
                settled(self._context, rule, columns, known)
        self._context.drawn.update(columns)

    def take_patches(self) -> Iterator[tuple[int, int]]:
        """Yield the patches there are, and forget them."""
        while self._context.patches:
            yield self._context.patches.popitem()
