"""Isolation on this machine: which one works, what it protects, and how one command runs in it.

An isolation is tried once; the result holds for the life of the process. A command gets a prepared sandbox, or one that
is made for it. A failed set-up is an `EndpointError`; the command's own end is a `ProcessResult`.
"""

import contextlib
import functools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balancer.errors import ConfigError, EndpointError
from balancer.program import Limits
from balancer.sandbox.languages.layout import check_name
from balancer.sandbox.local.cgroups import ControlGroup, own_cgroups
from balancer.sandbox.local.command import ProcessResult, SandboxCommand, StopReason
from balancer.sandbox.local.isolation import AUTO, ISOLATIONS, Isolation
from balancer.sandbox.local.isolation.base import filters_calls
from balancer.sandbox.local.isolation.calls import filter_of_calls
from balancer.sandbox.local.isolation.script import guarded_shell
from balancer.sandbox.local.isolation.view import CALLS, MADE_FILE, SHELL, SandboxLayout, SandboxSpec
from balancer.sandbox.local.prepared import (
    IsolatedCommand,
    PreparedSandbox,
    WarmPool,
    own_uids,
)
from balancer.sandbox.local.process import Sandbox
from balancer.sandbox.local.shutdown import RunAbandoned, either_readable, is_readable
from balancer.scratch import Scratch, remove_tree

__all__ = ["TRUE", "Jail", "choose_isolation", "open_to_others", "probe", "protections_of"]

TRUE = IsolatedCommand(("true",), Limits(cpu_s=1.0, wall_s=10.0))
"""What runs where an isolation works."""

_UIDS_LEFT = 128  # user ids that prepared sandboxes leave to running ones
_COUNTED = {"cpuacct": "CPU time", "memory": "memory", "pids": "processes"}
_DELEGATE = "run as root, or in a group of your own: systemd-run --user --scope -p Delegate=yes balancer ..."


class Jail:
    """Runs commands in one isolation. Thread-safe.

    Args:
        isolation: of the commands.
        base: folder for the private folders of runs; as root, other users must be able to pass through it.
        endpoint: named in errors.
        stop: a file descriptor; when it becomes readable, all running commands are killed.
        prepared: limit on prepared sandboxes that wait for commands.
    """

    def __init__(
        self, isolation: Isolation, base: Path, *, endpoint: str, stop: int | None = None, prepared: int = 0
    ) -> None:
        self._isolation = isolation
        self._endpoint = endpoint
        self._stop = stop
        self._base = base
        self._shell = guarded_shell(base)
        self._calls = _written(filter_of_calls()[0], base / "calls")
        self._groups = own_cgroups()
        self._uids = own_uids() if os.geteuid() == 0 else None
        self._pool: WarmPool[SandboxSpec, PreparedSandbox] = WarmPool(self._spare, prepared)

    def close(self) -> None:
        """Close the prepared sandboxes. Nothing may run any more. May be called twice."""
        self._pool.close()

    def run(self, wanted: IsolatedCommand, *, stop: int | None = None) -> ProcessResult:
        """Run `wanted` and return how it ended.

        Args:
            wanted: the command.
            stop: a file descriptor; when it becomes readable, this command is killed.

        Raises:
            EndpointError: the command could not be started, or its sandbox was killed; `RunAbandoned`: because of
                `stop`.
            ValueError: a file name or an argument of `wanted` is not safe.
        """
        for name in wanted.files:
            check_name(name)
        try:
            with either_readable(self._stop, stop) as signal, self._sandbox(wanted.spec, signal) as sandbox:
                ended = sandbox.run(wanted, signal)
        except OSError as error:
            raise self._broken(f"cannot start a program: {error.strerror or error}") from error
        if ended.stopped_by is StopReason.STOP and stop is not None and is_readable(stop):
            raise RunAbandoned("stopped, because no caller waits for it", endpoint=self._endpoint)
        self._check(ended)
        return ended

    @contextmanager
    def _sandbox(self, spec: SandboxSpec, stop: int | None) -> Iterator[PreparedSandbox]:
        """Lend a sandbox. If it did not settle, its run says why. At the end of the block no program runs in it."""
        sandbox = self._ready(spec) or self._prepared(spec)
        try:
            if not sandbox.process.waits:
                sandbox.process.settle(stop)
            yield sandbox
        finally:
            with contextlib.suppress(OSError):  # what is left is removed with the folder of the executor
                sandbox.close()

    def _ready(self, spec: SandboxSpec) -> PreparedSandbox | None:
        if spec.output is None:  # otherwise no other command has the same spec
            while (ready := self._pool.take(spec)) is not None:
                if ready.process.waits:
                    return ready
                ready.close()
        return None

    def _spare(self, spec: SandboxSpec) -> PreparedSandbox | None:
        """Make a sandbox that waits for a command, if user ids are left for it."""
        if self._uids is not None and self._uids.free <= _UIDS_LEFT:
            return None
        sandbox = self._prepared(spec)
        waits = False
        try:
            waits = sandbox.process.settle(self._stop)
        finally:
            if not waits:
                sandbox.close()
        return sandbox if waits else None

    def _prepared(self, spec: SandboxSpec) -> PreparedSandbox:
        """Start a sandbox and return it before it has settled. It must be closed.

        Raises:
            OSError: it cannot be made.
        """
        with contextlib.ExitStack() as stack:
            uid = None if self._uids is None else stack.enter_context(self._uids.lend())
            root = self._base / f"run-{secrets.token_hex(8)}"
            root.mkdir(0o700)
            stack.callback(remove_tree, root)
            layout = SandboxLayout(root, spec, uid=uid, calls=self._calls)
            layout.stage.mkdir()
            if not self._isolation.nested:
                (layout.stage / "files").mkdir()  # its working directory
            os.link(self._shell, layout.stage / Path(SHELL).name)
            if self._calls is not None and not self._isolation.reads_calls:
                os.link(self._calls, layout.stage / Path(CALLS).name)
            if uid is not None:
                if spec.output is not None:
                    for each in (spec.output / MADE_FILE, spec.output):  # first what is in it: then it is not ours
                        os.chown(each, uid, uid)
                for each in (*layout.stage.glob("files"), layout.stage, root):
                    os.chown(each, uid, uid)
            group = stack.enter_context(self._groups.lend())
            process = stack.enter_context(contextlib.closing(_started(self._isolation, layout, group)))
            return PreparedSandbox(self._isolation, layout, process, group, stack.pop_all())

    def _check(self, ended: ProcessResult) -> None:
        """Raise for every end that is not the command's own."""
        if ended.stopped_by is StopReason.STOP:
            raise self._broken("stopped, because the executor was closed")
        if ended.lost:
            raise self._broken("the sandbox was killed from outside; is the machine out of memory?")
        if not ended.ready:
            last = ended.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
            reason = last or (
                f"no start within the {ended.stopped_by.value} limit" if ended.stopped_by else "no reason given"
            )
            raise self._broken(f"{self._isolation.name} cannot start a program: {reason}")

    def _broken(self, reason: str) -> EndpointError:
        return EndpointError(reason, endpoint=self._endpoint)


