"""Call times of each kind at each endpoint, shrunk towards the others if calls are few.

An endpoint, or a kind at an endpoint, with few calls is assumed to be like the others, slower or faster by a factor;
the more so the fewer calls it had. The factor is shrunk towards the others as well.

Size regression: time by size and endpoint, so that an endpoint with large tasks does not count as slow. It is a
censored regression of the logarithm of the time. Calls that had not ended count as longer (Tobin, 1958; in survival
analysis, an accelerated failure time).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr

from balancer_simulator.fitting.calls import Bools
from balancer_simulator.fitting.endpoint import WorkSample
from balancer_simulator.fitting.survival import LEAST_S, quantile_means
from balancer_simulator.scenario.distributions import Floats

__all__ = ["FittedTimes", "SizeRegression", "fit_sizes", "shrunk", "times_of"]

_ENOUGH: Final = 50  # ended calls from which on an endpoint is not shrunk
_MOSTLY: Final = 0.8  # share of the calls that must have a size
_CLEARLY: Final = 3.0  # standard errors that the exponent must be from 0
_FEWEST: Final = 30  # calls that ended


@dataclass(frozen=True, slots=True)
class FittedTimes:
    """Durations of calls.

    Attributes:
        of: by endpoint and index of the kind, equally likely times in ascending order.
        own: likewise, the share that is the endpoint's own, 0 to 1; the rest comes from the others.
        factor: by endpoint, duration of its calls relative to the typical endpoint.
    """

    of: dict[str, dict[int, Floats]]
    own: dict[str, dict[int, float]]
    factor: dict[str, float]


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
    logs = shrunk({name: _log_scale(each) for name, each in samples.items()})
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
    typical = float(np.median(list(logs.values())))
    return FittedTimes(found, own, {name: float(np.exp(log - typical)) for name, log in logs.items()})


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


def shrunk(scales: Mapping[str, tuple[float, float, int]]) -> dict[str, float]:
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


@dataclass(frozen=True, slots=True)
class SizeRegression:
    """Time as work / speed, where the work grows with the size.

    Attributes:
        exponent, error: time grows with the size to this power; the standard error of the power.
        calls: number of calls used.
        speeds: by endpoint; 1 is the typical one.
        works: by index of the kind, equally likely seconds of work at speed 1, in ascending order.
    """

    exponent: float
    error: float
    calls: int
    speeds: dict[str, float]
    works: dict[int, Floats]


def fit_sizes(
    samples: Mapping[str, WorkSample], kinds: Sequence[int], count: int, *, surely: bool = False
) -> SizeRegression | None:
    """Return how time depends on size and endpoint; None if there is no clear dependence, or there are no sizes.

    Args:
        samples: by endpoint.
        kinds: indices of the kinds.
        count: number of times that represent all of a kind.
        surely: the dependence is known from elsewhere.
    """
    names = [name for name, each in samples.items() if len(each.work_s)]
    log = np.log(np.maximum(np.concatenate([samples[name].work_s for name in names] or [np.empty(0)]), LEAST_S))
    sizes = np.concatenate([samples[name].sizes for name in names] or [np.empty(0)])
    open_ = np.concatenate([samples[name].open for name in names] or [np.empty(0, dtype=np.bool_)])
    where = np.repeat(np.arange(len(names)), [len(samples[name].work_s) for name in names])
    told = sizes > 0  # NaN is not
    ended = int((told & ~open_).sum())
    if ended < _FEWEST or told.mean() < _MOSTLY or sizes[told].min() == sizes[told].max():
        return None
    found = _regression(log[told], np.log(sizes[told]), where[told], open_[told], len(names))
    if found is None:
        return None
    exponent, error, levels, deviation = found
    if not surely and abs(exponent) < _CLEARLY * error:
        return None
    many = [int((told & ~open_ & (where == place)).sum()) for place in range(len(names))]
    scales = dict.fromkeys(samples, (0.0, 1.0, 0))
    scales |= {name: (levels[n], deviation**2, many[n]) for n, name in enumerate(names)}
    logs = shrunk(scales)
    typical = float(np.median(list(logs.values())))
    speeds = {name: float(np.exp(typical - each)) for name, each in logs.items()}
    works = {kind: each for kind in kinds if (each := _works(samples, speeds, kind, count)) is not None}
    return SizeRegression(exponent, error, ended, speeds, works) if len(works) == len(kinds) else None


def _works(samples: Mapping[str, WorkSample], speeds: Mapping[str, float], kind: int, count: int) -> Floats | None:
    parts = [
        (each.work_s[each.kinds == kind] * speeds[name], each.open[each.kinds == kind])
        for name, each in samples.items()
    ]
    work_s, open_ = (np.concatenate(column) for column in zip(*parts, strict=True))
    return None if open_.all() else quantile_means(work_s, open_, count)


def _regression(
    log: Floats, log_size: Floats, where: np.ndarray[tuple[int], np.dtype[np.intp]], open_: Bools, count: int
) -> tuple[float, float, list[float], float] | None:
    """Return exponent, its standard error, the level of each endpoint and the deviation; None if there is none.

    The likelihood of a normal logarithm: the density at the end of a call, the tail probability if it is open.
    """
    columns = np.zeros((len(log), count + 1))
    columns[np.arange(len(log)), where] = 1.0
    columns[:, count] = log_size - log_size.mean()
    begin, *_ = np.linalg.lstsq(columns, log, rcond=None)
    spread = float(np.log(max((log - columns @ begin).std(), 1e-3)))

    def loss(values: Floats) -> float:
        apart = (log - columns @ values[:-1]) / np.exp(values[-1])
        return float((0.5 * apart[~open_] ** 2 + values[-1]).sum() - log_ndtr(-apart[open_]).sum()) / len(log)

    found = minimize(loss, np.append(begin, spread), method="BFGS", options={"gtol": 1e-4})
    if not np.isfinite(found.fun):
        return None
    values: Floats = found.x
    deviation = float(np.exp(values[-1]))
    # Its standard error, from the ended calls and the size alone, as in any regression.
    free = log_size[~open_] - _means(log_size[~open_], where[~open_], count)[where[~open_]]
    error = deviation / max(float(np.sqrt((free**2).sum())), 1e-9)
    return float(values[count]), error, [float(each) for each in values[:count]], deviation


def _means(values: Floats, where: np.ndarray[tuple[int], np.dtype[np.intp]], count: int) -> Floats:
    return np.bincount(where, values, count) / np.maximum(np.bincount(where, minlength=count), 1)
