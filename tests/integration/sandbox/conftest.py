"""Executors for the tests of real programs, one for each isolation, and a watch over what they leave behind."""

import functools
import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from balancer.program import ExecutorOptions
from balancer.sandbox.local import executor, jail
from balancer.sandbox.local.cgroups import Cgroups
from balancer.sandbox.local.executor import LocalExecutor
from balancer.sandbox.local.jail import probe
from tests.integration.sandbox.processes import processes_with


def _executor(name: str, cache: Path | None = None) -> Iterator[LocalExecutor]:
    if reason := probe(name):
        pytest.skip(f"isolation {name} does not work here: {reason}")
    options = ExecutorOptions(isolation=name, cache_dir=str(cache) if cache else None)
    made = executor.LocalExecutor(f"local://{name}", options)
    folder = made._folder.path
    own = sorted(folder.iterdir())
    yield made
    made._jail.close()
    assert sorted(folder.iterdir()) == own, "a run left its folder behind"
    made.close()
    assert not folder.exists()


@pytest.fixture(scope="session")
def isolated():
    """An executor that isolates programs."""
    yield from _executor("bubblewrap")


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """A folder for compiled programs, one for all executors and all workers of a test run."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "compiled"


@pytest.fixture
def unprepared(compiled, monkeypatch):
    """One that makes a sandbox only when there is something to run."""
    monkeypatch.setattr(executor, "_PREPARED", 0)
    yield from _executor("bubblewrap", compiled)


@pytest.fixture(scope="session", params=["bubblewrap", "rlimits"])
def sandbox(request, compiled):
    """An executor of any kind, which compiles what no other one has."""
    yield from _executor(request.param, compiled)


@pytest.fixture(scope="session")
def lesser(compiled):
    """Make the executor of a machine that has no "groups" (control groups) or filters no "calls"."""
    with ExitStack() as stack:

        @functools.cache
        def make(off: str) -> LocalExecutor:
            with pytest.MonkeyPatch.context() as patch:
                if off == "groups":
                    patch.setattr(jail, "own_cgroups", lambda: Cgroups({}))
                else:
                    patch.setattr(jail, "filter_of_calls", lambda: (b"", "switched off"))
                return stack.enter_context(contextmanager(_executor)("bubblewrap", compiled))

        yield make


@pytest.fixture
def marker(request):
    """A text for a program's arguments that nobody else has; afterwards no process may have it."""
    text = f"marker-{os.getpid()}-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"
    yield text
    left = processes_with(text)
    assert not left, f"still running: {left}"
