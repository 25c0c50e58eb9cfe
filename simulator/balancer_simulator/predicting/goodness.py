"""Goodness of fit: what calls took in the trace, beside a run of the fitted scenario.

Decides that the whole scenario is held against the trace, queues inside servers and callers included, and not each
distribution against the times that it was made of, which would always look well.
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
    """What calls of an endpoint took: `measured` and `fitted` times, equally likely ones in ascending order."""

    endpoint: str
    calls: int
    measured: Floats
    fitted: Floats

    @property
    def off(self) -> float:
        """By what part the fitted mean differs from the measured one, with its sign."""
        return float(self.fitted.mean() / self.measured.mean() - 1)

    def at(self, q: float) -> tuple[float, float]:
        """Return the measured and the fitted quantile."""
        return float(np.quantile(self.measured, q)), float(np.quantile(self.fitted, q))


def goodness_of_fit(fit: Fit, seed: int = 1) -> list[GoodnessOfFit]:
    """Run the fitted scenario once, and return what calls took at each endpoint that has enough of them in both."""
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
