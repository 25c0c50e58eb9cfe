"""A member's connection to its server: one thread with an event loop, which reconnects when it is lost.

Without a connection it still does what is due: most of all, a member must stop using its leases in time.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Any, Final, Protocol

from balancer.cluster.protocol.messages import FromCoordinator, FromMember, MemberId
from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.codec import (
    VERSION,
    Closing,
    MessageSplitter,
    Opening,
    WireError,
    encoded,
    read_from_coordinator,
)
from balancer.cluster.tcp.liveness import own_identity
from balancer.errors import BalancerError

__all__ = ["ConnectionCallbacks", "MemberConnection"]

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0  # between attempts to connect
_CONNECT_S: Final = 5.0
_REACH: Final = "is `balancer serve` running there, at this port, and does a firewall let this machine through?"
_NO_WORD: Final = (
    "it closed the connection without an answer; if it has TLS, connect to balancers://; give the port that "
    "`balancer serve` printed, not the port of its page"
)


class ConnectionCallbacks(Protocol):
    """The member of a connection, behind its lock. Only the thread of the connection calls these."""

    def heard(self, messages: Sequence[FromCoordinator]) -> None:
        """Handle messages of the coordinator."""
        ...

    def due(self) -> None:
        """Do what is due."""
        ...

    @property
    def over(self) -> bool:
        """True once nothing is left to send or to receive."""
        ...

    @property
    def silence_s(self) -> float:
        """A connection without a message for so many seconds counts as dead."""
        ...

    def out(self, again: bool) -> tuple[list[FromMember], float]:
        """Return the messages to send, and when something is due, by `clock`. `again`: the connection is new."""
        ...


class MemberConnection:
    """A connection that is made again whenever it is lost.

    Args:
        address: of the server.
        tls: the TLS context; None: without TLS.
        token: the server's token.
        who: the member's id.
        party: the member.
        seek: returns the current address of the server and its token, after the connection is lost. It may take long,
            and may raise BalancerError. None: the address does not change.

    Attributes:
        refused: why the server refuses this member; "": it does not.
    """

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext | None,
        token: str,
        who: MemberId,
        party: ConnectionCallbacks,
        seek: Callable[[], tuple[Address, str]] | None = None,
    ) -> None:
        self._address = address
        self._tls = tls
        self._token = token
        self._who = who
        self._seek = seek
        self._sought: asyncio.Future[tuple[Address, str]] | None = None
        self._party = party
        self._loop = asyncio.new_event_loop()
        self._transport: asyncio.Transport | None = None
        self._over = asyncio.Event()
        self._gone: asyncio.Event  # set when the connection is lost, or must not be made any more
        self._timer: asyncio.TimerHandle | None = None
        self._stirring = threading.Lock()  # held while a flush is on its way to the loop
        self._ending = False
        self._heard_s = 0.0
        self._answered = False  # on this connection
        self.refused = ""
        self.trouble = ""  # why there is no connection now
        self._thread = threading.Thread(target=self._run, name="balancer-line", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stir(self) -> None:
        """Send pending messages soon; from any thread."""
        if threading.current_thread() is not self._thread and self._stirring.acquire(blocking=False):
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._flush_stirred)

    def end(self, within_s: float = 2.0) -> None:
        """Send pending messages, and end."""
        if threading.current_thread() is self._thread:
            return
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._end)
        self._thread.join(within_s)

    # -- in the thread of the loop -----------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._stay())
        finally:
            self._loop.close()

    async def _stay(self) -> None:
        pause_s, again = _FIRST_PAUSE_S, False
        self._flush()
        while not self._ending:
            self._gone = asyncio.Event()
            try:
                async with asyncio.timeout(_CONNECT_S):
                    if again and self._seek is not None:
                        await self._find(self._seek)
                    again = True
                    await self._loop.create_connection(
                        lambda: _Talk(self), self._address.host, self._address.port, ssl=self._tls
                    )
                self.trouble, pause_s = "", _FIRST_PAUSE_S
            except (OSError, TimeoutError, BalancerError) as error:
                self.trouble = _trouble_of(error, self._address)
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
                continue
            await self._gone.wait()  # after a close, `lost` follows
            if not self._ending:
                await self._pause(_LAST_PAUSE_S if self.refused else _FIRST_PAUSE_S)

    async def _find(self, seek: Callable[[], tuple[Address, str]]) -> None:
        """Find the server in a separate thread: a member must stop in time even if `seek` blocks."""
        if self._sought is None:
            self._sought = self._loop.create_future()
            threading.Thread(target=self._ask, args=(seek, self._sought), name="balancer-seek", daemon=True).start()
        found = await asyncio.shield(self._sought)
        self._sought = None
        if found != (self._address, self._token):
            self._address, self._token = found
            self.refused = ""

    def _ask(self, seek: Callable[[], tuple[Address, str]], sought: "asyncio.Future[tuple[Address, str]]") -> None:
        try:
            found, error = seek(), None
        except BalancerError as why:
            found, error = None, why

        def tell() -> None:
            if error is not None:
                self._sought = None
                sought.set_exception(error)
                sought.exception()  # the waiting code may be gone
            elif found is not None:
                sought.set_result(found)

        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(tell)

    async def _pause(self, for_s: float) -> None:
        """Wait for so many seconds, or until the connection must end."""
        with suppress(TimeoutError):
            async with asyncio.timeout(for_s):
                await self._over.wait()

    def made(self, transport: asyncio.Transport) -> None:
        """Start to send and receive."""
        self._transport = transport
        self._heard_s, self._answered = clock(), False
        transport.write(encoded(Opening(VERSION, self._token, self._who, own_identity())))
        self._flush(again=True)

    def lost(self, transport: asyncio.Transport) -> None:
        """Stop to send and receive."""
        if self._transport is transport:
            self._transport = None
        if not self._answered:
            self.trouble = _NO_WORD
        self._gone.set()
        if not self._ending:
            self._flush()  # time passes without a connection too

    def heard(self, messages: list[Any]) -> None:
        """Handle messages of the server."""
        self._heard_s, self._answered = clock(), True
        for message in messages:
            if isinstance(message, Closing):
                self.refused = message.why
                if self._transport is not None:
                    self._transport.abort()
                return
        self.refused = ""  # a server that refused it before has let it in
        self._party.heard(messages)
        self._flush()

    def _flush_stirred(self) -> None:
        self._stirring.release()
        self._flush()

    def _flush(self, *, again: bool = False) -> None:
        transport = self._transport
        if transport is not None and clock() - self._heard_s > self._party.silence_s and not self._ending:
            self._transport = None
            transport.abort()  # a cut network gives no error; a new connection finds out sooner than this one
            transport = None
        if transport is not None:
            messages, due_s = self._party.out(again)
            while messages:
                transport.write(b"".join(map(encoded, messages)))
                messages, due_s = self._party.out(False)
        else:  # nothing is sent, but time passes
            self._party.due()
            due_s = clock() + _FIRST_PAUSE_S
        if self._party.over and not self._ending:
            self._end()
            return
        if self._timer is not None:
            self._timer.cancel()
        if due_s < inf:
            self._timer = self._loop.call_later(max(0.001, due_s - clock()), self._due)

    def _due(self) -> None:
        self._timer = None
        self._party.due()
        self._flush()

    def _end(self) -> None:
        self._ending = True
        self._over.set()
        self._flush()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.close()  # sends pending data first


def _trouble_of(error: Exception, address: Address) -> str:
    """Return why it cannot connect, and what to do, in a line."""
    if isinstance(error, BalancerError):
        return str(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        what = f"its certificate was refused: {error.verify_message}"
        return f"{what}; connect by a name that is in it, and give ca= (--ca) the PEM file of its issuer"
    if isinstance(error, socket.gaierror):
        return f"no address is known for {address.host!r}; check the host in the URL"
    if isinstance(error, TimeoutError):
        return f"no answer within {_CONNECT_S:g} s; {_REACH}"
    if (
        isinstance(error, ssl.SSLError | ConnectionError)
        and address.tls
        and not isinstance(error, ConnectionRefusedError)
    ):
        return "it speaks no TLS, or no version that this machine speaks; if it has no --cert, connect to balancer://"
    return f"{getattr(error, 'strerror', None) or error}; {_REACH}"


class _Talk(asyncio.Protocol):
    """One connection."""

    def __init__(self, line: MemberConnection) -> None:
        self._line = line
        self._splitter = MessageSplitter()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "of TCP or TLS"
        self._transport = transport
        self._line.made(transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._line.heard([read_from_coordinator(body) for body in self._splitter.feed(data)])
        except WireError:
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._line.lost(self._transport)
