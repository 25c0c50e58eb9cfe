"""A cluster of two machines, one of which dies at once, with the actor that hosts the pool: Ray starts it on the other.

Six threads work on the machine that stays, two of them in calls that last longer than all this, so an actor that forgot
what is out would grant their slots to others. Ray finds out within two seconds or so here; by its own settings, 15.
"""

import pytest

from tests.cluster.cut import CannotCut
from tests.ray.nodes import measured

ray = pytest.importorskip("ray", reason="not run: Ray is not installed; make ray")

pytestmark = [pytest.mark.more, pytest.mark.xdist_group("ray")]


def test_the_death_of_the_node_that_hosts_the_pool_issues_nothing_twice_and_loses_nothing(in_full):
    if not in_full:
        pytest.skip("not run: two machines in network namespaces take half a minute; BALANCER_STRESS=1 make ray")
    try:
        came = measured()
    except CannotCut as why:
        pytest.skip(f"not run: no network namespaces: {why}")
    assert came.again == 2, "two are at work again, and the leases of the third, which stays in its calls, go on"
    assert came.gap_s > 1.0, "it had died"
    assert (came.too_many, came.lost) == (0, 0)
