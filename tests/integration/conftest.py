"""Real programs and servers meet limits in seconds on a machine that has other things to do: see decision 0041."""

import pytest

_TRIES_MORE = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Try again what is about real programs; all other tests have one try."""
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker(pytest.mark.flaky(reruns=_TRIES_MORE))
