"""Machines for tests, as network namespaces: two with one cable between them that can be cut. Linux, iproute2."""

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.patience import PATIENCE_S

_TOOLS = ("ip", "unshare", "nsenter")


class CannotCut(Exception):
    """Why there can be no such machines here."""


class Namespaces:
    """Network namespaces, each kept by a process that sleeps.

    Raises:
        CannotCut: this machine has no such thing, or does not let us.
    """

    def __init__(self) -> None:
        if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
            raise CannotCut(f"no {', '.join(missing)}")
        self._keepers: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """Leave nothing behind."""
        for keeper in self._keepers:
            keeper.kill()
            keeper.wait()
            if keeper.stderr is not None:
                keeper.stderr.close()

    def _namespace(self, command: list[str]) -> list[str]:
        own = {os.readlink("/proc/self/ns/net"), *(_namespace_of(each.pid) for each in self._keepers)}
        keeper = subprocess.Popen([*command, "sleep", "3600"], stderr=subprocess.PIPE)
        self._keepers.append(keeper)
        until_s = time.monotonic() + PATIENCE_S
        while _namespace_of(keeper.pid) in own or Path(f"/proc/{keeper.pid}/comm").read_text().strip() != "sleep":
            if keeper.poll() is not None:
                assert keeper.stderr is not None
                raise CannotCut(f"unshare: {keeper.stderr.read().decode().strip()}")
            if time.monotonic() > until_s:
                raise CannotCut("unshare: it takes too long")
            time.sleep(0.01)
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", "--target", str(keeper.pid), "--net", *user]

    def _ip(self, side: list[str], *words: str) -> None:
        ran = subprocess.run([*side, "ip", *words], capture_output=True, text=True, check=False)
        if ran.returncode:
            raise CannotCut(f"ip {' '.join(words)}: {ran.stderr.strip()}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Cable(Namespaces):
    """Two namespaces, and a cable.

    Attributes:
        here, there: what a command begins with that is to run in the one or the other.
        address: of `here`, for both.

    Raises:
        CannotCut: this machine has no such thing, or does not let us.
    """

    def __init__(self) -> None:
        super().__init__()
        self.address = "10.99.0.1"
        root = os.geteuid() == 0
        try:
            self.here = self._namespace(["unshare", "--net"] if root else ["unshare", "--net", "--map-root-user"])
            self.there = self._namespace([*self.here, "unshare", "--net"])
            far = str(self._keepers[1].pid)
            self._ip(self.here, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", far)
            for side, name, address in ((self.here, "near", self.address), (self.there, "far", "10.99.0.2")):
                self._ip(side, "addr", "add", f"{address}/24", "dev", name)
                self._ip(side, "link", "set", name, "up")
                self._ip(side, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    def cut(self) -> None:
        """Let nothing through; nobody is told."""
        self._ip(self.here, "link", "set", "near", "down")

    def mend(self) -> None:
        """Let all through again."""
        self._ip(self.here, "link", "set", "near", "up")


def _namespace_of(pid: int) -> str:
    with suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/net")
    return ""
