"""What is printed of studies."""

import io
from collections.abc import Callable
from typing import Any

from rich.console import Console

__all__ = ["in_80_columns", "printed"]


def printed(study: Any, *shows: Callable[[Any, Console], None], width: int = 200) -> str:
    """Return what these print of a study."""
    file = io.StringIO()
    for show in shows:
        show(study, Console(file=file, width=width))
    return file.getvalue()


def in_80_columns(encoding: str, study: Any, *shows: Callable[[Any, Console], None]) -> str:
    """Return what these print on a terminal of 80 columns, and check that it fits."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    for show in shows:
        show(study, Console(file=file, width=80, force_terminal=False))
    file.flush()
    file.seek(0)
    text = file.read()
    assert max(map(len, text.splitlines())) <= 80
    return text
