"""Commands `balancer fit`, `predict` and `plan`.

Fitting and prediction are imported only when a command runs, because their import is slow.
"""

import math
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from balancer.commands.options import JsonOption
from balancer.commands.output import print_json
from balancer.commands.stopping import saying
from balancer.errors import ConfigError
from balancer.plugins.extras import require

if TYPE_CHECKING:
    from balancer_simulator.fitting.fit import Fit
    from balancer_simulator.planning.predict import Check
    from balancer_simulator.scenario.scenario import Scenario

__all__ = ["NGINX", "JobsOption", "fit", "plan", "predict", "seconds_of"]

Given = TypeVar("Given")

# A copy of the default in balancer.observing.traces.importers, which is slow to import.
NGINX: Final = "$msec $status $request_time $upstream_addr $upstream_response_time"

TraceArgument = Annotated[Path, typer.Argument(metavar="TRACE", help="A trace, as pool.trace writes it.")]
SourceArgument = Annotated[Path, typer.Argument(metavar="SCENARIO|TRACE", help="A scenario (.toml), or a trace.")]
FilesArgument = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="A trace, a table, or all files of a log.")
]
DrawsOption = Annotated[int, typer.Option("--draws", metavar="N", min=5, help="Resamples of the calls that are run.")]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the random numbers.")]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", min=1, help="Processes, at most 4 a core. Default: 1 a core. Same results."),
]
DeadlineOption = Annotated[
    str | None,
    typer.Option(metavar="TIME", help='In how long it must be over: "90m", "2h 30m". "soon": as soon as it can be.'),
]
TasksOption = Annotated[int | None, typer.Option(metavar="N", min=1, help="Number of calls. Default: as recorded.")]
CertaintyOption = Annotated[float, typer.Option(metavar="PART", help="Probability to keep the goal.")]
StrategyOption = Annotated[
    list[str] | None, typer.Option(metavar="NAME", help="Try this one. Default: three. Repeatable.")
]
P99Option = Annotated[
    str | None,
    typer.Option("--p99", metavar="TIME", help='Of open arrivals: how long 99 in 100 may take, e.g. "800ms".'),
]
LosingOption = Annotated[int, typer.Option(metavar="N", min=0, help="It does without its N best endpoints.")]
CostOption = Annotated[
    list[str] | None, typer.Option(metavar="URL=COST", help="Of this endpoint; others cost 1. Repeatable.")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="E.g. strategy=p2c. Repeatable.")
]
WithoutOption = Annotated[list[str] | None, typer.Option(metavar="URL", help="Without this endpoint. Repeatable.")]
CapacityOption = Annotated[list[str] | None, typer.Option(metavar="URL=N", help="Slots of an endpoint. Repeatable.")]
AddOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[URL=]N", help="More endpoints, like the one at URL, or the one of median speed. Repeatable."
    ),
]
SlowerOption = Annotated[
    list[str] | None, typer.Option(metavar="URL=X", help="Its calls take X times as long. Repeatable.")
]
GoneOption = Annotated[
    list[str] | None, typer.Option(metavar="URL=S", help="Its calls fail from second S on. Repeatable.")
]
LoadOption = Annotated[str | None, typer.Option(metavar="xFACTOR", help="Open arrivals at another rate, e.g. x1.3.")]
CallersOption = Annotated[int | None, typer.Option(metavar="N", min=1, help="Callers, or problems, at once.")]
AgainOption = Annotated[bool, typer.Option("--again", help="This day again: arrivals, outages and spells as recorded.")]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Predict the rest of TRACE from its first part, and compare.")
]
PartOption = Annotated[
    list[float] | None,
    typer.Option(metavar="PART", help="Of the calls, with --check. Default: 0.05, 0.1, 0.2, 0.5. Repeatable."),
]
AnywayOption = Annotated[bool, typer.Option("--anyway", help="Build on a fit even if runs of it are unlike TRACE.")]
FromOption = Annotated[str | None, typer.Option("--from", metavar="WHAT", help="haproxy, nginx, csv or jsonl.")]
FormatOption = Annotated[str | None, typer.Option("--format", help=f"nginx's log_format. Default: {NGINX}")]
ColumnOption = Annotated[
    list[str] | None, typer.Option(metavar="FIELD=NAME", help="A field, its column in a table. Repeatable.")
]
ZoneOption = Annotated[str | None, typer.Option(metavar="ZONE", help="Of times without one. Default: this machine's.")]
KindOption = Annotated[str | None, typer.Option(metavar="KIND", help="Only calls of this kind: of HAProxy, a backend.")]
SummaryOption = Annotated[bool, typer.Option("--summary", help="Fit nothing: print what FILE has, or write its trace.")]
FitOutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="PATH", help="The scenario, as TOML; with --summary, the trace.")
]
PlanOutOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="CONFIG", help="The pool's config, as TOML.")
]


