"""`balancer serve`: the pool of a config, served on one port.

It listens on this machine only, unless `--host` says otherwise. Other machines need a token.
"""

import asyncio
import math
import os
import resource
import signal
import ssl
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from balancer.cluster.protocol import ClusterTimes
from balancer.cluster.tcp.address import Address, is_loopback
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.record_file import RecordFile
from balancer.cluster.tcp.server import PoolServer, loop_factory
from balancer.commands.live import LiveConfig
from balancer.commands.options import text_in
from balancer.commands.stopping import told_to_stop
from balancer.core import Core, Waiter
from balancer.endpoint import Endpoint
from balancer.errors import BalancerError, CommandStopped, ConfigError, PoolClosed
from balancer.opening.connected import TOKEN_VARIABLE
from balancer.opening.pool import Pool
from balancer.plugins.registry import Registry
from balancer.reporting.streams import never_waiting
from balancer.reporting.words import count
from balancer.settings.config import Config
from balancer.values.headers import token_mistake
from balancer.values.redaction import plain_name
from balancer.values.wording import why_not_listening

if TYPE_CHECKING:
    from balancer.observing.page.serving import Page

__all__ = ["ServeOptions", "ServedChanges", "raise_limit", "serve", "tls_of", "token_of"]

_CHANGE_S: Final = 10.0  # for a step of the server


def token_of(file: Path | None) -> str:
    """Return the token of `file`, else of the environment; "" for none. Members must send it. Raises ConfigError."""
    if file is None:
        where, token = TOKEN_VARIABLE, os.environ.get(TOKEN_VARIABLE, "").strip()
        if not token:
            return ""
    else:
        where, token = f"--token-file {file}", text_in("--token-file", file)
    if mistake := token_mistake(token):
        raise ConfigError(f"{where}: {mistake}")
    return token


def tls_of(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the TLS context of the server, or None without `cert`. Raises ConfigError."""
    if cert is None:
        if key is not None:
            raise ConfigError("--key is given without --cert; give both, or neither")
        return None
    for option, file in (("--cert", cert), ("--key", key)):
        try:
            if file is not None:
                file.read_bytes()
        except OSError as error:
            raise ConfigError(f"{option} {file}: {error.strerror}; give a PEM file") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as error:
        what = f"no certificate with its key ({(error.reason or 'not PEM').lower().replace('_', ' ')})"
        raise ConfigError(
            f"--cert {cert}: found {what}; give PEM files, the key in --key or after the certificate"
        ) from None
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """Where and how a pool is served.

    Attributes:
        host, port: where to listen; port 0: a free port.
        state: the file that records who holds leases.
        ttl_s: a member that is silent for this many seconds loses its leases.
        token: members must send it; "" for none.
        tls: the TLS context; None: no TLS.
        page: address and port of the page that shows the pool and its members; None: no page.
        name: of the pool, for the title of that page.
        say: called with each line of output.
        again: reads the config again at each SIGHUP, and the differences are applied; None: SIGHUP is not handled.
    """

    host: str
    port: int
    state: Path
    ttl_s: float
    token: str
    tls: ssl.SSLContext | None
    page: tuple[str, int] | None = None
    name: str = ""
    say: Callable[[str], object]
    again: Callable[[], Config] | None = None


class ServedChanges:
    """Changes a served pool, from any thread but that of the server: each change is a step, of which all members hear.

    Make it in the server's loop.

    Args:
        server: of the pool.
        pool: whose core is served.
    """

    def __init__(self, server: PoolServer, pool: Pool) -> None:
        self._server = server
        self._pool = pool
        self._loop = asyncio.get_running_loop()

    def change(self, act: Callable[[Core, float], Sequence[Waiter]], *, kept: bool = False) -> None:
        """Do something to the core, in a step of the server. `kept`: the next server must know of it.

        Raises:
            PoolClosed, BalancerError: the server has ended; or it is done, but could not be written down.
            TimeoutError: the loop of the server is busy. What `act` raises.
        """
        if self._loop.is_closed():
            raise PoolClosed

        async def step() -> None:
            coordinator, core = self._server.coordinator, self._pool.engine.core
            if not self._server.act(lambda: coordinator.change([partial(act, core, clock())], clock())):
                raise BalancerError(f"nothing is changed: {self._server.why_not()}")
            if kept and (why := self._server.unstored):
                raise BalancerError(f"it is done, but the next server would not know of it yet: {why}")

        asyncio.run_coroutine_threadsafe(step(), self._loop).result(_CHANGE_S)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return the endpoints that are in service or draining."""
        return self._pool.endpoints()

    def add(self, endpoint: Endpoint | str) -> None:
        """Take an endpoint into service. Raises DuplicateEndpoint."""
        spec = Endpoint.of(endpoint)
        self.change(lambda core, now: core.add(spec, now), kept=True)

    def drain(self, url: str) -> None:
        """Grant no new leases of an endpoint. Raises UnknownEndpoint."""
        self.change(lambda core, now: core.drain(url, now), kept=True)


def serve(config: Config, registry: Registry, options: ServeOptions) -> None:
    """Serve until a signal stops it. Leases that are out stay out: their holders report them to the next server.

    This process's limit of open files is set as high as allowed, because each connection is a file. Output that nobody
    reads is left out.

    Raises:
        ConfigError: other machines could connect without a token; another server has the state; or an option or the
            config is wrong.
        OSError: it cannot listen, or the state cannot be written.
        CommandStopped: at SIGINT and SIGTERM.
    """
    raise_limit()
    if not options.token and not is_loopback(options.host):
        raise ConfigError(
            f"--host {options.host}: other machines could connect without a token; "
            f"set {TOKEN_VARIABLE}, or give --token-file"
        )
    try:
        times = ClusterTimes(options.ttl_s)
    except ValueError as error:
        raise ConfigError(f"--ttl: {error}") from None
    if config.pool.connect is not None:
        raise config.located("pool.connect", ConfigError("this server serves its own pool; leave it out"))
    # A pool with the clock of its coordinator. Log lines come from the loop, and from under the pool's lock.
    with (
        never_waiting(),
        closing(RecordFile(options.state)) as keeper,
        _pool_of(config, registry) as pool,
        asyncio.Runner(loop_factory=loop_factory()) as runner,
    ):
        number = runner.run(_serve(pool, config, registry, options, keeper, times))
    raise CommandStopped(128 + number)


def _pool_of(config: Config, registry: Registry) -> Pool:
    """Return the pool. The server discovers endpoints itself, as its members must hear of each change."""
    return Pool.from_config(config, registry=registry, clock=clock, discover=False)


async def _serve(
    pool: Pool,
    config: Config,
    registry: Registry,
    options: ServeOptions,
    keeper: RecordFile,
    times: ClusterTimes,
) -> int:
    """Serve until a signal comes, and return its number."""
    stopped = told_to_stop()  # no exception in the middle of the loop: connections must be closed in order

    def told() -> None:
        if pool.engine.happened:
            pool.engine.delivery.deliver()

    server = PoolServer(
        pool.engine.core,
        times=times,
        last=keeper.last,
        keep=keeper.keep,
        token=options.token,
        guard=pool.engine.under_lock,  # no other thread sees the pool half changed; what was cut short is repaired
        told=told,
        most=_most_connections(),
    )
    live = LiveConfig(server, pool, config, registry, options.say)
    pool.hide(live.redact)
    # Before any lease, so that a mistake is reported first.
    served = ServedChanges(server, pool)
    seen = None if options.page is None else _page_of(pool, server, live, served, options)
    if options.again is not None:
        live.mind(signal.SIGHUP, options.again)
    await _discover(pool, config, registry, served, live)
    address = await _listen(server, options)
    slots = sum(endpoint.capacity for endpoint in pool.endpoints())
    told_all = (
        f"; no leases are granted for {times.grace_s:g} s, or until all members of an earlier server have reported"
    )
    grace = told_all if server.coordinator.grace else ""
    options.say(f"serving {count(slots, 'slot')} of {count(len(pool.endpoints()), 'endpoint')} at {address}{grace}")
    if not is_loopback(options.host) and options.tls is None:
        options.say(
            "without TLS others on the network can read the token and the headers of endpoints; give --cert and --key"
        )
    if seen is not None:
        options.say(f"page at {seen.url}")
    if drained := server.coordinator.record.drained:
        options.say(live.redact(f"drained, as before the restart: {', '.join(map(plain_name, sorted(drained)))}"))
    sys.stdout.flush()
    try:
        async with live:
            return await stopped
    finally:
        await server.end()


async def _listen(server: PoolServer, options: ServeOptions) -> Address:
    host, port = options.host, options.port
    try:
        bound = await server.listen(host, port, options.tls)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host} port {port}: {why_not_listening(error)}") from None
    return Address(host, bound, options.tls is not None)


