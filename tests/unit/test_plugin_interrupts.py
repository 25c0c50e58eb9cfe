"""Ctrl-C while a plugin is loaded ends the command in a line; it is not taken for a fault of the plugin."""

import os
import subprocess
import sys

import pytest

from tests.patience import PATIENCE_S
from tests.unit.test_plugins import install, write

_CTRL_C = "import os, signal, time\nos.kill(os.getpid(), signal.SIGINT)\ntime.sleep(20)\n"

_PLUGINS = {
    "raises KeyboardInterrupt at import": ("raise KeyboardInterrupt\n", 130),
    "is interrupted at import": (_CTRL_C, 130),
    "is terminated at import": (_CTRL_C.replace("SIGINT", "SIGTERM"), 143),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("what", _PLUGINS)
def test_a_plugin_that(what, tmp_path):
    code, expected = _PLUGINS[what]
    write(tmp_path, evil=code)
    install(tmp_path, "evil", "evil = evil")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-m", "balancer", "strategies"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert ended.stderr == "balancer: stopped; while plugin 'evil' was loaded\n"
    assert ended.returncode == expected
    assert "Traceback" not in ended.stdout
