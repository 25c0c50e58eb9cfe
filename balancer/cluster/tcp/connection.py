"""A member's connection to its server: whoever has something to say sends it, and whoever waits for an answer reads.

A lease so changes no thread. The connection has one thread of its own. It connects, again and again; it reads while no
caller does; and it keeps time, also without a connection: most of all, a member must stop using its leases in time.

One thread at a time sends, and one reads. If an exception, such as an interrupt, cuts either short, it is unknown which
bytes have gone or come. So the connection is broken off then, and made anew: nothing that was said is lost by that.
"""

import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil, inf
from typing import Any, Final, Protocol, TypeAlias

from balancer.cluster.protocol.messages import FromCoordinator, FromMember, MemberId
from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.codec import (
    VERSION,
    Closing,
    Opening,
    WireError,
    encoded,
    read_from_coordinator,
)
from balancer.cluster.tcp.liveness import own_identity
from balancer.cluster.tcp.stream import Stream, connect
from balancer.errors import BalancerError, PoolForked

__all__ = ["CallerGate", "ConnectionCallbacks", "MemberConnection"]

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.05, 1.0  # between attempts to connect
_CONNECT_S: Final = 5.0
_LAST_WORDS_S: Final = 1.0  # for what is not sent yet when it ends
_HAND_OVER_S: Final = 0.001  # a caller who reads no more has the turn for a moment still
_REACH: Final = "is `balancer serve` running there, at this port, and does a firewall let this machine through?"
_NO_WORD: Final = (
    "it closed the connection without an answer; if it has TLS, connect to balancers://; give the port that "
    "`balancer serve` printed, not the port of its page"
)
_IN, _OUT = 1, 4  # POLLIN and POLLOUT, and those of epoll
_CALLERS_READ: Final = sys.platform == "linux"  # by epoll: a `poll` that runs cannot be told to leave out a socket


# What a thread has connected to, with its token, or why not; None: it is not waited for. Whoever sets it first, wins.
_Dialled: TypeAlias = dict[int, tuple[Stream, Address, str] | Exception | None]


class ConnectionCallbacks(Protocol):
    """The member of a connection, behind its lock. Whoever reads or sends calls these, in any thread."""

    def heard(self, messages: Sequence[FromCoordinator]) -> None:
        """Handle messages of the coordinator."""
        ...

    def due(self) -> None: ...

    @property
    def over(self) -> bool:
        """True once nothing is left to send or to receive."""
        ...

    @property
    def silence_s(self) -> float:
        """A connection without a message for so many seconds counts as dead."""
        ...

    @property
    def again_s(self) -> float:
        """How many seconds after it was sent anything is due again, at the soonest."""
        ...

    def out(self, again: bool) -> tuple[list[FromMember], float]:
        """Return the messages to send, and when something is due, by `clock`. `again`: the connection is new."""
        ...


class SelectPoll:
    """What `select.poll` does, by `select.select`, for Windows. Files are sockets."""

    def __init__(self) -> None:
        self._wanted: dict[int, int] = {}

    def register(self, file: int, events: int) -> None:
        self._wanted[file] = events

    modify = register

    def unregister(self, file: int) -> None:
        del self._wanted[file]

    def poll(self, timeout_ms: float | None = None) -> list[tuple[int, int]]:
        """Return each file that is ready, with its events."""
        wanted = self._wanted
        reads = [file for file, events in wanted.items() if events & _IN]
        writes = [file for file, events in wanted.items() if events & _OUT]
        left_s = None if timeout_ms is None else timeout_ms / 1000
        readable, writable, _ = select.select(reads, writes, (), left_s)
        return [(file, _IN * (file in readable) | _OUT * (file in writable)) for file in {*readable, *writable}]

    def close(self) -> None:
        self._wanted.clear()


def _new_poll(*, by_thread: bool = False) -> Any:
    if sys.platform == "linux" and by_thread:
        return select.epoll()
    if sys.platform != "win32":
        return select.poll()
    return SelectPoll()


