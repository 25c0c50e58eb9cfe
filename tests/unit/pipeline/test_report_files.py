"""The files of a report: complete or not there, the same for the same result, and not too big."""

import json
from pathlib import Path

import pytest

from balancer.pipeline.report import write_report
from tests.unit.pipeline.report_results import made_up_run
from tests.unit.pipeline.test_report_html import hostile_run


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_report_is_two_files(tmp_path):
    result = made_up_run(problems=2, cases=4)
    path = write_report(result, tmp_path / "deep" / "results")
    assert path == tmp_path / "deep" / "results" / "report.html"
    assert _names(path.parent) == ["report.html", "summary.json"]
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    summary = (path.parent / "summary.json").read_text(encoding="utf-8")
    assert json.loads(summary) == json.loads(json.dumps(result.summary()))
    assert summary.startswith('{\n  "problems": 2,\n')


def test_the_same_result_gives_the_same_bytes(tmp_path):
    first = write_report(made_up_run(problems=2, cases=4), tmp_path / "a").read_bytes()
    assert write_report(made_up_run(problems=2, cases=4), tmp_path / "b").read_bytes() == first


@pytest.mark.more
def test_a_big_run_is_less_than_2_mb(tmp_path):
    path = write_report(made_up_run(problems=14, cases=40, wrong=4, endpoints=32), tmp_path)
    assert path.stat().st_size < 2_000_000


def test_names_that_are_not_text_can_be_written(tmp_path):
    write_report(hostile_run("caf\udce9"), tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["per_problem"][0]["problem"] == "caf\udce9"
