"""The cases worth keeping, as files: what a run leaves behind for others to use.

A case becomes `cases/PROBLEM/004.in` and `.ans`, as in the problem package format, so that a folder can be copied
into `data/secret/`. Which cases are worth keeping is decided before.
"""

import shutil
from pathlib import Path

from balancer.pipeline.results.run_result import RunResult
from balancer.pipeline.results.store import Store

__all__ = ["export_cases"]


def export_cases(store: Store, result: RunResult, folder: Path) -> None:
    """Write the cases that kill to `folder`, which is made anew; the problem's own ones are not repeated."""
    if folder.is_symlink():  # what it leads to is somebody else's
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    for problem in result.problems:
        wanted = {case.id for case in problem.killers if not case.sample}
        for case in store.cases(problem.id):
            if case.id in wanted and case.answer is not None:
                home = folder / problem.id
                home.mkdir(parents=True, exist_ok=True)
                (home / f"{case.id:03}.in").write_bytes(case.data)
                (home / f"{case.id:03}.ans").write_bytes(case.answer)
