"""Twos and threes of what threads do to a pool, in many orders of their steps: see `interleavings`.

The normal run tries a few hundred orders, `make stress` thousands.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
# How many there are in the normal run, and how many orders of them are tried at least.
_GROUPS = {
    "twos with acquire": (11, 30),
    "twos with timeout or cancel": (19, 50),
    "twos of others": (37, 50),
    "threes": (14, 50),
}
_LONGEST_S = 3600.0  # `make stress`, on a busy machine


def _found(group: str) -> dict[str, dict[str, Any]]:
    """Return what frontrun found, in a process of its own: it must replace the locks before all else."""
    command = [sys.executable, "-m", "frontrun.cli", sys.executable, "-m", "tests.threads.interleavings", group]
    run = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_LONGEST_S, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    found: dict[str, dict[str, Any]] = json.loads(run.stdout.splitlines()[-1])
    return found


@pytest.mark.timeout(_LONGEST_S)
@pytest.mark.more
@pytest.mark.parametrize("group", _GROUPS)
def test_nothing_is_lost_in_any_interleaving(group):
    found = _found(group)
    for moves, came in found.items():
        assert came["holds"] is True, f"{moves}: {came['why']}"  # None: it did not come to an end, as in a deadlock
    combinations, least = _GROUPS[group]
    assert len(found) >= combinations
    assert sum(came["tried"] for came in found.values()) >= least
