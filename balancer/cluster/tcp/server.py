"""The server of a cluster: one event loop around a coordinator, one connection for each member.

It stores the coordinator's record before it sends anything to a member that the stored record does not have. If the
record cannot be stored, e.g. on a full disk, it refuses new members and serves the others: the next coordinator will
wait for them.
"""

import asyncio
import hmac
import logging
import ssl
import time
from collections.abc import Callable
from math import inf
from typing import Any, Final, TypeAlias

from balancer.cluster.protocol import ClusterTimes, Coordinator, CoordinatorRecord
from balancer.cluster.protocol.messages import FromCoordinator, MemberId
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.codec import (
    LONGEST,
    VERSION,
    Closing,
    MessageSplitter,
    Opening,
    ProcessIdentity,
    WireError,
    encoded,
    read_from_member,
)
from balancer.cluster.tcp.liveness import has_died, is_visible
from balancer.cluster.tcp.record_file import RecordKeeper
from balancer.cluster.tcp.sniffing import LogLimiter, sniff_protocol
from balancer.core import Core
from balancer.errors import ConfigError

__all__ = ["PoolServer"]

_log = logging.getLogger("balancer.serve")

_OPENING_S: Final = 10.0  # for the first frame of a connection
_LONGEST_OPENING: Final = 16_384  # bytes of the first frame: a stranger costs no more memory
_MOST_UNSENT: Final = 32 * 2**20  # bytes; a member that does not read is disconnected
_SILENT_S: Final = 0.05  # until `may` is asked again
_SELDOM_S: Final = 60.0  # between two log lines about one peer
_ADVICE: Final = {
    "TLS": "this server has none: connect to balancer://, or give the server --cert and --key",
    "HTTP": "its page, if it has one, has a port of its own: --page",
}
_Sent: TypeAlias = list[tuple[MemberId, FromCoordinator]]
_LOOKS, _LOOK_S = 100, 0.02  # tests whether a process that closed its connection has died: how many, and how often


