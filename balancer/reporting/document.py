"""Report documents: sections of text, tables, figures and tiles, as data.

A report is built once, as a `Document`. `terminal` writes it for a terminal, and `html` as a page. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import ClassVar

__all__ = [
    "Block", "Cell", "Chart", "Column", "ColumnKind", "Details", "Document", "Figures", "Heading", "Paragraph",
    "Preformatted", "Row", "Section", "Table", "Tile", "Tiles", "Tone", "WordStyle", "Words", "Written", "cell_of",
    "code", "identifier", "plain", "soft", "spans", "strong", "table",
]  # fmt: skip

# -- words ---------------------------------------------------------------------------------------------


class WordStyle(Enum):
    """Style of a few words."""

    PLAIN = "plain"
    CODE = "code"
    IDENTIFIER = "identifier"  # code that may be broken after each "_"
    STRONG = "strong"
    SOFT = "soft"


class Tone(Enum):
    """Whether something is good or bad."""

    PLAIN = "plain"
    GOOD = "good"
    DOUBTFUL = "doubtful"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Written:
    """Words in one style. They may be a link: to the place `anchor` of the document, or to a `file` beside it."""

    text: str
    style: WordStyle = WordStyle.PLAIN
    anchor: str = ""
    file: str = ""


Words = str | Written | tuple[str | Written, ...]


code = partial(Written, style=WordStyle.CODE)  # a name, as in files
identifier = partial(Written, style=WordStyle.IDENTIFIER)  # one that may be broken after each "_"
strong = partial(Written, style=WordStyle.STRONG)  # important words
soft = partial(Written, style=WordStyle.SOFT)  # less important words


def spans(words: Words) -> tuple[Written, ...]:
    """Return `words` as pieces of one style each."""
    parts = words if isinstance(words, tuple) else (words,)
    return tuple(part if isinstance(part, Written) else Written(part) for part in parts)


def plain(words: Words) -> str:
    """Return `words` without their styles."""
    return "".join(each.text for each in spans(words))


# -- blocks --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paragraph:
    """One or more sentences. With a `tone` it is a warning; a `soft` one explains."""

    words: Words
    tone: Tone = Tone.PLAIN
    soft: bool = False
    block: ClassVar[str] = "paragraph"


@dataclass(frozen=True, slots=True)
class Preformatted:
    """Lines that are shown unchanged, e.g. of a file."""

    lines: tuple[str, ...]
    block: ClassVar[str] = "preformatted"


@dataclass(frozen=True, slots=True)
class Tile:
    """A headline figure: its name, its value, and a comment."""

    label: str
    value: str
    note: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Tiles:
    """Headline figures, the most important first."""

    tiles: tuple[Tile, ...]
    block: ClassVar[str] = "tiles"


class ColumnKind(Enum):
    """Kind of the cells of a column. The first column of names says what its rows are about."""

    NAME = "name"
    TEXT = "text"
    NUMBER = "number"
    MEASURE = "measure"  # a number with its interval


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        head: its heading; a line break in it is kept.
        kind: of its cells.
        meaning: explanation of the heading.
        wide: whether it is only shown in media wider than a terminal.
        unbroken: whether a terminal keeps each cell on one line; None: unless it is text or a measure.
    """

    head: Words = ""
    kind: ColumnKind = ColumnKind.NUMBER
    meaning: str = ""
    wide: bool = False
    unbroken: bool | None = None

    @property
    def is_number(self) -> bool:
        """Whether its cells are right-aligned."""
        return self.kind not in (ColumnKind.NAME, ColumnKind.TEXT)


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Attributes:
        words: its text.
        below: a second, fainter line.
        tone: whether that is good or bad.
        meaning: text of its tooltip.
        mark: class of its colour, in a matrix.
    """

    words: Words = ""
    below: Words = ""
    tone: Tone = Tone.PLAIN
    meaning: str = ""
    mark: str = ""


Row = tuple[Cell | Words, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of rows.

    Attributes:
        columns: as many as each row has cells.
        rows: from top to bottom.
        title: "" for none.
        note: how to read it; shown before it.
        totals: the last row.
        look: "plain", "facts" (no headings: names with values) or "matrix".
        most: rows that a terminal shows; 0: all.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    title: str = ""
    note: Words = ""
    totals: Row = ()
    look: str = "plain"
    most: int = 0
    block: ClassVar[str] = "table"

    @property
    def has_heads(self) -> bool:
        """Whether any column has a heading."""
        return any(plain(column.head) for column in self.columns)


def table(
    columns: Iterable[Column],
    rows: Iterable[Row],
    *,
    title: str = "",
    note: Words = "",
    totals: Row = (),
    most: int = 0,
) -> Table:
    """Return a plain table."""
    return Table(tuple(columns), tuple(rows), title, note, totals, most=most)


def cell_of(given: Cell | Words) -> Cell:
    """Return a cell of a row, which may be given as words."""
    return given if isinstance(given, Cell) else Cell(given)


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its text.

    Attributes:
        title: a heading.
        caption: how to read it, and what was left out.
        svg: an `<svg>` element, safe for a page without changes.
        wide: True if it needs the whole width of a page.
        folded: whether a page folds it away, e.g. one of many of a kind.
    """

    title: str
    caption: str
    svg: str
    wide: bool = True
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """Charts, in reading order."""

    charts: tuple[Chart, ...]
    block: ClassVar[str] = "figures"


@dataclass(frozen=True, slots=True)
class Details:
    """Blocks that are folded under a line, in panes side by side. `anchor`: its name in links; "" for none."""

    summary: Words
    panes: tuple[tuple["Block", ...], ...]
    anchor: str = ""
    block: ClassVar[str] = "details"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section."""

    words: Words
    block: ClassVar[str] = "heading"


Block = Paragraph | Preformatted | Tiles | Table | Figures | Details | Heading

# -- the whole -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading.

    Attributes:
        title: "" for none.
        blocks: in reading order.
        anchor: its name in links; "" for none.
        label: its name in the contents; "": it is not listed there.
        folded: whether it is folded under its title.
    """

    title: str
    blocks: tuple[Block, ...]
    anchor: str = ""
    label: str = ""
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report.

    Attributes:
        title: of the window.
        heading: of the page.
        lead: what it is about.
        blocks: before the first section.
        sections: the rest.
        footer: the last words.
        verdict: the answer in a sentence, first of all; "" for none.
        tone: of the verdict.
    """

    title: str
    heading: str
    sections: tuple[Section, ...]
    lead: Words = ""
    blocks: tuple[Block, ...] = ()
    footer: Words = ""
    verdict: Words = ""
    tone: Tone = Tone.PLAIN
