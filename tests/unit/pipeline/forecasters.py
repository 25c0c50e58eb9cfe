"""What tells an end beforehand, for tests: called in a process of its own."""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

from balancer.errors import ConfigError
from balancer.hookspecs import Forecast, WorkLeft


def told(path: str, run: str, left: WorkLeft) -> Forecast:
    """Return the units that are left, as seconds."""
    lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    calls = sum(line["row"] == "attempt" and line["run"] == run for line in lines)
    units = [sum(guess) for guess in left.left]
    return Forecast(1000.0 + max(units), 900.0, 2000.0, calls, "with two more it would take half of that")


def past(path: str, run: str, left: WorkLeft) -> Forecast:
    """Return an end that was over before anybody heard of it."""
    return Forecast(1e-6, 1e-6, 1e-6, 60, "")


def unsure(path: str, run: str, left: WorkLeft) -> Forecast:
    """Say that it cannot be told."""
    raise ConfigError("3 calls have ended, and it takes at least 50")


def broken(path: str, run: str, left: WorkLeft) -> Forecast:
    """Fail."""
    raise ZeroDivisionError("no idea")


def endless(path: str, run: str, left: WorkLeft) -> Forecast:
    """Never end."""
    Path(path).with_name("asked").touch()
    time.sleep(3600)
    raise AssertionError


def never(path: str, run: str, left: WorkLeft) -> Forecast:
    """Say that it will never be over."""
    return Forecast(1.0, 0.5, math.inf, 1)


def parent(path: str, run: str, left: WorkLeft) -> Forecast:
    """Begin a process that has the pipes, and wait for it."""
    code = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(3600)"
    subprocess.run([sys.executable, "-c", code, str(Path(path).with_name("asked"))], check=False)
    raise AssertionError("nobody waits for that")
