"""Report documents: sections of text, tables, figures and tiles, as data.

A report is built once, as a `Document`. `terminal` writes it for a terminal, and `html` as a page. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import ClassVar, Final

__all__ = [
    "Block", "Bullets", "Cell", "Chart", "Column", "ColumnKind", "Details", "Document", "Figures", "Heading", "Legend",
    "Panes", "Paragraph", "Preformatted", "Row", "RowGroup", "Section", "Table", "Tile", "Tiles", "Tone", "WordStyle",
    "Words", "Written", "cell_of", "code", "emphasis", "identifier", "plain", "soft", "spans", "strong", "table",
]  # fmt: skip

# -- words ---------------------------------------------------------------------------------------------


class WordStyle(Enum):
    """Style of a few words."""

    PLAIN = "plain"
    CODE = "code"
    IDENTIFIER = "identifier"  # code that may be broken after each "_"
    STRONG = "strong"
    EMPHASIS = "emphasis"
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
emphasis = partial(Written, style=WordStyle.EMPHASIS)  # a term that is explained here
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
class Bullets:
    """A list, with a title or without."""

    items: tuple[Words, ...]
    title: str = ""
    block: ClassVar[str] = "bullets"


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
    RATE = "rate"  # of the number before it
    MEASURE = "measure"  # a number with its interval


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        head: its heading; a line break in it is kept.
        kind: of its cells.
        meaning: explanation of the heading.
        over: a heading that it shares with its neighbours.
        wide: whether it is only shown in media wider than a terminal.
        unbroken: whether a terminal keeps each cell on one line; None: unless it is text or a measure.
    """

    head: Words = ""
    kind: ColumnKind = ColumnKind.NUMBER
    meaning: str = ""
    over: str = ""
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
class RowGroup:
    """Rows under a heading, with a remark."""

    heading: Words
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of rows, in groups with headings or without.

    Attributes:
        columns: as many as each row has cells.
        groups: the rows; a group without a heading is just rows.
        title: "" for none.
        note: how to read it; shown before it.
        totals: the last row.
        look: "plain", "facts" (no headings: names with values), "compared" or "matrix".
        most: rows that a terminal shows; 0: all.
        marks: further rows of headings, of a matrix.
    """

    columns: tuple[Column, ...]
    groups: tuple[RowGroup, ...]
    title: str = ""
    note: Words = ""
    totals: Row = ()
    look: str = "plain"
    most: int = 0
    marks: tuple[Row, ...] = ()
    block: ClassVar[str] = "table"

    @property
    def has_heads(self) -> bool:
        """Whether any column has a heading."""
        return any(plain(column.head) for column in self.columns)

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows of all groups."""
        return tuple(row for group in self.groups for row in group.rows)


def table(
    columns: Iterable[Column],
    rows: Iterable[Row],
    *,
    title: str = "",
    note: Words = "",
    totals: Row = (),
    most: int = 0,
) -> Table:
    """Return a plain table of rows without groups."""
    return Table(tuple(columns), (RowGroup("", tuple(rows)),), title, note, totals, most=most)


def cell_of(given: Cell | Words) -> Cell:
    """Return a cell of a row, which may be given as words."""
    return given if isinstance(given, Cell) else Cell(given)


# As in `style.css` for light pages, which a notebook does not have.
_LIGHT: Final = {"var(--ink)": "#1a2430", "var(--faint)": "#8793a0", "var(--paper)": "#fff", "var(--heat)": "#0072b2"}


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its text.

    Attributes:
        title: a heading.
        caption: how to read it, and what was left out.
        svg: an `<svg>` element, safe for a page without changes.
        wide: True if it needs the whole width of a page.
        narrow: the same as `svg`, drawn for a narrow window; "": there the chart scrolls.
        folded: whether a page folds it away, e.g. one of many of a kind.
    """

    title: str
    caption: str
    svg: str = field(repr=False)  # a notebook stores the repr beside the drawing
    wide: bool = True
    narrow: str = field(default="", repr=False)
    folded: bool = False

    def _repr_svg_(self) -> str:
        """Return the drawing for a notebook, on white."""
        width = "56rem" if self.wide else "28rem"
        svg = self.svg.replace(' style="', f' style="background: #fff; width: 100%; max-width: {width}; ', 1)
        for variable, colour in _LIGHT.items():
            svg = svg.replace(variable, colour)
        return svg


@dataclass(frozen=True, slots=True)
class Figures:
    """Charts, in reading order."""

    charts: tuple[Chart, ...]
    block: ClassVar[str] = "figures"


@dataclass(frozen=True, slots=True)
class Legend:
    """Meanings of the marks of a matrix: mark, letter and words of each."""

    entries: tuple[tuple[str, str, str], ...]
    block: ClassVar[str] = "legend"


@dataclass(frozen=True, slots=True)
class Panes:
    """Blocks side by side, as far as there is room, each with a heading or without."""

    panes: tuple[tuple["Block", ...], ...]
    look: str
    block: ClassVar[str] = "panes"


@dataclass(frozen=True, slots=True)
class Details:
    """A block that is folded under a line. `anchor`: its name in links; "" for none."""

    summary: Words
    panes: Panes
    anchor: str = ""
    block: ClassVar[str] = "details"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading within a section."""

    words: Words
    level: int = 3
    block: ClassVar[str] = "heading"


Block = Paragraph | Bullets | Preformatted | Tiles | Table | Figures | Legend | Panes | Details | Heading

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
        searched: whether a search hides rows and folded blocks in which the words are not.
    """

    title: str
    blocks: tuple[Block, ...]
    anchor: str = ""
    label: str = ""
    folded: bool = False
    searched: bool = False


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
        search: what can be searched for, in a few words; "": there is no search.
    """

    title: str
    heading: str
    sections: tuple[Section, ...]
    lead: Words = ""
    blocks: tuple[Block, ...] = ()
    footer: Words = ""
    verdict: Words = ""
    tone: Tone = Tone.PLAIN
    search: str = ""
