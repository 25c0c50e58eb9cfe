"""Figures of a run: key, heading, unit, which end is better, meaning.

A study ranks by them and a report shows them; how a number is written is no business of this file.
"""

from dataclasses import dataclass
from typing import Final, Literal

from balancer.errors import ConfigError
from balancer.values.wording import did_you_mean

__all__ = ["FIGURES", "Figure", "Unit", "checked_figure", "figure_of", "ranking_figure"]

Better = Literal["less", "more", "none"]
Unit = Literal["s", "part", "number", "count"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its key in `Record.metrics`, a short heading, its unit, which end is better, and what it means."""

    key: str
    heading: str
    unit: Unit
    better: Better
    meaning: str


FIGURES: Final = (
    Figure("throughput_per_s", "requests/s", "number", "more", "requests that succeeded, per second"),
    Figure("makespan_s", "makespan", "s", "less", "when the last request of a workload that has an end was over"),
    Figure("makespan_by_bound", "makespan / bound", "number", "less", "makespan / what no schedule can beat"),
    Figure("wait_mean_s", "wait, mean", "s", "less", "from asking for an endpoint to the lease, over all leases"),
    Figure("wait_p50_s", "wait, p50", "s", "less", "half of the leases waited no longer"),
    Figure("wait_p90_s", "wait, p90", "s", "less", "nine in ten waited no longer"),
    Figure("wait_p99_s", "wait, p99", "s", "less", "99 in 100 waited no longer"),
    Figure("wait_max_s", "wait, max", "s", "less", "the longest wait"),
    Figure("sojourn_mean_s", "sojourn, mean", "s", "less", "from arrival to success"),
    Figure("sojourn_p50_s", "sojourn, p50", "s", "less", "half of them took no longer"),
    Figure("sojourn_p90_s", "sojourn, p90", "s", "less", "nine in ten took no longer"),
    Figure("sojourn_p99_s", "sojourn, p99", "s", "less", "99 in 100 took no longer"),
    Figure("sojourn_max_s", "sojourn, max", "s", "less", "the longest"),
    Figure("network_wait_mean_s", "network, mean", "s", "less", "of a lease's wait: to the coordinator and back"),
    Figure("network_wait_p99_s", "network, p99", "s", "less", "99 in 100 were on the way no longer"),
    Figure("owner_wait_mean_s", "coordinator, mean", "s", "less", "of a lease's wait: queued or handled there"),
    Figure("owner_wait_p99_s", "coordinator, p99", "s", "less", "99 in 100 were there no longer"),
    Figure("slot_wait_mean_s", "slot, mean", "s", "less", "of a lease's wait: there was no slot for it"),
    Figure("slot_wait_p99_s", "slot, p99", "s", "less", "99 in 100 waited for a slot no longer"),
    Figure("owner_busy", "coordinator at work", "part", "less", "seconds that it took for messages, of all seconds"),
    Figure("owner_messages_per_s", "messages/s", "number", "less", "messages that the coordinator heard, per second"),
    Figure("from_blocks", "from blocks", "part", "more", "leases that were in the process already, of all leases"),
    Figure("lost_leases", "lost leases", "count", "less", "leases whose process was out of touch for too long"),
    Figure("utilisation", "utilisation", "part", "more", "slots in use, of all slots"),
    Figure("servers_busy", "servers at work", "part", "more", "work that servers did, of what they could have done"),
    Figure("jain_endpoints", "Jain, endpoints", "number", "more", "Jain's index of calls by weight: 1 is even"),
    Figure(
        "jain_workers",
        "Jain, workers",
        "number",
        "more",
        "Jain's index of calls over workers that work together: 1 is even",
    ),
    Figure("balance_score", "balance score", "number", "more", "1 / (1 + variance of calls per endpoint)"),
    Figure("calls", "calls", "count", "none", "calls to endpoints"),
    Figure("failed_calls", "failed calls", "part", "less", "calls that failed, of all calls"),
    Figure("lost", "lost", "part", "less", "requests that failed at every attempt or found no endpoint in time"),
    Figure("timed_out", "timed out", "part", "less", "requests that found no endpoint in time"),
    Figure("unfinished", "unfinished", "part", "less", "requests still under way at the end, of all that came"),
)
_BY_KEY: Final = {figure.key: figure for figure in FIGURES}


def figure_of(key: str) -> Figure:
    """Return the figure with this key. Raises KeyError."""
    return _BY_KEY[key]


def checked_figure(key: str) -> str:
    """Return `key` if there is such a figure. Raises ConfigError with the nearest that there is."""
    if key not in _BY_KEY:
        raise ConfigError(f"unknown figure {key!r}{did_you_mean(key, _BY_KEY)} (there are: {', '.join(_BY_KEY)})")
    return key


def ranking_figure(key: str) -> Figure:
    """Return the figure with this key, if one of its ends is better. Raises ConfigError with those that are."""
    figure = figure_of(checked_figure(key))
    if figure.better == "none":
        able = ", ".join(other.key for other in FIGURES if other.better != "none")
        raise ConfigError(f"{key!r} is neither better nor worse for being more, so nothing ranks by it; rank by {able}")
    return figure
