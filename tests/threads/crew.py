"""Threads that start together, end in time, and whose failures are not lost."""

import dis
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from balancer import Pool
from balancer.shells.waiting import Gate
from tests.patience import PATIENCE_S


def crew(size: int, work: Callable[[int], None], *, join_s: float = PATIENCE_S) -> None:
    """Run `work(0)` to `work(size - 1)`, a thread each, all starting together; raise what the first raised."""
    barrier = threading.Barrier(size)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            barrier.wait(join_s)
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(size)]
    for thread in threads:
        thread.start()
    deadline_s = time.monotonic() + join_s
    for thread in threads:
        thread.join(max(0.0, deadline_s - time.monotonic()))
    if errors:
        raise errors[0]
    stuck = sum(thread.is_alive() for thread in threads)
    assert not stuck, f"{stuck} of {size} threads are stuck"


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run `work` in a thread; what it returned or raised is in the list once the thread has ended."""
    came: list[object] = []

    def run() -> None:
        try:
            came.append(work())
        except BaseException as error:
            came.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, came


def in_time(work: Callable[[], object], where: object = "") -> object:
    """Run `work` in another thread, and return what it returned or raised. It must not wait for ever."""
    thread, came = in_background(work)
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), f"it waits for ever: {where}"
    return came[0]


def until(condition: Callable[[], bool], *, within_s: float = PATIENCE_S) -> None:
    """Wait for what another thread is about to do."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"it did not come true within {within_s:g} s"
        time.sleep(0.0005)


def is_asleep(thread: threading.Thread) -> bool:
    """Return whether the thread waits for a lease, and stands in the very call that another one has to wake it from."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None or frame.f_code is not Gate.wait.__code__:
        return False
    steps = {step.offset: step.opname for step in dis.get_instructions(frame.f_code)}
    return steps.get(frame.f_lasti, "").startswith("CALL")


@contextmanager
def switching_often() -> Iterator[None]:
    """Let threads take turns a thousand times more often, which finds more interleavings a second."""
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before_s)


def assert_nothing_lost(pool: Pool, slots: int) -> None:
    """Check that nobody holds or waits, and that every slot can be leased."""
    stats = pool.stats()
    assert [e.in_flight for e in stats.endpoints] == [0] * len(stats.endpoints), f"leases are out: {pool!r}"
    assert stats.waiting == 0, f"somebody waits: {pool!r}"
    leases = [pool.acquire(timeout=0) for _ in range(slots)]
    assert all(e.in_flight == e.limit for e in pool.stats().endpoints)
    for lease in leases:
        lease.release()
