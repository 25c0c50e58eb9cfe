"""What two or three threads do to one pool at once, for frontrun, which runs them under a scheduler of its own.

Run under its command, for it must replace the locks before anything takes one:

    frontrun python -m tests.threads.interleavings GROUP

Prints a JSON object: for each two or three of the group whether nothing was lost in any interleaving tried, how many
were, and what went wrong. One slot is out from the start, as `held`; each thread makes one move of `MOVES`.

Time is frontrun's too. Where a move is about time, that time passes is one more thing that can happen between any two
others, so a time-out at the moment of a release is tried and not hoped for. Elsewhere time only passes when nobody can
do anything: then who waited eleven days was forgotten.
"""

import json
import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import combinations, combinations_with_replacement
from typing import Any

import frontrun

from balancer import BalancerError, Endpoint, LeaseError, Pool, PoolClosed
from balancer.shells import engine, waiting

# Not for ever: frontrun takes a thread that waits for a lock it has itself for a deadlock, which a gate is not, for
# another opens it.
_LONG_S = 1e6
_SHORT_S = 0.01
engine._FIRST_LOOK_S = 2 * _LONG_S  # else who waits looks for forgotten leases a hundred thousand times


class _Gone(BaseException):
    """Stands for Ctrl-C in a thread that waits."""


class _Gate(waiting.Gate):
    """The gate of a thread that may go away as it begins to wait."""

    def __init__(self, gone: set[int]) -> None:
        super().__init__()
        self._gone = gone

    def wait(self, nap_s: float) -> None:
        if threading.get_ident() in self._gone:
            raise _Gone
        super().wait(nap_s)


class _Tried(Pool):
    """A pool whose callers can go away as they begin to wait, and whose timer is one of the threads that are tried."""

    def __init__(self, *endpoints: Endpoint, held_for_s: float, observed: bool) -> None:
        # The clock is looked up at each call: frontrun replaces time.monotonic while it explores.
        super().__init__(endpoints, clock=lambda: time.monotonic(), seed=1)
        self.engine.start = lambda timer: None  # type: ignore[method-assign]  # the move `tick` is the timer
        self.engine.waits._new_gate = lambda: _Gate(self.gone)
        self.heard: list[object] = []
        if observed:  # a release goes another way then
            self.observe(self.heard.append)
        self.gone: set[int] = set()
        self.ended: list[str] = []  # by which moves `held` ended
        self.stuck = False
        self.held = self.acquire(timeout=0, ttl_s=held_for_s)


def acquire(pool: _Tried) -> None:
    began_s = time.monotonic()
    with suppress(BalancerError), pool.lease(timeout=_LONG_S):  # there may be no endpoint any more, or no pool
        pass
    pool.stuck = pool.stuck or time.monotonic() - began_s > _LONG_S / 2  # even if it found what it waited for then


def timeout(pool: _Tried) -> None:
    with suppress(BalancerError), pool.lease(timeout=_SHORT_S):
        time.sleep(_SHORT_S)


def cancel(pool: _Tried) -> None:
    pool.gone.add(threading.get_ident())
    with suppress(BalancerError, _Gone), pool.lease(timeout=_LONG_S):
        pass


def release(pool: _Tried) -> None:
    with suppress(LeaseError):
        pool.held.release()
        pool.ended.append("release")


def release_by_id(pool: _Tried) -> None:
    with suppress(LeaseError):
        pool.release_by_id(pool.held.id)
        pool.ended.append("release_by_id")


def tick(pool: _Tried) -> None:
    time.sleep(_SHORT_S)
    timer: Any = threading.current_thread()
    timer.cancel = lambda: None  # as a timer that rings already
    with pool.engine.lock:  # it is the timer in force, and early enough for all that is due
        pool.engine._alarm._timer, pool.engine._alarm._due_s = timer, -math.inf
    pool.engine._tick()


def drain(pool: _Tried) -> None:
    with suppress(BalancerError):
        pool.drain("a")


def remove(pool: _Tried) -> None:
    with suppress(BalancerError):
        pool.remove("a")


def update(pool: _Tried) -> None:
    with suppress(BalancerError):
        pool.update("a", capacity=2)


def reweigh(pool: _Tried) -> None:
    with suppress(BalancerError):
        pool.update("a", weight=2.0)


def come_back(pool: _Tried) -> None:
    with suppress(BalancerError):
        pool.drain("a")
        pool.add(Endpoint("a"))


def set_strategy(pool: _Tried) -> None:
    pool.set_strategy("fifo")


