"""The page: whole, alone, and deaf to what names try to tell a browser."""

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from balancer.pipeline.report import page
from balancer.pipeline.report.charts import draw_charts
from balancer.pipeline.results.run_result import (
    CaseState,
    ContestedReading,
    Disagreement,
    NearCase,
    ProblemResult,
    RunResult,
    SurvivorReading,
)
from balancer.problem import Origin, Verdict
from tests.unit.pipeline.report_results import case, empty_run, made_up_run, outage_run, submission, with_spans

SEARCH = files("balancer.reporting").joinpath("search.js").read_text(encoding="utf-8")
EVIL = "</style></title><script>alert(1)</script>\" onload='x' $\\frac{1}{$ {{ 7*7 }} \x1b[31m\u202e\udce9 &amp; -->"

_ATTRIBUTES = re.compile(
    "aria-label|charset|clip-path|download|http-equiv|placeholder|hidden|type|class|colspan|content|d|height|href|id|lang|name|role"
    "|rowspan|scope|style|title|transform|viewbox|width|x|xmlns|y"
)
_VOID = frozenset({"br", "input", "meta", "wbr"})
_TAGS = re.compile(
    "a|br|body|clippath|code|dd|defs|details|div|dl|dt|em|figcaption|figure|footer|g|h1|h2|h3|h4|head|header|html|input|li|main|meta"
    "|nav|output|p|path|pre|rect|script|section|span|style|summary|svg|table|tbody|td|text|tfoot|th|thead|title|tr|ul|use"
)


