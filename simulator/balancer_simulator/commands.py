"""Command `balancer simulate`, and the simulator's plugin hooks.

numpy and scipy are imported only when a command runs, because their import is slow.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from balancer.commands.options import JsonOption, strategy_names
from balancer.commands.output import print_json
from balancer.commands.stopping import saying
from balancer.errors import ConfigError
from balancer.hookspecs import hookimpl
from balancer.plugins.extras import require
from balancer_simulator.plan_commands import JobsOption, fit, plan, predict

if TYPE_CHECKING:
    from balancer_simulator.studies.study import Study

__all__ = ["balancer_commands"]

PolicyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--strategy",
        metavar="NAME",
        autocompletion=strategy_names,
        help="Only this strategy or baseline. May be repeated. Default: those of SCENARIO, or all. "
        "The baseline old_global_queue polls: it takes minutes if many requests wait.",
    ),
]
ReplicationsOption = Annotated[
    int | None,
    typer.Option("--replications", metavar="N", min=1, help="Number of replications, instead of SCENARIO's."),
]
SeedOption = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Seed, instead of SCENARIO's.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write report.html, results.json and CSV files here.")
]

ScenarioArgument = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario, as TOML.", show_default=False)]
FigureOption = Annotated[
    str | None,
    typer.Option(
        "--by",
        metavar="FIGURE",
        help="Rank by this figure, best first: the least sojourn_p99_s, the most throughput_per_s. "
        "A figure that cannot rank, like calls, is refused with a list of those that can.",
    ),
]

_NOTHING = "nothing was written"


@hookimpl
def balancer_commands(app: typer.Typer) -> None:
    """Add the simulator's commands to the command line."""
    for command, example in (
        (simulate, "balancer simulate scenario.toml --out report"),
        (fit, "balancer fit calls.jsonl --out scenario.toml"),
        (predict, "balancer predict calls.jsonl --set strategy=p2c --load x1.3"),
        (plan, "balancer plan calls.jsonl --p99 800ms --load x1.5"),
    ):
        app.command(rich_help_panel="Planning", epilog=f"Example: {example}")(command)


def simulate(
    scenario: ScenarioArgument,
    strategy: PolicyOption = None,
    by: FigureOption = None,
    replications: ReplicationsOption = None,
    seed: SeedOption = None,
    jobs: JobsOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate SCENARIO under each strategy, and rank them: all meet the same requests and faults."""
    require("simulator", '"balancer simulate"')
    _check_writable(out)
    with saying(_NOTHING):
        from balancer_simulator.report.terminal import print_study
        from balancer_simulator.studies.figures import ranking_figure

        by = ranking_figure(by).key if by else None
        study = _run(scenario, strategy, {"replications": replications, "seed": seed}, jobs)
        if not as_json:
            print_study(study, Console(), by=by)
    page = _write(study, out) if out is not None else None
    if as_json:
        from balancer_simulator.report.export import to_data

        print_json({**to_data(study, by), "report": str(page) if page else None})
    elif page is not None:
        Console().print(f"report: {page}", soft_wrap=True, markup=False, highlight=False)


def _run(path: Path, strategies: list[str] | None, given: Mapping[str, int | None], jobs: int | None) -> "Study":
    """Run the scenario at `path`, with the values that are given. Raises ConfigError before anything runs."""
    from balancer_simulator.scenario.scenario import load_scenario
    from balancer_simulator.studies.progress import study_progress
    from balancer_simulator.studies.study import run_study

    scenario = load_scenario(path)
    try:
        scenario = scenario.changed(**{name: value for name, value in given.items() if value is not None})
        with study_progress() as progress:
            return run_study(scenario, strategies, jobs=jobs, progress=progress.show, requests=False)
    except ConfigError as error:
        raise ConfigError(f"{path}: {line}" for line in error.problems) from None


def _write(study: "Study", out: Path) -> Path:
    with saying(f"the report in {out} may not be complete"):
        from balancer_simulator.report.document import write_report

        try:
            return write_report(study, out)
        except OSError as error:
            raise _unwritable(out, error) from None


def _check_writable(out: Path | None) -> None:
    """Raise ConfigError unless a report can be written to `out`. Leaves nothing behind."""
    if out is None:
        return
    folder = Path(os.path.abspath(out))
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        with TemporaryDirectory(dir=there, prefix=".report-") as scratch:
            (Path(scratch) / folder.relative_to(there)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(out, error) from None


def _unwritable(out: Path, error: OSError) -> ConfigError:
    return ConfigError(f"--out: {out}: cannot be written: {error.strerror}; choose a writable folder")
