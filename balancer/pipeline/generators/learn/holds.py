"""Whether a rule holds in one input. Pure; what does not concern an input holds in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from math import prod

from balancer.pipeline.generators.learn.connected import is_acyclic, is_connected
from balancer.pipeline.generators.learn.rules import AGGREGATES, Rule, RuleKind, balanced, numbers_of, scaled
from balancer.pipeline.generators.learn.template import Instance, whole_number

__all__ = ["before", "holds"]

Where = tuple[int, ...]


def holds(rule: Rule, instance: Instance) -> bool:
    """Say whether `rule` holds at every place of the input."""
    try:
        return rule.kind not in _CHECKS or _CHECKS[rule.kind](rule, instance)
    except (KeyError, ValueError, StopIteration):  # a field that is not there, or no numbers
        return True


def before(number: int, where: Where, instance: Instance) -> Sequence[str]:
    """Return the tokens of an earlier field, in the nearest block around `where` that has it; raises StopIteration."""
    places = [(number, where[:depth]) for depth in range(len(where), -1, -1)]
    return next(instance[place] for place in places if place in instance)


def _lists(number: int, instance: Instance) -> Iterator[tuple[Where, Sequence[str]]]:
    return ((where, tokens) for (field, where), tokens in instance.items() if field == number)


def _ints(tokens: Sequence[str]) -> list[int]:
    found = numbers_of(tokens)
    if found is None:
        raise ValueError
    return found


def _aggregate(rule: Rule, instance: Instance) -> bool:
    single, number = rule.fields
    return all(
        int(before(single, where, instance)[0]) == AGGREGATES[rule.kind](_ints(tokens))
        for where, tokens in _lists(number, instance)
        if tokens
    )


def _permuted(rule: Rule, instance: Instance) -> bool:
    number, other = rule.fields
    return all(sorted(before(number, where, instance)) == sorted(found) for where, found in _lists(other, instance))


def _member(rule: Rule, instance: Instance) -> bool:
    number, other = rule.fields
    return all(set(found) <= set(before(number, where, instance)) for where, found in _lists(other, instance))


def _sum_limit(rule: Rule, instance: Instance) -> bool:
    total = 0
    for _, tokens in _lists(rule.fields[0], instance):
        for token in tokens:
            value = whole_number(token)
            total += len(token) if value is None else value
    return total <= (rule.value or 0)


def _product_limit(rule: Rule, instance: Instance) -> bool:
    for where, tokens in _lists(rule.fields[-1], instance):
        product = 1
        for number in rule.fields[:-1]:
            product *= int(before(number, where, instance)[0])
        if product * int(tokens[0]) > (rule.value or 0):
            return False
    return True


def _rows_differ(rule: Rule, instance: Instance) -> bool:
    for where, tokens in _lists(rule.fields[0], instance):
        rows = list(zip(tokens, *(instance[number, where] for number in rule.fields[1:]), strict=True))
        if len(set(rows)) < len(rows):
            return False
    return True


def _parents(rule: Rule, instance: Instance) -> bool:
    plus = rule.value or 0
    return all(
        value < index + plus
        for _, found in _lists(rule.fields[0], instance)
        for index, value in enumerate(_ints(found))
    )


def _balanced(rule: Rule, instance: Instance) -> bool:
    return all(balanced(token) for _, found in _lists(rule.fields[0], instance) for token in found)


def _starts(rule: Rule, instance: Instance) -> bool:
    at = 0 if rule.kind is RuleKind.STARTS else -1
    return all(int(found[at]) == rule.value for _, found in _lists(rule.fields[0], instance) if found)


def _multiple(rule: Rule, instance: Instance) -> bool:
    modulus = rule.value or 1
    return all(value % modulus == 0 for _, found in _lists(rule.fields[0], instance) for value in _ints(found))


def _symmetric(rule: Rule, instance: Instance) -> bool:
    rows = [tokens for _, tokens in sorted(_lists(rule.fields[0], instance))]
    size = range(len(rows))
    told = all(int(rows[i][i]) == rule.value for i in size) if rule.value is not None else True
    return told and all(rows[i][j] == rows[j][i] for i in size for j in range(i))


def _same_length(rule: Rule, instance: Instance) -> bool:
    return all(len({len(token) for token in found}) <= 1 for _, found in _lists(rule.fields[0], instance))


def _sum_is(rule: Rule, instance: Instance) -> bool:
    for _, found in _lists(rule.fields[0], instance):
        decimals = max((len(token.partition(".")[2]) for token in found), default=0)
        values = scaled(found, decimals)
        if values is not None and values and sum(values) != rule.value:
            return False
    return True


def _product_most(rule: Rule, instance: Instance) -> bool:
    most = rule.value or 0
    return all(prod(_ints(found)[:200]) <= most for _, found in _lists(rule.fields[0], instance))


def _order(rule: Rule, instance: Instance) -> bool:
    least = rule.value or 0  # 1: strictly
    steps = (b - a for _, found in _lists(rule.fields[0], instance) for a, b in pairwise(_ints(found)))
    return all(step >= least for step in steps)


def _distinct(rule: Rule, instance: Instance) -> bool:
    return all(len(set(found)) == len(found) for _, found in _lists(rule.fields[0], instance))


def _tie(rule: Rule, instance: Instance) -> bool:
    left, right = rule.fields
    for where, tokens in _lists(right, instance):
        for one, other in zip(_ints(before(left, where, instance)), _ints(tokens), strict=True):
            if rule.value is None and one == other:
                return False
            if rule.value is not None and other - one < rule.value:  # 0: at most; 1: less
                return False
    return True


def _bound(rule: Rule, instance: Instance) -> bool:
    number, other = rule.fields
    return all(
        int(token) <= int(before(other, where, instance)[0]) + (rule.value or 0)
        for where, tokens in _lists(number, instance)
        for token in tokens
    )


def _graph(rule: Rule, instance: Instance) -> bool:
    """Check a graph; the fields are its columns and the number of its nodes, `value` is the least node."""
    left, right, size = rule.fields
    low = rule.value or 0
    for where, tokens in _lists(left, instance):
        edges = list(zip(_ints(tokens), _ints(instance[right, where]), strict=True))
        nodes = int(before(size, where, instance)[0])
        inside = all(low <= node < nodes + low for edge in edges for node in edge)
        moved = [(one - low, other - low) for one, other in edges]
        if rule.kind is RuleKind.SIMPLE:
            if len({frozenset(edge) for edge in edges}) < len(edges) or any(one == other for one, other in edges):
                return False
        elif inside and not (is_connected if rule.kind is RuleKind.CONNECTED else is_acyclic)(nodes, moved):
            return False
    return True


_CHECKS: Mapping[RuleKind, Callable[[Rule, Instance], bool]] = {
    **dict.fromkeys(AGGREGATES, _aggregate),
    RuleKind.PERMUTED: _permuted,
    RuleKind.MEMBER: _member,
    RuleKind.SUM_LIMIT: _sum_limit,
    RuleKind.PRODUCT_LIMIT: _product_limit,
    RuleKind.ROWS_DIFFER: _rows_differ,
    RuleKind.PARENTS: _parents,
    RuleKind.BALANCED: _balanced,
    RuleKind.STARTS: _starts,
    RuleKind.ENDS: _starts,
    RuleKind.MULTIPLE: _multiple,
    RuleKind.SYMMETRIC: _symmetric,
    RuleKind.SAME_LENGTH: _same_length,
    RuleKind.SUM_IS: _sum_is,
    RuleKind.PRODUCT_MOST: _product_most,
    RuleKind.ORDER: _order,
    RuleKind.DISTINCT: _distinct,
    RuleKind.TIE: _tie,
    RuleKind.BOUND: _bound,
    RuleKind.CONNECTED: _graph,
    RuleKind.SIMPLE: _graph,
    RuleKind.ACYCLIC: _graph,
}
