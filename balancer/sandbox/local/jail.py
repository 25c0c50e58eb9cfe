"""Run one command in isolation: in a prepared sandbox, or in one that is made for it.

Decides which cell a command gets, and tells a broken set-up (`EndpointError`) from the command's own end
(`ProcessResult`). It must not know languages, compilers or verdicts.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from balancer.errors import EndpointError
from balancer.sandbox.languages.layout import check_name
from balancer.sandbox.local.cgroups import own_cgroups
from balancer.sandbox.local.command import ProcessResult, StopReason
from balancer.sandbox.local.isolation.base import Isolation
from balancer.sandbox.local.isolation.calls import filter_of_calls
from balancer.sandbox.local.isolation.script import guarded_shell
from balancer.sandbox.local.prepared import IsolatedCommand, PreparedSandbox, SandboxHost, SandboxSpec, prepare_sandbox
from balancer.sandbox.local.shutdown import RunAbandoned, either_readable, is_readable
from balancer.sandbox.local.uids import own_uids
from balancer.sandbox.local.warm_pool import WarmPool

__all__ = ["IsolatedCommand", "Jail", "SandboxSpec"]

_UIDS_LEFT = 128  # user ids that cells without work leave to those that have some


class Jail:
    """Runs commands in one isolation. Thread-safe.

    Args:
        isolation: how they are kept apart.
        base: folder for the private folders of runs; with root, others must be able to pass through it.
        endpoint: named in errors.
        stop: file descriptor; when it becomes readable, all running commands are killed.
        prepared: how many cells may wait for commands, at most.
    """

    def __init__(
        self, isolation: Isolation, base: Path, *, endpoint: str, stop: int | None = None, prepared: int = 0
    ) -> None:
        self._isolation = isolation
        self._endpoint = endpoint
        self._stop = stop
        self._site = SandboxHost(
            isolation=isolation,
            base=base,
            shell=guarded_shell(base),
            calls=_written(filter_of_calls()[0], base / "calls"),
            groups=own_cgroups(),
            uids=own_uids() if os.geteuid() == 0 else None,
        )
        self._stock: WarmPool[SandboxSpec, PreparedSandbox] = WarmPool(self._spare, prepared)

    def close(self) -> None:
        """Clear the cells that wait. Nothing may run any more. May be called twice."""
        self._stock.close()

    def run(self, wanted: IsolatedCommand, *, stop: int | None = None) -> ProcessResult:
        """Run `wanted` and return how it ended.

        Args:
            wanted: what to run.
            stop: file descriptor; when it becomes readable, this command is killed.

        Raises:
            EndpointError: the command could not be started, or somebody killed its sandbox; `RunAbandoned`: because of
                `stop`.
            ValueError: a file name or an argument of `wanted` is not safe.
        """
        for name in (*wanted.files, *wanted.fetch):
            check_name(name)
        if any("\n" in name for name in wanted.fetch):
            raise ValueError("the name of a file to fetch has a line break; name the file otherwise")
        if wanted.fetch and not self._isolation.nested:
            raise ValueError(f"files cannot be fetched from isolation {self._isolation.name!r}; use another one")
        try:
            with either_readable(self._stop, stop) as signal, self._cell(wanted.kind, signal) as cell:
                ended = cell.run(wanted, signal)
        except OSError as error:
            raise self._broken(f"cannot start a program: {error.strerror or error}") from error
        if ended.cut is StopReason.STOP and stop is not None and is_readable(stop):
            raise RunAbandoned("stopped, because nobody waits for it any more", endpoint=self._endpoint)
        self._check(ended)
        return ended

    @contextmanager
    def _cell(self, kind: SandboxSpec, stop: int | None) -> Iterator[PreparedSandbox]:
        """Lend a cell; one that did not settle tells why when it is run. At the end nothing runs in it any more."""
        cell = self._ready(kind) or prepare_sandbox(self._site, kind)
        try:
            if not cell.sandbox.is_alive:
                cell.sandbox.settle(stop)
            yield cell
        finally:
            cell.sandbox.close()
            self._stock.clear(cell)

    def _ready(self, kind: SandboxSpec) -> PreparedSandbox | None:
        if kind.output is None:  # else no other command has the same kind
            while (ready := self._stock.take(kind)) is not None:
                if ready.sandbox.is_alive:
                    return ready
                ready.close()
        return None

    def _spare(self, kind: SandboxSpec) -> PreparedSandbox | None:
        """Make a cell that waits for a command, if there is room for it."""
        if self._site.uids is not None and self._site.uids.free <= _UIDS_LEFT:
            return None
        cell = prepare_sandbox(self._site, kind)
        waits = False
        try:
            waits = cell.sandbox.settle(self._stop)
        finally:
            if not waits:
                cell.close()
        return cell if waits else None

    def _check(self, ended: ProcessResult) -> None:
        """Raise for everything that is not the command's own end."""
        if ended.cut is StopReason.STOP:
            raise self._broken("stopped, because the executor was closed")
        if ended.lost:
            raise self._broken("the sandbox was killed from outside; is the machine out of memory?")
        if not ended.ready:
            last = ended.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:200]
            reason = last or (f"no start within the {ended.cut.value} limit" if ended.cut else "no reason given")
            raise self._broken(f"{self._isolation.name} cannot start a program: {reason}")

    def _broken(self, reason: str) -> EndpointError:
        return EndpointError(reason, endpoint=self._endpoint)


def _written(content: bytes, file: Path) -> Path | None:
    if not content:
        return None
    file.write_bytes(content)
    return file
