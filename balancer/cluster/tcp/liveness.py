"""Liveness of a process on this machine: whether it has certainly died.

A process has died if its process id is gone, is a zombie, or belongs to another process now. This works only for
processes of the same boot and the same PID namespace. Linux.
"""

import os
from functools import cache
from pathlib import Path

from balancer.cluster.tcp.codec import ProcessIdentity

__all__ = ["has_died", "is_visible", "own_identity"]

_PROC = Path("/proc")
_DEAD = ("Z", "X")


@cache
def _place() -> tuple[str, str] | None:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot, os.readlink(_PROC / "self/ns/pid")
    except OSError:
        return None


def own_identity() -> ProcessIdentity | None:
    """Return where this process runs, or None if that is unknown."""
    place, found = _place(), _stat(os.getpid())
    return ProcessIdentity(*place, os.getpid(), found[1]) if place is not None and found is not None else None


def is_visible(local: ProcessIdentity) -> bool:
    """Return whether this process could see that one."""
    return (local.boot, local.pids) == _place()


def has_died(local: ProcessIdentity) -> bool:
    """Return True if that process, which `is_visible`, has certainly died."""
    found = _stat(local.pid)
    if found is None:
        return True
    state, started = found
    if started != local.started:
        return True
    return state in _DEAD and _is_alone(local.pid)


def _is_alone(pid: int) -> bool:
    """Return whether no other thread of the process lives: the first one may end before the others."""
    try:
        return len(os.listdir(_PROC / str(pid) / "task")) <= 1
    except OSError:
        return True


def _stat(pid: int) -> tuple[str, str] | None:
    """Return the state of a process and its start, in ticks since the boot; None if there is none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may contain anything
    return fields[0], fields[19]
