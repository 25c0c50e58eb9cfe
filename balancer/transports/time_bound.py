"""Time bound of an attempt in a thread: no operation of a socket may last longer than the time until the deadline.

The timeouts of HTTP clients start anew with every byte. So a server that sends its answer in drips can hold a thread
for ever, and a thread cannot be cancelled. Here every operation of a socket gets the time that is left. `bind` does
that for the transports of httpx2 and httpx, `balancer.transports.adapter` for requests. No thread or timer is
needed, and nothing is bound without a deadline.

Two things have no bound: the system's search for the address of a host name, and a client's generator of a body.
"""

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

__all__ = ["TimeBound", "bind", "bound_of_thread", "bounded", "parts"]

_GRAIN_S = 0.001  # a system may wake a little early
_PART_BYTES = 2**14  # of what is sent: a client repeats the timeout for each part that the system takes
_THREAD = threading.local()


class TimeBound:
    """Bounds the sockets that this thread uses inside the `with` block.

    Args:
        for_s: seconds until the deadline; inf: no bound.

    Attributes:
        is_over: True once an operation was refused, or ended with an error, because the deadline had passed.
    """

    def __init__(self, for_s: float) -> None:
        self._until_s = time.monotonic() + for_s
        self._outer: TimeBound | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        if self._until_s < math.inf:
            self._outer, _THREAD.bound = bound_of_thread(), self
        return self

    def __exit__(self, *raised: object) -> None:
        if self._until_s < math.inf:
            _THREAD.bound = self._outer

    def left_s(self) -> float:
        """Return the seconds until the deadline. Raises TimeoutError if there are none."""
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            self.is_over = True
            raise TimeoutError("the deadline has passed")
        return left_s

    def failed(self) -> None:
        """Note that an operation ended with an error. After the deadline, that is the reason."""
        self.is_over = time.monotonic() >= self._until_s - _GRAIN_S


def bound_of_thread() -> TimeBound | None:
    """Return the innermost bound of this thread, or None."""
    found: TimeBound | None = getattr(_THREAD, "bound", None)
    return found


@contextmanager
def bounded(own_s: float | None, *, host: str = "", port: int | None = None) -> Iterator[float | None]:
    """Return the timeout of one operation of a socket, in seconds: the time that is left, if that is less.

    Args:
        own_s: the client's own timeout; None: no limit.
        host: where it connects to. A client tries all addresses of a host, each for its whole timeout.
        port: see `host`.

    Raises:
        TimeoutError: no time is left.
    """
    bound = bound_of_thread()
    if bound is None:
        yield own_s
        return
    left_s = bound.left_s() / (_addresses(host, port) if host else 1)
    try:
        yield left_s if own_s is None else min(left_s, own_s)
    except Exception:
        bound.failed()
        raise


def _addresses(host: str, port: int | None) -> int:
    try:
        return len(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)) or 1
    except (OSError, UnicodeError):  # the client will say so
        return 1


def parts(data: Any) -> Iterator[memoryview]:
    """Yield bytes in parts that are small enough for the system to take each at once."""
    view = memoryview(data).cast("B")
    for start in range(0, len(view), _PART_BYTES):
        yield view[start : start + _PART_BYTES]


def bind(inner: Any) -> None:
    """Let a transport of httpx2 or httpx keep the bound of the thread that uses it. A transport of another kind stays.

    Their transports take no network backend, which their connection pools do.
    """
    pool = getattr(inner, "_pool", None)
    backend = getattr(pool, "_network_backend", None)
    if backend is not None and not isinstance(backend, _Backend):
        pool._network_backend = _Backend(backend)  # type: ignore[union-attr]


class _Backend:
    """A network backend of httpcore."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **given: Any) -> "_Stream":
        with bounded(timeout, host=host, port=port) as timeout_s:
            return _Stream(self._inner.connect_tcp(host, port, timeout=timeout_s, **given))

    def connect_unix_socket(self, path: str, timeout: float | None = None, **given: Any) -> "_Stream":
        with bounded(timeout) as timeout_s:
            return _Stream(self._inner.connect_unix_socket(path, timeout=timeout_s, **given))

    def sleep(self, seconds: float) -> None:
        with bounded(seconds) as sleep_s:
            self._inner.sleep(sleep_s)


class _Stream:
    """A network stream of httpcore."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> Any:
        with bounded(timeout) as timeout_s:
            return self._inner.read(max_bytes, timeout_s)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if bound_of_thread() is None:
            self._inner.write(buffer, timeout)
            return
        for part in parts(buffer):
            with bounded(timeout) as timeout_s:
                self._inner.write(bytes(part), timeout_s)

    def close(self) -> None:
        self._inner.close()

    def start_tls(self, ssl_context: Any, server_hostname: Any = None, timeout: float | None = None) -> "_Stream":
        with bounded(timeout) as timeout_s:
            return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout_s))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
