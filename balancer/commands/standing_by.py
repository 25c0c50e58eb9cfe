"""Servers in turn: of several that are started with one store, one serves and the others stand by."""

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from balancer.cluster.leader import LeaderClaim
from balancer.cluster.protocol import ClusterTimes
from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.standby import StandbyListener
from balancer.commands.serve import ServeOptions, loop_factory
from balancer.commands.stopping import told_to_stop
from balancer.errors import BalancerError
from balancer.plugins.registry import Registry
from balancer.settings.config import Config

__all__ = ["serve_in_turn"]

_ANY = ("0.0.0.0", "::", "")
_TIMEOUT_SHARE = 0.1  # of a TTL: how long a call of the store may take
_LEAVE_S = 2.0

Serve = Callable[[Config, Registry, ServeOptions, LeaderClaim, ClusterTimes], int]


def serve_in_turn(config: Config, registry: Registry, options: ServeOptions, times: ClusterTimes, serve: Serve) -> int:
    """Stand by and `serve`, again and again, until a signal comes; return its number.

    The config is read again after standing by, as it may have changed meanwhile.

    Raises:
        ConfigError: the store cannot be used, or this server cannot listen.
        MissingExtra: the store needs an extra.
    """
    assert options.claim is not None
    url, _, name = options.claim.partition("#")
    store = registry.store(url, _TIMEOUT_SHARE * times.ttl_s)
    while True:
        claim = LeaderClaim(f"balancer/{name}", times, store, clock)
        turn = _Turn(claim, options)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            number = runner.run(turn.stand_by())
        if number:
            return number
        if turn.waited:
            options, config = replace(options, port=turn.port), _again(config, options)
        staying = threading.Thread(target=claim.stay, name="balancer-claim", daemon=True)
        staying.start()
        try:
            number = serve(config, registry, options, claim, times)
        finally:
            claim.leave()
            staying.join(_LEAVE_S)
        if number:
            return number
        options.say(f"{claim.why_not()}; it stands by")


def _again(config: Config, options: ServeOptions) -> Config:
    """Return the config as its file has it now. With a mistake in it, the one from before is better than none."""
    if options.again is not None:
        try:
            return options.again()
        except (BalancerError, OSError) as error:
            options.say(f"the config of before is served: {config.redact(str(error).splitlines()[0])}")
    return config


class _Turn:
    """Standing by, until it is this server's turn.

    Attributes:
        waited: whether it had to wait.
        port: where it listened; as given, if it never did.
    """

    def __init__(self, claim: LeaderClaim, options: ServeOptions) -> None:
        self._claim = claim
        self._options = options
        self.waited = False
        self.port = options.port

    async def stand_by(self) -> int:
        """Return 0 when the claim is taken, or the number of a signal."""
        stopped = told_to_stop()
        with suppress(NotImplementedError, RuntimeError):  # the config is read when its turn comes
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, bool)
        options = self._options
        self._show(options.port)
        if await self._taken():
            return 0
        self.waited = True
        async with StandbyListener(options.host, options.port, options.tls, options.token, self._why) as listener:
            self.port = listener.port
            self._show(self.port)
            here = Address(options.host, self.port, options.tls is not None)
            options.say(f"standing by at {here}: {self._why()}")
            sys.stdout.flush()
            while not stopped.done():
                if await self._taken():
                    return 0
                await asyncio.wait([stopped], timeout=self._claim.period_s)
        return stopped.result()

    def _show(self, port: int) -> None:
        options = self._options
        host = socket.gethostname() if options.host in _ANY else options.host
        self._claim.shown = str(Address(host, port, options.tls is not None)) if port else host

    async def _taken(self) -> bool:
        try:
            return await asyncio.to_thread(self._claim.stand_by)
        except OSError:
            return False  # `_why` says it

    def _why(self) -> str:
        if self._claim.trouble:
            return f"this server stands by, and cannot see who serves: {self._claim.trouble}"
        return f"this server stands by; {self._claim.serving or 'another one'} serves the pool"
