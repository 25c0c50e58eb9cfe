"""When a command counts as asleep: after looks in a row, and never while it works or waits for a core."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from balancer.sandbox.local import process
from balancer.sandbox.local.process import SleepWatch


@dataclass
class _Child:
    used_s: float = 0.0
    pid: int = 0

    def cpu_s(self) -> float:
        return self.used_s


def _watched(looks: str, monkeypatch: pytest.MonkeyPatch) -> tuple[list[bool], bool]:
    """Return what each look says, and whether it slept for most of its time.

    Args:
        looks: "s": asleep; "w": ready to run, or waiting for a disk; "c": computed since the last look.
        monkeypatch: the pytest fixture.
    """
    child = _Child()
    watch, said = SleepWatch(cast(Any, child), 10.0), []
    for look in looks:
        child.used_s += 2.0 if look == "c" else 0.01  # runtimes that wait use a little
        monkeypatch.setattr(process, "is_at_work", lambda pid, at_work=look == "w": at_work)
        said.append(watch.sleeps())
    return said, watch.slept


@pytest.mark.parametrize(
    ("looks", "asleep_at", "slept"),
    [
        ("sssss", 4, True),
        ("ccsssss", 6, False),
        ("ssss", None, True),
        ("sss", None, False),
        ("sssswssss", None, True),  # it wakes from time to time: at the end of its time it has slept
        ("sssscssss", None, True),
        ("sswwsswwss", None, False),  # a busy machine
        ("wwwwwwww", None, False),
        ("cccccccc", None, False),
    ],
)
def test_asleep(looks, asleep_at, slept, monkeypatch):
    said, mostly = _watched(looks, monkeypatch)
    assert said == [number == asleep_at for number in range(len(looks))]
    assert mostly is slept


def test_a_program_may_sleep(monkeypatch):
    assert SleepWatch(cast(Any, _Child()), float("inf")).look_s == float("inf")
