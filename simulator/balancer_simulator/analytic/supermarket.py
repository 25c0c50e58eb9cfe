"""The supermarket model: an arrival looks at a few lines at random and joins the shortest of them.

Decides how long the lines are, and the sojourn, in the limit of infinitely many servers. A finite pool is
slower than the limit, the more so the busier it is (100 servers by 1% at a utilisation of 0.9, by 8.5% at 0.99).
It must not know strategies: `p2c` is held against it from outside.
"""

from dataclasses import dataclass

from balancer_simulator.analytic.arguments import require_positive, require_utilisation, require_whole

__all__ = ["Supermarket", "supermarket"]


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
            exponent = self.choices * exponent + 1.0  # where it reaches infinity, the share is 0
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
    """Return the sum until a term no longer changes it: at most some 60 terms, as exponents grow like d^i."""
    total, exponent, term = 0.0, 0.0, 1.0
    while total + term > total:
        total += term
        exponent = choices * (exponent + 1.0)
        term = rho**exponent  # afresh each time: a product of products would gather rounding
    return total
