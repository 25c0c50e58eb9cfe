"""Ray on this machine alone, with the least that it can do with: for its tests, and for what measures it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cluster(cpus: int) -> Iterator[str]:
    """Have a cluster of one node; yields the folder of its sessions. Raises ImportError without Ray."""
    import ray

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # short: the names of its sockets have at most 107 bytes
    ray.init(
        address="local",
        num_cpus=cpus,
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