class _Waker:
    """Wakes a thread that polls."""

    def __init__(self) -> None:
        self._wakes, self._sleeps = socket.socketpair()
        self._wakes.setblocking(False)
        self._sleeps.setblocking(False)
        self.fileno = self._sleeps.fileno

    def wake(self) -> None:
        """Wake it, from any thread. Does nothing after `close`."""
        with suppress(OSError):  # it is full, so there is a wake on its way
            self._wakes.send(b"w")

    def drain(self) -> None:
        """Forget the wakes that have come."""
        with suppress(OSError):
            self._sleeps.recv(4096)

    def close(self) -> None:
        self._wakes.close()
        self._sleeps.close()


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
        trouble: why there is no connection now.
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
        self._party = party
        self._stream: Stream | None = None  # None: there is no connection, or it is being broken off
        # Who has one of these sends, or reads. RLocks, as they know who has them.
        self._sending, self._reading = threading.RLock(), threading.RLock()
        self._stirred = False  # True: there may be something to send
        self._unsent = b""  # of the last messages
        self._promised: object = None  # the event loop that sends at the end of its turn
        self._due_s, self._wakes_s = -inf, -inf  # when something is due, and when the thread wakes
        self._waker, self._nudge = _Waker(), _Waker()  # of the thread, and of the caller who reads
        self._poll: Any = _new_poll(by_thread=True)  # of the thread
        self._poll.register(self._waker.fileno(), _IN)
        self._callers_poll: Any = _new_poll()
        self._callers_poll.register(self._nudge.fileno(), _IN)
        self._gate: CallerGate | None = None  # of the caller who reads
        self._ending = threading.Event()
        self._heard_s = 0.0
        self._answered = False  # on this connection
        self.refused = ""
        self.trouble = ""
        self._thread = threading.Thread(target=self._run, name="balancer-line", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def end(self, within_s: float = 2.0) -> None:
        """Send pending messages, and end."""
        if threading.current_thread() is self._thread:
            return
        self._ending.set()
        self._waker.wake()
        self._thread.join(within_s)

    # -- sending, in any thread --------------------------------------------------------------------

    def stir(self) -> None:
        """Note that there is something to send; `flush` follows."""
        self._stirred = True

    def flush(self) -> None:
        """Send what there is to send, unless another thread does. A task leaves it to the end of its loop's turn."""
        if not self._stirred:
            return
        asyncio = sys.modules.get("asyncio")
        loop = None if asyncio is None else asyncio._get_running_loop()
        if loop is None:
            self._send()
        elif self._promised is not loop:
            self._promised = loop
            loop.call_soon(self._keep_promise)

    def _keep_promise(self) -> None:
        self._promised = None
        self._send()

    def _send(self) -> None:
        turn = self._sending
        if turn._is_owned():  # type: ignore[attr-defined]  # a finaliser, or a signal handler: it is sent afterwards
            return
        try:
            # Again if something was said after the last look and before the turn was over.
            while self._stirred and self._stream is not None and not self._unsent and turn.acquire(blocking=False):
                self._send_out(again=False)
                turn.release()
        except PoolForked:  # the connection is the parent's
            _release(turn)
            raise
        except BaseException:
            self._break_off(self._stream)
            _release(turn)
            raise

    def _send_out(self, *, again: bool) -> None:
        """Send what there is to send. It is this thread's turn."""
        self._stirred = False
        messages, self._due_s = self._party.out(again)
        if messages:
            self._write(b"".join(map(encoded, messages)))
        if self._due_s < self._wakes_s or self._party.over:
            self._waker.wake()

    def _write(self, data: bytes) -> None:
        """Send these bytes, or as many as there is room for. It is this thread's turn."""
        stream = self._stream
        if stream is None:
            return
        try:
            self._unsent = data[stream.send(data) :]
        except OSError:
            self._break_off(stream)
            return
        if self._unsent:
            self._watch(stream)
            self._waker.wake()

    # -- reading, in the thread or in that of a caller ----------------------------------------------

    def wait(self, gate: "CallerGate", timeout_s: float) -> None:
        """Read what the server sends, until the gate is open or some seconds have passed, if nobody else does."""
        stream, turn = self._stream, self._reading
        if stream is None or not _CALLERS_READ:
            return
        if turn._is_owned():  # type: ignore[attr-defined]  # a signal handler waits, above a wait that is cut off by it
            self._break_off(stream)
            _release(turn)
            return
        try:
            if turn.acquire(blocking=False):
                if self._gate is not None:  # that of the wait that a signal handler has cut off
                    turn.release()
                    return
                self._gate = gate
                self._watch(stream)
                self._read_until(stream, gate, clock() + timeout_s)
                self._leave_off(stream)
        except BaseException:
            self._break_off(stream)
            self._leave_off(stream)
            raise

    def _read_until(self, stream: Stream, gate: "CallerGate", until_s: float) -> None:
        number = stream.fileno()
        while gate.is_shut and self._stream is stream and (left_s := until_s - clock()) > 0:
            for ready, _ in self._callers_poll.poll(None if left_s == inf else ceil(1000 * left_s)):
                if ready == number:
                    self._read(stream)
                else:
                    self._nudge.drain()

    def _leave_off(self, stream: Stream) -> None:
        """Let the thread read, after a caller."""
        self._gate = None
        if self._reading._is_owned():  # type: ignore[attr-defined]
            self._watch(stream)
        _release(self._reading)

    def opened(self, gate: "CallerGate") -> None:
        """Note that `gate` was opened. If its caller reads, it must be told."""
        if self._gate is gate and not self._reading._is_owned():  # type: ignore[attr-defined]
            self._nudge.wake()

    def _read(self, stream: Stream) -> None:
        """Handle what the server has sent. It is this thread's turn."""
        try:
            messages = [read_from_coordinator(body) for body in stream.receive()]
        except (OSError, WireError):
            self._break_off(stream)
            return
        if not messages:
            return
        self._heard_s, self._answered = clock(), True
        for message in messages:
            if isinstance(message, Closing):
                self.refused = message.why
                self._break_off(stream)
                return
        self.refused = ""  # a server that refused it before has let it in
        self._party.heard(messages)

    # -- the connection ----------------------------------------------------------------------------

    def _watch(self, stream: Stream) -> None:
        """Let the thread wait for what nobody else waits for. Whoever calls this sends or reads, so it is open."""
        with suppress(OSError, ValueError):
            self._poll.modify(stream.fileno(), (0 if self._gate else _IN) | (_OUT if self._unsent else 0))

    def _break_off(self, stream: Stream | None) -> None:
        """End a connection; the thread makes it anew. From any thread."""
        if stream is not None:
            if self._stream is stream:
                self._stream = None
            stream.shut()
        self._waker.wake()
        self._nudge.wake()

    @property
    def why_apart(self) -> str:
        """Why there is no contact; "": nothing is known that is wrong."""
        return self.refused or self.trouble

    def _run(self) -> None:
        pause_s, again = _FIRST_PAUSE_S, False
        try:
            while not self._ending.is_set():
                stream = self._connect(again)
                again = True
                if stream is not None:
                    self.trouble = ""
                    self._stay(stream)
                    pause_s = _FIRST_PAUSE_S
                self._pause(_LAST_PAUSE_S if self.refused else pause_s)
                pause_s = min(2 * pause_s, _LAST_PAUSE_S)
        finally:
            self._ending.set()
            for each in (self._waker, self._nudge):
                each.close()
            if _CALLERS_READ:
                self._poll.close()

    def _connect(self, again: bool) -> Stream | None:
        """Connect in a thread that may take long, and keep time meanwhile. Return None if that failed."""
        dialled: _Dialled = {}
        seek = self._seek if again else None
        try:
            threading.Thread(target=self._dial, args=(seek, dialled), name="balancer-seek", daemon=True).start()
        except RuntimeError as error:  # the machine has no more threads
            dialled[0] = error
        while not dialled and not self._ending.is_set():
            self._pause(_FIRST_PAUSE_S, dialled)
        found = dialled.setdefault(0, None)
        if found is None or isinstance(found, Exception):
            self.trouble = _trouble_of(found, self._address) if found else ""
            return None
        stream, address, token = found
        if (address, token) != (self._address, self._token):
            self._address, self._token, self.refused = address, token, ""
        return stream

    def _dial(self, seek: Callable[[], tuple[Address, str]] | None, dialled: "_Dialled") -> None:
        try:
            address, token = (self._address, self._token) if seek is None else seek()
            stream = connect(address, self._tls, _CONNECT_S)
        except Exception as error:
            dialled.setdefault(0, error)
        else:
            if dialled.setdefault(0, found := (stream, address, token)) is not found:  # nobody waits for it any more
                stream.close()
        self._waker.wake()

    def _pause(self, for_s: float, dialled: "_Dialled | None" = None) -> None:
        """Wait without a connection, for so many seconds, or until something is `dialled`. Time passes all the same."""
        until_s = clock() + for_s
        while not (self._ending.is_set() or dialled) and (left_s := until_s - clock()) > 0:
            self._polled(min(left_s, _FIRST_PAUSE_S))
            self._party.due()
            if self._party.over:
                self._ending.set()

    def _polled(self, for_s: float) -> dict[int, int]:
        """Return what the thread waited for, each file with its events, after so many seconds at most."""
        left_s = max(0.0, for_s)
        found: dict[int, int] = dict(self._poll.poll(left_s if _CALLERS_READ else ceil(1000 * left_s)))
        if self._waker.fileno() in found:
            self._waker.drain()
        return found

    def _stay(self, stream: Stream) -> None:
        """Use a connection until it is lost, or the member has left."""
        number = stream.fileno()
        self._poll.register(number, _IN)
        self._callers_poll.register(number, _IN)
        self._heard_s, self._answered = clock(), False
        with self._sending:
            self._unsent = b""
            self._stream = stream
            self._write(encoded(Opening(VERSION, self._token, self._who, own_identity())))
            if not self._unsent:
                self._send_out(again=True)
        while self._stream is stream and not self._ending.is_set():
            self._turn(stream, number)
        if self._stream is stream:
            self._say_last(stream)
        with self._sending:  # what another thread sends is the last word, too
            self._break_off(stream)
        with self._reading, self._sending:  # nobody uses it any more
            self._poll.unregister(number)
            self._callers_poll.unregister(number)
            self._nudge.drain()
            stream.close()
        if not self._answered:
            self.trouble = _NO_WORD

    def _turn(self, stream: Stream, number: int) -> None:
        """Wait until there is something to do, and do it."""
        self._wakes_s = inf  # whoever sends now, and changes what is due, wakes this thread
        self._wakes_s = wakes_s = min(self._due_s, clock() + self._party.again_s)
        events = self._polled(wakes_s - clock()).get(number, 0)
        self._wakes_s = -inf
        if events & ~_OUT and self._reading.acquire(timeout=_HAND_OVER_S):
            self._read(stream)
            self._reading.release()
        if self._unsent:
            self._write_rest()
            self._party.due()
        if clock() - self._heard_s > self._party.silence_s:
            self._break_off(stream)  # a cut network gives no error; a new connection finds out sooner than this one
            return
        self._stirred = True
        self._send()
        if self._party.over:
            self._ending.set()

    def _write_rest(self) -> None:
        with self._sending:
            if self._unsent:
                self._write(self._unsent)
            if not self._unsent and self._stream is not None:
                self._watch(self._stream)

    def _say_last(self, stream: Stream) -> None:
        """Send what is left to send."""
        self._stirred = True
        until_s = clock() + _LAST_WORDS_S
        while self._stream is stream and (left_s := until_s - clock()) > 0:
            with self._sending:
                if self._unsent:
                    self._write(self._unsent)
                if self._stirred and not self._unsent:
                    self._send_out(again=False)
                if not self._unsent:
                    return
            self._polled(left_s)


class CallerGate:
    """Where the thread of a caller waits. It reads what the server sends meanwhile, if nobody else does."""

    __slots__ = ("_line", "_lock")

    is_over = False

    def __init__(self, line: MemberConnection) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._lock.acquire()

    @property
    def is_shut(self) -> bool:
        """True until it is woken."""
        return self._lock.locked()

    def wait(self, nap_s: float) -> bool:
        """Wait, in the thread, until it is woken or `nap_s` seconds have passed (inf: no limit). Return which."""
        until_s = clock() + nap_s
        self._line.wait(self, nap_s)
        return self._lock.acquire(timeout=min(max(0.0, until_s - clock()), threading.TIMEOUT_MAX))

    def wake(self) -> bool:
        """Let the caller go on."""
        with suppress(RuntimeError):  # it does already
            self._lock.release()
            self._line.opened(self)
        return True


def _release(turn: Any) -> None:
    """Release an RLock, whether this thread has it or not."""
    try:
        while True:
            turn.release()
    except RuntimeError:
        pass


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
