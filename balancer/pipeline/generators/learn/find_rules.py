"""Find rules that all known inputs keep, and say how likely each is to be required.

A rule is seen in a few inputs, so it may be chance; what validators say of inputs that break it (`hear`) raises or
lowers the belief. Pure.
"""

from collections.abc import Iterator, Sequence

from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.rules import (
    BRACKETS,
    Rule,
    RuleKind,
    balanced,
    numbers_of,
    scaled,
)
from balancer.pipeline.generators.learn.template import Choice, Instance, LineNode, Node, Repeat, Slot

__all__ = ["find_rules"]

_LEAST_WITNESSES = 2
_SUM = 0.9, 0.97  # how surely, with two witnesses and with more


def find_rules(
    nodes: Sequence[Node], instances: Sequence[Instance], facts: Facts, graphs: frozenset[int]
) -> dict[Rule, float]:
    """Return the rules that the known inputs suggest, each with how likely it is to be required.

    `graphs` are the columns that are edges: they have rules of their own.
    """
    found: dict[Rule, float] = {}
    singles, lists = _single_fields(nodes), [number for number in _list_fields(nodes) if number not in graphs]
    numbers = [number for number in lists if facts.fields[number].kind is TokenKind.INT]
    for single in singles:
        for number in numbers:
            found.update(_sums(single, number, instances))
    words = [number for number in singles if facts.fields[number].kind is TokenKind.WORD]
    for number in (*lists, *words):
        found.update(_alone(number, facts, instances))
    found.update(_matrices(nodes, instances, facts))
    return found


def _single_fields(nodes: Sequence[Node]) -> list[int]:
    found: list[int] = []
    for node in nodes:
        if isinstance(node, LineNode):
            found += node.fields
        elif isinstance(node, Repeat) and node.table is None:
            found += _single_fields(node.body)
    return found


def _list_fields(nodes: Sequence[Node]) -> list[int]:
    """Return the fields that have several tokens in one place: lists and columns."""
    found: list[int] = []
    for node in nodes:
        if isinstance(node, LineNode) and node.tail is not None:
            found.append(node.tail)
        elif isinstance(node, Repeat) and isinstance(node.table, LineNode):
            found += node.table.fields
        elif isinstance(node, Repeat) and not isinstance(node.table, Choice):
            found += _list_fields(node.body)
    return found


def _slots(number: int, instances: Sequence[Instance]) -> Iterator[tuple[Instance, Slot, Sequence[str]]]:
    for instance in instances:
        for slot, tokens in instance.items():
            if slot[0] == number:
                yield instance, slot, tokens


def _sums(single: int, number: int, instances: Sequence[Instance]) -> Iterator[tuple[Rule, float]]:
    """Find a number that is the sum of a list. Lists of one are no witnesses."""
    witnesses: list[tuple[int, list[int]]] = []
    for instance, (_, where), tokens in _slots(number, instances):
        told = instance.get((single, where))
        values = numbers_of(tokens)
        total = None if told is None else numbers_of(told)
        if values is None or not total:
            return
        if values:
            witnesses.append((total[0], values))
    several = [total for total, values in witnesses if len(values) > 1]
    if len(set(several)) >= _LEAST_WITNESSES and all(total == sum(values) for total, values in witnesses):
        yield Rule(RuleKind.SUM, (single, number)), _SUM[len(several) > _LEAST_WITNESSES]


def _alone(number: int, facts: Facts, instances: Sequence[Instance]) -> Iterator[tuple[Rule, float]]:
    fact = facts.fields[number]
    lists = [tokens for _, _, tokens in _slots(number, instances) if tokens]
    if fact.kind is TokenKind.WORD:
        brackets = set(fact.letters) <= set("()[]{}<>") and any(letter in fact.letters for letter in BRACKETS)
        if brackets and all(balanced(token) for tokens in lists for token in tokens):
            yield Rule(RuleKind.BALANCED, (number,)), 0.9
        return
    total = _same_sum(fact.decimals, lists)
    if total is not None:
        yield Rule(RuleKind.SUM_IS, (number,), total), 0.9 if fact.decimals else 0.3 if len(lists) == 2 else 0.7
    values = [found for tokens in lists if (found := numbers_of(tokens)) is not None]
    if fact.kind is not TokenKind.INT or not values or len(values) < len(lists):
        return
    yield from _parents(number, fact.permutation, values)


def _same_sum(decimals: int, lists: Sequence[Sequence[str]]) -> int | None:
    """Return the sum that all lists have, in units of the last decimal, if lists of different lengths do."""
    sums, lengths = set(), set()
    for tokens in lists:
        values = scaled(tokens, decimals)
        if values is None:
            return None
        sums.add(sum(values))
        lengths.add(len(values))
    return sums.pop() if len(sums) == 1 and len(lengths) > 1 else None


def _parents(number: int, permutation: bool, values: Sequence[list[int]]) -> Iterator[tuple[Rule, float]]:
    """Find lists in which the i-th value is less than i plus something: parents in a tree."""
    steps = [index - value for found in values for index, value in enumerate(found)]
    spare = -min(steps)
    low = min(min(found) for found in values)
    longest = max(map(len, values))
    # The list of n - 1 parents of the nodes from 2 on has list[i] <= i + 1; 0 may be the root's own parent.
    likely = not permutation and longest > 2 and low in (0, 1) and spare in (0, 1) and spare >= low
    if likely and max(max(found) for found in values) > low + 1:
        yield Rule(RuleKind.PARENTS, (number,), spare + 1), 0.8


def _matrices(nodes: Sequence[Node], instances: Sequence[Instance], facts: Facts) -> Iterator[tuple[Rule, float]]:
    for node in nodes:
        if not (isinstance(node, Repeat) and len(node.body) == 1 and isinstance(node.body[0], LineNode)):
            continue
        tail = node.body[0].tail
        if tail is None or node.body[0].fields or facts.fields[tail].kind is not TokenKind.INT:
            continue
        found = [_matrix(tail, instance) for instance in instances]
        matrices = [rows for rows in found if len(rows) > 1]
        square = all(len(row) == len(rows) for rows in matrices for row in rows)
        telling = square and any(len(rows) > 2 for rows in matrices)
        if telling and all(rows[i][j] == rows[j][i] for rows in matrices for i in range(len(rows)) for j in range(i)):
            diagonal = {rows[i][i] for rows in found for i in range(len(rows))}
            told = int(diagonal.pop()) if len(diagonal) == 1 else None
            yield Rule(RuleKind.SYMMETRIC, (tail,), told), 0.9


def _matrix(tail: int, instance: Instance) -> list[Sequence[str]]:
    return [tokens for (number, _), tokens in sorted(instance.items()) if number == tail]
