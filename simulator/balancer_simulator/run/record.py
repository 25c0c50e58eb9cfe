"""Record of a run: counts, histograms and figures. Requests that arrive after the warm-up count."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from balancer.core.metrics import balance_score, jain_index
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.scenario.distributions import Floats

__all__ = [
    "AffinityRecord",
    "CallSpan",
    "EndpointRecord",
    "KindRecord",
    "Record",
    "ServerRecord",
    "Timeline",
]


@dataclass(frozen=True, slots=True)
class CallSpan:
    """One call: its task and part, its endpoint, start and end in seconds, and whether it succeeded.

    `asked_s` is when its attempt asked for an endpoint: it waited from then until `started_s`. `refused`: the endpoint
    said that it was busy.
    """

    task: int
    part: str
    kind: str
    url: str
    started_s: float
    ended_s: float
    ok: bool
    asked_s: float
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """Utilisation of each endpoint over time.

    Attributes:
        edges_s: of the bins, one more than there are bins.
        utilisation: endpoints x bins, 0..1.
        urls: of the rows.
    """

    edges_s: Floats
    utilisation: Floats
    urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndpointRecord:
    """One endpoint: its spec, and its work in the time that counts.

    Attributes:
        url, capacity, weight: as when it joined.
        slots_s: its slot-seconds, see `balancer_simulator.run.measurement`.
        calls, failures: calls that began; calls that failed.
        busy_s: slot-seconds in use.
    """

    url: str
    capacity: int
    slots_s: float
    weight: float
    calls: int
    failures: int
    busy_s: float


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A server: an endpoint, or the host whose cores several endpoints share.

    A slot is in use from the lease to its end. A server is at work only while it computes. A call on the network or in
    the server's queue is not work; a call that nobody waits for any more still is.

    Attributes:
        name: URL, or host.
        lines_s: seconds of work that it could have done: its parallelism x seconds.
        worked_s: seconds of work that it did.
    """

    name: str
    lines_s: float
    worked_s: float


@dataclass(frozen=True, slots=True)
class KindRecord:
    """The requests of one kind; the attributes are those of a `Record`. `numbers` is that of all kinds."""

    name: str
    completed: int
    lost: int
    timed_out: int
    wait: CensoredHistogram
    sojourn: CensoredHistogram
    numbers: tuple[int, ...] = ()

    @property
    def metrics(self) -> dict[str, float]:
        """Every figure of the kind, by name, as in a record."""
        return _known(
            {
                **_of("wait", self.wait),
                **_of("sojourn", self.sojourn),
                "lost": _part(self.lost + self.timed_out, self.completed + self.lost + self.timed_out),
                "timed_out": _part(self.timed_out, self.completed + self.lost + self.timed_out),
            }
        )


