"""Input writer: writes an input by a template, with given tokens and made-up ones elsewhere.

Counts come before what they count, so an input written from top to bottom is consistent: a list is cut or filled up to
its count.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from balancer.pipeline.generators.draw.fill import Fill, TooLarge
from balancer.pipeline.generators.draw.styles import AS_SEEN, Style
from balancer.pipeline.generators.learn.knowledge import Knowledge
from balancer.pipeline.generators.learn.template import (
    Choice,
    Count,
    LineNode,
    Node,
    Repeat,
    Slot,
    fields_of,
    whole_number,
)

__all__ = ["build", "build_changed", "build_given", "build_styled"]

_MOST_BLOCKS = 100_000
_IN_VAIN = 60  # impossible inputs in a row
_NAMED_SIZES = 6  # sizes named in an input's description
_MOST_BYTES = 12_000_000  # enough for an input whose parts all take their whole room

Given = Mapping[Slot, Sequence[str]]


def build(knowledge: Knowledge, given: Given, fill: "Fill | _AsGiven") -> bytes:
    """Return an input of the known format. Raises TooLarge."""
    writer = _Writer(given, fill)
    writer.nodes(knowledge.nodes, ())
    return ("\n".join(writer.lines) + "\n").encode()


def build_given(knowledge: Knowledge, given: Given) -> bytes | None:
    """Return an input with nothing made up; None if the given tokens do not fit their counts."""
    try:
        return build(knowledge, given, _AsGiven())
    except TooLarge:
        return None


def build_styled(knowledge: Knowledge, styles: Iterable[Style], rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield an input in each style, named by the style and its sizes. Impossible ones are skipped; see `_possible`."""
    for detail, data, fill in _possible(knowledge, ((style.name, {}, style) for style in styles), rng):
        sizes = islice(sorted(fill.sizes.items()), _NAMED_SIZES)
        yield detail + "".join(f" {knowledge.names[number]}={value}" for number, value in sizes), data


def build_changed(
    knowledge: Knowledge, changes: Iterable[tuple[str, Given]], rng: random.Random
) -> Iterator[tuple[str, bytes]]:
    """Yield an input for each change. Values needed in addition are drawn as in the known inputs. See `_possible`."""
    attempts = ((detail, given, AS_SEEN) for detail, given in changes)
    return ((detail, data) for detail, data, _ in _possible(knowledge, attempts, rng))


def _possible(
    knowledge: Knowledge, attempts: Iterable[tuple[str, Given, Style]], rng: random.Random
) -> Iterator[tuple[str, bytes, Fill]]:
    """Yield what can be made. End after some impossible attempts in a row, as they may be without end."""
    in_vain = 0
    for detail, given, style in attempts:
        fill = Fill(knowledge, style, rng)
        try:
            data = build(knowledge, given, fill)
        except TooLarge:
            in_vain += 1
            if in_vain == _IN_VAIN:
                return
        else:
            in_vain = 0
            yield detail, data, fill


class _AsGiven:
    """Takes given tokens unchanged. Raises TooLarge if they do not fit the counts."""

    def length(self, number: int, values: object) -> int:
        return 0

    def columns(
        self, fields: Sequence[int], given: Sequence[Sequence[str] | None], count: int, values: object
    ) -> list[list[str]]:
        if any(tokens is None or len(tokens) != count for tokens in given):
            raise TooLarge
        return [list(tokens or ()) for tokens in given]

    def patches(self) -> tuple[tuple[int, int], ...]:
        return ()


class _Writer:
    def __init__(self, given: Given, fill: "Fill | _AsGiven") -> None:
        self.lines: list[str] = []
        self._given = given
        self._fill = fill
        self._values: dict[int, int] = {}
        self._room = _MOST_BYTES
        self._places: dict[int, tuple[int, int]] = {}

    def nodes(self, nodes: Sequence[Node], where: tuple[int, ...]) -> None:
        """Write `nodes`; `where` has the pass of each block around them."""
        for node in nodes:
            if isinstance(node, LineNode):
                self._line(node, where)
            elif isinstance(node, Choice):
                self._choice(node, 1, where)
            else:
                self._repeat(node, where)

    def _line(self, node: LineNode, where: tuple[int, ...]) -> None:
        tokens = [column[0] for column in self._columns(node.fields, 1, where)]
        for index, (number, token) in enumerate(zip(node.fields, tokens, strict=True)):
            self._places[number] = len(self.lines), index
            value = whole_number(token)
            if value is not None:
                self._values[number] = value
        if node.tail is not None:
            tokens += self._columns((node.tail,), self._count(node.count, node.tail, where), where)[0]
        self._write(" ".join(tokens))
        self._patch()

    def _patch(self) -> None:
        """Correct written numbers that later ones decide."""
        for number, value in self._fill.patches():
            line, index = self._places[number]
            tokens = self.lines[line].split(" ")
            tokens[index] = str(value)
            self.lines[line] = " ".join(tokens)
            self._values[number] = value

    def _repeat(self, node: Repeat, where: tuple[int, ...]) -> None:
        first = _first_field(node)
        count = self._count(node.count, first, where)
        if isinstance(node.table, LineNode):
            columns = self._columns(node.table.fields, count, where)
            self._patch()
            for row in zip(*columns, strict=True):
                self._write(" ".join(row))
        elif isinstance(node.table, Choice):
            self._choice(node.table, count, where)
        elif count > _MOST_BLOCKS:
            raise TooLarge
        else:
            for index in range(count):
                self.nodes(node.body, (*where, index))

    def _choice(self, node: Choice, count: int, where: tuple[int, ...]) -> None:
        words = self._columns((node.key,), count, where)[0]
        rows = {
            word: iter(list(zip(*self._columns(fields, words.count(word), where), strict=True)))
            for word, fields in node.lines
        }
        for word in words:
            self._write(" ".join((word, *next(rows[word], ()))))

    def _columns(self, fields: Sequence[int], count: int, where: tuple[int, ...]) -> list[list[str]]:
        given = [self._given.get((number, where)) for number in fields]
        return self._fill.columns(fields, given, count, self._values)

    def _count(self, count: Count | None, number: int, where: tuple[int, ...]) -> int:
        if count is not None:
            return max(count.of(self._values), 0)
        given = self._given.get((number, where))
        return self._fill.length(number, self._values) if given is None else len(given)

    def _write(self, line: str) -> None:
        self._room -= len(line) + 1
        if self._room < 0:
            raise TooLarge
        self.lines.append(line)


def _first_field(node: Repeat) -> int:
    """Return the field whose given tokens tell the number of lines."""
    return next(fields_of(node.body))
