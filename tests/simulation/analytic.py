"""Queueing theory: closed forms and exact recursions, to compare with the simulator.

Plain arithmetic on floats: no randomness, no clock, and only the standard library.

- Queues in steady state: one line, Poisson arrivals, first come first served. The mean wait of M/M/1, M/M/c and M/G/1,
  and the distribution of the wait if it is exponential. A queue is given by its utilisation `rho`, the used share of
  its servers' time, not by its arrival rate: then 1 - rho, by which every formula divides, is exact.
- Queues with something more: impatient callers, arrivals in bulk, servers that break down or take vacations, clients
  that try again, and the shortest job first.
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
from numbers import Integral

__all__ = [
    "ClosedNetwork",
    "Impatience",
    "MarkovQueue",
    "Queue",
    "Station",
    "Supermarket",
    "breakdowns",
    "closed_network",
    "erlang_a",
    "erlang_b",
    "in_bulk",
    "mg1",
    "mm1",
    "mm1_deadline",
    "mmc",
    "retrials",
    "shortest_job_first",
    "supermarket",
    "vacations",
]

_ROUNDING = 1e-9  # tolerance of the sum of 1: probabilities are often written with ten decimals


@dataclass(frozen=True, slots=True)
class Queue:
    """Means of a queue in steady state. Counts follow from times by Little's law.

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
    """A queue with exponential service. Its wait is 0 or, with `wait_probability`, exponential.

    Attributes:
        wait_probability: share of the customers that find every server busy, in [0, 1).
    """

    wait_probability: float

    @property
    def delay_s(self) -> float:
        """Mean wait in seconds of the customers that wait."""
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
        service_s: mean service time in seconds, > 0; with the default, waits are in service times.

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

    Raises:
        ValueError: an argument is out of its range.

    Source: Erlang (1917); Kleinrock (1975), section 3.6.
    """
    require_whole("servers", servers, least=1)
    require_not_negative("offered", offered)
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


def in_bulk(rho: float, service_s: float = 1.0, *, size: float, size_squared: float) -> Queue:
    """Return M^[X]/M/1: customers arrive in bulk, X at an instant.

    Args:
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0.
        size, size_squared: means of X and of X^2; for a geometric X of mean m, X^2 has the mean m (2 m - 1).

    Raises:
        ValueError: an argument is out of its range.

    Source: Gross and Harris, Fundamentals of Queueing Theory (1998), section 3.1.
    """
    require_utilisation("rho", rho)
    require_positive("service_s", service_s)
    require_positive("size", size)
    require_positive("size_squared", size_squared)
    sojourn_s = service_s * (size + size_squared) / (2.0 * size * (1.0 - rho))
    return Queue(1, rho, service_s, sojourn_s - service_s)


def vacations(rho: float, service_s: float = 1.0, *, scv: float, vacation_s: float, vacation_scv: float) -> Queue:
    """Return M/G/1 whose server is away whenever nobody is there, again and again (multiple vacations).

    Args:
        rho, service_s, scv: as for `mg1`.
        vacation_s, vacation_scv: mean in seconds, > 0, and squared coefficient of variation, >= 0, of a vacation.

    Raises:
        ValueError: an argument is out of its range.

    Source: Fuhrmann and Cooper (1985); Doshi (1986), Queueing Systems 1: the wait is that of M/G/1 and, independently,
    what is left of a vacation.
    """
    require_positive("vacation_s", vacation_s)
    require_not_negative("vacation_scv", vacation_scv)
    plain = mg1(rho, service_s, scv=scv)
    return Queue(1, rho, service_s, plain.wait_s + vacation_s * (1.0 + vacation_scv) / 2.0)


def breakdowns(
    rho: float, service_s: float = 1.0, *, mtbf_s: float, mttr_s: float, scv: float = 1.0, repeats: bool = False
) -> float:
    """Return the mean sojourn in seconds in M/G/1 whose server breaks down, busy or idle, while the work waits for it.

    Times between a repair and the next breakdown, and of repairs, are exponential.

    Args:
        rho: share of all time that the work alone takes, >= 0.
        service_s, scv: as for `mg1`, without the breakdowns.
        mtbf_s, mttr_s: mean seconds up, and of a repair, > 0.
        repeats: after a repair the work is done from its beginning (preemptive repeat); this needs constant work. Else
            it is resumed (preemptive resume).

    Raises:
        ValueError: an argument is out of its range, or the queue would grow for ever.

    Source: Avi-Itzhak and Naor (1963), Operations Research 11, model A; Gaver (1962), JRSS B 24, for the time from the
    start of a service to its end. The first of a busy period may find the server down: Welch (1964).
    """
    require_positive("service_s", service_s)
    require_not_negative("scv", scv)
    require_positive("mtbf_s", mtbf_s)
    require_positive("mttr_s", mttr_s)
    _require(not repeats or scv == 0.0, "scv", scv, "0 for work that repeats")
    fails, rate = 1.0 / mtbf_s, rho / service_s
    if repeats:
        whole = math.exp(-fails * service_s)  # chance to get through
        times, spread = (1.0 - whole) / whole, (1.0 - whole) / whole**2  # of breakdowns: mean and variance
        # Seconds of work until one: mean and variance. Of few breakdowns each is anywhere in the service.
        cut_s, cut_variance = service_s / 2.0, service_s**2 / 12.0
        if fails * service_s > 1e-4:
            cut_s = mtbf_s - service_s * whole / (1.0 - whole)
            cut_variance = mtbf_s**2 - service_s**2 * whole / (1.0 - whole) ** 2
        each_s = cut_s + mttr_s
        mean_s = service_s + times * each_s
        square = times * (cut_variance + mttr_s**2) + spread * each_s**2 + mean_s**2
    else:
        mean_s = service_s * (1.0 + fails * mttr_s)
        square = service_s**2 * (1.0 + scv) * (1.0 + fails * mttr_s) ** 2 + service_s * fails * 2.0 * mttr_s**2
    require_utilisation("rho with breakdowns", rate * mean_s)
    down = fails / (rate + fails + 1.0 / mttr_s)  # chance that the first of a busy period finds it down
    late_s, late_square = down * mttr_s, down * 2.0 * mttr_s**2
    wait_s = rate * square / (2.0 * (1.0 - rate * mean_s))
    return mean_s + wait_s + (2.0 * late_s + rate * late_square) / (2.0 * (1.0 + rate * late_s))


@dataclass(frozen=True, slots=True)
class Impatience:
    """A queue whose callers leave if they wait too long.

    Attributes:
        waits: share of the callers that find every server busy.
        abandons: share of the callers that leave without service.
    """

    waits: float
    abandons: float


def erlang_a(servers: int, offered: float, patience: float) -> Impatience:
    """Return M/M/c+M (Erlang A): exponential patience.

    Args:
        servers: c, >= 1.
        offered: arrivals in a mean service time, > 0; it may be more than there are servers.
        patience: mean patience in mean service times, > 0.

    Raises:
        ValueError: an argument is out of its range.

    Source: Palm (1957); Garnett, Mandelbaum and Reiman (2002), M&SOM 4. The birth-death process, summed until a term
    does not count.
    """
    require_whole("servers", servers, least=1)
    require_positive("offered", offered)
    require_positive("patience", patience)
    blocked = erlang_b(servers, offered)
    if not blocked:
        return Impatience(0.0, 0.0)
    # With the chance of c callers as the unit: those of fewer, then of more, of whom n - c are impatient.
    total, leaving, term, count = 1.0 / blocked, 0.0, 1.0, 0
    busy = 1.0
    while term > 1e-17 * busy or offered > servers + count / patience:
        count += 1
        term *= offered / (servers + count / patience)
        busy += term
        leaving += term * count / patience
    total += busy - 1.0
    return Impatience(busy / total, leaving / total / offered)


def mm1_deadline(offered: float, patience: float) -> Impatience:
    """Return M/M/1+D: every caller leaves after the same wait.

    Args:
        offered: arrivals in a mean service time, > 0; it may be more than 1.
        patience: in mean service times, > 0.

    Raises:
        ValueError: an argument is out of its range.

    Source: Barrer (1957), Operations Research 5; the density of the work that an arrival finds.
    """
    require_positive("offered", offered)
    require_positive("patience", patience)
    drift = 1.0 - offered
    at_end = math.exp(-drift * patience)
    below = offered * (patience if abs(drift) < _ROUNDING else (1.0 - at_end) / drift)
    beyond = offered * at_end
    return Impatience((below + beyond) / (1.0 + below + beyond), beyond / (1.0 + below + beyond))


def retrials(rho: float, service_s: float = 1.0, *, pause_s: float) -> float:
    """Return the mean sojourn in seconds in M/M/1/1 whose callers come back, if it is busy, after exponential pauses.

    Args:
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0.
        pause_s: mean pause in seconds, > 0.

    Raises:
        ValueError: an argument is out of its range.

    Source: Falin and Templeton, Retrial Queues (1997), section 1.2.
    """
    require_utilisation("rho", rho)
    require_positive("service_s", service_s)
    require_positive("pause_s", pause_s)
    return service_s + rho * (service_s + pause_s) / (1.0 - rho)


def shortest_job_first(rho: float, work_s: Sequence[float]) -> Queue:
    """Return M/G/1 in which the shortest waiting job is next; the job in service is not interrupted.

    Args:
        rho: utilisation, in [0, 1).
        work_s: seconds of service, > 0, each equally likely; of jobs that are equal the first one is next.

    Raises:
        ValueError: an argument is out of its range.

    Source: Cobham (1954), Phipps (1956), Operations Research 2 and 4.
    """
    require_utilisation("rho", rho)
    _require(len(work_s) > 0, "the number of work_s", len(work_s), ">= 1")
    for index, seconds in enumerate(work_s):
        require_positive(f"work_s[{index}]", seconds)
    count, service_s = len(work_s), math.fsum(work_s) / len(work_s)
    rate = rho / service_s
    in_service_s = rate * math.fsum(seconds**2 for seconds in work_s) / count / 2.0
    wait_s = below = 0.0
    for seconds in sorted(set(work_s)):
        times = work_s.count(seconds)
        upto = below + rate * times * seconds / count
        wait_s += times / count * in_service_s / ((1.0 - below) * (1.0 - upto))
        below = upto
    return Queue(1, rho, service_s, wait_s)


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

    @property
    def wait_s(self) -> float:
        """Mean time in seconds from arrival to the start of service."""
        return self.sojourn_s - self.service_s

    @property
    def number(self) -> float:
        """Mean number of customers at a server, by Little's law."""
        return self.rho * self.sojourn_s / self.service_s

    def tail(self, number: int) -> float:
        """Return s_i = rho^((d^i - 1)/(d - 1)), the share of servers with at least i = `number` customers.

        Raises:
            ValueError: `number` is not a whole number >= 0.

        Takes O(number) time.
        """
        require_whole("number", number, least=0)
        exponent = 0.0
        for _ in range(number):
            exponent = self.choices * exponent + 1.0  # when it reaches infinity, the share is 0
        return float(self.rho**exponent)


