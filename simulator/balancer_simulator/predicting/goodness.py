"""Goodness of fit: durations of calls in the trace, beside those in a run of the fitted scenario.

The whole scenario is compared with the trace, with callers and queues inside servers. A distribution compared with its
own data would always look well.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from balancer_simulator.fitting.fit import Fit
from balancer_simulator.fitting.survival import quantile_means
from balancer_simulator.run.engine import simulate_once
from balancer_simulator.scenario.distributions import Floats

__all__ = ["GoodnessOfFit", "goodness_of_fit"]

_POINTS: Final = 100
_SPANS: Final = 100_000


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


def goodness_of_fit(fit: Fit, seed: int = 1) -> list[GoodnessOfFit]:
    """Run the fitted scenario once, and return the durations at each endpoint that has enough calls in both."""
    record = simulate_once(fit.scenario(replications=1).changed(seed=seed), fit.policy, spans=_SPANS)
    url_of = {member.name: member.url for member in fit.members}
    found = []
    for name, each in fit.endpoints.items():
        spans = [span for span in record.spans if span.url == url_of[name] and span.ok]
        known = ~each.sound.open
        if known.sum() < 2 or len(spans) < 2:
            continue
        away_s = each.away_s if len(each.away_s) else 0.0
        measured = quantile_means(each.sound.held_s + away_s, each.sound.open, _POINTS)
        times = np.array([span.ended_s - span.started_s for span in spans])
        fitted = quantile_means(times, np.zeros(len(times), dtype=np.bool_), _POINTS)
        found.append(GoodnessOfFit(name, int(known.sum()), measured, fitted))
    return found
