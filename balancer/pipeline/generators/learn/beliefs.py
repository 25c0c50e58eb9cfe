"""How likely it is that what was seen in every known input is required, for every rule at once.

Decides the belief before any validator has answered; `hear` changes it afterwards. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence

from balancer.pipeline.generators.learn.bounds import Range, trust
from balancer.pipeline.generators.learn.edges import EdgeTable
from balancer.pipeline.generators.learn.facts import Facts, ListOrder, Relation, Tie
from balancer.pipeline.generators.learn.hints import Hints
from balancer.pipeline.generators.learn.rules import Rule, RuleKind

__all__ = ["bound_rule", "distinct_rule", "graph_rule", "order_rule", "prior_beliefs", "tie_rule"]

_BOUND_TRUST = 0.9
_TIE_TRUST, _EDGE_TIE_TRUST = 0.85, 0.4
_SIMPLE_TRUST = 0.5
_TREE_TRUST, _TOLD_TRUST, _UNTOLD_TRUST, _UNKNOWN_TRUST = 0.95, 0.95, 0.3, 0.6
_ACYCLIC_TRUST = 0.6
_STEPS = {Tie.LESS: 1, Tie.AT_MOST: 0, Tie.DIFFER: None}


def order_rule(number: int, order: ListOrder) -> Rule:
    """Return the rule that the values of a list are sorted."""
    return Rule(RuleKind.ORDER, (number,), int(order is ListOrder.STRICTLY_UP))


def distinct_rule(number: int) -> Rule:
    """Return the rule that the values of a list are distinct."""
    return Rule(RuleKind.DISTINCT, (number,))


def tie_rule(relation: Relation) -> Rule:
    """Return the rule that two fields are related."""
    return Rule(RuleKind.TIE, (relation.left, relation.right), _STEPS[relation.tie])


def bound_rule(number: int, found: Range) -> Rule | None:
    """Return the rule that an earlier field bounds a field, if one seems to."""
    if found.bound is None or found.bound.field is None:
        return None
    return Rule(RuleKind.BOUND, (number, found.bound.field), found.bound.plus)


def graph_rule(kind: RuleKind, edges: EdgeTable) -> Rule:
    """Return a rule about a graph."""
    return Rule(kind, (edges.left, edges.right, edges.bound.field or 0), edges.low)


def prior_beliefs(
    facts: Facts, hints: Hints, ranges: Mapping[int, Range], edges: Sequence[EdgeTable], rules: Mapping[Rule, float]
) -> dict[Rule, float]:
    """Return every rule that all known inputs keep, and how likely it is to be required."""
    found = dict(rules)
    for number, fact in facts.fields.items():
        trusted = trust(fact, hints)
        if fact.order is not ListOrder.NONE:
            found[order_rule(number, fact.order)] = trusted["order"]
        if fact.distinct or fact.permutation:
            found[distinct_rule(number)] = trusted["distinct"]
        bound = bound_rule(number, ranges[number])
        if bound is not None:
            found[bound] = _BOUND_TRUST
    for relation in facts.relations:
        found[tie_rule(relation)] = _tie_trust(edges, relation)
    for table in edges:
        found.update(_graph_beliefs(table, hints))
    return found


def _tie_trust(edges: Sequence[EdgeTable], relation: Relation) -> float:
    if any(table.connected and {table.left, table.right} == {relation.left, relation.right} for table in edges):
        return _EDGE_TIE_TRUST  # the smaller end of an edge is written first out of habit
    tied = {relation.left, relation.right}
    if any(table.weight in tied and tied & {table.left, table.right} for table in edges):
        return _EDGE_TIE_TRUST  # how long an edge is has nothing to do with the number of a node
    # The chance that values without any relation look like this in so many lines is 2 in 2**lines.
    return _TIE_TRUST * (1 - 2.0 ** (1 - relation.lines))


def _graph_beliefs(table: EdgeTable, hints: Hints) -> Iterator[tuple[Rule, float]]:
    if table.connected:
        tree = table.rows is not None and table.rows.plus == -1  # n - 1 edges
        yield graph_rule(RuleKind.CONNECTED, table), _TREE_TRUST if tree else _told_trust(hints, "connected")
    if table.simple:
        yield graph_rule(RuleKind.SIMPLE, table), max(_told_trust(hints, "distinct"), _SIMPLE_TRUST)
    if table.acyclic and not table.connected:
        yield graph_rule(RuleKind.ACYCLIC, table), _ACYCLIC_TRUST


def _told_trust(hints: Hints, topic: str) -> float:
    if topic in hints.mentions:
        return _TOLD_TRUST
    return _UNTOLD_TRUST if hints.known else _UNKNOWN_TRUST
