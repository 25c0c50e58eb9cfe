"""Settings of a sandbox server: its limits, with their defaults."""

import os
import sys
from dataclasses import dataclass, field

__all__ = ["LARGEST_OUTPUT_BYTES", "ServerSettings"]

LARGEST_OUTPUT_BYTES = 32 * 2**20
"""What a request may ask for at most, of stdout, and of stderr."""


def _cores() -> int:
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Limits of a sandbox server. Sizes in bytes, times in seconds.

    Args:
        workers: programs at once; by default one for each usable core.
        queue: requests that may wait for a worker. Further ones are refused as busy.
        token: bearer token that a client must send; "": none.
        hosts: the host names that a request may name; (): any.
        connections: open at once. With one more, the one that was silent for longest is closed.
        body_bytes: the largest body of a request.
        held_bytes: limit on all bodies that are read, wait or run, and all answers that are not sent. Beyond it, bodies
            are refused as busy.
        small_bytes: only bodies up to this size may use the last quarter of `held_bytes`.
        head_s: limit from the start of a connection to the head of its request.
        silent_s: the longest pause within a body.
        body_s: limit until the whole body is there, and until the whole answer is sent.
        keep_alive_s: limit for a connection without a request.
        answer_s: the longest time in which a client may read none of its answer.
    """

    workers: int = field(default_factory=_cores)
    queue: int = 64
    token: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()
    connections: int = 1024
    body_bytes: int = 64 * 2**20
    held_bytes: int = 256 * 2**20
    small_bytes: int = 2**20
    head_s: float = 10.0
    silent_s: float = 10.0
    body_s: float = 120.0
    keep_alive_s: int = 10  # longer than clients keep a connection, so that they do not use it while it is closed
    answer_s: float = 20.0
