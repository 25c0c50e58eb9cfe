"""Ray on this machine, for all tests of this folder: slow to begin, so it is begun once."""

import pytest

from tests.ray import machine

CPUS = 3


@pytest.fixture(scope="session")
def cluster():
    """A cluster of one node; yields the folder of its session."""
    pytest.importorskip("ray", reason="not run: Ray is not installed; make ray")
    with machine.cluster(CPUS) as folder:
        yield folder