def fit(
    files: FilesArgument,
    source: FromOption = None,
    log_format: FormatOption = None,
    column: ColumnOption = None,
    zone: ZoneOption = None,
    kind: KindOption = None,
    summary: SummaryOption = False,
    out: FitOutOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a scenario to the calls of FILE: call times of each endpoint, its behaviour under load, and the callers.

    A run of the pipeline (its results folder) becomes a batch: its problems go through their stages again.
    """
    from balancer.commands.trace import read_calls, written

    if not summary:
        require("simulator", '"balancer fit"')
    with saying("nothing was written"):
        trace, said = read_calls(
            files, source=source, log_format=log_format, columns=column or (), zone=zone, kind=kind
        )  # fmt: skip
    if summary:
        from balancer.observing.traces.summary import summary_lines, summary_of

        if out is not None:
            written(trace, files, out)
        data = {**summary_of(trace), **said}
        if as_json:
            print_json(data)
        else:
            print(*summary_lines(data), sep="\n")
        return
    with _doing("fit", "fitting the trace"):
        from balancer_simulator.fitting.description import as_toml, fit_lines, unknown
        from balancer_simulator.fitting.fit import fit_run
        from balancer_simulator.planning.goodness import goodness_of_fit

        found = fit_run(trace)
        held = goodness_of_fit(found)
        name = files[0].name
        if out is not None:
            remarks = [f"Fitted to {name}.", *held.lines(), *fit_lines(found), "", f"balancer simulate {out.name}"]
            _write(out, as_toml(found.data(name=f"fitted to {name}"), remarks))
    if as_json:
        figures = held.figures.drop(columns="off_by").to_dict("index")
        data = {"off": [*held.lines()], "fitted": found.data(), "unknown": [*unknown(found)], "figures": figures}
        print_json({**data, "scenario": out and str(out)})
        return
    print(*held.lines(), *fit_lines(found), "", held, sep="\n")
    _say_written(out)


def predict(
    trace: TraceArgument,
    settings: SetOption = None,
    without: WithoutOption = None,
    capacity: CapacityOption = None,
    add: AddOption = None,
    slower: SlowerOption = None,
    gone: GoneOption = None,
    load: LoadOption = None,
    callers: CallersOption = None,
    again: AgainOption = False,
    check: CheckOption = False,
    part: PartOption = None,
    draws: DrawsOption = 40,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the next run from TRACE, as it is and with changes: its times, waits, end, losses and shares."""
    if trace.suffix == ".toml":
        raise ConfigError(
            f"TRACE: {trace} is a scenario; predict fits a trace many times, so give the trace; a scenario is run by "
            "balancer simulate"
        )
    if wrong := [each for each in part or () if not 0 < each < 1]:
        raise ConfigError(f"--part: found {wrong[0]:g}; it must be more than 0 and less than 1, e.g. 0.1")
    if part and not check:
        raise ConfigError("--part: it needs --check; leave it out, or give both")
    with _doing("predict", "predicting the next run"):
        from balancer.observing.traces import read_trace
        from balancer_simulator.planning.predict import PARTS
        from balancer_simulator.planning.predict import check as checked
        from balancer_simulator.planning.predict import predict as predicted
        from balancer_simulator.planning.what_if import WhatIf

        change = WhatIf(
            _settings(settings or ()), tuple(without or ()), dict(_numbers("--capacity", capacity, int, "=4")),
            dict(_numbers("--add", add, int, "=2", named=False)), _factor(load), callers,
            dict(_numbers("--slower", slower, float, "=2.5")), dict(_numbers("--gone", gone, float, "=30")), again,
        )  # fmt: skip
        change.check()
        if check:
            if change != WhatIf():
                raise ConfigError("--check: it compares TRACE with itself: it takes no change")
            tested = checked(read_trace(trace), tuple(part or PARTS), draws=draws, seed=seed, jobs=jobs)
        else:
            found = predicted(read_trace(trace), change, draws=draws, seed=seed, jobs=jobs)
    if check:
        _print_check(tested, as_json=as_json)
    elif as_json:
        print_json(asdict(found))
    else:
        print(found)


def plan(
    source: SourceArgument,
    deadline: DeadlineOption = None,
    p99: P99Option = None,
    tasks: TasksOption = None,
    load: LoadOption = None,
    losing: LosingOption = 0,
    cost: CostOption = None,
    certainty: CertaintyOption = 0.95,
    strategy: StrategyOption = None,
    draws: DrawsOption = 20,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    out: PlanOutOption = None,
    anyway: AnywayOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the cheapest setting that keeps a deadline or, for open arrivals, a p99: strategy, endpoints, callers."""
    for option, value, needs, given in (
        ("--tasks", tasks, "--deadline", deadline), ("--load", load, "--p99", p99)
    ):  # fmt: skip
        if value is not None and given is None:
            raise ConfigError(f"{option}: it needs {needs}")
    soon = deadline is not None and deadline.strip().lower() == "soon"
    with _doing("plan", "looking for the best setting"):
        from balancer.observing.traces import read_trace
        from balancer_simulator.fitting.description import as_toml
        from balancer_simulator.fitting.fit import fit_run
        from balancer_simulator.planning.plan import STRATEGIES, Goal
        from balancer_simulator.planning.plan import plan as search
        from balancer_simulator.planning.shown import config_remarks, plan_data, plan_text
        from balancer_simulator.scenario.scenario import load_scenario

        goal = Goal(
            None if deadline is None else math.inf if soon else seconds_of("--deadline", deadline),
            None if p99 is None else seconds_of("--p99", p99), tasks, _factor(load), losing, certainty,
            dict(_numbers("--cost", cost, float, "=2.5")),
        )  # fmt: skip
        read: Fit | Scenario = load_scenario(source) if source.suffix == ".toml" else fit_run(read_trace(source))
        found = search(read, goal, strategies=strategy or STRATEGIES, draws=draws, seed=seed, jobs=jobs, anyway=anyway)
        pool = found.chosen or found.nearest or found.present
        if out is not None:
            _write(out, as_toml(pool.config, config_remarks(found, pool)))
    if as_json:
        print_json({**plan_data(found), "config": out and str(out)})
        return
    print(plan_text(found))
    _say_written(out)


@contextmanager
def _doing(command: str, title: str) -> Iterator[None]:
    """Say on standard error what is being done, and for how long; and at a stop that nothing was written."""
    require("simulator", f'"balancer {command}"')
    with saying("nothing was written"):
        from balancer_simulator.studies.progress import working

        with working(title):
            yield


def _print_check(found: "Check", *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "tests": found.figures.to_dict("records"),
                "left_out": {f"{part:g}": why for part, why in found.left_out.items()},
            }
        )
        return
    print(found.figures.to_string(index=False, float_format="{:.4g}".format))
    for part, why in found.left_out.items():
        print(f"after {part:.0%}: left out: {why}")


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Return the values of --set by their key, each as in TOML; a bare word is a text."""
    found: dict[str, Any] = {}
    for each in given:
        key, equals, value = (part.strip() for part in each.partition("="))
        if not (key and equals and value):
            raise ConfigError(f"--set: found {each!r}; write it like strategy=p2c or max_waiters=100")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value
    return found


def _numbers(
    option: str, given: Sequence[str] | None, kind: Callable[[str], Given], example: str, *, named: bool = True
) -> Iterator[tuple[str, Given]]:
    """Yield the names of endpoints with a number. A URL may have "=" in it."""
    for each in given or ():
        name, _, number = each.rpartition("=")
        try:
            if named and not name:
                raise ValueError("no name")
            yield name.strip(), kind(number)
        except ValueError:
            either = "" if named else f"{example.removeprefix('=')} or "
            raise ConfigError(f"{option}: found {each!r}; write it like {either}http://host:8000/{example}") from None


def _factor(load: str | None) -> float:
    try:
        return 1.0 if load is None else float(load.strip().lower().removeprefix("x"))
    except ValueError:
        raise ConfigError(f"--load: found {load!r}; write it like x1.3, in times of the recorded rate") from None


def seconds_of(option: str, text: str) -> float:
    """Return the seconds of a length of time, e.g. "800ms" or "2h 30m"."""
    from pandas import Timedelta

    try:
        if text.strip()[-1:].isdigit():
            raise ValueError("no unit")
        return float(Timedelta(text.strip().lower().replace("d", "D")).total_seconds())
    except ValueError:
        raise ConfigError(f'{option}: found {text!r}; write it like "800ms", "0.8s", "90m" or "2h 30m"') from None


def _write(out: Path, text: str) -> None:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out: {out}: cannot be written: {error.strerror}; choose another path") from None


def _say_written(out: Path | None) -> None:
    if out is not None:
        print(f"written: {out}")
