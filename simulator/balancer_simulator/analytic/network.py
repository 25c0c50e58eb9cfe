"""A closed network: a fixed number of customers that go round a few stations for ever.

Decides throughput, sojourn and utilisation when W workers, each with one request out or in thought, choose
an endpoint at random every time. Service is exponential, one server a station, first come first served.
It must not know why a station is chosen: with any rule that looks at the lines the product form is gone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from balancer_simulator.analytic.arguments import require_not_negative, require_positive, require_whole

__all__ = ["ClosedNetwork", "Station", "closed_network"]

_ROUNDING = 1e-9  # what the sum may miss 1 by: probabilities are often written to ten decimals


@dataclass(frozen=True, slots=True)
class Station:
    """One station of the network in steady state.

    Attributes:
        throughput: visits per second that end here.
        sojourn_s: mean time in seconds of one visit, wait and service.
        utilisation: share of the time that the server works, in [0, 1] up to rounding.
        number: mean number of customers that wait or are served here.
    """

    throughput: float
    sojourn_s: float
    utilisation: float
    number: float


@dataclass(frozen=True, slots=True)
class ClosedNetwork:
    """The network in steady state.

    Attributes:
        population: W, how many customers go round.
        think_s: mean time in seconds between a visit and the next.
        throughput: visits per second that end, at all stations together.
        sojourn_s: mean time in seconds of one visit, over all visits.
        stations: one result for each station, in the order they were given.
    """

    population: int
    think_s: float
    throughput: float
    sojourn_s: float
    stations: tuple[Station, ...]


def closed_network(
    population: int,
    service_s: Sequence[float],
    *,
    probabilities: Sequence[float] | None = None,
    think_s: float = 0.0,
) -> ClosedNetwork:
    """Return the closed network by exact mean value analysis.

    A customer that comes to a station finds there what a network with one customer fewer has on average, so
    the means for W follow from those for W - 1. Nothing is subtracted and nothing is normalised: no step
    can cancel, and there is no constant to overflow, as there is in Buzen's convolution.

    Args:
        population: W, >= 1.
        service_s: mean service time in seconds of each station, > 0; at least one.
        probabilities: chance of each station at every visit, >= 0, with a sum of 1; None if all are equal.
        think_s: mean time in seconds between visits, of any distribution, >= 0.

    Raises:
        ValueError: an argument is out of its range, or the two sequences differ in length.

    Takes O(population x stations) time. Source: Reiser and Lavenberg (1980), JACM 27(2).
    """
    chances = _chances(service_s, probabilities)
    require_whole("population", population, least=1)
    require_not_negative("think_s", think_s)
    numbers = [0.0] * len(service_s)
    sojourns, throughput = list(service_s), 0.0
    for customers in range(1, population + 1):
        sojourns = [s * (1.0 + number) for s, number in zip(service_s, numbers, strict=True)]
        throughput = customers / (think_s + _mean(chances, sojourns))
        numbers = [throughput * p * r for p, r in zip(chances, sojourns, strict=True)]
    stations = tuple(
        Station(throughput * p, r, throughput * p * s, number)
        for p, r, s, number in zip(chances, sojourns, service_s, numbers, strict=True)
    )
    return ClosedNetwork(population, think_s, throughput, _mean(chances, sojourns), stations)


def _mean(chances: Sequence[float], values: Sequence[float]) -> float:
    return math.fsum(p * value for p, value in zip(chances, values, strict=True))


def _chances(service_s: Sequence[float], probabilities: Sequence[float] | None) -> Sequence[float]:
    if len(service_s) == 0:
        raise ValueError("service_s is empty; it must have a mean service time for each station")
    for index, seconds in enumerate(service_s):
        require_positive(f"service_s[{index}]", seconds)
    if probabilities is None:
        return [1.0 / len(service_s)] * len(service_s)
    if len(probabilities) != len(service_s):
        raise ValueError(f"there are {len(probabilities)} probabilities for {len(service_s)} stations; give one each")
    for index, chance in enumerate(probabilities):
        require_not_negative(f"probabilities[{index}]", chance)
    total = math.fsum(probabilities)
    if abs(total - 1.0) > _ROUNDING:
        raise ValueError(f"the probabilities have the sum {total}; it must be 1")
    return probabilities