def _started(isolation: Isolation, layout: SandboxLayout, group: ControlGroup | None) -> Sandbox:
    with _opened(layout.calls if isolation.reads_calls else None) as calls_fd:
        command = SandboxCommand(
            argv=isolation.argv(layout, calls_fd),
            cwd=isolation.paths(layout).cwd,
            nested=isolation.nested,
            owner=layout.uid,
            reads=() if calls_fd is None else (calls_fd,),
        )
        return Sandbox(command, group)


@contextmanager
def _opened(file: Path | None) -> Iterator[int | None]:
    """Open `file` for one command, which reads it from its beginning."""
    if file is None:
        yield None
        return
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


def _written(content: bytes, file: Path) -> Path | None:
    if not content:
        return None
    file.write_bytes(content)
    return file


def choose_isolation(name: str) -> Isolation:
    """Return the isolation `name`; for "auto" the first one that works here.

    Raises:
        ConfigError: there is no such isolation, or it does not work on this machine.
    """
    if name != "auto" and name not in ISOLATIONS:
        raise ConfigError(f"isolation is {name!r}; allowed are 'auto', {', '.join(map(repr, ISOLATIONS))}")
    tried = AUTO if name == "auto" else (name,)
    failures = {}
    for candidate in tried:
        reason = probe(candidate)
        if not reason:
            return ISOLATIONS[candidate]
        failures[candidate] = reason
    raise ConfigError(_complaint(failures))


@functools.cache
def probe(name: str) -> str:
    """Return "" if the isolation `name` works here, else why not. Tried once per process."""
    with Scratch("balancer-probe-") as folder:
        jail = Jail(ISOLATIONS[name], open_to_others(folder.path), endpoint=name)
        try:
            ended = jail.run(TRUE)
        except EndpointError as error:
            return error.reason
    return "" if ended.exit_code == 0 else f"`true` ended with {ended.exit_code}"


def open_to_others(folder: Path) -> Path:
    """Let other users pass through `folder`, without listing it, and return it."""
    folder.chmod(0o711)
    return folder


def _complaint(failures: dict[str, str]) -> str:
    tried = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
    advice = ", or ".join(ISOLATIONS[name].advice for name in failures)
    complaint = f"no isolation works here ({tried}); {advice}"
    if "rlimits" in failures:
        return complaint
    return (
        f"{complaint}; isolation = 'rlimits' runs programs without any isolation: "
        "they can read your files, use the network and go on after their run"
    )


def protections_of(isolation: Isolation) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what protects the runs of `isolation`, and what does not, with what to do: a phrase for each."""
    phrases = [*_phrases(isolation)]
    return tuple(words for there, words in phrases if there), tuple(words for there, words in phrases if not there)


def _phrases(isolation: Isolation) -> Iterator[tuple[bool, str]]:
    if isolation.nested:
        yield True, "programs cannot forge the report of their end"
    else:
        yield False, "no isolation: use another one"
    calls, why = filter_of_calls()
    if calls and not isolation.reads_calls and not filters_calls():
        calls, why = b"", "setpriv is too old for it; install util-linux 2.41 or bubblewrap"
    yield bool(calls), "system calls are filtered" if calls else f"system calls are not filtered: {why}"
    versions = own_cgroups().versions
    for version in sorted(set(versions.values())):
        names = _listed([words for name, words in _COUNTED.items() if versions.get(name) == version])
        yield True, f"control groups (version {version}) for {names}"
    if missing := [words for name, words in _COUNTED.items() if name not in versions]:
        yield False, f"no control groups for {_listed(missing)}: {_DELEGATE}"
    if os.geteuid() == 0:
        yield True, "each run has its own user"
    else:
        yield False, "all runs share this user: run as root to give each its own"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
