"""Queueing theory: closed forms and exact recursions, to compare with the simulator.

Plain arithmetic on floats: no randomness, no clock, and only the standard library.

- Queues in steady state: one line, Poisson arrivals, first come first served. The mean wait of M/M/1, M/M/c and M/G/1,
  and the distribution of the wait if it is exponential. A queue is given by its utilisation `rho`, the used share of
  its servers' time, not by its arrival rate: then 1 - rho, by which every formula divides, is exact.
- A queue with impatient callers.
- Closed network: a fixed number of customers that visit a few stations for ever. Throughput, sojourn and utilisation
  when W workers, each with one request out or in thought, choose an endpoint at random every time. Service is
  exponential, one server a station, first come first served.
- Supermarket model: an arrival looks at a few lines at random and joins the shortest. The lengths of lines, and the
  sojourn, for infinitely many servers. A finite pool is slower, the more so the busier it is (100 servers by 1% at a
  utilisation of 0.9, by 8.5% at 0.99).

Each kind of range of an argument has one check for all formulas. NaN fails every check.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = [
    "ClosedNetwork",
    "Impatience",
    "MarkovQueue",
    "Queue",
    "Station",
    "Supermarket",
    "closed_network",
    "erlang_b",
    "mg1",
    "mm1",
    "mm1_deadline",
    "mmc",
    "supermarket",
]

_ROUNDING = 1e-9  # tolerance of the sum of 1: probabilities are often written with ten decimals


@dataclass(frozen=True, slots=True)
class Queue:
    """Means of a queue in steady state.

    Attributes:
        servers: number of servers of the one line.
        rho: used share of the servers' time, in [0, 1).
        service_s: mean service time in seconds.
        wait_s: mean time in seconds from arrival to the start of service, over all customers.
    """

    servers: int
    rho: float
    service_s: float
    wait_s: float

    @property
    def sojourn_s(self) -> float:
        """Mean time in seconds from arrival to departure."""
        return self.wait_s + self.service_s


@dataclass(frozen=True, slots=True)
class MarkovQueue(Queue):
    """A queue with exponential service. Its wait is 0 or, with `wait_probability`, exponential.

    Attributes:
        wait_probability: share of the customers that find every server busy, in [0, 1).
    """

    wait_probability: float

    @property
    def delay_s(self) -> float:
        """Mean wait in seconds of the customers that wait."""
        return self.service_s / (self.servers * (1.0 - self.rho))

    def wait_quantile_s(self, share: float) -> float:
        """Return the least wait in seconds that `share` of the customers do not exceed.

        It is 0 for a share of up to 1 - `wait_probability`.
        """
        excess = self.wait_probability / (1.0 - share)
        return self.delay_s * math.log(excess) if excess > 1.0 else 0.0


def mm1(rho: float, service_s: float = 1.0) -> MarkovQueue:
    """Return M/M/1: one server, exponential service.

    Args:
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0; with the default, waits are in service times.

    Source: Kleinrock, Queueing Systems I (1975), section 3.2.
    """
    return MarkovQueue(1, rho, service_s, rho * service_s / (1.0 - rho), rho)


def mmc(servers: int, rho: float, service_s: float = 1.0) -> MarkovQueue:
    """Return M/M/c: `servers` equal servers on one line, exponential service.

    No strategy can have a lower mean wait on as many equal servers without knowing the service times.

    Args:
        servers: c, >= 1.
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0.

    Takes O(servers) time. Source: Erlang (1917); Kleinrock (1975), section 3.5.
    """
    blocked = erlang_b(servers, rho * servers)
    probability = blocked / (1.0 - rho + rho * blocked)
    return MarkovQueue(servers, rho, service_s, probability * service_s / (servers * (1.0 - rho)), probability)


def erlang_b(servers: int, offered: float) -> float:
    """Return M/G/c/c: the share of arrivals lost if none can wait, by the recursion in the number of servers.

    No factorial can overflow, nothing is subtracted, and each step shrinks the relative error of the step before: 10
    000 servers cost at most some 1e-12 of accuracy. A share below 1e-308 becomes 0.

    Args:
        servers: c, >= 1.
        offered: arrivals in a mean service time, >= 0.

    Source: Erlang (1917); Kleinrock (1975), section 3.6.
    """
    blocked = 1.0
    for count in range(1, servers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked


def mg1(rho: float, service_s: float = 1.0, *, scv: float) -> Queue:
    """Return M/G/1: one server, any service times, by the Pollaczek-Khinchine formula.

    Args:
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0.
        scv: squared coefficient of variation of the service time, variance / mean^2, >= 0:
            0 if it is constant, 1 if it is exponential.

    Source: Pollaczek (1930), Khinchine (1932); Kleinrock (1975), section 5.6.
    """
    return Queue(1, rho, service_s, rho * service_s * (1.0 + scv) / (2.0 * (1.0 - rho)))


@dataclass(frozen=True, slots=True)
class Impatience:
    """A queue whose callers leave if they wait too long.

    Attributes:
        waits: share of the callers that find every server busy.
        abandons: share of the callers that leave without service.
    """

    waits: float
    abandons: float


def mm1_deadline(offered: float, patience: float) -> Impatience:
    """Return M/M/1+D: every caller leaves after the same wait.

    Args:
        offered: arrivals in a mean service time, > 0; it may be more than 1.
        patience: in mean service times, > 0.

    Source: Barrer (1957), Operations Research 5; the density of the work that an arrival finds.
    """
    drift = 1.0 - offered
    at_end = math.exp(-drift * patience)
    below = offered * (patience if abs(drift) < _ROUNDING else (1.0 - at_end) / drift)
    beyond = offered * at_end
    return Impatience((below + beyond) / (1.0 + below + beyond), beyond / (1.0 + below + beyond))


@dataclass(frozen=True, slots=True)
class Station:
    """One station of the network in steady state.

    Attributes:
        throughput: visits per second that end here.
        sojourn_s: mean time in seconds of one visit, wait and service.
        utilisation: share of the time in which the server works, in [0, 1] up to rounding.
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
        population: W, the number of customers.
        think_s: mean time in seconds between a visit and the next.
        throughput: visits per second that end, at all stations together.
        sojourn_s: mean time in seconds of one visit, over all visits.
        stations: one result for each station, in the given order.
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

    A customer that arrives at a station finds there the mean state of a network with one customer fewer. So the means
    for W follow from those for W - 1. Nothing is subtracted and nothing is normalised: no step can cancel, and no
    constant can overflow, as in Buzen's convolution.

    Args:
        population: W, >= 1.
        service_s: mean service time in seconds of each station, > 0; at least one.
        probabilities: chance of each station at every visit, >= 0, with a sum of 1; None if all are equal.
        think_s: mean time in seconds between visits, of any distribution, >= 0.

    Takes O(population x stations) time. Source: Reiser and Lavenberg (1980), JACM 27(2).
    """
    chances = _chances(service_s, probabilities)
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
    return [1.0 / len(service_s)] * len(service_s) if probabilities is None else probabilities


@dataclass(frozen=True, slots=True)
class Supermarket:
    """Infinitely many M/M/1 servers, fed by the shortest of `choices` lines.

    Attributes:
        choices: d, the lines an arrival looks at, >= 1.
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds.
        sojourn_s: mean time in seconds from arrival to departure.
    """

    choices: int
    rho: float
    service_s: float
    sojourn_s: float


def supermarket(choices: int, rho: float, service_s: float = 1.0) -> Supermarket:
    """Return the supermarket model with d = `choices`; d = 1 is M/M/1.

    The mean sojourn in service times is T_d = sum over i >= 1 of rho^((d^i - d)/(d - 1)).

    Args:
        choices: d, >= 1.
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0.

    Source: Vvedenskaya, Dobrushin and Karpelevich (1996); Mitzenmacher (2001), IEEE TPDS 12(10).
    """
    times = 1.0 / (1.0 - rho) if choices == 1 else _sojourn(choices, rho)
    return Supermarket(choices, rho, service_s, times * service_s)


def _sojourn(choices: int, rho: float) -> float:
    """Return the sum up to the first term that does not change it: at most some 60 terms, as exponents grow like
    d^i.
    """
    total, exponent, term = 0.0, 0.0, 1.0
    while total + term > total:
        total += term
        exponent = choices * (exponent + 1.0)
        term = rho**exponent  # computed anew each time: a product of products would add up rounding errors
    return total
