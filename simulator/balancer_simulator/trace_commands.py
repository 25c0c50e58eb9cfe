"""Commands `balancer fit`, `backtest` and `recommend`.

Fitting and prediction are imported only when a command runs, because their import is slow.
"""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from balancer.commands.options import JsonOption
from balancer.commands.output import print_json
from balancer.commands.stopping import saying
from balancer.errors import ConfigError
from balancer.plugins.extras import require

if TYPE_CHECKING:
    from balancer_simulator.fitting.fit import Fit
    from balancer_simulator.predicting.backtest import Backtest
    from balancer_simulator.predicting.goodness import FigureOfFit, FitCheck, GoodnessOfFit
    from balancer_simulator.predicting.recommend import SettingForecast
    from balancer_simulator.scenario.scenario import Scenario

__all__ = ["backtest", "fit", "recommend", "seconds_until"]

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN: Final = re.compile(r"(?:\d+(?:\.\d+)?\s*[smhd]\s*)+")
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
AnywayOption = Annotated[
    bool, typer.Option("--anyway", help="Build on the fit of TRACE even if runs of it are unlike TRACE.")
]
JobsOption = Annotated[int, typer.Option("--jobs", metavar="N", min=1, help="Processes. Same results.")]


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
    """Fit a scenario to TRACE: call times of each endpoint, its behaviour under load, and the callers."""
    require("simulator", '"balancer fit"')
    with saying("nothing was written"):
        from balancer.observing.traces import read_trace
        from balancer_simulator.fitting.description import fit_data, fit_lines
        from balancer_simulator.fitting.fit import fit_trace
        from balancer_simulator.predicting.goodness import goodness_of_fit

        found = fit_trace(read_trace(trace))
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
    for figure in (*held.waits, held.figures[-1]):
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
    jobs: JobsOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Test predictions on TRACE: fit its first part, predict the rest, and compare with what happened."""
    wrong = [each for each in part or () if not 0 < each < 1]
    if wrong:
        raise ConfigError(f"--part: found {wrong[0]:g}; it must be more than 0 and less than 1, e.g. 0.1")
    require("simulator", '"balancer backtest"')
    with saying("nothing was written"):
        from balancer.observing.traces import read_trace
        from balancer_simulator.predicting.backtest import PARTS
        from balancer_simulator.predicting.backtest import backtest as run_backtest

        found = run_backtest(read_trace(trace), tuple(part or PARTS), draws=draws, seed=seed, jobs=jobs)
    if as_json:
        print_json(found.data)
        return
    _print(found)


def recommend(
    source: SourceArgument,
    deadline: DeadlineOption = None,
    tasks: TasksOption = None,
    budget: BudgetOption = None,
    certainty: CertaintyOption = 0.95,
    strategy: StrategyOption = None,
    draws: DrawsOption = 20,
    seed: SeedOption = 1,
    jobs: JobsOption = 1,
    out: ConfigOption = None,
    report: RecommendationOption = None,
    anyway: AnywayOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find the cheapest setting that meets a deadline: strategy, endpoints, capacities and workers."""
    if not 0.5 <= certainty < 1:
        raise ConfigError(f"--certainty: found {certainty:g}; it must be at least 0.5 and less than 1, e.g. 0.95")
    require("simulator", '"balancer recommend"')
    with saying("nothing was written"):
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
            strategies=strategy or STRATEGIES, draws=draws, seed=seed, jobs=jobs, anyway=anyway,
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


def _source(path: Path) -> "Fit | Scenario":
    from balancer.observing.traces import read_trace
    from balancer_simulator.fitting.fit import fit_trace
    from balancer_simulator.scenario.scenario import load_scenario

    return load_scenario(path) if path.suffix == ".toml" else fit_trace(read_trace(path))


def _write_config(outlook: "SettingForecast", words: str, out: Path) -> Path:
    from balancer_simulator.fitting.description import as_toml
    from balancer_simulator.predicting.recommend import setting_config
    from balancer_simulator.report.recommendation import made_up_lines

    made_up = made_up_lines(outlook)
    remarks = [
        words,
        f"{outlook.setting.workers} callers at once",
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
