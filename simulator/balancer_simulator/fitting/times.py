"""Call times of each kind at each endpoint, shrunk towards the others if calls are few.

An endpoint, or a kind at an endpoint, with few calls is assumed to be like the others, slower or faster by a factor;
the more so the fewer calls it had. The factor is shrunk towards the others as well.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from balancer_simulator.fitting.endpoint import WorkSample
from balancer_simulator.fitting.survival import LEAST_S, quantile_means
from balancer_simulator.scenario.distributions import Floats

__all__ = ["times_of"]

_ENOUGH: Final = 50  # ended calls from which on an endpoint is not shrunk


def times_of(samples: Mapping[str, WorkSample], kinds: Sequence[int], count: int) -> dict[str, dict[int, Floats]]:
    """Return, by endpoint and index of the kind, `count` equally likely times in ascending order.

    Args:
        samples: by endpoint; one may be empty.
        kinds: indices of the kinds.
        count: number of times that represent all.

    Raises:
        ValueError: no call has ended anywhere.
    """
    if not any((~each.open).any() for each in samples.values()):
        raise ValueError("no call has ended in it, so the duration of calls is unknown")
    factors = _factors(samples)
    found: dict[str, dict[int, Floats]] = {name: {} for name in samples}
    for kind in kinds:
        shape = _shape(samples, factors, kind, count)
        for name, each in samples.items():
            mine = each.kinds == kind
            others, part = shape * factors[name], _part(each.open[mine])
            times_s = quantile_means(each.work_s[mine], each.open[mine], count) if part else others
            found[name][kind] = _between(times_s, others, part)
    return found


def _part(open_: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    """Return the share of times that an endpoint's own calls tell; the rest comes from the others."""
    return min(1.0, int((~open_).sum()) / _ENOUGH)


def _between(mine: Floats, others: Floats, part: float) -> Floats:
    """Return times between the two, quantile by quantile, by ratio. The mean is between theirs as well."""
    mixed = np.exp(part * np.log(mine) + (1 - part) * np.log(others))
    return np.asarray(mixed * (part * mine.mean() + (1 - part) * others.mean()) / mixed.mean())


def _shape(samples: Mapping[str, WorkSample], factors: Mapping[str, float], kind: int, count: int) -> Floats:
    """Return the times of a kind at an endpoint of factor 1, from all endpoints; of all kinds if it has no call."""
    for kinds in ([kind], np.unique(np.concatenate([each.kinds for each in samples.values()]))):
        mine = {name: np.isin(each.kinds, kinds) for name, each in samples.items()}
        open_ = np.concatenate([each.open[mine[name]] for name, each in samples.items()])
        if (~open_).any():
            works_s = [each.work_s[mine[name]] / factors[name] for name, each in samples.items()]
            return quantile_means(np.concatenate(works_s), open_, count)
    raise AssertionError("some call has ended")


def _factors(samples: Mapping[str, WorkSample]) -> dict[str, float]:
    """Return how many times as long the calls of each endpoint take as those of all, shrunk where calls are few."""
    logs, parts = {}, {name: _part(each.open) for name, each in samples.items()}
    for name, each in samples.items():
        if parts[name]:
            logs[name] = float(np.log(np.maximum(quantile_means(each.work_s, each.open, 100), LEAST_S)).mean())
    middle = sum(parts[name] * log for name, log in logs.items()) / sum(parts[name] for name in logs)
    return {name: float(np.exp(part * (logs.get(name, middle) - middle))) for name, part in parts.items()}
