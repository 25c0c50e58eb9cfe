"""Lease totals of a session: what its leases add up to, and the longest chain of runs among them.

Decides what a chain of runs is. Pure: a lease here knows no pool, and no file.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from balancer.judging.pending import RunStage, Span

__all__ = ["ANSWERS", "EndpointTotals", "LeaseTotals", "lease_totals_of", "longest_chain_s"]

ANSWERS = ("success", "overload")  # outcomes of a call that an endpoint answered


@dataclass(frozen=True, slots=True)
class EndpointTotals:
    """The leases of one endpoint: how many, for how long in all, and how many of them it answered."""

    leases: int = 0
    busy_s: float = 0.0
    answers: int = 0


@dataclass(frozen=True, slots=True)
class LeaseTotals:
    """What the leases of a session add up to.

    Attributes:
        endpoints: name -> its part.
        started_s, ended_s: from the first lease to the last.
        chain_s: see `longest_chain_s`.
    """

    endpoints: Mapping[str, EndpointTotals]
    started_s: float = 0.0
    ended_s: float = 0.0
    chain_s: float = 0.0

    @property
    def leases(self) -> int:
        """How many there were."""
        return sum(each.leases for each in self.endpoints.values())

    @property
    def busy_s(self) -> float:
        """How long they were in all."""
        return sum(each.busy_s for each in self.endpoints.values())

    def at(self, endpoint: str) -> EndpointTotals:
        """Return the part of one endpoint."""
        return self.endpoints.get(endpoint, EndpointTotals())


def lease_totals_of(spans: Iterable[Span]) -> LeaseTotals:
    """Return what `spans` add up to."""
    spans = list(spans)
    found: dict[str, EndpointTotals] = {}
    for span in spans:
        before = found.get(span.endpoint, EndpointTotals())
        found[span.endpoint] = EndpointTotals(
            before.leases + 1,
            before.busy_s + span.ended_s - span.started_s,
            before.answers + (span.outcome in ANSWERS),
        )
    return LeaseTotals(
        found,
        min((span.started_s for span in spans), default=0.0),
        max((span.ended_s for span in spans), default=0.0),
        longest_chain_s(spans),
    )


def longest_chain_s(spans: Iterable[Span]) -> float:
    """Return the longest time that one case needs: its stages one after the other, each as long as its slowest run."""
    runs: dict[tuple[str, int], dict[RunStage, dict[str, float]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(float))
    )
    for span in spans:
        runs[span.problem, span.case][span.stage][span.subject] += span.ended_s - span.started_s
    return max(
        (sum(max(by_subject.values()) for by_subject in stages.values()) for stages in runs.values()), default=0.0
    )
