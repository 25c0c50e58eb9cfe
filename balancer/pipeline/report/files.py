"""Put a report into a folder, so that nobody ever sees half of one."""

import json
import math
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from balancer.pipeline.results import RunResult

__all__ = ["write_report"]


def write_report(result: RunResult, folder: Path) -> Path:
    """Write `summary.json` and `report.html` into `folder`, and return the path of the latter.

    Each replaces what was there in one step. The same result gives the same bytes.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / "summary.json", _json(result))
    return _replace(folder / "report.html", _html(result))


def _json(result: RunResult) -> str:
    return json.dumps(_finite(result.summary()), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Return `value` with null for each number that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _html(result: RunResult) -> str:
    # Here, because matplotlib takes half a second to import and most commands write no report.
    from balancer.pipeline.report.charts import draw_charts
    from balancer.pipeline.report.html import page

    return page(result, draw_charts(result))


def _replace(path: Path, text: str) -> Path:
    # A folder of its own in the same file system: the file in it has the usual permissions, and goes with it.
    with TemporaryDirectory(dir=path.parent, prefix=".report-") as scratch:
        written = Path(scratch) / path.name
        written.write_text(text, encoding="utf-8")
        os.replace(written, path)
    return path
