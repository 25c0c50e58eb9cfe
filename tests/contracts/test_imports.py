"""Who may import whom, and what must not be used where: the rules that a reader could only hope for."""

import ast
import subprocess
import sys

import pytest

from tests.contracts.documents import ROOT, name_of
from tests.patience import PATIENCE_S

_PURE = [
    *sorted((ROOT / "balancer" / "core").glob("*.py")),
    *(
        ROOT / "balancer" / f"{name}.py"
        for name in ("endpoint", "strategy", "hookspecs", "answers", "discovery/reconcile")
    ),
    *sorted((ROOT / "strategies").rglob("*.py")),
]
_IMPURE = {"asyncio", "logging", "socket", "threading", "time"}


def test_the_rooms_import_only_whom_they_may():
    """The contracts are in pyproject.toml, under [tool.importlinter]."""
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ran = subprocess.run(
        [sys.executable, "-c", command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " 0 broken." in ran.stdout, ran.stdout


def _breaches(source):
    """Yield what pure code must not have: an impure import, or the random module's own generator."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (f"imports {name.name}" for name in names if _top(name.name) in _IMPURE)
                yield from (f"hides random as {name.asname}" for name in names if name.name == "random" and name.asname)
            case ast.ImportFrom(module=str(module)) if _top(module) in _IMPURE:
                yield f"imports from {module}"
            case ast.ImportFrom(module="random", names=names):
                yield from (f"imports random.{name.name}" for name in names if name.name != "Random")
            case ast.Attribute(value=ast.Name(id="random"), attr=attribute) if attribute != "Random":
                yield f"uses random.{attribute}"


def _top(module):
    return module.partition(".")[0]


@pytest.mark.parametrize("file", _PURE, ids=name_of)
def test_pure_code_has_no_clock_thread_socket_log_or_ambient_randomness(file):
    assert list(_breaches(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "import os, threading",
        "import logging.handlers",
        "from socket import socket",
        "from asyncio.events import get_event_loop",
        "import random\nx = random.random()",
        "import random\npick = random.choice",
        "import random as r",
        "from random import shuffle",
        "def f():\n    import time",
    ],
)
def test_the_check_notices(source):
    assert list(_breaches(source))
