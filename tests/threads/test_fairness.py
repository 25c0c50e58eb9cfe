"""Many threads, few endpoints: everyone gets a turn, in turn.

Shares are counted in leases and waits in the leases that others got meanwhile, not in seconds: so a noisy
machine, on which a millisecond may take ten, hardly blurs them. Where it lets one thread sleep on while the others
run, the next run counts; an unfair pool has no good one. The first lease of each thread is left out, for threads that
start earlier find the pool empty.
"""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from balancer import Endpoint, Pool
from balancer.core.metrics import jain_index
from tests.patience import PATIENCE_S
from tests.registered import NAMES, few_first
from tests.threads.crew import assert_nothing_lost, crew

_THREADS, _ENDPOINTS, _HOLD_S, _RUN_S = 32, 4, 0.001, 0.7
_RUNS, _LEASES = 5, 1000


def ids_by_thread(turn: Callable[[], int]) -> list[list[int]]:
    """Let the threads take turns back to back for a while, and often; return the lease ids that each got."""
    ids: list[list[int]] = [[] for _ in range(_THREADS)]
    ends_s = time.monotonic() + _RUN_S

    def work(number: int) -> None:
        while time.monotonic() < ends_s or sum(map(len, ids)) < _LEASES:
            ids[number].append(turn())

    crew(_THREADS, work)
    return ids


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", few_first(NAMES))
def test_every_thread_gets_its_share_and_none_waits_long(name):
    said = [unfairness_of(name)]
    while said[-1] and len(said) < _RUNS:
        said.append(unfairness_of(name))
    assert not said[-1], said


def unfairness_of(name: str) -> str:
    """Run once; return what was unfair, or nothing."""
    pool = Pool([Endpoint(f"e{n}") for n in range(_ENDPOINTS)], strategy=name, seed=1)

    def turn() -> int:
        with pool.lease(timeout=PATIENCE_S) as lease:
            time.sleep(_HOLD_S)
            return lease.id

    ids = ids_by_thread(turn)
    assert_nothing_lost(pool, _ENDPOINTS)
    gaps = [after - before for got in ids for before, after in pairwise(got)]
    mean = sum(gaps) / len(gaps)
    if len(gaps) <= 500 or jain_index(len(got) - 1 for got in ids) < 0.99:
        return f"leases by thread: {[len(got) for got in ids]}"
    return f"one waited for {max(gaps)} leases of others, the mean is {mean:.1f}" if max(gaps) > 3 * mean else ""
