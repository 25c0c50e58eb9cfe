"""Put the report of a study into a folder, so that nobody ever sees half of a file."""

from pathlib import Path

from balancer.reporting.files import put_text
from balancer_simulator.report.export import endpoints_csv, runs_csv, to_json
from balancer_simulator.studies.study import Study

__all__ = ["write_report"]


def write_report(study: Study, folder: Path) -> Path:
    """Write `report.html`, `results.json`, `runs.csv` and `endpoints.csv` into `folder`; return the path of the page.

    Each replaces what was there in one step. The same study gives the same bytes, but for the
    date on the page.

    Raises:
        OSError: `folder` cannot be made or written to.
    """
    from balancer_simulator.report.html import page  # here, because matplotlib takes half a second to import

    put_text(folder / "results.json", to_json(study))
    put_text(folder / "runs.csv", runs_csv(study))
    put_text(folder / "endpoints.csv", endpoints_csv(study))
    return put_text(folder / "report.html", page(study))
