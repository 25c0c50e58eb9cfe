"""HTML output: a document as one self-contained page, for reading, mailing and printing.

Every string of a document is escaped and made visible (see `words.visible`). The only markup from outside are the
drawings of charts. `page.html.j2` is the structure of a page, the style sheets its look.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from balancer.reporting import document as doc
from balancer.reporting.words import visible

__all__ = ["bare_table", "made_by", "page"]

_TAGS: Final = {
    doc.WordStyle.CODE: Markup("<code>{}</code>"),
    doc.WordStyle.STRONG: Markup("<strong>{}</strong>"),
    doc.WordStyle.SOFT: Markup('<span class="soft">{}</span>'),
}
_PIECE: Final = re.compile(r" (?=[\u00b1(])")  # of a measure: value, interval, part


def page(document: doc.Document, *, styles: str = "") -> str:
    """Return a document as a page.

    Args:
        styles: CSS beyond that of all pages.
    """
    template = _environment().get_template("page.html.j2")
    made = template.render(document=document, styles=Markup(styles), made_by=made_by())  # the styles are our own text
    return made.lstrip()


def made_by() -> str:
    """Return e.g. "Made by balancer 1.0 on 2026-11-26 at 12:03 UTC.".

    The environment variable SOURCE_DATE_EPOCH (reproducible-builds.org), in seconds since 1970, replaces the clock, so
    that the same result can give the same bytes.
    """
    number = ""
    with suppress(PackageNotFoundError):
        number = f" {version('balancer')}"
    return f"Made by balancer{number} on {_now():%Y-%m-%d at %H:%M} UTC."


def bare_table(table: doc.Table) -> str:
    """Return a table as HTML that needs no style sheet, e.g. for a notebook."""
    template = _environment().get_template("page.html.j2")
    made = template.make_module({"document": doc.Document("", "", ()), "styles": "", "made_by": ""})
    return str(made.table(table))  # type: ignore[attr-defined]  # a macro of the template


def _now() -> datetime:
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(int(given), UTC)
    return datetime.now(UTC)


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("balancer.reporting", "."),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., Any]] = {
        "cells": _cells,
        "classes": _classes,
        "contents": _contents,
        "heading": _heading,
        "lines": lambda lines: Markup("\n").join(escape(visible(line)) for line in lines),
        "drawing": lambda chart: Markup(chart.svg),  # our drawing, which has escaped its words
        "shown": lambda text: visible(text) or None,
        "words": _words,
    }
    made.filters.update(filters)
    return made


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


# -- words ---------------------------------------------------------------------------------------------


def _words(words: doc.Words) -> Markup:
    return Markup("").join(map(_written, doc.spans(words)))


def _heading(words: doc.Words) -> Markup:
    lines = doc.plain(words).split("\n")
    return Markup("<br>").join(lines) if lines[1:] else _words(words)


def _written(each: doc.Written) -> Markup:
    text = escape(visible(each.text))
    if each.style is doc.WordStyle.IDENTIFIER:
        text = _TAGS[doc.WordStyle.CODE].format(Markup("_<wbr>").join(text.split("_")))
    elif each.style in _TAGS:
        text = _TAGS[each.style].format(text)
    if each.file:
        return Markup('<a href="{}" download>{}</a>').format(quote(each.file, errors="replace"), text)
    return Markup('<a href="#{}">{}</a>').format(each.anchor, text) if each.anchor else text


# -- tables --------------------------------------------------------------------------------------------


def _contents(cell: doc.Cell, column: doc.Column) -> Markup:
    """Return the content of a cell. A measure is in pieces, between which a narrow column may break."""
    said = _words(cell.words)
    if column.kind is doc.ColumnKind.MEASURE:
        pieces = _PIECE.split(doc.plain(cell.words)) if cell.words else ()
        said = Markup(" ").join(Markup('<span class="whole">{}</span>').format(visible(piece)) for piece in pieces)
    return said + Markup('<br><span class="soft">{}</span>').format(_words(cell.below)) if cell.below else said


def _cells(row: doc.Row, table: doc.Table) -> Iterator[tuple[doc.Cell, doc.Column, bool]]:
    """Yield each cell with its column, and whether it names the row."""
    about = next((column for column in table.columns if column.kind is doc.ColumnKind.NAME), None)
    for each, column in zip(row, table.columns, strict=True):
        yield doc.cell_of(each), column, column is about


def _classes(column: doc.Column, cell: doc.Cell | None = None) -> str | None:
    """Return the CSS classes of a cell or heading."""
    found = ["number"] if column.is_number else []
    if cell is not None:
        found += [column.kind.value] if column.kind is doc.ColumnKind.NAME else []
        found += ["alert"] if cell.tone in (doc.Tone.BAD, doc.Tone.DOUBTFUL) else []
        found += [cell.mark] if cell.mark else []
    return " ".join(found) or None
