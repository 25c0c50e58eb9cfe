"""Back-tests: fit the first part of a trace, predict the rest, and compare with what happened.

Compared are the end of the whole run, and the throughput and the waits after the cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from balancer.errors import ConfigError
from balancer.observing.traces import Trace
from balancer_simulator.fitting.calls import FEWEST, until
from balancer_simulator.fitting.fit import fit_trace
from balancer_simulator.predicting.predict import DRAWS, FIGURES, FitDraws, RunPrediction, predict_rest
from balancer_simulator.studies.parallel import Simulators

__all__ = ["FEWEST", "PARTS", "Backtest", "BacktestCut", "backtest"]

PARTS: Final = (0.05, 0.1, 0.2, 0.5)


@dataclass(frozen=True, slots=True)
class BacktestCut:
    """A prediction after a part of a trace, with what happened.

    Attributes:
        part: share of the calls that had ended by then.
        prediction: of the rest.
        came: what happened, by name.
    """

    part: float
    prediction: RunPrediction
    came: dict[str, float]

    def error(self, name: str) -> float:
        """Return the relative error of the prediction, with its sign; if the true value is 0, the error in seconds."""
        off, came = self.prediction.figures[name].value - self.came[name], self.came[name]
        return off / came if came else off


@dataclass(frozen=True, slots=True)
class Backtest:
    """The predictions after each part, with their quality.

    Attributes:
        tests: one for each part.
        left_out: why a part has none, by part.
    """

    tests: tuple[BacktestCut, ...]
    left_out: dict[float, str]

    def covered(self, name: str) -> tuple[int, int]:
        """Return how many intervals of a figure hold the true value, and the number of intervals."""
        found = [
            test.prediction.figures[name].holds(test.came[name])
            for test in self.tests
            if name in test.prediction.figures
        ]
        return sum(found), len(found)

    @property
    def data(self) -> dict[str, Any]:
        """The back-test as plain data."""
        return {
            "tests": [
                {
                    "part": test.part,
                    "at_s": test.prediction.at_s,
                    "remaining": test.prediction.remaining,
                    "figures": {
                        name: {
                            "predicted": each.value, "low": each.low, "high": each.high, "came": test.came[name],
                            "error": test.error(name), "covered": each.holds(test.came[name]),
                        }
                        for name, each in test.prediction.figures.items()
                    },
                    "outage_s": test.prediction.outage_s,
                    "outages": test.prediction.outages,
                }
                for test in self.tests
            ],
            "left_out": {f"{part:g}": why for part, why in self.left_out.items()},
        }  # fmt: skip


def backtest(
    trace: Trace,
    parts: Sequence[float] = PARTS,
    *,
    draws: int = DRAWS,
    seed: int = 1,
    jobs: int = 1,
    outages: bool = True,
) -> Backtest:
    """Fit `trace` as it was after each part of its calls, and compare the prediction with what happened.

    If the trace has several runs, the one with the most calls is used.

    Raises:
        ConfigError: there are no calls, or too few before every cut.
    """
    one = longest_run(trace)
    tests, left_out = [], {}
    with Simulators(jobs) as simulators:
        for part in parts:
            try:
                tests.append(_test(one, part, FitDraws(simulators, draws, seed), outages))
            except ConfigError as error:
                left_out[part] = str(error)
    if not tests:
        raise ConfigError(f"the trace cannot be back-tested: {next(iter(left_out.values()))}")
    return Backtest(tuple(tests), left_out)


def longest_run(trace: Trace) -> Trace:
    """Return the run with the most calls.

    Raises:
        ConfigError: there are no calls.
    """
    if not trace.attempts:
        raise ConfigError("the trace cannot be back-tested: it has no calls")
    runs = [each.run for each in trace.attempts]
    name = max(dict.fromkeys(runs), key=runs.count)
    return replace(
        trace,
        runs=[run for run in trace.runs if run.get("run") == name],
        attempts=[each for each in trace.attempts if each.run == name],
        events=[each for each in trace.events if each.run == name],
        ended=trace.ended & {name},
    )


def _test(trace: Trace, part: float, draws: FitDraws, outages: bool) -> BacktestCut:
    began_s = min(each.asked_s for each in trace.attempts)
    ends = sorted(each.ended_s for each in trace.attempts if not each.open)
    many = int(part * len(ends))
    if many < FEWEST:
        raise ConfigError(f"{many} calls had ended after {part:.0%} of them; it needs at least {FEWEST}")
    at_s = ends[many - 1] - began_s + 1e-9
    cut = until(trace, at_s)
    fit = fit_trace(cut)
    again = sum(each.event == "retried" for each in trace.events)
    over = sum(not each.open for each in cut.attempts) - sum(each.event == "retried" for each in cut.events)
    remaining = max(1, len(trace.attempts) - again - over)
    end_s = max(each.ended_s for each in trace.attempts) - began_s
    last_s = max(each.asked_s for each in trace.attempts) - began_s
    lasts_s = max(last_s - at_s, 1e-6) if fit.caller_pattern.callers is None else None
    prediction = predict_rest(fit, remaining, draws, at_s=at_s, lasts_s=lasts_s, outages=outages)
    return BacktestCut(part, prediction, _came(trace, began_s, at_s, end_s))


def _came(trace: Trace, began_s: float, at_s: float, end_s: float) -> dict[str, float]:
    rest = [each for each in trace.attempts if each.granted_s - began_s >= at_s]
    done = sum(each.outcome == "success" and each.ended_s - began_s > at_s for each in trace.attempts)
    waits = np.array([each.waited_s for each in rest] or [0.0])
    found = (end_s, done / max(end_s - at_s, 1e-9), float(waits.mean()), float(np.quantile(waits, 0.99)))
    return dict(zip(FIGURES, found, strict=True))
