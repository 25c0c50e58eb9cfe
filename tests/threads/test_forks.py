"""A pool in a forked child is of no use: it says so at once, and never waits for a lock that nobody will let go."""

import json
import os
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from balancer import Endpoint, HealthSettings, Pool
from balancer.shells.prober import Prober
from tests.patience import PATIENCE_S
from tests.threads.crew import until

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),  # that it is unwise is the point
]


def _in_child(act: Callable[[], object]) -> Any:
    """Return what `act` returns in a forked child, or the error that it raises as `[its type, its words]`."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        said: object = ["nothing", ""]
        try:
            try:
                said = act()
            except BaseException as error:
                said = [type(error).__name__, str(error), list(getattr(error, "__notes__", []))]
            os.write(write, json.dumps(said).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        timer = threading.Timer(20, os.kill, (pid, 9))
        timer.start()
        words = answer.read()
    timer.cancel()
    os.waitpid(pid, 0)
    assert words, "the child never answered: it waits for a lock"
    return json.loads(words)


def _is_refused(said: Any) -> bool:
    return bool(said[0] == "PoolForked" and f"to process {os.getpid()}," in said[1] and "\n" not in said[1])


_CALLS: dict[str, Callable[[Pool], object]] = {
    "acquire": lambda pool: pool.acquire(0),
    "lease": lambda pool: pool.lease(5.0, labels=["x"]),
    "call": lambda pool: pool.call(lambda lease: 1),
    "stats": lambda pool: pool.stats(),
    "leases": lambda pool: pool.leases(),
    "release_by_id": lambda pool: pool.release_by_id(1),
    "add": lambda pool: pool.add("b"),
    "drain": lambda pool: pool.drain("a"),
    "remove": lambda pool: pool.remove("a"),
    "update": lambda pool: pool.update("a", capacity=2),
    "set_strategy": lambda pool: pool.set_strategy("fifo"),
    "observe": lambda pool: pool.observe(print),
    "pinged": lambda pool: pool.pinged("a", ok=True),
    "out_of_service": lambda pool: list(pool.out_of_service()),
}


@pytest.mark.sampled(10)
@pytest.mark.parametrize("name", _CALLS)
@pytest.mark.parametrize("locked", [False, True], ids=["idle", "locked by another thread"])
def test_every_call_says_so_in_the_child(name, locked):
    pool = Pool([Endpoint("a", capacity=2, labels=frozenset("x"))], health=HealthSettings())
    go, has = threading.Event(), threading.Event()

    def hold() -> None:
        with pool.engine.lock, pool.engine.budget._lock, pool.engine.delivery._turn:
            has.set()
            go.wait(PATIENCE_S)

    thread = threading.Thread(target=hold)
    if locked:
        thread.start()
        has.wait(PATIENCE_S)
    said = _in_child(lambda: _CALLS[name](pool))
    go.set()
    if locked:
        thread.join(PATIENCE_S)
    assert _is_refused(said), said
    with pool.lease(timeout=PATIENCE_S):  # and the parent's is none the worse for it
        pass


def test_a_lease_of_the_parent_is_the_parents_to_give_back():
    pool = Pool(["a"])
    with pool.lease() as lease:
        assert _is_refused(_in_child(lease.release))

        def block() -> None:
            with lease:
                raise KeyError("the child's own")

        kind, _, notes = _in_child(block)
        assert kind == "KeyError"
        assert "this pool belongs to process" in notes[0]
    assert lease.ended
    assert pool.stats().calls == 1


def test_no_thread_of_the_pool_runs_in_the_child_and_it_may_have_a_pool_of_its_own():
    settings = HealthSettings(consecutive_failures=1, cooldown_s=200.0)
    pool = Pool(["a", "b"], health=settings)
    held = pool.acquire(ttl_s=500.0)  # arms the timer
    pinged: list[int] = []
    with Prober(pool, {"a": lambda: pinged.append(os.getpid())}, every_s=0.01) as prober:
        until(lambda: bool(pinged))

        def child() -> list[int]:
            prober.stop()
            own = Pool(["mine"])
            with own.lease(timeout=PATIENCE_S):
                pass
            return [threading.active_count(), own.stats().acquired]

        assert _in_child(child) == [1, 1]
    held.release()


def test_a_pool_cannot_be_sent_to_a_process_that_is_spawned():
    with pytest.raises(TypeError, match=r"^a pool cannot be pickled: it serves the threads of one process"):
        pickle.dumps(Pool(["a"]))
