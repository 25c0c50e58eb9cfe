"""The wall clock is set while leases, waits, quotas, traces, a server and its processes are at work: nothing happens.

One process each has its wall clock put on or back by an hour (libfaketime); its other clocks go on as they did.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.needs("faketime")

_PROGRAM = r"""
import json, os, sys, threading, time
from pathlib import Path
from balancer import AcquireTimeout, Endpoint, Pool, QuotaSettings
from tests.cluster.serving import Serving

folder, hours = Path(sys.argv[1]), float(sys.argv[2])
found = {}

def jump():
    before_s, began_s = time.time(), time.monotonic()
    file = Path(os.environ["FAKETIME_TIMESTAMP_FILE"])
    file.with_suffix(".new").write_text(f"{hours * 3600:+.0f}\n")
    file.with_suffix(".new").replace(file)  # in one step: whoever looks at the time reads it, and dies if it is empty
    found["jumped_h"] = round((time.time() - before_s) / 3600)
    found["monotonic_h"] = round((time.monotonic() - began_s) / 3600)

def took(act):
    began_s = time.monotonic()
    act()
    return time.monotonic() - began_s

def times_out(pool):
    try:
        pool.acquire(1.0).release()
    except AcquireTimeout as error:
        return error
    raise AssertionError("it got one")

quotas = {"q": QuotaSettings(requests_per_min=1)}
local = Pool([Endpoint("http://a/"), Endpoint("http://q/", quota="q", labels={"q"})], quotas=quotas)
with Serving("http://b/", ttl_s=120.0) as served, Pool.connect(served.url, within_s=300.0) as shared, local:
    writer = local.trace(folder / "trace.jsonl")
    local.acquire(labels={"q"}).release()
    kept = [local.acquire(exclude={"http://q/"}, ttl_s=600.0), shared.acquire()]
    waits = [threading.Thread(target=times_out, args=(pool,)) for pool in (local, shared)]
    for wait in waits:
        wait.start()
    jump()
    found["waits_s"] = took(lambda: [wait.join() for wait in waits])
    found["later_waits_s"] = took(lambda: (times_out(local), times_out(shared)))
    found["quota"] = [each.room_in_s for each in local.stats().quotas]
    found["ended"] = [lease.ended for lease in kept]
    found["connected"] = shared.connected
    for lease in kept:
        lease.release()
    with shared.lease(), local.lease():
        pass
    writer.close()
rows = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
found["trace_s"] = max(row["ended_s"] for row in rows if row["row"] == "attempt") - rows[0]["clock_s"]
found["total_s"] = time.monotonic() - rows[0]["clock_s"]
print(json.dumps(found))
"""


@pytest.mark.more
@pytest.mark.sampled(1)
@pytest.mark.parametrize("hours", [1.0, -1.0])
def test_a_wall_clock_that_is_set_ends_no_lease_and_no_wait(tmp_path, hours):
    library = subprocess.run(
        ["faketime", "-f", "+0s", "printenv", "LD_PRELOAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    file = tmp_path / "offset"
    file.write_text("+0\n")
    environment = {
        **os.environ,
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    command = [sys.executable, "-c", _PROGRAM, str(tmp_path), str(hours)]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["jumped_h"], found["monotonic_h"]) == (hours, 0), "it did jump, and only the wall clock"
    assert found["ended"] == [False, False]
    assert found["connected"]
    assert 0.9 < found["later_waits_s"] < PATIENCE_S
    assert found["waits_s"] < PATIENCE_S
    assert 59.0 - found["total_s"] <= found["quota"][0] <= 60.0
    assert 0.0 <= found["trace_s"] <= found["total_s"] < PATIENCE_S
