"""What every isolation answers: which command to start in place of the program's own.

An isolation is a pure translation from (layout, limits, command) to a command line; starting it and watching
it is `process.supervise`'s business. It must not know languages, endpoints or verdicts.
"""

import functools
import shutil
from dataclasses import dataclass
from typing import ClassVar, Protocol

from balancer.sandbox.local.isolation.view import Layout
from balancer.sandbox.local.languages import SEARCH_PATH

__all__ = ["Isolation", "JailPaths", "drop_user", "tool"]


@dataclass(frozen=True, slots=True)
class JailPaths:
    """Where things lie, as the program sees them: a compiled program, and the folder for compiled output.

    `cwd` is where the command line of `Isolation.argv` must be started.
    """

    program: str
    output: str
    cwd: str


class Isolation(Protocol):
    """A way to keep programs apart from the machine.

    Attributes:
        name: as in `ExecutorOptions.isolation`.
        nested: whether programs run in a pid namespace of their own.
        processes: how many processes of its own the kernel counts with the program's.
        tools: the commands it needs.
        advice: what to do when it does not work.
    """

    name: ClassVar[str]
    nested: ClassVar[bool]
    processes: ClassVar[int]
    tools: ClassVar[tuple[str, ...]]
    advice: ClassVar[str]

    def paths(self, layout: Layout) -> JailPaths:
        """Return where a program finds its things."""
        ...

    def argv(self, layout: Layout, limits: tuple[str, ...], argv: tuple[str, ...]) -> tuple[str, ...]:
        """Return the command that runs `argv` under `prlimit` arguments `limits`."""
        ...


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
