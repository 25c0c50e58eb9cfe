"""Interface of an isolation: the command that starts a sandbox, which then waits for a program.

An isolation is a pure translation from a layout to a command line. `process.Sandbox` starts and watches the command.
"""

import functools
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from balancer.sandbox.languages.layout import SEARCH_PATH
from balancer.sandbox.local.isolation.view import OUTPUT, PROGRAM, SandboxLayout

__all__ = ["Isolation", "JailPaths", "drop_user", "filtered", "filters_calls", "tool"]


@dataclass(frozen=True, slots=True)
class JailPaths:
    """Paths as the program sees them: a compiled program, and the folder for compiled output.

    `cwd` is where the command line of `Isolation.argv` must be started. If the isolation is nested, the program begins
    elsewhere.
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
        argv: returns the command of a sandbox, from a layout, in whose `root` it may make folders, and from a
            descriptor of the filter of system calls, or None.
        paths: returns the paths that a program sees.
        nested: whether programs run in a pid namespace of their own.
        processes: how many of its own processes the kernel counts with the program's.
        reads_calls: whether it reads the filter of system calls from a descriptor, not from a file.
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
    """Return the path of a system tool, or its name if it is missing (starting it then fails with that name)."""
    return shutil.which(name, path=SEARCH_PATH) or name


def drop_user(uid: int | None) -> tuple[str, ...]:
    """Return a prefix that makes a command die with this process and, if `uid` is given, run as that user.

    It is `setpriv`, not `user=` of `subprocess`: the latter forbids vfork, and copying the page tables of a large
    process costs more than one more exec.
    """
    prefix = (tool("setpriv"), "--no-new-privs", "--pdeathsig=KILL")
    return prefix if uid is None else (*prefix, f"--reuid={uid}", f"--regid={uid}", "--clear-groups")


@functools.cache
def filters_calls() -> bool:
    """Return whether this machine's `setpriv` can load a filter of system calls (util-linux 2.41)."""
    try:
        said = subprocess.run((tool("setpriv"), "--help"), check=False, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError:
        return False
    return b"--seccomp-filter" in said.stdout


def filtered(calls: str | None) -> tuple[str, ...]:
    """Return the arguments that make `setpriv` load the filter in the file `calls`, if it can."""
    return ("--seccomp-filter", calls) if calls is not None and filters_calls() else ()
