"""What works on macOS and on Windows, as far as Linux can tell.

A process of its own plays the other system: what Python has there no more is taken away from it, once the packages of
others are imported.
"""

import subprocess
import sys

import pytest

from tests.cluster.serving import Serving
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.more

_PLAY = """
import asyncio, builtins, multiprocessing, os, select, signal, socket, ssl, subprocess, sys, tempfile, threading, time
import aiohttp, click, httpx2, numpy, pluggy, pydantic, rich.console, rich.live, simpy, typer
import asyncio.events, multiprocessing.connection, multiprocessing.resource_tracker, sysconfig, uuid, zoneinfo
from pydantic import BaseModel, Field, TypeAdapter

absent = {
    "win32": [
        (os, "eventfd fork geteuid getuid killpg nice pread sched_getaffinity wait4 pidfd_open register_at_fork"),
        (select, "epoll poll EPOLLIN EPOLLOUT POLLIN POLLOUT PIPE_BUF"),
        (signal, "SIGALRM SIGHUP SIGKILL SIGXCPU SIGPROF setitimer ITIMER_REAL pthread_sigmask SIG_BLOCK"),
        (socket, "MSG_DONTWAIT"),
        (time, "clock_gettime CLOCK_BOOTTIME CLOCK_MONOTONIC"),
    ],
    "darwin": [
        (os, "eventfd sched_getaffinity sched_getscheduler pidfd_open"),
        (select, "epoll EPOLLIN EPOLLOUT"),
        (time, "CLOCK_BOOTTIME"),
    ],
}
modules = {"win32": {"fcntl", "resource", "pwd", "grp", "termios", "pty"}, "darwin": set()}
sys.platform = sys.argv[1]
for module, names in absent[sys.platform]:
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
found = builtins.__import__
def there(name, globals=None, locals=None, fromlist=(), level=0):
    if name in modules[sys.platform] and str((globals or {}).get("__name__")).startswith("balancer"):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return found(name, globals, locals, fromlist, level)
builtins.__import__ = there
"""

_POOL = """
from balancer import Endpoint, Pool
with Pool([Endpoint("http://a/"), Endpoint("http://b/")], strategy="weighted_health") as pool:
    assert pool.call(lambda lease: 7) == 7
"""

_MEMBER = """
from concurrent.futures import ThreadPoolExecutor
with Pool.connect(sys.argv[2]) as pool, ThreadPoolExecutor(4) as threads:
    assert list(threads.map(lambda n: pool.call(lambda lease: n), range(100))) == list(range(100))
"""


def _played(platform, code, *arguments, folder):
    script = folder / "play.py"
    script.write_text(_PLAY + 'if __name__ == "__main__":\n' + "".join(f"    {line}\n" for line in code.splitlines()))
    done = subprocess.run(
        [sys.executable, "-W", "error", script, platform, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_pool_and_member_work(platform, tmp_path):
    with Serving("http://a/", "http://b/") as serving:
        _played(platform, _POOL + _MEMBER, serving.url, folder=tmp_path)


@pytest.mark.parametrize("command", ["serve", "proxy", "run", "sandbox"])
def test_a_command_that_windows_cannot_run_says_so(command, tmp_path):
    (tmp_path / "pool.toml").write_text('[[endpoints]]\nurl = "http://a/"\n\n[pipeline]\nproblems = "."\n')
    code = (
        "from balancer.__main__ import main\n"
        "sys.stderr = sys.stdout\n"
        f"sys.argv[1:] = {[command] if command == 'sandbox' else [command, 'pool.toml']}\n"
        "try:\n    main()\nexcept SystemExit as end:\n    print('exit', end.code)"
    )
    said = _played("win32", code, folder=tmp_path).splitlines()
    assert len(said) == 2, said
    assert "needs Linux or macOS" in said[0], said
    assert said[1] == "exit 2"
