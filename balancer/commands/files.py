"""The limit of open files of a server: each connection is one.

Decides how many connections are taken, and that a server which has none left says so in a line and goes on. It must not
know what is served.
"""

import asyncio
import errno
import logging
import math
import resource
from typing import Any, Final

__all__ = ["most_connections", "no_files_left", "raise_limit"]

_log = logging.getLogger("balancer.serve")

_KEPT: Final = 400  # files for all else: the page's 256 connections, the state, pings, TLS that is being agreed on
_LEAST: Final = 16
_SELDOM_S: Final = 60.0


def raise_limit() -> int | float:
    """Raise this process's limit of open files to the most that it may have, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # macOS says "infinity" and does not mean it
            pass
    return math.inf if soft == resource.RLIM_INFINITY else soft


def most_connections() -> int | float:
    """Return how many connections leave files for all else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return math.inf if soft == resource.RLIM_INFINITY else max(_LEAST, soft - _KEPT, soft // 2)


def no_files_left(loop: asyncio.AbstractEventLoop) -> None:
    """Say in one line a minute that no files are left, where asyncio would print a traceback each time."""
    last_s = -math.inf

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal last_s
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
        elif loop.time() >= last_s + _SELDOM_S:
            last_s = loop.time()
            _log.error(
                "no files are left (%s), so nobody new is let in; start the server where `ulimit -n` says more "
                "(of systemd: LimitNOFILE=)",
                error.strerror,
            )

    loop.set_exception_handler(handle)
