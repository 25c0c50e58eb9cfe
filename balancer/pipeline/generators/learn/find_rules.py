"""Find rules that all known inputs keep, and say how likely each is to be required.

A rule is seen in a few inputs, so it may be chance; what validators say of inputs that break it (`hear`) raises or
lowers the belief. Pure.
"""

from collections.abc import Iterator, Mapping, Sequence

from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.rules import (
    AGGREGATES,
    BRACKETS,
    MOST_TOKENS,
    Rule,
    RuleKind,
    balanced,
    numbers_of,
    scaled,
)
from balancer.pipeline.generators.learn.template import Choice, Instance, LineNode, Node, Repeat, Slot

__all__ = ["find_rules"]

_LEAST_WITNESSES, _BOUND_WITNESSES = 2, 5
# How surely, with two witnesses and with more.
_SURE = {
    RuleKind.SUM: (0.9, 0.97),
    RuleKind.PRODUCT: (0.8, 0.95),
    RuleKind.MAX: (0.4, 0.8),
    RuleKind.MIN: (0.2, 0.7),
    RuleKind.DIFFERENT: (0.3, 0.7),
}
_MODULI = (2, 3, 5, 10, 100, 1000)


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
            found.update(_aggregates(single, number, facts, instances))
    for index, number in enumerate(lists):
        for other in lists[index + 1 :]:
            found.update(_pairs(number, other, facts, instances))
    words = [number for number in singles if facts.fields[number].kind is TokenKind.WORD]
    for number in (*lists, *words):
        found.update(_alone(number, facts, instances))
    found.update(_matrices(nodes, instances, facts))
    for columns in _tables(nodes):
        if not graphs & set(columns):
            found.update(_rows(columns, facts, instances))
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


def _tables(nodes: Sequence[Node]) -> Iterator[tuple[int, ...]]:
    for node in nodes:
        if isinstance(node, Repeat) and isinstance(node.table, LineNode):
            yield node.table.fields
        elif isinstance(node, Repeat) and node.table is None:
            yield from _tables(node.body)


def _slots(number: int, instances: Sequence[Instance]) -> Iterator[tuple[Instance, Slot, Sequence[str]]]:
    for instance in instances:
        for slot, tokens in instance.items():
            if slot[0] == number:
                yield instance, slot, tokens


def _aggregates(single: int, number: int, facts: Facts, instances: Sequence[Instance]) -> Mapping[Rule, float]:
    """Find what of a list a number is: its sum, say. Lists of one are no witnesses."""
    witnesses: list[tuple[int, list[int]]] = []
    for instance, (_, where), tokens in _slots(number, instances):
        told = instance.get((single, where))
        values = numbers_of(tokens)
        total = None if told is None else numbers_of(told)
        if values is None or not total:
            return {}
        if values:
            witnesses.append((total[0], values))
    several = [total for total, values in witnesses if len(values) > 1]
    if len(several) < _LEAST_WITNESSES or len(set(several)) < _LEAST_WITNESSES:
        return {}
    found = {}
    bounding = {count.field for count in facts.fields[number].bounds}
    for kind, (two, more) in _SURE.items():
        chance = kind in (RuleKind.MAX, RuleKind.MIN, RuleKind.DIFFERENT) and facts.fields[number].permutation
        if not chance and all(total == AGGREGATES[kind](values) for total, values in witnesses):
            if kind is RuleKind.DIFFERENT and all(total == len(values) for total, values in witnesses):
                continue  # that is the count
            if kind is RuleKind.MAX and single in bounding and len(several) < _BOUND_WITNESSES:
                continue  # a bound that is reached
            found[Rule(kind, (single, number))] = two if len(several) == _LEAST_WITNESSES else more
    return found


