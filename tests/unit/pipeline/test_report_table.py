"""The summary in the terminal."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from balancer.pipeline.report.summary import print_summary
from balancer.pipeline.results.run_result import RunResult
from tests.unit.pipeline.report_results import empty_run, made_up_run, outage_run, watched, with_spans
from tests.unit.pipeline.test_report_html import hostile_run


def _printed(result: RunResult, width: int, *, colours: bool = False, report: Path | None = None) -> str:
    out = io.StringIO()
    print_summary(result, Console(file=out, width=width, force_terminal=colours), report=report)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("endpoints", [1, 4, 32])
def test_it_fits_and_nothing_is_cut_but_names(width, endpoints):
    result = made_up_run(problems=14, cases=40, endpoints=endpoints)
    text = _printed(replace(result, complete=False, sessions=2), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\u2026" not in text  # what rich puts where it had to cut
    assert "\x1b" not in text
    counts = result.summary()["counts"]
    assert f"after {counts['wrong_killed']}/{counts['wrong']}" in " ".join(text.split())
    assert "Not complete" in text


def test_each_problem_is_a_line_with_its_counts_and_its_survivors():
    result = made_up_run(problems=3, cases=12)
    before, _, after = _printed(result, 140).partition("Wrong submissions that survive")
    for problem in result.problems:
        (line,) = [line.split() for line in before.splitlines() if line.startswith(problem.id)]
        assert line[1:7] == [str(len(problem.killed_before)), "of", "4", str(len(problem.killed)), "of", "4"]
        (line,) = [line for line in after.splitlines() if line.startswith(problem.id)]
        assert line.split(maxsplit=1)[1].strip() == ", ".join(s.name for s in problem.survivors)


def test_nothing_good_is_said_of_an_endpoint_that_nobody_reached():
    run = watched(made_up_run(problems=2, cases=6, endpoints=4), "healthy", "healthy", "healthy", "half_open")
    fine, idle, dead, out = (stats.url for stats in run.pool.endpoints)
    spans = [replace(s, outcome="failure") if s.endpoint == dead else s for s in run.spans if s.endpoint != idle]
    text = _printed(with_spans(run, *spans), 140)
    ends = {line.split()[0]: line.split()[-3:] for line in text.splitlines() if line.startswith("http")}
    assert ends[fine][1:] == ["0", "healthy"]
    assert ends[idle] == ["1", "not", "known"]
    assert ends[dead] == ["2", "not", "known"]
    assert ends[out] == ["3", "half", "open"]
    assert "health" not in _printed(made_up_run(problems=1, cases=3), 140), "nobody watched it"


def test_a_run_that_judged_nothing_gives_the_reasons():
    run = replace(outage_run(), complete=False)
    first, second = run.problems
    first = replace(first, reasons={"after 3 of 3 tries: a: connection refused": 7, "after 2 tries: b: HTTP 500": 2})
    second = replace(second, reasons={"after 42 tries: b: HTTP 500": 9})
    text = " ".join(_printed(replace(run, problems=(first, second)), 140).split())
    why = (
        "Nothing was judged, because the infrastructure failed: 11 x b: HTTP 500 (cheapest-trip); "
        "7 x a: connection refused (cheapest-trip)"
    )
    for words in (why, "accepted not judged; wrong not judged", "12 submissions not judged on every case"):
        assert words in text
    assert not any(word in text for word in ("stopped", "rejected", "survive"))
    assert "the run was stopped" in _printed(replace(run, stopped_by=2), 140)


def test_a_run_of_nothing_says_so_and_where_its_report_is():
    path = Path("/home/somebody") / ("x" * 90) / "report.html"
    text = _printed(empty_run(), 80, report=path)
    assert "0 problems, 0 cases\n" in text
    assert f"report: {path}\n" in text
    assert not any(word in text for word in ("%", "nan"))


def test_names_cannot_command_the_terminal_and_ascii_is_enough():
    assert all(line.isprintable() for line in _printed(hostile_run(), 80).splitlines())
    assert "[bold red]" in _printed(hostile_run("[bold red]"), 140)
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    print_summary(hostile_run("gr\u00f6\u00dfer \u65e5"), Console(file=out, width=80), report=Path("r\u00e9"))
    out.flush()
    assert b"gr??er" in raw.getvalue()


def test_long_lists_end_somewhere():
    result = made_up_run(problems=60, cases=3, wrong=2, endpoints=32, capacity=1)
    text = _printed(result, 80)
    surviving = sum(bool(p.survivors) for p in result.problems)
    assert surviving > 20
    assert f"and in {surviving - 20} more problems" in text
    assert text.count("... and 20 more") == 2
