"""Ray actor that hosts a pool: a cluster's server, in a process that Ray restarts when it dies.

It listens on loopback for processes of its own node, and on the node's address after another node has asked. It always
requires a token. Each life of the actor draws a new one, and passes it to callers that Ray allows.
"""

import hashlib
import json
import logging
import os
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from balancer.cluster.tcp.address import Address
from balancer.cluster.tcp.clock import clock
from balancer.cluster.tcp.server import PoolServer
from balancer.opening.pool import Pool
from balancer.ray.claim import ActorClaim, ControlStore, claim_times
from balancer.settings.config import Config
from balancer.settings.rules import RetrySettings

__all__ = ["PoolActor", "PoolLocation", "config_digest"]

_log = logging.getLogger("balancer.ray")

_SECTIONS: Final = {"pool", "health", "limits", "host_caps", "quotas", "holders", "retries"}


@dataclass(frozen=True, slots=True)
class PoolLocation:
    """Where a pool is, and its settings.

    Attributes:
        url, token: to connect with; `repr` has no token.
        digest, ttl_s: of its config, and its TTL.
        acquire_timeout_s, retries: from its config.
    """

    url: str
    token: str = field(repr=False)
    digest: str
    ttl_s: float
    acquire_timeout_s: float | None
    retries: RetrySettings


def config_digest(config: Config) -> str:
    """Return a digest of the sections of a config that define a pool, with the resolved headers of its endpoints."""
    said = config.model_dump(mode="json", include=_SECTIONS)
    said["endpoints"] = [repr(each) + repr(sorted(each.headers.items())) for each in config.pool_endpoints]
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


class PoolActor:
    """The actor. Ray gives it an event loop, in which its methods and its server run.

    Args:
        name: of the pool in the control store.
        config: what the pool is made from.
        ttl_s: its TTL.

    Raises:
        ConfigError: the config cannot be used.
        OSError: Ray's control store cannot be reached.
    """

    def __init__(self, name: str, config: Config, ttl_s: float) -> None:
        times = claim_times(ttl_s)
        self._name, self._config, self._ttl_s = name, config, ttl_s
        self._pool = pool = Pool.from_config(config, clock=clock)  # the clock of its coordinator
        self._token = secrets.token_hex(16)
        self._claim = ActorClaim(name, times, ControlStore(), clock)
        self._ports: dict[str, int] = {}

        def told() -> None:
            if pool.engine.happened:
                pool.engine.delivery.deliver()

        self._server = PoolServer(
            pool.engine.core,
            times=times,
            last=self._claim.last,
            keep=self._claim.keep,
            token=self._token,
            guard=pool.engine.under_lock,  # the pool's timers run in other threads
            told=told,
            may=lambda: self._claim.sure,
            why_not=self._claim.why_not,
        )
        threading.Thread(target=self._watch, name="balancer-claim", daemon=True).start()

    async def where(self, node: str) -> PoolLocation:
        """Return where a process on this node connects to. Raises OSError."""
        import ray

        here = node == ray.get_runtime_context().get_node_id()
        host = "127.0.0.1" if here else ray.util.get_node_ip_address()
        if host not in self._ports:
            self._ports[host] = await self._server.listen(host, 0)
        return PoolLocation(
            str(Address(host, self._ports[host], tls=False)),
            self._token,
            config_digest(self._config),
            self._ttl_s,
            self._config.pool.acquire_timeout_s,
            self._config.retries,
        )

    async def stats(self) -> dict[str, Any]:
        """Return the counters over all processes, since this actor started."""
        return self._pool.stats().to_dict()

    def _watch(self) -> None:
        """Check again and again whether this actor is still the one that hosts the pool. End the process if not."""
        try:
            while not self._claim.lost:
                time.sleep(self._claim.period_s)
                with suppress(OSError):  # then it is no longer sure, and sends nothing
                    self._claim.look()
            _log.warning("another actor hosts the pool %r now: this one ends", self._name)
        except BaseException:
            _log.exception("the pool %r ends here; Ray starts it again", self._name)
        os._exit(1)
