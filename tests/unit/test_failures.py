"""Whoever waits for a run of the tests sees a failure when it happens."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S

_ROOT = Path(__file__).parents[2]
_TESTS = """
import pytest

@pytest.fixture
def broken(): raise ValueError("no fixture")

def test_wrong(): assert 1 == 2
def test_right(): pass
def test_no_fixture(broken): pass

seen = []
@pytest.mark.flaky(reruns=1)
def test_at_second():
    seen.append(1)
    assert len(seen) > 1, "too early"
"""


@pytest.mark.sampled(1)
@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_failure_is_named_before_the_run_is_over(tmp_path: Path, processes: str) -> None:
    (tmp_path / "test_it.py").write_text(_TESTS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-n", processes, "-c", "pyproject.toml"]
    command += ["-p", "pytest_timeout", "-p", "xdist.plugin", "-p", "pytest_rerunfailures"]
    ran = subprocess.run(
        [*command, str(tmp_path)],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # of which there are ten, for each process
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ran.returncode == 1, ran.stderr
    at_once, _, later = ran.stdout.partition("= ERRORS =")
    named = [line for line in at_once.splitlines() if line.startswith("FAILED NOW")]
    assert len(named) == 2, at_once
    assert any("test_it.py::test_wrong: " in line and "assert 1 == 2" in line for line in named)
    assert any("test_it.py::test_no_fixture (setup): " in line and "no fixture" in line for line in named)
    again = [line for line in at_once.splitlines() if line.startswith("TRIED AGAIN")]
    assert len(again) == 1
    assert "test_it.py::test_at_second: " in again[0]
    assert "too early" in again[0]
    assert later
