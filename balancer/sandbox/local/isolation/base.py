"""The interface of an isolation: the command to start, which waits in isolation to be told what to run.

An isolation is a pure translation from a layout to a command line; starting it and watching it is `process.Sandbox`'s
business.
"""

import functools
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from balancer.sandbox.local.isolation.view import OUTPUT, PROGRAM, SandboxLayout
from balancer.sandbox.local.toolchain import SEARCH_PATH

__all__ = ["Isolation", "JailPaths", "drop_user", "filtered", "filters_calls", "tool"]


@dataclass(frozen=True, slots=True)
class JailPaths:
    """Where things lie, as the program sees them: a compiled program, and the folder for compiled output.

    `cwd` is where the command line of `Isolation.argv` must be started; where it is nested, that is not where the
    program begins.
    """

    program: str = PROGRAM
    output: str = OUTPUT
    cwd: str = "/"


@dataclass(frozen=True, slots=True)
class Isolation:
    """A way to keep programs apart from the machine.

    Attributes:
        name: as in `ExecutorOptions.isolation`.
        advice: what to do when it does not work.
        argv: returns the command that waits in isolation to be told what to run, for a layout, in whose `root` it may
            make folders, and the filter of system calls, open for it to read, or None.
        paths: returns where a program finds its things.
        nested: whether programs run in a pid namespace of their own.
        processes: how many processes of its own the kernel counts with the program's.
        reads_calls: whether it takes the filter of system calls from a descriptor, rather than from a file.
    """

    name: str
    advice: str
    argv: Callable[[SandboxLayout, int | None], tuple[str, ...]]
    paths: Callable[[SandboxLayout], JailPaths] = lambda layout: JailPaths()
    nested: bool = True
    processes: int = 0
    reads_calls: bool = False


@functools.cache
def tool(name: str) -> str:
    """Return the path of a system tool, or its name if it is not there (starting it then says so)."""
    return shutil.which(name, path=SEARCH_PATH) or name


def drop_user(uid: int | None) -> tuple[str, ...]:
    """Return the prefix that makes a command die with us and, if `uid` is given, run as that user.

    `setpriv` rather than `subprocess`'s own `user=`: the latter forbids vfork, and copying the page tables of a
    large process costs more than one more exec.
    """
    prefix = (tool("setpriv"), "--no-new-privs", "--pdeathsig=KILL")
    return prefix if uid is None else (*prefix, f"--reuid={uid}", f"--regid={uid}", "--clear-groups")


@functools.cache
def filters_calls() -> bool:
    """Tell whether this machine's `setpriv` can load a filter of system calls, as of util-linux 2.41."""
    try:
        said = subprocess.run((tool("setpriv"), "--help"), check=False, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError:
        return False
    return b"--seccomp-filter" in said.stdout


def filtered(calls: str | None) -> tuple[str, ...]:
    """Return what makes a `setpriv` load the filter in the file `calls`, where it can."""
    return ("--seccomp-filter", calls) if calls is not None and filters_calls() else ()
