"""Every interleaving, or many, of threads that lease, wait, give up, close and change a pool: see `interleavings`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("frontrun", reason="frontrun is not installed; run: pip install 'frontrun==0.7.*'")

_ROOT = Path(__file__).parents[2]
_SCENARIOS = (
    "two lease one",
    "a wait may end as the slot comes",
    "two wait and one may give up",
    "the pool closes",
    "capacity grows",
    "the endpoint goes and comes back",
    "the strategy changes",
)


@pytest.fixture(scope="module")
def findings() -> dict[str, Any]:
    """Return what frontrun found, in a process of its own: it must replace the locks before all else."""
    command = [sys.executable, "-m", "frontrun.cli", sys.executable, "-m", "tests.threads.interleavings"]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scenario", _SCENARIOS)
def test_nothing_is_lost_in_any_interleaving(findings: dict[str, Any], scenario: str) -> None:
    found = findings[scenario]
    assert found["holds"] is True, found["why"]  # None: it did not come to an end, as in a deadlock
    assert found["tried"] >= 3


def test_every_scenario_is_looked_at(findings: dict[str, Any]) -> None:
    assert set(findings) == set(_SCENARIOS)
