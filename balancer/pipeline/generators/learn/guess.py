"""Guess what may come next in inputs that have been read up to some line.

Pure. It must not know how guesses are rated, nor that several are put together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from balancer.pipeline.generators.learn.template import (
    Choice,
    Count,
    LineNode,
    Node,
    Repeat,
    TemplateReading,
    read_nodes,
    whole_number,
)

__all__ = ["Front", "next_nodes", "possible_counts"]

_MOST_FIELDS = 8  # a longer line is a list
_MOST_KEYWORDS = 8
_OFFSETS = (0, -1, 1)  # n - 1 edges of a tree, n + 1 posts of a fence
_LEADS = (0, 1, 2)  # fields before a list on its line: none, "n", "name n"


@dataclass(frozen=True, slots=True)
class Front:
    """How far one input has been read."""

    lines: Sequence[list[str]]
    at: int
    reading: TemplateReading

    @property
    def ended(self) -> bool:
        """True if no line is left."""
        return self.at >= len(self.lines)

    def step(self, node: Node) -> "Front":
        """Read one more node; raises Mismatch."""
        reading = TemplateReading(values=dict(self.reading.values))
        return Front(self.lines, read_nodes((node,), self.lines, self.at, reading), reading)


def next_nodes(fronts: Sequence[Front], first: int) -> Iterator[Node]:
    """Yield nodes, with fields numbered from `first`, that may come next in every input.

    Not every one fits: each is still to be read. Where an input is at its end, only nothing may come.
    """
    for count, rows in _counted_rows(fronts):
        yield from (Repeat(count, (table,)) for table in _tables(rows, first))
    if not any(front.ended for front in fronts):
        yield from _lines(fronts, [front.lines[front.at] for front in fronts], first)
    yield from _counted_list_rows(fronts, first)
    rest = [row for front in fronts for row in front.lines[front.at :]]
    if len(rest) > len(fronts):
        yield from (Repeat(None, (table,)) for table in _tables(rest, first))


def possible_counts(fronts: Sequence[Front]) -> Iterator[tuple[Count, list[int]]]:
    """Yield what may tell the number of the next blocks of lines, and what it comes to in each input."""
    for count in _counts([front.reading.values for front in fronts]):
        passes = [count.of(front.reading.values) for front in fronts]
        pairs = zip(passes, fronts, strict=True)
        enough = all(0 <= number <= len(front.lines) - front.at for number, front in pairs)
        if enough and max(passes) > abs(count.plus):  # "t - 1 = 1 line" is chance
            yield count, passes


def _counts(values: Sequence[dict[int, int]], first_length: int | None = None) -> Iterator[Count]:
    """Yield what may tell a number: each field that is a whole number in every input.

    `first_length`, if known, is what it must come to in the first input.
    """
    for plus in _OFFSETS:
        for number, value in values[0].items():
            if first_length in (None, value + plus) and all(number in known for known in values):
                yield Count(number, plus)


def _counted_rows(fronts: Sequence[Front]) -> Iterator[tuple[Count, list[list[str]]]]:
    for count, passes in possible_counts(fronts):
        rows: list[list[str]] = []
        for number, front in zip(passes, fronts, strict=True):
            rows += front.lines[front.at : front.at + number]
        yield count, rows


def _tables(rows: list[list[str]], first: int) -> Iterator[LineNode | Choice]:
    choice = _choice(rows, first)
    if choice is not None:
        yield choice
    width = len(rows[0])
    if 1 <= width <= _MOST_FIELDS and all(len(row) == width for row in rows):
        yield LineNode(tuple(range(first, first + width)))


def _choice(rows: list[list[str]], first: int) -> Choice | None:
    """Return a choice by keyword, if the rows look like commands: few first words, each with its own arguments."""
    widths: dict[str, int] = {}
    for row in rows:
        if not row or widths.setdefault(row[0], len(row)) != len(row):
            return None
    same_width = len(set(widths.values())) == 1
    if not 2 <= len(widths) <= _MOST_KEYWORDS or len(rows) < 2 * len(widths):
        return None
    if same_width and (max(widths.values()) == 1 or any(whole_number(word) is not None for word in widths)):
        return None
    lines = []
    number = first + 1
    for word in sorted(widths):
        lines.append((word, tuple(range(number, number + widths[word] - 1))))
        number += widths[word] - 1
    return Choice(first, tuple(lines))


def _lines(fronts: Sequence[Front], lines: list[list[str]], first: int) -> Iterator[LineNode]:
    lengths = {len(line) for line in lines}
    yield from _counted_lists(fronts, lines, first)
    if len(lengths) == 1:
        only = lengths.pop()
        if only <= _MOST_FIELDS:
            yield LineNode(tuple(range(first, first + only)))
        else:
            yield LineNode((), first, Count(None, only))
    else:
        yield LineNode((), first)


def _counted_lists(fronts: Sequence[Front], lines: list[list[str]], first: int) -> Iterator[LineNode]:
    """Yield a line with a list whose length is told by an earlier field, or by one before it on the line."""
    for lead in _LEADS:
        if lead > min(len(line) for line in lines):
            return
        values = [_with_lead(front, line[:lead], first) for front, line in zip(fronts, lines, strict=True)]
        for count in _counts(values, len(lines[0]) - lead):
            if all(count.of(known) == len(line) - lead for known, line in zip(values, lines, strict=True)):
                yield LineNode(tuple(range(first, first + lead)), first + lead, count)


def _with_lead(front: Front, lead: list[str], first: int) -> dict[int, int]:
    values = dict(front.reading.values)
    for index, token in enumerate(lead):
        value = whole_number(token)
        if value is not None:
            values[first + index] = value
    return values


def _counted_list_rows(fronts: Sequence[Front], first: int) -> Iterator[Repeat]:
    """Yield counted rows that are lists: a matrix, or rows that tell their own length."""
    for count, passes in possible_counts(fronts):
        inside = [front for number, front in zip(passes, fronts, strict=True) if number]
        lines = [front.lines[front.at] for front in inside]
        yield from (Repeat(count, (line,)) for line in _counted_lists(inside, lines, first))
    for count, rows in _counted_rows(fronts):
        if len({len(row) for row in rows}) > 1:
            yield Repeat(count, (LineNode((), first),))
