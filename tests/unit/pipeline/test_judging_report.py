"""The report: its figures, what it praises and warns of, its matrix and charts; on a page, in a terminal, in files."""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from balancer.pipeline.generators.draw.largest import SHORTFALL
from balancer.pipeline.report import page, write_report
from balancer.pipeline.report.charts import draw_charts
from balancer.pipeline.report.document import notes
from balancer.pipeline.report.headline import nothing_judged, tiles, verdict, warnings
from balancer.pipeline.report.matrix import LEGEND, LETTERS, matrix_of
from balancer.pipeline.report.readings import with_readings
from balancer.pipeline.report.summary import print_summary
from balancer.pipeline.report.tables import endpoint_table, gone_endpoints
from balancer.pipeline.results.problem_log import CaseState, ProposalBatch, StoredVerdict
from balancer.pipeline.results.problem_result import ProblemResult
from balancer.pipeline.results.run_result import RunResult, collect, settle
from balancer.pipeline.results.store import LeftOutRow, Store
from balancer.problem import Origin, Proposal, Verdict
from balancer.reporting import charts
from balancer.reporting.document import Cell, Table, Tone, cell_of, plain
from tests.unit.pipeline.bench import make_problem
from tests.unit.pipeline.report_results import (
    case,
    empty_run,
    made_up_problem,
    made_up_run,
    submission,
)

_A, _W, _Q, _C = Verdict.ACCEPTED, Verdict.WRONG_ANSWER, Verdict.UNJUDGED, Verdict.COMPILE_ERROR
_EVIL = "</style></title><script>alert(1)</script>\" onload='x' $\\frac{1}{$ {{ 7*7 }} \x1b[31m\u202e\udce9 &amp; -->"


def _problem(**changes: object) -> ProblemResult:
    """Return a problem with 1 sample case and 2 more, on which one wrong submission dies late and one lives."""
    problem = ProblemResult(
        id="sum",
        name="Sum",
        cases=(case(0, sample=True), case(1), case(2)),
        submissions=(
            submission("good", [_A, _A, _A], accepted=True),
            submission("late", [_A, _A, _W]),
            submission("alive", [_A, _A, _A]),
        ),
    )
    return replace(problem, **changes)


def _run(*problems: ProblemResult) -> RunResult:
    return replace(empty_run(), problems=problems)


def _outage() -> RunResult:
    """Return a run that judged nothing, because no endpoint answered."""
    run = made_up_run(problems=2, cases=3, endpoints=2)
    lost = (
        replace(
            problem,
            cases=tuple(replace(each, state=CaseState.UNJUDGED) for each in problem.cases),
            submissions=tuple(replace(s, verdicts={}, times_s={}) for s in problem.submissions),
            disagreements=(),
        )
        for problem in run.problems
    )
    return replace(run, problems=tuple(lost))


def _hostile(evil: str = _EVIL) -> RunResult:
    """Return a run with `evil` in every string that comes from packages, configs or endpoints."""
    origin = Origin(evil, evil)
    problem = ProblemResult(
        id=evil,
        name=evil + "!",
        cases=(
            *(replace(case(n, sample=n == 0), origin=origin) for n in range(3)),
            replace(case(3, state=CaseState.CONTESTED), origin=origin),
        ),
        submissions=(
            submission(evil, [_W] * 3, accepted=True),
            submission(evil, [_A] * 3, expected=evil),
            submission(evil, [Verdict.RUN_TIME_ERROR, Verdict.TIME_LIMIT, _Q], expected=evil),
            submission(evil, [_C] * 3, expected=evil),
        ),
        disagreements=(StoredVerdict(evil, 3, _W, 0.1, evil),),
        left_out={evil: evil},
        notes=(evil,),
    )
    run = made_up_run(problems=1, cases=4, endpoints=2, capacity=1)
    urls = {endpoint.url: endpoint.url + evil for endpoint in run.pool.endpoints}
    endpoints = tuple(replace(e, url=urls[e.url], state=evil) for e in run.pool.endpoints)
    totals = run.work.endpoints
    work = {urls[name]: each for name, each in totals.items()} | {evil: next(iter(totals.values()))}
    return replace(
        run,
        work=replace(run.work, endpoints=work),
        problems=(problem, replace(problem, id=evil + "2", cases=())),
        pool=replace(run.pool, strategy=evil, endpoints=endpoints),
        strategy=evil,
        complete=False,
    )


