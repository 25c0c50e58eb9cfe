"""Endpoint fit: its behaviour with several calls at once, the work of its calls, and its faults.

Only calls that were at work, outside of outages, tell its behaviour. Cores that endpoints of a host share are fitted
too.

Faults: single failures, and outages. Failures in a row are an outage if chance does not explain them. The rate of
outages has a Gamma distribution (Jeffreys' prior), also if none was seen.

Members: the endpoints as the pool knew them at the end. Without a capacity in the trace, it is the most calls at once.
In a log with times rounded to milliseconds, two calls that follow each other can seem to overlap for a moment; that
does not count.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from balancer.values.urls import checked_url
from balancer_simulator.fitting.behaviour import (
    AHEAD,
    CLEARLY,
    FREE,
    Behaviour,
    BehaviourComparison,
    counts_below,
    most_at_once,
    most_of,
    score_of,
    shared,
    tried,
)
from balancer_simulator.fitting.calls import Bools, Calls, PreparedTrace
from balancer_simulator.fitting.notices import ToldOutage, began_s, inside_of
from balancer_simulator.scenario.distributions import Floats

__all__ = [
    "EndpointFit",
    "Member",
    "ObservedFaults",
    "ObservedOutage",
    "WorkSample",
    "fit_endpoint",
    "host_cores",
    "members_of",
    "observed_faults_of",
    "rate_of",
]

_MS: Final = 1e-3
_LEAST: Final = 3  # failures in a row
_BY_CHANCE: Final = 0.05  # expected rows of that length in the whole trace, if failures were independent
_PRIOR: Final = 0.5  # of outages: Jeffreys' prior of a rate
_MOSTLY: Final = 0.8  # share of the calls that must have a server's report
_BLOCK: Final = 5  # calls that follow each other are drawn together, at least


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint of a trace.

    Attributes:
        name, host: from the trace.
        url: its name as a URL for a scenario.
        capacity: slots, or the most seen in use if `told` is False.
        weight, labels: as the pool knew them.
    """

    name: str
    url: str
    host: str | None
    capacity: int
    weight: float
    labels: tuple[str, ...]
    told: bool

    @property
    def alone(self) -> str:
        """A name for a machine that has only this endpoint."""
        return self.url.split("://")[-1].strip("/").replace(":", "-").replace("/", "-")

    @property
    def data(self) -> dict[str, Any]:
        """Its keys as an endpoint of a scenario."""
        found: dict[str, Any] = {"url": self.url, "capacity": self.capacity}
        if self.weight != 1.0:
            found["weight"] = self.weight
        if self.labels:
            found["labels"] = list(self.labels)
        if self.host:
            found["host"] = self.host
        return found


def members_of(prepared: PreparedTrace) -> tuple[Member, ...]:
    """Return the endpoints in the pool at the end, and those with calls that no run describes."""
    told: dict[str, dict[str, Any]] = {}
    for run in prepared.trace.runs:
        told.update({str(each["name"]): dict(each) for each in run.get("endpoints") or ()})
    known = set(told)
    for event in prepared.trace.events:
        if event.endpoint is None:
            continue
        if event.event == "joined":
            told[event.endpoint] = {**told.get(event.endpoint, {}), "capacity": event.value, "host": event.name}
        elif event.event == "capacity" and event.endpoint in told:
            told[event.endpoint]["capacity"] = event.value
        elif event.event in ("left", "drained"):
            told.pop(event.endpoint, None)
    hosts = {each.endpoint: each.host for each in prepared.attempts}
    names = [*told, *(name for name in prepared.by_endpoint if name not in told and name not in known)]
    return tuple(_members(prepared, names, told, hosts))


def _members(
    prepared: PreparedTrace, names: list[str], told: dict[str, dict[str, Any]], hosts: dict[str, str | None]
) -> Iterator[Member]:
    moment_s = 2 * _MS if _is_rounded(prepared) else 0.0
    for number, name in enumerate(names):
        facts = told.get(name, {})
        capacity = facts.get("capacity")
        calls = prepared.by_endpoint.get(name)
        seen = max(1, _most(calls, moment_s)) if calls is not None else 1
        yield Member(
            name, _url_of(name, number), facts.get("host") or hosts.get(name), int(capacity or seen),
            float(facts.get("weight") or 1.0), tuple(facts.get("labels") or ()), bool(capacity),
        )  # fmt: skip


