"""When the requests of an open workload come. It must not know what becomes of them."""

import math
from collections.abc import Iterator

from balancer_simulator.scenario.workload import Arrivals, OnOff, Open, Poisson
from balancer_simulator.world.streams import Purpose, Streams, endless

__all__ = ["gaps_of"]


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
