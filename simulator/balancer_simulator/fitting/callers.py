"""Caller pattern of a trace: a fixed number of callers who wait for answers, or open arrivals.

It is found from the names of callers, if the trace has them, else from the number of calls under way: callers who wait
for their answers keep that number constant or, if they pause between calls, ask less while more are under way.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from scipy.special import gammaln
from scipy.stats import chi2, f_oneway, kendalltau

from balancer.observing.traces import Attempt
from balancer_simulator.fitting.calls import Bools
from balancer_simulator.fitting.survival import LEAST_S, quantile_means
from balancer_simulator.scenario.distributions import Floats

__all__ = ["CallerPattern", "LoadShape", "caller_pattern_of", "come_and_go", "have_several_at_once", "load_shape"]

_CALLS_EACH: Final = 3  # a name with this many calls, one after the other, is a caller; with fewer, a task
_ALL_ALONG: Final = 0.5  # share of its run in which a caller is there, on average; a stage of a pipeline is not
_NAMED: Final = 0.8  # share of the calls that must have recurring names
_STEADY: Final = 0.9  # share of the time in which at least nine in ten of the callers are under way
_ROUNDING_S: Final = 1e-6
_PARTS: Final = 40  # of the trace, whose arrivals are counted
_BY_CHANCE: Final = 1e-3
_HOUR_S: Final = 3600.0
_DAY_S: Final = 24 * _HOUR_S
_FEWEST_ASKED: Final = 200  # requests
_MOST_TIMES: Final = 4.0  # times the mean under way: more callers would pause most of the time, and cannot be counted
_IMPOSSIBLE: Final = 0.02  # callers left, where more seem to be under way than there are, as a log rounds
_AHEAD: Final = 10.0  # logarithm of the likelihood by which callers that pause must be ahead
_LIKELY: Final = 1.92  # the same, within which a number is as likely (95%)
_SURELY: Final = 0.1  # share of their number, or one
_EXPONENTIAL: Final = -np.log1p(-(np.arange(200) + 0.5) / 200)  # equally likely times of mean 1
_RARE: Final = 0.05  # share of the time in which there may seem to be more, as an access log rounds to milliseconds


@dataclass(frozen=True, slots=True)
class CallerPattern:
    """Callers of a trace.

    Attributes:
        callers: their number, each of whom waits for its answer; None: open arrivals.
        thinks_s: seconds from an answer to the next question of the same caller; empty if unknown. Without names, of
            the exponential pauses that explain when calls come.
        thinks_open: which of these are only lower bounds, because the trace ends before the question.
        named: whether the trace has the caller of each call.
        at_s: instants of the requests, in order. Of calls of one name, one after a failure is of the same request, if
            the names are not of callers.
        attempts: the most calls of one request; 1 if no call tells whose it is.
    """

    callers: int | None
    thinks_s: Floats
    thinks_open: Bools
    named: bool
    at_s: Floats
    attempts: int = 1

    def pauses_s(self, count: int, draw: np.random.Generator | None = None) -> Floats:
        """Return `count` equally likely pauses; None if none is known. With `draw`, of resampled pauses."""
        picked = draw.integers(0, len(self.thinks_s), len(self.thinks_s)) if draw else slice(None)
        thinks_s, open_ = self.thinks_s[picked], self.thinks_open[picked]
        if open_.all():
            return np.empty(0)
        return np.maximum(quantile_means(thinks_s, open_, count) - LEAST_S, 0.0)


def caller_pattern_of(attempts: Sequence[Attempt]) -> CallerPattern:
    """Return the caller pattern of these calls."""
    at_s = np.array(sorted(each.asked_s for each in attempts))
    thinks = _by_name(attempts)
    if thinks is not None:
        callers = max(Counter(run for run, _ in thinks).values())
        pairs = [pair for pairs in thinks.values() for pair in pairs]
        thinks_s, open_ = np.array([gap for gap, _ in pairs]), np.array([still for _, still in pairs], dtype=np.bool_)
        return CallerPattern(callers, thinks_s, open_, True, at_s)
    many = _always(attempts)
    names = Counter((each.run, each.task) for each in attempts if each.task is not None)
    unnamed = not _come_again(list(names.values()), len(attempts))
    if many is None and unnamed and (found := _pausing(attempts)) is not None:
        many, thinks_s = found[0], found[1] * _EXPONENTIAL
        return CallerPattern(many, thinks_s, np.zeros(len(thinks_s), dtype=np.bool_), False, at_s)
    none = np.empty(0), np.empty(0, dtype=np.bool_)
    if many is None and unnamed and names:
        return CallerPattern(None, *none, False, *_arrivals(attempts))
    return CallerPattern(many, *none, False, at_s)


def have_several_at_once(attempts: Sequence[Attempt]) -> bool:
    """Return whether names recur but have several calls at once, as the problems of a pipeline do."""
    counts = Counter((each.run, each.task) for each in attempts if each.task is not None)
    return _come_again(list(counts.values()), len(attempts)) and _by_name(attempts) is None


@dataclass(frozen=True, slots=True)
class LoadShape:
    """How open arrivals change: requests per second in the quietest and the busiest part of the trace.

    `kind`: `trend`: more and more, or less and less; `daily`: by the hour of the day; `uneven`: otherwise.
    """

    kind: Literal["trend", "daily", "uneven"]
    least_per_s: float
    most_per_s: float


def load_shape(at_s: Floats) -> LoadShape | None:
    """Return how arrivals at these instants change; None if no more than chance explains (a test of dispersion)."""
    lasts_s = float(np.ptp(at_s)) if len(at_s) else 0.0
    if len(at_s) < 20 * _PARTS or not lasts_s:
        return None
    counts, _ = np.histogram(at_s, _PARTS)
    rates = counts / (lasts_s / _PARTS)
    if chi2.sf(((counts - counts.mean()) ** 2).sum() / counts.mean(), _PARTS - 1) > _BY_CHANCE:
        return None
    if lasts_s >= 2 * _DAY_S:
        hours, _ = np.histogram(at_s - at_s.min(), np.arange(0.0, lasts_s, _HOUR_S))
        of_hour = [hours[hour::24] for hour in range(24)]
        if f_oneway(*of_hour).pvalue < _BY_CHANCE:
            means = np.array([each.mean() for each in of_hour]) / _HOUR_S
            return LoadShape("daily", float(means.min()), float(means.max()))
    trend = kendalltau(np.arange(_PARTS), counts)
    is_trend = trend.pvalue < _BY_CHANCE and abs(trend.statistic) > _ALL_ALONG
    return LoadShape("trend" if is_trend else "uneven", float(rates.min()), float(rates.max()))


def come_and_go(attempts: Sequence[Attempt]) -> bool:
    """Return whether names are there for a small part of their run only, as the stages of a pipeline's problems are."""
    runs, names = _there(attempts, by_name=False), _there(attempts, by_name=True)
    parts = [
        (to_s - from_s) / max(runs[run, ""][1] - runs[run, ""][0], 1e-12) for (run, _), (from_s, to_s) in names.items()
    ]
    return bool(parts) and float(np.mean(parts)) < _ALL_ALONG


