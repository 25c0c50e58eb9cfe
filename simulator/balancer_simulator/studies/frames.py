"""Data frames of pandas: a study or a sweep as a table."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

from balancer.errors import BalancerError
from balancer_simulator.run.record import Record
from balancer_simulator.studies.figures import figure_of
from balancer_simulator.studies.intervals import Interval

__all__ = ["frame_by_key", "frame_of_figures", "frame_of_runs"]


def frame_of_figures(metrics: Mapping[str, Mapping[str, Interval]], too_short: Mapping[str, Iterable[str]]) -> Any:
    """Return a DataFrame with a row for each policy and figure: mean, low, high (NaN if unknown), unit, known.

    Args:
        metrics: the figures of each policy.
        too_short: the refused figures of each policy, which get no numbers.
    """
    rows = [
        (policy, name, *_numbers(interval, name in too_short[policy]), figure_of(name).unit, not interval.is_refused)
        for policy, figures in metrics.items()
        for name, interval in figures.items()
    ]
    return _pandas().DataFrame(rows, columns=["policy", "figure", "mean", "low", "high", "unit", "known"])


def frame_of_runs(records: Iterable[Record]) -> Any:
    """Return a DataFrame with a row for each run: policy, replication, and a column for each figure."""
    rows = [{"policy": r.policy, "replication": r.replication, **r.metrics} for r in records]
    return _pandas().DataFrame(rows)


def frame_by_key(frames: Mapping[Hashable, Any]) -> Any:
    """Return the frames concatenated, with their keys in the first column, `key`."""
    found = [frame.assign(key=[key] * len(frame)) for key, frame in frames.items()]
    whole = _pandas().concat(found, ignore_index=True)
    return whole[["key", *(column for column in whole.columns if column != "key")]]


def _numbers(interval: Interval, refused: bool) -> tuple[float, float, float]:
    nan = float("nan")
    return (nan, nan, nan) if refused or interval.is_refused else (interval.mean, interval.low, interval.high)


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise BalancerError("to_frame: pandas is not installed: pip install pandas") from None
    return pandas
