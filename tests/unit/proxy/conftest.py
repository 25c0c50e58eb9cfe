"""The event loops that these tests run in: asyncio's, and in `make more` uvloop's too. A test may be a coroutine."""

import asyncio
import inspect
from importlib.util import find_spec

import pytest

from tests.unit.proxy import harness

_NO_UVLOOP = pytest.mark.skipif(find_spec("uvloop") is None, reason="needs uvloop")


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=[pytest.mark.more, _NO_UVLOOP])], autouse=True)
def loop(request, monkeypatch):
    """Set the loop of `harness.run`."""
    if request.param == "uvloop":
        import uvloop

        monkeypatch.setattr(harness, "new_loop", uvloop.new_event_loop)
    else:
        monkeypatch.setattr(harness, "new_loop", asyncio.new_event_loop)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine in a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.function):
        return None
    names = inspect.signature(pyfuncitem.function).parameters
    harness.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True
