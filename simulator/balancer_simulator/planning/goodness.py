"""Goodness of fit: calls and waits in the trace, beside those in runs of the fitted scenario.

The whole scenario is compared with the trace, with callers and queues inside servers. A distribution compared with its
own data would always look well. Several runs are made, so that what chance does is known.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import stdtrit

from balancer.errors import ConfigError
from balancer_simulator.fitting.fit import Fit
from balancer_simulator.fitting.survival import quantile_means
from balancer_simulator.planning.predicted import FAR
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.run.record import Record
from balancer_simulator.scenario.distributions import Floats

__all__ = ["FigureOfFit", "FitCheck", "GoodnessOfFit", "goodness_of_fit", "refuse_if_off"]

_POINTS: Final = 100
_FEWEST_RUNS, _MOST_RUNS = 4, 10
_CALLS: Final = 40_000  # in all runs together, about
_A_WAIT: Final = 0.01  # share of the mean call: a shorter wait is none
_LITTLE: Final = 0.02  # share of the mean call, or of all calls: a smaller difference harms nobody


@dataclass(frozen=True, slots=True)
class GoodnessOfFit:
    """Durations of calls of an endpoint: `measured` and `fitted`, equally likely times in ascending order."""

    endpoint: str
    calls: int
    measured: Floats
    fitted: Floats

    @property
    def off(self) -> float:
        """Relative difference of the fitted mean from the measured one, with its sign."""
        return float(self.fitted.mean() / self.measured.mean() - 1)

    def at(self, q: float) -> tuple[float, float]:
        """Return the measured and the fitted quantile."""
        return float(np.quantile(self.measured, q)), float(np.quantile(self.fitted, q))


@dataclass(frozen=True, slots=True)
class FigureOfFit:
    """A figure of the trace, and the same in each run of the fitted scenario.

    Attributes:
        name: what it is.
        unit: "s", or "%" for a share of 0 to 1.
        measured: in the trace.
        runs: in each run.
        least: a difference below this does not count, because it harms nobody.
    """

    name: str
    unit: str
    measured: float
    runs: Floats
    least: float

    @property
    def fitted(self) -> float:
        """The mean of all runs."""
        return float(self.runs.mean())

    @property
    def off(self) -> float:
        """Relative difference from the measured one, with its sign; infinite if that is 0 and the fitted one is not."""
        if not self.measured:
            return math.inf if self.fitted else 0.0
        return self.fitted / self.measured - 1

    @property
    def is_far(self) -> bool:
        """Whether it is off by more than `FAR`."""
        return abs(self.off) > FAR and abs(self.fitted - self.measured) > self.least

    @property
    def is_chance(self) -> bool:
        """Whether runs differ among themselves by as much as from the trace."""
        many = len(self.runs)
        reach = float(stdtrit(many - 1, 0.975)) * float(self.runs.std(ddof=1)) * math.sqrt(1 + 1 / many)
        return abs(self.measured - self.fitted) <= reach

    @property
    def values(self) -> tuple[str, str]:
        """The measured and the fitted value, with their unit."""
        measured, fitted = (
            (f"{100 * each:.3g}%" if self.unit == "%" else f"{each:.3g} s") for each in (self.measured, self.fitted)
        )
        return measured, fitted

    @property
    def apart(self) -> str:
        """How far it is off."""
        return f"{self.off:+.0%}" if math.isfinite(self.off) else "none in the trace"

    @property
    def words(self) -> str:
        """Both values, in a sentence."""
        measured, fitted = self.values
        return f"{self.name} {measured} in the trace, {fitted} in runs of the fit"


@dataclass(frozen=True, slots=True)
class FitCheck:
    """A fit beside its trace.

    Attributes:
        calls: durations of calls, of each endpoint that has enough.
        figures: of the calls: the mean time at each endpoint, and the share that is refused.
        waits: mean, p99, and the share that waits.
    """

    calls: tuple[GoodnessOfFit, ...]
    figures: tuple[FigureOfFit, ...]
    waits: tuple[FigureOfFit, ...]

    def off(self, *, waits: bool = True) -> list[FigureOfFit]:
        """Return the figures that are off by more than `FAR`, and not by chance."""
        return [each for each in (*self.figures, *(self.waits if waits else ())) if each.is_far and not each.is_chance]

    def lines(self) -> Iterator[str]:
        """Yield what a reader must know before anything else: that the fit is off, and by how much."""
        if off := self.off():
            yield "THE FIT IS OFF: runs of it are unlike the trace, so do not plan with it"
            yield from (f"  {each.words} ({each.apart})" for each in off)

    @property
    def data(self) -> dict[str, Any]:
        """All figures as plain data."""
        return {
            each.name.rstrip(":"): {
                "measured": each.measured, "fitted": each.fitted, "off": each.is_far, "by_chance": each.is_chance
            }
            for each in (*self.figures, *self.waits)
        }  # fmt: skip


def goodness_of_fit(fit: Fit, seed: int = 1) -> FitCheck:
    """Run the fitted scenario some times, and return its calls and waits beside those of the trace."""
    many = min(_MOST_RUNS, max(_FEWEST_RUNS, _CALLS // max(1, len(fit.prepared.attempts))))
    scenario = fit.scenario(replications=many).changed(seed=seed)
    runs = [_spans(simulate_once(scenario, fit.policy, number)) for number in range(many)]
    calls, figures = [], []
    url_of = {member.name: member.url for member in fit.members}
    for name, each in fit.endpoints.items():
        url = url_of[name]
        times = [
            np.array([span.ended_s - span.started_s for span in spans if span.url == url and span.ok]) for spans in runs
        ]
        known = ~each.sound.open
        if known.sum() < 2 or any(len(mine) < 2 for mine in times):
            continue
        measured = quantile_means(each.sound.held_s, each.sound.open, _POINTS)
        every = np.concatenate(times)
        fitted = quantile_means(every, np.zeros(len(every), dtype=np.bool_), _POINTS)
        calls.append(GoodnessOfFit(name, int(known.sum()), measured, fitted))
        means = np.array([mine.mean() for mine in times])
        figures.append(FigureOfFit(f"{name}: a call takes", "s", float(measured.mean()), means, 0.0))
    refused = np.mean([each.outcome == "overload" for each in fit.prepared.attempts])
    shares = np.array([np.mean([float(span.refused) for span in spans] or [0.0]) for spans in runs])
    figures.append(FigureOfFit("refused calls:", "%", float(refused), shares, _LITTLE))
    if fit.batch is not None:
        ends_s = np.array([max(each.ended_s for each in spans) - min(each.asked_s for each in spans) for spans in runs])
        tried = fit.prepared.attempts
        took_s = max(each.ended_s for each in tried) - min(each.asked_s for each in tried)
        figures.append(FigureOfFit("the run takes", "s", took_s, ends_s, 0.0))
    return FitCheck(tuple(calls), tuple(figures), tuple(_waits(fit, runs)))


def _spans(record: Record) -> Sequence[Any]:
    """Return the calls that have ended: url, asked_s, started_s, ended_s, ok, refused."""
    calls = record.calls.dropna(subset=["asked_s", "started_s", "ended_s"])
    calls = calls.assign(url=calls.endpoint, ok=calls.end == "answered", refused=calls.end == "refused")
    return list(calls.itertuples())


def _waits(fit: Fit, runs: Sequence[Sequence[Any]]) -> Iterator[FigureOfFit]:
    measured = np.array([each.waited_s for each in fit.prepared.attempts])
    fitted = [np.array([span.started_s - span.asked_s for span in spans] or [0.0]) for spans in runs]
    call_s = float(np.mean([each.held_s for each in fit.prepared.attempts]))
    least_s = max(_A_WAIT * call_s, fit.prepared.moment_s)
    for name, of in (("the mean wait:", np.mean), ("the p99 of waits:", lambda waits: np.quantile(waits, 0.99))):
        least = (_LITTLE if of is np.mean else FAR) * call_s + least_s
        yield FigureOfFit(name, "s", float(of(measured)), np.array([of(each) for each in fitted]), least)
    shares = [float((each > least_s).mean()) for each in (measured, *fitted)]
    yield FigureOfFit("calls that wait:", "%", shares[0], np.array(shares[1:]), 2 * _LITTLE)


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
