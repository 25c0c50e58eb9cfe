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
from balancer.sandbox.local.calls import filter_of_calls
from balancer.sandbox.local.cgroups import own_cgroups
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.isolation import ISOLATIONS, Isolation, SandboxLayout, SandboxSpec
from balancer.sandbox.local.prepared import (
    IsolatedCommand,
    PreparedSandbox,
    WarmPool,
    own_uids,
)
from balancer.sandbox.local.process import Sandbox
from balancer.sandbox.local.script import MADE_FILE, SHELL, guarded_shell
from balancer.sandbox.local.shutdown import RunAbandoned, either_readable, is_readable
from balancer.scratch import Scratch, remove_tree

__all__ = ["TRUE", "Jail", "choose_isolation", "open_to_others", "probe", "protections_of"]

TRUE = IsolatedCommand(("true",), Limits(cpu_s=1.0, wall_s=10.0))
"""What runs where an isolation works."""

_USUAL = SandboxSpec()  # of nearly all programs, so only such sandboxes are prepared
_UIDS_LEFT = 128  # user ids that prepared sandboxes leave to running ones
_WITHOUT = (
    "; isolation = 'rlimits' runs programs without any isolation: they can read your files, use the network and go on "
    "after their run"
)
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
        self._pool: WarmPool[PreparedSandbox] = WarmPool(self._spare, prepared)

    def close(self) -> None:
        """Close the prepared sandboxes. Nothing may run any more. May be called twice."""
        for left in self._pool.close():
            with contextlib.suppress(OSError):
                left.close()

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
        sandbox = self._ready() if spec == _USUAL else None
        sandbox = sandbox or self._prepared(spec)
        try:
            if not sandbox.process.waits:
                sandbox.process.settle(stop)
            yield sandbox
        finally:
            with contextlib.suppress(OSError):  # what is left is removed with the folder of the executor
                sandbox.close()

    def _ready(self) -> PreparedSandbox | None:
        while (ready := self._pool.take()) is not None:
            if ready.process.waits:
                return ready
            ready.close()
        return None

    def _spare(self) -> PreparedSandbox | None:
        """Make a sandbox that waits for a command, if user ids are left for it."""
        if self._uids is not None and self._uids.free <= _UIDS_LEFT:
            return None
        sandbox = self._prepared(_USUAL)
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
            layout = SandboxLayout(root, spec, uid)
            (layout.stage / "files").mkdir(parents=True)  # without isolation, its working directory
            root.chmod(0o700)
            stack.callback(remove_tree, root)
            os.link(self._shell, layout.stage / Path(SHELL).name)
            if uid is not None:
                made = () if spec.output is None else (spec.output / MADE_FILE, spec.output)
                for each in (*made, layout.stage / "files", layout.stage, root):  # first what is in it: then not ours
                    os.chown(each, uid, uid)
            group = stack.enter_context(self._groups.lend())
            calls = self._calls if self._isolation.name == "bubblewrap" else None
            process = stack.enter_context(contextlib.closing(Sandbox(self._isolation, layout, group, calls)))
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


def _written(content: bytes, file: Path) -> Path | None:
    if not content:
        return None
    file.write_bytes(content)
    return file


def choose_isolation(name: str) -> Isolation:
    """Return the isolation `name`; for "auto" bubblewrap or, where that does not work, unshare.

    Raises:
        ConfigError: there is no such isolation, or it does not work on this machine.
    """
    if name != "auto" and name not in ISOLATIONS:
        raise ConfigError(f"isolation is {name!r}; allowed are 'auto', {', '.join(map(repr, ISOLATIONS))}")
    complaints = []
    for chosen in map(ISOLATIONS.__getitem__, ("bubblewrap", "unshare") if name == "auto" else (name,)):
        reason = probe(chosen.name)
        if not reason:
            return chosen
        complaints.append(f"isolation {chosen.name} does not work here: {reason}; {chosen.advice}")
    raise ConfigError(f"{'; '.join(complaints)}{_WITHOUT if name != 'rlimits' else ''}")


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
    if isolation.name != "bubblewrap":
        calls, why = b"", "only bubblewrap does it"
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
