"""Whether a rule holds in one input. Pure; what does not concern an input holds in it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from balancer.pipeline.generators.learn.edges import is_acyclic, is_connected
from balancer.pipeline.generators.learn.rules import Rule, RuleKind, balanced, numbers_of, scaled
from balancer.pipeline.generators.learn.template import Instance

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


def _sum(rule: Rule, instance: Instance) -> bool:
    single, number = rule.fields
    return all(
        int(before(single, where, instance)[0]) == sum(_ints(tokens))
        for where, tokens in _lists(number, instance)
        if tokens
    )


def _parents(rule: Rule, instance: Instance) -> bool:
    plus = rule.value or 0
    return all(
        value < index + plus
        for _, found in _lists(rule.fields[0], instance)
        for index, value in enumerate(_ints(found))
    )


def _balanced(rule: Rule, instance: Instance) -> bool:
    return all(balanced(token) for _, found in _lists(rule.fields[0], instance) for token in found)


def _symmetric(rule: Rule, instance: Instance) -> bool:
    rows = [tokens for _, tokens in sorted(_lists(rule.fields[0], instance))]
    size = range(len(rows))
    told = all(int(rows[i][i]) == rule.value for i in size) if rule.value is not None else True
    return told and all(rows[i][j] == rows[j][i] for i in size for j in range(i))


def _sum_is(rule: Rule, instance: Instance) -> bool:
    for _, found in _lists(rule.fields[0], instance):
        decimals = max((len(token.partition(".")[2]) for token in found), default=0)
        values = scaled(found, decimals)
        if values is not None and values and sum(values) != rule.value:
            return False
    return True


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
    RuleKind.SUM: _sum,
    RuleKind.PARENTS: _parents,
    RuleKind.BALANCED: _balanced,
    RuleKind.SYMMETRIC: _symmetric,
    RuleKind.SUM_IS: _sum_is,
    RuleKind.ORDER: _order,
    RuleKind.DISTINCT: _distinct,
    RuleKind.TIE: _tie,
    RuleKind.BOUND: _bound,
    RuleKind.CONNECTED: _graph,
    RuleKind.SIMPLE: _graph,
    RuleKind.ACYCLIC: _graph,
}
