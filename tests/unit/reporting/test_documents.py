"""A document on a page and on a terminal, in files, and its words: nothing from data is markup."""

import io
import json
import math
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import balancer.reporting
from balancer.reporting.document import (
    Cell,
    Chart,
    Column,
    ColumnKind,
    Details,
    Document,
    Figures,
    Heading,
    Paragraph,
    Preformatted,
    Section,
    Tile,
    Tiles,
    Tone,
    code,
    identifier,
    strong,
    table,
)
from balancer.reporting.files import json_text, put_text
from balancer.reporting.html import made_by, page
from balancer.reporting.progress import ProgressDisplay, left_words, time_left_s
from balancer.reporting.terminal import cleaner, print_sections
from balancer.reporting.words import NOTHING, count, part_of, percent, ratio, seconds, shorten, size, visible
from tests.patience import PATIENCE_S

_COLUMNS = (Column("name", ColumnKind.NAME), Column("first kills"), Column("more", wide=True))
_TABLE = table(_COLUMNS, [(code("a|b"), Cell("12", below="of 20"), "far")], title="A table", totals=("all", "12", ""))
_BLOCKS = (Paragraph(("said ", strong("twice"))), Preformatted(("a line",)), _TABLE)
_ONLY_PAGES = (
    Tiles((Tile("lost", "3", "of <many>", Tone.BAD), Tile("strategy", "least_in_flight", ""))),
    Figures((Chart("A <chart>", "how to & why", "<svg><g></g></svg>"), Chart("b", "", "<svg></svg>", wide=False))),
    Details("behind it", ((Heading("Beside"), Paragraph("hidden")),), "place"),
)
_DOCUMENT = Document("t", "The heading", (Section("A section", (*_BLOCKS, *_ONLY_PAGES)),), lead="to begin with")


def _printed(*sections: Section, width: int = 80) -> str:
    out = io.StringIO()
    print_sections(sections, Console(file=out, width=width))
    return out.getvalue()


def test_page_has_all_of_a_document():
    html = page(_DOCUMENT, styles=".own { color: red; }")
    for words in (
        *("The heading", "to begin with", "<h2>A section</h2>", "<strong>twice</strong>", "a line", "A table", "far"),
        *("first kills", "<tfoot>", "<h4>Beside</h4>", "hidden", 'id="place"', "<h3>A &lt;chart&gt;</h3>", ".own {"),
        *("how to &amp; why", "<svg><g></g></svg>", '<div class="tile bad"><dt>lost</dt>', "of &lt;many&gt;"),
        '<dd class="value long">least_in_flight</dd>',
    ):
        assert words in html, words
    assert html.count('<figure class="wide"') == 1


def test_strings_of_a_page_are_escaped_and_visible():
    evil = "<script>\x1b\u202e\ud800"
    html = page(Document(evil, evil, (Section(evil, (Paragraph(code(evil)),), "first", "First"),)))
    assert "<title>&lt;script&gt;\ufffd\ufffd\ufffd</title>" in html
    assert "<code>&lt;script&gt;\ufffd\ufffd\ufffd</code>" in html
    for template in Path(balancer.reporting.__file__).parent.glob("*.j2"):
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text(encoding="utf-8"))


def test_cells_have_their_kind_and_a_row_has_as_many_as_there_are_columns():
    columns = (
        Column("who", ColumnKind.NAME),
        Column("count", meaning="of <all>"),
        Column("rate"),
        Column("took", ColumnKind.MEASURE),
    )
    rows = [(identifier("a_<b>"), Cell("3", tone=Tone.BAD, below="of 4"), "75%", Cell("1 s \u00b12", mark="own"))]
    html = page(Document("t", "t", (Section("", (table(columns, rows),)),)))
    for words in (
        '<th scope="col" class="number" title="of &lt;all&gt;">count</th>',
        '<th scope="row" class="name"><code>a_<wbr>&lt;b&gt;</code></th>',
        '<td class="number alert">3<br><span class="soft">of 4</span></td><td class="number">75%',
        '<td class="number own"><span class="whole">1 s</span> <span class="whole">\u00b12</span>',
    ):
        assert words in html, words
    with pytest.raises(ValueError, match="zip"):
        page(Document("t", "t", (Section("", (table((Column("a"),), [("1", "2")]),)),)))


