"""Commands `balancer fit`, `predict`, `backtest` and `recommend`.

Fitting and prediction are imported only when a command runs, because their import is slow.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from balancer.commands.options import JsonOption
from balancer.commands.output import print_json
from balancer.commands.stopping import saying
from balancer.errors import ConfigError
from balancer.plugins.extras import require

if TYPE_CHECKING:
    from balancer.reporting.progress import ProgressDisplay
    from balancer_simulator.fitting.fit import Fit, Troubles
    from balancer_simulator.predicting.backtest import Backtest
    from balancer_simulator.predicting.goodness import FigureOfFit, FitCheck, GoodnessOfFit
    from balancer_simulator.predicting.settings import TriedSetting
    from balancer_simulator.scenario.scenario import Scenario

__all__ = ["backtest", "fit", "predict", "recommend", "seconds_until"]

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN: Final = re.compile(r"(?:\d+(?:\.\d+)?\s*[smhd]\s*)+")
_LENGTH: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|)")
_CLOCK: Final = re.compile(r"(?:(?P<day>[a-z]+)\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})")

TraceArgument = Annotated[
    Path, typer.Argument(metavar="TRACE", help="A trace, as pool.trace writes it.", show_default=False)
]
DrawsOption = Annotated[
    int, typer.Option("--draws", metavar="N", min=5, help="Random resamples of the calls; each is fitted and run.")
]
SeedOption = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of the random numbers.")]
SourceArgument = Annotated[
    Path, typer.Argument(metavar="SCENARIO|TRACE", help="A scenario (.toml), or a trace.", show_default=False)
]
DeadlineOption = Annotated[
    str | None,
    typer.Option(
        "--deadline",
        metavar="WHEN",
        help='When it must be over, as a duration: "8.5s", "90m", "2h 30m"; or as a time: "18:00", '
        '"Friday 18:00", "2026-11-27 18:00".',
    ),
]
TasksOption = Annotated[
    int | None, typer.Option("--tasks", metavar="N", min=1, help="Number of calls. Default: as in SCENARIO or TRACE.")
]
BudgetOption = Annotated[
    float | None, typer.Option("--budget", metavar="HOURS", min=0.0, help="Endpoint-hours that it may use.")
]
CertaintyOption = Annotated[
    float, typer.Option("--certainty", metavar="PART", help="Probability to meet the deadline.")
]
StrategyOption = Annotated[
    list[str] | None, typer.Option("--strategy", metavar="NAME", help="Try this one. May be repeated. Default: three.")
]
ConfigOption = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="CONFIG", help="Write the config of the pool here, as TOML.")
]
RecommendationOption = Annotated[
    Path | None, typer.Option("--report", metavar="DIR", help="Write recommendation.html here, with a chart.")
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", metavar="N", min=1, help="Processes, at most 4 a core. Default: 1 a core. Same results."),
]
P99Option = Annotated[
    str | None,
    typer.Option(
        "--p99", metavar="TIME", help='Of open arrivals: how long 99 in 100 requests may take, e.g. "0.8s" or "800ms".'
    ),
]
LosingOption = Annotated[
    int | None, typer.Option("--losing", metavar="N", min=0, help="With --p99: it does without its N best endpoints.")
]
CostOption = Annotated[
    list[str] | None,
    typer.Option("--cost", metavar="URL=COST", help="With --p99: of this endpoint and its copies. Default: 1 each."),
]
SlotCostOption = Annotated[
    float | None,
    typer.Option(
        "--slot-cost",
        metavar="COST",
        help="With --p99: try other capacities, too. COST of each slot beside that of its endpoint; 0: none.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. strategy=p2c. May be repeated."),
]
WithoutOption = Annotated[
    list[str] | None, typer.Option("--without", metavar="URL", help="Without this endpoint. May be repeated.")
]
CapacityOption = Annotated[
    list[str] | None, typer.Option("--capacity", metavar="URL=N", help="Slots of an endpoint. May be repeated.")
]
AddOption = Annotated[
    list[str] | None,
    typer.Option(
        "--add",
        metavar="[URL=]N",
        help="So many more endpoints, like the one at URL, or like the one of median speed. May be repeated.",
    ),
]
LoadOption = Annotated[
    str | None,
    typer.Option("--load", metavar="xFACTOR", help="Recorded open arrivals at a multiple of their rate, e.g. x1.3."),
]
CallersOption = Annotated[
    int | None,
    typer.Option("--callers", metavar="N", min=1, help="Number of callers who wait for their answers, or of problems."),
]
OutagesOption = Annotated[
    str,
    typer.Option(
        "--outages",
        metavar="drawn|recorded|none",
        help="Outages and slow spells: as chance brings them; at the recorded instants; or no outages.",
    ),
]
AgainOption = Annotated[
    bool, typer.Option("--again", help="This day again: arrivals, outages and slow spells at the recorded instants.")
]
AnywayOption = Annotated[
    bool, typer.Option("--anyway", help="Build on the fit of TRACE even if runs of it are unlike TRACE.")
]


def fit(
    trace: TraceArgument,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="SCENARIO", help="Write the scenario here, as TOML.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="DIR", help="Write fit.html here: call times, measured and fitted."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a scenario to TRACE: call times of each endpoint, its behaviour under load, and the callers.

    A run of the pipeline (its results folder) becomes a batch: its problems go through their stages again.
    """
    require("simulator", '"balancer fit"')
    with saying("nothing was written"), _working("fitting the trace"):
        from balancer.observing.traces import read_trace
        from balancer_simulator.fitting.description import fit_data, fit_lines
        from balancer_simulator.fitting.fit import fit_run
        from balancer_simulator.predicting.goodness import goodness_of_fit

        found = fit_run(read_trace(trace))
        held = goodness_of_fit(found)
        scenario = _write_scenario(found, held, trace, out) if out is not None else None
        page = _write_report(found, held, report) if report is not None else None
    if as_json:
        fits = {each.endpoint: _held_data(each) for each in held.calls}
        written = {"scenario": str(scenario) if scenario else None, "report": str(page) if page else None}
        figures = {each.name.rstrip(":"): _figure_data(each) for each in (*held.figures, *held.waits)}
        print_json({"off": list(held.lines()), **fit_data(found), "held_against": fits, "figures": figures, **written})
        return
    for line in (*held.lines(), *fit_lines(found)):
        print(line)
    print("call times in the trace, and in runs of the fitted scenario:")
    for each in held.calls:
        quantiles = ", ".join(f"p{q} {each.at(q / 100)[0]:.3g} and {each.at(q / 100)[1]:.3g} s" for q in (50, 90, 99))
        print(f"  {each.endpoint}: mean {each.off:+.1%}; {quantiles}")
    for figure in (*held.waits, *(each for each in held.figures if not each.is_of_one)):
        print(f"  {figure.words}")
    for path in (scenario, page):
        if path is not None:
            print(f"written: {path}")