@dataclass(frozen=True, slots=True)
class AffinityRecord:
    """What came of prompts and sessions, in the time that counts.

    Attributes:
        blocks, met, seen: of the prompts of all calls: blocks, those that were in the cache of the endpoint, and those
            that one endless cache for all endpoints would have had.
        later_turns, moved_turns: requests of a session that had an answer before, and those that another endpoint
            answered than the one before.
        sessions, broken_sessions: sessions that asked, and those that lost a request.
    """

    blocks: int
    met: int
    seen: int
    later_turns: int
    moved_turns: int
    sessions: int
    broken_sessions: int

    def metrics(self, endpoints: Sequence[EndpointRecord]) -> dict[str, float | None]:
        """Return every figure of affinity, by name."""
        busy = [e.busy_s / e.slots_s for e in endpoints if e.slots_s]
        mean = sum(busy) / len(busy) if busy else 0.0
        return {
            "cached_blocks": _part(self.met, self.blocks),
            "cached_at_best": _part(self.seen, self.blocks),
            "imbalance": max(busy) / mean if mean else None,
            "moved_turns": _part(self.moved_turns, self.later_turns),
            "broken_sessions": _part(self.broken_sessions, self.sessions),
        }


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """Record of one run.

    Attributes:
        policy: label of the strategy or baseline.
        replication: its number, from 0.
        measured_s: from the end of the warm-up to the end.
        completed, lost, timed_out: requests that succeeded, that failed at every attempt, that found no endpoint.
        unfinished: requests still under way at the end.
        halfway: requests that had arrived, and those under way, in the middle of the time that counts; none for a batch
            that was done before.
        waiting: mean number of requests that waited, for a lease or inside a server or its host, in the second half of
            the time that counts.
        wait, sojourn: seconds from the ask to the lease, for every lease; from arrival to success. Requests under way
            at the end count as longer than they have been so far.
        endpoints: in the order of the scenario.
        crews: calls of each worker, for each group that worked together; empty if requests have no workers.
        makespan_s: of a workload with an end that was reached: when the last request was over; else None.
        bound_s: of a batch: a time that no schedule can beat; else None.
        timeline: utilisation of the endpoints.
        servers: endpoints or hosts, with their work.
        kinds: the requests by kind; empty if there is only one.
        spans: the calls, if they were kept.
        under_way: number of requests under way at evenly spaced instants, if requested.
        numbers: the same at some hundred instants of the time that counts; empty for a workload with an end.
        affinity: what came of prompts and sessions; None: there are none.
    """

    policy: str
    replication: int
    measured_s: float
    completed: int
    lost: int
    timed_out: int
    unfinished: int
    halfway: tuple[int, int]
    wait: CensoredHistogram
    sojourn: CensoredHistogram
    endpoints: tuple[EndpointRecord, ...]
    crews: tuple[tuple[int, ...], ...]
    makespan_s: float | None
    bound_s: float | None
    timeline: Timeline
    servers: tuple[ServerRecord, ...] = field(default=())
    kinds: tuple[KindRecord, ...] = field(default=())
    spans: tuple[CallSpan, ...] = field(default=())
    under_way: tuple[int, ...] = field(default=())
    numbers: tuple[int, ...] = field(default=())
    waiting: float = 0.0
    affinity: AffinityRecord | None = None

    def __repr__(self) -> str:
        return (
            f"<Record of {self.policy!r}, replication {self.replication}: {self.completed} completed, "
            f"{self.lost + self.timed_out} lost, {self.unfinished} unfinished>"
        )

    @property
    def arrived(self) -> int:
        """Number of requests that arrived in the time that counts."""
        return self.completed + self.lost + self.timed_out + self.unfinished

    @property
    def metrics(self) -> dict[str, float]:
        """Every figure of the run, by name; times in seconds, parts from 0 to 1.

        A figure that does not exist in this run (a makespan, workers, a wait without leases) is left out.
        """
        ended = self.completed + self.lost + self.timed_out
        found: dict[str, float | None] = {
            "throughput_per_s": self.completed / self.measured_s,
            **_of("wait", self.wait),
            **_of("sojourn", self.sojourn),
            "utilisation": self._utilisation(),
            "servers_busy": self._servers_busy(),
            "jain_endpoints": jain_index(e.calls / e.weight for e in self.endpoints),
            "jain_workers": self._jain_of_workers(),
            "balance_score": balance_score(e.calls for e in self.endpoints),
            "calls": float(self._calls),
            "failed_calls": sum(e.failures for e in self.endpoints) / self._calls if self._calls else None,
            "lost": _part(self.lost + self.timed_out, ended),
            "timed_out": _part(self.timed_out, ended),
            "unfinished": _part(self.unfinished, self.arrived),
            "makespan_s": self.makespan_s,
            "makespan_by_bound": self._by_bound(),
            **(self.affinity.metrics(self.endpoints) if self.affinity else {}),
        }
        return _known(found)

    @property
    def shares(self) -> dict[str, float]:
        """Share of all calls at each endpoint, by URL."""
        return {e.url: e.calls / self._calls if self._calls else 0.0 for e in self.endpoints}

    @property
    def _calls(self) -> int:
        return sum(e.calls for e in self.endpoints)

    def _by_bound(self) -> float | None:
        """Return makespan / bound; None if one is missing, or if work was lost: then the bound does not hold."""
        if not self.makespan_s or not self.bound_s or self.lost or self.timed_out:
            return None
        return self.makespan_s / self.bound_s

    def _jain_of_workers(self) -> float | None:
        """Return Jain's index over workers, of their calls relative to the mean of their group."""
        means = [sum(group) / len(group) for group in self.crews]
        found = [calls / mean for group, mean in zip(self.crews, means, strict=True) if mean for calls in group]
        return jain_index(found) if found else None

    def _utilisation(self) -> float:
        slots_s = sum(e.slots_s for e in self.endpoints)
        return float(np.clip(sum(e.busy_s for e in self.endpoints) / max(slots_s, 1e-12), 0.0, 1.0))

    def _servers_busy(self) -> float | None:
        lines_s = sum(server.lines_s for server in self.servers)
        worked_s = sum(server.worked_s for server in self.servers)
        return min(1.0, worked_s / lines_s) if lines_s else None


def _known(found: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in found.items() if value is not None}


def _part(count: int, whole: int) -> float | None:
    return count / whole if whole else None


def _of(name: str, tally: CensoredHistogram) -> dict[str, float | None]:
    if not tally.count:
        return {}
    quantiles = {f"{name}_p{round(100 * q)}_s": tally.quantile(q) for q in (0.5, 0.9, 0.99)}
    return {f"{name}_mean_s": tally.mean, **quantiles, f"{name}_max_s": tally.most}
