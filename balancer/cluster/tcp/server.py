"""The server of a cluster: one event loop around a coordinator, one connection for each member.

It stores the coordinator's record before it sends anything to a member that the stored record does not have. If the
record cannot be stored, e.g. on a full disk, it refuses new members and serves the others: the next coordinator will
wait for them.

A connection counts, and its time runs, from when it is accepted: before TLS, and before its first message.
"""

import asyncio
import errno
import hmac
import logging
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib.util import find_spec
from math import inf
from typing import Any, Final, TypeAlias, cast

from balancer.cluster.protocol import ClusterTimes, Coordinator, CoordinatorRecord
from balancer.cluster.protocol.messages import FromCoordinator, FromMember, MemberId
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
from balancer.cluster.tcp.connection_limit import ConnectionLimit, network_of
from balancer.cluster.tcp.liveness import has_died, is_visible
from balancer.cluster.tcp.record_file import RecordKeeper
from balancer.cluster.tcp.sniffing import LogLimiter, sniff_protocol
from balancer.core import Core
from balancer.errors import ConfigError

__all__ = ["PoolServer", "loop_factory"]

_log = logging.getLogger("balancer.serve")

_OPENING_S: Final = 10.0  # from the start of a connection to the end of its first frame
_MOST_OPENING, _MOST_OPENING_TLS = 8192, 1024  # connections without a first frame: 6 kB of memory each, with TLS 0.3 MB
_SILENT_TTLS: Final = 3.0  # TTLs until a connection without a frame is closed: its machine may have vanished
_BACKLOG: Final = 1024
_AGAIN_S: Final = 1.0  # until somebody new is let in again, when no file is left
_NO_FILES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_LONGEST_OPENING: Final = 16_384  # bytes of the first frame: a stranger costs no more memory
_MOST_UNSENT: Final = 32 * 2**20  # bytes; a member that does not read is disconnected
_SILENT_S: Final = 0.05  # until `may` is asked again
_SELDOM_S: Final = 60.0  # between two log lines about one peer
_ADVICE: Final = {
    "TLS": "this server has no TLS: connect to balancer://, or give the server --cert and --key",
    "HTTP": "ask for the page at its own port: --page",
}
_Sent: TypeAlias = list[tuple[MemberId, FromCoordinator]]
_LOOKS, _LOOK_S = 100, 0.02  # tests whether a process that closed its connection has died: how many, and how often


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop: uvloop's where it is installed, as it needs less CPU for each message."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made


