"""Event stream of the page: all tables first, then what has changed, once a second.

Decides when the pool is looked at: while somebody reads, once for all readers, and else never. One who reads too slowly
is not waited for: it is sent all there is again. It must not know what is looked at.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from balancer.observing.page.deltas import Tables, changes

__all__ = ["Feed", "TooManyReaders"]

_log = logging.getLogger("balancer.page")

_MOST_BEHIND: Final = 16  # frames
_MOST_READERS: Final = 64


class TooManyReaders(Exception):
    """As many as there may be read already."""


class Feed:
    """Sends what `look` returns. Used within one event loop.

    Args:
        look: returns the time in seconds, and the tables; called in a thread.
        every_s: how often.
    """

    def __init__(self, look: Callable[[], tuple[float, Tables]], every_s: float = 1.0) -> None:
        self._look = look
        self._every_s = every_s
        self._readers: dict[asyncio.Queue[bytes | None], bool] = {}  # whether it is to be sent all there is
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def follow(self) -> AsyncIterator[bytes]:
        """Yield events in the form of server-sent events, until the feed is closed.

        Raises:
            TooManyReaders: there are 64 already.
        """
        if len(self._readers) >= _MOST_READERS:
            raise TooManyReaders
        mine: asyncio.Queue[bytes | None] = asyncio.Queue(_MOST_BEHIND)
        self._readers[mine] = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._go_on())
        try:
            yield b"retry: 2000\n\n"
            while not self._closed and (event := await mine.get()) is not None:
                yield event
        finally:
            del self._readers[mine]

    def close(self) -> None:
        """Let all readers go."""
        self._closed = True
        for queue in self._readers:
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _go_on(self) -> None:
        before: Tables = {}
        while self._readers and not self._closed:
            try:
                at_s, tables = await asyncio.to_thread(self._look)
            except Exception:
                _log.warning("the pool could not be looked at", exc_info=True)
            else:
                self._send(at_s, before, tables)
                before = tables
            await asyncio.sleep(self._every_s)

    def _send(self, at_s: float, before: Tables, tables: Tables) -> None:
        news = _event({"at_s": at_s, "tables": changes(before, tables)})
        everything = b""
        for queue, is_new in self._readers.items():
            if queue.full():  # it does not read; what it has not read yet is no use without what is lost
                while not queue.empty():
                    queue.get_nowait()
                is_new = True
            if is_new:
                everything = everything or _event({"at_s": at_s, "all": True, "tables": changes({}, tables)})
            queue.put_nowait(everything if is_new else news)
            self._readers[queue] = False


def _event(told: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode() + b"\n\n"
