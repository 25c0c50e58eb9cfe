"""Which processes of a group are left, as a test of commands that have workers asks."""

from pathlib import Path

__all__ = ["group"]


def group(leader: int) -> list[int]:
    """Return the processes of a group that are alive."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == leader and state != "Z":
            found.append(int(stat.parent.name))
    return found
