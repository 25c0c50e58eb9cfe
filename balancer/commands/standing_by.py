"""Standing by: a server of a pool that another one serves looks at its claim, and takes it when that one is silent."""

import asyncio
import signal
import socket
import ssl
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING

from balancer.cluster.leader import LeaderClaim
from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.standby import StandbyListener
from balancer.commands.stopping import told_to_stop
from balancer.errors import ConfigError

if TYPE_CHECKING:
    from balancer.observing.page.serving import Page

__all__ = ["Standby"]

_ANY = ("0.0.0.0", "::", "")


class Standby:
    """A server until its turn comes.

    Args:
        claim: its own.
        host, port, tls, token: see `StandbyListener`.
        say: called with each line of output.
        page: address and port of the page; None: there is none.
        name: of the pool, for the page.

    Attributes:
        waited: whether it had to wait.
        port, page: where it listened; as given, if it never did.
    """

    def __init__(
        self,
        claim: LeaderClaim,
        *,
        host: str,
        port: int,
        tls: ssl.SSLContext | None,
        token: str,
        say: Callable[[str], object],
        page: tuple[str, int] | None = None,
        name: str = "",
    ) -> None:
        self._claim = claim
        self._host = host
        self._tls = tls
        self._token = token
        self._say = say
        self._name = name
        self.page = page
        self.waited = False
        self.port = port

    async def wait(self) -> int:
        """Return 0 when the claim is taken, or the number of a signal that came before. Raises ConfigError."""
        stopped = told_to_stop()
        with suppress(NotImplementedError, RuntimeError):  # the config is read when its turn comes
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, bool)
        self._show()
        if await self._taken(first=True):
            return 0
        self.waited = True
        async with StandbyListener(self._host, self.port, self._tls, self._token, self._why) as listener:
            self.port = listener.port
            self._show()
            with self._shown_page() as shown:
                self._say(f"standing by at {self._address(self._host)}: {self._why()}")
                if shown is not None:
                    self._say(f"page at {shown.url}")
                sys.stdout.flush()
                while not stopped.done():
                    if await self._taken():
                        return 0
                    await asyncio.wait([stopped], timeout=self._claim.period_s)
        return stopped.result()

    def _shown_page(self) -> "AbstractContextManager[Page | None]":
        """Open the page, if there is one. Raises ConfigError."""
        if self.page is None:
            return nullcontext()
        from balancer.observing.page.standby_page import open_standby_page  # without a page, no web framework

        host, port = self.page
        shown, port = open_standby_page(host, port, self._why, self._name)
        self.page = host, port
        return shown

    def _show(self) -> None:
        host = socket.gethostname() if self._host in _ANY else self._host
        self._claim.shown = str(self._address(host)) if self.port else host

    def _address(self, host: str) -> Address:
        return Address(host, self.port, self._tls is not None)

    async def _taken(self, *, first: bool = False) -> bool:
        try:
            return await asyncio.to_thread(self._claim.stand_by)
        except OSError as error:
            if first and isinstance(error, PermissionError):
                raise ConfigError(f"--claim: {error}") from None
            return False  # `_why` says it

    def _why(self) -> str:
        if self._claim.trouble:
            return f"this server stands by, and cannot see who serves: {self._claim.trouble}"
        return f"this server stands by; {self._claim.serving or 'another one'} serves the pool"
