"""Executors for the tests of real programs, one for each isolation, and a watch over what they leave behind."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from balancer.program import ExecutorOptions
from balancer.sandbox.local.choice import probe
from balancer.sandbox.local.executor import LocalExecutor
from tests.integration.sandbox.processes import processes_with

ISOLATED = ["bubblewrap", "unshare"]


def _executor(name: str) -> Iterator[LocalExecutor]:
    if reason := probe(name):
        pytest.skip(f"isolation {name} does not work here: {reason}")
    executor = LocalExecutor(f"local://{name}", ExecutorOptions(isolation=name))
    folder = Path(executor._folder.name)
    yield executor
    assert [path.name for path in folder.iterdir()] == ["programs"], "a run left its folder behind"
    executor.close()
    assert not folder.exists()


@pytest.fixture(scope="session", params=ISOLATED)
def isolated(request: pytest.FixtureRequest) -> Iterator[LocalExecutor]:
    """An executor that isolates programs."""
    yield from _executor(request.param)


@pytest.fixture(scope="session")
def bare() -> Iterator[LocalExecutor]:
    """An executor that does not isolate programs."""
    yield from _executor("rlimits")


@pytest.fixture(scope="session", params=[*ISOLATED, "rlimits"])
def local(request: pytest.FixtureRequest) -> Iterator[LocalExecutor]:
    """An executor of any kind."""
    yield from _executor(request.param)


@pytest.fixture
def marker(request: pytest.FixtureRequest) -> Iterator[str]:
    """A text for a program's arguments that nobody else has; afterwards no process may have it."""
    text = f"marker-{os.getpid()}-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"
    yield text
    left = processes_with(text)
    assert not left, f"still running: {left}"
