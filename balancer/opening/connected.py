"""`Pool.connect`: the pool of a process that shares the endpoints of a server with other processes.

Threads and tasks wait in it as in any pool. In place of a core it has a member of the cluster. Changes to endpoints and
strategy are refused: they are made at the server.
"""

import math
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

from balancer.cluster.protocol.member import ClusterMember
from balancer.cluster.protocol.messages import FromCoordinator, FromMember, MemberId
from balancer.core import Core, Waiter
from balancer.core.events import Event
from balancer.core.ledger import Ledger
from balancer.core.metrics import CallError, EndpointStats, HolderStats, LeaseRow, QuotaStats, WaitHistogram, WaitRow
from balancer.core.readings import lease_rows
from balancer.endpoint import Endpoint, Lease
from balancer.errors import BalancerError, ConfigError, NotConnected, PoolForked
from balancer.opening.pool import Pool
from balancer.plugins.extras import require
from balancer.shells.engine import Act, CallerDefaults, Engine
from balancer.shells.logs import Log
from balancer.strategy import Request
from balancer.values.numbers import checked, seconds, whole
from balancer.values.redaction import refuse_halves

if TYPE_CHECKING:
    import ssl

    from balancer.cluster.tcp.address import Address
    from balancer.observing.traces.files import Sink
    from balancer.settings.config import Config
    from balancer.settings.rules import RetrySettings

__all__ = ["TOKEN_VARIABLE", "ConnectedPool", "ServerIdentity", "connected_as", "token_in", "trusting"]

TOKEN_VARIABLE = "BALANCER_SERVE_TOKEN"

# A wait takes at least a round trip to the server. So the server ends a shorter wait, and this process ends it only if
# the server does not answer.
_LEAST_WAIT_S = 1.0
_TAIL_S = 0.4  # of a TTL: after so long without a message, the connection is made anew


class ServerIdentity(NamedTuple):
    """The server of a pool: its URL, its epoch (start time in ms since 1970, if its clock is right), its TTL."""

    url: str
    epoch: int
    ttl_s: float


def connected_as(config: "Config", *, within_s: float = 10.0) -> "ConnectedPool":
    """Return the pool that `[pool] connect` of `config` names. Raises ConfigError, NotConnected, MissingExtra."""
    settings = config.pool
    if settings.connect is None:
        raise config.located("pool.connect", ConfigError("is missing; give balancer://host:port"))
    try:
        pool = ConnectedPool(
            settings.connect,
            token=None if settings.token_file is None else token_in(settings.token_file),
            ca=settings.ca,
            acquire_timeout_s=settings.acquire_timeout_s,
            retries=config.retries,
            within_s=within_s,
            ttl_s=settings.ttl_s,
            leak_after_s=settings.leak_after_s,
        )
    except ConfigError as error:
        raise config.located("pool", error) from None
    pool.hide(config.redact)
    return pool


def token_in(file: str | PathLike[str]) -> str:
    """Return the token in `file`. Raises ConfigError."""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"token file {file}: {error}") from None


