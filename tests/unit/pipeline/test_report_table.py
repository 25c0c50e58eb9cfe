"""The summary in the terminal."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from balancer.pipeline.report.summary import print_summary
from balancer.pipeline.report.tables import endpoint_lines
from balancer.pipeline.results.run_result import RunResult
from tests.unit.pipeline.report_results import empty_run, made_up_run, outage_run, watched
from tests.unit.pipeline.test_report_html import hostile_run


def _printed(result: RunResult, width: int, *, colours: bool = False, report: Path | None = None) -> str:
    out = io.StringIO()
    print_summary(result, Console(file=out, width=width, force_terminal=colours), report=report)
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 100, 140])
@pytest.mark.parametrize("endpoints", [1, 4, 32])
def test_it_fits_and_nothing_is_cut_but_names(width: int, endpoints: int) -> None:
    result = made_up_run(problems=14, cases=40, endpoints=endpoints)
    text = _printed(replace(result, complete=False, sessions=2), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\u2026" not in text  # what rich puts where it had to cut
    assert "\x1b" not in text
    counts = result.summary()["counts"]
    assert f"{counts['wrong_killed_before']} -> {counts['wrong_killed']} of {counts['wrong']}" in text
    assert "Not complete" in text


def test_each_problem_is_a_line_with_its_counts() -> None:
    result = made_up_run(problems=3, cases=12)
    text = _printed(result, 80)
    for problem in result.problems:
        (line,) = [line for line in text.splitlines() if line.startswith(problem.id) and "->" in line]
        assert f"12 ({len(problem.killers)})" in line
        assert f"{len(problem.killed_before)} -> {len(problem.killed)} of {len(problem.wrong)}" in line


def test_survivors_are_named() -> None:
    result = made_up_run(problems=3, cases=12)
    text = _printed(result, 140)
    for problem in result.problems:
        block = text[text.index("Wrong submissions that survive") :]
        (line,) = [line for line in block.splitlines() if line.startswith(problem.id)]
        assert line.split(maxsplit=1)[1].strip() == ", ".join(s.name for s in problem.survivors)


@pytest.mark.parametrize("width", [80, 140])
def test_it_says_how_often_an_endpoint_was_ejected_and_how_it_stood_at_the_end(width: int) -> None:
    run = made_up_run(problems=2, cases=6, endpoints=5)
    text = _printed(watched(run, "healthy", "ejected", "half_open", "slow_start", "resting"), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "\u2026" not in text
    lines = text[text.index("Health") : text.index("Pool")].splitlines()
    assert [line.split(maxsplit=1)[1].strip() for line in lines if line.startswith("http")] == [
        "ejected 1 time, at the end ejected",
        "ejected 2 times, at the end half open",
        "ejected 3 times, at the end slow start",
        "ejected 4 times, at the end resting",
    ]
    assert ["all", "others", "never", "ejected,", "healthy", "at", "the", "end"] in [line.split() for line in lines]
    assert "health" not in _printed(run, width).lower(), "nobody watched it"


def test_of_many_endpoints_those_in_bad_health_are_shown() -> None:
    run = made_up_run(problems=1, cases=6, endpoints=40, capacity=1)
    never = tuple(replace(stats, health="healthy") for stats in run.pool.endpoints)
    text = _printed(replace(run, pool=replace(run.pool, endpoints=never)), 80)
    assert "all endpoints  never ejected, healthy at the end" in text
    last = replace(never[-1], health="ejected", ejections=3)
    text = _printed(replace(run, pool=replace(run.pool, endpoints=(*never[:-1], last))), 80)
    assert "ejected 3 times, at the end ejected" in text
    assert "... and 28 more" in _printed(watched(run, *["resting"] * 40), 80)


def test_nothing_good_is_said_of_an_endpoint_that_nobody_reached() -> None:
    run = watched(made_up_run(problems=2, cases=6, endpoints=3), "healthy", "healthy", "healthy")
    fine, idle, dead = (stats.url for stats in run.pool.endpoints)
    heard = [span for span in run.spans if span.endpoint != idle]
    spans = tuple(replace(span, outcome="failure") if span.endpoint == dead else span for span in heard)
    well = tuple(
        replace(stats, ejections=0, leases=0 if stats.url == idle else stats.leases) for stats in run.pool.endpoints
    )
    run = replace(run, spans=spans, pool=replace(run.pool, endpoints=well))
    health = _printed(run, 140).partition("\nHealth")[2].partition("\nPool")[0]
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in health.splitlines()[1:] if line.strip()}
    assert lines[idle] == "was never called; its health is unknown"
    assert lines[dead].startswith("never answered (")
    assert lines["all"] == "others never ejected, healthy at the end"
    assert fine not in lines
    standing = {line.name: line.standing for line in endpoint_lines(run)}
    assert standing == {fine: "healthy", idle: "not known", dead: "not known"}


def test_a_run_that_judged_nothing_gives_the_reasons() -> None:
    run = replace(outage_run(), complete=False)
    first = replace(
        run.problems[0],
        reasons={"after 3 of 3 tries: http://a/: connection refused": 7, "after 2 tries: http://b/: HTTP 500": 2},
    )
    second = replace(run.problems[1], reasons={"after 42 tries: http://b/: HTTP 500": 9})
    text = " ".join(_printed(replace(run, problems=(first, second)), 80).split())
    assert (
        "Nothing was judged, because the infrastructure failed: 11 x http://b/: HTTP 500; 7 x http://a/: connection "
        "refused"
    ) in text
    assert "stopped" not in text
    assert "the run was stopped" in _printed(replace(run, stopped_by=2), 140)


def test_an_outage_is_no_verdict() -> None:
    text = _printed(outage_run(), 140)
    assert "accepted not judged; wrong not judged" in text
    assert "12 submissions not judged on every case" in text
    assert "rejected" not in text
    assert "survive" not in text
    rows = [line for line in text.splitlines() if line.startswith(("cheapest-trip", "all"))]
    assert [line.count("not judged") for line in rows] == [2, 2]


def test_the_path_of_the_report_is_not_broken() -> None:
    path = Path("/home/somebody") / ("x" * 90) / "report.html"
    assert f"report: {path}\n" in _printed(empty_run(), 80, report=path)
    assert "report:" not in _printed(empty_run(), 80)


def test_a_run_of_nothing_says_so() -> None:
    text = _printed(empty_run(), 80)
    assert "0 problems, 0 cases\n" in text
    assert "%" not in text
    assert "nan" not in text


def test_names_cannot_command_the_terminal() -> None:
    text = _printed(hostile_run(), 80)
    assert all(line.isprintable() for line in text.splitlines())
    assert "[bold red]" in _printed(hostile_run("[bold red]"), 140)


def test_a_terminal_that_knows_only_ascii_is_enough() -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii")
    print_summary(hostile_run("gr\u00f6\u00dfer \u65e5"), Console(file=out, width=80), report=Path("r\u00e9"))
    out.flush()
    assert b"gr??er" in raw.getvalue()


def test_long_lists_end_somewhere() -> None:
    result = made_up_run(problems=60, cases=3, wrong=2, endpoints=32, capacity=1)
    text = _printed(result, 80)
    surviving = sum(bool(p.survivors) for p in result.problems)
    assert surviving > 20
    assert f"and in {surviving - 20} more problems" in text
    assert "... and 20 more" in text
