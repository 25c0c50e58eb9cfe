"""Queues in steady state: one line, Poisson arrivals, first come first served.

Decides the mean wait of M/M/1, M/M/c and M/G/1, and the whole distribution of the wait where it is
exponential. A queue is given by its utilisation `rho`, the share of its servers' time that is used, and
not by its arrival rate: 1 - rho is then exact, and it is what every formula divides by.
It must not know how an arrival chooses among several lines (see `supermarket`).
"""

import math
from dataclasses import dataclass

from balancer_simulator.analytic.arguments import (
    require_not_negative,
    require_positive,
    require_share,
    require_utilisation,
    require_whole,
)

__all__ = ["MarkovQueue", "Queue", "mg1", "mm1", "mmc"]


@dataclass(frozen=True, slots=True)
class Queue:
    """The means of a queue in steady state; counts follow from times by Little's law.

    Attributes:
        servers: how many serve the one line.
        rho: share of the servers' time that is used, in [0, 1).
        service_s: mean service time in seconds.
        wait_s: mean time in seconds from arrival to the start of service, over all customers.
    """

    servers: int
    rho: float
    service_s: float
    wait_s: float

    @property
    def arrival_rate(self) -> float:
        """Customers per second."""
        return self.rho * self.servers / self.service_s

    @property
    def sojourn_s(self) -> float:
        """Mean time in seconds from arrival to departure."""
        return self.wait_s + self.service_s

    @property
    def waiting(self) -> float:
        """Mean number of customers that wait."""
        return self.arrival_rate * self.wait_s

    @property
    def number(self) -> float:
        """Mean number of customers that wait or are served."""
        return self.waiting + self.rho * self.servers


@dataclass(frozen=True, slots=True)
class MarkovQueue(Queue):
    """A queue with exponential service, whose wait is 0 or, with `wait_probability`, exponential.

    Attributes:
        wait_probability: share of the customers that find every server busy, in [0, 1).
    """

    wait_probability: float

    @property
    def delay_s(self) -> float:
        """Mean wait in seconds of those customers that wait at all."""
        return self.service_s / (self.servers * (1.0 - self.rho))

    def wait_cdf(self, wait_s: float) -> float:
        """Return the share of customers that wait at most `wait_s` seconds, in [0, 1].

        Raises:
            ValueError: `wait_s` is negative, infinite or not a number.
        """
        require_not_negative("wait_s", wait_s)
        return 1.0 - self.wait_probability * math.exp(-wait_s / self.delay_s)

    def wait_quantile_s(self, share: float) -> float:
        """Return the least wait in seconds that `share` of the customers do not exceed.

        It is 0 for a share of up to 1 - `wait_probability`.

        Raises:
            ValueError: `share` is not in [0, 1).
        """
        require_share("share", share)
        excess = self.wait_probability / (1.0 - share)
        return self.delay_s * math.log(excess) if excess > 1.0 else 0.0


def mm1(rho: float, service_s: float = 1.0) -> MarkovQueue:
    """Return M/M/1: one server, exponential service.

    Args:
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0; by default waits come out in service times.

    Raises:
        ValueError: an argument is out of its range.

    Source: Kleinrock, Queueing Systems I (1975), section 3.2.
    """
    require_utilisation("rho", rho)
    require_positive("service_s", service_s)
    return MarkovQueue(1, rho, service_s, rho * service_s / (1.0 - rho), rho)


def mmc(servers: int, rho: float, service_s: float = 1.0) -> MarkovQueue:
    """Return M/M/c: `servers` equal servers on one line, exponential service.

    No strategy can have a lower mean wait on as many equal servers without knowing the service times.

    Args:
        servers: c, >= 1.
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0.

    Raises:
        ValueError: an argument is out of its range.

    Takes O(servers) time. Source: Erlang (1917); Kleinrock (1975), section 3.5.
    """
    require_whole("servers", servers, least=1)
    require_utilisation("rho", rho)
    require_positive("service_s", service_s)
    blocked = _erlang_b(servers, rho * servers)
    probability = blocked / (1.0 - rho + rho * blocked)
    return MarkovQueue(servers, rho, service_s, probability * service_s / (servers * (1.0 - rho)), probability)


def _erlang_b(servers: int, offered: float) -> float:
    """Return the share of arrivals lost if none could wait, by the recursion in the number of servers.

    There are no factorials to overflow, nothing is subtracted, and a step shrinks the relative error
    of the step before: 10 000 servers cost at most some 1e-12 of accuracy. A share below 1e-308 becomes 0.
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

    Raises:
        ValueError: an argument is out of its range.

    Source: Pollaczek (1930), Khinchine (1932); Kleinrock (1975), section 5.6.
    """
    require_utilisation("rho", rho)
    require_positive("service_s", service_s)
    require_not_negative("scv", scv)
    return Queue(1, rho, service_s, rho * service_s * (1.0 + scv) / (2.0 * (1.0 - rho)))
