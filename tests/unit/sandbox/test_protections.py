"""What is said of the protections of local endpoints: each means by name, and what to do where it is missing."""

import os
from pathlib import Path

import pytest

from balancer.sandbox.local import jail
from balancer.sandbox.local.cgroups import CgroupFolder, Cgroups
from balancer.sandbox.local.isolation import ISOLATIONS

ALL = {name: CgroupFolder(Path("/nowhere"), 2) for name in ("cpuacct", "memory", "pids")}


@pytest.fixture
def machine(monkeypatch):
    """A machine that has everything."""
    monkeypatch.setattr(jail, "filter_of_calls", lambda: (b"x", ""))
    monkeypatch.setattr(jail, "own_cgroups", lambda: Cgroups(ALL))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return monkeypatch


SOME = {"cpuacct": CgroupFolder(Path("/a"), 2), "memory": CgroupFolder(Path("/b"), 1)}
EVERYTHING = (
    "programs cannot forge the report of their end; system calls are filtered; "
    "control groups (version 2) for CPU time, memory and processes; each run has its own user"
)


@pytest.mark.parametrize(
    ("name", "lacks", "says", "missing"),
    [
        ("bubblewrap", {}, EVERYTHING, ""),
        ("rlimits", {}, "each run has its own user", "no isolation: use another one"),
        ("bubblewrap", {"filter_of_calls": (b"", "no seccomp: x")}, "", "system calls are not filtered: no seccomp: x"),
        ("bubblewrap", {"own_cgroups": Cgroups({})}, "", "no control groups for CPU time, memory and processes: run"),
        (
            "bubblewrap",
            {"own_cgroups": Cgroups(SOME)},
            "control groups (version 1) for memory; control groups (version 2) for CPU time",
            "no control groups for processes:",
        ),
        ("bubblewrap", {"geteuid": 1000}, "", "all runs share this user: run as root to give each its own"),
    ],
)
def test_protections(machine, name, lacks, says, missing):
    for what, answer in lacks.items():
        machine.setattr(os if what == "geteuid" else jail, what, lambda answer=answer: answer)
    there, gone = jail.protections_of(ISOLATIONS[name])
    assert says in "; ".join(there)
    assert len(gone) == (2 if name == "rlimits" else bool(missing))
    assert "; ".join(gone).startswith(missing)
