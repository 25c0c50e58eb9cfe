"""Atomic writing of report files, and JSON without infinities."""

import json
import math
import os
from pathlib import Path
from typing import Any

from balancer.scratch import Scratch

__all__ = ["json_text", "put_text"]


def put_text(path: Path, text: str) -> Path:
    """Write `text` to `path` in UTF-8, in one step, and return `path`. Makes its folder if needed.

    Raises:
        OSError: the folder cannot be made or written to; the old file at `path` is unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # A temporary folder in the same file system: the file in it has the usual permissions, and is removed with it.
    with Scratch(".report-", path.parent) as scratch:
        written = scratch.path / path.name
        written.write_text(text, encoding="utf-8")
        os.replace(written, path)
    return path


def json_text(value: Any) -> str:
    """Return `value` as JSON, with null for infinite numbers and NaN."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