class PoolServer:
    """A coordinator behind a port.

    Args:
        core: the coordinator's core. Other code uses it only under `guard`.
        times: of the cluster.
        last: the record of the previous coordinator, as it is stored.
        keep: stores the record in its place; raises OSError.
        token: the token of members; "": none is needed.
        guard: runs each step. It gets the step as a function, and may lock what other threads read.
        told: called after each step, when nothing is locked.
        may: returns whether this coordinator may receive and send now. It must not if another one may have replaced it.
            Members repeat what they sent meanwhile.
        most: how many connections there may be. Further ones are refused and closed.
    """

    def __init__(
        self,
        core: Core,
        *,
        times: ClusterTimes,
        last: CoordinatorRecord | None,
        keep: Callable[[CoordinatorRecord], None],
        token: str = "",
        guard: Callable[[Callable[[], None]], None] | None = None,
        told: Callable[[], None] | None = None,
        may: Callable[[], bool] | None = None,
        most: float = inf,
    ) -> None:
        self._token = token.encode()
        self._guard = guard or _do
        self._told = told or _nothing
        self._may = may or _always
        self._lines: dict[MemberId, _Line] = {}
        self._records = RecordKeeper(keep, last, times.ttl_s)
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._open: set[_Line] = set()
        self._listening: list[asyncio.Server] = []
        self._over = False
        self._told_of = LogLimiter(_SELDOM_S)
        self._most = most
        now = clock()
        # An epoch is greater than all before even if the record is lost, if the machine's clock is about right.
        epoch = max(int(time.time() * 1000), last.epoch + 1 if last is not None else 0)
        self.coordinator = Coordinator(core, epoch=epoch, times=times, last=last, now=now)

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        """Return a server that listens; it has the port.

        Raises:
            OSError: it cannot listen.
            ConfigError: no record is stored, and none can be: nobody could be let in.
        """
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: _Line(self), host, port, ssl=tls, backlog=1024)
        self._listening.append(listening)
        self.act(_nothing)
        if not self._records.stored:
            listening.close()
            raise ConfigError(f"{self._records.trouble}; nobody can be let in, so make room or choose another place")
        return listening

    async def end(self) -> None:
        """Stop receiving and sending. Members keep their leases, and report them to the next server. Idempotent."""
        self._over = True
        self._wind()
        for listening in self._listening:
            listening.close()
        for line in [*self._open]:
            line.abort()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- connections -------------------------------------------------------------------------------

    def made(self, line: "_Line") -> str | None:
        """Accept a new connection. Return why not, or None."""
        self._open.add(line)
        if len(self._open) <= self._most:
            return None
        return (
            f"this server has {self._most:g} connections, which is the most that its limit of open files allows; start "
            "it where `ulimit -n` says more (of systemd: LimitNOFILE=)"
        )

    def left(self, peer: str, why: str) -> None:
        """Log that a connection was closed, but not each time."""
        now = clock()
        if self._told_of.may(peer, now):
            _log.warning("left a connection from %s: %s", peer, why)

    def opened(self, line: "_Line", opening: Opening) -> str | None:
        """Accept a connection with its first message. Return why not, or None."""
        if opening.version != VERSION:
            return f"it speaks version {opening.version}, and this server {VERSION}; install the same balancer on both"
        if not hmac.compare_digest(opening.token.encode(), self._token):
            return "the token is wrong, or there is none; give token=, or set BALANCER_SERVE_TOKEN"
        self._lines[opening.who] = line
        return None

    def lost(self, line: "_Line") -> None:
        """Handle the end of a connection. Its member keeps its leases, unless it is certainly dead."""
        self._open.discard(line)
        if line.who is None or self._lines.get(line.who) is not line:
            return
        del self._lines[line.who]
        if self._over:
            return
        if line.local is not None and is_visible(line.local):
            task = asyncio.get_running_loop().create_task(self._look_whether_dead(line.who, line.local))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _look_whether_dead(self, who: MemberId, local: ProcessIdentity) -> None:
        for _ in range(_LOOKS):
            if has_died(local):
                self.act(lambda: self.coordinator.vanished(who, clock()))
                return
            if who in self._lines:
                return
            await asyncio.sleep(_LOOK_S)

    # -- steps -------------------------------------------------------------------------------------

    def act(self, step: Callable[[], None]) -> None:
        """Do a step of the coordinator, store its record if that is new, and send its messages."""
        try:
            self._act(step)
        finally:  # unsent messages are sent again later
            self._wind()

    def _act(self, step: Callable[[], None]) -> None:
        if self._over or not self._may():
            return
        sent: _Sent = []

        def locked() -> None:
            step()
            now = clock()
            if now >= self.coordinator.due_s:
                self.coordinator.tick(now)
            sent.extend(self.coordinator.take_out(now))

        self._guard(locked)
        if not self._records.store(self.coordinator.record, clock()):
            if not self._may():
                return
            sent = self._without_newcomers(sent)
        by_line: dict[_Line, list[bytes]] = {}
        for who, message in sent:
            line = self._lines.get(who)
            if line is not None:
                by_line.setdefault(line, []).append(encoded(message))
        for line, frames in by_line.items():
            line.send(b"".join(frames))
        self._told()

    def _without_newcomers(
        self, sent: list[tuple[MemberId, FromCoordinator]]
    ) -> list[tuple[MemberId, FromCoordinator]]:
        """Refuse the members that are not in the stored record. Return the messages to the others."""
        newcomers = {who for who, _ in sent if not self._records.has(who)}
        for who in newcomers:
            line = self._lines.pop(who, None)
            if line is not None:
                line.refuse(f"it cannot let in anybody new: {self._records.trouble}; it serves those that it knows")
        if newcomers:
            asyncio.get_running_loop().call_soon(self.act, lambda: self._forget(newcomers))
        return [(who, message) for who, message in sent if who not in newcomers]

    def _forget(self, newcomers: set[MemberId]) -> None:
        for who in newcomers:
            if who not in self._lines:  # else it has come again since
                self.coordinator.vanished(who, clock())

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = min(self.coordinator.due_s, self._records.due_s)
        if due_s < inf and not self._over:
            loop = asyncio.get_running_loop()
            least_s = 0.0 if self._may() else _SILENT_S
            self._timer = loop.call_later(max(least_s, due_s - clock()), self.act, _nothing)


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: PoolServer) -> None:
        self._server = server
        self._splitter = MessageSplitter(_LONGEST_OPENING)
        self._transport: asyncio.Transport
        self._late: asyncio.TimerHandle | None = None
        self._heard_any = False
        self.who: MemberId | None = None
        self.local: ProcessIdentity | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "of TCP or TLS"
        self._transport = transport
        why = self._server.made(self)
        if why is not None:
            self._close(why)
            return
        self._late = asyncio.get_running_loop().call_later(_OPENING_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        if not self._heard_any:
            self._heard_any = True
            spoken = sniff_protocol(data)
            if spoken in _ADVICE:
                self._leave(f"{spoken} was spoken to the port of a pool; {_ADVICE[spoken]}")
                self._transport.close()  # it speaks another protocol, so it gets no answer
                return
        try:
            messages = []
            for body in self._splitter.feed(data):
                message = read_from_member(body)
                if self.who is not None:
                    messages.append(message)
                elif not self._open(message):
                    return
            if messages:
                self._hear(messages)
        except WireError as error:
            self._close(f"this is no message of a member: {error}")

    def _open(self, opening: Any) -> bool:
        """Handle the first message of a member. Return whether it is accepted."""
        if not isinstance(opening, Opening):
            raise WireError(f"{type(opening).__name__} before the opening")
        why = self._server.opened(self, opening)
        if why is not None:
            self._close(why)
            return False
        self.who, self.local = opening.who, opening.local
        self._splitter.longest = LONGEST
        if self._late is not None:
            self._late.cancel()
        return True

    def _hear(self, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Opening) or message.who != self.who:
                raise WireError("it speaks for another member")
        coordinator = self._server.coordinator

        def step() -> None:
            for message in messages:
                coordinator.receive(message, clock())

        self._server.act(step)

    def _close(self, why: str) -> None:
        self._leave(why)
        self.refuse(why)

    def refuse(self, why: str) -> None:
        """Tell the member why the connection ends, and end it."""
        self._transport.write(encoded(Closing(why)))
        self._transport.close()

    def _leave(self, why: str) -> None:
        peer = self._transport.get_extra_info("peername")
        self._server.left(peer[0] if peer else "somewhere", why)

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def send(self, data: bytes) -> None:
        """Send frames. A member that does not read is disconnected, and may come back."""
        if self._transport.get_write_buffer_size() > _MOST_UNSENT:
            self._transport.abort()
        else:
            self._transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._late is not None:
            self._late.cancel()
        self._server.lost(self)


def _do(step: Callable[[], None]) -> None:
    step()


def _nothing() -> None:
    pass


def _always() -> bool:
    return True