def close(pool: _Tried) -> None:
    pool.close()


Move = Callable[[_Tried], None]
MOVES: tuple[Move, ...] = (
    *(acquire, release, timeout, cancel, drain, remove, update, close, set_strategy, tick, release_by_id),
)
_OF_TIME = {timeout, tick}
_ENDS = {release, release_by_id}
_ENDS_A_WAIT = {*_ENDS, drain, remove, update, close}


def nothing_is_lost(pool: _Tried, moves: Sequence[Move]) -> bool:
    """Return whether the held lease ended once, nobody was forgotten, and every slot can be had."""
    ran_out = not pool.ended and pool.held.ended
    if len(pool.ended) + ran_out > 1 or (ran_out and tick not in moves):
        return False
    if not pool.held.ended:
        if _ENDS & set(moves):
            return False
        pool.held.release()
    if pool.stuck and not _OF_TIME & set(moves) and _ENDS_A_WAIT & set(moves):
        return False
    stats = pool.stats()
    if stats.waiting or pool.engine.waits.places or pool.leases() or any(each.in_flight for each in stats.endpoints):
        return False
    for endpoint in stats.endpoints:
        spec = pool.engine.core.ledger.account(endpoint.url).endpoint
        told = 1 + (update in moves), 1.0 + (reweigh in moves)
        if endpoint.state == "active" and come_back not in moves and (spec.capacity, spec.weight) != told:
            return False
    with suppress(PoolClosed):  # raised by the first, if at all
        for _ in range(sum(endpoint.limit for endpoint in stats.endpoints)):
            pool.acquire(timeout=0)
    return not pool.engine.happened and not pool.engine.delivery._calls


_WAITS = {acquire, timeout, cancel}
_TWOS = [*combinations_with_replacement(MOVES, 2), (update, reweigh)]
# Of threes, in the normal run: two wait for what is given back, or one does while something changes.
_THREES = [
    *((release, first, second) for first, second in combinations_with_replacement((acquire, timeout, cancel), 2)),
    *((release, acquire, change) for change in MOVES if change not in _WAITS | _ENDS),
    (release, acquire, come_back),
    (timeout, timeout, timeout),
]
_IN_FULL = os.environ.get("BALANCER_STRESS") == "1"
_ALL_THREES = [*combinations(MOVES, 3), *_THREES] if _IN_FULL else _THREES
# Interleavings of each at most; one takes 0.03 to 0.1 s.
_MOST = {2: 60, 3: 25} if _IN_FULL else {2: 4, 3: 5}

GROUPS: dict[str, list[tuple[Move, ...]]] = {
    "twos with acquire": [moves for moves in _TWOS if acquire in moves],
    "twos with timeout or cancel": [moves for moves in _TWOS if acquire not in moves and _WAITS & set(moves)],
    "twos of others": [moves for moves in _TWOS if not _WAITS & set(moves)],
    "threes": list(dict.fromkeys(_ALL_THREES)),
}


def explore(moves: tuple[Move, ...], most: int) -> dict[str, Any]:
    """Try at most so many interleavings of these moves; return what came of it."""
    held_for_s = _SHORT_S if tick in moves else math.inf
    try:
        found = frontrun.explore(
            setup=lambda: _Tried(Endpoint("a"), held_for_s=held_for_s, observed=len(moves) > 2),
            workers=list(moves),
            invariant=lambda pool: nothing_is_lost(pool, moves),
            clock="explored" if _OF_TIME & set(moves) else "virtual",
            trace_packages=["balancer.*", "balancer_strategies.*"],
            max_executions=most,
            # A busy machine is no deadlock.
            timeout_per_run=120.0,
            deadlock_timeout=60.0,
            reproduce_on_failure=0,
            detect_io=False,
        )
    except Exception as error:  # a worker's: that is a finding too
        return {"holds": False, "tried": 0, "why": repr(error)}
    return {"holds": found.property_holds, "tried": found.num_explored, "why": str(found.explanation)}


def _named(moves: Sequence[Move]) -> str:
    return " + ".join(move.__name__ for move in moves)


if __name__ == "__main__":
    logging.getLogger("balancer").setLevel(logging.ERROR)  # leases run out by the hundred
    Pool([Endpoint("a")])  # loads the plugins, outside the scheduler
    (group,) = sys.argv[1:]
    found = {_named(moves): explore(moves, _MOST[len(moves)]) for moves in GROUPS[group]}
    print(json.dumps(found))
