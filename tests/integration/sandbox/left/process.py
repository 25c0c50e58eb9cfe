"""A process."""

import os
from pathlib import Path


def leave() -> None:
    if os.fork() == 0:
        os.setsid()
        os.execvp("sleep", ["sleep", "97"])


def look() -> bool:
    numbers = [name for name in os.listdir("/proc") if name.isdigit()]
    return any(Path(f"/proc/{number}/cmdline").read_bytes() == b"sleep\097\0" for number in numbers)
