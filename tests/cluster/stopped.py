"""A process that is stopped while time is promised to it, and says what it finds when it goes on.

    python -m tests.cluster.stopped SHORT_TTL_URL LONG_TTL_URL FLAG

It sets the first byte of the file FLAG to 1, and is stopped. When it goes on it looks at each promise, before any of
its other threads has a turn, and prints a line of JSON: what it found, by promise.
"""

import json
import mmap
import sys
import threading
import time
from collections.abc import Callable

from balancer import BalancerError, Endpoint, EndpointError, HealthSettings, Lease, Outcome, Pool, QuotaSettings
from balancer.core import quotas

LIMIT_S = 1.0
"""How long the things last whose time passes while the process is stopped."""


def _be_stopped(flag: str) -> None:
    """Return when the clock has jumped by more than `LIMIT_S`. No other thread of this process runs meanwhile."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000.0)
    with open(flag, "r+b") as file, mmap.mmap(file.fileno(), 1) as shared:
        last = time.monotonic()
        shared[0] = 1  # a write to a pipe would let other threads run
        while (now := time.monotonic()) - last < LIMIT_S:
            last = now
    sys.setswitchinterval(before)


def _said(act: Callable[[], object]) -> str:
    try:
        return str(act())
    except BalancerError as error:
        return type(error).__name__


def _waits(pool: Pool, *labels: str) -> Callable[[], str]:
    """Begin a wait of `LIMIT_S` in a thread. Return a function that returns how it ended."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(_said(lambda: pool.acquire(LIMIT_S, labels={*labels}))))
    thread.start()
    while not found and not pool.stats().waiting:
        time.sleep(0.001)

    def ended() -> str:
        thread.join()
        return found[0]

    return ended


def _calls(pool: Pool) -> Callable[[], str]:
    """Begin a call with a deadline of `LIMIT_S` in a thread, which fails once the process goes on."""
    begun, goes_on, found, attempts = threading.Event(), threading.Event(), list[str](), list[Lease]()

    def work(lease: Lease) -> None:
        attempts.append(lease)
        begun.set()
        goes_on.wait()
        raise EndpointError("down")

    def act() -> None:
        found.append(_said(lambda: pool.call(work, attempts=9, deadline_s=LIMIT_S)))

    thread = threading.Thread(target=act)
    thread.start()
    begun.wait()

    def ended() -> str:
        goes_on.set()
        thread.join()
        return f"{found[0]} after {len(attempts)}"

    return ended


def main(short: str, long: str, flag: str) -> None:
    quotas.WINDOW_S = LIMIT_S  # type: ignore[misc]  # a minute is too long for a test
    cut_off, kept = Pool.connect(short, block=2), Pool.connect(long)
    busy = kept.acquire(labels={"busy"})
    lost, timed = cut_off.acquire(), kept.acquire(ttl_s=LIMIT_S)
    local = Pool(["http://a/"])
    over = local.acquire(ttl_s=LIMIT_S)
    full = Pool(["http://a/"])
    held = full.acquire()
    health = HealthSettings(consecutive_failures=1, cooldown_s=LIMIT_S)
    ejected = Pool([Endpoint("http://a/", labels=frozenset({"a"})), "http://b/"], health=health)
    ejected.acquire(labels={"a"}).release(Outcome.FAILURE)
    assert ejected.out_of_service()
    spent = Pool([Endpoint("http://a/", quota="q")], quotas={"q": QuotaSettings(requests_per_min=1)})
    spent.acquire().release()
    wait, shared_wait, call = _waits(full), _waits(kept, "busy"), _calls(Pool(["http://b/"]))
    _be_stopped(flag)
    found = {
        "a lease without contact has ended": str(lost.ended),
        "and cannot be given back": _said(lost.release),
        "a lease of a server ends by its ttl_s": str(timed.ended),
        "a lease of this process ends by its ttl_s": _said(lambda: (local.acquire(0.0).ended, over.ended)),
        "a cooldown is over": _said(lambda: ejected.acquire(0.0, labels={"a"}).ended),
        "a quota has room again": _said(lambda: spent.acquire(0.0).ended),
        "a wait is over": wait(),
        "a wait for a server is over": shared_wait(),
        "a call makes no further attempt": call(),
    }
    held.release()
    busy.release()
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
