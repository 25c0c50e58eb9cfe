"""A thread that waits for a lease, and can be interrupted from another."""

import ctypes
import threading
from typing import Any

from balancer import Pool
from tests.patience import PATIENCE_S
from tests.threads.crew import is_asleep, until
from tests.threads.interrupts import Interrupted


class WaitingThread(threading.Thread):
    """Waits for a lease, and gives it back; it is asleep, or has ended, when it has been made.

    Attributes:
        ended_with: the URL that it leased, or what it was told.
    """

    def __init__(self, pool: Pool, timeout: float | None = PATIENCE_S, **asked: Any) -> None:
        super().__init__(daemon=True)
        self.pool, self.asked = pool, {"timeout": timeout, **asked}
        self.ended_with: BaseException | str | None = None
        self.start()
        until(lambda: is_asleep(self) or not self.is_alive())

    def run(self) -> None:
        try:
            with self.pool.lease(**self.asked) as lease:
                self.ended_with = lease.endpoint.url
        except BaseException as error:
            self.ended_with = error

    def interrupt(self) -> None:
        """Make `Interrupted` rise in the thread as soon as it runs again, which it does when it is woken."""
        assert self.ident is not None
        count = ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.ident), ctypes.py_object(Interrupted))
        assert count == 1
