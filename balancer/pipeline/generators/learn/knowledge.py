"""Knowledge of a problem's inputs: template, facts, rules and ranges, gathered once for all proposals. Pure, but
for a log line about an error.

Also decides how likely each seen rule is required.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate
from math import ceil, floor

from balancer.pipeline.generators.learn.bounds import (
    Hints,
    Range,
    find_ranges,
    trust,
)
from balancer.pipeline.generators.learn.edges import EdgeTable, find_edges
from balancer.pipeline.generators.learn.facts import (
    CountedFields,
    Facts,
    ListOrder,
    Relation,
    Tie,
    blocks_of,
    loads_of,
    names_of,
    word_loads_of,
)
from balancer.pipeline.generators.learn.infer import templates
from balancer.pipeline.generators.learn.observe import observe
from balancer.pipeline.generators.learn.rules import Rule, RuleKind, find_rules, list_fields
from balancer.pipeline.generators.learn.statement import read_statement
from balancer.pipeline.generators.learn.template import (
    Instance,
    LineNode,
    Mismatch,
    Node,
    Repeat,
    fields_of,
    read,
    tokenize,
    whole_number,
)
from balancer.pipeline.generators.learn.validator_text import read_validators
from balancer.problem import Problem

__all__ = [
    "EdgeTable",
    "Knowledge",
    "bound_rule",
    "distinct_rule",
    "gathered",
    "graph_rule",
    "knowledge_of",
    "order_rule",
    "prior_beliefs",
    "ranges_apart",
    "tie_rule",
]

_LOGGER = logging.getLogger("balancer")
# The template is searched in the smallest inputs: limits of their number and bytes, because they are
# read hundreds of times.
_SEARCHED_INPUTS, _SEARCHED_BYTES = 8, 4000
_FURTHER_INPUTS, _FURTHER_BYTES = 40, 2000  # of valid made-up inputs that facts are gathered from, and bytes of one
_ENOUGH_READ = 0.75  # share of them that the template reads; if it is less, the template is searched in them too
_OBSERVED_BYTES = 2**20  # of inputs that facts are gathered from
_DECIMAL = re.compile(r"-?[0-9]{1,300}\.[0-9]{0,300}")
_BOUND_TRUST = 0.9
_TIE_TRUST, _EDGE_TIE_TRUST = 0.85, 0.4
_SIMPLE_TRUST = 0.5
_TREE_TRUST, _TOLD_TRUST, _UNTOLD_TRUST, _UNKNOWN_TRUST = 0.95, 0.95, 0.3, 0.6
_ACYCLIC_TRUST = 0.6
_SHORT_TRUST = 0.5
_STEPS = {Tie.LESS: 1, Tie.AT_MOST: 0, Tie.DIFFER: None}


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known about a problem's inputs.

    Args:
        nodes: the template.
        instances: the known inputs, read with it.
        sizes: fields that tell a number or a length, or that bound others.
        blocks: those of them that count repeated groups of lines: test cases.
        loads: for each of `sizes`, what it makes longer.
        names: for people.
        beliefs: rules that all known inputs keep, and how likely each is required.
    """

    nodes: tuple[Node, ...]
    instances: tuple[Instance, ...]
    facts: Facts
    ranges: dict[int, Range]
    sizes: frozenset[int]
    blocks: frozenset[int]
    loads: dict[int, tuple[CountedFields, ...]]
    edges: tuple[EdgeTable, ...]
    names: dict[int, str]
    beliefs: Mapping[Rule, float] = field(default_factory=dict)

    def read(self, data: bytes) -> Instance | None:
        """Return an input, read with the template; None if it does not fit."""
        lines = tokenize(data)
        if lines is None:
            return None
        try:
            return read(self.nodes, lines).slots
        except Mismatch:
            return None


def knowledge_of(problem: Problem, valid: Iterable[bytes] = ()) -> Knowledge | None:
    """Return the knowledge from a problem's known inputs; None if they share no template, or are JSON values.

    `valid` are further inputs that the validators accept: they tell which template is right, and what is chance.
    An error is no knowledge, too: the problem is judged without it.
    """
    try:
        return _knowledge_of(problem, valid)
    except Exception:
        _LOGGER.debug("no knowledge of the inputs of %s", problem.id, exc_info=True)
        return None


