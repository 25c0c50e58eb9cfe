"""The three functions of the old global queue of API paths, on top of a pool.

Code for the old queue changes one import. Differences: waiters are served in order, so none starves. An endpoint is
never given out twice at once. Returning a path that is not out is an error. A path that is listed n times has n slots.

The path that came back longest ago is next (`fifo`). Health is off, as a returned path says nothing about its calls.

The pool is global to the process. New code should make a `Pool` and pass it on.
"""

import threading
from collections import Counter
from collections.abc import Iterable

from balancer.endpoint import Endpoint, Lease
from balancer.errors import AcquireTimeout, BalancerError, UnknownEndpoint
from balancer.opening.pool import Pool

__all__ = ["get_api_path", "initialize_global_api_queue", "return_api_path"]


class _GlobalQueue:
    """The pool, and the leases of the paths that are out."""

    def __init__(self, paths: Counter[str]) -> None:
        self.paths = paths
        self.pool = Pool(
            (
                # A path may be any text, also a port without a scheme. So it is the name, and the URL is made here.
                Endpoint(f"path://{number}", name=path, capacity=slots)
                for number, (path, slots) in enumerate(paths.items())
            ),
            strategy="fifo",
            health=None,
        )
        self._out: dict[str, list[Lease]] = {path: [] for path in paths}
        self._lock = threading.Lock()

    def get(self, timeout: float) -> str | None:
        try:
            lease = self.pool.acquire(timeout)
        except AcquireTimeout:
            return None
        with self._lock:
            self._out[lease.endpoint.name].append(lease)
        return lease.endpoint.name

    def give_back(self, path: str) -> None:
        with self._lock:
            if not isinstance(path, str) or path not in self._out:  # None: from a get that timed out
                raise UnknownEndpoint(str(path), self._out)
            if not self._out[path]:
                raise BalancerError(f"{path!r} is not out, so it cannot be returned; return each path once")
            lease = self._out[path].pop()
        lease.release()


_state_lock = threading.Lock()
_queue: _GlobalQueue | None = None


def initialize_global_api_queue(api_paths: Iterable[str]) -> None:
    """Make the global pool. A second call with the same paths does nothing.

    Raises:
        BalancerError: it was made with other paths, or there are none, or one string was given.
    """
    global _queue
    if isinstance(api_paths, str):
        raise BalancerError(f"api_paths is the string {api_paths!r}; give a list of paths, [{api_paths!r}]")
    paths = Counter(api_paths)
    with _state_lock:
        if not paths:
            raise BalancerError("api_paths is empty; name at least one endpoint")
        if _queue is None:
            _queue = _GlobalQueue(paths)
        elif _queue.paths != paths:
            raise BalancerError(
                f"the global queue exists already with {sorted(_queue.paths.elements())}, "
                f"not {sorted(paths.elements())}; initialise it once"
            )


def get_api_path(timeout: float = 0.1) -> str | None:
    """Take a path, waiting at most `timeout` seconds. Return None if none came free.

    Raises:
        BalancerError: the queue was not initialised.
    """
    return _initialised().get(timeout)


def return_api_path(path: str) -> None:
    """Return a path that `get_api_path` gave.

    Raises:
        BalancerError: it is not out, or was never in the queue. Nothing is changed.
    """
    _initialised().give_back(path)


def _initialised() -> _GlobalQueue:
    if _queue is None:
        raise BalancerError("the global queue does not exist; call initialize_global_api_queue(api_paths) first")
    return _queue