def _there(attempts: Sequence[Attempt], *, by_name: bool) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the first and last instant of the calls of each name, or of each run."""
    found: dict[tuple[str, str], tuple[float, float]] = {}
    for each in attempts:
        if each.task is not None or not by_name:
            name = each.run, (each.task or "") if by_name else ""
            from_s, to_s = found.get(name, (each.asked_s, each.ended_s))
            found[name] = min(from_s, each.asked_s), max(to_s, each.ended_s)
    return found


def _come_again(counts: Sequence[int], calls: int) -> bool:
    return bool(counts) and sum(count for count in counts if count >= _CALLS_EACH) >= _NAMED * calls


def _by_name(attempts: Sequence[Attempt]) -> dict[tuple[str, str], list[tuple[float, bool]]] | None:
    """Return the pauses of each caller, and whether each is only a lower bound; None if names are not of callers.

    The pause under way at the end is a lower bound: it is likely to be a long one. It is known until the last question
    that was granted, because earlier questions were granted as well.
    """
    named: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for each in attempts:
        if each.task is not None:
            named[each.run, each.task].append(each)
    if not _come_again([len(mine) for mine in named.values()], len(attempts)):
        return None
    last: dict[str, float] = {}
    for each in attempts:
        last[each.run] = max(each.asked_s, last.get(each.run, each.asked_s))
    pauses = {}
    for name, mine in named.items():
        ordered = sorted(mine, key=lambda each: each.asked_s)
        gaps = [later.asked_s - before.ended_s for before, later in pairwise(ordered)]
        if any(gap < -_ROUNDING_S for gap in gaps):
            return None  # two at once: the name is not a caller's
        last_s = max(last[name[0]] - ordered[-1].ended_s, 0.0)
        pauses[name] = [*((max(gap, 0.0), False) for gap in gaps), *([(last_s, True)] if last_s else [])]
    return pauses


def _always(attempts: Sequence[Attempt]) -> int | None:
    """Return the number of calls under way nearly all the time; None if that changed.

    The time after the last grant is left out: waiters are not in the trace.
    """
    from_s = min(each.asked_s for each in attempts)
    to_s = max(each.asked_s for each in attempts)
    at_s = np.concatenate([[each.ended_s for each in attempts], [each.asked_s for each in attempts]])
    order = np.argsort(at_s, kind="stable")
    steps = np.concatenate([-np.ones(len(attempts)), np.ones(len(attempts))])[order]
    times, there = at_s[order], np.cumsum(steps)
    lengths = np.diff(np.clip(times, from_s, to_s), append=to_s)
    if to_s <= from_s:
        return None
    most = _mostly(there, lengths)
    busy = float(lengths[there >= 0.9 * most].sum()) / (to_s - from_s)
    return most if busy >= _STEADY and most * _CALLS_EACH <= len(attempts) else None


def _pausing(attempts: Sequence[Attempt]) -> tuple[int, float] | None:
    """Return the number of callers and the mean pause between an answer and the next question, without names.

    If each of N callers pauses for an exponential time, questions come at a rate of (N - n) / pause while n are under
    way (a finite source). It must be much likelier than any rate that does not depend on n: arrivals with independent
    gaps, also more regular than at random. None: it is not, or N is uncertain by more than `_SURELY`.
    """
    whole = _requests(attempts)
    asked_s, ended_s = np.sort(whole[0]), np.sort(whole[1])
    middle = (asked_s > asked_s[0]) & (asked_s < asked_s[-1] - np.quantile(whole[1] - whole[0], 0.99))
    at_s = asked_s[middle]
    if len(at_s) < _FEWEST_ASKED:
        return None
    from_s, to_s = float(at_s[0]), float(at_s[-1])
    under_way = np.flatnonzero(middle) - np.searchsorted(ended_s, at_s, side="right")
    in_all_s = float((np.clip(whole[1], from_s, to_s) - np.clip(whole[0], from_s, to_s)).sum())
    mean = in_all_s / (to_s - from_s)
    many = np.arange(max(int(np.quantile(under_way, 1 - _RARE)) + 1, int(mean) + 1), int(_MOST_TIMES * mean) + 20)
    if not len(many):
        return None
    levels, counts = np.unique(under_way, return_counts=True)
    ahead = np.log(np.maximum(many[:, None] - levels, _IMPOSSIBLE)) @ counts - len(at_s) * np.log(many - mean)
    best = int(ahead.argmax())
    likely = many[ahead > ahead[best] - _LIKELY]
    if ahead[best] < _regular(np.diff(at_s)) + _AHEAD or np.ptp(likely) > max(1.0, _SURELY * many[best]):
        return None
    return int(many[best]), float((many[best] - mean) * (to_s - from_s) / len(at_s))


def _arrivals(attempts: Sequence[Attempt]) -> tuple[Floats, int]:
    """Return when requests came, without their further attempts, and the most attempts of one."""
    at_s, tries = [], dict[tuple[str, str], int]()
    most = 1
    for each in sorted(attempts, key=lambda each: each.asked_s):
        name = each.run, each.task or ""
        so_far = tries.get(name, 0) if each.task is not None else 0
        if not so_far:
            at_s.append(each.asked_s)
        most = max(most, so_far + 1)
        tries[name] = 0 if each.outcome == "success" else so_far + 1
    return np.array(at_s), most


def _requests(attempts: Sequence[Attempt]) -> tuple[Floats, Floats]:
    """Return when each request was asked and over: attempts of one name are one request here."""
    found: dict[object, tuple[float, float]] = {}
    for number, each in enumerate(attempts):
        key = number if each.task is None else (each.run, each.task)
        asked_s, ended_s = found.get(key, (each.asked_s, each.ended_s))
        found[key] = min(asked_s, each.asked_s), max(ended_s, each.ended_s)
    asked, ended = zip(*found.values(), strict=True)
    return np.array(asked), np.array(ended)


def _regular(gaps_s: Floats) -> float:
    """Return by how much gaps of a Gamma distribution are likelier than exponential ones, if they are more regular."""
    gaps_s = np.maximum(gaps_s, 1e-3 * gaps_s.mean())
    spread = max(float(np.log(gaps_s.mean()) - np.log(gaps_s).mean()), 1e-9)
    shape = max(1.0, (3 - spread + np.sqrt((spread - 3) ** 2 + 24 * spread)) / (12 * spread))
    many = len(gaps_s)
    return float(many * (shape * np.log(shape) - gammaln(shape) - shape + 1 - (shape - 1) * spread))


def _mostly(there: Floats, lengths: Floats) -> int:
    """Return the most calls at once, except in a small part of the time."""
    order = np.argsort(-there, kind="stable")
    part = np.cumsum(lengths[order]) / max(float(lengths.sum()), 1e-12)
    return int(there[order][min(int(np.searchsorted(part, _RARE)), len(there) - 1)])
