"""`SharedPool`: a pool by its name, for any process of a Ray cluster.

Decides how the pool's actor is found, created and found again. Ray only tells where the actor is. Leases use a
connection from this process to the actor's server.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, Final

from balancer.errors import ConfigError, NotConnected
from balancer.opening.connected import ConnectedPool
from balancer.opening.pool import Pool
from balancer.plugins.extras import require
from balancer.settings.config import Config, load_config
from balancer.settings.pool import TraceSettings

__all__ = ["SharedPool", "last_line", "stop"]

# Ray namespace of the pools' names. It is not a job's namespace, because all jobs share the pools.
_NAMESPACE: Final = "balancer"
_TTL_S: Final = 10.0
_ASK_S: Final = 4.0  # seconds for the actor to say where it is
_GONE: Final = "make it again, with config="


class SharedPool(ConnectedPool):
    """The pool of this name, shared by all processes of the cluster. The first process creates it.

    Threads and tasks lease from it as from any pool. It can be passed to tasks and actors of Ray: its pickle is its
    name. A process has one pool of each name, which lasts as long as the process.

    Args:
        name: of the pool.
        config: to create the pool from, or the path of its TOML file, read here; None: the pool must exist.
        ttl_s: seconds without contact after which a process loses its leases; None: as the pool has it, 10 for a new
            one.
        detached: whether the pool outlives the job that creates it; `stop` ends it.
        block: leases to ask for at once; see `Pool.connect`.
        within_s: seconds to wait for the pool.

    Attributes:
        called: the name of the pool.

    Raises:
        ConfigError: no such pool and no config; the config cannot be used, or differs from the pool's; another actor
            has the name; or Ray is not initialised.
        NotConnected: the pool cannot be reached in time.
        MissingExtra: the extra `ray` is not installed.
    """

    def __init__(
        self,
        name: str,
        *,
        config: "Config | str | PathLike[str] | None" = None,
        ttl_s: float | None = None,
        detached: bool = True,
        block: int = 1,
        within_s: float = 60.0,
    ) -> None:
        _ready(name)
        if not (isinstance(name, str) and name):
            raise ConfigError(f"a pool of Ray has the name {name!r}; it must be a text that is not empty")
        if config is not None and not isinstance(config, Config):
            config = load_config(config)
        if config is not None and config.pool.connect is not None:
            raise config.located("pool.connect", ConfigError("a pool of Ray connects to no other server; leave it out"))
        self.called, self._block = name, block
        actor = _found(name) if config is None else _made(name, config, ttl_s, detached)
        self._actor = None if detached else actor  # without `detached`, the actor ends with its last handle
        found = _asked(actor, name, within_s)
        _compare(name, found, config, ttl_s)
        super().__init__(
            found.url,
            token=found.token,
            block=block,
            acquire_timeout_s=found.acquire_timeout_s,
            retries=found.retries,
            within_s=within_s,
            seek=self._seek_again,
        )
        self._refusal = (
            f"{_called(name)}: only its actor can change endpoints and strategy; "
            f"end it, balancer.ray.stop({name!r}), and make it from another config"
        )

    def _seek_again(self) -> tuple[str, str]:
        """Return where the pool is now, and its token. Raises NotConnected."""
        try:
            _ready(self.called)
            found = _asked(_found(self.called), self.called, _ASK_S)
        except ConfigError as error:
            raise NotConnected(_called(self.called), str(error)) from None
        self._url = found.url
        return found.url, found.token

    def shared_stats(self) -> dict[str, Any]:
        """Return the counters over all processes, since the actor last started, as `PoolStats.to_dict` does.

        Raises:
            NotConnected: the actor does not answer.
        """
        with _reaching(self.called) as ray:
            stats: dict[str, Any] = ray.get(_found(self.called).stats.remote(), timeout=_ASK_S)
        return stats

    def __reduce__(self) -> Any:
        return _of_this_process, (self.called, self._block)

    def __repr__(self) -> str:
        return f"<Pool {self.called!r} of Ray, at {self._url} {self._seat!r}>"


def stop(name: str) -> None:
    """End the pool of this name, for all processes. Its leases end within 0.8 of its TTL.

    Raises:
        ConfigError: there is no such pool, or Ray is not initialised.
        MissingExtra: the extra `ray` is not installed.
    """
    _ready(name)
    import ray

    ray.kill(_found(name), no_restart=True)


# -- what unpickles -----------------------------------------------------------------------------------

_pools: dict[tuple[str, int], tuple[int, SharedPool]] = {}  # by name and block, with the process that they are of
_pools_lock = threading.Lock()


def _of_this_process(name: str, block: int) -> SharedPool:
    """Return this process's pool of this name; connect it if there is none."""
    with _pools_lock:
        process, pool = _pools.get((name, block), (0, None))
        if pool is None or process != os.getpid() or pool._seat.closed:
            pool = SharedPool(name, block=block)
            _pools[name, block] = os.getpid(), pool
        return pool


