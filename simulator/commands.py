"""The commands `balancer simulate` and `balancer compare`.

Decides what is said on the terminal. What is run and how it is shown is in `study` and `report`, imported only when a
command runs, because numpy and matplotlib take their time.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from balancer.errors import ConfigError
from balancer.hookspecs import hookimpl

if TYPE_CHECKING:
    from simulator.study import Study

__all__ = ["balancer_commands"]

ScenarioArgument = Annotated[Path, typer.Argument(metavar="SCENARIO", help="A scenario, as TOML.", show_default=False)]
PolicyOption = Annotated[
    list[str] | None,
    typer.Option("--strategy", metavar="NAME", help="Only this strategy or baseline; may be given several times."),
]
ReplicationsOption = Annotated[
    int | None, typer.Option("--replications", metavar="N", min=1, help="Instead of what the scenario says.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Likewise.")]
JobsOption = Annotated[
    int | None, typer.Option("--jobs", metavar="N", min=1, help="Processes; default: one a core. Changes no result.")
]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write report.html, results.json and CSV files here.")
]


@hookimpl
def balancer_commands(app: typer.Typer) -> None:
    """Add both commands to the command line."""
    app.command("simulate")(simulate)
    app.command("compare")(compare)


def simulate(
    scenario: ScenarioArgument,
    strategy: PolicyOption = None,
    replications: ReplicationsOption = None,
    seed: SeedOption = None,
    jobs: JobsOption = None,
    out: OutOption = None,
) -> None:
    """Simulate SCENARIO under its strategies, and say how each endpoint and request fared."""
    from simulator.report.table import print_study

    study = _study(scenario, strategy, replications, seed, jobs)
    print_study(study, Console())
    _write(study, out)


def compare(
    scenario: ScenarioArgument,
    strategy: PolicyOption = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="FIGURE", help="Rank by this figure, e.g. sojourn_p99_s.")
    ] = None,
    replications: ReplicationsOption = None,
    seed: SeedOption = None,
    jobs: JobsOption = None,
    out: OutOption = None,
) -> None:
    """Rank the strategies on SCENARIO, with intervals, on the same requests and faults."""
    from simulator.report.figures import checked_figure
    from simulator.report.table import print_ranking

    by = checked_figure(by) if by else None
    study = _study(scenario, strategy, replications, seed, jobs)
    print_ranking(study, Console(), by=by)
    _write(study, out)


def _study(
    path: Path, strategies: list[str] | None, replications: int | None, seed: int | None, jobs: int | None
) -> "Study":
    from simulator.progress import StudyProgress
    from simulator.scenario import load_scenario
    from simulator.study import run_study

    scenario = load_scenario(path)
    given = {"replications": replications, "seed": seed}
    scenario = scenario.changed(**{name: value for name, value in given.items() if value is not None})
    try:
        with StudyProgress() as progress:
            return run_study(scenario, strategies, jobs=jobs, progress=progress)
    except ConfigError as error:
        raise ConfigError(f"{path}: {line}" for line in error.problems) from None


def _write(study: "Study", out: Path | None) -> None:
    if out is not None:
        from simulator.report.files import write_report

        Console().print(f"report: {write_report(study, out)}", soft_wrap=True, markup=False, highlight=False)