class PoolServer:
    """A coordinator behind a port.

    Args:
        core: the coordinator's core. Other code uses it only under `guard`, and wakes the waiters that it ends.
        times: of the cluster.
        last: the record of the previous coordinator, as it is stored.
        keep: stores the record in its place; raises OSError.
        token: the token of members; "": none is needed.
        guard: runs each step. It gets the step as a function, and may lock what other threads read.
        told: called after each step, when nothing is locked.
        may: returns whether this coordinator may receive and send now. It must not if another one may have replaced it.
            Members are told why not, and sent away. They keep their leases, and repeat what they said.
        why_not: returns why it may not.
        most: how many members may be connected. Further ones are refused. There is one connection more, for somebody
            who has not said anything yet; with a second one, the longest silent one is closed.
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
        why_not: Callable[[], str] | None = None,
        most: float = inf,
    ) -> None:
        self._token = token.encode()
        self._guard = guard or _do
        self._told = told or _nothing
        self._may = may or _always
        self._why_not = why_not or _no_reason
        self._lines: dict[MemberId, _Line] = {}
        self._records = RecordKeeper(keep, last, times.ttl_s)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = inf
        self._received: list[FromMember] = []  # in this turn of the loop
        self._tasks: set[asyncio.Task[None]] = set()
        self._arriving: set[asyncio.Task[None]] = set()
        self._listening: list[socket.socket] = []
        self._over = False
        self._told_of = LogLimiter(_SELDOM_S)
        self._most = most
        self._open: ConnectionLimit[_Line] = ConnectionLimit(most + 1, _MOST_OPENING)
        self.silent_s = max(_OPENING_S, _SILENT_TTLS * times.ttl_s)
        now = clock()
        # An epoch is greater than all before even if the record is lost, if the machine's clock is about right.
        epoch = max(int(time.time() * 1000), last.epoch + 1 if last is not None else 0)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False
        self.coordinator = Coordinator(core, epoch=epoch, times=times, last=last, now=now, woken=self._wake)

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Listen, and return the port.

        Raises:
            OSError: it cannot listen.
            ConfigError: no record is stored, and none can be: nobody could be let in. With `may` it goes on, and tries.
        """
        self._loop = loop = asyncio.get_running_loop()
        bound = await loop.create_server(asyncio.Protocol, host, port, start_serving=False)
        listening = [each.dup() for each in bound.sockets]
        bound.close()
        self._listening += listening
        if tls is not None:
            self._open.most_waiting = _MOST_OPENING_TLS
        for each in listening:
            each.setblocking(False)
            each.listen(_BACKLOG)
        for each in listening:
            self._begin(self._accept(each, tls))
        self.act(_nothing)
        if not self._records.stored and self._may is _always:
            raise ConfigError(f"{self._records.trouble}; nobody can be let in, so make room or choose another place")
        found: int = listening[0].getsockname()[1]
        return found

    async def end(self) -> None:
        """Stop receiving and sending. Members keep their leases, and report them to the next server. Idempotent."""
        self._over = True
        self._wind()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for listening in self._listening:
            listening.close()
        for line in self._open:
            line.abort()
        await asyncio.gather(*self._arriving, return_exceptions=True)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- connections -------------------------------------------------------------------------------

    async def _accept(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Accept connections, one in each turn of the loop, so that earlier ones are heard in between."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                await asyncio.sleep(self._pause_s(error))
                continue
            line = _Line(self, accepted, address)
            self.wait(line, "an opening")
            task = loop.create_task(self._arrive(line, accepted, tls))
            self._arriving.add(task)
            task.add_done_callback(self._arriving.discard)
            await asyncio.sleep(0)

    def _pause_s(self, error: OSError) -> float:
        """Return how long nobody is let in after `error`. If no file is left, the longest silent one gives one back."""
        if error.errno not in _NO_FILES:
            return 0.0  # the peer has gone already
        line = self._open.longest_waiting()
        if line is not None:
            self._close_silent(line)
            return 0.0
        if self._told_of.may("", clock()):
            _log.error(
                "no open files are left (%s), so new connections are refused; start the server with a higher "
                "`ulimit -n` (systemd: LimitNOFILE=)",
                error.strerror,
            )
        return _AGAIN_S

    async def _arrive(self, line: "_Line", accepted: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Do the handshake of a new connection, if there is one."""
        terms: dict[str, Any] = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": _OPENING_S}
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: line, accepted, **terms)
        except OSError as error:  # no handshake, or not in time
            error.__traceback__ = None  # it is in a cycle with the buffers of TLS, which would stay until a collection
        finally:
            if not line.made:
                line.connection_lost(None)

    def wait(self, line: "_Line", what: str) -> None:
        """Note that `what` is waited for from a connection. If there are too many, the longest silent one is closed."""
        self._open.wait(line, what, line.network)
        while (surplus := self._open.surplus()) is not None:
            self._close_silent(surplus)

    def heard(self, line: "_Line") -> None:
        """Note that a member has sent a frame: its connection is kept."""
        self._open.serve(line)

    def _close_silent(self, line: "_Line") -> None:
        self.left(line.peer, "there are too many connections, and this one was silent for longest")
        self._open.leave(line)
        line.abort()

    def left(self, peer: str, why: str) -> None:
        """Log that a connection was closed, but not each time."""
        now = clock()
        if self._told_of.may(peer, now):
            _log.warning("closed a connection from %s: %s", peer, why)

    def opened(self, line: "_Line", opening: Opening) -> str | None:
        """Accept a connection with its first message. Return why not, or None."""
        if opening.version != VERSION:
            return f"it speaks version {opening.version}, this server {VERSION}; install the same balancer on both"
        if not hmac.compare_digest(opening.token.encode(), self._token):
            return "the token is wrong or missing; give token=, or set BALANCER_SERVE_TOKEN"
        if not self._may():
            return self._why_not()
        if self._open.served >= self._most:
            return (
                f"this server has {self._most:g} connections, the most that its limit of open files allows; "
                "start it with a higher `ulimit -n` (systemd: LimitNOFILE=)"
            )
        self._lines[opening.who] = line
        asyncio.get_running_loop().call_soon(self.act, lambda: self.coordinator.reconnected(opening.who))
        return None

    def lost(self, line: "_Line") -> None:
        """Handle the end of a connection. Its member keeps its leases, unless it is certainly dead."""
        self._open.leave(line)
        if line.who is None or self._lines.get(line.who) is not line:
            return
        del self._lines[line.who]
        if self._over:
            return
        if line.local is not None and is_visible(line.local):
            self._begin(self._look_whether_dead(line.who, line.local))

    async def _look_whether_dead(self, who: MemberId, local: ProcessIdentity) -> None:
        for _ in range(_LOOKS):
            if has_died(local):
                self.act(lambda: self.coordinator.vanished(who, clock()))
                return
            if who in self._lines:
                return
            await asyncio.sleep(_LOOK_S)

    # -- steps -------------------------------------------------------------------------------------

    def receive(self, messages: list[FromMember]) -> None:
        """Handle messages at the end of this turn of the loop: all of them in one step, and one write for each member.

        So a turn in which many members are heard costs less for each.
        """
        if not self._received:
            asyncio.get_running_loop().call_soon(self._hear)
        self._received += messages

    def _hear(self) -> None:
        messages, self._received = self._received, []
        self.act(lambda: self.coordinator.receive_all(messages, clock()))

    def act(self, step: Callable[[], None]) -> bool:
        """Do a step of the coordinator, store its record if that is new, and send its messages.

        Return False if nothing was done, because this server may not act now, or has ended.
        """
        try:
            if self._over or self._sends_away():
                return False
            self._act(step)
        finally:  # unsent messages are sent again later
            self._wind()
        return True

    @property
    def unstored(self) -> str:
        """Why the record of its last step is not stored; "": it is. It tries again."""
        return self._records.trouble

    def why_not(self) -> str:
        """Return why it may not act, for people."""
        return "the server has ended" if self._over else self._why_not()

    def _act(self, step: Callable[[], None]) -> None:
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

    def _sends_away(self) -> bool:
        """Return whether this coordinator may not act now. If so, tell those who are connected why, and no more."""
        if self._may():
            return False
        lines = [*self._lines.values()]
        self._lines.clear()
        for line in lines:
            line.refuse(self._why_not())
        return True

    def _wake(self) -> None:
        """Have the coordinator answer waiters that another thread has ended. Any thread may call this."""
        if self._loop is None or self._woken:
            return
        self._woken = True
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._answer_ended)

    def _answer_ended(self) -> None:
        self._woken = False
        self.act(lambda: self.coordinator.answer_ended(clock()))

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
        due_s = inf if self._over else min(self.coordinator.due_s, self._records.due_s)
        if self._timer is not None:
            if self._timer_s <= due_s < inf:
                return  # it rings early enough, and is wound again then; nearly all messages put off what is due
            self._timer.cancel()
            self._timer = None
        if due_s < inf:
            least_s = 0.0 if self._may() else _SILENT_S
            self._timer_s = due_s
            self._timer = asyncio.get_running_loop().call_later(max(least_s, due_s - clock()), self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.act(_nothing)


class _Line(asyncio.Protocol):
    """One connection, from when it is accepted."""

    def __init__(self, server: PoolServer, accepted: socket.socket, address: Any) -> None:
        self._server = server
        self._splitter = MessageSplitter(_LONGEST_OPENING)
        self._accepted = accepted
        self._transport: asyncio.Transport
        self._late = asyncio.get_running_loop().call_later(_OPENING_S, self.abort)
        self._heard_any = False
        self._heard_s = -inf  # by the loop's time
        self.peer = str(address[0]) if address else "somewhere"
        self.network = network_of(address)
        self.made = False
        self.who: MemberId | None = None
        self.local: ProcessIdentity | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # of TCP or TLS; uvloop's is no subclass
        self.made = True

    def data_received(self, data: bytes) -> None:
        if self._transport.is_closing():
            return
        if not self._heard_any:
            self._heard_any = True
            spoken = sniff_protocol(data)
            if spoken in _ADVICE:
                self._server.left(self.peer, f"found {spoken} at the port of a pool; {_ADVICE[spoken]}")
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
            self._close(f"not a message of a member: {error}")

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
        self._server.wait(self, "a frame")
        self._late.cancel()
        self._late = asyncio.get_running_loop().call_later(_OPENING_S, self._close_if_silent)
        return True

    def _close_if_silent(self) -> None:
        loop = asyncio.get_running_loop()
        silent_s = loop.time() - self._heard_s
        if silent_s >= self._server.silent_s:
            self.abort()
        else:
            self._late = loop.call_later(self._server.silent_s - silent_s, self._close_if_silent)

    def _hear(self, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Opening) or message.who != self.who:
                raise WireError("it names another member than its opening")
        if self._heard_s == -inf:
            self._server.heard(self)
        self._heard_s = asyncio.get_running_loop().time()
        self._server.receive(messages)

    def _close(self, why: str) -> None:
        self._server.left(self.peer, why)
        self.refuse(why)

    def refuse(self, why: str) -> None:
        """Tell the member why the connection ends, and end it."""
        self._server.wait(self, "its end")
        self._transport.write(encoded(Closing(why)))
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self.made:
            self._transport.abort()
        else:
            with suppress(OSError):  # it is closed already
                self._accepted.shutdown(socket.SHUT_RDWR)  # and so its handshake ends

    def send(self, data: bytes) -> None:
        """Send frames. A member that does not read is disconnected, and may come back."""
        if self._transport.get_write_buffer_size() > _MOST_UNSENT:
            self._transport.abort()
        else:
            self._transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._late.cancel()
        self._server.lost(self)


def _do(step: Callable[[], None]) -> None:
    step()


def _nothing() -> None:
    pass


def _always() -> bool:
    return True


def _no_reason() -> str:
    return "it may have been replaced by another server"