def _knowledge_of(problem: Problem, valid: Iterable[bytes]) -> Knowledge | None:
    if problem.function:
        return None
    texts, further = _texts(problem), tuple(_spread(sorted({each for each in valid if len(each) <= _FURTHER_BYTES})))
    nodes = _likeliest(texts, further)
    if nodes is None:
        return None
    instances, made_up = _instances(nodes, texts), _instances(nodes, further)
    return replace(gathered(problem, nodes, (*instances, *made_up)), instances=instances or made_up)


def _texts(problem: Problem) -> tuple[bytes, ...]:
    return tuple(sorted((known.data for known in problem.data), key=len))


def _spread(texts: Sequence[bytes], most: int = _FURTHER_INPUTS) -> list[bytes]:
    """Return at most some of the inputs, of all sizes."""
    by_size = sorted(texts, key=len)
    return by_size if len(by_size) <= most else [by_size[index * len(by_size) // most] for index in range(most)]


@lru_cache(maxsize=16)
def _likeliest(texts: tuple[bytes, ...], further: tuple[bytes, ...]) -> tuple[Node, ...] | None:
    """Return the template that reads most of the further inputs."""
    found = _templates(texts)
    read = {nodes: len(_instances(nodes, further)) for nodes in found}
    best = max(found, key=lambda nodes: read[nodes], default=None)
    if best is None or not further or read[best] >= _ENOUGH_READ * len(further):
        return best
    wider = _templates((*texts, *_spread(further, _SEARCHED_INPUTS)))
    wider = tuple(nodes for nodes in wider if _uncounted(nodes) <= _uncounted(best))  # others read anything
    return max((best, *wider), key=lambda nodes: len(_instances(nodes, (*texts, *further))))


def _uncounted(nodes: Iterable[Node]) -> int:
    """Return how many lists and blocks no number counts."""
    found = 0
    for node in nodes:
        if isinstance(node, Repeat):
            found += (node.count is None) + _uncounted(node.body)
        elif isinstance(node, LineNode):
            found += node.tail is not None and node.count is None
    return found


@lru_cache(maxsize=16)  # called repeatedly within a round
def _templates(texts: tuple[bytes, ...]) -> tuple[tuple[Node, ...], ...]:
    """Return the templates that inputs may have, the likeliest first."""
    return tuple(_searched([lines for lines in map(tokenize, texts) if lines is not None]))


@lru_cache(maxsize=16)
def _instances(nodes: tuple[Node, ...], texts: tuple[bytes, ...]) -> tuple[Instance, ...]:
    return tuple(_read_all(nodes, (lines for lines in map(tokenize, texts) if lines is not None)))


def ranges_apart(tokens: Sequence[str]) -> tuple[int, int]:
    """Return the least and the greatest token, as whole numbers: of numbers, or of the lengths of words."""
    values = list(map(_value_of, tokens))
    return (floor(min(values)), ceil(max(values))) if values else (0, 0)


def _value_of(token: str) -> int | float:
    value = whole_number(token)
    if value is None and _DECIMAL.fullmatch(token):
        return float(token)
    return len(token) if value is None else value


def gathered(problem: Problem, nodes: tuple[Node, ...], instances: tuple[Instance, ...]) -> Knowledge:
    """Return the knowledge from `instances` (read with the template `nodes`), the validators and the statement."""
    hints = _hints(problem.input_validators)
    facts = observe(nodes, instances)
    ranges = find_ranges(facts, hints, _told(problem.statement))
    loads: dict[int, list[CountedFields]] = {}
    for number, load in (*loads_of(nodes, ()), *word_loads_of(nodes, facts, ())):
        loads.setdefault(number, []).append(load)
    edges = tuple(find_edges(nodes, facts, instances))
    bounds = _bounding(ranges, edges)
    graphs = frozenset(end for table in edges for end in (table.left, table.right))
    rules = find_rules(nodes, instances, facts, graphs)
    if "distinct" in hints.mentions:  # short lists tell little
        short = [number for number in list_fields(nodes) if number not in graphs]
        lists = {
            number: [tokens for each in instances for slot, tokens in each.items() if slot[0] == number]
            for number in short
        }
        rules |= {
            distinct_rule(number): _SHORT_TRUST
            for number, several in lists.items()
            if all(len(set(one)) == len(one) for one in several)
        }
    return Knowledge(
        nodes=nodes,
        instances=instances,
        facts=facts,
        ranges=ranges,
        sizes=frozenset(loads) | bounds,
        blocks=frozenset(blocks_of(nodes)),
        loads={number: tuple(found) for number, found in loads.items()},
        edges=edges,
        names=names_of(nodes, frozenset(loads)),
        beliefs=prior_beliefs(facts, hints, ranges, edges, rules),
    )


def _bounding(ranges: Mapping[int, Range], edges: Sequence[EdgeTable]) -> set[int]:
    """Return the fields that bound others, as far as no source bounds those otherwise."""
    found = {each.bound.field for each in ranges.values() if each.bound is not None}
    found |= {each.bound.field for each in edges}
    return {number for number in found if number is not None}


_hints = lru_cache(maxsize=16)(read_validators)
_told = lru_cache(maxsize=16)(read_statement)


def _searched(inputs: Sequence[Sequence[list[str]]]) -> list[tuple[Node, ...]]:
    """Return the templates of the smallest inputs, or of some of them if others do not fit."""
    sizes = accumulate(map(_size, inputs))
    small = [lines for lines, size in zip(inputs, sizes, strict=True) if size <= _SEARCHED_BYTES] or list(inputs[:1])
    for chosen in _choices(small[:_SEARCHED_INPUTS]):
        found = [nodes for nodes in templates(chosen) if list(fields_of(nodes))]
        if found:
            return found
    return []


def _choices(inputs: list[Sequence[list[str]]]) -> Iterator[list[Sequence[list[str]]]]:
    """Yield all inputs, then all but one, the largest left out first, then half of them, then a quarter."""
    yield inputs
    if len(inputs) > 2:
        yield from ([*inputs[:index], *inputs[index + 1 :]] for index in reversed(range(len(inputs))))
    while len(inputs) > 1:
        inputs = inputs[: len(inputs) // 2]
        yield inputs


def _size(lines: Sequence[list[str]]) -> int:
    return sum(len(token) + 1 for line in lines for token in line)


def _read_all(nodes: Sequence[Node], inputs: Iterable[Sequence[list[str]]]) -> Iterator[Instance]:
    """Yield the inputs that fit the template: always the smallest, and more while there is room."""
    read_bytes = 0
    for lines in inputs:
        if read_bytes and read_bytes + _size(lines) > _OBSERVED_BYTES:
            return
        try:
            yield read(nodes, lines).slots
        except Mismatch:
            continue
        read_bytes += _size(lines)


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
    return Rule(kind, (edges.left, edges.right))


def prior_beliefs(
    facts: Facts,
    hints: Hints,
    ranges: Mapping[int, Range],
    edges: Sequence[EdgeTable],
    rules: Mapping[Rule, float],
) -> dict[Rule, float]:
    """Return every rule that all known inputs keep, and how likely it is required."""
    found = dict(rules)
    for number, fact in facts.fields.items():
        trusted = trust(fact, hints)
        if fact.order is not ListOrder.NONE:
            found[order_rule(number, fact.order)] = trusted["order"]
        if fact.distinct or fact.permutation:
            found[distinct_rule(number)] = trusted["distinct"]
        bound = bound_rule(number, ranges[number])
        if bound is not None:
            found[bound] = 1.0 if ranges[number].below == bound.fields[1] else _BOUND_TRUST
    for relation in facts.relations:
        told = ranges[relation.left].below == relation.right
        found[tie_rule(relation)] = _TOLD_TRUST if told else _tie_trust(edges, relation)
    for table in edges:
        found.update(_graph_beliefs(table, hints))
    return found


def _tie_trust(edges: Sequence[EdgeTable], relation: Relation) -> float:
    ends = any({table.left, table.right} == {relation.left, relation.right} for table in edges)
    if ends and relation.tie is Tie.DIFFER:
        return _TOLD_TRUST  # most graphs have no loops
    if any(table.connected and {table.left, table.right} == {relation.left, relation.right} for table in edges):
        return _EDGE_TIE_TRUST  # the smaller end of an edge often comes first by habit
    tied = {relation.left, relation.right}
    if any(table.weight in tied and tied & {table.left, table.right} for table in edges):
        return _EDGE_TIE_TRUST  # the length of an edge does not depend on the number of a node
    # Unrelated values look like this in so many lines with a probability of 2 in 2**lines.
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
