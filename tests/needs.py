"""Programs of the machine that a test needs: `@pytest.mark.needs("g++")` skips it where one is not installed."""

import shutil
from collections.abc import Iterable

import pytest

CPP = pytest.mark.needs("g++")


def skip_what_lacks_a_program(items: Iterable[pytest.Item]) -> None:
    """Skip each test that needs a program which is not here."""
    for item in items:
        needed = [program for mark in item.iter_markers("needs") for program in mark.args]
        for program in needed:
            if shutil.which(program) is None:
                item.add_marker(pytest.mark.skip(reason=f"needs {program}, which is not installed"))
