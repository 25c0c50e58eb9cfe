"""Put a report into a folder, so that nobody ever sees half of one."""

from pathlib import Path

from balancer.pipeline.results.run_result import RunResult
from balancer.reporting.files import json_text, put_text

__all__ = ["write_report"]


def write_report(result: RunResult, folder: Path) -> Path:
    """Write `summary.json` and `report.html` into `folder`, and return the path of the latter.

    Each replaces what was there in one step. The same result gives the same bytes, but for the
    date on the page.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    put_text(folder / "summary.json", json_text(result.summary()))
    return put_text(folder / "report.html", _html(result))


def _html(result: RunResult) -> str:
    # Here, because matplotlib takes half a second to import and most commands write no report.
    from balancer.pipeline.report.charts import draw_charts
    from balancer.pipeline.report.html import page

    return page(result, draw_charts(result))