def test_page_says_when_it_was_made_and_by_what(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert re.fullmatch(r"Made by balancer \S+ on 1970-01-01 at 00:00 UTC\.", made_by())
    assert f"<footer>{made_by()}</footer>" in page(_DOCUMENT)
    for given_s in ("", "soon", "1e9", "99999999999999999999"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", given_s)
        found = re.search(r"on (\d{4})-", made_by())
        assert found is not None
        assert int(found[1]) >= 2026


def test_terminal_leaves_out_what_is_wide_and_the_last_of_many_rows():
    text = _printed(Section("A section", _BLOCKS))
    assert "far" not in text
    assert [line.split() for line in text.splitlines() if "12" in line] == [["a|b", "12"], ["all", "12"]]
    assert "of 20" in text
    text = _printed(Section("", (table(_COLUMNS[:2], [(f"n{n}", "1") for n in range(9)], most=3),)))
    assert ("n2" in text, "n3" in text, "... and 6 more" in text) == (True, False, True)


@given(st.lists(st.tuples(st.text(max_size=200), st.integers(0, 10**9)), max_size=5), st.sampled_from([80, 100, 140]))
def test_table_fits_a_terminal_whatever_its_names(rows, width):
    text = _printed(Section("", (table(_COLUMNS[:2], [(name, str(number)) for name, number in rows]),)), width=width)
    assert max(map(len, text.splitlines()), default=0) <= width
    assert all(str(number) in text for _, number in rows)


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("utf-8", "gr\u00f6\u00dfer\n\x1b[31m", "gr\u00f6\u00dfer \ufffd[31m"),
        ("ascii", "gr\u00f6\u00dfer \u65e5 " + NOTHING, "gr??er ? -"),
        ("ascii", "a" * 30, "aaaa...aaa"),
    ],
)
def test_console_gets_signs_for_what_it_lacks(encoding, text, shown):
    console = Console(file=io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert cleaner(console)(text, 10 if len(text) > 20 else 1000).plain == shown


def test_only_pages_load_the_template_engine_and_only_drawing_loads_matplotlib():
    names = ", ".join(f"balancer.reporting.{name}" for name in ("charts", "document", "files", "terminal", "words"))
    code = f"import sys, {names}; print(*({{'jinja2', 'matplotlib', 'numpy'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


# -- files ---------------------------------------------------------------------------------------------


def test_file_is_put_whole_with_the_usual_permissions_or_not_at_all(tmp_path):
    path = put_text(tmp_path / "deep" / "results" / "a.txt", "gr\u00f6\u00dfer\n")
    (usual := tmp_path / "usual").touch()
    assert path.stat().st_mode == usual.stat().st_mode
    with pytest.raises(UnicodeEncodeError):
        put_text(path, "new \ud800")
    assert path.read_bytes() == "gr\u00f6\u00dfer\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_json_has_null_for_what_it_cannot_say():
    text = json_text({"a": [math.nan, 1.5], "b": (math.inf, {"c": -math.inf}), "d": True})
    assert json.loads(text) == {"a": [None, 1.5], "b": [None, {"c": None}], "d": True}
    assert text.endswith("}\n")


# -- words ---------------------------------------------------------------------------------------------


@given(st.text(st.characters()))  # halves of surrogate pairs as well
def test_visible_text_is_one_printable_line_of_the_same_length(text):
    shown = visible(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    shown.encode()


@given(st.text(), st.integers(0, 50), st.sampled_from(["\u2026", "..."]))
def test_short_names_keep_both_ends(text, most, gap):
    short = shorten(text, most, gap=gap)
    assert len(short) <= most or short == text
    if len(text) <= most:
        assert short == text
    elif most >= len(gap) + 2:
        assert text.startswith(short.split(gap)[0])
        assert text.endswith(short.split(gap)[-1])
        assert len(short) == most


@given(st.integers(0, 5000), st.integers(1, 5000), st.integers(0, 2))
def test_only_all_is_100_percent_and_only_none_is_0(part, whole, digits):
    part = min(part, whole)
    worded = percent(part, whole, digits=digits)
    assert (float(worded.strip("<>%")) == 100) == (part == whole)
    assert (worded in ("0%", "0.0%", "0.00%")) == (part == 0)
    if worded[0] not in "<>":
        assert abs(float(worded.rstrip("%")) - 100 * part / whole) <= 0.5 * 10**-digits + 1e-9


@pytest.mark.parametrize(
    ("said", "words"),
    [
        *((visible(text), shown) for text, shown in (("two\nlines\t", "two lines "), ("\x1b[31mred", "\ufffd[31mred"))),
        *((visible(text), shown) for text, shown in (("exe\u202ep", "exe\ufffdp"), ("caf\udce9", "caf\ufffd"))),
        (shorten("http://sandbox-1.judge.example.org:8080/", 20), "http://san\u2026org:8080/"),
        *((percent(*pair), words) for pair, words in (((1, 3), "33%"), ((999, 1000), ">99%"), ((0, 0), NOTHING))),
        *((seconds(value_s), words) for value_s, words in ((0, "0 s"), (0.00001, "<0.1 ms"), (0.0123, "12.3 ms"))),
        *((seconds(value_s), words) for value_s, words in ((0.9994, "999 ms"), (0.9999, "1 s"), (12.34, "12.3 s"))),
        *((seconds(value_s), words) for value_s, words in ((59.97, "1 min 00 s"), (125, "2 min 05 s"))),
        *((seconds(value_s), words) for value_s, words in ((3599.7, "1 h 00 min"), (7380, "2 h 03 min"))),
        *((seconds(value_s), NOTHING) for value_s in (math.nan, math.inf)),
        *((worded, NOTHING) for worded in (ratio(1.0, 0.0), ratio(math.nan, 1.0), part_of(0, 0))),
        *((count(n, "case"), words) for n, words in ((0, "0 cases"), (1, "1 case"))),
        *((size(n), words) for n, words in ((999, "999 B"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"))),
    ],
)
def test_names_and_numbers_are_worded(said, words):
    assert said == words


# -- progress ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spent_s", "done", "left", "left_s", "words"),
    [
        (60.0, 0, 1000, None, "time left not known yet"),
        (4.9, 50, 50, None, "time left not known yet"),  # a start says little
        (60.0, 1, 999, None, "time left not known yet"),
        (60.0, 20, 0, 0.0, "nearly done"),
        (37.0, 10, 2, 7.4, "about 7 s left"),
        (63.0, 10, 10, 63.0, "about 1 min 05 s left"),
        (60.0, 3, 10, 200.0, "about 3 min 20 s left"),
        (4000.0, 10, 10, 4000.0, "about 1 h 07 min left"),
    ],
)
def test_rest_takes_as_long_as_what_is_done_and_is_worded_no_finer_than_it_is_known(spent_s, done, left, left_s, words):
    assert time_left_s(spent_s, done, left) == left_s
    assert left_words(left_s) == words


def test_line_comes_by_itself_while_nothing_is_counted():
    came, now_s, out = threading.Event(), [0.0], io.StringIO()
    console = Console(file=out, width=200)
    display = ProgressDisplay(
        console, title="predicting", clock=lambda: now_s[0], beat=lambda: (display.beat(), came.set())
    )
    with display:
        now_s[0] = 15.0
        assert came.wait(PATIENCE_S)
    assert out.getvalue() == "predicting, 15 s\n"


def test_terminal_shows_what_is_being_done_below_the_bar():
    out = io.StringIO()
    display = ProgressDisplay(Console(file=out, force_terminal=True, width=70, color_system=None), unit="runs")
    with display:
        display.show(3, 10, title="1/4 problems", left="about 10 s left", doing="searching inputs for spread " * 5)
    assert "1/4 problems" in out.getvalue()
    assert "searching inputs for spread" in out.getvalue()
    assert all(len(line) <= 70 + 20 for line in out.getvalue().splitlines())  # with codes that move the cursor