class _Strict(HTMLParser):
    """Fails on tags or attributes that the page does not use, and on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
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
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert html.count("<script") == len(scripts) <= 1
    assert all(script == SEARCH for script in scripts)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    hashes = [f"'sha256-{b64encode(sha256(each.encode()).digest()).decode()}'" for each in scripts]
    allowed = " ".join(hashes) or chr(39) + "none" + chr(39)
    assert f"default-src 'none'; script-src {allowed};" in unescape(policy)
    html.encode()
    return "".join(parser.text)


def hostile_run(evil: str = EVIL) -> RunResult:
    """Return a run with `evil` in every string that comes from packages, configs or endpoints."""
    origin = Origin(evil, evil)
    cases = tuple(replace(case(n, sample=n == 0), origin=origin) for n in range(3))
    problem = ProblemResult(
        id=evil,
        name=evil + "!",
        cases=(*cases, replace(case(3, state=CaseState.CONTESTED), origin=origin)),
        submissions=(
            submission(evil, [Verdict.WRONG_ANSWER] * 3, accepted=True),
            submission(evil, [Verdict.ACCEPTED] * 3, expected=evil),
            submission(evil, [Verdict.RUN_TIME_ERROR, Verdict.TIME_LIMIT, Verdict.UNJUDGED], expected=evil),
            submission(evil, [Verdict.COMPILE_ERROR] * 3, expected=evil),
        ),
        disagreements=(Disagreement(3, origin, evil, Verdict.WRONG_ANSWER, evil),),
        left_out={evil: evil},
        notes=(evil,),
    )
    idle = replace(problem, id=evil + "2", cases=())
    run = made_up_run(problems=1, cases=4, endpoints=2, capacity=1)
    urls = {endpoint.url: endpoint.url + evil for endpoint in run.pool.endpoints}
    pool = replace(
        run.pool,
        strategy=evil,
        endpoints=tuple(replace(e, url=urls[e.url], state=evil) for e in run.pool.endpoints),
    )
    gone = replace(run.spans[0], endpoint=evil)
    spans = (replace(s, endpoint=urls[s.endpoint], problem=evil, subject=evil, outcome=evil) for s in run.spans)
    near = NearCase(1, origin, evil, evil, (evil, evil))
    return replace(
        with_spans(run, *spans, gone),
        problems=(problem, idle),
        pool=pool,
        strategy=evil,
        complete=False,
        readings=(SurvivorReading(evil, evil, evil, evil, (near,), shortfall=evil, inputs=((evil, 1),)),),
        contested=(ContestedReading(evil, near, ((evil, evil),)),),
        source={"kind": evil, "problems": evil},
    )


def test_names_are_text_and_nothing_else():
    result = hostile_run()
    html = page(result, draw_charts(result))
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
        replace(made_up_run(problems=1, cases=3), makespan_s=0.0, spans=()),
        replace(made_up_run(problems=1, cases=3), slots=0),
        replace(empty_run(), problems=(ProblemResult("bare", "bare", (), ()),)),
        outage_run(),
    ],
    ids=["empty", "no cases", "no wrong", "wide", "no time", "no slots", "no submissions", "outage"],
)
def test_a_page_of_little_is_whole_and_makes_sense(result):
    text = _checked(page(result, draw_charts(result)))
    assert not re.search(r"\bnan\b|\binf\b|\bNone\b(?!:|\.)", text)
    assert "0 of 0" not in text


def test_the_headline_comes_first_and_the_pool_last():
    result = replace(made_up_run(problems=2, cases=4, seed=3), complete=False, sessions=4)
    html = page(result, draw_charts(result))
    sections = ("attention", "survivors", "problems", "matrices", "pool")
    marks = ['class="verdict', "<nav", "tiles", "warning", *(f'id="{section}"' for section in sections), "Utilisation"]
    body = html[html.index("<body>") :]
    places = [body.index(mark) for mark in marks]
    assert places == sorted(places)
    words = (
        "4 sessions",
        "cheapest-trip",
        "wrong_answer/greedy.cpp",
        "least_in_flight",
        "http://sandbox-0.judge.example",
    )
    assert all(word in body for word in words)


def test_the_table_of_problems_has_before_and_after_first():
    result = made_up_run(problems=6, cases=10)
    html = page(result, ())
    section = html[html.index('id="problems"') : html.index('id="matrices"')]
    rows = [re.findall(r'<td class="number[^"]*">([^<]*)</td>', row) for row in section.split("<tr>")[2:]]
    for problem, row in zip(result.problems, rows, strict=False):
        before, after = len(problem.killed_before), len(problem.killed)
        assert row[:5] == [f"{before} of 4", f"{after} of 4", f"{25 * after}%", "2 of 2", "0"]
        assert row[5:] == ["10", str(len(problem.killers)), str(problem.invalid), str(len(problem.cases) - 10)]
    counts = result.summary()["counts"]
    assert rows[-1][:2] == [f"{counts['wrong_killed_before']} of 24", f"{counts['wrong_killed']} of 24"]


def test_a_survivor_and_a_contested_case_have_what_a_setter_needs():
    near = NearCase(7, Origin("mutate", "n: 2 -> 5"), "5\n1 2", "3", ("wrong/b.py",))
    reading = SurvivorReading(
        "sum a", "wrong/a.py", "python", "print(1)", (near,), passed=6, replaced=58, slowest_s=0.5, limit_s=2.0,
        largest=2000, shortfall="no valid input has half of its largest size: n is at most 9 of 99",
        inputs=(("largest, slowest", 4), ("nearest", 7)),
    )  # fmt: skip
    contested = ContestedReading("sum a", near, (("accepted/x.py", "expected '3', found '4'"), ("y.py", "accepted")))
    run = made_up_run(problems=4, cases=6)
    packages, rows = {"kind": "packages", "problems": "p"}, {"kind": "rows", "problems": "r.jsonl", "split": "train"}
    result = replace(run, readings=(reading,), contested=(contested,), source=packages)
    html = page(result, ())
    text = _checked(html)
    for words in (
        *("all 6, and 58 that later rounds replaced", "500 ms of 2 s", "2.0 kB; no valid input has half", "largest, "),
        *("slowest", "found '4'", "5\n1 2", "accepted/x.py", 'problems = "p/sum a"', "budget_s = 300"),
    ):
        assert words in text, words
    assert 'href="inputs/sum%20a/004.in" download' in html
    assert 'problems = "r.jsonl"' in (asked := _checked(page(replace(result, source=rows), ())))
    assert 'ids = ["sum a"]' in asked


def test_what_was_not_judged_is_named_and_in_no_verdict():
    html = page(outage_run(), draw_charts(outage_run()))
    assert "Nothing can be said yet: no submission was judged on every case." in html
    assert 'id="survivors"' not in html
    assert "Wrong submissions killed, before and after" not in html
    named = html[html.index('id="attention"') : html.index('id="problems"')]
    assert all(s.name in named for p in outage_run().problems for s in p.submissions)
    rows = html[html.index('id="problems"') : html.index('id="matrices"')]
    assert rows.count(">not judged</td>") == 3 * (len(outage_run().problems) + 1)
    assert "rejected by a case: x" in page(hostile_run("x"), ())
    assert "not judged" not in page(made_up_run(problems=2, cases=4), ())
