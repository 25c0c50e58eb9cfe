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

__all__ = ["FigureOfFit", "FitCheck", "goodness_of_fit", "refuse_if_off"]

_POINTS: Final = 100
_FEWEST_RUNS, _MOST_RUNS = 4, 10
_CALLS: Final = 40_000  # in all runs together, about
_A_WAIT: Final = 0.01  # share of the mean call: a shorter wait is none
_LITTLE: Final = 0.02  # share of the mean call, or of all calls: a smaller difference harms nobody

Runs = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class FigureOfFit:
    """A figure of the trace, and the same in each run of the fitted scenario.

    Attributes:
        name: what it is.
        unit: "s", or "%" for a share of 0 to 1.
        measured: in the trace.
        runs: in each run.
        least: a difference below this does not count, because it harms nobody.
        of_waits: whether it is one of waits.
    """

    name: str
    unit: str
    measured: float
    runs: Floats
    least: float = 0.0
    of_waits: bool = False

    @property
    def fitted(self) -> float:
        """The mean of all runs."""
        return float(self.runs.mean())

    @property
    def is_off(self) -> bool:
        """Whether it is off by more than `FAR`, and by more than runs differ among themselves."""
        apart = abs(self.fitted - self.measured)
        return apart > max(FAR * self.measured, self.least, reach_of(self.runs, 0.975))

    @property
    def values(self) -> tuple[str, str, str]:
        """The measured and the fitted value, with their unit, and how far it is off."""
        measured, fitted = (
            f"{100 * each:.3g}%" if self.unit == "%" else f"{each:.3g} s" for each in (self.measured, self.fitted)
        )
        off = self.fitted / self.measured - 1 if self.measured else math.inf * self.fitted if self.fitted else 0.0
        return measured, fitted, f"{off:+.0%}" if math.isfinite(off) else "none in the trace"

    @property
    def words(self) -> str:
        """Both values, in a sentence."""
        return "{} {} in the trace, {} in runs of the fit".format(self.name, *self.values)


@dataclass(frozen=True, slots=True)
class FitCheck:
    """A fit beside its trace: mean times at each endpoint, refusals, waits; of a pipeline, how long it takes."""

    figures: tuple[FigureOfFit, ...]

    def off(self, *, waits: bool = True) -> list[FigureOfFit]:
        """Return the figures that are off."""
        return [each for each in self.figures if each.is_off and (waits or not each.of_waits)]

    def lines(self) -> Iterator[str]:
        """Yield what a reader must know before anything else: that the fit is off, and by how much."""
        if off := self.off():
            yield "THE FIT IS OFF: runs of it are unlike the trace, so do not plan with it"
            yield from (f"  {each.words} ({each.values[2]})" for each in off)

    def __str__(self) -> str:
        """All figures as a table; those that are off come first."""
        found = sorted(self.figures, key=lambda each: not each.is_off)
        columns = ["in the trace", "in the fit", "off by"]
        table = DataFrame([e.values for e in found], [e.name.rstrip(":") for e in found], columns)
        return str(table.to_string())

    @property
    def data(self) -> dict[str, Any]:
        """All figures as plain data."""
        return {
            each.name.rstrip(":"): {"measured": each.measured, "fitted": each.fitted, "off": each.is_off}
            for each in self.figures
        }


def goodness_of_fit(fit: Fit, seed: int = 1) -> FitCheck:
    """Run the fitted scenario some times, and return its calls and waits beside those of the trace."""
    many = min(_MOST_RUNS, max(_FEWEST_RUNS, _CALLS // max(1, len(fit.prepared.attempts))))
    scenario = fit.scenario(replications=many).changed(seed=seed)
    runs = [_spans(simulate_once(scenario, fit.policy, number)) for number in range(many)]
    return FitCheck((*_calls(fit, runs), *_waits(fit, runs)))


def _calls(fit: Fit, runs: Runs) -> Iterator[FigureOfFit]:
    for member in fit.members:
        sound = fit.endpoints[member.name].sound
        times = [[s.ended_s - s.started_s for s in spans if s.url == member.url and s.ok] for spans in runs]
        if (~sound.open).sum() > 1 and all(len(mine) > 1 for mine in times):
            measured = quantile_means(sound.held_s, sound.open, _POINTS).mean()
            means = np.array([np.mean(mine) for mine in times])
            yield FigureOfFit(f"{member.name}: a call takes", "s", float(measured), means)
    tried = fit.prepared.attempts
    refused = float(np.mean([each.outcome == "overload" for each in tried]))
    shares = np.array([np.mean([float(span.refused) for span in spans] or [0.0]) for spans in runs])
    yield FigureOfFit("refused calls:", "%", refused, shares, _LITTLE)
    if fit.batch is not None:
        ends_s = np.array([max(each.ended_s for each in spans) - min(each.asked_s for each in spans) for spans in runs])
        yield FigureOfFit("the run takes", "s", fit.prepared.lasts_s, ends_s)


def _spans(record: Record) -> Sequence[Any]:
    """Return the calls that have ended: url, asked_s, started_s, ended_s, ok, refused."""
    calls = record.calls.dropna(subset=["asked_s", "started_s", "ended_s"])
    calls = calls.assign(url=calls.endpoint, ok=calls.end == "answered", refused=calls.end == "refused")
    return list(calls.itertuples())


def _waits(fit: Fit, runs: Runs) -> Iterator[FigureOfFit]:
    measured = np.array([each.waited_s for each in fit.prepared.attempts])
    fitted = [np.array([span.started_s - span.asked_s for span in spans] or [0.0]) for spans in runs]
    call_s = float(np.mean([each.held_s for each in fit.prepared.attempts]))
    least_s = max(_A_WAIT * call_s, fit.prepared.moment_s)
    for name, unit, least, of in (
        ("the mean wait:", "s", _LITTLE * call_s + least_s, np.mean),
        ("the p99 of waits:", "s", FAR * call_s + least_s, lambda waits: np.quantile(waits, 0.99)),
        ("calls that wait:", "%", 2 * _LITTLE, lambda waits: np.mean(waits > least_s)),
    ):
        yield FigureOfFit(name, unit, float(of(measured)), np.array([of(each) for each in fitted]), least, True)


def refuse_if_off(fit: Fit, *, waits: bool = True) -> None:
    """Refuse a fit whose runs are unlike its trace. Without `waits`, they are not compared: callers are assumed.

    Raises:
        ConfigError: it is off.
    """
    if off := goodness_of_fit(fit).off(waits=waits):
        raise ConfigError(
            f"plan: the fit of the trace is off: {'; '.join(each.words for each in off)}; see balancer fit, or "
            "give --anyway (anyway=True) to build on it"
        )
