"""Ctrl-C in a process of a shared pool: its callers send and read themselves, and no word is lost by an interrupt."""

import pytest

from balancer import Pool
from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S
from tests.threads.crew import until
from tests.threads.interrupts import interrupted_at

_SOON_S = 30.0  # a hundred times what it takes; what is lost is not waited for much longer
_WHERE = (
    "balancer/cluster/",
    "balancer/opening/connected.py",
    "balancer/shells/engine.py",
    "balancer/shells/waiting.py",
)


@pytest.mark.parametrize("stride", [41, pytest.param(1, marks=pytest.mark.more)])
def test_an_interrupt_at_any_point_loses_no_slot(stride):
    number, missed = 1, 0  # a call whose answer another thread reads has fewer points: one such is not the end
    with Serving("http://a/", ttl_s=3.0) as serving, Pool.connect(serving.url, within_s=PATIENCE_S) as pool:

        def lease():
            pool.acquire(_SOON_S).release()

        interrupted_at(0, _WHERE, lease)  # once in vain, see there
        while missed < 10:
            where = interrupted_at(number, _WHERE, lease)
            lease()  # the one slot is free again, and this process is heard and hears
            assert pool.leases() == (), where
            until(lambda: serving.pool.leases() == ())
            missed = 0 if where is not None else missed + 1
            number += stride
    assert number > 300
