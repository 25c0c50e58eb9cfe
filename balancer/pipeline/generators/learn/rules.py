"""Rules between the values of an input: a sum, an order, balanced brackets, a connected graph. Pure.

Decides which kinds of rules there are. Rules that all known inputs keep are found here, each with its probability of
being required. They may be chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.template import Choice, Instance, LineNode, Node, Repeat, Slot

__all__ = ["Rule", "RuleKind", "find_rules", "list_fields", "scaled"]

_MOST_TOKENS = 20_000  # longer lists are not read
BRACKETS = {")": "(", "]": "[", "}": "{", ">": "<"}
_LEAST_WITNESSES = 2
_SUM = 0.9, 0.97  # belief with two witnesses, and with more


class RuleKind(Enum):
    """Kind of a rule; `single` is a field alone, `list` is a list or a column."""

    SUM = "the sum"  # single is the sum of list
    PARENTS = "a number less than its place"  # list[i] < i + value, for i from 0 on
    BALANCED = "balanced brackets"
    SYMMETRIC = "a symmetric matrix"  # the rows are lists; `value` is the value on its diagonal, if there is one
    SUM_IS = "always the same sum"  # of list: `value`, in units of the last decimal
    ORDER = "sorted"
    DISTINCT = "no value twice"
    TIE = "how two fields are related"
    BOUND = "bounded by an earlier field"
    CONNECTED = "a graph in one piece"
    SIMPLE = "a graph without loops, and no edge twice"
    ACYCLIC = "a graph without cycles, from left to right"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about fields: (single, list), (list,) or two columns; see RuleKind."""

    kind: RuleKind
    fields: tuple[int, ...]
    value: int | None = None


def numbers_of(tokens: Sequence[str]) -> list[int] | None:
    """Return whole numbers; None if a token is none, or there are too many."""
    if len(tokens) > _MOST_TOKENS:
        return None
    try:
        return [int(token) for token in tokens]
    except ValueError:
        return None


def scaled(tokens: Sequence[str], decimals: int) -> list[int] | None:
    """Return numbers in units of the last decimal; None if a token has another form, or there are too many."""
    if any(len(token.partition(".")[2]) != decimals for token in tokens):
        return None
    return numbers_of([token.replace(".", "") for token in tokens])


def balanced(text: str) -> bool:
    """Return whether every bracket has its partner; other letters are ignored."""
    open_ones: list[str] = []
    for letter in text:
        if letter in BRACKETS.values():
            open_ones.append(letter)
        elif letter in BRACKETS and (not open_ones or open_ones.pop() != BRACKETS[letter]):
            return False
    return not open_ones


def find_rules(
    nodes: Sequence[Node], instances: Sequence[Instance], facts: Facts, graphs: frozenset[int]
) -> dict[Rule, float]:
    """Return the rules that the known inputs suggest, each with the probability that it is required.

    `graphs` are the columns of edges, which have their own rules.
    """
    found: dict[Rule, float] = {}
    singles, lists = _single_fields(nodes), [number for number in list_fields(nodes) if number not in graphs]
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


def list_fields(nodes: Sequence[Node]) -> list[int]:
    """Return the fields with several tokens in one place: lists and columns."""
    found: list[int] = []
    for node in nodes:
        if isinstance(node, LineNode) and node.tail is not None:
            found.append(node.tail)
        elif isinstance(node, Repeat) and isinstance(node.table, LineNode):
            found += node.table.fields
        elif isinstance(node, Repeat) and not isinstance(node.table, Choice):
            found += list_fields(node.body)
    return found


def _slots(number: int, instances: Sequence[Instance]) -> Iterator[tuple[Instance, Slot, Sequence[str]]]:
    for instance in instances:
        for slot, tokens in instance.items():
            if slot[0] == number:
                yield instance, slot, tokens


def _sums(single: int, number: int, instances: Sequence[Instance]) -> Iterator[tuple[Rule, float]]:
    """Find a number that is the sum of a list. Lists of one value do not count."""
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
    values = [found for tokens in lists if (found := scaled(tokens, fact.decimals)) is not None]
    if not values or len(values) < len(lists):
        return
    if len({sum(found) for found in values}) == 1 and len({len(found) for found in values}) > 1:
        yield (
            Rule(RuleKind.SUM_IS, (number,), sum(values[0])),
            0.9 if fact.decimals else 0.3 if len(values) == 2 else 0.7,
        )
    if fact.kind is TokenKind.INT:
        yield from _find_parents(number, fact.permutation, values)


def _find_parents(number: int, permutation: bool, values: Sequence[list[int]]) -> Iterator[tuple[Rule, float]]:
    """Find lists whose i-th value is less than i plus a constant: parents in a tree."""
    steps = [index - value for found in values for index, value in enumerate(found)]
    spare = -min(steps)
    low = min(min(found) for found in values)
    longest = max(map(len, values))
    # The list of n - 1 parents of nodes 2, 3, ... has list[i] <= i + 1; 0 may be the root's own parent.
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
