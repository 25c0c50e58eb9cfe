"""Arrival processes of open workloads: Poisson, bursts, recorded and resampled arrivals."""

import math
from bisect import bisect_left
from collections.abc import Iterator

from balancer_simulator.scenario.workload import Arrivals, OnOff, Open, Poisson
from balancer_simulator.world.streams import Purpose, Streams, endless

__all__ = ["gaps_of", "resampled"]


def gaps_of(workload: Open, streams: Streams) -> Iterator[float]:
    """Yield the seconds from one arrival to the next, the first counted from 0; ends where the workload does."""
    match workload:
        case Poisson(rate_per_s=rate):
            rng = streams.numbers(Purpose.ARRIVALS)
            return endless(lambda count: rng.exponential(1 / rate, count))
        case OnOff():
            return _bursts(workload, streams)
        case Arrivals(at_s=at_s):
            return (later - earlier for earlier, later in zip([0.0, *at_s], at_s, strict=False))


def resampled(workload: Arrivals, streams: Streams) -> Arrivals:
    """Return what a replication has of a record: blocks of it, one after another, until it is as long.

    A block begins anywhere, and what lies beyond the end of the record is its beginning (the circular block bootstrap
    of Politis and Romano, 1992): so every request is in as many blocks as any other.
    """
    if workload.resample_s is None:
        return workload
    at_s, length_s = workload.at_s, workload.resample_s
    whole_s = at_s[-1] * (1 + 1 / len(at_s))  # there is a gap after the last one as well
    starts = streams.numbers(Purpose.BLOCKS).random(math.ceil(whole_s / length_s)) * whole_s
    instants: list[float] = []
    places: list[int] = []
    for number, start_s in enumerate(starts.tolist()):
        base_s = number * length_s - start_s
        for first_s, last_s, wrapped_s in (
            (start_s, min(start_s + length_s, whole_s), base_s),
            (0.0, start_s + length_s - whole_s, base_s + whole_s),
        ):
            inside = range(bisect_left(at_s, first_s), bisect_left(at_s, last_s))
            places.extend(inside)
            instants.extend(max(0.0, at_s[place] + wrapped_s) for place in inside)
    instants.sort()  # they are in order but for rounding
    works, kinds = workload.work_s, workload.kinds
    return workload.model_copy(
        update={
            "at_s": instants,
            "work_s": [works[place] for place in places] if works else [],
            "kinds": [kinds[place] for place in places] if kinds else [],
        }
    )


def _bursts(workload: OnOff, streams: Streams) -> Iterator[float]:
    """Poisson in each state; where a state ends before the next arrival, the rest begins anew (it is memoryless)."""
    lengths, arrivals = (streams.numbers(Purpose.ARRIVALS, which) for which in (0, 1))
    units = endless(lambda count: arrivals.exponential(1.0, count))
    gap_s = 0.0
    while True:
        for rate, mean_s in ((workload.on_rate_per_s, workload.on_s), (workload.off_rate_per_s, workload.off_s)):
            left_s = float(lengths.exponential(mean_s))
            while (step_s := next(units) / rate if rate else math.inf) < left_s:
                yield gap_s + step_s
                left_s -= step_s
                gap_s = 0.0
            gap_s += left_s
