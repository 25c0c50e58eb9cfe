"""Atomic writing of report files, and JSON without infinities."""

import json
import math
import os
from pathlib import Path
from typing import Any

from balancer.scratch import Scratch

__all__ = ["json_text", "put_text"]


def put_text(path: Path, text: str) -> Path:
    """Write `text` to `path`, in UTF-8 and in one step, and return `path`. Its folder is made if need be.

    Raises:
        OSError: the folder cannot be made or written to; what was at `path` is still there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own in the same file system: the file in it has the usual permissions, and goes with it.
    with Scratch(".report-", path.parent) as scratch:
        written = scratch.path / path.name
        written.write_text(text, encoding="utf-8")
        os.replace(written, path)
    return path


def json_text(value: Any) -> str:
    """Return `value` as JSON; null stands for each number that JSON does not have."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
