"""Queueing theory: closed forms and exact recursions, to compare with the simulator.

Plain arithmetic on floats: no randomness, no clock, and only the standard library.

- Queues in steady state: one line, Poisson arrivals, first come first served. The mean wait of M/M/1, M/M/c and M/G/1,
  and the distribution of the wait if it is exponential. A queue is given by its utilisation `rho`, the used share of
  its servers' time, not by its arrival rate: then 1 - rho, by which every formula divides, is exact.
- A queue with impatient callers.
- Closed network: a fixed number of customers that visit a few stations for ever. Throughput and who is where, when W
  workers, each with one request out or in thought, choose an endpoint at random every time. Service is
  exponential, one server a station, first come first served.
- Supermarket model: an arrival looks at a few lines at random and joins the shortest. The lengths of lines, and the
  sojourn, for infinitely many servers. A finite pool is slower, the more so the busier it is (100 servers by 1% at a
  utilisation of 0.9, by 8.5% at 0.99).

Each kind of range of an argument has one check for all formulas. NaN fails every check.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


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


def mm1_deadline(offered: float, patience: float) -> float:
    """Return the share of the callers of M/M/1+D that leave without service: every one after the same wait.

    Args:
        offered: arrivals in a mean service time, > 0 and not 1; it may be more.
        patience: in mean service times, > 0.

    Source: Barrer (1957), Operations Research 5; the density of the work that an arrival finds.
    """
    at_end = math.exp((offered - 1.0) * patience)
    below, beyond = offered * (1.0 - at_end) / (1.0 - offered), offered * at_end
    return beyond / (1.0 + below + beyond)


def closed_network(
    population: int, service_s: Sequence[float], chances: Sequence[float], think_s: float
) -> tuple[float, list[float]]:
    """Return visits per second that end, and how many customers wait or are served at each station, on average.

    By exact mean value analysis: a customer that arrives at a station finds there the mean state of a network with one
    customer fewer. So the means for W follow from those for W - 1. Nothing is subtracted and nothing is normalised: no
    step can cancel, and no constant can overflow, as in Buzen's convolution.

    Args:
        population: W, >= 1.
        service_s: mean service time in seconds of each station, > 0; at least one.
        chances: of each station at every visit, >= 0, with a sum of 1.
        think_s: mean time in seconds between visits, of any distribution, >= 0.

    Source: Reiser and Lavenberg (1980), JACM 27(2).
    """
    numbers, throughput = [0.0] * len(service_s), 0.0
    for customers in range(1, population + 1):
        visits = [p * s * (1.0 + number) for p, s, number in zip(chances, service_s, numbers, strict=True)]
        throughput = customers / (think_s + math.fsum(visits))
        numbers = [throughput * visit for visit in visits]
    return throughput, numbers


def supermarket(choices: int, rho: float, service_s: float = 1.0) -> float:
    """Return the mean sojourn in seconds on infinitely many M/M/1 servers, fed by the shortest of `choices` lines.

    In service times it is T_d = sum over i >= 1 of rho^((d^i - d)/(d - 1)); summed up to the first term that does not
    change it: at most some 60 terms, as exponents grow like d^i.

    Args:
        choices: d, >= 2.
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0.

    Source: Vvedenskaya, Dobrushin and Karpelevich (1996); Mitzenmacher (2001), IEEE TPDS 12(10).
    """
    total, exponent, term = 0.0, 0.0, 1.0
    while total + term > total:
        total += term
        exponent = choices * (exponent + 1.0)
        term = rho**exponent  # computed anew each time: a product of products would add up rounding errors
    return total * service_s
