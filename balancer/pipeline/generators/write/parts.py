"""Parts of an input: what it has several of, such as lines, values of a list, test cases or letters, and their counts.

Decides what an input can have more of, or less. Pure.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.learn.facts import Facts, TokenKind
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import Choice, Count, Instance, LineNode, Node, Repeat, Slot, fields_of

__all__ = ["Part", "PartPlace", "counted_together", "parts_of", "places_of"]


@dataclass(frozen=True, slots=True)
class Part:
    """Something that an input has several of.

    Args:
        fields: its fields.
        depth: number of blocks around it.
        count: what counts it; None if nothing does.
        letters: whether it is the letters of words.
    """

    fields: tuple[int, ...]
    depth: int
    count: Count | None
    letters: bool = False


@dataclass(frozen=True, slots=True)
class PartPlace:
    """One place of a part in an input: the passes of the blocks around it, and its slots."""

    part: Part
    where: tuple[int, ...]
    slots: tuple[Slot, ...]

    def length(self, instance: Instance) -> int:
        """Return the number of things at this place."""
        if self.part.letters:
            return max((len(token) for slot in self.slots for token in instance[slot]), default=0)
        depth = self.part.depth
        flat = [len(instance[slot]) for slot in self.slots if len(slot[1]) == depth]
        return max([*flat, *(slot[1][depth] + 1 for slot in self.slots if len(slot[1]) > depth)], default=0)

    def passes(self) -> dict[int, list[Slot]]:
        """Return the slots of each pass, for a block that repeats."""
        found: dict[int, list[Slot]] = {}
        for slot in self.slots:
            if len(slot[1]) > self.part.depth:
                found.setdefault(slot[1][self.part.depth], []).append(slot)
        return found


def parts_of(found: Knowledge) -> list[Part]:
    """Return every part, in the order of the text."""
    return list(_parts(found.nodes, found.facts, 0))


def counted_together(parts: Sequence[Part]) -> list[list[Part]]:
    """Return the parts, grouped by the number that counts them. A part without a count is a group of its own."""
    counted: dict[int, list[Part]] = {}
    alone: list[list[Part]] = []
    for part in parts:
        if part.count is None or part.count.field is None:
            alone.append([part])
        else:
            counted.setdefault(part.count.field, []).append(part)
    return [*counted.values(), *alone]


def places_of(part: Part, instance: Instance) -> list[PartPlace]:
    """Return each place of a part in an input."""
    found: dict[tuple[int, ...], list[Slot]] = {}
    for slot in instance:
        if slot[0] in part.fields:
            found.setdefault(slot[1][: part.depth], []).append(slot)
    return [PartPlace(part, where, tuple(slots)) for where, slots in sorted(found.items())]


def _parts(nodes: Sequence[Node], facts: Facts, depth: int) -> Iterator[Part]:
    for node in nodes:
        if isinstance(node, Repeat) and (node.count is None or node.count.field is not None):
            if not isinstance(node.table, Choice):
                yield Part(tuple(fields_of(node.body)), depth, node.count)
        elif (
            isinstance(node, LineNode)
            and node.tail is not None
            and (node.count is None or node.count.field is not None)
        ):
            yield Part((node.tail,), depth, node.count)
        if isinstance(node, Repeat) and node.table is None:
            yield from _parts(node.body, facts, depth + 1)
        else:
            yield from (
                Part((number,), depth, facts.fields[number].length, letters=True)
                for number in fields_of((node,))
                if facts.fields[number].kind is TokenKind.WORD and not facts.fields[number].words
            )