class ConnectedPool(Pool):
    """A pool whose slots belong to a server, for the threads and tasks of this process. `Pool.connect` makes it."""

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca: "str | PathLike[str] | ssl.SSLContext | None" = None,
        name: str | None = None,
        block: int = 1,
        acquire_timeout_s: float | None = None,
        retries: "RetrySettings | None" = None,
        within_s: float = 10.0,
        seek: Callable[[], tuple[str, str]] | None = None,
        ttl_s: float | None = None,
        leak_after_s: float | None = None,
    ) -> None:
        require("serve", "Pool.connect", "msgspec")
        from balancer.cluster.tcp.address import address_of
        from balancer.cluster.tcp.clock import clock
        from balancer.cluster.tcp.connection import CallerGate, MemberConnection

        address = address_of(url)
        within_s = checked("within_s", within_s, seconds)
        checked("block", block, whole)
        self._url = str(address)
        self._refusal = f"{address}: only the server can change endpoints and strategy; change its config"
        self.rng = random.Random()
        refuse_halves("name", name or "")
        who = MemberId(name or f"{socket.gethostname()}:{os.getpid()}", secrets.token_hex(16))

        def seat(engine: Engine) -> Core:  # it has what an engine calls
            made = _Seat(
                who,
                lender=engine,
                blank=_SharedLease,
                block=block,
                stirred=self._stir,
                why_apart=self._why_apart,
                now=clock(),
            )
            return cast(Core, made)

        defaults = CallerDefaults(acquire_timeout_s, retries, ttl_s, leak_after_s)
        self.engine = _SharedEngine(seat, clock, defaults, jitter=self.rng, new_gate=lambda: CallerGate(self._line))
        self.engine.flush = self._flush
        self._seat = self.engine.seat
        self._in = threading.Event()
        given = token if token is not None else os.environ.get(TOKEN_VARIABLE, "")

        def found() -> "tuple[Address, str]":
            assert seek is not None
            url, token = seek()
            return address_of(url), token

        tls = trusting(ca) if address.tls else None
        party = _Party(self.engine, self._seat, self._in)
        self._line = MemberConnection(address, tls, given, who, party, found if seek is not None else None)
        self._log = Log()
        self.observe(self._log)
        self._line.start()
        self._await(within_s)

    def _await(self, within_s: float) -> None:
        """Wait until the server has accepted this process. Raises NotConnected."""
        until_s = time.monotonic() + within_s
        while not self._in.wait(0.02):
            late = time.monotonic() >= until_s
            if late or self._line.refused:
                why = self._line.why_apart or "no answer"
                if not self._line.refused:
                    why = f"not connected within {within_s:g} s: {why}"
                self.close()
                raise NotConnected(self._url, why)

    def _stir(self) -> None:
        self._line.stir()

    def _flush(self) -> None:
        self._line.flush()

    def _why_apart(self) -> str:
        return self._line.why_apart

    @property
    def connected(self) -> bool:
        """True while the server accepts this process. After a disconnect, leases stay usable for 0.8 TTL."""
        return self._seat.inside

    @property
    def trouble(self) -> str:
        """Why the server cannot be reached, or refuses this process; a text of its own while neither is known."""
        return self._line.refused or self._line.trouble or "no word from it"

    @property
    def served(self) -> ServerIdentity:
        """The server, as far as it is known. The epoch is 0 while there is no contact."""
        return ServerIdentity(self._url, self._seat.session[0], self._seat.ttl_s)

    def close(self) -> None:
        """Fail every waiter and every later acquire. Leases that are out may still be released."""
        super().close()
        if not self._seat.out or self._line.refused:
            self._line.end()

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints of the server, as of its last message."""
        return self._seat.endpoints

    def __repr__(self) -> str:
        return f"<Pool {self._url} {self._seat!r}>"

    # -- the server's alone ------------------------------------------------------------------------

    def _refuse(self, *args: Any, **values: Any) -> NoReturn:
        raise BalancerError(self._refusal)

    add = drain = remove = update = set_strategy = reload = discover = discovery = _refuse

    def trace(self, path: "str | PathLike[str] | Sink") -> NoReturn:
        """Raise BalancerError: only the server can write a trace of all processes."""
        raise BalancerError(f"{self._url}: only the server can write traces; put [trace] into its config")


class _SharedEngine(Engine):
    """An engine over a seat. What a step has to say to the server is sent after it."""

    flush: Callable[[], object]

    def step(self, act: Act, subject: Any, can_wait: bool = False) -> None:
        super().step(act, subject, can_wait)
        if not self.is_inside():
            self.flush()

    @property
    def seat(self) -> "_Seat":
        """Its member of the cluster."""
        return cast(_Seat, self.core)

    def has_run_out(self, lease: Lease) -> bool:
        """Return whether a lease is over by the clock, and end it then; for `Lease.ended`.

        A process that was stopped looks before its connection has had a turn.
        """
        now, terms, expiry_s = self.clock(), lease.terms, self.seat.expiry_s
        if now < (expiry_s if terms is None else min(expiry_s, lease.granted_s + terms.ttl_s)):
            return False
        if not self.is_inside():  # within a call it is only said, and the lease ends after the call
            with suppress(PoolForked):
                self.change(self.seat.tick)
                return lease.account is None
        return True


class _SharedLease(Lease):
    """A lease of a server's slot. Whoever asks whether it has ended looks at the clock."""

    __slots__ = ()
    lender: _SharedEngine

    @property
    def ended(self) -> bool:
        return self.account is None or self.lender.has_run_out(self)