def backtest(
    trace: TraceArgument,
    part: Annotated[
        list[float] | None,
        typer.Option(
            "--part", metavar="PART", help="Share of the calls. May be repeated. Default: 0.05, 0.1, 0.2, 0.5."
        ),
    ] = None,
    draws: DrawsOption = 40,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Test predictions on TRACE: fit its first part, predict the rest, and compare with what happened."""
    wrong = [each for each in part or () if not 0 < each < 1]
    if wrong:
        raise ConfigError(f"--part: found {wrong[0]:g}; it must be more than 0 and less than 1, e.g. 0.1")
    require("simulator", '"balancer backtest"')
    with saying("nothing was written"), _working("fitting and predicting parts of the trace"):
        from balancer.observing.traces import read_trace
        from balancer_simulator.predicting.backtest import PARTS
        from balancer_simulator.predicting.backtest import backtest as run_backtest

        found = run_backtest(read_trace(trace), tuple(part or PARTS), draws=draws, seed=seed, jobs=_processes(jobs))
    if as_json:
        print_json(found.data)
        return
    _print(found)


def predict(
    trace: TraceArgument,
    settings: SetOption = None,
    without: WithoutOption = None,
    capacity: CapacityOption = None,
    add: AddOption = None,
    load: LoadOption = None,
    callers: CallersOption = None,
    outages: OutagesOption = "drawn",
    again: AgainOption = False,
    draws: DrawsOption = 40,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write prediction.html here, with a chart.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Predict the next run from TRACE, as it is and with changes: its times, waits, end and losses."""
    if trace.suffix == ".toml":
        raise ConfigError(
            f"TRACE: {trace} is a scenario; predict fits a trace many times, so give the trace; a scenario is run by "
            "balancer simulate"
        )
    require("simulator", '"balancer predict"')
    with saying("nothing was written"), _working("predicting the next run"):
        from balancer.observing.traces import read_trace
        from balancer.reporting.terminal import print_sections
        from balancer_simulator.fitting.description import unknown
        from balancer_simulator.fitting.fit import fit_run
        from balancer_simulator.predicting.changes import WhatIf
        from balancer_simulator.predicting.predict import FitDraws, predict_next
        from balancer_simulator.predicting.shown import prediction_section
        from balancer_simulator.report.prediction import prediction_data, write_prediction
        from balancer_simulator.studies.parallel import Simulators

        change = WhatIf(
            _settings(settings or ()), tuple(without or ()), dict(_counts("--capacity", capacity or ())),
            dict(_counts("--add", add or (), named=False)), _factor(load), callers, _troubles(outages), again,
        )  # fmt: skip
        change.check()
        fitted = fit_run(read_trace(trace))
        with Simulators(_processes(jobs)) as simulators:
            found = predict_next(fitted, FitDraws(simulators, draws, seed), change)
        try:
            page = write_prediction(found, tuple(unknown(fitted)), out) if out is not None else None
        except OSError as error:
            raise ConfigError(f"--out: {out}: cannot be written: {error.strerror}; choose a writable folder") from None
    if as_json:
        print_json({**prediction_data(found), "report": str(page) if page else None})
        return
    print_sections([prediction_section(found)], Console())
    if page is not None:
        print(f"written: {page}")


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


def _counts(option: str, given: Sequence[str], *, named: bool = True) -> Iterator[tuple[str, int]]:
    """Yield the names of endpoints with a number. A URL may have "=" in it."""
    for each in given:
        name, _, many = each.rpartition("=")
        example = "http://host:8000/=4" if named else "2 or http://host:8000/=2"
        if not many.strip().isdecimal() or (named and not name):
            raise ConfigError(f"{option}: found {each!r}; write it like {example}")
        yield name.strip(), int(many)


def _troubles(outages: str) -> "Troubles":
    if outages not in ("drawn", "recorded", "none"):
        raise ConfigError(f"--outages: found {outages!r}; it must be drawn, recorded or none")
    return outages  # type: ignore[return-value]


def _factor(load: str | None) -> float:
    try:
        return 1.0 if load is None else float(load.strip().lower().removeprefix("x"))
    except ValueError:
        raise ConfigError(f"--load: found {load!r}; write it like x1.3, in times of the recorded rate") from None


def _processes(jobs: int | None) -> int:
    return jobs or os.cpu_count() or 1


def recommend(
    source: SourceArgument,
    deadline: DeadlineOption = None,
    tasks: TasksOption = None,
    budget: BudgetOption = None,
    p99: P99Option = None,
    load: LoadOption = None,
    losing: LosingOption = None,
    cost: CostOption = None,
    slot_cost: SlotCostOption = None,
    certainty: CertaintyOption = 0.95,
    strategy: StrategyOption = None,
    draws: DrawsOption = 20,
    seed: SeedOption = 1,
    jobs: JobsOption = None,
    out: ConfigOption = None,
    report: RecommendationOption = None,
    anyway: AnywayOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the cheapest setting that meets a deadline or, for open arrivals, a p99: strategy, endpoints, capacities."""
    if not 0.5 <= certainty < 1:
        raise ConfigError(f"--certainty: found {certainty:g}; it must be at least 0.5 and less than 1, e.g. 0.95")
    require("simulator", '"balancer recommend"')
    _check_goal(p99, {"--deadline": deadline, "--tasks": tasks, "--budget": budget},
                {"--load": load, "--losing": losing, "--cost": cost, "--slot-cost": slot_cost})  # fmt: skip
    if p99 is not None:
        goal = (_seconds("--p99", p99), _factor(load), losing or 0, certainty, dict(_costs(cost or ())), slot_cost)
        _recommend_servers(
            source, goal, strategy, (draws, seed, _processes(jobs)), (out, report), anyway=anyway, as_json=as_json
        )
        return
    with saying("nothing was written"), _working("looking for the best setting"):
        from balancer_simulator.predicting.recommend import recommend as search
        from balancer_simulator.predicting.settings import STRATEGIES
        from balancer_simulator.report.recommendation import (
            recommendation_data,
            recommendation_lines,
            verdict,
            write_recommendation,
        )

        now = datetime.now().astimezone()
        deadline_s = None if deadline is None else seconds_until(deadline, now)
        named = now if deadline is not None and not _is_span(deadline) else None
        found = search(
            _source(source), deadline_s=deadline_s, tasks=tasks, budget_h=budget, certainty=certainty,
            strategies=strategy or STRATEGIES, draws=draws, seed=seed, jobs=_processes(jobs), anyway=anyway,
        )  # fmt: skip
        config = _write_config(found.chosen or found.nearest, verdict(found), out) if out is not None else None
        try:
            page = write_recommendation(found, report) if report is not None else None
        except OSError as error:
            raise _unwritable_report(report, error) from None
    if as_json:
        written = {"config": str(config) if config else None, "report": str(page) if page else None}
        print_json({**recommendation_data(found), **written})
        return
    for line in recommendation_lines(found, named):
        print(line)
    for path in (config, page):
        if path is not None:
            print(f"written: {path}")


def _check_goal(p99: str | None, ends: dict[str, object], loads: dict[str, object]) -> None:
    """Raise ConfigError for options of the other kind of goal."""
    for option, value in (ends if p99 is not None else loads).items():
        if value is not None:
            words = "excludes --p99: open arrivals have no end" if p99 is not None else "needs --p99"
            raise ConfigError(f"{option}: it {words}; leave one out" if p99 is not None else f"{option}: it {words}")


def _seconds(option: str, text: str) -> float:
    found = _LENGTH.fullmatch(text.strip().lower())
    if not found:
        raise ConfigError(f'{option}: found {text!r}; write it like "0.8s" or "800ms"')
    return float(found[1]) * {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}[found[2]]


def _costs(given: Sequence[str]) -> Iterator[tuple[str, float]]:
    for each in given:
        url, _, cost = each.rpartition("=")
        try:
            yield url.strip(), float(cost)
        except ValueError:
            raise ConfigError(f"--cost: found {each!r}; write it like http://host:8000/=2.5") from None


def _recommend_servers(
    source: Path,
    goal: tuple[float, float, int, float, dict[str, float], float | None],
    strategies: Sequence[str] | None,
    draws: tuple[int, int, int],
    files: tuple[Path | None, Path | None],
    *,
    anyway: bool,
    as_json: bool,
) -> None:
    """Find the number of servers for open arrivals, and print or write it."""
    with saying("nothing was written"), _working("looking for the number of servers"):
        from balancer.reporting.terminal import print_sections
        from balancer_simulator.predicting.settings import STRATEGIES
        from balancer_simulator.predicting.sizing import ServerGoal, servers_for
        from balancer_simulator.report.sizing import servers_verdict, sizing_data, sizing_sections, write_sizing

        count, seed, jobs = draws
        out, report = files
        found = servers_for(
            _source(source),
            ServerGoal(*goal),
            strategies=strategies or STRATEGIES,
            draws=count,
            seed=seed,
            jobs=jobs,
            anyway=anyway,
        )
        pool = found.chosen or found.fails or found.present
        config = _write_config(pool, servers_verdict(found), out) if out is not None else None
        try:
            page = write_sizing(found, report) if report is not None else None
        except OSError as error:
            raise _unwritable_report(report, error) from None
    if as_json:
        written = {"config": str(config) if config else None, "report": str(page) if page else None}
        print_json({**sizing_data(found), **written})
        return
    print_sections(sizing_sections(found), Console())
    for path in (config, page):
        if path is not None:
            print(f"written: {path}")


def _source(path: Path) -> "Fit | Scenario":
    from balancer.observing.traces import read_trace
    from balancer_simulator.fitting.fit import fit_run
    from balancer_simulator.scenario.scenario import load_scenario

    return load_scenario(path) if path.suffix == ".toml" else fit_run(read_trace(path))


def _write_config(outlook: "TriedSetting", words: str, out: Path) -> Path:
    from balancer_simulator.fitting.description import as_toml
    from balancer_simulator.predicting.recommend import setting_config
    from balancer_simulator.report.recommendation import made_up_lines

    made_up = made_up_lines(outlook)
    remarks = [
        words,
        *([f"{outlook.crew} at once"] if outlook.setting.workers else []),
        "a trace has only the names of endpoints: where a name is not an address, put the address in",
        *(["put in the address of a server for each that does not exist yet"] if made_up else []),
    ]
    return _written(out, as_toml(setting_config(outlook), remarks))


def _unwritable_report(folder: Path | None, error: OSError) -> ConfigError:
    return ConfigError(f"--report: {folder}: cannot be written: {error.strerror}; choose a writable folder")


def _print(found: "Backtest") -> None:
    for test in found.tests:
        print(f"after {test.part:.0%} of the calls, {test.prediction.at_s:.3g} s:")
        for name, each in test.prediction.figures.items():
            came = test.came[name]
            verdict = "holds it" if each.holds(came) else "does not hold it"
            off = f"{test.error(name):+.1%}" if came else f"{test.error(name):+.3g}"
            print(f"  {name}: {each.value:.4g} ({each.low:.4g} to {each.high:.4g}); came {came:.4g}, {off}; {verdict}")
        for name, longer_s in test.prediction.outages.items():
            later = f"later by {longer_s:.3g} s" if longer_s > 0 else "hardly later"
            print(f"  an outage of {name} of {test.prediction.outage_s:.3g} s, which the trace does not have: {later}")
    for cut, why in found.left_out.items():
        print(f"after {cut:.0%}: left out: {why}")


def _held_data(held: "GoodnessOfFit") -> dict[str, object]:
    quantiles = {f"p{q}": {"measured": held.at(q / 100)[0], "fitted": held.at(q / 100)[1]} for q in (50, 90, 99)}
    return {"calls": held.calls, "mean_off": held.off, **quantiles}


def _figure_data(figure: "FigureOfFit") -> dict[str, object]:
    return {"measured": figure.measured, "fitted": figure.fitted, "off": figure.is_far, "by_chance": figure.is_chance}


def _working(title: str) -> "ProgressDisplay":
    """Return a display that says on standard error what is being done, and for how long, in a `with` block."""
    from balancer_simulator.studies.progress import working

    return working(title)


def _write_scenario(fit: "Fit", held: "FitCheck", trace: Path, out: Path) -> Path:
    from balancer_simulator.fitting.description import as_toml, fit_lines

    remarks = [f"Fitted to {trace.name}.", *held.lines(), *fit_lines(fit), "", f"balancer simulate {out.name}"]
    return _written(out, as_toml(fit.data(name=f"fitted to {trace.name}"), remarks))


def _written(out: Path, text: str) -> Path:
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--out: {out}: cannot be written: {error.strerror}; choose another path") from None
    return out


def _write_report(fit: "Fit", held: "FitCheck", folder: Path) -> Path:
    from balancer_simulator.report.fit import write_fit_report

    try:
        return write_fit_report(fit, held, folder)
    except OSError as error:
        raise _unwritable_report(folder, error) from None


def _is_span(deadline: str) -> bool:
    """Return whether the deadline is a duration, e.g. "90m", and not a time of day."""
    return _SPAN.fullmatch(deadline.strip().lower()) is not None


def seconds_until(deadline: str, now: datetime) -> float:
    """Return the seconds from `now` until a deadline, e.g. "8.5s", "2h 30m" or "18:00". A time of day means the next
    one.

    Raises:
        ConfigError: the deadline has another form, or is over.
    """
    text = deadline.strip().lower()
    if _is_span(deadline):
        found = sum(float(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", text))
    else:
        found = (_instant(text, deadline, now) - now).total_seconds()
    if found <= 0:
        raise ConfigError(f"--deadline: found {deadline!r}, which is in the past; give a later one")
    return found


def _instant(text: str, deadline: str, now: datetime) -> datetime:
    clock = _CLOCK.fullmatch(text)
    day = clock["day"] if clock else None
    ahead = [number for number, name in enumerate(_DAYS) if day and len(day) >= 3 and name.startswith(day)]
    try:
        if clock is None:
            found = datetime.fromisoformat(deadline.strip())
            return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
        if day and not ahead:
            raise ValueError("not a day of the week")
        at = now.replace(hour=int(clock["hour"]), minute=int(clock["minute"]), second=0, microsecond=0)
    except ValueError:
        raise ConfigError(
            f'--deadline: found {deadline!r}; write it like "90m", "2h 30m", "18:00", "Friday 18:00" or '
            '"2026-11-27 18:00"'
        ) from None
    at += timedelta(days=(ahead[0] - now.weekday()) % 7 if ahead else 0)
    return at if at > now else at + timedelta(days=7 if ahead else 1)
