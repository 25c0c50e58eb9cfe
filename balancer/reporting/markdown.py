"""Markdown output: a document, or a table alone, as text."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from balancer.reporting import document as doc
from balancer.reporting.words import visible

__all__ = ["document_text", "markdown_table", "table_text"]

_SIGNS: Final = {
    doc.WordStyle.CODE: "`",
    doc.WordStyle.IDENTIFIER: "`",
    doc.WordStyle.STRONG: "**",
    doc.WordStyle.EMPHASIS: "*",
}


def document_text(document: doc.Document) -> str:
    """Return a document; of its charts the titles and captions."""
    parts = [f"# {_escaped(document.heading)}", *([_words(document.lead)] if document.lead else [])]
    parts += [part for block in document.blocks for part in _parts(block)]
    for section in document.sections:
        parts += [f"## {_escaped(section.title)}"] if section.title else []
        parts += [part for block in section.blocks for part in _parts(block)]
    return "\n\n".join([*parts, *([_words(document.footer)] if document.footer else [])]) + "\n"


def table_text(table: doc.Table) -> str:
    """Return a table: numbers are to the right."""
    sides = ["--:" if column.is_number else ":--" for column in table.columns]
    rows: list[list[str]] = []
    for group in table.groups:
        rows += [[f"**{_words(group.heading)}**", *[""] * (len(sides) - 1)]] if group.heading else []
        rows += [[_with_below(doc.cell_of(each).words, doc.cell_of(each).below) for each in row] for row in group.rows]
    rows += [[_words(doc.cell_of(each).words) for each in table.totals]] if table.totals else []
    heads = [_words(column.head) for column in table.columns]
    return "\n".join(map(_line, [heads, sides, *rows]))


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown: the first column to the left, the others to the right.

    Raises:
        ValueError: a row has not as many cells as there are headings.
    """
    lines = [_line(headings), _line([":--", *["--:"] * (len(headings) - 1)])]
    for row in rows:
        if len(row) != len(headings):
            raise ValueError(f"found a row of {len(row)} cells under {len(headings)} headings; give as many")
        lines.append(_line([cell.replace("|", "\\|") for cell in row]))
    return "\n".join(lines)


def _parts(block: doc.Block) -> Iterator[str]:
    if isinstance(block, doc.Paragraph):
        yield _words(block.words)
    elif isinstance(block, doc.Heading):
        yield f"### {_words(block.words)}"
    elif isinstance(block, doc.Bullets):
        yield from ([f"### {_escaped(block.title)}"] if block.title else [])
        yield "\n".join(f"- {_words(item)}" for item in block.items)
    elif isinstance(block, doc.Preformatted):
        yield "\n".join(f"    {visible(line)}" for line in block.lines)
    elif isinstance(block, doc.Tiles):
        yield "\n".join(
            f"- {_escaped(tile.label)}: **{_escaped(tile.value)}** {_escaped(tile.note)}" for tile in block.tiles
        )
    elif isinstance(block, doc.Table):
        yield from ([f"### {_escaped(block.title)}"] if block.title else [])
        yield from ([_words(block.note)] if block.note else [])
        yield table_text(block)
    elif isinstance(block, doc.Figures):
        yield from (f"**{_escaped(chart.title)}**: {_escaped(chart.caption)}" for chart in block.charts)
    elif isinstance(block, doc.Legend):
        yield "; ".join(f"{letter}: {words}" for _, letter, words in block.entries)
    elif isinstance(block, doc.Details):
        yield _words(block.summary)
        yield from _parts(block.panes)
    else:
        assert isinstance(block, doc.Panes)
        yield from (part for pane in block.panes for each in pane for part in _parts(each))


def _words(words: doc.Words) -> str:
    return "".join(
        f"{_SIGNS.get(e.style, '')}{_escaped(e.text)}{_SIGNS.get(e.style, '')}" for e in doc.spans(words) if e.text
    )


def _with_below(words: doc.Words, below: doc.Words) -> str:
    return f"{_words(words)} ({_words(below)})" if below else _words(words)


def _escaped(text: str) -> str:
    return visible(text).replace("|", "\\|")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
