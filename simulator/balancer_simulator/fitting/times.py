"""Call times of each kind at each endpoint, shrunk towards the others if calls are few.

An endpoint, or a kind at an endpoint, with few calls is assumed to be like the others, slower or faster by a factor;
the more so the fewer calls it had. The factor is shrunk towards the others as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from balancer_simulator.fitting.endpoint import WorkSample
from balancer_simulator.fitting.survival import LEAST_S, quantile_means
from balancer_simulator.scenario.distributions import Floats

__all__ = ["FittedTimes", "times_of"]

_ENOUGH: Final = 50  # ended calls from which on an endpoint is not shrunk


@dataclass(frozen=True, slots=True)
class FittedTimes:
    """Durations of calls.

    Attributes:
        of: by endpoint and index of the kind, equally likely times in ascending order.
        own: likewise, the share that is the endpoint's own, 0 to 1; the rest comes from the others.
    """

    of: dict[str, dict[int, Floats]]
    own: dict[str, dict[int, float]]


def times_of(samples: Mapping[str, WorkSample], kinds: Sequence[int], count: int) -> FittedTimes:
    """Return the times of each kind at each endpoint.

    Args:
        samples: by endpoint; one may be empty.
        kinds: indices of the kinds.
        count: number of times that represent all.

    Raises:
        ValueError: no call has ended anywhere.
    """
    if not any((~each.open).any() for each in samples.values()):
        raise ValueError("no call has ended in it, so the duration of calls is unknown")
    logs = _shrunk({name: _log_scale(each) for name, each in samples.items()})
    found: dict[str, dict[int, Floats]] = {name: {} for name in samples}
    own: dict[str, dict[int, float]] = {name: {} for name in samples}
    for kind in kinds:
        shape = _shape(samples, logs, kind, count)
        for name, each in samples.items():
            mine = each.kinds == kind
            ended = int((~each.open[mine]).sum())
            like_others = shape * np.exp(logs[name])
            part = own[name][kind] = min(1.0, ended / _ENOUGH)
            if not ended:
                found[name][kind] = like_others
                continue
            times_s = quantile_means(each.work_s[mine], each.open[mine], count)
            found[name][kind] = _between(times_s, like_others, part)
    return FittedTimes(found, own)


def _between(mine: Floats, others: Floats, part: float) -> Floats:
    """Return times between the two, quantile by quantile, by ratio. The mean is between theirs as well."""
    mixed = np.exp(part * np.log(mine) + (1 - part) * np.log(others))
    return np.asarray(mixed * (part * mine.mean() + (1 - part) * others.mean()) / mixed.mean())


def _shape(samples: Mapping[str, WorkSample], logs: Mapping[str, float], kind: int, count: int) -> Floats:
    """Return the times of a kind at an endpoint of scale 1, from all endpoints; of all kinds if it has no call."""
    for of_kind in (True, False):
        works, opens = [], []
        for name, each in samples.items():
            mine = each.kinds == kind if of_kind else each.kinds >= 0
            works.append(each.work_s[mine] / np.exp(logs[name]))
            opens.append(each.open[mine])
        open_ = np.concatenate(opens)
        if (~open_).any():
            return quantile_means(np.concatenate(works), open_, count)
    raise AssertionError("some call has ended")


def _log_scale(sample: WorkSample) -> tuple[float, float, int]:
    """Return the mean of the logarithm of its times, their variance, and the number of ended ones."""
    ended = int((~sample.open).sum())
    if not ended:
        return 0.0, 1.0, 0
    log = np.log(np.maximum(quantile_means(sample.work_s, sample.open, max(20, min(ended, 200))), LEAST_S))
    return float(log.mean()), float(log.var()), ended


def _shrunk(scales: Mapping[str, tuple[float, float, int]]) -> dict[str, float]:
    """Return the scales, moved towards their mean, the more the less is known (DerSimonian and Laird, 1986)."""
    told = {name: each for name, each in scales.items() if each[2]}
    common = sum(var * many for _, var, many in told.values()) / sum(many for _, _, many in told.values())
    # A few calls that are alike by chance do not tell how much calls differ.
    variances = {name: (var * many + common * _ENOUGH) / (many + _ENOUGH) for name, (_, var, many) in told.items()}
    errors = {name: max(var, 1e-6) / told[name][2] for name, var in variances.items()}
    weights = {name: 1 / error for name, error in errors.items()}
    total = sum(weights.values())
    mean = sum(weights[name] * told[name][0] for name in told) / total
    excess = sum(weights[name] * (told[name][0] - mean) ** 2 for name in told) - (len(told) - 1)
    spare = total - sum(weight**2 for weight in weights.values()) / total
    between = max(0.0, excess / spare) if spare > 0 else 0.0
    middle = sum(told[name][0] for name in told) / len(told)
    found = {}
    for name, each in scales.items():
        part = between / (between + errors[name]) if name in told else 0.0
        part = 1.0 if len(told) == 1 and name in told else part
        found[name] = part * each[0] + (1 - part) * (mean if not between else middle)
    return found
