"""The settings of a sandbox server: how many, how much, how long.

Decides the defaults, and which numbers make sense.
"""

import os
from dataclasses import dataclass, field, fields

__all__ = ["LARGEST_OUTPUT_BYTES", "LARGE_BODY_BYTES", "ServerSettings"]

LARGEST_OUTPUT_BYTES = 32 * 2**20
"""What a request may ask for at most, of stdout, and of stderr."""

LARGE_BODY_BYTES = 4 * 2**20
"""From this size on, requests may have half of the workers only."""


def _cores() -> int:
    return len(os.sched_getaffinity(0))


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What a server bears. Sizes in bytes, times in seconds.

    Args:
        workers: programs at once; by default one for each core we may use.
        queue: requests that may wait for a worker; one more is told that the server is busy.
        token: what a client must show as its bearer token; "": nothing.
        hosts: the names by which it may be asked; (): any.
        connections: open at once; one more, and the one that was silent for longest is closed.
        body_bytes: the largest body of a request.
        bodies_bytes: all bodies together, of those that are read, wait or run; one more byte, and the largest that is
            still being read is refused.
        small_bytes: bodies up to this size may use the last quarter of `bodies_bytes`, others not.
        answers_bytes: all answers together that are not sent yet; one more, and the largest of them is given up.
        head_s: from the first moment until the head of a request is there.
        silent_s: the longest pause while a body comes.
        body_s: until all of a body is there.
        keep_alive_s: until a connection without a request is closed.
        answer_s: the longest time in which a client may not read any of its answer.

    Raises:
        ValueError: a number is not positive.
    """

    workers: int = field(default_factory=_cores)
    queue: int = 64
    token: str = field(default="", repr=False)
    hosts: tuple[str, ...] = ()
    connections: int = 1024
    body_bytes: int = 64 * 2**20
    bodies_bytes: int = 256 * 2**20
    small_bytes: int = 2**20
    answers_bytes: int = 256 * 2**20
    head_s: float = 10.0
    silent_s: float = 10.0
    body_s: float = 120.0
    keep_alive_s: int = 10  # longer than clients keep one, lest they use it in the moment in which it is closed
    answer_s: float = 20.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value, least = getattr(self, each.name), 0 if each.name == "queue" else 1
            if isinstance(value, int) and value < least:
                raise ValueError(f"{each.name} is {value}; it must be at least {least}")
            if isinstance(value, float) and value <= 0:
                raise ValueError(f"{each.name} is {value:g}; it must be more than 0")
