"""Which endpoints stand out from the others: the two tests of gRFC A50, on what calls came to in an interval.

Decides who is an outlier among several. It must not know what becomes of one.
"""

import math
from collections.abc import Sequence
from statistics import fmean, pstdev

from balancer.core.states import Record
from balancer.settings.rules import HealthSettings

__all__ = ["outliers", "success_rate"]

_BY_CHANCE = 3.0  # standard errors of a share that lie within chance


def outliers(candidates: Sequence[Record], settings: HealthSettings) -> list[Record]:
    """Return those that are far below the mean, then those that fail mostly; perhaps some twice."""
    return [*_far_below_the_mean(candidates, settings), *_failing_mostly(candidates, settings)]


def success_rate(record: Record) -> float:
    """Return the part of its calls that succeeded since endpoints were last compared; there must be some."""
    return record.good / (record.good + record.bad)


def _far_below_the_mean(candidates: Sequence[Record], settings: HealthSettings) -> list[Record]:
    known = [record for record in candidates if record.good + record.bad >= settings.rate_volume]
    if len(known) < settings.min_hosts or not settings.rate_sds:
        return []
    rates = [success_rate(record) for record in known]
    mean = fmean(rates)
    bar = mean - settings.rate_sds * pstdev(rates)
    # Of five, one that is a hair below four equal ones is 2 standard deviations off: rule out chance as well.
    chance = mean * (1.0 - mean)
    return [
        record
        for record, rate in zip(known, rates, strict=True)
        if rate < bar and mean - rate > _BY_CHANCE * math.sqrt(chance / (record.good + record.bad))
    ]


def _failing_mostly(candidates: Sequence[Record], settings: HealthSettings) -> list[Record]:
    known = [record for record in candidates if record.good + record.bad >= settings.failure_volume]
    if len(known) < settings.min_hosts:
        return []
    return [record for record in known if 1.0 - success_rate(record) > settings.failure_share]
