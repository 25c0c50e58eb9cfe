"""Endpoint fit: how it works on several calls at once, and the work of each call; cores that a host's endpoints share.

Decides which calls tell something of that: those that were at work, outside of outages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

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
from balancer_simulator.fitting.calls import Bools, Calls
from balancer_simulator.fitting.members import Member
from balancer_simulator.fitting.outages import ObservedFaults, observed_faults_of
from balancer_simulator.scenario.distributions import Floats

__all__ = ["EndpointFit", "WorkSample", "fit_endpoint", "host_cores"]

_MOSTLY: Final = 0.8  # of the calls: as many must have what the server says
_BLOCK: Final = 5  # calls that follow each other are drawn together, at least


@dataclass(frozen=True, slots=True)
class WorkSample:
    """Work of some calls of an endpoint: seconds, which are only known to be longer, and the place of each one's kind.

    `behaviour` is what the endpoint does with several at once, under which that much work is in them. `away_s` are
    seconds that calls spent on their way; empty where servers do not say how long they took. `sizes` are what callers
    said beforehand; NaN where they did not.
    """

    work_s: Floats
    open: Bools
    kinds: NDArray[np.intp]
    behaviour: Behaviour
    away_s: Floats
    sizes: Floats


@dataclass(frozen=True, slots=True)
class EndpointFit:
    """What is known of an endpoint.

    Attributes:
        name: of the endpoint.
        calls: all that it had.
        sound: those that tell how long its work takes; they begin when they have come to the server.
        away_s: how long each of these was on its way; empty where the server does not say how long it took.
        tried: what each behaviour makes of them.
        most: how many were at work at once.
        troubles: what went wrong.
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
        """All that it had, under the behaviour that is believed."""
        return self._sample(self.tried.chosen, np.arange(len(self.sound)))

    def resampled(self, draw: np.random.Generator) -> WorkSample:
        """Return calls, drawn in blocks with replacement, and the behaviour that is most likely by them.

        One block fewer is drawn than there are: the mean of as many differs too little from one draw to the next, by
        the part of a block of all (Rao and Wu, JASA 83, 1988, draw n - 1 of n). Of few calls that is much.

        Only behaviours that are not clearly less likely than the one that is believed are in the running. The
        simplest gives way only to one that is ahead by more than the best of many is by chance.
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
        scored = scored[-self.tried.score.shape[1] :]  # the likelihood is told from the last ones
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


def fit_endpoint(calls: Calls, *, few: bool = False) -> EndpointFit:
    """Return what `calls`, all of one endpoint, say of it; of `few` not how it works on several at once."""
    troubles, inside = observed_faults_of(calls)
    sound = calls.only(calls.worked & ~inside)
    # What is open for longer than an outage has begun is the outage's, not the work's.
    if any(not outage.over for outage in troubles.outages):
        began_s = troubles.outages[-1].from_s
        sound = sound.only(~(sound.open & (sound.begun_s >= began_s)))
    sound, away_s = _apart(sound)
    found = tried(sound, [FREE]) if few or sound.open.all() else tried(sound)
    return EndpointFit(calls.endpoint, calls, sound, away_s, found, most_at_once(sound), troubles)


def _apart(sound: Calls) -> tuple[Calls, Floats]:
    """Return the calls as they were in the server, and how long each was on its way, if servers say how long they took.

    All of the way is taken to be before the work: it makes no difference to anybody who waits.
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
    """Return the cores of hosts whose endpoints share them, and all endpoints, with the work that is in their calls.

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
    """Return the same with a behaviour that was found out for all endpoints of a host together."""
    one = BehaviourComparison((behaviour,), (work_s,), np.zeros((1, int((~found.sound.open).sum()))), 0)
    return replace(found, tried=one)


def _together(found: Sequence[EndpointFit]) -> tuple[int, list[Floats]] | None:
    """Return with how many cores the calls make more sense than with each endpoint by itself, and the work in them."""
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
