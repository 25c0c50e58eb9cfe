"""Record of a run: counts, histograms and figures. Requests that arrive after the warm-up count."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from balancer.core.metrics import balance_score, jain_index
from balancer.errors import BalancerError
from balancer_simulator.run.histogram import CensoredHistogram
from balancer_simulator.scenario.distributions import Floats

__all__ = [
    "ANSWERED",
    "LOST",
    "REQUEST_ROW",
    "TIMED_OUT",
    "UNFINISHED",
    "AffinityRecord",
    "CallSpan",
    "EndpointRecord",
    "KeptRequests",
    "KindRecord",
    "Record",
    "Timeline",
]

_OUTCOMES: Final = ("answered", "lost", "timed out", "unfinished")
ANSWERED, LOST, TIMED_OUT, UNFINISHED = range(len(_OUTCOMES))
_FIELDS: Final = (
    ("arrived_s", "<f8"), ("started_s", "<f8"), ("ended_s", "<f8"), ("wait_s", "<f8"), ("endpoint", "<i4"),
    ("kind", "<u2"), ("attempts", "<u4"), ("outcome", "u1"),
)  # fmt: skip
REQUEST_ROW: Final = np.dtype(list(_FIELDS))


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
    """What was seen at some instants, the warm-up included.

    Attributes:
        at_s: the instants; the first is 0.
        waiting: number of requests that waited then, for a lease or inside a server or its host.
        in_flight, slots: endpoints x times between two instants: slots in use and slots there, the mean.
        urls: of the rows.
        from_s: instant from which requests count.
    """

    at_s: Floats
    waiting: Floats
    in_flight: NDArray[np.float32]
    slots: NDArray[np.float32]
    urls: tuple[str, ...]
    from_s: float

    @property
    def utilisation(self) -> NDArray[np.float32]:
        """Share of the slots in use, 0..1, endpoints x times between two instants."""
        return np.clip(self.in_flight / np.maximum(self.slots, 1e-9), 0.0, 1.0)


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


class KeptRequests:
    """The rows of a run, with the names that they refer to by number.

    Args:
        rows: of `REQUEST_ROW`.
        kinds, urls: in the order of the scenario.
        from_s: instant from which requests count.
    """

    def __init__(self, rows: bytearray, kinds: Iterable[str], urls: Iterable[str], from_s: float) -> None:
        self._rows = rows
        self._kinds, self._urls = tuple(kinds), tuple(urls)
        self._from_s = from_s

    def frame(self) -> Any:
        """Return a DataFrame of pandas, a row for each request, see `Record.requests`."""
        from pandas import Categorical, DataFrame

        rows = np.frombuffer(self._rows, REQUEST_ROW)
        names = {"kind": self._kinds, "endpoint": self._urls, "outcome": _OUTCOMES}
        order = ("kind", "endpoint", "arrived_s", "started_s", "ended_s", "wait_s", "attempts", "outcome")
        found = {
            name: Categorical.from_codes(rows[name], names[name]) if name in names else rows[name] for name in order
        }
        return DataFrame({**found, "counts": rows["arrived_s"] >= self._from_s})


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
        waiting: mean number of requests that waited, see `Timeline`, in the second half of the time that counts.
        wait, sojourn: seconds from the ask to the lease, for every lease; from arrival to success. Requests under way
            at the end count as longer than they have been so far.
        by_endpoint: in the order of the scenario.
        crews: calls of each worker, for each group that worked together; empty if requests have no workers.
        makespan_s: of a workload with an end that was reached: when the last request was over; else None.
        bound_s: of a batch: a time that no schedule can beat; else None.
        timeline: what was seen at some instants.
        kinds: the requests by kind; empty if there is only one.
        spans: the calls, if they were kept.
        numbers: number of requests under way at evenly spaced instants of the time that counts; empty for a batch.
        kept: the requests, if they were kept.
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
    by_endpoint: tuple[EndpointRecord, ...]
    crews: tuple[tuple[int, ...], ...]
    makespan_s: float | None
    bound_s: float | None
    timeline: Timeline
    kinds: tuple[KindRecord, ...] = field(default=())
    spans: tuple[CallSpan, ...] = field(default=())
    numbers: tuple[int, ...] = field(default=())
    waiting: float = 0.0
    kept: KeptRequests | None = None
    affinity: AffinityRecord | None = None

    def __repr__(self) -> str:
        return (
            f"<Record of {self.policy!r}, replication {self.replication}: {self.completed} completed, "
            f"{self.lost + self.timed_out} lost, {self.unfinished} unfinished>"
        )

    @property
    def requests(self) -> Any:
        """A row for each request: kind, endpoint, arrived_s, started_s, ended_s, wait_s, attempts, outcome, counts.

        A DataFrame of pandas. `started_s` is that of the last call; `wait_s` is of all attempts together; `counts` is
        false in the warm-up.

        Raises:
            BalancerError: the run kept none.
        """
        if self.kept is None:
            raise BalancerError("requests: this run kept none of its requests; run it with requests=True")
        return self.kept.frame()

    @property
    def samples(self) -> Any:
        """A row for each of some instants: at_s, counts, waiting, and by URL the mean slots in use since the last one.

        A DataFrame of pandas. `counts` is false in the warm-up.
        """
        from pandas import DataFrame

        seen = self.timeline
        by_url = dict(zip(seen.urls, seen.in_flight, strict=True))
        first = {"at_s": seen.at_s[1:], "counts": seen.at_s[:-1] >= seen.from_s, "waiting": seen.waiting[1:]}
        return DataFrame({**first, **by_url})

    @property
    def endpoints(self) -> Any:
        """A row for each endpoint: url, capacity, slots_s, weight, calls, failures, busy_s, share. A DataFrame."""
        from pandas import DataFrame

        return DataFrame(map(asdict, self.by_endpoint)).assign(share=list(self.shares.values()))

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
            "jain_endpoints": jain_index(e.calls / e.weight for e in self.by_endpoint),
            "jain_workers": self._jain_of_workers(),
            "balance_score": balance_score(e.calls for e in self.by_endpoint),
            "calls": float(self._calls),
            "failed_calls": sum(e.failures for e in self.by_endpoint) / self._calls if self._calls else None,
            "lost": _part(self.lost + self.timed_out, ended),
            "timed_out": _part(self.timed_out, ended),
            "unfinished": _part(self.unfinished, self.arrived),
            "makespan_s": self.makespan_s,
            "makespan_by_bound": self._by_bound(),
            **(self.affinity.metrics(self.by_endpoint) if self.affinity else {}),
        }
        return _known(found)

    @property
    def shares(self) -> dict[str, float]:
        """Share of all calls at each endpoint, by URL."""
        return {e.url: e.calls / self._calls if self._calls else 0.0 for e in self.by_endpoint}

    @property
    def _calls(self) -> int:
        return sum(e.calls for e in self.by_endpoint)

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
        slots_s = sum(e.slots_s for e in self.by_endpoint)
        return float(np.clip(sum(e.busy_s for e in self.by_endpoint) / max(slots_s, 1e-12), 0.0, 1.0))


def _known(found: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in found.items() if value is not None}


def _part(count: int, whole: int) -> float | None:
    return count / whole if whole else None


def _of(name: str, tally: CensoredHistogram) -> dict[str, float | None]:
    if not tally.count:
        return {}
    quantiles = {f"{name}_p{round(100 * q)}_s": tally.quantile(q) for q in (0.5, 0.9, 0.99)}
    return {f"{name}_mean_s": tally.mean, **quantiles, f"{name}_max_s": tally.most}