# -- headline and warnings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("submissions", "kept", "killed", "said"),
    [
        ({}, "1 of 1", "0 \u2192 1 of 2", "All 1 accepted submissions are kept, and 1 of 2 wrong ones are killed"),
        ({"late": [_A, _W, _A], "alive": None}, "1 of 1", "0 \u2192 1 of 1", "and all 1 wrong ones are killed"),
        ({"good": [_A, _W, _A]}, "0 of 1", "0 \u2192 1 of 2", "1 of 1 accepted submissions are rejected by a case"),
        ({"late": [_W, _Q, _Q], "alive": [_A, _Q, _A]}, "1 of 1", "1 \u2192 1 of 1",
         "1 of 2 wrong ones are killed, 1 with the problems\u2019 own data alone. 1 submission was not judged"),
        ({"good": [_A, _Q, _A]}, "not judged", "0 \u2192 1 of 2", "0 of 1 accepted submissions are kept"),
    ],
)  # fmt: skip
def test_headline_praises_only_what_is_known(submissions, kept, killed, said):
    runs = {"good": [_A, _A, _A], "late": [_A, _A, _W], "alive": [_A, _A, _A], **submissions}
    programs = (submission(name, found, accepted=name == "good") for name, found in runs.items() if found)
    result = _run(_problem(submissions=tuple(programs)))
    assert said in verdict(result)[0]
    shown = {tile.label: (tile.value, tile.tone) for tile in tiles(result)}
    assert (shown["Accepted kept"][0], shown["Wrong killed"][0]) == (kept, killed)
    assert (shown["Wrong killed"][1] is Tone.GOOD) == ("all 1 wrong" in said)
    assert all(tile.value in ("\u2013", "0") for tile in tiles(empty_run()))
    assert next(tiles(empty_run())).tone is Tone.PLAIN


def test_whatever_weakens_the_figures_is_a_warning():
    unjudged = _problem(submissions=(submission("late", [_A, _Q, _Q]),))
    idle = _problem(id="idle", cases=(case(0, state=CaseState.CONTESTED),))
    words = " ".join(warnings(replace(_run(unjudged, idle), complete=False, sessions=3)))
    for told in ("Not complete", "3 sessions", "2 verdicts unjudged: the infrastructure failed", "idle"):
        assert told in words
    busy = _run(replace(unjudged, reasons={"the server was too busy at each try; the last server was a": 2}))
    assert "2 verdicts unjudged: the machines were too busy" in " ".join(warnings(busy))
    slow = replace(submission("slow", [_A, _A], accepted=True), abstained=frozenset({2}))
    unasked = replace(submission("unasked", [_A, _A], accepted=True), not_asked=frozenset({2}))
    weak = _run(
        _problem(
            submissions=(slow, unasked, submission("bad", [_A, _A, _W])),
            accepted_left_out=2,
            wrong_left_out=1,
            notes=("it has no input validator: made-up inputs count if all 2 accepted ones agree",),
        )
    )
    assert list(warnings(weak)) == [
        "2 accepted submissions and 1 wrong submission left out, and in no rate: the notes of the report say why.",
        "1 accepted submission abstained: too slow on made-up cases on which others agree.",
        "1 case that kills: no time was left to run all accepted submissions there.",
        "1 problem without an input validator: made-up inputs count if accepted ones agree, or not at all.",
    ]
    counts = weak.summary()["counts"]
    names = ("accepted_left_out", "wrong_left_out", "abstaining", "unasked", "no_validator")
    assert [counts[name] for name in names] == [2, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("run", "why"),
    [
        ({"rows_left_out": 1, "left_out_rows": (LeftOutRow(3, "it has no test"),)}, "row 3 (from 0): it has no test"),
        ({"problems": (_problem(cases=(), submissions=(), left_out={"good": "too slow"}),)}, "sum: good: too slow"),
        ({"problems": (_problem(cases=(case(0, state=CaseState.CONTESTED),), submissions=()),)}, "case is contested"),
    ],
)
def test_run_that_judged_nothing_says_why(run, why):
    result = replace(empty_run(), complete=False, **run)
    assert why in nothing_judged(result)
    assert nothing_judged(replace(result, complete=True)) == ""


