"""The files of a report: complete or not there, the same for the same result, and not too big."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from balancer.pipeline.report import write_report
from tests.unit.pipeline.report_results import empty_run, made_up_run
from tests.unit.pipeline.test_report_html import hostile_run


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_report_is_two_files(tmp_path: Path) -> None:
    result = made_up_run(problems=2, cases=4)
    path = write_report(result, tmp_path / "deep" / "results")
    assert path == tmp_path / "deep" / "results" / "report.html"
    assert _names(path.parent) == ["report.html", "summary.json"]
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    summary = (path.parent / "summary.json").read_text(encoding="utf-8")
    assert json.loads(summary) == json.loads(json.dumps(result.summary()))
    assert summary.startswith('{\n  "problems": 2,\n')


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write_report(made_up_run(problems=2, cases=4), tmp_path / "a").read_bytes()
    assert write_report(made_up_run(problems=2, cases=4), tmp_path / "b").read_bytes() == first


@pytest.mark.more
def test_a_big_run_is_less_than_2_mb(tmp_path: Path) -> None:
    path = write_report(made_up_run(problems=14, cases=40, wrong=4, endpoints=32), tmp_path)
    assert path.stat().st_size < 2_000_000


def test_json_has_no_nan(tmp_path: Path) -> None:
    odd = empty_run()
    odd = replace(odd, makespan_s=math.inf, pool=replace(odd.pool, jain=math.nan))
    write_report(odd, tmp_path)

    def refuse(constant: str) -> Any:
        raise AssertionError(constant)

    summary = json.loads((tmp_path / "summary.json").read_text(), parse_constant=refuse)
    assert summary["pool"]["jain"] is None
    assert summary["makespan_s"] is None


def test_names_that_are_not_text_can_be_written(tmp_path: Path) -> None:
    write_report(hostile_run("caf\udce9"), tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text())["per_problem"][0]["problem"] == "caf\udce9"


def test_what_fails_leaves_the_old_report_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(empty_run(), tmp_path)
    before = (tmp_path / "report.html").read_bytes()

    def fail(source: object, target: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("balancer.reporting.files.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(made_up_run(problems=1, cases=2), tmp_path)
    assert _names(tmp_path) == ["report.html", "summary.json"]
    assert (tmp_path / "report.html").read_bytes() == before


def test_the_template_engine_is_imported_only_to_write_a_report() -> None:
    code = "import sys, balancer, balancer.pipeline.report; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