# -- the actor ----------------------------------------------------------------------------------------


def _called(name: str) -> str:
    return f"the pool {name!r} of Ray"


def _ready(name: str) -> None:
    """Check that Ray can be used. Raises ConfigError, MissingExtra."""
    require("ray", "balancer.ray")
    import ray

    if not ray.is_initialized():
        raise ConfigError(f"{_called(name)}: Ray is not initialised in this process; call ray.init() first")
    if ray.util.client.ray.is_connected():
        raise ConfigError(
            f"{_called(name)}: this process uses Ray Client (ray://), which is not on the cluster; run it there, e.g. "
            "by ray job submit"
        )


@contextmanager
def _reaching(name: str, within_s: float = _ASK_S) -> Iterator[Any]:
    """Raise errors of Ray as NotConnected, and yield Ray."""
    import ray

    try:
        yield ray
    except ray.exceptions.GetTimeoutError:
        raise NotConnected(_called(name), f"its actor did not answer within {within_s:g} s") from None
    except ray.exceptions.RayError as error:
        raise NotConnected(_called(name), last_line(getattr(error, "cause", None) or error)) from None


def _found(name: str) -> Any:
    with _reaching(name) as ray:
        try:
            return ray.get_actor(name, namespace=_NAMESPACE)
        except ValueError:
            raise ConfigError(f"{_called(name)}: there is none in the namespace {_NAMESPACE!r}; {_GONE}") from None


def _made(name: str, config: Config, ttl_s: float | None, detached: bool) -> Any:
    """Return the actor of this name; create it if there is none."""
    from balancer.ray.actor import PoolActor
    from balancer.ray.claim import claim_times

    ttl_s = _TTL_S if ttl_s is None else float(ttl_s)
    try:
        claim_times(ttl_s)
    except ValueError as error:
        raise ConfigError(f"{_called(name)}: {error}") from None
    if config.discovery:
        why = "an actor follows no source; serve the pool (balancer serve), and connect to it"
        raise config.located("discovery", ConfigError(why))
    only = config.model_copy(update={"pipeline": None, "llm": None, "trace": None})
    Pool.from_config(only).close()  # errors in the config are raised here, not in a process that dies of them
    if config.trace is not None:  # the actor writes it; its current folder is another one
        path = str(Path(config.trace.path).absolute())
        only = only.model_copy(update={"trace": TraceSettings(path=path)})
    options = {"max_restarts": -1, "max_task_retries": -1, "num_cpus": 0, "lifetime": "detached" if detached else None}
    with _reaching(name) as ray:
        actor = ray.remote(PoolActor).options(name=name, namespace=_NAMESPACE, get_if_exists=True, **options)
        return actor.remote(f"{_NAMESPACE}/{name}", only, ttl_s)


def _asked(actor: Any, name: str, within_s: float) -> Any:
    """Return where the actor is. Raises ConfigError, NotConnected."""
    if not hasattr(actor, "where") or not hasattr(actor, "stats"):
        raise ConfigError(f"{_called(name)}: another actor has this name; give the pool another one")
    with _reaching(name, within_s) as ray:
        return ray.get(actor.where.remote(ray.get_runtime_context().get_node_id()), timeout=within_s)


def last_line(error: BaseException) -> str:
    """Return an error of Ray, which has many lines, as one line."""
    lines = str(error).strip().splitlines()  # the last line says what happened, the others where
    return f"{type(error).__name__}: {lines[-1].strip() if lines else ''}"


def _compare(name: str, found: Any, config: Config | None, ttl_s: float | None) -> None:
    """Raise ConfigError if the existing pool was made from another config or TTL."""
    from balancer.ray.actor import config_digest

    if ttl_s not in (None, found.ttl_s) or (config is not None and config_digest(config) != found.digest):
        raise ConfigError(
            f"{_called(name)}: it exists, and was made from another config or TTL (it has {found.ttl_s:g} s); leave "
            f"config= and ttl_s= out to take it as it is, or end it first: balancer.ray.stop({name!r})"
        )
