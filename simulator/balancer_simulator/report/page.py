"""The files of a study's report: `report.html`, a page that stands alone, and its numbers.

Importing this imports matplotlib and the template engine.
"""

from pathlib import Path

from balancer.reporting import html
from balancer.reporting.document import Document
from balancer.reporting.files import put_text
from balancer_simulator.report.charts import draw_charts
from balancer_simulator.report.document import study_document
from balancer_simulator.report.export import endpoints_csv, runs_csv, to_json
from balancer_simulator.studies.study import Study

__all__ = ["page", "put_page", "write_report"]


def write_report(study: Study, folder: Path) -> Path:
    """Write `report.html`, `results.json`, `runs.csv` and `endpoints.csv` into `folder`; return the path of the page.

    Each replaces what was there in one step. The same study gives the same bytes, but for the
    date on the page.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    put_text(folder / "results.json", to_json(study))
    put_text(folder / "runs.csv", runs_csv(study))
    put_text(folder / "endpoints.csv", endpoints_csv(study))
    return put_text(folder / "report.html", page(study))


def page(study: Study) -> str:
    """Return the page as text."""
    return _page(study_document(study, draw_charts(study)))


def put_page(document: Document, path: Path) -> Path:
    """Write a document to `path` as a page, and return the path. Raises OSError."""
    return put_text(path, _page(document))


def _page(document: Document) -> str:
    return html.page(document, styles=Path(__file__).with_name("study.css").read_text(encoding="utf-8"))