def test_missing_language_is_told_once_with_what_it_costs_and_of_very_many_the_dearest():
    """However many submissions and problems it costs; those of rows have no names, and are counted."""
    rust, cobol = "no endpoint runs rust", "no endpoint runs cobol"
    runs = "no endpoint runs ada (they run: python)"
    left_out = {"wrong/x.rs": rust, "wrong/y.rs": rust, "accepted/z.cob": cobol, "slow": "too slow", "v": runs}
    result = _run(_problem(id="a", left_out=left_out), _problem(id="b", left_out={"3 in rust": rust}))
    assert [line for line in warnings(result) if "runs on" in line] == [
        "rust runs on none of 0 endpoints: 5 submissions of 2 problems left out.",
        "cobol runs on none of 0 endpoints: 1 submission of 1 problem left out.",
    ]
    told = [tuple(map(plain, note)) for note in notes(result) if "left out" in note[2]]
    assert told == [("a", "slow", "left out: too slow"), ("a", "v", f"left out: {runs}")]
    assert result.summary()["languages_missing"] == {"rust": 5, "cobol": 1}
    many = _run(_problem(left_out={f"{n} in language {n}": f"no endpoint runs language {n}" for n in range(1, 31)}))
    lines = [line for line in warnings(many) if "language" in line]
    assert (len(lines), lines[0][:24], "10 more languages" in lines[-1]) == (21, "language 30 runs on none", True)


# -- endpoints -----------------------------------------------------------------------------------------


def test_endpoints_add_up_and_leases_of_one_that_has_left_are_not_lost():
    result = made_up_run(problems=2, cases=10, endpoints=3, capacity=2)
    rows = [[plain(cell_of(each).words) for each in row] for row in endpoint_table(result).rows]
    assert [(row[0], row[3]) for row in rows] == [(each.url, str(each.leases)) for each in result.pool.endpoints]
    assert sum(float(row[6].rstrip("%")) for row in rows) / 3 == pytest.approx(100 * result.utilisation, abs=1)
    assert [row[5] for row in rows] == ["33.3%"] * 3
    *left, last = result.pool.endpoints
    assert gone_endpoints(result) == {}
    shrunk = replace(result, pool=replace(result.pool, endpoints=tuple(left)))
    assert gone_endpoints(shrunk) == {last.url: result.work.endpoints[last.url].leases}


def test_nothing_good_is_said_of_an_endpoint_that_nobody_reached():
    run = made_up_run(problems=2, cases=6, endpoints=4)
    health = enumerate(("healthy", "healthy", "healthy", "half_open"))
    endpoints = zip(run.pool.endpoints, health, strict=True)
    stats = tuple(replace(each, health=word, ejections=n) for each, (n, word) in endpoints)
    fine, idle, dead, out = (each.url for each in stats)
    totals = {name: each for name, each in run.work.endpoints.items() if name != idle}
    work = replace(run.work, endpoints={**totals, dead: replace(totals[dead], answers=0)})
    text = _printed(replace(run, work=work, pool=replace(run.pool, endpoints=stats)), 140)
    ends = {line.split()[0]: line.split()[-3:] for line in text.splitlines() if line.startswith("http")}
    assert ends[fine][1:] == ["0", "healthy"]
    assert ends[idle] == ["1", "not", "known"]
    assert ends[dead] == ["2", "not", "known"]
    assert ends[out] == ["3", "half", "open"]
    assert "health" not in _printed(made_up_run(problems=1, cases=3), 140), "nobody watched it"


# -- matrix --------------------------------------------------------------------------------------------


def _cells(matrix: Table | None) -> dict[str, list[Cell]]:
    """Return the cells of each row by its name, from the number of its kills on."""
    assert matrix is not None
    cells = [[cell_of(each) for each in row] for row in matrix.rows]
    return {plain(first.words): rest for first, *rest in cells}


def _letters(cells: list[Cell]) -> str:
    return " ".join(plain(each.words) for each in cells).strip()


