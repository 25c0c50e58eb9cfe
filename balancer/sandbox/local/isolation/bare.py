"""No isolation at all, only resource limits: for machines where nothing else works, and only when asked for by name.

What it gives up: programs read every file this user may read, use the network, see and may kill other
processes of this user (as root: of their own one-time user), and may leave processes behind that left their
process group. Total disk space is not bounded. As an ordinary user the number of processes is not limited
either, because the kernel would count the user's other processes as well.
"""

from typing import ClassVar

from balancer.sandbox.local.isolation.base import JailPaths, drop_user, filtered
from balancer.sandbox.local.isolation.script import bare_arguments
from balancer.sandbox.local.isolation.view import SandboxLayout

__all__ = ["Bare"]


class Bare:
    """Run commands with resource limits only."""

    name: ClassVar[str] = "rlimits"
    nested: ClassVar[bool] = False
    processes: ClassVar[int] = 0
    reads_calls: ClassVar[bool] = False
    tools: ClassVar[tuple[str, ...]] = ("prlimit", "setpriv")
    advice: ClassVar[str] = "install util-linux"

    def paths(self, layout: SandboxLayout) -> JailPaths:
        """Return where a program finds its things: where they are."""
        output = str(layout.output) if layout.output else ""
        return JailPaths(program=str(layout.stage / "program"), output=output, cwd=str(layout.stage / "files"))

    def argv(self, layout: SandboxLayout, calls_fd: int | None) -> tuple[str, ...]:
        """Return the command that waits."""
        calls = filtered(str(layout.calls) if layout.calls else None)
        return (*drop_user(layout.uid), *calls, *bare_arguments(str(layout.stage)))