class _Party:
    """The connection's view of the member: calls it under the lock of the pool's engine."""

    def __init__(self, engine: Engine, seat: "_Seat", let_in: threading.Event) -> None:
        self._engine = engine
        self._seat = seat
        self._in = let_in

    @property
    def over(self) -> bool:
        return self._seat.gone

    @property
    def silence_s(self) -> float:
        return _TAIL_S * self._seat.ttl_s

    @property
    def again_s(self) -> float:
        return self._seat.again_s

    def heard(self, messages: Sequence[FromCoordinator]) -> None:
        seat = self._seat
        self._engine.change(lambda now: [waiter for message in messages for waiter in seat.receive(message, now)])
        if seat.inside and not self._in.is_set():
            self._in.set()

    def due(self) -> None:
        self._engine.change(self._seat.tick)

    def out(self, again: bool) -> tuple[list[FromMember], float]:
        def taken() -> tuple[list[FromMember], float]:
            now = self._engine.clock()
            self._seat.tick(now)
            return self._seat.take_out(now, again=again), self._seat.next_s

        return self._engine.under_lock(taken)


class _Seat(ClusterMember):
    """A member of a cluster with what a pool uses of a core. The connection calls `tick`, not the pool."""

    due_s = property(lambda self: math.inf)
    lapse_s = math.inf
    shares = None

    @property
    def next_s(self) -> float:
        """When `tick` has something to do next."""
        due_s: float = ClusterMember.due_s.__get__(self)
        return due_s

    @property
    def ledger(self) -> "_Books":
        """The leases that are out, and the name of the strategy."""
        return _Books(self.out, _Named(self.strategy))

    def counters(self, now: float) -> tuple[list[EndpointStats], dict[str, int], WaitHistogram]:
        """Return the input of `PoolStats.of`, for this process."""
        self.tick(now)
        rows = self.tally.rows(self.endpoints, self.out.values(), self.out_of_service(), now)
        return rows, self.tally.totals(out=len(self.out), waiting=self.waiting), self.tally.waits.copy()

    @property
    def admission(self) -> "_Admission":
        """Groups and quotas, which the server decides."""
        return _ADMISSION

    def wait(
        self, request: Request, now: float, deadline_s: float, priority: int, wake: Callable[[], object]
    ) -> Waiter:
        """Queue a request. If the wait is shorter than `_LEAST_WAIT_S`, the server ends it."""
        waiter = super().wait(request, now, deadline_s, priority, wake)
        waiter.deadline_s = max(deadline_s, now + _LEAST_WAIT_S)
        return waiter

    def quotas(self, now: float) -> list[QuotaStats]:
        """Return an empty list: only the server knows the use of quotas."""
        return []

    def holders(self, now: float) -> list[HolderStats]:
        """Return an empty list: only the server knows the shares of holders."""
        return []

    def leases(self, now: float) -> list[LeaseRow]:
        """Return a row for each lease that is out."""
        self.tick(now)
        return lease_rows(cast(Ledger, self.ledger), now)

    def waits(self) -> list[WaitRow]:
        """Return an empty list: only the server knows who waits."""
        return []

    def errors(self, name: str) -> list[CallError]:
        """Return an empty list: only the server knows the errors of an endpoint."""
        return []

    def listen(self, kinds: Collection[type[Event]]) -> None:
        """Record events of these kinds in this process. Events of endpoints come from the server."""
        self.journal.wanted = frozenset(kinds)


class _Named(NamedTuple):
    name: str


class _Books(NamedTuple):
    """The part of a ledger that a pool reads."""

    out: dict[int, Lease]
    strategy: _Named


class _Admission:
    """The part of the admission filters that an engine reads."""

    any = False
    has_quotas = True  # the server may have some: so token counts are always sent


_ADMISSION = _Admission()


def trusting(ca: "str | PathLike[str] | ssl.SSLContext | None", name: str = "ca") -> "ssl.SSLContext":
    """Return the TLS context that trusts the certificate in a file; None: those of the system. Raises ConfigError."""
    import ssl

    if isinstance(ca, ssl.SSLContext):
        return ca
    try:
        return ssl.create_default_context(cafile=None if ca is None else str(Path(ca)))
    except ssl.SSLError:
        why = "holds no certificate"
    except OSError as error:
        why = str(error.strerror)
    raise ConfigError(f"{name} {ca}: {why}; give a PEM file with the certificate that signed the server's")
