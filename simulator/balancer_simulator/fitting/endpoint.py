"""Endpoint fit: its behaviour with several calls at once, the work of its calls, and its faults.

Only calls that were at work, outside of outages, tell its behaviour. Cores that endpoints of a host share are fitted
too.

Faults: single failures, and outages. Failures in a row are an outage if chance does not explain them. The rate of
outages has a Gamma distribution (Jeffreys' prior), also if none was seen.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

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
from balancer_simulator.fitting.drift import Drift, Spells, drift_of, spells_of
from balancer_simulator.fitting.members import Member
from balancer_simulator.fitting.refusals import ObservedRefusals, refusals_of
from balancer_simulator.fitting.survival import LEAST_S
from balancer_simulator.scenario.distributions import Floats

__all__ = [
    "NO_NETWORK",
    "EndpointFit",
    "ObservedFaults",
    "ObservedOutage",
    "WorkSample",
    "fit_endpoint",
    "host_cores",
    "observed_faults_of",
    "rate_of",
]

_LEAST: Final = 3  # failures in a row
_BY_CHANCE: Final = 0.05  # expected rows of that length in the whole trace, if failures were independent
_PRIOR: Final = 0.5  # of outages: Jeffreys' prior of a rate
_MOSTLY: Final = 0.8  # share of the calls that must have a server's report
NO_NETWORK: Final = 1e-3
"""Share of the mean call below which the network is left out, and stays part of the work: it is the rounding of clocks,
and no reader of a prediction could see it."""
SPELLS_AHEAD: Final = 10.0
"""By how much the log-likelihood of a behaviour with slow spells must be larger than without."""
_BLOCK: Final = 5  # calls that follow each other are drawn together, at least


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
        mttr_s: mean length of outages; None if none was seen.
        watched_s: seconds in which it was up, as far as calls show.
        quick_part, slow_part: share of the calls outside of outages that fail at once, and after their work.
        quick_s: duration of a call that fails at once.
    """

    outages: tuple[ObservedOutage, ...]
    mttr_s: float | None
    watched_s: float
    quick_part: float
    slow_part: float
    quick_s: float


def observed_faults_of(calls: Calls, notices: Sequence[tuple[float, float, bool]] = ()) -> tuple[ObservedFaults, Bools]:
    """Return the faults, and which calls were in an outage. An outage that `notices` tell lasts as long as they say."""
    ended, quick = ~calls.open, calls.quick
    # A crash ends calls together that began one by one; a call that fails at once shows the state at its begin.
    shown_s = np.where(calls.failed & ~quick, calls.ended_s, calls.begun_s)
    order = np.flatnonzero(ended)[np.argsort(shown_s[ended], kind="stable")]
    failed = calls.failed[order]
    inside = np.zeros(len(calls), dtype=np.bool_)
    outages = [ObservedOutage(from_s, to_s, 0, over) for from_s, to_s, over in notices]
    for from_s, to_s, _ in notices:
        inside |= calls.failed & (calls.ended_s >= from_s) & (calls.begun_s <= to_s)
    for first, last in _runs(failed, _length(failed)):
        places = order[first : last + 1]
        over = last + 1 < len(order)
        quickly = quick[places].any()  # a crash ends the calls under way, which began before
        from_s = float((calls.ended_s if quickly else calls.begun_s)[places].min())
        to_s = float(calls.ended_s[places].max())
        next_s = max(to_s, float(calls.begun_s[order[last + 1]])) if over else np.inf
        inside[places] = True
        inside |= calls.failed & (calls.ended_s >= from_s) & (calls.ended_s <= to_s)
        if over:  # it ended at an unknown instant, as a pool may have delayed the next call
            to_s = (to_s + next_s) / 2
        if not any(from_s <= until_s and next_s >= since_s for since_s, until_s, _ in notices):
            outages.append(ObservedOutage(from_s, to_s, len(places), over))
    outages.sort(key=lambda outage: outage.from_s)
    outside = ended & ~inside
    many = max(1, int(outside.sum()))
    quick_s = float(np.median(calls.held_s[quick])) if quick.any() else 0.01
    mttr_s, watched_s = _up_and_down(calls, outages, inside, bool(notices))
    slow_part = int((calls.failed & ~quick & outside).sum()) / many
    return ObservedFaults(
        tuple(outages), mttr_s, watched_s, int((quick & outside).sum()) / many, slow_part, quick_s
    ), inside


