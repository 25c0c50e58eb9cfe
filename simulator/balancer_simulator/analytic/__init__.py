"""Queueing theory: closed forms and exact recursions that the simulator is held against.

Decides what a simulated mean, quantile or throughput ought to be where mathematics knows it. Plain
arithmetic on floats: no randomness, no clock, and nothing outside the standard library. It must not know
the simulator, the core or any strategy, or it could not be a witness against them.
"""

from balancer_simulator.analytic.network import ClosedNetwork, Station, closed_network
from balancer_simulator.analytic.queues import MarkovQueue, Queue, mg1, mm1, mmc
from balancer_simulator.analytic.supermarket import Supermarket, supermarket

__all__ = [
    "ClosedNetwork",
    "MarkovQueue",
    "Queue",
    "Station",
    "Supermarket",
    "closed_network",
    "mg1",
    "mm1",
    "mmc",
    "supermarket",
]
