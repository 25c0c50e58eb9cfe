"""Endpoint lines of the report: what each was asked to do and what it did.

The leases of a run are matched with the pool's counters, also for endpoints that have left the pool since. Pure; the
table and the page show these lines, each in its own way.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from balancer.pipeline.results.run_result import RunResult, Span
from balancer.reporting.words import shorten, visible

__all__ = ["EndpointLine", "endpoint_lines", "gone_endpoints"]


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """One endpoint in a report.

    Attributes:
        number: from 1, in the order they were added: tells two apart whose short names are the same.
        name, state, capacity, leases, failures, overloads, health, ejections: as in `EndpointStats`.
        share: its part of all leases, 0..1.
        due: its part of all weights, 0..1.
        utilisation: part of its slot-seconds of the makespan that were leased; 0 if there was no time.
        answered: whether a call of it succeeded or found it busy; else nothing good is known of it.
        spans: its leases, or some of them.
    """

    number: int
    name: str
    state: str
    capacity: int
    leases: int
    failures: int
    overloads: int
    health: str
    ejections: int
    share: float
    due: float
    utilisation: float
    answered: bool
    spans: tuple[Span, ...]

    @property
    def standing(self) -> str:
        """How it stood at the end; "not known" of one that passes for healthy because nothing was heard from it."""
        return "not known" if self.health == "healthy" and not self.answered else self.health.replace("_", " ")

    def label(self, most: int) -> str:
        """Return a name of at most `most` characters; the scheme, which all have, is left out."""
        name = visible(self.name).removeprefix("http://").removeprefix("https://").rstrip("/")
        return shorten(f"{self.number}  {name}", most)


def endpoint_lines(result: RunResult) -> tuple[EndpointLine, ...]:
    """Return a line for each endpoint of the pool, in the pool's order."""
    spans, work = _by_endpoint(result), result.work
    weights = sum(stats.weight for stats in result.pool.endpoints)
    return tuple(
        EndpointLine(
            number=number,
            name=stats.name,
            state=stats.state,
            capacity=stats.capacity,
            leases=stats.leases,
            failures=stats.failures,
            overloads=stats.overloads,
            health=stats.health,
            ejections=stats.ejections,
            share=stats.share,
            due=stats.weight / weights if weights else 0.0,
            utilisation=_utilisation(work.at(stats.name).busy_s, stats.capacity * result.makespan_s),
            answered=work.at(stats.name).answers > 0,
            spans=tuple(spans[stats.name]),
        )
        for number, stats in enumerate(result.pool.endpoints, start=1)
    )


def gone_endpoints(result: RunResult) -> Mapping[str, int]:
    """Return the endpoints that ran something and are not in the pool any more, and how many leases they had."""
    known = {stats.name for stats in result.pool.endpoints}
    return {name: work.leases for name, work in result.work.endpoints.items() if name not in known}


def _by_endpoint(result: RunResult) -> Mapping[str, list[Span]]:
    spans: defaultdict[str, list[Span]] = defaultdict(list)
    for span in result.spans:
        spans[span.endpoint].append(span)
    return spans


def _utilisation(busy_s: float, offered_s: float) -> float:
    return busy_s / offered_s if offered_s > 0 else 0.0