def supermarket(choices: int, rho: float, service_s: float = 1.0) -> Supermarket:
    """Return the supermarket model with d = `choices`; d = 1 is M/M/1.

    The mean sojourn in service times is T_d = sum over i >= 1 of rho^((d^i - d)/(d - 1)).

    Args:
        choices: d, >= 1.
        rho: utilisation, in [0, 1).
        service_s: mean service time in seconds, > 0.

    Raises:
        ValueError: an argument is out of its range.

    Source: Vvedenskaya, Dobrushin and Karpelevich (1996); Mitzenmacher (2001), IEEE TPDS 12(10).
    """
    require_whole("choices", choices, least=1)
    require_utilisation("rho", rho)
    require_positive("service_s", service_s)
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


def require_utilisation(name: str, value: float) -> None:
    """Raise ValueError unless `value` is a utilisation below saturation: 0 <= value < 1."""
    _require(0.0 <= value < 1.0, name, value, ">= 0 and < 1; from 1 on the queue grows for ever")


def require_share(name: str, value: float) -> None:
    """Raise ValueError unless 0 <= value < 1."""
    _require(0.0 <= value < 1.0, name, value, ">= 0 and < 1")


def require_positive(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and > 0."""
    _require(0.0 < value < math.inf, name, value, "a finite number > 0")


def require_not_negative(name: str, value: float) -> None:
    """Raise ValueError unless `value` is finite and >= 0."""
    _require(0.0 <= value < math.inf, name, value, "a finite number >= 0")


def require_whole(name: str, value: int, *, least: int) -> None:
    """Raise ValueError unless `value` is a whole number >= `least`."""
    _require(isinstance(value, Integral) and value >= least, name, value, f"a whole number >= {least}")


def _require(holds: bool, name: str, value: float, allowed: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value}; it must be {allowed}")
