"""Run one command in isolation: lay out its private folder, give it a user, run it, clear up.

Decides what lies where on the machine while a command runs, and tells a broken set-up (`EndpointError`) from
the command's own end (`Ended`). It must not know languages, compilers or verdicts.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

from balancer.errors import EndpointError
from balancer.program import Limits
from balancer.sandbox.local.isolation.base import Isolation, tool
from balancer.sandbox.local.isolation.view import Layout
from balancer.sandbox.local.languages import SEARCH_PATH
from balancer.sandbox.local.limits import FILE_BYTES, prlimit_arguments
from balancer.sandbox.local.process import Command, Cut, Ended, supervise
from balancer.sandbox.local.uids import own_uids

__all__ = ["IsolatedCommand", "Jail", "check_name"]

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


@dataclass(frozen=True, slots=True)
class IsolatedCommand:
    """One command to run in isolation.

    Args:
        template: command with places to fill in: `{program}`, `{output}`. Never user data.
        args: arguments that follow it, as they are.
        stdin: its input.
        files: relative name -> content; they lie in the working directory and are the command's own.
        limits: what it may use.
        program: a compiled program to show at `{program}`, or None.
        output: a folder to show at `{output}` for writing, or None.
        trees: folders outside /usr to show.
        file_bytes: the largest file it may write.
    """

    template: tuple[str, ...]
    limits: Limits
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    program: Path | None = None
    output: Path | None = None
    trees: tuple[str, ...] = ()
    file_bytes: int = FILE_BYTES


def check_name(name: str) -> str:
    """Return `name` if it is a safe relative file name.

    Raises:
        ValueError: it is absolute, leads out of the folder, or is no file name at all.
    """
    path = PurePosixPath(name)
    parts = name.split("/")
    if path.is_absolute() or ".." in parts or "." in parts or "" in parts or "\0" in name:
        raise ValueError(f"file name {name!r} is not allowed; it must be relative, without '.', '..' or empty parts")
    return name


class Jail:
    """Runs commands in one isolation. Thread-safe.

    Args:
        isolation: how they are kept apart.
        base: folder for the private folders of runs; with root, others must be able to pass through it.
        endpoint: named in errors.
        stop: file descriptor; when it becomes readable, all running commands are killed.
    """

    def __init__(self, isolation: Isolation, base: Path, *, endpoint: str, stop: int | None = None) -> None:
        self._isolation = isolation
        self._base = base
        self._endpoint = endpoint
        self._stop = stop

    def run(self, wanted: IsolatedCommand) -> Ended:
        """Run `wanted` and return how it ended.

        Raises:
            EndpointError: the command could not be started, or somebody killed its sandbox.
            ValueError: a file name of `wanted` is not safe.
        """
        for name in wanted.files:
            check_name(name)
        try:
            with self._user() as uid, self._layout(wanted, uid) as layout:
                ended = supervise(self._command(wanted, layout), stop=self._stop)
        except OSError as error:
            raise self._broken(f"cannot start a program: {error.strerror or error}") from error
        self._check(ended)
        return ended

    def _command(self, wanted: IsolatedCommand, layout: Layout) -> Command:
        isolation, limits = self._isolation, wanted.limits
        paths = isolation.paths(layout)
        template = (part.format(program=paths.program, output=paths.output) for part in wanted.template)
        # Without a namespace the kernel counts all processes of the user: a limit makes sense only for a user
        # that has no others.
        counted = isolation.nested or layout.uid is not None
        processes = limits.processes + isolation.processes if counted else None
        rlimits = prlimit_arguments(limits, processes=processes, file_bytes=wanted.file_bytes)
        return Command(
            argv=isolation.argv(layout, rlimits, (*template, *wanted.args)),
            env=_ENVIRONMENT,
            cwd=paths.cwd,
            cpu_s=limits.cpu_s,
            wall_s=limits.wall_s,
            output_bytes=limits.output_bytes,
            nested=isolation.nested,
            owner=layout.uid,
        )

    @contextmanager
    def _user(self) -> Iterator[int | None]:
        if os.geteuid() != 0:
            yield None
            return
        with own_uids().lend() as uid:
            yield uid

    @contextmanager
    def _layout(self, wanted: IsolatedCommand, uid: int | None) -> Iterator[Layout]:
        """Lay out the private folder of one run, and remove it afterwards."""
        root = Path(tempfile.mkdtemp(prefix="run-", dir=self._base))
        try:
            stdin = root / "stdin"
            stdin.write_bytes(wanted.stdin)
            files = None
            if wanted.files or not self._isolation.nested:
                files = root / "files"
                _write_files(files, wanted.files)
            if uid is not None:
                _give((root, stdin, files, wanted.output), uid)
            yield Layout(root, stdin, files, wanted.program, wanted.output, wanted.trees, uid)
        finally:
            _remove(root)

    def _check(self, ended: Ended) -> None:
        """Raise for everything that is not the command's own end."""
        if ended.cut is Cut.STOP:
            raise self._broken("stopped, because the executor was closed")
        if ended.lost:
            raise self._broken("the sandbox was killed from outside; is the machine out of memory?")
        if not ended.ready:
            last = ended.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
            reason = last or (f"no start within the {ended.cut.value} limit" if ended.cut else "no reason given")
            raise self._broken(f"{self._isolation.name} cannot start a program: {reason}")

    def _broken(self, reason: str) -> EndpointError:
        return EndpointError(reason, endpoint=self._endpoint)


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.mkdir()
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _give(paths: tuple[Path | None, ...], uid: int) -> None:
    """Make `uid` the owner of `paths` and all below them. Called before anything of that user runs."""
    for path in paths:
        if path is None:
            continue
        os.chown(path, uid, uid)
        for below in path.rglob("*") if path.is_dir() else ():
            os.chown(below, uid, uid)


def _remove(root: Path) -> None:
    """Remove a run's folder, whatever the program did to it (only without isolation can it do anything)."""
    with contextlib.suppress(OSError, RecursionError):
        shutil.rmtree(root)
        return
    # Folders without permissions, or thousands deep: chmod and rm know how.
    for command in ((tool("chmod"), "-R", "u+rwX", str(root)), (tool("rm"), "-rf", str(root))):
        subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)
