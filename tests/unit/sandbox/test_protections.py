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
    monkeypatch.setattr(jail, "filters_calls", lambda: True)
    monkeypatch.setattr(jail, "own_cgroups", lambda: Cgroups(ALL))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return monkeypatch


def protections(name: str) -> tuple[str, str]:
    in_force, missing = jail.protections_of(ISOLATIONS[name])
    return "; ".join(in_force), "; ".join(missing)


@pytest.mark.parametrize("name", ["bubblewrap", "unshare"])
def test_everything(machine, name):
    in_force, missing = protections(name)
    assert in_force == (
        "programs cannot forge the report of their end; system calls are filtered; "
        "control groups (version 2) for CPU time, memory and processes; each run has its own user"
    )
    assert missing == ""


def test_no_isolation(machine):
    assert protections("rlimits")[1] == "no isolation: use another one"


def test_no_library(machine):
    machine.setattr(jail, "filter_of_calls", lambda: (b"", "no seccomp: x; install libseccomp2"))
    in_force, missing = protections("bubblewrap")
    assert "filtered" not in in_force
    assert missing == "system calls are not filtered: no seccomp: x; install libseccomp2"


def test_an_old_setpriv_matters_only_to_who_uses_it(machine):
    machine.setattr(jail, "filters_calls", lambda: False)
    assert "install util-linux 2.41" in protections("unshare")[1]
    assert protections("bubblewrap")[1] == ""


def test_no_groups(machine):
    machine.setattr(jail, "own_cgroups", lambda: Cgroups({}))
    in_force, missing = protections("bubblewrap")
    assert "control groups" not in in_force
    assert missing.startswith("no control groups for CPU time, memory and processes: run as root, or in a group of")


def test_groups_of_both_versions(machine):
    mixed = {"cpuacct": CgroupFolder(Path("/a"), 2), "memory": CgroupFolder(Path("/b"), 1)}
    machine.setattr(jail, "own_cgroups", lambda: Cgroups(mixed))
    in_force, missing = protections("bubblewrap")
    assert "control groups (version 1) for memory; control groups (version 2) for CPU time" in in_force
    assert missing.startswith("no control groups for processes:")


def test_not_root(machine):
    machine.setattr(os, "geteuid", lambda: 1000)
    assert protections("bubblewrap")[1] == "all runs share this user: run as root to give each its own"
