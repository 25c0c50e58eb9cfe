"""Endpoint fit: its behaviour with several calls at once, the work of its calls, and its faults.

Only calls that were at work, outside of outages, tell its behaviour. Cores that endpoints of a host share are fitted
too.
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
from balancer_simulator.fitting.drift import HARMLESS, Drift, Spells, drift_of, spells_of
from balancer_simulator.fitting.faults import ObservedFaults, observed_faults_of
from balancer_simulator.fitting.members import Member
from balancer_simulator.fitting.refusals import ObservedRefusals, refusals_of
from balancer_simulator.fitting.survival import LEAST_S
from balancer_simulator.scenario.distributions import Floats

__all__ = [
    "EndpointFit",
    "WorkSample",
    "fit_endpoint",
    "host_cores",
]

_SPELLS_AHEAD: Final = 10.0  # by which the log-likelihood of a behaviour with slow spells must be larger than without
_BLOCK: Final = 5  # calls that follow each other are drawn together, at least


@dataclass(frozen=True, slots=True)
class WorkSample:
    """Work of some calls of an endpoint: seconds, which of them are lower bounds (`open`), and the index of each one's
    kind.

    `behaviour` is the endpoint's behaviour under which the work was computed.
    """

    work_s: Floats
    open: Bools
    kinds: NDArray[np.intp]
    behaviour: Behaviour


@dataclass(frozen=True, slots=True)
class EndpointFit:
    """Fit of one endpoint.

    Attributes:
        name: of the endpoint.
        calls: all its calls.
        sound: calls that tell its work.
        tried: the comparison of behaviours on them.
        most: the most calls at work at once.
        troubles: its faults.
        refusals: its answers that it was busy.
        spells: in which it was slow; the times of calls are without them. None: it had none.
        drift: how its times change otherwise; None: they do not.
    """

    name: str
    calls: Calls
    sound: Calls
    tried: BehaviourComparison
    most: int
    troubles: ObservedFaults
    refusals: ObservedRefusals
    spells: Spells | None = None
    drift: Drift | None = None

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
        )


def fit_endpoint(
    calls: Calls,
    *,
    few: bool = False,
    tests: int = 1,
    notices: Sequence[tuple[float, float, bool]] = (),
    moment_s: float = 0.0,
) -> EndpointFit:
    """Return the fit of `calls`, all of one endpoint.

    Args:
        few: fit no behaviour with several calls at once, and no changes in time.
        tests: endpoints of the trace.
        notices: when the trace says that it was out of service, and back.
        moment_s: instants of the trace may be wrong by this.
    """
    refusals, calls = refusals_of(calls, moment_s)
    troubles, inside = observed_faults_of(calls, notices)
    sound = calls.only(calls.worked & ~inside)
    # A call that is open since before an outage belongs to the outage, not to the work.
    if any(not outage.over for outage in troubles.outages):
        began_s = troubles.outages[-1].from_s
        sound = sound.only(~(sound.open & (sound.begun_s >= began_s)))
    simple = few or sound.open.all()
    found = tried(sound, [FREE]) if simple else tried(sound)
    spells, drift = None, None
    if not simple:
        found, spells, drift = _over_time(sound, found, tests)
    return EndpointFit(calls.endpoint, calls, sound, found, most_at_once(sound), troubles, refusals, spells, drift)


def _over_time(
    sound: Calls, found: BehaviourComparison, tests: int
) -> tuple[BehaviourComparison, Spells | None, Drift | None]:
    """Return the behaviours, the slow spells, and, without spells, how times change.

    Slow spells look like many calls at once, and the other way round. So each is fitted on top of the other, and the
    likelier of both is taken.
    """
    drift = _drift(sound, found.work_s[found.chosen], tests)
    if drift is None:
        return found, None, None
    best, spells = found, None
    for place in sorted({found.chosen, 0}):
        work_s = found.work_s[place]
        each = spells_of(sound.begun_s, _log(sound, work_s), float(sound.ended_s.max()))
        if each is None:
            continue
        other = tried(sound, slower=each.slower)
        if other.total > best.total + _SPELLS_AHEAD:
            best, spells = other, each
    return best, spells, None if spells or drift.ratio < HARMLESS else drift


def _drift(sound: Calls, work_s: Floats, tests: int) -> Drift | None:
    """Return how the work of calls changes. The last ones are left out: of these, only the short ones have ended."""
    early = sound.begun_s < sound.ended_s.max() - np.quantile(sound.held_s, 0.99)
    return drift_of(sound.begun_s[early], _log(sound, work_s)[early], tests)


def _log(sound: Calls, work_s: Floats) -> Floats:
    """Return the logarithm of the work, less that of its kind."""
    log = np.log(np.maximum(work_s, LEAST_S))
    counts = np.maximum(np.bincount(sound.kinds), 1)
    return np.asarray(log - (np.bincount(sound.kinds, log) / counts)[sound.kinds])


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
    return replace(found, tried=one, spells=None)


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
