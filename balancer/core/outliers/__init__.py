"""Outlier tests for health. A new test is a new file here, and one line below.

Decides which tests there are. What a test hears of, and when, is said in `base`.
"""

from collections.abc import Callable

from balancer.core.outliers.base import OutlierTest
from balancer.core.outliers.compared import FailingMostly, FarBelowTheMean
from balancer.core.outliers.own_rate import OwnRate
from balancer.core.outliers.row import FailuresInRow
from balancer.settings.rules import HealthSettings

__all__ = ["TESTS", "OutlierTest"]

TESTS: tuple[Callable[[HealthSettings], OutlierTest], ...] = (
    FailuresInRow,
    OwnRate,
    FarBelowTheMean,
    FailingMostly,
)
