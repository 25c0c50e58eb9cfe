"""Goodness of fit: calls and waits in the trace, beside those in runs of the fitted scenario.

The whole scenario is compared with the trace, with callers and queues inside servers. A distribution compared with its
own data would always look well. Several runs are made, so that what chance does is known.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pandas import DataFrame

from balancer.errors import ConfigError
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.fitting.survival import quantile_means
from balancer_simulator.planning.planner import FAR, reach_of
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.distributions import Floats

__all__ = ["FitCheck", "goodness_of_fit", "refuse_if_off"]

_POINTS: Final = 100
_FEWEST_RUNS, _MOST_RUNS = 4, 10
_CALLS: Final = 40_000  # in all runs together, about
_A_WAIT: Final = 0.01  # share of the mean call: a shorter wait is none
_LITTLE: Final = 0.02  # share of the mean call, or of all calls: a smaller difference harms nobody

Runs = Sequence[DataFrame]


@dataclass(frozen=True, slots=True)
class FitCheck:
    """A fit beside its trace: mean times at each endpoint, refusals, waits; of a pipeline, how long it takes.

    Attributes:
        figures: a frame with a row for each: what it is in the trace, and the mean of all runs of the fit, in seconds
            or parts of one; by what part it differs, infinity if the trace has none; whether it `is_off`: by more than
            `FAR`, and by more than runs differ among themselves; and whether it is one of waits.
    """

    figures: DataFrame

    def off(self, *, waits: bool = True) -> list[str]:
        """Return the figures that are off, each in words."""
        found = self.figures[self.figures.is_off & (waits | ~self.figures.of_waits)]
        return [
            f"{name}: {measured:.3g} in the trace, {fitted:.3g} in runs of the fit{f' ({by:+.0%})' * math.isfinite(by)}"
            for name, measured, fitted, by in zip(found.index, found.measured, found.fitted, found.off_by, strict=True)
        ]

    def lines(self) -> Iterator[str]:
        """Yield what a reader must know before anything else: that the fit is off, and by how much."""
        if off := self.off():
            yield "THE FIT IS OFF: runs of it are unlike the trace, so do not plan with it"
            yield from (f"  {each}" for each in off)

    def __str__(self) -> str:
        """All figures as a table; those that are off come first."""
        found = self.figures.sort_values("is_off", ascending=False, kind="stable").drop(columns=["is_off", "of_waits"])
        table = found.to_string(float_format="{:.3g}".format, formatters={"off_by": "{:+.0%}".format})
        return f"in the trace, and in runs of the fit: seconds, and parts of one\n{table}"


def goodness_of_fit(fit: Fit, seed: int = 1) -> FitCheck:
    """Run the fitted scenario some times, and return its calls and waits beside those of the trace."""
    many = min(_MOST_RUNS, max(_FEWEST_RUNS, _CALLS // max(1, len(fit.prepared.attempts))))
    scenario = fit.scenario(replications=many).changed(seed=seed)
    runs = [_ended(simulate_once(scenario, fit.policy, number)) for number in range(many)]
    return FitCheck(DataFrame([*_calls(fit, runs), *_waits(fit, runs)]).set_index("figure").rename_axis(None))


def _figure(name: str, measured: float, runs: Floats, least: float = 0.0, *, of_waits: bool = False) -> dict[str, Any]:
    """Return a figure of the trace, and the same in each run. A difference below `least` harms nobody."""
    fitted = float(runs.mean())
    is_off = abs(fitted - measured) > max(FAR * measured, least, reach_of(runs, 0.975))
    off_by = fitted / measured - 1 if measured else math.inf if fitted else 0.0
    return {
        "figure": name, "measured": measured, "fitted": fitted, "off_by": off_by, "is_off": is_off,
        "of_waits": of_waits,
    }  # fmt: skip


def _calls(fit: Fit, runs: Runs) -> Iterator[dict[str, Any]]:
    for member in fit.members:
        sound = fit.endpoints[member.name].sound
        times = [run.call_s[(run.endpoint == member.url) & (run.end == "answered")] for run in runs]
        if (~sound.open).sum() > 1 and all(len(mine) > 1 for mine in times):
            measured = quantile_means(sound.held_s, sound.open, _POINTS).mean()
            means = np.array([mine.mean() for mine in times])
            yield _figure(f"{member.name}: a call takes", float(measured), means)
    tried = fit.prepared.attempts
    refused = float(np.mean([each.outcome == "overload" for each in tried]))
    shares = np.array([(run.end == "refused").sum() / max(1, len(run)) for run in runs])
    yield _figure("refused calls", refused, shares, _LITTLE)
    if fit.batch is not None:
        ends_s = np.array([run.ended_s.max() - run.asked_s.min() for run in runs])
        yield _figure("the run takes", fit.prepared.lasts_s, ends_s)


def _ended(record: Record) -> DataFrame:
    """Return the calls that have ended, with the seconds that they waited and took."""
    calls = record.calls.dropna(subset=["asked_s", "started_s", "ended_s"])
    return calls.assign(wait_s=calls.started_s - calls.asked_s, call_s=calls.ended_s - calls.started_s)


def _waits(fit: Fit, runs: Runs) -> Iterator[dict[str, Any]]:
    measured = np.array([each.waited_s for each in fit.prepared.attempts])
    fitted = [run.wait_s.to_numpy() if len(run) else np.zeros(1) for run in runs]
    call_s = float(np.mean([each.held_s for each in fit.prepared.attempts]))
    least_s = max(_A_WAIT * call_s, fit.prepared.moment_s)
    for name, least, of in (
        ("the mean wait", _LITTLE * call_s + least_s, np.mean),
        ("the p99 of waits", FAR * call_s + least_s, lambda waits: np.quantile(waits, 0.99)),
        ("calls that wait", 2 * _LITTLE, lambda waits: np.mean(waits > least_s)),
    ):
        yield _figure(name, float(of(measured)), np.array([of(each) for each in fitted]), least, of_waits=True)


def refuse_if_off(fit: Fit, *, waits: bool = True) -> None:
    """Refuse a fit whose runs are unlike its trace. Without `waits`, they are not compared: callers are assumed.

    Raises:
        ConfigError: it is off.
    """
    if off := goodness_of_fit(fit).off(waits=waits):
        raise ConfigError(
            f"plan: the fit of the trace is off: {'; '.join(off)}; see balancer fit, or "
            "give --anyway (anyway=True) to build on it"
        )