def test_matrix_has_a_letter_for_each_run_and_says_what_it_was():
    slow = replace(submission("slow", [_A, _A], accepted=True), abstained=frozenset({2}), times_s={2: 4.01})
    broken = submission("broken", [_C] * 3)
    problem = _problem(submissions=(*_problem().submissions, slow, submission("short", [_A]), broken))
    matrix = matrix_of(problem)
    cells = _cells(matrix)
    assert [(name, _letters(each)) for name, each in cells.items()] == [
        ("own data, kept", "S  K"),
        ("accepted", ""),
        ("good", "0 A A A"),
        ("slow", "0 A A t"),
        ("wrong", ""),
        ("late", "1 A A W"),
        ("alive", "0 A A A"),
        ("short", "0 A \u00b7 \u00b7"),
        ("does not compile: not counted", ""),
        ("broken", "3 C C C"),
    ]
    assert [plain(each.head) for each in matrix.columns] == ["submission", "failed", "0", "1", "2"]
    assert [each.mark for each in cells["short"][1:]] == ["accepted", "none", "none"]
    for said, words in (
        (cells["late"][1].meaning, ("case 0", "accepted", "12.3 ms", "data: sample/0.in")),
        (cells["slow"][3].meaning, ("abstained: met the time limit", "4.01 s")),
        (matrix.columns[4].meaning, ("case 2", "mutate: token 2", "kept")),
        (plain(LEGEND.words), ("t abstained: accepted, but too slow here", "W wrong answer")),
    ):
        assert [part for part in words if part not in said] == []
    assert set(LETTERS) == set(Verdict)
    assert len(set(LETTERS.values())) == len(Verdict)
    assert "does not compile: not counted" in {why for _, _, why in notes(_run(problem))}


@given(st.integers(0, 200), st.integers(0, 130))
def test_wide_matrix_keeps_what_tells_most(cases, most):
    problem = made_up_problem("p", Random(cases), cases=cases)
    matrix = matrix_of(problem, most=most)
    numbers = [int(plain(each.head)) for each in matrix.columns[2:]] if matrix else []
    assert numbers == sorted(numbers)
    assert len(numbers) == min(cases, most)
    kept = len(problem.killers)
    assert (_letters(_cells(matrix)["own data, kept"]).count("K") if matrix else 0) == min(kept, most)


# -- charts --------------------------------------------------------------------------------------------


def test_chart_has_the_dots_of_each_problem_and_the_same_bytes_from_any_thread(monkeypatch):
    run = made_up_run(problems=8, cases=10)
    with ThreadPoolExecutor(3) as threads:
        first, *others = threads.map(draw_charts, [run] * 3)
    assert others == [first] * 2
    assert draw_charts(empty_run()) == ()
    dotted: dict[bool, list[float]] = {}
    worded: list[str] = []
    monkeypatch.setattr(charts, "dots", lambda drawing, values, hollow=False: dotted.update({hollow: list(values)}))
    monkeypatch.setattr(charts, "beside", lambda drawing, row, words: worded.append(words))
    draw_charts(run)
    problems = sorted(run.problems, key=lambda p: len(p.killed) / len(p.wrong))
    assert any(len(p.killed_before) < len(p.killed) for p in problems)
    assert dotted[True] == [100 * len(p.killed_before) / len(p.wrong) for p in problems]
    assert dotted[False] == [100 * len(p.killed) / len(p.wrong) for p in problems]
    assert worded == [f"{len(p.killed_before)} \u2192 {len(p.killed)} of {len(p.wrong)}" for p in problems]


# -- page ----------------------------------------------------------------------------------------------

_ATTRIBUTES = re.compile(
    "aria-label|charset|clip-path|download|http-equiv|class|colspan|content|d|height|href|id|lang|name|role"
    "|scope|style|title|transform|viewbox|width|x|xmlns|y"
)
_TAGS = re.compile(
    "a|br|body|clippath|code|dd|defs|details|div|dl|dt|figcaption|figure|footer|g|h1|h2|h3|h4|head|header|html|main|meta"
    "|nav|p|path|pre|rect|section|span|strong|style|summary|svg|table|tbody|td|text|tfoot|th|thead|title|tr|use|wbr"
)


class _Strict(HTMLParser):
    """Fails on tags or attributes that the page does not use, and on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in ("br", "meta", "wbr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert _TAGS.fullmatch(tag), tag
        for name, value in attrs:
            assert _ATTRIBUTES.fullmatch(name), (tag, name, value)
            assert "href" not in name or (value or "").startswith(("#", "inputs/"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _checked(html: str) -> str:
    """Return the page's text, after checking that it is whole and stands alone."""
    parser = _Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    assert not re.search(r"@import|url\((?!#)", html)
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', html)) <= set(ids)
    assert "content=\"default-src 'none'; style-src 'unsafe-inline';" in html
    html.encode()
    return "".join(parser.text)


