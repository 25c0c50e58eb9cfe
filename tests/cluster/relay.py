"""A relay to a port of this machine that can be cut, or be slow: the network between a server and somebody else."""

import asyncio
import threading
from contextlib import suppress

from tests.patience import PATIENCE_S

__all__ = ["Relay"]

_LOOK_S = 0.01


class Relay:
    """A port through which bytes go to another port of this machine.

    Args:
        to: that port.

    Attributes:
        port: its own.
        cut: nothing is carried while this is True, and nobody is told. What was sent arrives later.
        delay_s: how long bytes take, each way.
    """

    def __init__(self, to: int) -> None:
        self.port = 0
        self.cut = False
        self.delay_s = 0.0
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        begun = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(begun,), name="relay", daemon=True)
        self._thread.start()
        assert begun.wait(PATIENCE_S)

    def _run(self, begun: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._stay(begun))
        self._loop.close()

    async def _stay(self, begun: threading.Event) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._accepted, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        begun.set()
        await self._over.wait()
        server.close()
        for each in [*self._open]:
            each.transport.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}  # type: ignore[arg-type]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self._open.add(back)
        try:
            while self.cut:
                await asyncio.sleep(_LOOK_S)
            far, forth = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            back.transport.abort()
            return
        self._open.add(forth)
        await asyncio.gather(self._carry(near, forth), self._carry(far, back))

    async def _carry(self, one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await one.read(65536):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                while self.cut:
                    await asyncio.sleep(_LOOK_S)
                other.write(data)
        with suppress(OSError):
            other.close()
        self._open.discard(other)

    def close(self) -> None:
        """End it, with its connections."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(PATIENCE_S)

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
