"""What all tests share: Hypothesis profiles, that timers end with their test, that a failure is named at once."""

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.configuration import set_hypothesis_home_dir

from balancer.plugins.registry import default_registry
from tests.failures import FailuresAtOnce
from tests.needs import skip_what_lacks_a_program
from tests.sampled import leave_to_more

# A run leaves nothing behind in the tree.
set_hypothesis_home_dir(Path(tempfile.gettempdir()) / f"balancer-hypothesis-{os.getuid()}")

# The same examples in every normal run, so that a red test is about the change; new ones under stress.
_COMMON = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("normal", _COMMON, derandomize=True)
settings.register_profile("stress", _COMMON, max_examples=2000)
_REAL = ("tests/integration/", "tests/ray/")
_TRIES_MORE = 2
_ID = 60  # characters of a text in the name of a test
_STRATEGIES, _BY_HAND = "balancer_strategies", "added by hand"  # as the registry names them

# The pages of one result are the same whenever they are made (balancer.reporting.html).
os.environ.setdefault("SOURCE_DATE_EPOCH", "1795694580")

# Under `nohup ... &` SIGINT is ignored, also by programs that tests start: tests of ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile("stress" if os.environ.get("BALANCER_STRESS") == "1" else "normal")


def pytest_configure(config: pytest.Config) -> None:
    """Name failures at once, in the process that has the terminal."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(FailuresAtOnce(config), "failures-at-once")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Return the beginning of a long text: some have a million characters, and reports name each test."""
    return repr(val[:_ID]) if isinstance(val, str | bytes) and len(val) > _ID else None


@pytest.hookimpl(tryfirst=True)  # before those are left out that are marked `more`
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what takes long to `make more`, skip what this machine cannot run, and retry tests of real programs."""
    leave_to_more(items)
    skip_what_lacks_a_program(items)
    for item in items:
        if item.nodeid.startswith(_REAL):
            item.add_marker(pytest.mark.flaky(reruns=_TRIES_MORE))


@pytest.fixture(autouse=True)
def strategies_leave() -> Iterator[None]:
    """Have the strategies leave that a test gave to a pool as a class: others list all that are registered."""
    listed = default_registry()._all
    before = {*listed.get(_STRATEGIES, ())}
    yield
    for name, entry in [*listed.get(_STRATEGIES, {}).items()]:
        if name not in before and entry.plugin == _BY_HAND:
            del listed[_STRATEGIES][name]


@pytest.fixture(autouse=True)
def timers_end() -> Iterator[None]:
    """End the timers that a test has left: its pool would go on, and write to the log, during other tests.

    A pool whose timer has ended makes a new one at its next call.
    """
    yield
    left = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    for timer in left:
        timer.cancel()
    for timer in left:
        timer.join(60.0)


@pytest.fixture
def still_running() -> Callable[[str], list[str]]:
    """Return what names the threads that began in this test, are not over, and whose name begins with a word.

    Other tests of the same process may have left some of the same name.
    """
    before = threading.enumerate()

    def named(word: str) -> list[str]:
        return [each.name for each in threading.enumerate() if each not in before and each.name.startswith(word)]

    return named


@pytest.fixture(scope="session")
def in_full() -> bool:
    """Return whether stress tests run in full (BALANCER_STRESS=1) or in a short form."""
    return os.environ.get("BALANCER_STRESS") == "1"