def _pairs(number: int, other: int, facts: Facts, instances: Sequence[Instance]) -> Iterator[tuple[Rule, float]]:
    """Find lists that are permutations of each other, or whose values are those of an earlier one."""
    one, two = facts.fields[number], facts.fields[other]
    if one.kind is not two.kind or one.kind is TokenKind.FLOAT or one.words or two.words:
        return
    pairs = []
    for instance, (_, where), tokens in _slots(other, instances):
        places = [(number, where[:depth]) for depth in range(len(where), -1, -1)]
        before = next((instance[place] for place in places if place in instance), None)
        if before is None or len(before) > MOST_TOKENS or len(tokens) > MOST_TOKENS:
            return
        if tokens:
            pairs.append((before, tokens))
    telling = [pair for pair in pairs if len(pair[0]) > 1]
    if len(telling) >= _LEAST_WITNESSES and all(sorted(before) == sorted(tokens) for before, tokens in pairs):
        if not one.permutation:
            yield Rule(RuleKind.PERMUTED, (number, other)), 0.9
    elif all(set(tokens) <= set(before) for before, tokens in pairs) and telling:
        words = one.kind is TokenKind.WORD and one.high > 1 and not one.closed
        # Numbers from 1 to n are among any numbers from 1 to n: that says little.
        sparse = one.kind is TokenKind.INT and not one.permutation and one.high > 3 * max(len(p[0]) for p in pairs)
        tested = sum(len(tokens) for _, tokens in pairs)
        if (words and one.distinct and tested > 1) or (sparse and tested > 3):
            yield Rule(RuleKind.MEMBER, (number, other)), 0.9


def _alone(number: int, facts: Facts, instances: Sequence[Instance]) -> Iterator[tuple[Rule, float]]:
    fact = facts.fields[number]
    lists = [tokens for _, _, tokens in _slots(number, instances) if tokens]
    if fact.kind is TokenKind.WORD:
        brackets = set(fact.letters) <= set("()[]{}<>") and any(letter in fact.letters for letter in BRACKETS)
        if brackets and all(balanced(token) for tokens in lists for token in tokens):
            yield Rule(RuleKind.BALANCED, (number,)), 0.9
        rows = [tokens for tokens in lists if len(tokens) > 1]
        alike = all(len({len(token) for token in tokens}) == 1 for tokens in rows)
        if rows and alike and fact.length is None and fact.high > 1 and fact.closed:
            yield Rule(RuleKind.SAME_LENGTH, (number,)), 0.8 if sum(map(len, rows)) > 3 else 0.4
        if fact.seen and not fact.words and not fact.closed:
            yield Rule(RuleKind.KNOWN_WORDS, (number,)), 0.05
        return
    total = _same_sum(fact.decimals, lists)
    if total is not None:
        yield Rule(RuleKind.SUM_IS, (number,), total), 0.9 if fact.decimals else 0.3 if len(lists) == 2 else 0.7
    values = [found for tokens in lists if (found := numbers_of(tokens)) is not None]
    if fact.kind is not TokenKind.INT or not values or len(values) < len(lists):
        return
    yield from _parents(number, fact.permutation, values)
    long = [found for found in values if len(found) > 2]
    for kind, at in ((RuleKind.STARTS, 0), (RuleKind.ENDS, -1)):
        ends = {found[at] for found in values}
        inside = {value for found in long for value in found}
        if len(long) >= _LEAST_WITNESSES and len(ends) == 1 and len(inside) > 1:
            yield Rule(kind, (number,), ends.pop()), 0.35 if len(long) == _LEAST_WITNESSES else 0.7
    different = {value for found in values for value in found}
    for modulus in reversed(_MODULI):
        if len(different) >= (4 if modulus > 3 else 6) and all(value % modulus == 0 for value in different):
            yield Rule(RuleKind.MULTIPLE, (number,), modulus), 0.6
            break


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


def _rows(columns: tuple[int, ...], facts: Facts, instances: Sequence[Instance]) -> Iterator[tuple[Rule, float]]:
    """Find tables in which no two lines are alike, though single columns have values twice."""
    if not 2 <= len(columns) <= 3 or any(facts.fields[number].kind is not TokenKind.INT for number in columns):
        return
    tables = []
    for instance, (_, where), tokens in _slots(columns[0], instances):
        rest = [instance[number, where] for number in columns[1:]]
        tables.append(list(zip(tokens, *rest, strict=True)))
    if any(len(rows) > 2 for rows in tables) and all(len(set(rows)) == len(rows) for rows in tables):
        yield Rule(RuleKind.ROWS_DIFFER, columns), 0.6
