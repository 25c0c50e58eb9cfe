"""Keep drawn columns to what they must come to: sums, maxima, products.

Decides how a list is changed for that, or which number that was written before has to change instead: that is left in
the patches.
"""

from collections.abc import Mapping

from balancer.pipeline.generators.draw import fit
from balancer.pipeline.generators.draw.context import Columns, DrawContext, Redraw, RulesConflict
from balancer.pipeline.generators.draw.values import decimal
from balancer.pipeline.generators.learn.facts import TokenKind
from balancer.pipeline.generators.learn.rules import AGGREGATES, Rule, RuleKind, scaled

__all__ = ["aggregate", "product_most", "sum_is", "sum_limit"]


def aggregate(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Make a list come to a number, its sum, maximum or the like; or that be what it comes to. Raises CannotObey."""
    single, number = rule.fields
    if single > number and single in columns and hand.drawn.get(number):
        columns[single] = [str(AGGREGATES[rule.kind](list(map(int, hand.drawn[number]))))]
    if not columns.get(number):
        return
    values = list(map(int, columns[number]))
    low, high = hand.limits(number)
    most = max(hand.knowledge.ranges[single].highs)
    told = known.get(single) if single < number else None
    fitted = None if told is None else _fitted(hand, rule.kind, values, told, low, high)
    if fitted is None:
        if told is not None and single in hand.knowledge.loads:
            raise RulesConflict
        fitted = _smaller(hand, rule.kind, values, most, low)
        if told is not None:
            hand.patches[single] = AGGREGATES[rule.kind](fitted)
    columns[number] = list(map(str, fitted))


def _fitted(hand: DrawContext, kind: RuleKind, values: list[int], told: int, low: int, high: int) -> list[int] | None:
    if kind is RuleKind.SUM:
        return fit.fit_sum(values, told, low, high, hand.rng)
    if kind in (RuleKind.MAX, RuleKind.MIN) and low <= told <= high:
        return (fit.fit_max if kind is RuleKind.MAX else fit.fit_min)(values, told, hand.rng)
    return values if AGGREGATES[kind](values) == told else None


def _smaller(hand: DrawContext, kind: RuleKind, values: list[int], most: int, low: int) -> list[int]:
    fitted: list[int] | None = values
    if kind is RuleKind.SUM:
        fitted = fit.cap_sum(values, most, low)
    elif kind is RuleKind.PRODUCT:
        fitted = fit.fit_product(values, most, low)
    elif kind is RuleKind.MAX:
        fitted = [min(value, most) for value in values]
    if fitted is None:
        raise RulesConflict
    return fitted


def sum_limit(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Keep the values of a list, over the whole input, below a limited sum. Raises CannotObey."""
    number = rule.fields[0]
    if not columns.get(number):
        return
    left = (rule.value or 0) - hand.spent.get(rule, 0)
    low = hand.knowledge.ranges[number].low
    if hand.knowledge.facts.fields[number].kind is TokenKind.WORD:
        lengths = fit.cap_sum([len(word) for word in columns[number]], left, low)
        if lengths is None:
            raise RulesConflict
        columns[number] = [word[:length] for word, length in zip(columns[number], lengths, strict=True)]
        hand.spent[rule] = hand.spent.get(rule, 0) + sum(lengths)
        return
    values = list(map(int, columns[number]))
    capped = values if number in hand.knowledge.loads else fit.cap_sum(values, left, low)
    if capped is None or sum(capped) > left:
        raise RulesConflict
    hand.spent[rule] = hand.spent.get(rule, 0) + sum(capped)
    columns[number] = list(map(str, capped))


def sum_is(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Make a list come to the sum that it always has. Raises CannotObey."""
    number = rule.fields[0]
    if not columns.get(number):
        return
    decimals = hand.knowledge.facts.fields[number].decimals
    values = scaled(columns[number], decimals)
    if values is None:
        raise RulesConflict
    low, high = (bound * 10**decimals for bound in hand.limits(number))
    least = max(low, 1) if low >= 0 and len(values) <= (rule.value or 0) else low
    fitted = fit.fit_sum(values, rule.value or 0, least, max(high, least), hand.rng)
    if fitted is None:
        raise RulesConflict
    columns[number] = [decimal(value, decimals) for value in fitted]


def product_most(hand: DrawContext, rule: Rule, columns: Columns, known: Mapping[int, int], redraw: Redraw) -> None:
    """Keep the product of a list below its limit. Raises CannotObey."""
    number = rule.fields[0]
    if columns.get(number):
        low = hand.knowledge.ranges[number].low
        fitted = fit.fit_product(list(map(int, columns[number])), rule.value or 0, low)
        if fitted is None:
            raise RulesConflict
        columns[number] = list(map(str, fitted))
