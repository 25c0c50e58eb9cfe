"""A signal that comes while a command starts: it is not lost in an import, and ends the command in a line."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.contracts.documents import ROOT
from tests.patience import PATIENCE_S

# Sends itself a signal at one of the imports that follow the entry, and counts them in a file.
_PROGRAM = """
import os, sys
number, at, file = int(sys.argv[1]), int(sys.argv[2]), open(sys.argv[3], "w")
seen = 0

def hear(event, arguments):
    global seen
    if event == "import" and "balancer.commands.app" in sys.modules:
        seen += 1
        print(seen, file=file, flush=True)
        if seen == at:
            os.kill(os.getpid(), number)

sys.addaudithook(hear)
del sys.argv[1:4]
from balancer.__main__ import main
main()
"""
_SCENARIO = """
horizon_s = 9e7
replications = 10000
policies = ["fifo"]
[workload]
kind = "poisson"
rate_per_s = 1.0
[[endpoints]]
url = "http://a/"
"""
_SERVED = '[[endpoints]]\nurl = "http://a/"\n'
_RUN = f"""
[pipeline]
problems = "{ROOT}/examples/problems"
results = "results"
[[endpoints]]
url = "http://127.0.0.1:9/"
"""
_COMMANDS = {
    "simulate": (_SCENARIO, ["simulate", "c.toml"]),
    "serve": (_SERVED, ["serve", "c.toml", "--port", "0"]),
    "run": (_RUN, ["run", "c.toml"]),
}
_PARTS = 16


def _start(folder: Path, name: str, number: int, at: int) -> "subprocess.Popen[str]":
    config, arguments = _COMMANDS[name]
    (folder / "c.toml").write_text(config, encoding="utf-8")
    command = [sys.executable, "-c", _PROGRAM, str(number), str(at), str(folder / "seen"), *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def imports():
    """How many imports each command makes until it is at work, once that is known."""
    return {}


def _counted(folder: Path, name: str) -> int:
    """Return how many imports a command makes until it makes no more for two seconds, or ends."""
    process = _start(folder, name, 0, 10**9)
    try:
        seen = folder / "seen"
        last, same = "", 0
        while same < 20 and process.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.1)
            said = seen.read_text() if seen.exists() else ""
            same = same + 1 if said and said == last else 0
            last = said
        return int(last.split()[-1])
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("part", [pytest.param(part, marks=pytest.mark.more) for part in range(_PARTS)])
@pytest.mark.parametrize("name", _COMMANDS)
def test_a_signal_amid_an_import(tmp_path, name, part, number, imports):
    if name not in imports:
        imports[name] = _counted(tmp_path, name)
    at = 1 + imports[name] * part // _PARTS
    process = _start(tmp_path, name, number, at)
    try:
        _, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 128 + number, (at, err)
    assert "Traceback" not in err
    assert "stop" in err
