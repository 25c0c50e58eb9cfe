"""`balancer run` and `balancer check` through each API that has an adapter: the same verdicts as on this machine."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.pipeline.fault_matrix import KINDS
from tests.integration.pipeline.place import ROOT, Place, make_place

pytestmark = pytest.mark.xdist_group("adapters_run")  # what it is compared with is found out once
End = dict[str, list[tuple[Any, ...]]]


@contextmanager
def judged(folder: Path, url: str) -> Iterator[tuple[Place, End]]:
    with make_place(folder) as place:
        home = Path("exact-change/submissions")
        for kind in ("accepted", "wrong_answer"):
            for file in (ROOT / "examples/problems" / home / kind).glob("*.cpp"):
                shutil.copy(file, place.folder / "problems" / home / kind)
        place.write([url], capacity=2)
        place.run()
        yield place, place.end()


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """How the run ends on this machine."""
    with judged(tmp_path_factory.mktemp("here"), "local://here") as (_, end):
        assert {row[-1] for row in end["verdicts"]} >= {"accepted", "wrong_answer"}
        return end


@pytest.mark.more
@pytest.mark.parametrize("name", ["go-judge", "Judge0", "Piston"])
def test_the_same_verdicts(name, here, tmp_path):
    kind = KINDS[name]
    with kind.serve() as url, judged(tmp_path, kind.address(url)) as (place, end):
        assert end == here
        summary = place.summary()
        assert (summary["unjudged"], summary["complete"]) == (0, True)
        command = [sys.executable, "-m", "balancer", "check", "c.toml", "--json"]
        where = {"PYTHONPATH": str(ROOT)}
        checked = subprocess.run(command, cwd=place.folder, env=where, capture_output=True, check=True)
        told = json.loads(checked.stdout)
        assert [each["answers"] for each in told["endpoints"]] == [True]
        assert {"cpp", "python"} <= set(told["languages"])


def test_a_server_that_speaks_something_else_is_told_by_check(tmp_path):
    with KINDS["Piston"].serve() as url, make_place(tmp_path) as place:
        place.write([KINDS["Judge0"].address(url)])
        command = [sys.executable, "-m", "balancer", "check", "c.toml", "--json"]
        checked = subprocess.run(command, cwd=place.folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True)
        (endpoint,) = json.loads(checked.stdout)["endpoints"]
        assert endpoint["answers"] is False
        assert "answered 404" in endpoint["error"]