def _most(calls: Calls, moment_s: float) -> int:
    """Return the most calls at once, for longer than a moment."""
    begun_s = calls.begun_s[calls.worked]
    return most_of(begun_s, np.maximum(calls.ended_s[calls.worked] - moment_s, begun_s))


def _is_rounded(prepared: PreparedTrace) -> bool:
    """Return whether all times are whole milliseconds, as in an access log."""
    times = np.array([[each.granted_s, each.ended_s] for each in prepared.attempts]) / _MS
    return bool((np.abs(times - np.round(times)) < 1e-2).all())


def _url_of(name: str, number: int) -> str:
    """Return a URL for an endpoint with any name: an address, or a server's name in a log."""
    for url in (name, f"http://{name.replace('/', '.')}/"):
        try:
            if "://" in url and not any(letter in url for letter in "{} "):
                return checked_url(url)
        except ValueError:
            continue
    return f"http://endpoint-{number + 1}/"


@dataclass(frozen=True, slots=True)
class ObservedOutage:
    """An outage: from the first failed call to its end, halfway from the last failure to the next success.

    `over` is False if no call has succeeded yet. Then it is known only until the last failure, because a pool ejects
    such an endpoint and does not try it for a while.
    """

    from_s: float
    to_s: float
    calls: int
    over: bool


@dataclass(frozen=True, slots=True)
class ObservedFaults:
    """Faults of an endpoint.

    Attributes:
        outages: in which all calls failed.
        watched_s: seconds of observation.
        quick_part, slow_part: share of the calls outside of outages that fail at once, and after their work.
        quick_s: duration of a call that fails at once.
    """

    outages: tuple[ObservedOutage, ...]
    watched_s: float
    quick_part: float
    slow_part: float
    quick_s: float

    @property
    def mttr_s(self) -> float | None:
        """Mean length of outages, with those not over as exponential ones; None if none was seen."""
        if not self.outages:
            return None
        return sum(each.to_s - each.from_s for each in self.outages) / max(1, sum(each.over for each in self.outages))


def observed_faults_of(calls: Calls, told: Sequence[ToldOutage] = ()) -> tuple[ObservedFaults, Bools]:
    """Return the faults, and which calls were in an outage. Of an outage that notices tell, they tell the ends."""
    ended = ~calls.open
    order = np.flatnonzero(ended)[np.argsort(calls.begun_s[ended], kind="stable")]
    failed = calls.failed[order]
    outages, inside = [], np.zeros(len(calls), dtype=np.bool_)
    for first, last in _runs(failed, _length(failed)):
        places = order[first : last + 1]
        over = last + 1 < len(order)
        to_s = float(calls.ended_s[places].max())
        if (
            over
        ):  # it ended at an unknown instant between the last failure and the next call, which a pool may have delayed
            to_s = max(to_s, (to_s + float(calls.begun_s[order[last + 1]])) / 2)
        outages.append(ObservedOutage(float(calls.begun_s[places[0]]), to_s, len(places), over))
        inside[places] = True
    for each in told:
        from_s, to_s = began_s(calls, each), each.to_s
        within = inside_of(calls, from_s, to_s)
        outages = [one for one in outages if one.to_s < from_s or one.from_s > to_s]
        outages.append(ObservedOutage(from_s, to_s, int(within.sum()), each.over))
        inside |= within
    outages.sort(key=lambda one: one.from_s)
    outside = ended & ~inside
    many = max(1, int(outside.sum()))
    quick = calls.quick
    quick_s = float(np.median(calls.held_s[quick])) if quick.any() else 0.01
    watched_s = float(calls.ended_s.max() - calls.begun_s.min()) if len(calls) else 0.0
    slow_part = int((calls.failed & ~quick & outside).sum()) / many
    return ObservedFaults(tuple(outages), watched_s, int((quick & outside).sum()) / many, slow_part, quick_s), inside


