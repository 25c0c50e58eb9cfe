"""Which users there are."""

from pathlib import Path


def leave() -> None:
    Path("/proc/self/uid_map").write_text("0 0 2")


def look() -> bool:
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "2"]