def test_names_on_a_page_are_text_and_nothing_else():
    html = page(_hostile(), draw_charts(_hostile()))
    text = _checked(html)
    assert "49" not in re.findall(r"\{\{.*?\}\}|\b49\b", text)
    assert all(character not in html for character in "\x1b\u202e")
    assert text.count("<script>alert(1)</script>") > 20


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    "result",
    [
        empty_run(),
        made_up_run(problems=1, cases=0, wrong=0, endpoints=1),
        made_up_run(problems=1, cases=3, wrong=0, endpoints=1, capacity=1),
        made_up_run(problems=2, cases=130, wrong=1, endpoints=1, capacity=1),
        replace(made_up_run(problems=1, cases=3), makespan_s=0.0, slots=0),
        replace(empty_run(), problems=(ProblemResult("bare", "bare", (), ()),)),
        _outage(),
    ],
    ids=["empty", "no cases", "no wrong", "wide", "no time", "no submissions", "outage"],
)
def test_page_of_little_is_whole_and_makes_sense(result):
    text = _checked(page(result, draw_charts(result)))
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b(?!:|\.)", text)
    assert "0 of 0" not in text


def test_page_has_the_headline_first_the_pool_last_and_the_figures_of_each_problem():
    result = replace(made_up_run(problems=6, cases=10, seed=3), complete=False, sessions=4)
    html = page(result, draw_charts(result))
    sections = ("attention", "survivors", "problems", "matrices", "pool")
    marks = ['class="verdict', "<nav", "tiles", "warning", *(f'id="{section}"' for section in sections)]
    body = html[html.index("<body>") :]
    places = [body.index(mark) for mark in marks]
    assert places == sorted(places)
    for words in ("4 sessions", "wrong_answer/greedy.cpp", "least_in_flight", "http://sandbox-0.judge.example"):
        assert words in body
    section = html[html.index('id="problems"') : html.index('id="matrices"')]
    rows = [re.findall(r'<td class="number[^"]*">([^<]*)</td>', row) for row in section.split("<tr>")[2:]]
    for problem, row in zip(result.problems, rows, strict=False):
        before, after = len(problem.killed_before), len(problem.killed)
        assert row[:5] == [f"{before} of 4", f"{after} of 4", f"{25 * after}%", "2 of 2", "0"]
        assert row[5:] == ["10", str(len(problem.killers)), str(problem.invalid), str(len(problem.cases) - 10)]
    counts = result.summary()["counts"]
    assert rows[-1][:2] == [f"{counts['wrong_killed_before']} of 24", f"{counts['wrong_killed']} of 24"]


def _read(folder: Path, source: dict[str, str], text: str = "") -> RunResult:
    """Return a run with a survivor, a case that rejects another submission, and a contested case."""
    right, wrong = ("double", f"y.py{text}"), (f"a.py{text}", f"b.py{text}")
    problem = make_problem(f"sum a{text}", accepted=right, wrong=wrong)
    with Store(folder) as store:
        store.describe(source)
        store.claim({"setting time_limit_factor": "2"})
        store.begin_session("fifo", 1)
        store.problems.meet(problem, 0, "-")
        log = store.of(problem.id)
        words = text.encode(errors="replace")
        inputs = [Proposal(data, Origin("mutate", f"n: 2 -> 5{text}")) for data in (b"5\n1 2" + words, b"6", b"7")]
        log.propose(0, ProposalBatch(inputs, [f"{SHORTFALL}: n is at most 9 of 99{text}"]))
        for number, state in enumerate((CaseState.READY, CaseState.CONTESTED, CaseState.REPLACED), 1):
            log.set_case(number, state, "", b"3" + words)
            for name, said in zip((*right, *wrong), (_A, _W if number == 2 else _A, _A, _W), strict=True):
                log.judged(name, number, said, 0.5, f"found '4'{text}" * (said is _W))
        settle(store, problem)
        return with_readings(store, collect(store))


def test_survivor_and_contested_case_have_what_a_setter_needs(tmp_path):
    result = _read(tmp_path / "packages", {"kind": "packages", "problems": "p"})
    html = page(result, ())
    text = _checked(html)
    for words in (
        *("all 1, and 1 that later rounds replaced", "500 ms of 2 s", f"5 B; {SHORTFALL}: n is", "(largest, slowest"),
        *("nearest)", "Case 1 rejects 1", "found '4'", "5\n1 2", "y.py", 'problems = "p/sum a"', "budget_s = 300"),
    ):
        assert words in text, words
    assert [each.cases for each in (*result.readings, *result.contested)] == [(1,), (2,)]
    assert 'href="inputs/sum%20a/001.in" download' in html
    rows = {"kind": "rows", "problems": "r.jsonl", "split": "train"}
    asked = _checked(page(_read(tmp_path / "rows", rows), ()))
    assert 'problems = "r.jsonl"' in asked
    assert 'ids = ["sum a"]' in asked
    assert "a.py" in _checked(page(_read(tmp_path / "evil", {"problems": _EVIL}, _EVIL.replace("\udce9", "")), ()))


