"""`balancer simulate` as processes and on the command line: stopped, misused, with nowhere to write."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S
from tests.simulation.groups import group

ROOT = Path(__file__).resolve().parents[2]
# A signal may come amid an import, which then leaves its file to be collected: Python's matter, and silent by default.
_COMMAND = [
    *(sys.executable, "-W", "error", "-W", "ignore::ResourceWarning"),
    *("-c", "from balancer.commands.app import main; main()"),
]

_SHORT = """
horizon_s = 20.0
replications = 2
policies = ["fifo"]
[workload]
kind = "poisson"
rate_per_s = 1.0
[[endpoints]]
url = "http://a/"
"""
_ENDLESS = _SHORT.replace("20.0", "9e7").replace("replications = 2", "replications = 10000")


# -- signals ----------------------------------------------------------------------------------------


@contextmanager
def comparing(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Have `simulate` run without end, in a process group of its own, as a shell does; all of it is gone afterwards."""
    (folder / "scenario.toml").write_text(_ENDLESS)
    process = subprocess.Popen(
        [*_COMMAND, "simulate", "scenario.toml", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def until(holds: Callable[[], bool], why: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end_s, why
        time.sleep(0.02)


def simulates(pid: int) -> bool:
    """Whether the process has numpy, which only what simulates imports."""
    try:
        return "numpy" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return False


def cpu_s(pid: int) -> float:
    """Return how many seconds of CPU time the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("to_all", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_stops_it_with_a_line_and_leaves_no_process(tmp_path, number, jobs, to_all):
    with comparing(tmp_path, "--jobs", str(jobs), "--out", "out") as process:
        if jobs == 1:
            until(lambda: simulates(process.pid), "it does not begin")
            begun_s = cpu_s(process.pid)
            until(lambda: cpu_s(process.pid) > begun_s + 1.0, "it does not go on")
        else:  # the parent, two workers, and what tracks their resources: as early as they are there
            until(lambda: len(group(process.pid)) == 4, "no workers")
        if to_all:  # as a terminal does
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
        said = err.splitlines()[-1]  # progress is said before, if it takes long
        assert (process.returncode, out) == (128 + number, "")
        # It also names a plugin that was being loaded, on a busy machine.
        assert re.fullmatch(r"balancer: stopped; (while plugin .* was loaded; )?nothing was written", said)
        until(lambda: not group(process.pid), "a worker is left")
    assert not (tmp_path / "out").exists()


@pytest.mark.more
def test_workers_end_with_their_parent_however_it_ends(tmp_path):
    with comparing(tmp_path, "--jobs", "2") as process:
        until(lambda: sum(map(simulates, group(process.pid))) == 3, "no workers")
        process.kill()
        until(lambda: not group(process.pid), "a worker is left")
        assert process.communicate() == ("", "")


# -- mistakes ---------------------------------------------------------------------------------------


@pytest.fixture
def mistake(tmp_path, monkeypatch, command):
    """Return what runs a command that must fail, in an empty folder, and returns the line that it gets."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str, scenario: str = _SHORT) -> str:
        Path("scenario.toml").write_text(scenario)
        code, out, err = command(*args)
        assert (code, out) == (2, "")
        (line,) = err.splitlines()
        return line

    return run


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("scenario.toml", "Not a directory"),
        ("new/" + "a" * 300, "File name too long"),
        ("/proc/nothing/can/be/made", "No such file or directory"),
    ],
)
def test_where_nothing_can_be_written_is_said_before_anything_runs(mistake, out, reason):
    line = mistake("simulate", "scenario.toml", "--out", out, scenario=_ENDLESS)
    assert line == f"balancer: --out: {out}: cannot be written: {reason}; choose a writable folder"
    assert [path.name for path in Path().iterdir()] == ["scenario.toml"]


@pytest.mark.parametrize("section", ["pool", "pipeline"])
def test_a_run_config_is_recognised(mistake, section):
    line = mistake("simulate", "scenario.toml", scenario=f"[{section}]\n[[endpoints]]\nurl = 'http://a/'\n")
    assert line == (
        f"balancer: scenario.toml: this is a run config, for balancer run: it has [{section}]; "
        "a scenario has [workload] and [[endpoints]], see docs/simulator.md"
    )
