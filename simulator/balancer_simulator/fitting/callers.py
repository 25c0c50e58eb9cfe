"""Caller pattern of a trace: a fixed number of callers who wait for answers, or open arrivals.

It is found from the names of callers, if the trace has them, else from the number of calls under way: callers who wait
for their answers keep that number constant or, if they pause between calls, ask less while more are under way.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.special import gammaln

from balancer.observing.traces import Attempt
from balancer_simulator.fitting.behaviour import counted, most_of
from balancer_simulator.fitting.calls import Bools
from balancer_simulator.fitting.survival import LEAST_S, quantile_means
from balancer_simulator.scenario.distributions import Floats

__all__ = ["CallerPattern", "caller_pattern_of"]

_CALLS_EACH: Final = 3  # a name with this many calls, one after the other, is a caller; with fewer, a task
_NAMED: Final = 0.8  # share of the calls that must have recurring names
_STEADY: Final = 0.9  # share of the time in which at least nine in ten of the callers are under way
_ROUNDING_S: Final = 1e-6
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
    named: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for each in sorted(attempts, key=lambda each: each.asked_s):
        if each.task is not None:
            named[each.run, each.task].append(each)
    recur = sum(len(mine) for mine in named.values() if len(mine) >= _CALLS_EACH) >= _NAMED * len(attempts)
    if recur and (pauses := _by_name(attempts, named)) is not None:
        return CallerPattern(_there_at_once(named.values()), *pauses, True, at_s)
    many, thinks_s = _always(attempts), np.empty(0)
    if many is None and not recur:
        asked_s, ended_s = _requests(attempts, named)
        if (found := _pausing(asked_s, ended_s)) is not None:
            many, thinks_s = found[0], found[1] * _EXPONENTIAL
        elif named:
            return CallerPattern(None, np.empty(0), np.empty(0, dtype=np.bool_), False, *_arrivals(attempts))
    return CallerPattern(many, thinks_s, np.zeros(len(thinks_s), dtype=np.bool_), False, at_s)


def _there_at_once(callers: Iterable[Sequence[Attempt]]) -> int:
    """Return the most callers that were there at once, each for its longest pause after its last answer."""
    begins, ends = list[float](), list[float]()
    for mine in callers:
        pauses_s = [later.asked_s - before.ended_s for before, later in pairwise(mine)]
        begins.append(mine[0].asked_s)
        ends.append(mine[-1].ended_s + max(pauses_s, default=0.0))
    return most_of(np.array(begins), np.array(ends))


def _by_name(
    attempts: Sequence[Attempt], named: Mapping[tuple[str, str], Sequence[Attempt]]
) -> tuple[Floats, Bools] | None:
    """Return the pauses of callers, and which are only lower bounds; None if names have several calls at once.

    The pause under way at the end is a lower bound: it is likely to be a long one. It is known until the last question
    that was granted, because earlier questions were granted as well.
    """
    last: dict[str, float] = {}
    for each in attempts:
        last[each.run] = max(each.asked_s, last.get(each.run, each.asked_s))
    gaps, open_ = list[float](), list[bool]()
    for (run, _), mine in named.items():
        gaps += [later.asked_s - before.ended_s for before, later in pairwise(mine)]
        open_ += [False] * (len(mine) - 1)
        if (so_far_s := last[run] - mine[-1].ended_s) > 0:
            gaps.append(so_far_s)
            open_.append(True)
    if min(gaps, default=0.0) < -_ROUNDING_S:
        return None
    return np.maximum(gaps, 0.0), np.array(open_, dtype=np.bool_)


def _always(attempts: Sequence[Attempt]) -> int | None:
    """Return the number of calls under way nearly all the time; None if that changed.

    The time after the last grant is left out: waiters are not in the trace.
    """
    asked_s, ended_s = np.array([[each.asked_s, each.ended_s] for each in attempts]).T
    from_s, to_s = float(asked_s.min()), float(asked_s.max())
    if to_s <= from_s:
        return None
    times, there = counted(asked_s, ended_s)
    lengths = np.diff(np.clip(times, from_s, to_s), append=to_s)
    order = np.argsort(-there, kind="stable")  # the most at once, except in a small part of the time
    rare = int(np.searchsorted(np.cumsum(lengths[order]) / lengths.sum(), _RARE))
    most = int(there[order][min(rare, len(there) - 1)])
    busy = float(lengths[there >= 0.9 * most].sum()) / (to_s - from_s)
    return most if busy >= _STEADY and most * _CALLS_EACH <= len(attempts) else None


def _pausing(whole_asked_s: Floats, whole_ended_s: Floats) -> tuple[int, float] | None:
    """Return the number of callers and the mean pause between an answer and the next question, without names.

    If each of N callers pauses for an exponential time, questions come at a rate of (N - n) / pause while n are under
    way (a finite source). It must be much likelier than any rate that does not depend on n: arrivals with independent
    gaps, also more regular than at random. None: it is not, or N is uncertain by more than `_SURELY`.
    """
    asked_s, ended_s = np.sort(whole_asked_s), np.sort(whole_ended_s)
    longest_s = np.quantile(whole_ended_s - whole_asked_s, 0.99)
    middle = (asked_s > asked_s[0]) & (asked_s < asked_s[-1] - longest_s)
    at_s = asked_s[middle]
    if len(at_s) < _FEWEST_ASKED:
        return None
    lasts_s = float(np.ptp(at_s))
    under_way = np.flatnonzero(middle) - np.searchsorted(ended_s, at_s, side="right")
    inside = [np.clip(each, at_s[0], at_s[-1]).sum() for each in (whole_ended_s, whole_asked_s)]
    mean = float(inside[0] - inside[1]) / lasts_s
    many = np.arange(max(int(np.quantile(under_way, 1 - _RARE)) + 1, int(mean) + 1), int(_MOST_TIMES * mean) + 20)
    if not len(many):
        return None
    levels, counts = np.unique(under_way, return_counts=True)
    ahead = np.log(np.maximum(many[:, None] - levels, _IMPOSSIBLE)) @ counts - len(at_s) * np.log(many - mean)
    best = int(ahead.argmax())
    likely = many[ahead > ahead[best] - _LIKELY]
    if ahead[best] < _regular(np.diff(at_s)) + _AHEAD or np.ptp(likely) > max(1.0, _SURELY * many[best]):
        return None
    return int(many[best]), float((many[best] - mean) * lasts_s / len(at_s))


def _arrivals(attempts: Sequence[Attempt]) -> tuple[Floats, int]:
    """Return when requests came, without their further attempts, and the most attempts of one."""
    at_s, tries = [], Counter[tuple[str, str]]()
    most = 1
    for each in sorted(attempts, key=lambda each: each.asked_s):
        name = each.run, each.task or ""
        so_far = tries[name] if each.task is not None else 0
        if not so_far:
            at_s.append(each.asked_s)
        most = max(most, so_far + 1)
        tries[name] = 0 if each.outcome == "success" else so_far + 1
    return np.array(at_s), most


def _requests(attempts: Sequence[Attempt], named: Mapping[tuple[str, str], Sequence[Attempt]]) -> tuple[Floats, Floats]:
    """Return when each request was asked and over: attempts of one name are one request here."""
    whole = [*named.values(), *([each] for each in attempts if each.task is None)]
    asked = [min(each.asked_s for each in mine) for mine in whole]
    return np.array(asked), np.array([max(each.ended_s for each in mine) for mine in whole])


def _regular(gaps_s: Floats) -> float:
    """Return by how much gaps of a Gamma distribution are likelier than exponential ones, if they are more regular."""
    gaps_s = np.maximum(gaps_s, 1e-3 * gaps_s.mean())
    spread = max(float(np.log(gaps_s.mean()) - np.log(gaps_s).mean()), 1e-9)
    shape = max(1.0, (3 - spread + np.sqrt((spread - 3) ** 2 + 24 * spread)) / (12 * spread))
    many = len(gaps_s)
    return float(many * (shape * np.log(shape) - gammaln(shape) - shape + 1 - (shape - 1) * spread))