def test_what_was_not_judged_is_named_and_in_no_verdict():
    html = page(_outage(), draw_charts(_outage()))
    assert "Nothing can be said yet: no submission was judged on every case." in html
    assert 'id="survivors"' not in html
    named = html[html.index('id="attention"') : html.index('id="problems"')]
    assert all(s.name in named for p in _outage().problems for s in p.submissions)
    rows = html[html.index('id="problems"') : html.index('id="matrices"')]
    assert rows.count(">not judged</td>") == 3 * (len(_outage().problems) + 1)
    assert "rejected by a case: x" in page(_hostile("x"), ())


# -- terminal and files --------------------------------------------------------------------------------


def _printed(result: RunResult, width: int, report: Path | None = None, encoding: str = "utf-8") -> str:
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    print_summary(result, Console(file=out, width=width), report=report)
    out.seek(0)
    return out.read()


@pytest.mark.parametrize(("width", "problems", "endpoints"), [(80, 60, 32), (80, 14, 1), (180, 14, 4)])
def test_summary_fits_a_terminal_and_names_what_survives(width, problems, endpoints):
    result = replace(made_up_run(problems=problems, cases=12, endpoints=endpoints), complete=False)
    text = _printed(result, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\u2026" not in text  # what rich puts where it had to cut
    assert "\x1b" not in text
    assert verdict(result)[0] in " ".join(text.split())
    assert "Not complete" in text
    surviving = [problem for problem in result.problems if problem.survivors]
    assert (f"and in {len(surviving) - 20} more problems" in text) == (len(surviving) > 20)
    assert text.count("... and 20 more") == (2 if problems == 60 else 0)
    if width == 180:
        before, _, after = text.partition("Wrong submissions that survive")
        for problem in surviving:
            (line,) = [line.split() for line in before.splitlines() if line.startswith(f"{problem.id} ")]
            assert line[1:7] == [str(len(problem.killed_before)), "of", "4", str(len(problem.killed)), "of", "4"]
            (named,) = [line for line in after.splitlines() if line.startswith(f"{problem.id} ")]
            assert named.split(maxsplit=1)[1].strip() == ", ".join(s.name for s in problem.survivors)


def test_summary_of_a_run_that_judged_nothing_gives_the_reasons():
    run = replace(_outage(), complete=False)
    first, second = run.problems
    first = replace(first, reasons={"after 3 of 3 tries: a: connection refused": 7, "after 2 tries: b: HTTP 500": 2})
    second = replace(second, reasons={"after 42 tries: b: HTTP 500": 9})
    text = " ".join(_printed(replace(run, problems=(first, second)), 140).split())
    why = (
        "Nothing was judged, because the infrastructure failed: 11 x b: HTTP 500 (problem-0); "
        "7 x a: connection refused (problem-0)"
    )
    for words in (why, "Nothing can be said yet: no submission was judged"):
        assert words in text
    assert not any(word in text for word in ("stopped", "rejected", "survive"))
    assert "the run was stopped" in _printed(replace(run, stopped_by=2), 140)


def test_names_cannot_command_the_terminal_and_ascii_is_enough():
    assert all(line.isprintable() for line in _printed(_hostile(), 80).splitlines())
    assert "[bold red]" in _printed(_hostile("[bold red]"), 140)
    assert "gr??er" in _printed(_hostile("gr\u00f6\u00dfer \u65e5"), 80, Path("r\u00e9"), encoding="ascii")
    path = Path("/home/somebody") / ("x" * 90) / "report.html"
    text = _printed(empty_run(), 80, report=path)
    assert f"report: {path}\n" in text
    assert "0 problems, 0 cases. Nothing can be said yet" in text
    assert not any(word in text for word in ("%", "nan"))


def test_report_is_two_files_with_the_same_bytes_for_the_same_result(tmp_path):
    result = made_up_run(problems=2, cases=4)
    paths = [write_report(made_up_run(problems=2, cases=4), tmp_path / name / "results") for name in "ab"]
    assert sorted(each.name for each in paths[0].parent.iterdir()) == ["report.html", "summary.json"]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads((paths[0].parent / "summary.json").read_text()) == json.loads(json.dumps(result.summary()))
    write_report(_hostile("caf\udce9"), tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["per_problem"][0]["problem"] == "caf\udce9"
