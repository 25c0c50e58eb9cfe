"""Formatting of figures with their intervals: the public path of `balancer_simulator.studies.figures`."""

from balancer_simulator.studies.figures import TOO_SHORT, worded, worded_difference

__all__ = ["TOO_SHORT", "worded", "worded_difference"]
