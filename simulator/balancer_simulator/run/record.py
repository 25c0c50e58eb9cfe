"""Record of a run: counts, histograms and figures. Requests that arrive after the warm-up count."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from balancer.core.metrics import balance_score, jain_index
from balancer.errors import BalancerError
from balancer_simulator.run.times import Times
from balancer_simulator.scenario.distributions import Floats

__all__ = [
    "ANSWERED",
    "CALL_ROW",
    "DROPPED",
    "FAILED",
    "LOST",
    "REFUSED",
    "TIMED_OUT",
    "UNFINISHED",
    "EndpointRecord",
    "KeptCalls",
    "Record",
    "Tally",
    "Timeline",
    "part_of",
]

_ENDS: Final = ("answered", "lost", "timed out", "unfinished", "failed", "refused", "dropped")
ANSWERED, LOST, TIMED_OUT, UNFINISHED, FAILED, REFUSED, DROPPED = range(len(_ENDS))
"""How a call ended; the first four end its request. A call is dropped if a second one was faster."""

CALL_ROW: Final = np.dtype([
    ("arrived_s", "<f8"), ("asked_s", "<f8"), ("started_s", "<f8"), ("ended_s", "<f8"), ("request", "<i4"),
    ("endpoint", "<i4"), ("kind", "<u2"), ("end", "u1"),
])  # fmt: skip


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
        slots_s: its slot-seconds.
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
class KeptCalls:
    """The rows of a run, with the names that they refer to by number.

    Attributes:
        rows: of `CALL_ROW`.
        kinds, urls: in the order of the scenario.
        from_s, end_s: the time that counts.
    """

    rows: bytes
    kinds: tuple[str, ...]
    urls: tuple[str, ...]
    from_s: float
    end_s: float

    def calls(self) -> Any:
        """Return a DataFrame of pandas, see `Record.calls`."""
        from pandas import Categorical, DataFrame

        rows = np.frombuffer(self.rows, CALL_ROW)
        names = {"kind": self.kinds, "endpoint": self.urls, "end": _ENDS}
        columns = {
            name: Categorical.from_codes(rows[name], names[name]) if name in names else rows[name]
            for name in ("request", "kind", "endpoint", "arrived_s", "asked_s", "started_s", "ended_s", "end")
        }
        return DataFrame(columns)

    def requests(self) -> Any:
        """Return a DataFrame of pandas, see `Record.requests`."""
        rows = self.calls()
        rows["wait_s"] = rows.started_s.fillna(rows.ended_s).fillna(self.end_s) - rows.asked_s
        rows["attempts"] = rows.started_s.notna() & rows.asked_s.notna()
        each = rows.groupby("request", sort=False)
        last = rows.drop_duplicates("request", keep="last").set_index("request")
        last[["endpoint", "started_s"]] = each[["endpoint", "started_s"]].last()
        last[["wait_s", "attempts"]] = each[["wait_s", "attempts"]].sum()
        last["outcome"] = last.end.cat.remove_categories(_ENDS[UNFINISHED + 1 :])
        last["counts"] = last.arrived_s >= self.from_s
        order = ["kind", "endpoint", "arrived_s", "started_s", "ended_s", "wait_s", "attempts", "outcome", "counts"]
        return last[order].reset_index(drop=True)


@dataclass(slots=True)
class Tally:
    """What came of requests that count, of all kinds or of one; the attributes are those of a `Record`."""

    completed: int = 0
    lost: int = 0
    timed_out: int = 0
    unfinished: int = 0
    wait: Times = field(default_factory=Times)
    sojourn: Times = field(default_factory=Times)
    numbers: tuple[int, ...] = ()

    def count(self, rows: NDArray[Any], from_s: float, end_s: float) -> None:
        """Count rows of calls. A request that came in the warm-up and still waits at the end is among the waits."""
        waits_s = rows["started_s"] - rows["asked_s"]
        still = (rows["end"] == UNFINISHED) & np.isnan(rows["started_s"]) & ~np.isnan(rows["asked_s"])
        self.wait.add_open(end_s - rows["asked_s"][still])
        counted = rows["arrived_s"] >= from_s
        self.wait.add(waits_s[counted & ~np.isnan(waits_s)])
        rows = rows[counted]
        came, ends = rows["arrived_s"], rows["end"]
        self.sojourn.add((rows["ended_s"] - came)[ends == ANSWERED])
        self.sojourn.add_open(end_s - came[ends == UNFINISHED])
        found = np.bincount(ends, minlength=len(_ENDS)).tolist()
        self.completed += found[ANSWERED]
        self.lost += found[LOST]
        self.timed_out += found[TIMED_OUT]
        self.unfinished += found[UNFINISHED]

    @property
    def metrics(self) -> dict[str, float]:
        """Every figure that exists, by name; times in seconds, parts from 0 to 1."""
        return {name: value for name, value in self._figures().items() if value is not None}

    def _figures(self) -> dict[str, float | None]:
        ended = self.completed + self.lost + self.timed_out
        return {
            **_of("wait", self.wait),
            **_of("sojourn", self.sojourn),
            "lost": part_of(self.lost + self.timed_out, ended),
            "timed_out": part_of(self.timed_out, ended),
        }


@dataclass(slots=True, kw_only=True, repr=False)
class Record(Tally):
    """Record of one run.

    Attributes:
        completed, lost, timed_out: requests that succeeded, that failed at every attempt, that found no endpoint.
        unfinished: requests still under way at the end.
        wait, sojourn: seconds from the ask to the lease, for every lease; from arrival to success. Requests under way
            at the end count as longer than they have been so far.
        numbers: number of requests under way at evenly spaced instants of the time that counts; empty for a batch.
        policy: label of the strategy or baseline.
        replication: its number, from 0.
        measured_s: from the end of the warm-up to the end.
        halfway: requests that had arrived, and those under way, in the middle of the time that counts.
        by_endpoint: in the order of the scenario.
        crews: calls of each worker, for each group that worked together; empty if requests have no workers.
        makespan_s: of a workload with an end that was reached: when the last request was over; else None.
        bound_s: of a batch: a time that no schedule can beat; else None.
        timeline: what was seen at some instants.
        kinds: the requests by the name of their kind; empty if there is only one.
        kept: the calls, if they were kept.
        affinity: the figures of prompts and sessions, by name; empty if there are none.
    """

    policy: str
    replication: int
    measured_s: float
    halfway: tuple[int, int]
    by_endpoint: tuple[EndpointRecord, ...]
    crews: tuple[tuple[int, ...], ...]
    makespan_s: float | None
    bound_s: float | None
    timeline: Timeline
    kinds: dict[str, Tally]
    kept: KeptCalls | None
    affinity: dict[str, float | None]

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
        return self._kept.requests()

    @property
    def calls(self) -> Any:
        """A row for each call, as it ended: request, kind, endpoint, arrived_s, asked_s, started_s, ended_s, end.

        A DataFrame of pandas. A request that got no endpoint has a row too, without `started_s`.

        Raises:
            BalancerError: the run kept none.
        """
        return self._kept.calls()

    @property
    def _kept(self) -> KeptCalls:
        if self.kept is None:
            raise BalancerError("requests: this run kept none of its requests; run it with requests=True")
        return self.kept

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
    def waiting(self) -> float:
        """Mean number of requests that waited, see `Timeline`, in the second half of the time that counts."""
        seen = self.timeline
        return float(seen.waiting[seen.at_s >= (seen.from_s + seen.at_s[-1]) / 2].mean())

    @property
    def arrived(self) -> int:
        """Number of requests that arrived in the time that counts."""
        return self.completed + self.lost + self.timed_out + self.unfinished

    def _figures(self) -> dict[str, float | None]:
        """Return every figure, None where it does not exist in this run: a makespan, workers."""
        return {
            "throughput_per_s": self.completed / self.measured_s,
            **Tally._figures(self),
            "utilisation": self._utilisation(),
            "jain_endpoints": jain_index(e.calls / e.weight for e in self.by_endpoint),
            "jain_workers": self._jain_of_workers(),
            "balance_score": balance_score(e.calls for e in self.by_endpoint),
            "calls": float(self._calls),
            "failed_calls": part_of(sum(e.failures for e in self.by_endpoint), self._calls),
            "unfinished": part_of(self.unfinished, self.arrived),
            "makespan_s": self.makespan_s,
            "makespan_by_bound": self._by_bound(),
            **self.affinity,
        }

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


def part_of(count: int, whole: int) -> float | None:
    """Return a part of a whole; None if there is nothing."""
    return count / whole if whole else None


def _of(name: str, tally: Times) -> dict[str, float | None]:
    if not tally.count:
        return {}
    quantiles = {f"{name}_p{round(100 * q)}_s": tally.quantile(q) for q in (0.5, 0.9, 0.99)}
    return {f"{name}_mean_s": tally.mean, **quantiles, f"{name}_max_s": tally.most}
