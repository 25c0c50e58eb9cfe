"""Which processes of the machine belong to a test."""

import time
from collections.abc import Callable
from pathlib import Path

from tests.patience import PATIENCE_S

__all__ = ["processes_with", "wait_until"]

_LOOK_S = 0.02


def processes_with(marker: str) -> list[int]:
    """Return the processes on this machine that have `marker` among their arguments."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if marker.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue  # it ended meanwhile
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fail if that takes longer than any machine needs."""
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(_LOOK_S)
