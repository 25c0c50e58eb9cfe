"""A core with two shells, for callers here and for members: what one of them does or breaks, the other survives."""

import threading
from contextlib import contextmanager

import pytest

from balancer import Pool
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.threads.crew import until


@contextmanager
def _waiting(serving, pool):
    """Have a caller of `pool` wait in the block; it must get its lease in the end, and gives it back."""
    got = []

    def wait():
        with pool.lease(timeout=PATIENCE_S) as lease:
            got.append(lease)

    before = serving.pool.engine.core.waiting
    waiter = threading.Thread(target=wait, daemon=True)
    waiter.start()
    until(lambda: serving.pool.engine.core.waiting == before + 1)
    yield got
    waiter.join(PATIENCE_S)
    assert got, "its wait was lost"


def _interrupted(*_, **__):
    raise KeyboardInterrupt


def _broken(*_):
    raise ZeroDivisionError


def test_who_waits_elsewhere_is_kept_when_a_call_of_this_process_is_cut_short(monkeypatch):
    with Serving("http://a/") as serving, Pool.connect(serving.url) as member:
        lease = member.acquire()
        with _waiting(serving, member), _waiting(serving, serving.pool):
            with pytest.raises(KeyboardInterrupt):
                serving.pool.engine.under_lock(lambda: _interrupted())
            assert serving.pool.stats().waiting == 2
            with monkeypatch.context() as patched:  # in the midst of a call of the core
                patched.setattr(serving.pool.engine.core.ledger, "pinged", _interrupted)
                with pytest.raises(KeyboardInterrupt):
                    serving.pool.pinged("http://a/", True)
            assert serving.pool.stats().waiting == 2
            lease.release()


def test_who_waits_here_is_kept_when_a_step_of_the_server_fails():
    with Serving("http://a/") as serving, Pool.connect(serving.url) as member:
        lease = member.acquire()
        with _waiting(serving, serving.pool), _waiting(serving, member):
            serving.change(_broken)
            assert serving.pool.stats().waiting == 2
            lease.release()