def _up_and_down(
    calls: Calls, outages: Sequence[ObservedOutage], inside: Bools, noticed: bool
) -> tuple[float | None, float]:
    """Return the mean length of outages, and the seconds in which it was up.

    A pool does not look at an endpoint that it has ejected: an outage may be over long before the next call, or another
    one may follow. So calls are looks at a process that is up and down in turn, for exponential times (Kalbfleisch and
    Lawless, JASA 80, 1985). Notices of a proxy are exact.
    """
    if not len(calls):
        return None, 0.0
    lasts_s = float(calls.ended_s.max() - calls.begun_s.min())
    if not outages:
        return None, lasts_s
    down_s = sum(each.to_s - each.from_s for each in outages)
    mttr_s, up_s = down_s / max(1, sum(each.over for each in outages)), max(lasts_s - down_s, lasts_s / 100)
    up = ~inside & ~calls.open & ~calls.failed
    if noticed or not up.any() or not any(each.over for each in outages):
        return mttr_s, up_s
    at_s = np.concatenate([calls.begun_s[up], calls.ended_s[up], calls.ended_s[inside]])
    order = np.argsort(at_s, kind="stable")
    down = np.repeat([False, True], [2 * int(up.sum()), int(inside.sum())])[order]
    gaps_s, was, now = np.diff(at_s[order]), down[:-1], down[1:]

    def loss(logs: Floats) -> float:
        fails, recovers = np.exp(logs)
        both = fails + recovers
        goes = -np.expm1(-both * gaps_s) * np.where(was, recovers, fails) / both
        return -float(np.log(np.maximum(np.where(was == now, 1 - goes, goes), 1e-300)).sum())

    found = minimize(loss, np.log([len(outages) / up_s, 1 / max(mttr_s, 1e-3)]), method="Nelder-Mead")
    fails, recovers = np.exp(found.x)
    return float(1 / recovers), len(outages) / float(fails)


def rate_of(outages: int, watched_s: float, draw: np.random.Generator | None = None) -> float:
    """Return the outages per second: the likeliest or, if none was seen, that of half a one. With `draw`, a random
    value from its distribution.
    """
    drawn = draw.gamma(outages + _PRIOR) if draw else max(outages, _PRIOR)
    return float(drawn) / max(watched_s, 1e-9)


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
        refusals: its answers that it was busy.
        spells: in which it was slow; the times of calls are without them. None: it had none.
        drift: how its times change otherwise; None: they do not.
    """

    name: str
    calls: Calls
    sound: Calls
    away_s: Floats
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
            self.away_s[picked] if len(self.away_s) else self.away_s,
            self.sound.sizes[picked],
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
    sound, away_s = _apart(sound)
    simple = few or sound.open.all()
    found = tried(sound, [FREE]) if simple else tried(sound)
    spells, drift = None, None
    if not simple:
        found, spells, drift = _over_time(sound, found, tests)
    return EndpointFit(
        calls.endpoint, calls, sound, away_s, found, most_at_once(sound), troubles, refusals, spells, drift
    )


def _over_time(
    sound: Calls, found: BehaviourComparison, tests: int
) -> tuple[BehaviourComparison, Spells | None, Drift | None]:
    """Return the behaviours, the slow spells, and how times change otherwise.

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
        other = tried(sound, slower=np.where(each.slow, each.factor, 1.0))
        if other.total > best.total + SPELLS_AHEAD:
            best, spells = other, each
    if spells is None:
        return found, None, drift
    left = _drift(sound, best.work_s[best.chosen], tests)
    return best, spells, left if left and left.kind != "varies" else None


def _drift(sound: Calls, work_s: Floats, tests: int) -> Drift | None:
    """Return how the work of calls changes. The last ones are left out: of these, only the short ones have ended."""
    early = sound.begun_s < sound.ended_s.max() - np.quantile(sound.held_s, 0.99)
    return drift_of(sound.begun_s[early], _log(sound, work_s)[early], tests)


def _log(sound: Calls, work_s: Floats) -> Floats:
    """Return the logarithm of the work, less that of its kind and size."""
    log = np.log(np.maximum(work_s, LEAST_S))
    told = sound.sizes > 0  # NaN is not
    if told.mean() >= _MOSTLY and np.ptp(sound.sizes[told]) > 0:
        size = np.log(np.where(told, sound.sizes, np.median(sound.sizes[told])))
        log = log - np.polynomial.Polynomial.fit(size, log, 1)(size)
    counts = np.maximum(np.bincount(sound.kinds), 1)
    return np.asarray(log - (np.bincount(sound.kinds, log) / counts)[sound.kinds])


def _apart(sound: Calls) -> tuple[Calls, Floats]:
    """Return the calls as they were in the server, and the seconds of each on the network, if servers report durations.

    The whole way is put before the work: that makes no difference to a caller.
    """
    told = ~np.isnan(sound.server_s)
    if not told.any() or told.mean() < _MOSTLY:
        return sound, np.empty(0)
    away_s = np.clip(sound.held_s - sound.server_s, 0.0, sound.held_s)
    away_s = np.minimum(np.where(told, away_s, np.median(away_s[told])), sound.held_s)
    if away_s.mean() < NO_NETWORK * sound.held_s.mean():
        return sound, np.empty(0)
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
