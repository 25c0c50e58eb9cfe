"""Formatting of figures with their intervals, by its public path; see `balancer_simulator.studies.wording`."""

from balancer_simulator.studies.wording import TOO_SHORT, worded, worded_difference

__all__ = ["TOO_SHORT", "worded", "worded_difference"]
