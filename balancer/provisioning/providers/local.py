"""Local sandboxes: `balancer sandbox` servers on loopback, each a process of this machine.

The label and the key of a server are in its environment, so a later owner finds it while it lives, and only then. An id
is a process and the time of its start, as the system uses the numbers of processes again.
"""

import os
import secrets
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from balancer.hookspecs import hookimpl
from balancer.provider import Instance, Provider, ProviderError
from balancer.settings.strategy_options import StrategyOptions
from balancer.source import EndpointTemplate
from balancer.values.redaction import in_one_line

__all__ = ["LocalProvider"]

_PROC: Final = Path("/proc")
_LABEL, _KEY = "BALANCER_ACCOUNT_LABEL", "BALANCER_ACCOUNT_KEY"
_TOKEN: Final = "BALANCER_SANDBOX_TOKEN"
_LISTENS: Final = "sandbox listens on "
_WITHIN_S: Final = 60.0  # until a new server listens
_GRACE_S: Final = 6.0  # for a server to end by itself
_BEAT_S: Final = 0.02
_SHOWN: Final = 120
_STARTED: Final = 19  # the place of the start time in /proc/PID/stat, after the name


class LocalProvider(Provider):
    """`balancer sandbox` servers of this machine. A server runs as many programs at once as its endpoint has slots."""

    name = "local"
    extra = "server"

    class Options(StrategyOptions):
        """Options.

        Attributes:
            isolation: how programs are kept apart from this machine; as in `[[endpoints]]`.
            queue: requests that may wait in a server.
        """

        isolation: Literal["auto", "bubblewrap", "unshare", "rlimits"] = "auto"
        queue: Annotated[int, Field(ge=0)] = 64

    options: Options

    def __init__(self, options: Options, template: EndpointTemplate) -> None:
        super().__init__(options, template)
        if not (_PROC / "self" / "environ").exists():
            raise ProviderError("it finds its servers in /proc, and this system has none; use Linux")
        self._lock = threading.Lock()
        self._own: dict[str, subprocess.Popen[bytes]] = {}  # by id; a child must be waited for

    def create(self, label: str, key: str) -> Instance:
        """Start a server, and wait until it listens."""
        token = secrets.token_hex(16)
        command = [sys.executable, "-m", "balancer", "sandbox", "--port", "0", "--queue", str(self.options.queue)]
        command += ["--workers", str(self.template.capacity), "--isolation", self.options.isolation]
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, _LABEL: label, _KEY: key, _TOKEN: token},
            start_new_session=True,  # a ctrl-C at the terminal is for the owner, which ends it
        )
        try:
            url = _url_of(server)
            id = f"{server.pid}-{_started(server.pid)}"
            headers = {**self.template.headers, "Authorization": f"Bearer {token}"}
            made = Instance(id, self.template.endpoint(url, headers=headers))
        except BaseException:
            _end(server)
            raise
        with self._lock:
            self._own[id] = server
        return made

    def destroy(self, id: str) -> None:
        """End a server, and what runs in it."""
        with self._lock:
            server = self._own.get(id)
        if server is not None:
            _end(server)
            with self._lock:
                self._own.pop(id, None)
            return
        pid, _, started = id.partition("-")
        if pid.isdecimal() and started:
            _end_other(int(pid), started)

    def find(self, label: str) -> Mapping[str, str]:
        """Look for servers of this user with this label. What a server has started, has its environment, too."""
        first: dict[str, tuple[int, int]] = {}  # by key: when the first process with it started, and its number
        for folder in _PROC.iterdir():
            if not folder.name.isdecimal():
                continue
            environ = _environ(folder)
            if environ.get(_LABEL) == label and _KEY in environ:
                pid, key = int(folder.name), environ[_KEY]
                with suppress(OSError):  # it has just ended
                    if os.getsid(pid) == pid and (started := _started(pid)):
                        first[key] = min(first.get(key, (int(started), pid)), (int(started), pid))
        return {f"{pid}-{started}": key for key, (started, pid) in first.items()}


def _url_of(server: subprocess.Popen[bytes]) -> str:
    """Return the URL at which a new server listens. Raises ProviderError if it does not."""
    assert server.stdout is not None
    output, said = server.stdout.fileno(), b""
    until_s = time.monotonic() + _WITHIN_S
    while select.select([output], [], [], max(0.0, until_s - time.monotonic()))[0]:
        part = os.read(output, 4096)
        if not part:
            words = in_one_line(said.decode("utf-8", "replace"), _SHOWN)
            raise ProviderError(f"balancer sandbox has ended: {words or 'it said nothing'}")
        said += part
        for line in said.decode("utf-8", "replace").splitlines(keepends=True):
            if line.startswith(_LISTENS) and line.endswith("\n"):
                return line.removeprefix(_LISTENS).split()[0]
    raise ProviderError(f"balancer sandbox did not listen within {_WITHIN_S:g} s")


def _end(server: subprocess.Popen[bytes]) -> None:
    """End a server that this process has started, and wait for it."""
    if server.poll() is None:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):
            server.wait(_GRACE_S)
    with suppress(ProcessLookupError):  # what has stayed of its group
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    if server.stdout is not None:
        server.stdout.close()


def _end_other(pid: int, started: str) -> None:
    """End a server of an earlier owner. Raises ProviderError if it does not end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until_s = time.monotonic() + _GRACE_S
        with suppress(ProcessLookupError):
            if _started(pid) == started:
                os.killpg(pid, number)
        while _started(pid) == started:
            if time.monotonic() > until_s:
                break
            time.sleep(_BEAT_S)
        else:
            return
    raise ProviderError(f"process {pid} does not end")


def _started(pid: int) -> str:
    """Return the time at which a process started, in ticks since the start of the system; "": it has ended."""
    try:
        state, *fields = (
            (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        )
    except OSError:
        return ""
    return "" if state in "ZX" else fields[_STARTED - 1]


def _environ(folder: Path) -> dict[str, str]:
    """Return the environment with which a process was started; {}: it has ended, or is another user's."""
    try:
        text = (folder / "environ").read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    return dict(name.partition("=")[::2] for name in text.split("\0"))


@hookimpl
def balancer_providers() -> list[type[Provider]]:
    """Offer this provider."""
    return [LocalProvider]
