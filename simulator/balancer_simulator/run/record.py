"""Record of a run: counts, histograms and figures.

Requests that arrive after the warm-up count. A record says what happened, not why.
"""

from dataclasses import dataclass, field

import numpy as np

from balancer.core.metrics import balance_score, jain_index
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.scenario.distributions import Floats

__all__ = ["CallSpan", "ClusterRecord", "EndpointRecord", "KindRecord", "Record", "ServerRecord", "Timeline"]


@dataclass(frozen=True, slots=True)
class CallSpan:
    """One call: which task of which part, where, from when to when (seconds), and whether it succeeded.

    `asked_s` is when its attempt asked for an endpoint: it waited from then until `started_s`.
    """

    task: int
    part: str
    kind: str
    url: str
    started_s: float
    ended_s: float
    ok: bool
    asked_s: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """How busy each endpoint was over time.

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
    """One endpoint: its spec, and what it did in the time that counts.

    Attributes:
        url, capacity, weight: as it was when it came.
        slots_s: slot-seconds that it had, see `balancer_simulator.run.measurement`.
        calls, failures: begun; ended in failure.
        busy_s: slot-seconds that were in use.
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
    """What does the work: an endpoint, or the host whose cores several endpoints share.

    A slot is in use from the lease to its end; a server is at work only while it computes: not while a call is on its
    way or stands in a line inside it, and still while it does what nobody waits for any more.

    Attributes:
        name: URL, or host.
        lines_s: seconds of work that it could have done: what it can do at once x seconds.
        worked_s: seconds of work that it did.
    """

    name: str
    lines_s: float
    worked_s: float


@dataclass(frozen=True, slots=True)
class KindRecord:
    """The requests of one kind; the attributes are those of a `Record`."""

    name: str
    completed: int
    lost: int
    timed_out: int
    wait: CensoredHistogram
    sojourn: CensoredHistogram

    @property
    def metrics(self) -> dict[str, float]:
        """Every figure of the kind, by name, as those of a record."""
        return _known(
            {
                **_of("wait", self.wait),
                **_of("sojourn", self.sojourn),
                "lost": _part(self.lost + self.timed_out, self.completed + self.lost + self.timed_out),
                "timed_out": _part(self.timed_out, self.completed + self.lost + self.timed_out),
            }
        )


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """What it cost that callers and slots are not in one process.

    Attributes:
        network_wait, owner_wait, slot_wait: seconds of each lease's wait that it was on the way, with what was lost and
            said again; that the coordinator had it; and the rest, that there was no slot for it.
        leases: how many were granted; those that were in stock, too.
        from_stock: leases that were in the process already, of a block.
        lost_leases: whose process was out of touch for too long: a call went on, and its slot went to others.
        messages: that the coordinator heard.
        busy_s: seconds that it took for them.
    """

    network_wait: CensoredHistogram
    owner_wait: CensoredHistogram
    slot_wait: CensoredHistogram
    leases: int
    from_stock: int
    lost_leases: int
    messages: int
    busy_s: float

    def metrics(self, measured_s: float) -> dict[str, float | None]:
        """Return every figure of the cluster, by name."""
        found: dict[str, float | None] = {}
        for name in ("network_wait", "owner_wait", "slot_wait"):
            figures = _of(name, getattr(self, name))
            found.update({key: figures[key] for key in (f"{name}_mean_s", f"{name}_p99_s") if key in figures})
        return {
            **found,
            "owner_busy": min(1.0, self.busy_s / measured_s),
            "owner_messages_per_s": self.messages / measured_s,
            "from_blocks": _part(self.from_stock, self.leases),
            "lost_leases": float(self.lost_leases),
        }


@dataclass(frozen=True, slots=True, repr=False)
class Record:
    """One run.

    Attributes:
        policy: label of the strategy or baseline.
        replication: its number, from 0.
        measured_s: from the end of the warm-up to the end.
        completed, lost, timed_out: requests that succeeded, that failed at every attempt, that found no endpoint.
        unfinished: requests still under way at the end.
        halfway: requests that had come, and those under way, in the middle of the time that counts; of a batch that
            was done before: none.
        waiting: how many requests waited, for a lease or inside a server or its host, in the second half of the time
            that counts, on average.
        wait, sojourn: seconds from asking to a lease, for every lease; from arrival to success. What is under way at
            the end counts as longer than it has been so far.
        endpoints: in the order of the scenario.
        crews: calls of each worker, for each group that worked together; empty where requests come from nobody.
        makespan_s: of a workload that has an end, which was reached: when the last request was over; else None.
        bound_s: of a batch: what no schedule can beat; else None.
        timeline: how busy the endpoints were.
        servers: what did the work.
        kinds: the requests by kind; empty if there is only one.
        spans: the calls, if they were kept.
        under_way: how many requests were under way at instants evenly spaced, if that was asked for.
        cluster: what it cost that callers are in several processes; None: they are in one.
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
    waiting: float = 0.0
    cluster: ClusterRecord | None = None

    def __repr__(self) -> str:
        return (
            f"<Record of {self.policy!r}, replication {self.replication}: {self.completed} completed, "
            f"{self.lost + self.timed_out} lost, {self.unfinished} unfinished>"
        )

    @property
    def house(self) -> ClusterRecord | None:
        """The old name of `cluster`."""
        return self.cluster

    @property
    def arrived(self) -> int:
        """Requests that came in the time that counts."""
        return self.completed + self.lost + self.timed_out + self.unfinished

    @property
    def metrics(self) -> dict[str, float]:
        """Every figure of the run, by name; times in seconds, parts from 0 to 1.

        What does not exist in this run (a makespan, workers, a wait of nobody) is left out.
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
            **(self.cluster.metrics(self.measured_s) if self.cluster else {}),
        }
        return _known(found)

    @property
    def shares(self) -> dict[str, float]:
        """The part of all calls that each endpoint had, by URL."""
        return {e.url: e.calls / self._calls if self._calls else 0.0 for e in self.endpoints}

    @property
    def _calls(self) -> int:
        return sum(e.calls for e in self.endpoints)

    def _by_bound(self) -> float | None:
        """Return makespan / bound; None if there is neither, or if work was lost: then the bound is no bound."""
        if not self.makespan_s or not self.bound_s or self.lost or self.timed_out:
            return None
        return self.makespan_s / self.bound_s

    def _jain_of_workers(self) -> float | None:
        """Return Jain's index over workers, of their calls by what their group had on average."""
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
