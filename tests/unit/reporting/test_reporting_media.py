"""One document on a page and on a terminal: each says the same."""

import io

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from balancer.reporting.document import (
    Bullets,
    Cell,
    Chart,
    Column,
    ColumnKind,
    Details,
    Document,
    Figures,
    Heading,
    Legend,
    Panes,
    Paragraph,
    Preformatted,
    RowGroup,
    Section,
    Table,
    Tile,
    Tiles,
    code,
    strong,
    table,
)
from balancer.reporting.html import page
from balancer.reporting.terminal import print_sections

_COLUMNS = (Column("name", ColumnKind.NAME), Column("first kills"), Column("more", wide=True))
_TABLE = table(_COLUMNS, [(code("a|b"), Cell("12", below="of 20"), "far")], title="A table", totals=("all", "12", ""))
_BLOCKS = (Paragraph(("said ", strong("twice"))), Bullets(("an item",), "A list"), Preformatted(("a line",)), _TABLE)
_ONLY_PAGES = (
    Tiles((Tile("lost", "3", "of many"),)),
    Figures((Chart("A chart", "how to read it", "<svg></svg>"),)),
    Legend((("good", "G", "as it should be"),)),
    Details("behind it", Panes(((Heading("Beside"), Paragraph("hidden")),), "beside")),
)
_DOCUMENT = Document("t", "The heading", (Section("A section", (*_BLOCKS, *_ONLY_PAGES)),), lead="to begin with")
_WORDS = ("The heading", "A section", "twice", "an item", "a line", "A table", "first kills", "far", "all", "hidden")


def _printed(*sections: Section, width: int = 80) -> str:
    out = io.StringIO()
    print_sections(sections, Console(file=out, width=width))
    return out.getvalue()


def test_a_page_has_all_of_it():
    text = page(_DOCUMENT)
    assert [word for word in (*_WORDS, "how to read it", "as it should be", "of many") if word not in text] == []


def test_a_terminal_leaves_out_what_is_wide():
    text = _printed(Section("A section", _BLOCKS))
    assert "far" not in text
    assert [line.split() for line in text.splitlines() if "12" in line] == [["a|b", "12"], ["all", "12"]]
    assert "of 20" in text


def test_groups_of_rows_have_their_headings_everywhere():
    grouped = Table(_COLUMNS[:2], (RowGroup("some", (("a", "1"),)), RowGroup("others", (("b", "2"),))))
    document = Document("t", "t", (Section("s", (grouped,)),))
    for text in (page(document), _printed(*document.sections)):
        assert text.index("some") < text.index("others")


def test_of_many_rows_a_terminal_shows_some():
    text = _printed(Section("", (table(_COLUMNS[:2], [(f"n{n}", "1") for n in range(9)], most=3),)))
    assert "n2" in text
    assert "n3" not in text
    assert "... and 6 more" in text


@given(st.lists(st.tuples(st.text(max_size=200), st.integers(0, 10**9)), max_size=5), st.sampled_from([80, 100, 140]))
def test_a_table_fits_whatever_its_names(rows, width):
    text = _printed(Section("", (table(_COLUMNS[:2], [(name, str(number)) for name, number in rows]),)), width=width)
    assert max(map(len, text.splitlines()), default=0) <= width
    assert all(str(number) in text for _, number in rows)
