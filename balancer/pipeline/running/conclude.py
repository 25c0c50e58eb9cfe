"""Results of a run beside its report, made from the store alone, at the end of a run or later.

Decides which files are written.
"""

from collections.abc import Callable
from pathlib import Path

from balancer.errors import ConfigError
from balancer.pipeline.report.export import export_cases, export_inputs, write_rows
from balancer.pipeline.report.readings import with_readings
from balancer.pipeline.results.collect import MOST_DETAILED, collect
from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store

__all__ = ["conclude"]


def conclude(store: Store, folder: Path, say: Callable[[str], object]) -> RunResult:
    """Write the cases, or the rows with their new cases, into `folder`. Return the result of the run.

    Args:
        store: of a run that has begun.
        folder: its results folder.
        say: is called with lines for the user.

    Raises:
        OSError: the folder cannot be written.
    """
    rows = store.source.get("kind") == "rows"
    found = with_readings(store, collect(store, most=MOST_DETAILED if rows else None))
    export_inputs(store, found, folder / "inputs")
    if rows:
        try:
            write_rows(store, folder)
        except ConfigError as error:
            say(f"rows.jsonl is not written: {error}")
    else:
        export_cases(store, found, folder / "cases")
    return found
