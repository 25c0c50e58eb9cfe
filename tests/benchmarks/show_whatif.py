"""What-ifs of a real HAProxy and a real nginx: predicted from one log, then really done.

    python -m tests.benchmarks.show_whatif                   # records for half an hour, then judges
    python -m tests.benchmarks.show_whatif --record DIR      # only the runs; what is in DIR is not made again
    python -m tests.benchmarks.show_whatif --judge DIR       # only the predictions, from the logs in DIR

The questions are in whatif.toml, which was written before the runs.
"""

import multiprocessing
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.benchmarks.harness import options
from tests.benchmarks.proxied import Setup, missing_programs, planned, record
from tests.benchmarks.whatif_judged import judged

_AT_ONCE = 2  # runs; each sleeps nearly all the time


def recorded(setups: Sequence[Setup], folder: Path, round_: int) -> None:
    """Make all runs that the folder does not have."""
    wanted = [each for each in setups if not (folder / each.folder / "facts.json").exists()]
    with ProcessPoolExecutor(_AT_ONCE, multiprocessing.get_context("spawn")) as pool:
        runs = {pool.submit(record, each, folder / each.folder, f"{each.folder} {round_}"): each for each in wanted}
        for run in as_completed(runs):
            facts = run.result()
            late_ms = facts["servers_late_ms"]["mean"], facts["caller_late_ms"]["mean"]
            print(
                f"{runs[run].folder}: {facts['lasted_s']:.0f} s, {facts['statuses']}, mean {facts['mean_s']:.3f} s, "
                f"p99 {facts['p99_s']:.3f} s; late {late_ms[0]:.1f} and {late_ms[1]:.1f} ms, "
                f"{facts['cpu_share']:.1%} of a core",
                flush=True,
            )


def main() -> None:
    """Record, judge, or both."""
    asked = options(
        __doc__,
        record=(str, "make the runs, and keep their logs in this folder"),
        judge=(str, "predict from the logs in this folder"),
        round=(1, "another one has other random numbers"),
        draws=(40, "fits that are drawn again"),
        jobs=(2, "processes"),
        outages=("recorded", "of the prediction; `drawn` if the instants were not known"),
    )
    if asked.judge is None and (missing := missing_programs()):
        sys.exit(f"not installed: {' '.join(missing)}; as root on Debian: apt-get install -y {' '.join(missing)}")
    folder = Path(asked.record or asked.judge or tempfile.mkdtemp(prefix="whatif-"))
    setups = list(planned())
    if asked.judge is None:
        recorded(setups, folder, asked.round)
    if asked.record is None:
        judged(setups, folder, (asked.draws, asked.jobs), asked.outages)


if __name__ == "__main__":
    main()
