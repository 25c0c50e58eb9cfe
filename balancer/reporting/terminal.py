"""Terminal output of documents: text and tables in any encoding.

It leaves out wide columns and the last of many rows. Names and texts are folded to the room that there is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from balancer.reporting import document as doc
from balancer.reporting.words import NOTHING, shorten, visible

__all__ = ["Clean", "cleaner", "plain_table", "print_sections"]

# Replacements for encodings without these characters.
_ASCII_SIGNS: Final = str.maketrans({"\u2019": "'", "\u00b1": "+-", "\u2009": " ", "\u00d7": "x", "\u2192": "->"})
_TONES: Final = {doc.Tone.PLAIN: "", doc.Tone.GOOD: "green", doc.Tone.DOUBTFUL: "bold yellow", doc.Tone.BAD: "bold red"}
_STYLES: Final = {doc.WordStyle.STRONG: "bold", doc.WordStyle.SOFT: "dim"}

Clean = Callable[..., Text]  # clean(text, most=1000, style="")


def print_sections(sections: Sequence[doc.Section], console: Console) -> None:
    """Print the sections with a blank line between them. No colours if `console` has none."""
    clean = cleaner(console)
    for number, section in enumerate(sections):
        if number:
            console.print()
        if section.title:
            console.print(clean(section.title, style="bold"))
        for block in section.blocks:
            for part in _rendered(block, clean):
                console.print(part)


def cleaner(console: Console) -> Clean:
    """Return a function that makes a printable text for this console from any string."""

    def clean(text: str, most: int = 1000, style: str = "") -> Text:
        encoding = console.encoding
        shown = shorten(visible(text), most, gap="...").replace(NOTHING, "-")
        if "utf" not in encoding.lower():
            shown = shown.translate(_ASCII_SIGNS)
        return Text(shown.encode(encoding, "replace").decode(encoding), style=style)

    return clean


def plain_table(title: Text | str = "") -> RichTable:
    """Return a table with a title at the left, a line under its head, and no other lines."""
    return RichTable(
        title=title or None,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        caption_style="",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )


def _rendered(block: doc.Block, clean: Clean) -> Iterator[RenderableType]:
    if isinstance(block, doc.Table):
        if block.title:
            yield clean(block.title, style="bold")
        yield _facts(block, clean) if block.look == "facts" else _table(block, clean)
    elif isinstance(block, doc.Paragraph):
        yield _words(block.words, clean, style=_TONES[block.tone])
    elif isinstance(block, doc.Preformatted):
        yield from map(clean, block.lines)
    else:
        raise TypeError(f"found {block.block}; a terminal shows tables and text")


def _words(words: doc.Words, clean: Clean, *, style: str = "") -> Text:
    parts = (clean(each.text, 1000, _STYLES.get(each.style, style)) for each in doc.spans(words))
    return Text("", style=style).join(parts)


# -- tables --------------------------------------------------------------------------------------------


def _table(table: doc.Table, clean: Clean) -> RichTable:
    shown = [number for number, column in enumerate(table.columns) if not column.wide]
    columns = [table.columns[number] for number in shown]
    totals = [_shown(table.totals, shown)] if table.totals else []
    rows = [_shown(row, shown) for row in table.rows]
    made = plain_table()
    made.show_footer = bool(totals)
    for number, column in enumerate(columns):
        said = [doc.plain(row[number].words) for row in (*rows, *totals)]
        made.add_column(
            Text("\n").join(map(clean, _folded(column, said))),
            _words(totals[0][number].words, clean) if totals else "",
            justify="right" if column.is_number else "left",
            no_wrap=not _wraps(column),
            overflow="fold",
        )
    for cells in rows[: table.most or len(rows)]:
        made.add_row(*(_words(cell.words, clean, style=_TONES[cell.tone]) for cell in cells))
        if any(cell.below for cell in cells):
            made.add_row(*(_words(cell.below, clean, style="dim") for cell in cells))
    if 0 < table.most < len(rows):
        made.caption = Text(f"... and {len(rows) - table.most} more", no_wrap=True, overflow="ignore")
    return made


def _shown(row: doc.Row, numbers: Sequence[int]) -> list[doc.Cell]:
    return [doc.cell_of(row[number]) for number in numbers]


def _facts(table: doc.Table, clean: Clean) -> RichTable:
    """Return names and their values, without headings."""
    made = RichTable.grid(padding=(0, 2, 0, 0))
    made.add_column(overflow="fold")
    made.add_column()
    rows = [(doc.cell_of(first), doc.cell_of(second)) for first, second in table.rows]
    for name, said in rows[: table.most or len(rows)]:
        made.add_row(_words(name.words, clean), _words(said.words, clean, style=_TONES[said.tone]))
    if 0 < table.most < len(rows):
        made.caption = Text(f"... and {len(rows) - table.most} more", no_wrap=True, overflow="ignore")
    return made


def _wraps(column: doc.Column) -> bool:
    """Return whether a cell may have several lines."""
    if column.unbroken is not None:
        return not column.unbroken
    return column.kind is not doc.ColumnKind.NUMBER


def _folded(column: doc.Column, said: Iterable[str]) -> list[str]:
    """Return the lines of a heading: of a column of numbers, as many as make it no wider than needed."""
    head = doc.plain(column.head)
    if "\n" in head or not column.is_number or len(head) <= max(map(len, said), default=0):
        return head.split("\n")
    return head.replace("_", "_ ").replace("/", " /").split() or [""]
