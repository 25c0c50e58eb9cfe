"""The fields that count something: what one more of it adds to an input, and what people call it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.learn.facts import Facts
from balancer.pipeline.generators.learn.template import Choice, Node, Repeat, fields_of

__all__ = ["CountedFields", "blocks_of", "loads_of", "names_of", "word_loads_of"]


@dataclass(frozen=True, slots=True)
class CountedFields:
    """What one more of a counted thing adds: tokens of `fields`, as often as all of `around` tell.

    Args:
        least: the least number that can be told: 1 if there are n - 1 of the thing, or if it counts letters.
        letters_only: it adds a letter to each word, not a token.
    """

    fields: tuple[int, ...]
    around: tuple[int, ...]
    least: int = 0
    letters_only: bool = False


def loads_of(nodes: Sequence[Node], around: tuple[int, ...]) -> Iterator[tuple[int, CountedFields]]:
    """Yield the fields that count something, each with what one more of it adds."""
    for node in nodes:
        if isinstance(node, Choice):
            continue
        inside = around
        if node.count is not None and node.count.field is not None:
            fields = tuple(fields_of(node.body)) if isinstance(node, Repeat) else (node.tail or 0,)
            yield node.count.field, CountedFields(fields, around, least=max(-node.count.plus, 0))
            inside = (*around, node.count.field)
        if isinstance(node, Repeat):
            yield from loads_of(node.body, inside)


def word_loads_of(nodes: Sequence[Node], facts: Facts, around: tuple[int, ...]) -> Iterator[tuple[int, CountedFields]]:
    """Yield the fields that tell how long words are."""
    for node in nodes:
        if isinstance(node, Repeat):
            counted = () if node.count is None or node.count.field is None else (node.count.field,)
            yield from word_loads_of(node.body, facts, (*around, *counted))
            continue
        for number in fields_of((node,)):
            length = facts.fields[number].length
            if length is not None and length.field is not None:
                yield length.field, CountedFields((number,), around, least=1, letters_only=True)


def blocks_of(nodes: Sequence[Node]) -> Iterator[int]:
    """Yield the fields that tell how often several lines are repeated: test cases."""
    for node in nodes:
        if isinstance(node, Repeat):
            if len(node.body) > 1 and node.count is not None and node.count.field is not None:
                yield node.count.field
            yield from blocks_of(node.body)


def names_of(nodes: Sequence[Node], counting: frozenset[int]) -> dict[int, str]:
    """Name fields as problem setters do: n and m count, a, b, c are values."""
    counts, values = iter("nmkqpr"), iter("abcdefghijuvwxyz")
    names = {}
    for number in fields_of(nodes):
        letter = next(counts if number in counting else values, None)
        names[number] = letter or f"field {number + 1}"
    return names
