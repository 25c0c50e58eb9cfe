"""Template of a problem's inputs: their common shape, line by line, and its reader. Pure.

A template is a sequence of nodes. A node is a `LineNode` of fields, a `Choice` between lines by their first word, or a
`Repeat` of nodes. A `Count` names the earlier number that tells how many there are. It keeps "n" right when a list
grows.

An input read with a template is an `Instance`: the tokens of every field at every place, in order. A field of a single
line has one token there. A list, or a column of repeated lines, has many.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

__all__ = [
    "Choice",
    "Count",
    "Instance",
    "LineNode",
    "Mismatch",
    "Node",
    "Repeat",
    "Slot",
    "TemplateReading",
    "before",
    "fields_of",
    "read",
    "tokenize",
    "whole_number",
]

# A field's number, and the pass of each repeated block around it: (3, (0, 2)).
Slot = tuple[int, tuple[int, ...]]
Instance = Mapping[Slot, Sequence[str]]


class Mismatch(Exception):
    """The input does not fit the template."""


@dataclass(frozen=True, slots=True)
class Count:
    """A number: the value of an earlier field plus a constant; or only the constant."""

    field: int | None
    plus: int = 0

    def of(self, values: Mapping[int, int]) -> int:
        """Return the number, given the values of earlier fields."""
        return self.plus + (0 if self.field is None else values[self.field])


@dataclass(frozen=True, slots=True)
class LineNode:
    """A line with a token for each field, and then, if `tail` is a field, a list.

    Args:
        count: length of the list; None if no field tells it.
    """

    fields: tuple[int, ...]
    tail: int | None = None
    count: Count | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A line whose first word, of the field `key`, decides which fields follow."""

    key: int
    lines: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """Repeated nodes; `count` is None if they repeat up to the end of the input."""

    count: Count | None
    body: "tuple[Node, ...]"

    @property
    def table(self) -> "LineNode | Choice | None":
        """The repeated line, if there is only one and it has no list: then its fields are columns."""
        only = self.body[0] if len(self.body) == 1 else None
        if isinstance(only, Choice) or (isinstance(only, LineNode) and only.tail is None):
            return only
        return None


Node = LineNode | Choice | Repeat


@dataclass(slots=True)
class TemplateReading:
    """State of reading an input.

    Attributes:
        slots: the instance.
        values: the latest value of each single field that is a whole number.
        lengths: values of every count, by its node.
    """

    slots: dict[Slot, list[str]] = field(default_factory=dict)
    values: dict[int, int] = field(default_factory=dict)
    lengths: list[tuple[LineNode | Repeat, int]] = field(default_factory=list)


def tokenize(data: bytes) -> list[list[str]] | None:
    """Split text into lines of tokens; None if it is not text. Spaces at line ends are lost."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if not all(character.isprintable() or character in "\t\r\n" for character in text):
        return None
    return [line.split() for line in text.removesuffix("\n").split("\n")]


def read(nodes: Sequence[Node], lines: Sequence[list[str]]) -> TemplateReading:
    """Read a whole input.

    Raises:
        Mismatch: it does not fit.
    """
    reading = TemplateReading()
    if read_nodes(nodes, lines, 0, reading) != len(lines):
        raise Mismatch
    return reading


def read_nodes(
    nodes: Sequence[Node], lines: Sequence[list[str]], at: int, reading: TemplateReading, where: tuple[int, ...] = ()
) -> int:
    """Read `nodes` from line `at` on into `reading`. Return the next line's number."""
    for node in nodes:
        if isinstance(node, Repeat):
            at = _read_repeat(node, lines, at, reading, where)
        elif at >= len(lines):
            raise Mismatch
        elif isinstance(node, LineNode):
            _read_line(node, lines[at], reading, where)
            at += 1
        else:
            _read_choice(node, lines[at : at + 1], reading, where)
            at += 1
    return at


def _read_line(node: LineNode, tokens: list[str], reading: TemplateReading, where: tuple[int, ...]) -> None:
    lead = len(node.fields)
    if len(tokens) < lead or (node.tail is None and len(tokens) > lead):
        raise Mismatch
    for number, token in zip(node.fields, tokens, strict=False):
        reading.slots[number, where] = [token]
        reading.values.pop(number, None)
        value = whole_number(token)
        if value is not None:
            reading.values[number] = value
    if node.tail is not None:
        if node.count is not None and _count(node.count, reading) != len(tokens) - lead:
            raise Mismatch
        reading.lengths.append((node, len(tokens) - lead))
        reading.slots[node.tail, where] = tokens[lead:]


def _read_repeat(
    node: Repeat, lines: Sequence[list[str]], at: int, reading: TemplateReading, where: tuple[int, ...]
) -> int:
    count = len(lines) - at if node.count is None else _count(node.count, reading)
    if node.table is not None:
        rows = lines[at : at + count]
        if len(rows) < count:
            raise Mismatch
        _read_table(node.table, rows, reading, where)
        reading.lengths.append((node, count))
        return at + count
    if count > len(lines):
        raise Mismatch
    passes = 0
    while passes < count and (node.count is not None or at < len(lines)):
        after = read_nodes(node.body, lines, at, reading, (*where, passes))
        if node.count is None and after == at:  # a body without lines would never end
            raise Mismatch
        at = after
        passes += 1
    reading.lengths.append((node, passes))
    return at


def _read_table(
    table: LineNode | Choice, rows: Sequence[list[str]], reading: TemplateReading, where: tuple[int, ...]
) -> None:
    if isinstance(table, Choice):
        _read_choice(table, rows, reading, where)
        return
    if any(len(row) != len(table.fields) for row in rows):
        raise Mismatch
    for index, number in enumerate(table.fields):
        reading.slots[number, where] = [row[index] for row in rows]


def _read_choice(node: Choice, rows: Sequence[list[str]], reading: TemplateReading, where: tuple[int, ...]) -> None:
    known = dict(node.lines)
    for number in (node.key, *(number for fields in known.values() for number in fields)):
        reading.slots[number, where] = []
    for row in rows:
        if not row or row[0] not in known or len(row) != len(known[row[0]]) + 1:
            raise Mismatch
        for number, token in zip((node.key, *known[row[0]]), row, strict=True):
            reading.slots[number, where].append(token)


def _count(count: Count, reading: TemplateReading) -> int:
    try:
        found = count.of(reading.values)
    except KeyError as error:
        raise Mismatch from error
    if found < 0:
        raise Mismatch
    return found


def whole_number(token: str) -> int | None:
    """Return the value of a token that is a whole number of up to 18 ASCII digits; else None."""
    digits = token.removeprefix("-")
    return int(token) if len(digits) <= 18 and digits.isascii() and digits.isdigit() else None


def before(number: int, where: tuple[int, ...], instance: Instance) -> Sequence[str]:
    """Return the tokens of an earlier field, from the nearest block around `where` that has it.

    Raises StopIteration.
    """
    places = [(number, where[:depth]) for depth in range(len(where), -1, -1)]
    return next(instance[place] for place in places if place in instance)


def fields_of(nodes: Sequence[Node]) -> Iterator[int]:
    """Yield every field's number, in the order of the text."""
    for node in nodes:
        if isinstance(node, Repeat):
            yield from fields_of(node.body)
        elif isinstance(node, Choice):
            yield node.key
            for _, fields in node.lines:
                yield from fields
        else:
            yield from node.fields
            if node.tail is not None:
                yield node.tail