def rate_of(outages: int, watched_s: float, draw: np.random.Generator | None = None) -> float:
    """Return the outages per second: the mean of the estimate or, with `draw`, a random value from it."""
    shape = outages + _PRIOR
    return float(draw.gamma(shape) if draw else shape) / max(watched_s, 1e-9)


def _length(failed: Bools) -> int:
    """Return how many failures in a row are no chance, by the number of failures outside of long rows."""
    part = 0.5 * float(failed.mean()) if len(failed) else 0.0
    if not 0 < part < 1:
        return _LEAST
    return max(_LEAST, int(np.ceil(np.log(_BY_CHANCE / len(failed)) / np.log(part))))


def _runs(failed: Bools, least: int) -> list[tuple[int, int]]:
    """Return the first and last index of each row of at least `least` failures."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], failed.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in zip(edges[::2], edges[1::2], strict=True) if b - a >= least]


@dataclass(frozen=True, slots=True)
class WorkSample:
    """Work of some calls of an endpoint: seconds, which of them are lower bounds (`open`), and the index of each one's
    kind.

    `behaviour` is the endpoint's behaviour under which the work was computed. `away_s` are seconds that calls spent on
    the network; empty if servers do not report durations. `sizes` are as callers announced them; NaN without one.
    """

    work_s: Floats
    open: Bools
    kinds: NDArray[np.intp]
    behaviour: Behaviour
    away_s: Floats
    sizes: Floats


@dataclass(frozen=True, slots=True)
class EndpointFit:
    """Fit of one endpoint.

    Attributes:
        name: of the endpoint.
        calls: all its calls.
        sound: calls that tell its work; they begin at their arrival at the server.
        away_s: seconds of each of these on the network; empty if the server does not report durations.
        tried: the comparison of behaviours on them.
        most: the most calls at work at once.
        troubles: its faults.
    """

    name: str
    calls: Calls
    sound: Calls
    away_s: Floats
    tried: BehaviourComparison
    most: int
    troubles: ObservedFaults

    @property
    def sample(self) -> WorkSample:
        """All its calls, under the chosen behaviour."""
        return self._sample(self.tried.chosen, np.arange(len(self.sound)))

    def resampled(self, draw: np.random.Generator) -> WorkSample:
        """Return calls, drawn in blocks with replacement, and their most likely behaviour.

        One block fewer is drawn than there are. With as many, the mean would vary too little from draw to draw, by the
        share of one block (Rao and Wu, JASA 83, 1988, draw n - 1 of n). With few calls that is much.

        Only behaviours that are not clearly less likely than the chosen one are candidates. The simplest is replaced
        only by one that is ahead by more than the best of many is by chance.
        """
        count = len(self.sound)
        if not count:
            return self.sample
        size = max(_BLOCK, round(count ** (1 / 3)))
        drawn = max(size, count - size)
        starts = draw.integers(0, count, -(-drawn // size))
        picked = ((starts[:, None] + np.arange(size)) % count).ravel()[:drawn]
        return self._sample(self._likeliest(picked), picked)

    def _likeliest(self, picked: NDArray[np.intp]) -> int:
        doubted, scored = self.tried.in_doubt, np.flatnonzero(~self.sound.open)
        if len(doubted) == 1 or not len(scored):
            return self.tried.chosen
        scored = scored[-self.tried.score.shape[1] :]  # the likelihood is computed from the last calls
        weights = np.bincount(picked, minlength=len(self.sound))[scored]
        scores = {place: float(self.tried.score[place] @ weights) for place in doubted}
        best = max(doubted, key=lambda place: scores[place])
        return 0 if scores[best] - scores.get(0, -np.inf) < AHEAD else best

    def _sample(self, place: int, picked: NDArray[np.intp]) -> WorkSample:
        return WorkSample(
            self.tried.work_s[place][picked],
            self.sound.open[picked],
            self.sound.kinds[picked],
            self.tried.behaviours[place],
            self.away_s[picked] if len(self.away_s) else self.away_s,
            self.sound.sizes[picked],
        )


def fit_endpoint(calls: Calls, told: Sequence[ToldOutage] = (), *, few: bool = False) -> EndpointFit:
    """Return the fit of `calls`, all of one endpoint. With `few`, no behaviour with several calls at once is fitted."""
    troubles, inside = observed_faults_of(calls, told)
    sound = calls.only(calls.worked & ~inside)
    # A call that is open since before an outage belongs to the outage, not to the work.
    if any(not outage.over for outage in troubles.outages):
        began_s = troubles.outages[-1].from_s
        sound = sound.only(~(sound.open & (sound.begun_s >= began_s)))
    sound, away_s = _apart(sound)
    found = tried(sound, [FREE]) if few or sound.open.all() else tried(sound)
    return EndpointFit(calls.endpoint, calls, sound, away_s, found, most_at_once(sound), troubles)


def _apart(sound: Calls) -> tuple[Calls, Floats]:
    """Return the calls as they were in the server, and the seconds of each on the network, if servers report durations.

    The whole way is put before the work: that makes no difference to a caller.
    """
    told = ~np.isnan(sound.server_s)
    if not told.any() or told.mean() < _MOSTLY:
        return sound, np.empty(0)
    away_s = np.clip(sound.held_s - sound.server_s, 0.0, sound.held_s)
    away_s = np.minimum(np.where(told, away_s, np.median(away_s[told])), sound.held_s)
    return replace(sound, begun_s=sound.begun_s + away_s), away_s


def host_cores(
    members: Sequence[Member], found: Mapping[str, EndpointFit]
) -> tuple[dict[str, int], dict[str, EndpointFit]]:
    """Return the cores of hosts whose endpoints share them, and all endpoints with the work in their calls.

    By held-out likelihood as for one server, with the calls of all endpoints of the host in flight together.
    """
    cores: dict[str, int] = {}
    result = dict(found)
    by_host: dict[str, list[str]] = {}
    for member in members:
        if member.host is not None and (~found[member.name].sound.open).any():
            by_host.setdefault(member.host, []).append(member.name)
    for host, names in by_host.items():
        if len(names) > 1 and (best := _together([found[name] for name in names])) is not None:
            cores[host], works = best
            result.update({name: _as_found(found[name], FREE, w) for name, w in zip(names, works, strict=True)})
    return cores, result


def _as_found(found: EndpointFit, behaviour: Behaviour, work_s: Floats) -> EndpointFit:
    """Return the endpoint with a behaviour that was fitted to all endpoints of a host together."""
    one = BehaviourComparison((behaviour,), (work_s,), np.zeros((1, int((~found.sound.open).sum()))), 0)
    return replace(found, tried=one)


def _together(found: Sequence[EndpointFit]) -> tuple[int, list[Floats]] | None:
    """Return the number of shared cores if it is more likely than separate endpoints, and the work in the calls."""
    begun_s, ended_s = (
        np.concatenate([getattr(each.sound, name) for each in found]) for name in ("begun_s", "ended_s")
    )
    edges = np.cumsum([len(each.sound) for each in found])[:-1]
    apart = np.concatenate([each.tried.score[each.tried.chosen] for each in found])
    best: tuple[float, int, list[Floats]] | None = None
    for count in counts_below(most_of(begun_s, ended_s)):
        work_s, rate = shared(count, begun_s, ended_s)
        works = np.split(work_s, edges)
        score = np.concatenate(
            [
                score_of(each.sound, mine, its)
                for each, mine, its in zip(found, works, np.split(rate, edges), strict=True)
            ]
        )
        ahead = score - apart
        total, error = float(ahead.sum()), float(np.sqrt(len(ahead)) * ahead.std())
        if total > max(CLEARLY * error, AHEAD) and (best is None or total > best[0]):
            best = total, count, works
    return None if best is None else best[1:]