async def _discover(pool: Pool, config: Config, registry: Registry, served: ServedChanges, live: LiveConfig) -> None:
    """Follow the sources of the config. Wait for their first answers, as members may have leases of those endpoints."""
    if not config.discovery:
        return
    from balancer.discovery.begin import discoveries_of  # most servers have no source

    found = discoveries_of(config, registry, served.change, clock)
    for each in found:
        pool.follow(each)
        each.hide(live.redact)
    await asyncio.gather(*(asyncio.to_thread(each.wait, wait_s) for each, wait_s in found.items()))


def _page_of(pool: Pool, server: PoolServer, live: LiveConfig, served: ServedChanges, options: ServeOptions) -> "Page":
    """Serve the page of `pool`, with the leases of each member, until the pool is closed. Call it in the server's loop.

    Raises:
        ConfigError: it cannot listen there, or the token is too easy to guess.
        MissingExtra: the extra `observe` is not installed.
    """
    from balancer.observing.page.pool_tables import MemberLeases, Tables
    from balancer.observing.page.serving import PageContents, open_page, token_of_environment

    def members() -> list[MemberLeases]:
        return [MemberLeases(who.name, leases, waits) for who, leases, waits in server.coordinator.sessions()]

    def grace() -> Tables:
        with pool.engine.lock:
            at_s = server.coordinator.grants_at_s
            if at_s is None:
                return {}
            waiting = sum(len(waits) for _, _, waits in server.coordinator.sessions())
        return {"grace": {"grants_at_s": round(at_s, 1), "waiting": waiting}}

    assert options.page is not None
    host, port = options.page
    contents = PageContents(members=members, extra=grace, admin=served, audit=live.tell, name=options.name)
    page = open_page(pool, host=host, port=port, token=token_of_environment(), redact=live.redact, contents=contents)
    pool.attach(page)
    return page


# -- open files: each connection is one ----------------------------------------------------------------

_KEPT_FILES: Final = 400  # files for all else: the page's 256 connections, the state, pings
_LEAST_FILES: Final = 16


def raise_limit() -> int | float:
    """Set this process's limit of open files as high as allowed, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS reports "infinity" but refuses it
            pass
    return math.inf if soft == resource.RLIM_INFINITY else soft


def _most_connections() -> int | float:
    """Return how many connections there may be, so that enough files are left for all else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else max(_LEAST_FILES, soft - _KEPT_FILES, soft // 2)
