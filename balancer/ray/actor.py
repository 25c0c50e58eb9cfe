"""Ray actor that hosts a pool: a cluster's server, in a process that Ray restarts when it dies.

It listens on loopback for processes of its own node, and on the node's address after another node has asked. It always
requires a token. Each life of the actor draws a new one, and passes it to callers that Ray allows. A shell: has the
threads and the sockets.
"""

import asyncio
import hashlib
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.server import PoolServer
from balancer.opening.pool import Pool
from balancer.ray.claim import ActorClaim, ControlStore, claim_times
from balancer.settings.config import Config
from balancer.settings.rules import RetrySettings

__all__ = ["PoolActor", "PoolLocation", "PoolSource", "config_digest"]

_log = logging.getLogger("balancer.ray")

_SECTIONS: Final = {"pool", "health", "limits", "host_caps", "quotas", "holders", "retries"}

_BEGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class PoolSource:
    """What a pool is made from: its name in the control store, its config, and its TTL in seconds."""

    name: str
    config: Config
    ttl_s: float


@dataclass(frozen=True, slots=True)
class PoolLocation:
    """Where a pool is, and its settings.

    Attributes:
        url, token: to connect with; `repr` has no token.
        digest, ttl_s: of its config, and its TTL.
        acquire_timeout_s, retries: from its config.
    """

    url: str
    token: str
    digest: str
    ttl_s: float
    acquire_timeout_s: float | None
    retries: RetrySettings

    def __repr__(self) -> str:
        return f"<PoolLocation {self.url}>"


def config_digest(config: Config) -> str:
    """Return a digest of the sections of a config that define a pool, with the resolved headers of its endpoints."""
    said = config.model_dump(mode="json", include=_SECTIONS)
    said["endpoints"] = [repr(each) + repr(sorted(each.headers.items())) for each in config.pool_endpoints]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


class PoolActor:
    """The actor. Its methods run one at a time; its server has its own thread.

    Raises:
        ConfigError: the config cannot be used.
        OSError: it cannot listen, or Ray's control store cannot be reached.
    """

    def __init__(self, given: PoolSource) -> None:
        times = claim_times(given.ttl_s)
        self._given = given
        self._pool = Pool.from_config(given.config, clock=clock)  # the clock of its coordinator
        self._token = secrets.token_hex(16)
        self._claim = ActorClaim(given.name, times, ControlStore(), clock)
        self._digest = config_digest(given.config)
        self._ports: dict[str, int] = {}
        self._loop = asyncio.new_event_loop()
        self._server: PoolServer
        begun = threading.Event()
        self._in_thread("balancer-host", lambda: self._serve(begun))
        if not begun.wait(_BEGIN_S):
            raise OSError(f"the server of the pool did not start within {_BEGIN_S:g} s")
        self._listen("127.0.0.1")
        self._in_thread("balancer-claim", self._watch)

    # -- what is asked by way of Ray -----------------------------------------------------------------

    def where(self, node: str) -> PoolLocation:
        """Return where a process on this node connects to. Raises OSError."""
        import ray

        here = node == ray.get_runtime_context().get_node_id()
        host = "127.0.0.1" if here else ray.util.get_node_ip_address()
        settings = self._given.config.pool
        return PoolLocation(
            str(Address(host, self._listen(host), tls=False)),
            self._token,
            self._digest,
            self._given.ttl_s,
            settings.acquire_timeout_s,
            self._given.config.retries,
        )

    def stats(self) -> dict[str, Any]:
        """Return the counters over all processes, since this actor started."""
        return self._pool.stats().to_dict()

    # -- the server ----------------------------------------------------------------------------------

    def _in_thread(self, name: str, act: Callable[[], None]) -> None:
        """Run `act` in a thread. When it ends, the process ends too, and Ray starts another one."""

        def whole() -> None:
            try:
                act()
            except BaseException:
                _log.exception("the pool %r ends here; Ray starts it again", self._given.name)
            os._exit(1)

        threading.Thread(target=whole, name=name, daemon=True).start()

    def _serve(self, begun: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._stay(begun))

    async def _stay(self, begun: threading.Event) -> None:
        pool = self._pool

        def told() -> None:
            if pool.engine.happened:
                pool.engine.delivery.deliver()

        self._server = PoolServer(
            pool.engine.core,
            times=claim_times(self._given.ttl_s),
            last=self._claim.last,
            keep=self._claim.keep,
            token=self._token,
            guard=pool.engine.under_lock,  # `stats` runs in another thread
            told=told,
            may=lambda: self._claim.sure,
            why_not=self._claim.why_not,
        )
        begun.set()
        await asyncio.Event().wait()

    def _listen(self, host: str) -> int:
        """Listen at `host`, if it does not yet. Return the port."""
        if host not in self._ports:
            listening = asyncio.run_coroutine_threadsafe(self._server.listen(host, 0), self._loop)
            self._ports[host] = listening.result(_BEGIN_S)
        return self._ports[host]

    def _watch(self) -> None:
        """Check again and again whether this actor is still the one that hosts the pool, and return when it is not."""
        while not self._claim.lost:
            time.sleep(self._claim.period_s)
            with suppress(OSError):  # then it is no longer sure, and sends nothing
                self._claim.look()
        _log.warning("another actor hosts the pool %r now: this one ends", self._given.name)
