"""Prepared sandboxes: each has its private folder, user and control group before it is known what will run in it.

Decides what lies where on the machine, and how a sandbox is told what to run. Each is used for one command. It must not
know languages, compilers or verdicts.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from balancer.program import Limits
from balancer.sandbox.languages.layout import filled
from balancer.sandbox.local.cgroups import Cgroups, ControlGroup
from balancer.sandbox.local.command import ProcessLimits, ProcessResult, SandboxCommand
from balancer.sandbox.local.isolation.base import Isolation
from balancer.sandbox.local.isolation.script import run_file
from balancer.sandbox.local.isolation.view import SandboxLayout, SandboxSpec
from balancer.sandbox.local.limits import FILE_BYTES, prlimit_arguments, rlimits_of
from balancer.sandbox.local.process import Sandbox
from balancer.sandbox.local.toolchain import SEARCH_PATH
from balancer.sandbox.local.uids import UidPool
from balancer.scratch import remove_tree

__all__ = ["IsolatedCommand", "PreparedSandbox", "SandboxHost", "prepare_sandbox"]

# All that a program finds in its environment. A fixed hash seed makes Python's set order, and so a program's
# output, the same every time.
_ENVIRONMENT = MappingProxyType(
    {
        "PATH": SEARCH_PATH,
        "HOME": "/tmp",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }
)


_SCRATCH = "/tmp"  # its own, but for "rlimits"

# What the sandbox itself may use in the group of a run, beside the program and the files that it keeps in memory.
_SHELL_BYTES = 16 * 2**20
_SHELL_PROCESSES = 8


@dataclass(frozen=True, slots=True)
class IsolatedCommand:
    """One command to run in isolation.

    Args:
        template: command with places to fill in: `{program}`, `{output}`. Never user data.
        limits: what it may use.
        args: arguments that follow it, as they are.
        stdin: its input.
        files: relative name -> content; they lie in the working directory and are the command's own.
        program: a compiled program to show at `{program}`, or None; it lies in the folder of the jail.
        file_bytes: the largest file it may write.
        fetch: names of files in its working directory to return, see `ProcessResult.fetched`; needs an isolation.
        spec: what its sandbox must have.
    """

    template: tuple[str, ...]
    limits: Limits
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    program: Path | None = None
    file_bytes: int = FILE_BYTES
    fetch: tuple[str, ...] = ()
    spec: SandboxSpec = field(default_factory=SandboxSpec)


@dataclass(frozen=True, slots=True)
class SandboxHost:
    """Where sandboxes are made.

    Args:
        isolation: how commands are kept apart.
        base: folder for the private folders of sandboxes.
        shell: the first process of each, see `isolation.script`.
        calls: a file with the filter of system calls, or None if there is none.
        groups: makes control groups.
        uids: users to lend, or None if commands run as ours.
    """

    isolation: Isolation
    base: Path
    shell: Path
    calls: Path | None
    groups: Cgroups
    uids: UidPool | None


@dataclass(frozen=True, slots=True, eq=False)
class PreparedSandbox:
    """A sandbox that waits, with all that it was given. Used once.

    Args:
        isolation, layout, group, process: what it consists of.
        lent: what has to be given back when it is closed.
    """

    isolation: Isolation
    layout: SandboxLayout
    group: ControlGroup | None
    process: Sandbox
    lent: contextlib.ExitStack

    def run(self, wanted: IsolatedCommand, stop: int | None) -> ProcessResult:
        """Run `wanted`, whose spec must be that of the sandbox, and return how it ended.

        Raises:
            OSError: it could not be laid out.
            ValueError: an argument cannot be given to a program.
        """
        limits = wanted.limits
        if self.group is not None:
            self.group.limit(
                memory_bytes=limits.memory_bytes + self.layout.spec.space_bytes + _SHELL_BYTES,
                processes=limits.processes + _SHELL_PROCESSES,
            )
        rlimits = self._rlimits(wanted)
        self._lay_out(wanted, rlimits)
        allowed = ProcessLimits(limits.cpu_s, limits.wall_s, limits.output_bytes, len(wanted.fetch), rlimits)
        return self.process.run(allowed, stop)

    def close(self) -> None:
        """Kill what is left in it, and give back what it was lent."""
        self.lent.close()

    def _lay_out(self, wanted: IsolatedCommand, rlimits: Mapping[str, tuple[int, int]]) -> None:
        stage, uid = self.layout.stage, self.layout.uid
        copy = bool(wanted.files) and self.isolation.nested
        (stage / "stdin").write_bytes(wanted.stdin)
        (stage / "run").write_bytes(
            run_file(copy=copy, limits=prlimit_arguments(rlimits), fetch=wanted.fetch, argv=self._argv(wanted))
        )
        if wanted.files:
            _write_files(stage / "files", wanted.files)
        if uid is not None:
            for each in (stage / "stdin", stage / "run"):
                os.chown(each, uid, uid)
            if wanted.files:
                _give(stage / "files", uid)
        if wanted.program is not None:
            # A link: a file that was just written cannot be started while a process started meanwhile has it open.
            os.link(wanted.program, stage / "program")

    def _argv(self, wanted: IsolatedCommand) -> tuple[str, ...]:
        paths = self.isolation.paths(self.layout)
        places = {"{program}": paths.program, "{output}": paths.output, "{scratch}": _SCRATCH}
        return (*filled(wanted.template, places), *wanted.args)

    def _rlimits(self, wanted: IsolatedCommand) -> dict[str, tuple[int, int]]:
        # Without a namespace the kernel counts all processes of the user: a limit makes sense only for a user
        # that has no others.
        counted = self.isolation.nested or self.layout.uid is not None
        processes = wanted.limits.processes + self.isolation.processes if counted else None
        return rlimits_of(wanted.limits, processes=processes, file_bytes=wanted.file_bytes)


def prepare_sandbox(host: SandboxHost, spec: SandboxSpec) -> PreparedSandbox:
    """Make a sandbox that is started, and has still to settle; it must be closed.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        uid = None if host.uids is None else stack.enter_context(host.uids.lend())
        root = Path(tempfile.mkdtemp(prefix="run-", dir=host.base))
        stack.callback(remove_tree, root)
        layout = SandboxLayout(root, host.shell, spec, uid=uid, calls=host.calls)
        (layout.stage / "files").mkdir(parents=True)
        if uid is not None:
            for each in (root, layout.stage, layout.stage / "files", spec.output):
                if each is not None:
                    os.chown(each, uid, uid)
        group = stack.enter_context(host.groups.lend())
        process = stack.enter_context(contextlib.closing(_started(host.isolation, layout, group)))
        return PreparedSandbox(host.isolation, layout, group, process, stack.pop_all())


def _started(isolation: Isolation, layout: SandboxLayout, group: ControlGroup | None) -> Sandbox:
    with _opened(layout.calls if isolation.reads_calls else None) as calls_fd:
        command = SandboxCommand(
            argv=isolation.argv(layout, calls_fd),
            env=_ENVIRONMENT,
            cwd=isolation.paths(layout).cwd,
            nested=isolation.nested,
            owner=layout.uid,
            reads=() if calls_fd is None else (calls_fd,),
        )
        return Sandbox(command, group)


@contextmanager
def _opened(file: Path | None) -> Iterator[int | None]:
    """Open `file` anew, to be read from its beginning by one command."""
    if file is None:
        yield None
        return
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _give(folder: Path, uid: int) -> None:
    """Make `uid` the owner of all below `folder`. Called before anything of that user runs."""
    for below in folder.rglob("*"):
        os.chown(below, uid, uid)
