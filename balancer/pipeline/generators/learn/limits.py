"""Limits of sums and products: the sum of n over all cases is at most 2 * 10**5, say.

Decides which fields such a limit is of, where the statement or the validator names it, and where it is a habit of
those who set problems. Pure.
"""

from collections.abc import Iterable, Iterator, Sequence

from balancer.pipeline.generators.learn.bounds import Ranges
from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.hints import Bounds, Hints
from balancer.pipeline.generators.learn.holds import holds
from balancer.pipeline.generators.learn.rules import Rule, RuleKind
from balancer.pipeline.generators.learn.statement import Statement
from balancer.pipeline.generators.learn.template import Instance, LineNode, Node, Repeat, fields_of

__all__ = ["find_limits", "told_bounds"]

_SAID, _READ, _HABIT = 0.95, 0.7, 0.5


def told_bounds(told: Statement) -> tuple[Bounds, ...]:
    """Return what a statement says of each name, as bounds."""
    return tuple(
        Bounds(
            each.low,
            each.high,
            0.9,
            each.name,
            each.high_by,
            of_words=each.name.startswith("|"),
            open_low=each.open_low,
            open_high=each.open_high,
        )
        for each in told.bounds
    )


def find_limits(
    nodes: Sequence[Node], instances: Sequence[Instance], facts: Facts, hints: Hints, told: Statement, ranges: Ranges
) -> dict[Rule, float]:
    """Return limits of sums and products, and how surely each is one; none that a known input breaks."""
    found: dict[Rule, float] = {}
    many = list(_many(nodes, inside=False))
    counts = list(_block_counts(nodes))
    for name, limit in told.sums:
        number = ranges.named.get(name)
        if number in many:
            found[Rule(RuleKind.SUM_LIMIT, (number,), limit)] = _SAID
    for names, limit in told.products:
        fields = tuple(sorted(ranges.named[name] for name in names if name in ranges.named))
        if len(fields) == len(names):
            found[Rule(RuleKind.PRODUCT_LIMIT, fields, limit)] = _SAID
    if not found:
        found |= dict.fromkeys(_read(many, counts, facts, hints, ranges), _READ)
        found |= dict.fromkeys(_sides(nodes, hints), _READ)
    numbers = [number for number in many if facts.fields[number].kind is TokenKind.INT]
    for limit in hints.multiples:
        found |= {Rule(RuleKind.PRODUCT_MOST, (number,), limit): _READ for number in numbers}
    if not found and not hints.known and not told.bounds:
        found |= {Rule(RuleKind.SUM_LIMIT, (number,), max(ranges.of[number].highs)): _HABIT for number in counts}
    return {rule: share for rule, share in found.items() if all(holds(rule, each) for each in instances)}


def _read(many: Sequence[int], counts: Sequence[int], facts: Facts, hints: Hints, ranges: Ranges) -> Iterator[Rule]:
    """Yield a limit for each sum in the validator: of what counts in a block if there is such, else of any numbers."""
    for limit in hints.totals:
        numbers = [number for number in many if facts.fields[number].kind is TokenKind.INT]
        fitting = counts or [number for number in numbers if ranges.of[number].low >= 0]
        words = [number for number in many if facts.fields[number].kind is TokenKind.WORD]
        for number in fitting or words:
            yield Rule(RuleKind.SUM_LIMIT, (number,), limit)


def _sides(nodes: Sequence[Node], hints: Hints) -> Iterator[Rule]:
    first = next((node for node in nodes if isinstance(node, LineNode)), None)
    if first is not None and len(first.fields) >= 2:
        for limit in hints.products:
            yield Rule(RuleKind.PRODUCT_LIMIT, first.fields[:2], limit)


def _many(nodes: Iterable[Node], *, inside: bool) -> Iterator[int]:
    """Yield the fields that have more than one value in an input."""
    for node in nodes:
        if isinstance(node, Repeat):
            yield from _many(node.body, inside=True)
        elif isinstance(node, LineNode) and node.tail is not None:
            yield node.tail
            yield from node.fields if inside else ()
        elif inside:
            yield from fields_of((node,))


def _block_counts(nodes: Sequence[Node]) -> Iterator[int]:
    """Yield the fields in a block that count what comes later in it."""
    for node in nodes:
        if isinstance(node, Repeat) and node.table is None:
            own = set(fields_of(node.body))
            yield from (number for number in _counting(node.body) if number in own)


def _counting(nodes: Sequence[Node]) -> Iterator[int]:
    for node in nodes:
        if isinstance(node, LineNode | Repeat) and node.count is not None and node.count.field is not None:
            yield node.count.field
        if isinstance(node, Repeat):
            yield from _counting(node.body)
