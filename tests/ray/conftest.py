"""Ray on this machine, for all tests of this folder: slow to begin, so it is begun once."""

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

CPUS = 3


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """A cluster of one node; yields the folder of its session."""
    ray = pytest.importorskip("ray", reason="not run: Ray is not installed; make ray")
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: the names of its sockets have at most 107 bytes
    ray.init(
        address="local",
        num_cpus=CPUS,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 2**20,
        _temp_dir=folder,
    )
    try:
        yield folder
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
