"""Pages: nothing from data is markup, and every part of a document has its place."""

import re
from pathlib import Path

import pytest

import balancer.reporting
from balancer.reporting.charts import HALF, WIDE, ChartLine, line_chart, narrow_svg, rows
from balancer.reporting.document import (
    Cell,
    Chart,
    Column,
    ColumnKind,
    Document,
    Figures,
    Paragraph,
    Section,
    Tile,
    Tiles,
    Tone,
    code,
    identifier,
    table,
)
from balancer.reporting.html import made_by, page


def _page(title: str = "A title", tiles: tuple[Tile, ...] = (), charts: tuple[Chart, ...] = ()) -> str:
    section = Section(title, (Paragraph((code(title), " twice")), Figures(charts)), "first", "First")
    return page(Document(title, title, (section,), blocks=(Tiles(tiles),)), styles=".own { color: red; }")


def test_strings_are_escaped_and_visible():
    html = _page("<script>\x1b\u202e\ud800")
    assert "<title>&lt;script&gt;\ufffd\ufffd\ufffd</title>" in html
    assert "<code>&lt;script&gt;\ufffd\ufffd\ufffd</code>" in html


def test_only_a_drawing_is_markup():
    html = _page(charts=(Chart("A <title>", "how to & why", "<svg><g></g></svg>", wide=False),))
    assert "<h3>A &lt;title&gt;</h3>" in html
    assert "how to &amp; why" in html
    assert "<svg><g></g></svg>" in html
    assert 'class="wide"' not in html
    assert 'class="wide"' in _page(charts=(Chart("a", "b", "<svg></svg>"),))


def test_a_chart_has_a_drawing_for_a_narrow_window_where_there_is_room_for_one():
    lines = line_chart([ChartLine("a", [0.0, 1.0], [0.0, 1.0])], xlabel="x", ylabel="y", width=WIDE)
    narrow = narrow_svg(lines)
    assert f'viewBox="0 0 {HALF:g} ' in narrow
    html = _page(charts=(Chart("a", "b", "<svg></svg>", narrow=narrow),))
    assert '<figure class="wide both"' in html
    assert f'<div class="narrow">{narrow}</div>' in html
    assert narrow_svg(rows(["x" * 60], width=WIDE, xlabel="x")) == "", "long names leave none: the chart scrolls"


def test_a_tile_has_its_tone():
    html = _page(tiles=(Tile("lost", "3", "of <many>", Tone.BAD), Tile("strategy", "least_in_flight", "")))
    assert '<div class="tile bad"><dt>lost</dt>' in html
    assert "of &lt;many&gt;" in html
    assert '<dd class="value long">least_in_flight</dd>' in html


def test_a_table_has_headings_that_are_shared_and_cells_of_their_kind():
    columns = (
        Column("who", ColumnKind.NAME),
        Column("count", over="calls", meaning="of <all>"),
        Column("rate", ColumnKind.RATE, over="calls"),
        Column("took", ColumnKind.MEASURE),
    )
    rows = [(identifier("a_<b>"), Cell("3", tone=Tone.BAD, below="of 4"), "75%", "1 s \u00b12")]
    html = page(Document("t", "t", (Section("", (table(columns, rows, totals=("all", "", "", "")),)),)))
    assert '<th rowspan="2">who</th><th colspan="2" class="over"><span>calls</span></th>' in html
    assert '<th class="number first" title="of &lt;all&gt;">count</th><th class="number">rate</th>' in html
    assert '<th scope="row" class="name"><code>a_<wbr>&lt;b&gt;</code></th>' in html
    assert '<td class="number first alert">3<br><span class="soft">of 4</span></td><td class="number rate">75%' in html
    assert '<span class="whole">1 s</span> <span class="whole">\u00b12</span>' in html
    assert "<tfoot>" in html


def test_a_row_of_another_length_is_an_error():
    with pytest.raises(ValueError, match="zip"):
        page(Document("t", "t", (Section("", (table((Column("a"),), [("1", "2")]),)),)))


def test_templates_mark_nothing_as_safe():
    """Escaping has no exception in a template: the only markup from outside is the charts' SVG."""
    templates = list(Path(balancer.reporting.__file__).parent.glob("*.j2"))
    assert templates
    for template in templates:
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text(encoding="utf-8"))


def test_a_page_says_when_it_was_made_and_by_what(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert re.fullmatch(r"Made by balancer \S+ on 1970-01-01 at 00:00 UTC\.", made_by())
    assert f"<footer>{made_by()}</footer>" in _page()


@pytest.mark.parametrize("given", ["", "soon", "1e9", "99999999999999999999"])
def test_without_a_date_that_can_be_read_it_is_now(monkeypatch, given):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    found = re.search(r"on (\d{4})-", made_by())
    assert found
    assert int(found[1]) >= 2026
