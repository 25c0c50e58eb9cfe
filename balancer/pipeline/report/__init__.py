"""Report of a run: a summary in the terminal, `summary.json` and `report.html`."""

from collections.abc import Sequence
from pathlib import Path

from balancer.pipeline.report.charts import draw_charts
from balancer.pipeline.report.document import report_document
from balancer.pipeline.report.headline import nothing_judged
from balancer.pipeline.report.summary import print_summary
from balancer.pipeline.results.run_result import RunResult
from balancer.reporting.document import Chart
from balancer.reporting.files import json_text, put_text

__all__ = ["nothing_judged", "page", "print_summary", "write_report"]


def write_report(result: RunResult, folder: Path) -> Path:
    """Write `summary.json` and `report.html` into `folder`, and return the path of the latter.

    Each file is replaced in one step. The same result gives the same bytes, except for the date on the page.

    Raises:
        OSError: `folder` cannot be created or written.
    """
    put_text(folder / "summary.json", json_text(result.summary()))
    return put_text(folder / "report.html", page(result, draw_charts(result)))


def page(result: RunResult, charts: Sequence[Chart]) -> str:
    """Return the page as text. It loads no other files, so it can be mailed; it links to inputs beside it."""
    from balancer.reporting import html  # imported here: the template engine is slow to load

    styles = Path(__file__).with_name("verdicts.css").read_text(encoding="utf-8")
    return html.page(report_document(result, charts), styles=styles)
