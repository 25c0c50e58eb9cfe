"""Markdown output: tables as text."""

from collections.abc import Iterable, Sequence
from typing import Final

from balancer.reporting import document as doc
from balancer.reporting.words import visible

__all__ = ["markdown_table", "table_text"]

_SIGNS: Final = {
    doc.WordStyle.CODE: "`",
    doc.WordStyle.IDENTIFIER: "`",
    doc.WordStyle.STRONG: "**",
    doc.WordStyle.EMPHASIS: "*",
}


def table_text(table: doc.Table) -> str:
    """Return a table, with numbers right-aligned."""
    sides = ["--:" if column.is_number else ":--" for column in table.columns]
    rows: list[list[str]] = []
    for group in table.groups:
        rows += [[f"**{_words(group.heading)}**", *[""] * (len(sides) - 1)]] if group.heading else []
        rows += [[_with_below(doc.cell_of(each).words, doc.cell_of(each).below) for each in row] for row in group.rows]
    rows += [[_words(doc.cell_of(each).words) for each in table.totals]] if table.totals else []
    heads = [_words(column.head) for column in table.columns]
    return "\n".join(map(_line, [heads, sides, *rows]))


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown: the first column left-aligned, the others right-aligned.

    Raises:
        ValueError: a row has not as many cells as there are headings.
    """
    lines = [_line(headings), _line([":--", *["--:"] * (len(headings) - 1)])]
    for row in rows:
        if len(row) != len(headings):
            raise ValueError(f"found a row of {len(row)} cells under {len(headings)} headings; give one for each")
        lines.append(_line([cell.replace("|", "\\|") for cell in row]))
    return "\n".join(lines)


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
